"""The values that code takes from outside: of names, and of attributes of the user's modules."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Collection, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

from swarmgrid.identity.encode import Spot, family, frame
from swarmgrid.identity.frames import accessors
from swarmgrid.user_code import instructions, lookups
from swarmgrid.user_code.ownership import (
    frame_of_walk,
    is_own_class,
    is_own_function,
    is_own_module,
    is_users,
    module_name,
    own_import,
    patches_of,
)

_ABSENT = object()
BOOKKEEPING = frozenset(
    {
        *("__annotations__", "__annotate__", "__annotate_func__", "__conditional_annotations__"),
        *("__builtins__", "__cached__", "__dict__", "__doc__", "__file__", "__loader__"),
        *("__name__", "__package__", "__path__", "__spec__"),
    }
)
"""Attributes of modules that differ between machines and ways to run: they do not count."""


def cells(func: FunctionType) -> dict[str, Any]:
    """Return the closure variables that have a value yet."""
    pairs = zip(func.__code__.co_freevars, func.__closure__ or (), strict=True)
    return {name: cell.cell_contents for name, cell in pairs if _is_filled(cell)}


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def used_values(
    code: CodeType, names: Mapping[str, Any], inner: Mapping[str, Any], home: str | None
) -> dict[str, Any]:
    """Return what code takes from outside: by global name, or ``module.name`` for modules'.

    Parameters
    ----------
    code : code object
        The code.
    names : mapping
        Its globals.
    inner : mapping
        Its closure variables. They are left out, but modules among them are looked into.
    home : str or None
        The top-level module whose code counts as the user's own.
    """
    imported: dict[str, list[tuple[str, Any]]] = {}
    for alias, *one in _imported(code, str(names.get("__package__") or ""), home):
        imported.setdefault(alias, []).append((one[0], one[1]))
    found = dict(accessors(instructions.all_names(code)))
    for chain in instructions.used_names(code):
        first = chain[0]
        for label, root in imported.get(first, ()):
            found |= _followed((label, *chain[1:]), root, home)
        if first in inner:
            if is_own_module(inner[first], home):
                found |= _followed(chain, inner[first], home)
        elif first in names:
            found |= _followed(chain, names[first], home)
            found |= _patched(chain, names[first], with_numbers=True)
        else:
            found |= _patched(("builtins", *chain), builtins, with_numbers=True)
            if first not in imported and first in sys.modules:  # as the function will import it
                found |= _patched(chain, sys.modules[first], with_numbers=False)
    return _named_in_text(code, (*inner.values(), *found.values()), names, home) | found


def _patched(chain: tuple[str, ...], value: Any, *, with_numbers: bool) -> dict[str, Any]:
    """Return what the user has put into a library's module, at the end of a chain of attributes.

    Only what is there already: to ask a module for an attribute may import what is not needed. And
    every number: whether the library or the user has set it cannot be known.
    """
    for depth, name in enumerate(chain[1:], 2):
        if isinstance(value, ModuleType) and not is_own_module(value, None):
            value = vars(value).get(name)
        elif isinstance(value, type) and not is_own_class(value, None):
            value = next((vars(one)[name] for one in value.__mro__ if name in vars(one)), None)
        else:
            return {}
        is_patched_class = isinstance(value, type) and bool(patches_of(value))
        is_number = with_numbers and type(value) in {bool, int, float, complex}
        if is_number or is_patched_class or is_users(value):
            return {".".join(chain[:depth]): value}
    return {}


def _followed(chain: tuple[str, ...], value: Any, home: str | None) -> dict[str, Any]:
    """Return the value at the end of a chain of attributes, as far as it leads through modules."""
    depth = 1
    # A library's attributes go by name: to take one may import what the call does not need.
    while depth < len(chain) and is_own_module(value, home) and chain[depth] != "__dict__":
        value, depth = getattr(value, chain[depth], _ABSENT), depth + 1
    if value is _ABSENT or chain[depth - 1] in BOOKKEEPING - _READ:
        return {}
    return {".".join(chain[:depth]): value} | _read(chain[:depth], chain[depth:], value, home)


_READ = frozenset({"__annotations__", "__doc__"})
"""Book-keeping that counts where code names it: then it is read as data."""


def _read(
    before: tuple[str, ...], rest: tuple[str, ...], value: Any, home: str | None
) -> dict[str, Any]:
    """Return what code reads of a function or class of the user's: docstring, subclasses."""
    for depth, name in enumerate(rest, 1):
        if not (_is_own_code(value, home)):
            return {}
        label = ".".join((*before, *rest[:depth]))
        if name == "__doc__":
            return {label: value.__doc__}
        if name == "__subclasses__":
            return {label: subclasses(value)}
        value = getattr(value, name, None)
    return {}


def _is_own_code(value: Any, home: str | None) -> bool:
    is_function = isinstance(value, FunctionType) and is_own_function(value, home)
    return is_function or (isinstance(value, type) and is_own_class(value, home))


def subclasses(cls: type) -> list[type]:
    """Return the classes below a class, in the order of their definition."""
    found: dict[type, None] = {}
    below: type
    for below in cls.__subclasses__():
        found |= dict.fromkeys([below, *subclasses(below)])
    return list(found)


def _named_in_text(
    code: CodeType, values: Collection[Any], names: Mapping[str, Any], home: str | None
) -> dict[str, Any]:
    """Return the globals, and modules of the user's, that code looks up by a text in it."""
    found: dict[str, Any] = {}
    for chain in lookups.names_in_text(code, values):
        if chain[0] in names:
            found |= _followed(chain, names[chain[0]], home)
    for name in lookups.modules_in_text(code, values):
        if (module := own_import(name, "", home)) is not None:
            found[f"import {name}"] = module
    return found


def _imported(code: CodeType, package: str, home: str | None) -> Iterator[tuple[str, str, Any]]:
    """Yield what code imports itself, if it is the user's: its name there, a label, the value."""
    for alias, path, name in sorted(instructions.imports(code)):
        module: Any = own_import(path, package, home)
        label = path
        if name == "":  # binds the package at the head of the path
            label = path.partition(".")[0]
            module = own_import(label, package, home) if module is not None else None
        elif name != "." and module is not None:
            label = f"{path}.{name}" if path.strip(".") else f"{path}{name}"
            inside = own_import(label, package, home)  # a module of the package, or None
            module = getattr(module, name, inside)
            if module is None and inside is None:
                continue
        if module is not None:
            yield alias, f"import {label}", module


@family(lambda value: isinstance(value, ModuleType))
def _module(module: ModuleType, spot: Spot) -> bytes:
    """By all that it holds, if it is the user's: what is taken of a value cannot be seen."""
    if is_own_module(module, spot.walk.home):
        return spot.refer(module, _describe_module)
    return frame("module", module_name(module.__name__).encode())


def _describe_module(module: ModuleType, spot: Spot) -> bytes:
    whole, walk = module.__name__, frame_of_walk()
    missing = frozenset() if walk is None else walk.missing
    values = {
        name: value
        for name, value in vars(module).items()
        if name not in BOOKKEEPING and f"{whole}.{name}" not in missing
    }
    return frame(
        "own module", spot.named(values, lambda name: f"attribute {name!r} of {whole}", whole)
    )
