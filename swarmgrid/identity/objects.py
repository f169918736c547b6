"""The encoding of every other object: its class, and its state as pickle takes it apart.

And of what a function may reach without its counting, because it says nothing about the
function's values. Given as a value of its own, as a param or a label, that is refused: two of a
kind would be one.
"""

from __future__ import annotations

import contextlib
import copyreg
import ctypes
import gc
import inspect
import logging
import pickle
import re
import struct
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np

from swarmgrid.identity.encode import Spot, exactly, family, frame
from swarmgrid.identity.plain import step
from swarmgrid.user_code.ownership import (
    is_importable,
    is_own_class,
    is_own_function,
    label,
    library_home,
    type_name,
)

_Function: Any = ctypes._CFuncPtr  # type: ignore[attr-defined]  # noqa: SLF001 - it has no public name
_ADDRESS = re.compile(r"<.*\bat 0x[0-9A-Fa-f]{6,}>")
_NO_VALUE = "there is no value in this context"
_SPARSE_CACHES = {"_has_canonical_format", "_has_sorted_indices", "maxprint"}


@exactly(object)
def _other(value: Any, spot: Spot) -> bytes:
    cls = type(value)
    if cls is object:  # a mark like MISSING = object(): only which one it is can be asked
        return spot.mark(value)
    if hasattr(value, "__swarmgrid_function__"):
        return spot.child(value.__swarmgrid_function__)
    if is_own_class(cls, spot.walk.home):
        is_whole = is_transparent(cls) or is_pickling_itself(cls)
        return spot.refer(value, _describe_whole if is_whole else _describe)
    if is_importable(value, spot.walk.home):
        return frame("name", label(value).encode())
    if name := library_home(value, spot.walk.home):
        return frame("name", name.encode())
    return spot.refer(value, _describe_library_object)


def _describe_library_object(value: Any, spot: Spot) -> bytes:
    if type(value) is np.vectorize:
        return frame("vectorize", spot.child(_vectorized(value)))
    if callable(value) and hasattr(
        value, "__wrapped__"
    ):  # what it keeps of its calls says nothing
        wrapped = spot.child(value.__wrapped__, ".__wrapped__")
        return frame("wrapper", type_name(type(value)).encode(), wrapped)
    if isinstance(value, np.ufunc):
        return _ufunc(value, spot)
    return _describe(value, spot)


def _vectorized(value: Any) -> list[Any]:
    names = ("pyfunc", "otypes", "excluded", "signature", "cache")
    return [getattr(value, name, None) for name in names]


def _ufunc(value: np.ufunc, spot: Spot) -> bytes:
    """Encode a ufunc that no module offers: by the function that ``np.frompyfunc`` was given."""
    # a ufunc does not say its function, but the garbage collector knows what it refers to
    functions = [one for one in gc.get_referents(value) if callable(one)]
    if not functions and value.__name__.endswith("(vectorized)"):
        return spot.refuse("it is a ufunc made of a function that cannot be found again")
    inner = [spot.child(one) for one in functions]
    start = spot.child(value.identity, ".identity")
    return frame("ufunc", value.__name__.encode(), bytes([value.nin, value.nout]), start, *inner)


@family(lambda value: type(value) is np.ufunc and _ufunc_home(value) is not None)
def _known_ufunc(value: np.ufunc, _spot: Spot) -> bytes:
    return frame("name", str(_ufunc_home(value)).encode())


def _ufunc_home(value: np.ufunc) -> str | None:
    for module in ("numpy", "scipy.special"):
        if getattr(sys.modules.get(module), value.__name__, None) is value:
            return f"{module}.{value.__name__}"
    return None


_PICKLING = ("__getstate__", "__setstate__", "__reduce__", "__reduce_ex__", "__copy__")


def is_pickling_itself(cls: type) -> bool:
    """Tell whether the user's code says what of an object is pickled, and may leave out some."""
    says = [vars(base).get(name) for base in cls.__mro__ for name in _PICKLING]
    functions = [one for one in [*says, copyreg.dispatch_table.get(cls)] if one is not None]
    return any(isinstance(one, FunctionType) and is_own_function(one, None) for one in functions)


def is_transparent(cls: type) -> bool:
    """Tell whether `held_by` shows all that objects of a class of the user's hold.

    So a base is the user's, one of Python's own, or a library's that is written in Python and
    says nothing of how it is pickled.
    """
    known = {object, *(base for base, _ in _CONTENTS)}
    return all(
        base in known
        or is_own_class(base, None)
        or (_is_written_in_python(base) and vars(base).keys().isdisjoint(_PICKLING))
        for base in cls.__mro__
        if not (base.__module__ == "builtins" and issubclass(base, BaseException))
    )


