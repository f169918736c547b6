"""The values that code takes from outside: of names, and of attributes of the user's modules."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

from swarmgrid.identity import instructions
from swarmgrid.identity.elsewhere import frame_of_walk
from swarmgrid.identity.encode import Spot, family, frame
from swarmgrid.identity.ownership import (
    is_from_own_module,
    is_own_class,
    is_own_module,
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
    imported = dict(_imported(code, str(names.get("__package__") or ""), home))
    found: dict[str, Any] = {}
    for chain in instructions.used_names(code):
        first = chain[0]
        if first in imported:
            label, root = imported[first]
            found |= _followed((label, *chain[1:]), root, home)
        if first in inner:
            if is_own_module(inner[first], home):
                found |= _followed(chain, inner[first], home)
        elif first in names:
            found |= _followed(chain, names[first], home) | _patched(chain, names[first])
        else:
            found |= _patched(("builtins", *chain), builtins)
    return found


def _patched(chain: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return what the user has put into a library's module, at the end of a chain of attributes.

    Only what is there already: to ask a module for an attribute may import what is not needed.
    """
    for depth, name in enumerate(chain[1:], 2):
        if not isinstance(value, ModuleType) or is_own_module(value, None):
            return {}
        value = vars(value).get(name)
        if isinstance(value, FunctionType):
            is_patch = is_from_own_module(value)
        else:
            is_patch = isinstance(value, type) and (
                is_own_class(value, None) or bool(patches_of(value))
            )
        if is_patch:
            return {".".join(chain[:depth]): value}
    return {}


def _followed(chain: tuple[str, ...], value: Any, home: str | None) -> dict[str, Any]:
    """Return the value at the end of a chain of attributes, as far as it leads through modules."""
    depth = 1
    # A library's attributes go by name: to take one may import what the call does not need.
    while depth < len(chain) and is_own_module(value, home):
        value, depth = getattr(value, chain[depth], _ABSENT), depth + 1
    if value is _ABSENT or (depth > 1 and chain[depth - 1] in BOOKKEEPING):
        return {}
    return {} if chain[0] in BOOKKEEPING else {".".join(chain[:depth]): value}


def _imported(
    code: CodeType, package: str, home: str | None
) -> Iterator[tuple[str, tuple[str, Any]]]:
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
            yield alias, (f"import {label}", module)


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
