"""The values that a function holds besides its code: in partials, closures and objects.

A version that the user gives stands for code. It says nothing of what the code was put together
with at run time, by which ``partial(f, 1)`` is another function than ``partial(f, 2)``.
"""

from __future__ import annotations

import enum
import functools
import platform
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from types import BuiltinFunctionType, FunctionType, MethodType, MethodWrapperType, ModuleType
from typing import Any, TypeAlias

from swarmgrid.identity import reached, source
from swarmgrid.identity.encode import Walk, digest, is_ignored, to_digest
from swarmgrid.identity.objects import held_by
from swarmgrid.user_code.ownership import (
    file_of,
    home,
    is_own_class,
    is_own_function,
    label,
    unwrapped,
)

Held: TypeAlias = "list[Any] | str"
"""Nested lists of text, which say what is held: code by its name, values by their digests."""

_CONTAINERS = (list, tuple, set, frozenset, dict)


def bound(func: Callable[..., Any], ignore: Collection[str] = ()) -> Held:
    """Return what a function holds besides its code, for a digest.

    The keyword arguments of a partial are left out: they take part in a call as defaults do.

    Parameters
    ----------
    func : callable
        A function, method, class, partial, or object with ``__call__``.
    ignore : collection of str
        Names of closure variables and attributes that do not count, as ``name`` or
        ``module:name``.

    Raises
    ------
    IdentityError
        A value that it holds is not understood; its place is named.
    """
    args: list[Held] = []
    func = unwrapped(func)
    while isinstance(func, functools.partial):
        start = _Here(f"args of a partial of {_name(func.func)}", ignore)
        args = [*(_held(value, start.at(f"[{i}]")) for i, value in enumerate(func.args)), *args]
        func = unwrapped(func.func)
    return ["called", _held(func, _Here(_name(func), ignore)), *args]


def keywords(func: Callable[..., Any]) -> dict[str, Any]:
    """Return the keyword arguments of a partial, and of those within it."""
    func = unwrapped(func)
    if not isinstance(func, functools.partial):
        return {}
    return keywords(func.func) | func.keywords


class Origin(Mapping[str, str]):
    """Digests of the file that holds a function of no package, on its machine, and of its code.

    Two functions of one `home` are told apart by them. Empty for all other functions. Where the
    file alone decides, the code is never looked at, which takes as long as all of it is.

    Parameters
    ----------
    func : callable
        The function.
    """

    def __init__(self, func: Callable[..., Any]) -> None:
        self._inner = _innermost(func)
        self._file = file_of(self._inner)

    def __len__(self) -> int:
        return 0 if self._file is None else 2

    def __iter__(self) -> Iterator[str]:
        return iter(() if self._file is None else ("file", "code"))

    def __getitem__(self, key: str) -> str:
        if self._file is not None and key == "file":
            return _file_digest(platform.node(), self._file)
        if self._file is not None and key == "code":
            return self._code
        raise KeyError(key)

    @functools.cached_property
    def _code(self) -> str:
        functions = _functions(self._inner)
        texts = sorted((label(one), source.own_text(one.__code__).hex()) for one in functions)
        return digest(["code", *texts])

    def __reduce__(self) -> tuple[Any, ...]:
        """As what it says: the function travels by itself."""
        return dict, (dict(self),)


@functools.lru_cache(maxsize=256)
def _file_digest(machine: str, file: str) -> str:
    return digest(["file", machine, file])


def _innermost(func: Any) -> Any:
    func = unwrapped(func)
    if isinstance(func, functools.partial):
        return _innermost(func.func)
    if isinstance(func, MethodType):
        return func.__func__
    return func if hasattr(func, "__name__") else type(func)


def _functions(value: Any) -> Iterator[FunctionType]:
    """Yield the user's functions that a function or class reaches by the names in its code."""
    pending, seen = [value], {id(value)}
    while pending:
        one = pending.pop()
        more: list[Any] = []
        if isinstance(one, FunctionType) and is_own_function(one, None):
            yield one
            inner = reached.cells(one)
            more = [*reached.used_values(one.__code__, one.__globals__, inner, None).values()]
            more += inner.values()
        elif isinstance(one, type) and is_own_class(one, None):
            more = [getattr(part, "__func__", part) for part in vars(one).values()]
        for found in more:
            if isinstance(found, FunctionType | type) and id(found) not in seen:
                seen.add(id(found))
                pending.append(found)


def _code_name(value: Any) -> list[str]:
    """Return what names a function or class: ``module.qualname`` and, of no package, its home."""
    where = home(value)
    return [label(value), where] if where else [label(value)]


