"""The names that a function uses of the user's own modules, which must travel with it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeGuard

from swarmgrid.identity.reached import cells, subclasses, used_values
from swarmgrid.user_code.instructions import all_names, imported_modules, used_names
from swarmgrid.user_code.ownership import is_own_module, own_import

_ABSENT = object()
_WHOLE = ((), ("__dict__",))
"""The instructions that follow a module that is used as a value."""
_ANY_NAME = frozenset({"eval", "exec", "globals"})
"""A function that uses one of these may use any name of its module."""


@dataclass(frozen=True, slots=True)
class Use:
    """One name that a function uses."""

    space: dict[str, Any]
    """The namespace of the module that has it."""
    name: str
    value: Any
    is_passed_through: bool = False
    """Whether the value is a module of the user's of which only attributes are used."""


def uses_of(func: FunctionType) -> Iterator[Use]:
    """The names that a function uses of its own module, and of other modules of the user's."""
    space = func.__globals__
    for chain in _used_names(func.__code__):
        if chain[0] in func.__code__.co_freevars:
            cell = (func.__closure__ or ())[func.__code__.co_freevars.index(chain[0])]
            holder = getattr(cell, "cell_contents", None)
            if is_travelling(holder):
                yield from _along(vars(holder), chain[1:])
            continue
        yield from _along(space, chain)
    for name, attributes in imported_modules(func.__code__):
        module = own_import(name, str(space.get("__package__") or ""), None)
        if is_travelling(module):
            yield from _imported(module, frozenset(attributes), set())


def imported_values(func: FunctionType) -> Iterator[ModuleType]:
    """Modules that a function imports itself and uses as values: they count, and travel, whole."""
    found = used_values(func.__code__, func.__globals__, cells(func), None)
    yield from (one for name, one in found.items() if name[:7] == "import " and is_travelling(one))


def uses_any_name(func: FunctionType) -> bool:
    """Whether a function may use names of its module that its code does not show."""
    return not _ANY_NAME.isdisjoint(all_names(func.__code__))


def is_travelling(value: Any) -> TypeGuard[ModuleType]:
    """Whether a value is a module of the user's own, and no compiled one."""
    if not isinstance(value, ModuleType):
        return False
    if value.__name__ == "__main__":
        return True
    file = getattr(value, "__file__", None) or ""
    return not file.endswith((".so", ".pyd")) and is_own_module(value, None)


def is_travelling_space(space: dict[str, Any]) -> bool:
    """Whether a namespace is that of such a module, which need not be imported under its name."""
    name = str(space.get("__name__", ""))
    module = sys.modules.get(name)
    if module is None or vars(module) is not space:
        module = ModuleType(name)
        module.__file__ = space.get("__file__")
    return is_travelling(module)


def _along(space: dict[str, Any], chain: tuple[str, ...]) -> Iterator[Use]:
    """The steps of ``helpers.sub.scale``."""
    holder: Any = None
    for n, name in enumerate(chain, 1):
        value = space.get(name, _ABSENT)
        if value is _ABSENT and holder is not None:
            value = getattr(holder, name, _ABSENT)  # the module may make it when it is asked for
        if value is _ABSENT:
            return
        is_module = is_travelling(value)
        yield Use(space, name, value, is_passed_through=is_module and chain[n:][:1] not in _WHOLE)
        if isinstance(value, type) and "__subclasses__" in chain[n:]:
            for number, one in enumerate(subclasses(value)):
                yield Use(space, f"{name}.__subclasses__()[{number}]", one)
        if not is_module:
            return
        holder, space = value, vars(value)


def _imported(module: ModuleType, names: frozenset[str], seen: set[int]) -> Iterator[Use]:
    """The names that may be used of a module that the function imports itself."""
    seen.add(id(module))
    for name in sorted(names):
        value = getattr(module, name, _ABSENT)
        if value is _ABSENT or name.startswith("__"):
            continue
        yield Use(vars(module), name, value, is_passed_through=is_travelling(value))
        if is_travelling(value) and id(value) not in seen:
            yield from _imported(value, names, seen)


@functools.lru_cache(maxsize=4096)
def _used_names(code: CodeType) -> tuple[tuple[str, ...], ...]:
    return tuple(sorted(used_names(code)))
