"""The fingerprint of a function: its own code, and everything of the user's own that it uses.

The user's functions are encoded by their source, defaults, closures and the globals they use,
which are encoded in turn; the functions of installed libraries by their names.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, MethodWrapperType, ModuleType
from typing import Any

from swarmgrid.identity import objects, source
from swarmgrid.identity.elsewhere import Frame, walking_by
from swarmgrid.identity.encode import (
    Spot,
    digest,
    encoded_parts,
    exactly,
    family,
    frame,
    module_name,
    type_name,
)
from swarmgrid.identity.ownership import (
    is_importable,
    is_own_function,
    is_own_module,
    label,
    own_import,
    qualname,
    top_level,
)

_ABSENT = object()


def fingerprint(func: Callable[..., Any]) -> str:
    """Digest a function's code and everything of the user's own that it uses: 32 hex digits.

    Comments, docstrings, decorators and layout do not count. Helpers, constants, defaults and
    closure variables do, as do those of the helpers, as long as they are in the function's own
    top-level package or outside the installed libraries. Undoing an edit brings the old digits
    back.

    Parameters
    ----------
    func : callable
        A function, method, class, partial, or object with ``__call__``.

    Raises
    ------
    IdentityError
        A closure variable, a default or an argument of a partial is not understood.
    """
    return digest(func, qualname(_innermost(func)), home=_home(func))


def fingerprint_parts(func: Callable[..., Any], by: Frame) -> dict[str, str]:
    """Return digests of what counts for a fingerprint by its place, of code as it is in memory.

    They are the same in a process that the function has travelled to by value.
    """
    parts: dict[str, str] = {}
    with walking_by(by):
        for place, part in encoded_parts(func, qualname(_innermost(func)), home=_home(func)):
            earlier = parts.get(place, "").encode()
            parts[place] = hashlib.blake2b(earlier + part, digest_size=16).hexdigest()
    return parts


def _home(func: Callable[..., Any]) -> str | None:
    """Return the top-level module whose code counts as the user's own in any case."""
    # A library's objects go by their state: to follow their code would be to walk the library.
    inner = _innermost(func)
    is_function = isinstance(inner, FunctionType | MethodType)
    return top_level(inner.__module__ or "") if is_function else None


def function_name(func: Callable[..., Any]) -> str:
    """Return ``module.qualname``, the same whether the function's module is imported or run."""
    return label(_innermost(func))


def _innermost(func: Any) -> Any:
    """Return what a call reaches behind our decorator and partials; else its class."""
    func = getattr(func, "__swarmgrid_function__", func)
    if isinstance(func, functools.partial):
        return _innermost(func.func)
    return func if hasattr(func, "__name__") else type(func)


@family(lambda value: isinstance(value, ModuleType))
def _module(module: ModuleType, _spot: Spot) -> bytes:
    return frame("module", module_name(module.__name__).encode())


@exactly(FunctionType)
def _function(func: FunctionType, spot: Spot) -> bytes:
    if hasattr(func, "__swarmgrid_function__"):
        return spot.child(func.__swarmgrid_function__)
    if is_own_function(func, spot.graph.home):
        return spot.refer(func, label(func), _describe_function)
    if not func.__closure__ or is_importable(func, spot.graph.home):
        return frame("name", label(func).encode())
    return spot.refer(func, label(func), _describe_library_closure)


def _describe_function(func: FunctionType, spot: Spot) -> bytes:
    return frame(
        "function",
        spot.child(source.own_text(func.__code__)),
        _defaults(func, spot),
        _closure(func, spot, is_lenient=False),
        _uses(func, spot),
    )


def _describe_library_closure(func: FunctionType, spot: Spot) -> bytes:
    """Encode a function that a library made on the spot: its name, and what it was made from."""
    return frame("closure", label(func).encode(), _closure(func, spot, is_lenient=True))


