"""The packing of the user's code for other processes: by value, as it is in memory.

A worker that imported it anew would find what the files say: not what was set at run time, nor
what was in a file before it was edited. So the user's functions and classes are pickled with what
they use, and a module as the part of it that is used. See decision 0018.
"""

from __future__ import annotations

import enum
import functools
import io
import sys
import threading
import typing
import uuid
import weakref
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import Any

import cloudpickle
import numpy as np
from cloudpickle.cloudpickle import _decompose_typevar, _dynamic_class_reduce, _make_typevar

from swarmgrid.identity.classes import payload_of, written_attributes
from swarmgrid.identity.reached import BOOKKEEPING
from swarmgrid.transport import arrival
from swarmgrid.transport.arrival import ModuleLabel
from swarmgrid.transport.uses import (
    imported_values,
    is_travelling,
    is_travelling_space,
    uses_any_name,
    uses_of,
)
from swarmgrid.transport.whole import array_taken_apart, taken_apart

_KEPT = ("__name__", "__package__", "__file__", "__path__", "__doc__")
_LOCKS: dict[type, Callable[[], Any]] = {
    type(threading.Lock()): threading.Lock,
    type(threading.RLock()): threading.RLock,
    threading.local: threading.local,
}
_CACHED = type(functools.lru_cache(lambda: None))
_NAMED_TYPES = tuple(
    getattr(typing, name) for name in ("ParamSpec", "TypeVarTuple") if hasattr(typing, name)
)


@dataclass
class Luggage:
    """The objects packed so far; those packed later refer to them."""

    modules: dict[str, ModuleLabel] = field(default_factory=dict)
    classes: dict[type, str] = field(default_factory=dict)
    """The classes that travel by value, and their keys."""
    missing: set[str] = field(default_factory=set)
    """``module.name`` of what cannot travel, of modules that are used as values."""
    spaces: list[dict[str, Any]] = field(default_factory=list)
    """The modules' namespaces, kept because some keys are made of their addresses."""


def packed(value: Any, luggage: Luggage) -> bytes:
    """A value as it travels, with the user's own code by value.

    Classes that were packed before are only referred to.
    """
    with io.BytesIO() as file:
        _Packer(file, luggage, dict(luggage.classes)).dump(value)
        return file.getvalue()


def packed_to_return(value: Any) -> bytes:
    """A value as a worker sends it home: a class that came from there goes by its key."""
    with io.BytesIO() as file:
        _Returner(file).dump(value)
        return file.getvalue()