def _is_written_in_python(cls: type) -> bool:
    return any(isinstance(one, FunctionType) for one in vars(cls).values())


def _describe_whole(value: Any, spot: Spot) -> bytes:
    """Encode an object of the user's by all that it holds, whatever it says to pickle."""
    content, attributes = held_by(value)
    parts = [spot.child(content), _state(value, attributes, spot)]
    if not is_transparent(type(value)):
        parts.append(_describe(value, spot))
    return frame("whole", spot.child(type(value)), *parts)


_CONTENTS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (dict, lambda one: dict(dict.items(one))),
    (list, lambda one: list(list.__iter__(one))),
    (tuple, lambda one: tuple(tuple.__iter__(one))),
    (set, lambda one: set(set.__iter__(one))),
    (frozenset, lambda one: frozenset(frozenset.__iter__(one))),
    (str, str.__str__),
    (bytes, lambda one: bytes.__getitem__(one, slice(None))),
    (bytearray, lambda one: bytes(bytearray.__getitem__(one, slice(None)))),
    (int, int.__int__),
    (float, float.__float__),
    (complex, complex.__complex__),
    (BaseException, lambda one: one.args),
)


def content_type(cls: type) -> Any:
    """Return the type of Python's own that objects of a class are values of; or ``object``."""
    return next((base for base, _ in _CONTENTS if issubclass(cls, base)), object)


def held_by(value: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return what an object of the user's is as a value of Python, and its attributes."""
    slots = [
        name
        for base in type(value).__mro__
        for name, one in vars(base).items()
        if inspect.ismemberdescriptor(one)
    ]
    state = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    content = [get(value) for base, get in _CONTENTS if isinstance(value, base)][:1]
    return content, state | getattr(value, "__dict__", {})


def _describe(value: Any, spot: Spot) -> bytes:
    """Encode an object by what pickle would take apart, which is all that can be known of it."""
    if type_name(type(value)).startswith("itertools."):
        return spot.refuse("an iterator changes by being used")
    try:
        parts = _taken_apart(value, spot)
    except (TypeError, AttributeError, NotImplementedError, pickle.PicklingError) as error:
        is_library = not is_own_class(type(value), spot.walk.home)
        # Compiled by another tool; but a generator's name is that of its function.
        if callable(value) and hasattr(value, "__name__") and is_library:
            return frame("name", f"{type_name(type(value))} {label(value)}".encode())
        return spot.refuse(f"{type_name(type(value))} objects are not understood ({error})")
    if isinstance(parts, str):
        return _by_name(value, parts, spot)
    func, args, state, items, pairs = (*parts, None, None, None)[:5]
    for index, one in enumerate(args):
        _check(one, value, spot, f"[{index}]")
    return frame(
        "object",
        spot.child(type(value)),
        spot.child(func),
        b"".join(spot.children(args)),
        _state(value, state, spot),
        b"".join(spot.children(items or ())),
        b"".join(_pairs(pairs or (), spot)),
    )


_OF_TYPING = (
    *("__bound__", "__constraints__", "__covariant__", "__contravariant__"),
    *("__supertype__", "__value__"),
)


def _by_name(value: Any, name: str, spot: Spot) -> bytes:
    """Encode what pickle finds by a name, which does not say what the user's module has there."""
    held = {key: one for key, one in getattr(value, "__dict__", {}).items() if key[:2] != "__"}
    for key in _OF_TYPING:
        with contextlib.suppress(AttributeError, NameError):  # it may be evaluated late
            held[key] = getattr(value, key)
    place, kind = spot.place, type_name(type(value))
    attributes = spot.attributes(held, lambda key: f"{place}.{key}")
    return frame("name", kind.encode(), name.encode(), attributes)


def _taken_apart(value: Any, spot: Spot) -> Any:
    if reduce := copyreg.dispatch_table.get(type(value)):
        return reduce(value)
    parts = value.__reduce_ex__(4)
    if isinstance(parts, str) and is_own_class(type(value), spot.walk.home):
        return object.__reduce_ex__(value, 4)  # a name does not say what the user changed
    return parts


def _state(value: Any, state: Any, spot: Spot) -> bytes:
    """Encode attributes by name, and anything else that stands for the state as it is."""
    slots: Any = {}
    if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):
        state, slots = state
    if not isinstance(state, dict | None):
        _check(state, value, spot)
        return frame("state", spot.child(state))
    attributes = {**(state or {}), **slots}
    if "scipy.sparse" in sys.modules and type(value).__module__.startswith("scipy.sparse"):
        attributes = {k: v for k, v in attributes.items() if k not in _SPARSE_CACHES}
    if not all(isinstance(name, str) for name in attributes):
        return frame("state", spot.child(attributes))
    addresses = {id(one): name for name, one in attributes.items() if type(one) is not int}
    for name, one in attributes.items():
        if type(one) is int and one in addresses:  # a library's note of what it has seen
            attributes[name] = ("address of", addresses[one])
        _check(one, value, spot, f".{name}")
    if not (is_own_class(type(value), spot.walk.home) or _is_namespace(value)):
        attributes = dict(sorted(attributes.items()))  # libraries set some when they are needed
    place = spot.place
    return spot.attributes(attributes, lambda name: f"{place}.{name}")