def _defaults(func: FunctionType, spot: Spot) -> bytes:
    code, values = func.__code__, func.__defaults__ or ()
    names = code.co_varnames[code.co_argcount - len(values) : code.co_argcount]
    defaults = _unmarked(dict(zip(names, values, strict=True)) | (func.__kwdefaults__ or {}))
    place = objects.place_in("default", qualname(func))
    # A helper's may be anything, as its globals may; what is written for them counts in any case.
    return objects.named(defaults, place, spot, is_lenient=spot.is_lenient)


def _closure(func: FunctionType, spot: Spot, *, is_lenient: bool) -> bytes:
    place = objects.place_in("closure variable", qualname(func))
    return objects.named(_cells(func), place, spot, is_lenient=is_lenient)


def _uses(func: FunctionType, spot: Spot) -> bytes:
    home = spot.graph.home
    values = dict(_used_values(func, home)) | dict(_imported_values(func, home))
    place = objects.place_in("global", qualname(func))
    return objects.named(values, place, spot, is_lenient=True)


def _cells(func: FunctionType) -> dict[str, Any]:
    """Return the closure variables that have a value yet."""
    cells = zip(func.__code__.co_freevars, func.__closure__ or (), strict=True)
    return _unmarked({name: cell.cell_contents for name, cell in cells if _is_filled(cell)})


def _unmarked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values without marks like ``MISSING = object()``, of which only the name counts."""
    return {name: object if type(value) is object else value for name, value in values.items()}


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _used_values(func: FunctionType, home: str | None) -> Iterator[tuple[str, Any]]:
    """Yield the names a function uses from outside, and their values; but not builtins."""
    cells = _cells(func)
    for chain in source.used_names(func.__code__):
        value, depth = cells.get(chain[0], func.__globals__.get(chain[0], _ABSENT)), 1
        if chain[0] in cells and not isinstance(value, ModuleType):
            continue  # encoded with the closure
        # A library's attributes go by name: to take one may import what the call does not need.
        while depth < len(chain) and is_own_module(value, home):
            value, depth = getattr(value, chain[depth], _ABSENT), depth + 1
        # A module's own __name__, __file__ and the like differ between machines and ways to run.
        if value is not _ABSENT and not chain[depth - 1].startswith("__"):
            yield ".".join(chain[:depth]), value


def _imported_values(func: FunctionType, home: str | None) -> Iterator[tuple[str, Any]]:
    """Yield the values that a function takes from modules of the user's that it imports itself."""
    package = str(func.__globals__.get("__package__") or "")
    for name, attributes in source.imports(func.__code__):
        module = own_import(name, package, home)
        for attribute in attributes if module else ():
            value = getattr(module, attribute, _ABSENT)
            if value is not _ABSENT and not attribute.startswith("__"):
                yield f"import {name}.{attribute}", value


@exactly(functools.partial)
def _partial(value: functools.partial[Any], spot: Spot) -> bytes:
    func, args = spot.child(value.func, ".func"), spot.child(value.args, ".args")
    return frame("partial", func, args, spot.child(value.keywords, ".keywords"))


@exactly(MethodType)
def _method(value: MethodType, spot: Spot) -> bytes:
    return frame("method", spot.child(value.__func__), objects.owner(value.__self__, spot))


@exactly(BuiltinFunctionType, MethodWrapperType)
def _builtin(value: Any, spot: Spot) -> bytes:
    if value.__self__ is None or isinstance(value.__self__, ModuleType):
        return frame("name", label(value).encode())
    return frame("method", value.__name__.encode(), spot.child(value.__self__, ".__self__"))


@exactly(property, classmethod, staticmethod, functools.cached_property)
def _descriptor(value: Any, spot: Spot) -> bytes:
    names = ("fget", "fset", "fdel", "func", "__func__")
    functions = [spot.child(getattr(value, name, None)) for name in names]
    return frame("descriptor", type_name(type(value)).encode(), *functions)