class _Link:
    """A module of the user's of which only what is used travels."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __reduce__(self) -> tuple[Any, ...]:
        return arrival.module_called, (self.key,)


class _Returner(cloudpickle.Pickler):  # type: ignore[misc]
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type) and (key := arrival.KEYS.get(obj)) is not None:
            return arrival.class_called, (key,)
        return super().reducer_override(obj)


class _Packer(cloudpickle.Pickler):  # type: ignore[misc]
    def __init__(
        self,
        file: io.BytesIO,
        luggage: Luggage,
        sent: Mapping[type, str],
        whole: frozenset[str] = frozenset(),
        *,
        is_trial: bool = False,
    ) -> None:
        super().__init__(file)
        self._is_trial = is_trial
        self._offers: dict[str, dict[int, str]] = {}
        self._luggage = luggage
        self._sent = sent
        self._whole = whole
        self._links: dict[str, _Link] = {}

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if isinstance(obj, type):
            return self._class(obj)
        if kind is FunctionType:
            return self._function(obj)
        if isinstance(obj, ModuleType):
            return self._module(obj) if is_travelling(obj) else NotImplemented
        if kind in _LOCKS:
            return _LOCKS[kind], ()
        if kind is _CACHED:
            return self._cached(obj)
        if kind in {weakref.WeakKeyDictionary, weakref.WeakValueDictionary}:
            return kind, (dict(obj),)
        return self._object(obj)

    def _object(self, obj: Any) -> Any:
        """Reduce what is no code."""
        kind = type(obj)
        if kind.__module__ == "typing":
            return self._from_typing(obj)
        if hasattr(kind, "__swarmgrid_reduce__"):
            return obj.__swarmgrid_reduce__()
        if kind is np.ndarray:
            return array_taken_apart(obj) or NotImplemented
        if (place := self._offer(obj)) is not None:
            return arrival.offered, place
        return self._whole_object(obj)

    def _offer(self, obj: Any) -> tuple[str, str] | None:
        """The place at which the module of its class, a library's, offers an object."""
        name = type(obj).__module__
        if name not in self._offers:
            module = sys.modules.get(name)
            is_library = isinstance(module, ModuleType) and not is_travelling(module)
            offers = vars(module) if is_library else {}
            self._offers[name] = {
                id(one): key for key, one in sorted(offers.items(), reverse=True)
            }
        key = self._offers[name].get(id(obj))
        return None if key is None else (name, key)

    def _whole_object(self, obj: Any) -> Any:
        """Reduce an object that hides something from pickle: as it is, if that can travel."""
        parts = taken_apart(obj)
        if parts is None:
            return NotImplemented
        if not self._is_trial:
            trial = Luggage(dict(self._luggage.modules), dict(self._luggage.classes))
            try:
                _Packer(io.BytesIO(), trial, {}, self._whole, is_trial=True).dump(obj)
            except Exception:  # noqa: BLE001  # any class may raise anything
                return NotImplemented
        return parts

    # ---- modules

    def _key(self, space: dict[str, Any]) -> str:
        """The key of the module with a namespace, which travels from now on."""
        name = str(space.get("__name__", ""))
        module = sys.modules.get(name)
        is_imported = module is not None and vars(module) is space
        key = name if is_imported else f"{name}#{id(space)}"
        if key not in self._luggage.modules:
            kept = {k: space[k] for k in _KEPT if space.get(k) is not None}
            if "__path__" in kept:
                kept["__path__"] = list(kept["__path__"])
            self._luggage.modules[key] = ModuleLabel(key, kept | {"__name__": name}, is_imported)
            self._luggage.spaces.append(space)
            parent = sys.modules.get(name.rpartition(".")[0])
            if is_imported and is_travelling(parent):
                self._key(vars(parent))
        return key

    def _link(self, space: dict[str, Any]) -> _Link:
        key = self._key(space)
        return self._links.setdefault(key, _Link(key))

    def _module(self, module: ModuleType) -> Any:
        """Reduce a module that is used as a value: all of it that can travel."""
        key = self._key(vars(module))
        if key in self._whole:
            return arrival.module_called, (key,)
        values = self._all_of(vars(module))
        return arrival.module_called, (key,), values, None, None, arrival.fill_module

    def _all_of(self, space: dict[str, Any]) -> dict[str, Any]:
        """The names of a module whose values can travel; the others are missing in the worker."""
        self._whole |= {self._key(space)}
        found = {}
        for name, value in list(space.items()):
            if name in BOOKKEEPING:
                continue
            trial = Luggage(dict(self._luggage.modules), dict(self._luggage.classes))
            try:
                _Packer(io.BytesIO(), trial, {}, self._whole).dump(value)
            except Exception:  # noqa: BLE001  # any class may raise anything
                self._luggage.missing.add(f"{space.get('__name__')}.{name}")
            else:
                found[name] = value
        return found

    # ---- functions

    def _function(self, func: FunctionType) -> Any:
        if is_travelling_space(func.__globals__):
            return self._own_function(func)
        if _is_from_travelling(func):  # a library's wrapper around a function of the user's
            return self._dynamic_function_reduce(func)
        return super().reducer_override(func)

    def _own_function(self, func: FunctionType) -> Any:
        reduced = self._dynamic_function_reduce(func)
        (code, *_, closure), (attributes, slots) = reduced[1], reduced[2]
        modules = slots["_cloudpickle_submodules"]
        slots["_cloudpickle_submodules"] = [m for m in modules if not is_travelling(m)]
        # there it gets the namespace of its module, which `fill_function` fills
        slots["__globals__"] = {}
        arguments = code, self._link(func.__globals__), closure
        state = attributes, slots, self._add_needed(func)
        return arrival.new_function, arguments, state, None, None, arrival.fill_function

    def _add_needed(self, func: FunctionType) -> list[tuple[_Link, dict[str, Any]]]:
        """Add links to the user's modules that a function uses; the values used, by name."""
        needed: dict[str, dict[str, Any]] = defaultdict(dict)
        whole = [vars(module) for module in imported_values(func)]
        for space in [*whole, func.__globals__] if uses_any_name(func) else whole:
            if self._key(space) not in self._whole:
                needed[self._key(space)] |= self._all_of(space)
        for use in uses_of(func):
            names = needed[self._key(use.space)]
            if not use.is_passed_through:
                names[use.name] = use.value
            else:
                names.setdefault(use.name, self._link(vars(use.value)))
        return [(self._links.setdefault(key, _Link(key)), found) for key, found in needed.items()]

    def _cached(self, obj: Any) -> Any:
        """Reduce a function with ``functools.lru_cache``: its results do not travel."""
        inner = getattr(obj, "__wrapped__", None)
        if type(inner) is not FunctionType or not is_travelling_space(inner.__globals__):
            return NotImplemented
        return arrival.new_cached, (inner, obj.cache_parameters())

    # ---- classes

    def _class(self, cls: type) -> Any:
        if (key := self._sent.get(cls)) is not None:
            return arrival.class_called, (key,)
        if not _is_from_travelling(cls):
            return super().reducer_override(cls)
        _refuse_unusual(cls)
        make, arguments, *rest = _dynamic_class_reduce(cls)
        rest[0] = _all_attributes(cls, rest[0][0]), *rest[0][1:]
        # without cloudpickle's tracker, by which a later job would change an earlier one's class
        untracked = (*arguments[:-2], None, arguments[-1])
        if not issubclass(cls, enum.Enum):
            *first, space = arguments[:-2]
            untracked = (*first, space | _slots(cls), None, arguments[-1])
            rest[0][0].pop("__slots__", None)
        key = arrival.departed(cls, lambda: uuid.uuid4().hex)
        self._luggage.classes[cls] = key
        if issubclass(cls, enum.Enum):
            state = rest[0], _members(cls)
            return arrival.new_class, (key, make, untracked), state, None, None, arrival.fill_enum
        return arrival.new_class, (key, make, untracked), *rest

    def _from_typing(self, obj: Any) -> Any:
        """Reduce what ``typing`` would have found by its name in its module."""
        if not _is_from_travelling(obj):
            return NotImplemented
        if isinstance(obj, typing.TypeVar):
            return _make_typevar, (*_decompose_typevar(obj)[:-1], None)
        if isinstance(obj, typing.NewType):
            return typing.NewType, (obj.__name__, obj.__supertype__)
        return (type(obj), (obj.__name__,)) if isinstance(obj, _NAMED_TYPES) else NotImplemented