@dataclass(frozen=True, slots=True)
class _Here:
    """The place that the walk has reached."""

    place: str
    """As an expression, for errors."""
    ignore: Collection[str]
    """The names that do not count."""
    inside: tuple[int, ...] = ()
    """The ids of the values around."""

    def at(self, step: str) -> _Here:
        """One step further."""
        return replace(self, place=self.place + step)

    def named(
        self,
        values: Mapping[str, Any],
        place: str,
        module: str = "",
        *,
        in_order: bool = False,
    ) -> list[Any]:
        """The content of named values, in the order of names; ``place`` has a ``{}`` for one."""
        return [
            [name, "ignored" if is_ignored(name, module, self.ignore) else _held(value, there)]
            for name, value in (values.items() if in_order else sorted(values.items()))
            for there in [replace(self, place=place.format(name))]
        ]


def _held(value: Any, here: _Here) -> Held:
    """Say what a value holds."""
    value = unwrapped(value)
    describe = _describer(value)
    if describe is None:
        return to_digest(Walk(ignore=here.ignore).over(value, here.place))
    if id(value) in here.inside:  # a function that calls itself holds itself
        return ["around", str(here.inside.index(id(value)))]
    return describe(value, replace(here, inside=(*here.inside, id(value))))


_Describer: TypeAlias = Callable[[Any, _Here], "list[Any]"]


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


def _container(value: Any, here: _Here) -> list[Any]:
    items = [_held(item, here.at(f"[{i}]")) for i, item in enumerate(_items(value))]
    if isinstance(value, (set, frozenset)):
        items.sort(key=str)
    return [type(value).__name__, *items]


def _class(value: type, _here: _Here) -> list[Any]:
    return ["class", *_code_name(value)]


def _module(value: ModuleType, _here: _Here) -> list[Any]:
    return ["module", value.__name__]


def _function(value: FunctionType, here: _Here) -> list[Any]:
    name = label(value)
    if not is_own_function(value, None) and hasattr(value, "__wrapped__"):
        return ["wrapper", name, _held(value.__wrapped__, here)]
    # The name does not tell one lambda from another: only its text does.
    text = [digest(source.own_text(value.__code__))] if "<lambda>" in name else []
    module = str(value.__globals__.get("__name__", ""))
    closure = here.named(reached.cells(value), f"closure variable {{!r}} of {name}", module)
    own = {key: one for key, one in vars(value).items() if key != "__wrapped__"}
    held = [here.named(own, f"attribute {{!r}} of {name}", module)] if own else []
    return ["function", *_code_name(value), text, closure, *held]


def _method(value: MethodType, here: _Here) -> list[Any]:
    func, owner = _held(value.__func__, here), value.__self__
    is_known = isinstance(owner, type) or hasattr(type(owner), "__swarmgrid_token__")
    return ["method", func, (_held if is_known else _object)(owner, here.at(".__self__"))]


def _builtin(value: Any, here: _Here) -> list[Any]:
    owner = value.__self__
    if owner is None or isinstance(owner, ModuleType):
        return ["function", label(value), [], []]
    return ["method", value.__name__, _held(owner, here.at(".__self__"))]


def _partial(value: functools.partial[Any], here: _Here) -> list[Any]:
    func = _held(value.func, here.at(".func"))
    args = [_held(v, here.at(f".args[{i}]")) for i, v in enumerate(value.args)]
    return [
        "partial",
        func,
        args,
        here.named(value.keywords, f"{here.place}[{{!r}}]", in_order=True),
    ]


_DESCRIBERS: tuple[tuple[Any, _Describer], ...] = (
    (type, _class),
    (ModuleType, _module),
    (FunctionType, _function),
    (MethodType, _method),
    ((BuiltinFunctionType, MethodWrapperType), _builtin),
    (functools.partial, _partial),
)


def _object(value: Any, here: _Here) -> list[Any]:
    """Describe an object by its class's name and its state."""
    cls = type(value)
    if isinstance(value, functools._lru_cache_wrapper):  # noqa: SLF001  # its cache does not count
        return ["wrapper", label(cls), _held(value.__wrapped__, here)]
    if not is_own_class(cls, None) and (parts := _reduced(value)) is not None:
        return ["library object", label(cls), *(_held(part, here) for part in parts)]
    content, state = held_by(value)
    attributes = here.named(state, f"{here.place}.{{}}", in_order=True)
    return ["object", *_code_name(cls), [_held(c, here) for c in content], attributes]


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