def _is_namespace(value: Any) -> bool:
    namespace = getattr(sys.modules.get("argparse"), "Namespace", SimpleNamespace)
    return isinstance(value, (SimpleNamespace, namespace))


def _pairs(pairs: Any, spot: Spot) -> Iterator[bytes]:
    for key, item in pairs:
        yield spot.child(key, " (key)")
        yield spot.child(item, step(key))


def _check(one: Any, value: Any, spot: Spot, where: str = "") -> None:
    """Refuse a part of an object that differs from process to process."""
    is_text = isinstance(one, str) and _ADDRESS.search(one)
    if is_text or (type(one) is int and one == id(value)):
        Spot(f"{spot.place}{where}", spot.walk, []).refuse("it is an address in memory")


def _is_librarys_exception(value: Any) -> bool:
    return isinstance(value, BaseException) and not is_own_class(type(value), None)


@family(_is_librarys_exception)
def _exception(value: BaseException, spot: Spot) -> bytes:
    """By its arguments and attributes; how it is pickled depends on what is imported."""
    cause = spot.child(value.__cause__, ".__cause__")
    return frame(
        "exception",
        spot.child(type(value)),
        spot.child(value.args, ".args"),
        cause,
        _state(value, vars(value), spot),
    )


@exactly(weakref.ref)
def _weak(value: Any, spot: Spot) -> bytes:
    return frame("weak", spot.child(value(), "()"))


@exactly(ContextVar)
def _context(value: ContextVar[Any], spot: Spot) -> bytes:
    try:
        held = value.get()
    except LookupError:
        held = _NO_VALUE
    return frame("context", value.name.encode(), spot.child(held, ".get()"))


@family(lambda value: isinstance(value, ctypes.CDLL))
def _library(value: ctypes.CDLL, spot: Spot) -> bytes:
    """By its name: where it was loaded differs from process to process."""
    name = spot.child(value._name)  # noqa: SLF001 - it has no public name
    return frame("shared library", spot.child(type(value)), name)


@family(lambda value: isinstance(value, _Function))
def _c_function(value: Any, spot: Spot) -> bytes:
    """By its library, its name there, and how it is called."""
    library = (getattr(value, "_objects", None) or {}).get("0")
    if not isinstance(library, ctypes.CDLL):
        return spot.refuse("it is a pointer to a function of no shared library")
    how = [value.restype, value.argtypes, getattr(value, "errcheck", None)]
    return frame("c function", spot.child(library), spot.child(value.__name__), spot.child(how))


@exactly(struct.Struct)
def _struct(value: struct.Struct, spot: Spot) -> bytes:
    return frame("Struct", spot.child(value.format))


# ---- what is inert

_PRIMITIVES: tuple[Any, ...] = (
    type(threading.Lock()),
    type(threading.RLock()),
    threading.Condition,
    threading.Event,
    threading.Semaphore,
    threading.BoundedSemaphore,
    threading.Barrier,
    threading.Thread,
    threading.local,
)
_STREAMS = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")


@exactly(*_PRIMITIVES)
def _primitive(value: Any, spot: Spot) -> bytes:
    """Locks and their kind say when a thread goes on; what is local to a thread is a cache."""
    return spot.inert(value, lambda one, _: frame("inert", type(one).__name__.encode()))


@family(lambda value: isinstance(value, logging.Logger | logging.LoggerAdapter | logging.Handler))
def _logger(value: Any, spot: Spot) -> bytes:
    return spot.inert(value, _describe_logger)


def _describe_logger(value: Any, spot: Spot) -> bytes:
    """Without its state; but the methods of a class of the user's may return anything."""
    is_own = is_own_class(type(value), spot.walk.home)
    return frame("inert", b"logger", *([spot.child(type(value))] if is_own else []))


@family(lambda value: any(value is getattr(sys, name, None) for name in _STREAMS))
def _stream(value: Any, spot: Spot) -> bytes:
    """The standard streams; other open files are refused."""
    return spot.inert(value, lambda *_: frame("inert", b"stream"))