_OF_ENUMS = (
    "_generate_next_value_",
    "__format__",
    "__hash__",
    "__reduce_ex__",
    "__repr__",
    "__str__",
)
_MADE_ANEW = frozenset({"__annotate_func__", "__dict__", "__weakref__", "_abc_impl"})


def _all_attributes(cls: type, found: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a class in their own order, of which cloudpickle makes that of names.

    With those that it leaves out because they are the same in a base: a base may change.
    """
    own = {}
    for name, value in vars(cls).items():
        is_enums = issubclass(cls, enum.Enum) and name not in _OF_ENUMS
        is_made = isinstance(value, MemberDescriptorType | GetSetDescriptorType)
        if name in found:
            own[name] = found[name]
        elif not (is_enums or is_made or name in _MADE_ANEW):
            own[name] = value
    return own | found


def _slots(cls: type) -> dict[str, Any]:
    """The entries that cloudpickle forgets: without them a class has room for any attribute."""
    return {"__slots__": vars(cls)["__slots__"]} if "__slots__" in vars(cls) else {}


def _members(cls: type[enum.Enum]) -> dict[str, tuple[str, Any, dict[str, Any]]]:
    """The members of an enum as its code left them: by name, aliases too."""
    return {
        name: (one.name, payload_of(one), written_attributes(one))
        for name, one in cls.__members__.items()
    }


def _is_from_travelling(value: Any) -> bool:
    """Whether a function or class says that a module of the user's is its own."""
    name = getattr(value, "__module__", None)
    return name == "__main__" or is_travelling(sys.modules.get(str(name)))


def _refuse_unusual(cls: type) -> None:
    """Raise TypeError for a class that cannot be made again from its parts."""
    if _is_from_travelling(type(cls)):
        raise TypeError(f"class {cls.__qualname__} has a metaclass of its own")
    for base in cls.__mro__[1:]:
        hook = getattr(vars(base).get("__init_subclass__"), "__func__", None)
        if hook is not None and getattr(hook, "__kwdefaults__", None) is None:
            code = getattr(hook, "__code__", None)
            if code is not None and code.co_kwonlyargcount:
                raise TypeError(f"a base of class {cls.__qualname__} takes class arguments")
