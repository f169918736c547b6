"""What a function holds besides its code: arguments of partials, closures, the state of objects.

A version that the user gives stands for code. It says nothing of what the code was put together
with at run time, by which ``partial(f, 1)`` is another function than ``partial(f, 2)``.
"""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType, MethodWrapperType, ModuleType
from typing import Any, TypeAlias

from swarmgrid.identity import source
from swarmgrid.identity.encode import digest
from swarmgrid.identity.ownership import is_own_class, is_own_function, label

Held: TypeAlias = "list[Any] | str"
"""Nested lists of text, which say what is held: code by its name, values by their digests."""

_CONTAINERS = (list, tuple, set, frozenset, dict)
_BASES: tuple[Any, ...] = (dict, list, tuple, set, frozenset, str, bytes, int, float, complex)


def bound(func: Callable[..., Any]) -> Held:
    """Return what a function holds besides its code, for a digest.

    The keyword arguments of a partial are left out: they take part in a call as defaults do.

    Parameters
    ----------
    func : callable
        A function, method, class, partial, or object with ``__call__``.

    Raises
    ------
    IdentityError
        A value that it holds is not understood; its place is named.
    """
    args: list[Held] = []
    func = unwrapped(func)
    while isinstance(func, functools.partial):
        whole = f"partial of {_name(func.func)}"
        own = [_held(value, f"args[{i}] of a {whole}", ()) for i, value in enumerate(func.args)]
        args = [*own, *args]  # the inner one's come first in a call
        func = unwrapped(func.func)
    return ["called", _held(func, _name(func), ()), *args]


def keywords(func: Callable[..., Any]) -> dict[str, Any]:
    """Return the keyword arguments of a partial, and of those within it."""
    func = unwrapped(func)
    if not isinstance(func, functools.partial):
        return {}
    return keywords(func.func) | func.keywords


def unwrapped(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function without our decorator."""
    inner: Callable[..., Any] = inspect.getattr_static(func, "__swarmgrid_function__", func)
    return inner


def _held(value: Any, place: str, inside: tuple[int, ...]) -> Held:
    """Say what a value holds; ``inside`` are the ids of the values around it."""
    value = unwrapped(value)
    describe = _describer(value)
    if describe is None:
        return digest(value, place)
    if id(value) in inside:  # a function that calls itself holds itself
        return ["around", str(inside.index(id(value)))]
    return describe(value, place, (*inside, id(value)))


_Describer: TypeAlias = Callable[[Any, str, "tuple[int, ...]"], "list[Any]"]


def _describer(value: Any) -> _Describer | None:
    """Return what describes a value that has code in it; None for plain values."""
    if hasattr(type(value), "__swarmgrid_token__") or isinstance(value, enum.Enum):
        return None
    for types, describe in _DESCRIBERS:
        if isinstance(value, types):
            return describe
    if type(value) in _CONTAINERS:
        return _container if _has_code(value) else None
    return _object if callable(value) or is_own_class(type(value), None) else None


def _has_code(value: Any) -> bool:
    """Whether a container holds something that is described rather than digested."""
    pending, seen = [value], {id(value)}
    while pending:
        for item in _items(pending.pop()):
            if type(item) in _CONTAINERS:
                if id(item) not in seen:
                    seen.add(id(item))
                    pending.append(item)
            elif _describer(item) is not None:
                return True
    return False


def _items(container: Any) -> list[Any]:
    return [*container, *container.values()] if type(container) is dict else list(container)


def _container(value: Any, place: str, inside: tuple[int, ...]) -> list[Any]:
    items = [_held(item, f"{place}[{i}]", inside) for i, item in enumerate(_items(value))]
    if isinstance(value, (set, frozenset)):
        items.sort(key=str)
    return [type(value).__name__, *items]


def _class(value: type, _place: str, _inside: tuple[int, ...]) -> list[Any]:
    return ["class", label(value)]


def _module(value: ModuleType, _place: str, _inside: tuple[int, ...]) -> list[Any]:
    return ["module", value.__name__]


def _function(value: FunctionType, place: str, inside: tuple[int, ...]) -> list[Any]:
    name = label(value)
    if not is_own_function(value, None) and hasattr(value, "__wrapped__"):
        return ["wrapper", name, _held(value.__wrapped__, place, inside)]
    # The name does not tell one lambda from another: only its text does.
    text = [digest(source.own_text(value.__code__))] if "<lambda>" in name else []
    cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
    closure = [
        [variable, _held(cell.cell_contents, f"closure variable {variable!r} of {name}", inside)]
        for variable, cell in cells
        if _is_filled(cell)
    ]
    return ["function", name, text, closure]


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _method(value: MethodType, place: str, inside: tuple[int, ...]) -> list[Any]:
    func = _held(value.__func__, place, inside)
    owner = value.__self__
    if isinstance(owner, type) or hasattr(type(owner), "__swarmgrid_token__"):
        return ["method", func, _held(owner, f"{place}.__self__", inside)]
    return ["method", func, _object(owner, f"{place}.__self__", inside)]


def _builtin(value: Any, place: str, inside: tuple[int, ...]) -> list[Any]:
    owner = value.__self__
    if owner is None or isinstance(owner, ModuleType):
        return ["function", label(value), [], []]
    return ["method", value.__name__, _held(owner, f"{place}.__self__", inside)]


def _partial(value: functools.partial[Any], place: str, inside: tuple[int, ...]) -> list[Any]:
    func = _held(value.func, f"{place}.func", inside)
    args = [_held(v, f"{place}.args[{i}]", inside) for i, v in enumerate(value.args)]
    given = sorted(value.keywords.items())
    return ["partial", func, args, [[k, _held(v, f"{place}[{k!r}]", inside)] for k, v in given]]


_DESCRIBERS: tuple[tuple[Any, _Describer], ...] = (
    (type, _class),
    (ModuleType, _module),
    (FunctionType, _function),
    (MethodType, _method),
    ((BuiltinFunctionType, MethodWrapperType), _builtin),
    (functools.partial, _partial),
)


def _object(value: Any, place: str, inside: tuple[int, ...]) -> list[Any]:
    """Describe an object by its class's name and its state."""
    cls = type(value)
    if isinstance(value, functools._lru_cache_wrapper):  # noqa: SLF001  # its cache does not count
        return ["wrapper", label(cls), _held(value.__wrapped__, place, inside)]
    if not is_own_class(cls, None) and (parts := _reduced(value)) is not None:
        return ["library object", label(cls), *(_held(p, place, inside) for p in parts)]
    slots = [
        name
        for base in cls.__mro__
        for name, one in vars(base).items()
        if inspect.ismemberdescriptor(one)
    ]
    state = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    state |= getattr(value, "__dict__", {})
    content = [base(value) for base in _BASES if isinstance(value, base)][:1]
    attributes = [[k, _held(v, f"{place}.{k}", inside)] for k, v in sorted(state.items())]
    return ["object", label(cls), [_held(c, place, inside) for c in content], attributes]


def _reduced(value: Any) -> list[Any] | None:
    """Return what pickle would take a library's object apart into; None if that is refused."""
    try:
        parts = value.__reduce_ex__(2)
    except Exception:  # noqa: BLE001  # a library's object may refuse in any way
        return None
    return (
        [parts] if isinstance(parts, str) else [*parts[:3], *map(list, filter(None, parts[3:5]))]
    )


def _name(value: Any) -> str:
    return label(value) if hasattr(value, "__name__") else label(type(value))
