"""The arrival of the user's code in a worker: modules, functions, classes are made again.

What `swarmgrid.transport.packing` packs calls these functions when it is unpickled.
"""

from __future__ import annotations

import builtins
import contextlib
import enum
import functools
import importlib
import importlib.machinery
import importlib.util
import io
import pickle
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

from cloudpickle.cloudpickle import _class_setstate, _function_setstate

from swarmgrid.identity.classes import payload_of, payload_type

_CLASSES: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()
"""The classes that have travelled from here, or to here, by key."""
KEYS: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()
"""Their keys."""


@dataclass(frozen=True, slots=True)
class ModuleLabel:
    """The description of a module of the user's of which a part travels."""

    key: str
    """Its name; with a number, where it is not what an import of that name finds."""
    attributes: Mapping[str, Any]
    """Its own ``__name__`` and the like."""
    is_imported: bool
    """Whether an import finds it under its name."""


class PartOfModule(ModuleType):
    """A module of the user's in a worker: the part of it that travelled."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        raise AttributeError(
            f"module {self.__name__!r} has no attribute {name!r} in this worker, which has only "
            f"what the function names of it; write {self.__name__.rpartition('.')[2]}.{name} in "
            "the function, or use executor='threads'"
        )


class Arrivals:
    """The modules and classes of one job.

    Parameters
    ----------
    labels : iterable of ModuleLabel
        The modules.
    is_own_process : bool
        Whether the process does nothing but this job: its imports may then find them.
    """

    def __init__(self, labels: Iterable[ModuleLabel], *, is_own_process: bool) -> None:
        self.classes: dict[str, type] = {}
        self.modules: dict[str, PartOfModule] = {}
        self.by_name: dict[str, ModuleType] = {}
        """Those that an import finds."""
        self._builtins: Any = builtins
        if not is_own_process:
            self._builtins = {**vars(builtins), "__import__": self._import}
        for label in sorted(labels, key=lambda label: label.key):
            self._add(label, is_own_process=is_own_process)

    @contextlib.contextmanager
    def arriving(self) -> Iterator[None]:
        """Have what is unpickled meanwhile find them."""
        token = _arrivals.set(self)
        try:
            yield
        finally:
            _arrivals.reset(token)

    def _add(self, label: ModuleLabel, *, is_own_process: bool) -> None:
        name = str(label.attributes["__name__"])
        module = PartOfModule(name)
        vars(module).update(label.attributes, __builtins__=self._builtins)
        self.modules[label.key] = module
        if not label.is_imported:
            return
        self.by_name[name] = module
        if name == "__main__":  # the worker's own stays: programs that it starts would run it
            return
        module.__spec__ = _spec(module)
        if is_own_process:
            sys.modules[name] = module
        parent, _, last = name.rpartition(".")
        if parent in self.by_name:
            setattr(self.by_name[parent], last, module)

    def _import(
        self,
        name: str,
        namespace: Mapping[str, Any] | None = None,
        local: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """``__import__`` of the user's functions where the process' imports must stay."""
        package = str((namespace or {}).get("__package__") or "")
        absolute = importlib.util.resolve_name("." * level + name, package) if level else name
        if absolute not in self.by_name:
            return builtins.__import__(name, namespace, local, fromlist or (), level)
        if fromlist:
            return self.by_name[absolute]
        return self.by_name.get(absolute.partition(".")[0], self.by_name[absolute])


_arrivals: ContextVar[Arrivals] = ContextVar("swarmgrid_arrivals")


class Unpacker(pickle.Unpickler):
    """Finds by name what is not by value, in modules that arrived, too."""

    def __init__(self, data: bytes, arrivals: Arrivals) -> None:
        super().__init__(io.BytesIO(data))
        self._arrivals = arrivals

    def find_class(self, module: str, name: str) -> Any:
        if (found := self._arrivals.by_name.get(module)) is not None:
            return functools.reduce(getattr, name.split("."), found)
        return super().find_class(module, name)


def _spec(module: ModuleType) -> importlib.machinery.ModuleSpec:
    """The spec of a module, as the import system needs it."""
    file, path = getattr(module, "__file__", None), getattr(module, "__path__", None)
    spec = None
    if file:
        spec = importlib.util.spec_from_file_location(
            module.__name__, file, submodule_search_locations=path
        )
    return spec or importlib.machinery.ModuleSpec(
        module.__name__, None, origin=file, is_package=path is not None
    )


# ---- what a pickle calls


def module_called(key: str) -> ModuleType:
    """A module that arrived."""
    return _arrivals.get().modules[key]


def offered(module: str, name: str) -> Any:
    """The object that a library's module offers, such as the generator that numpy has."""
    return getattr(importlib.import_module(module), name)


def fill_module(module: ModuleType, values: Mapping[str, Any]) -> None:
    """Give a module names that the worker needs."""
    vars(module).update(values)


def new_function(code: CodeType, home: ModuleType, closure: Any) -> FunctionType:
    """A function of a module, to be filled."""
    return FunctionType(code, vars(home), None, None, closure)


def fill_function(
    func: FunctionType, state: tuple[Any, Any, list[tuple[ModuleType, Any]]]
) -> None:
    """Give a function its attributes and closure, and its modules what it uses of them."""
    attributes, slots, needed = state
    # cloudpickle puts the process' own there, without the import of this job
    names_of_python = func.__globals__["__builtins__"]
    _function_setstate(func, (attributes, slots))
    func.__globals__["__builtins__"] = names_of_python
    for module, values in needed:
        vars(module).update(values)


def new_cached(func: Callable[..., Any], parameters: Mapping[str, Any]) -> Any:
    """A function with an empty ``functools.lru_cache``."""
    return functools.lru_cache(**parameters)(func)


def new_class(key: str, make: Callable[..., type], arguments: tuple[Any, ...]) -> type:
    """A class, to be filled."""
    cls = make(*arguments)
    _arrivals.get().classes[key] = cls
    KEYS[cls] = key
    _CLASSES.setdefault(key, cls)
    return cls


def fill_enum(
    cls: type[enum.Enum],
    state: tuple[Any, dict[str, tuple[str, tuple[Any, ...] | None, dict[str, Any]]]],
) -> None:
    """Give an enum its methods, and its members what its code, which does not run here, made."""
    attributes, members = state
    _class_setstate(cls, attributes)
    for name, (real, payload, written) in members.items():
        member = cls.__members__[real]
        if payload is not None and payload_of(member) != payload:
            other = payload_type(cls).__new__(cls, *payload)
            vars(other).update(vars(member))
            for value, one in list(cls._value2member_map_.items()):
                cls._value2member_map_[value] = other if one is member else one
            member = other
        vars(member).update(written)
        if cls.__members__.get(name) is not member:  # the metaclass forbids to set members
            cls._member_map_[name] = member
            type.__setattr__(cls, name, member)


def class_called(key: str) -> type:
    """A class that arrived with the job, or that had travelled from here."""
    arrivals = _arrivals.get(None)
    if arrivals is not None and key in arrivals.classes:
        return arrivals.classes[key]
    return _CLASSES[key]


def departed(cls: type, new_key: Callable[[], str]) -> str:
    """The key of a class that travels from here."""
    key = KEYS.get(cls)
    if key is None:
        key = KEYS[cls] = new_key()
        _CLASSES[key] = cls
    return key
