"""The encodings of classes, and of instances that act: their class's code, and their state."""

from __future__ import annotations

import dataclasses
import enum
import functools
import pickle
from collections.abc import Callable, Mapping
from types import (
    BuiltinFunctionType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    MethodWrapperType,
)
from typing import Any

from swarmgrid.identity.encode import Spot, exactly, family, frame, type_name
from swarmgrid.identity.ownership import is_importable, is_own_class, is_own_function, label

_BUILTIN_BASES: tuple[Any, ...] = (
    dict,
    list,
    tuple,
    set,
    frozenset,
    str,
    bytes,
    int,
    float,
    complex,
)
_FUNCTIONS = (
    type,
    functools.partial,
    BuiltinFunctionType,
    FunctionType,
    MethodType,
    MethodWrapperType,
)


def named(
    values: Mapping[str, Any], place: Callable[[str], str], spot: Spot, *, is_lenient: bool
) -> bytes:
    """Encode values by name; ``place`` gives the place of a name."""
    parts: list[bytes] = []
    for name in sorted(values):
        there = spot.moved(place(name), is_lenient=is_lenient)
        parts += (name.encode(), there.child(values[name]))
    return frame("names", *parts)


def place_in(kind: str, whole: str) -> Callable[[str], str]:
    """Return what gives ``kind 'name' of whole`` for a name."""
    return lambda name: f"{kind} {name!r} of {whole}"


def owner(value: Any, spot: Spot) -> bytes:
    """Encode what a method is bound to."""
    is_instance = not isinstance(value, type) and not hasattr(type(value), "__swarmgrid_token__")
    if is_instance and is_own_class(type(value), spot.graph.home):
        return _instance(value, spot.at(".__self__"))
    return spot.child(value, ".__self__")


@family(lambda value: isinstance(value, type))
def _class(cls: type, spot: Spot) -> bytes:
    if is_own_class(cls, spot.graph.home):
        return spot.refer(cls, type_name(cls), _describe_class)
    return frame("name", type_name(cls).encode())


def _describe_class(cls: type, spot: Spot) -> bytes:
    """Encode a class by its attributes, not its source: Python keeps no code object of a class."""
    place = spot.moved(f"base of {cls.__qualname__}", is_lenient=True)
    return frame(
        "class",
        cls.__qualname__.encode(),
        place.child(cls.__bases__),
        _fields(cls, spot),
        _members(cls, spot),
        _attributes(cls, spot),
    )


def _fields(cls: type, spot: Spot) -> bytes:
    fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    settings = {one.name: (one.init, one.default, one.default_factory) for one in fields}
    place = place_in("field", cls.__qualname__)
    order = spot.child(list(settings))
    return frame("fields", order, named(settings, place, spot, is_lenient=True))


def _members(cls: type, spot: Spot) -> bytes:
    members = cls.__members__.items() if issubclass(cls, enum.Enum) else ()
    values = {name: member.value for name, member in members}
    return named(values, place_in("member", cls.__qualname__), spot, is_lenient=True)


def _attributes(cls: type, spot: Spot) -> bytes:
    home = spot.graph.home
    values = {name: one for name, one in vars(cls).items() if _is_written(cls, name, one, home)}
    return named(values, place_in("attribute", cls.__qualname__), spot, is_lenient=True)


def _is_written(cls: type, name: str, value: Any, home: str | None) -> bool:
    """Tell whether a class attribute is the user's, and not Python's own book-keeping."""
    is_enum, is_dunder = issubclass(cls, enum.Enum), name.startswith("__")
    if isinstance(value, FunctionType):
        # What dataclass and namedtuple write has no file, and the fields say the same.
        has_fields = hasattr(cls, "__dataclass_fields__") or hasattr(cls, "_fields")
        is_written = is_own_function(value, home) and value.__code__.co_filename != "<string>"
        return is_written or not (is_enum or (has_fields and is_dunder))
    if issubclass(cls, enum.Enum) and (name in cls.__members__ or name.startswith("_")):
        return False
    is_slot = isinstance(value, MemberDescriptorType | GetSetDescriptorType)
    return not (is_slot or is_dunder or name == "_abc_impl")


def _acts(value: Any) -> bool:
    return callable(value) and not isinstance(value, (*_FUNCTIONS, enum.Enum))


@family(_acts)
def _callable_object(value: Any, spot: Spot) -> bytes:
    if hasattr(value, "__swarmgrid_function__"):
        return spot.child(value.__swarmgrid_function__)
    if is_own_class(type(value), spot.graph.home):
        return _instance(value, spot)
    if is_importable(value, spot.graph.home):
        return frame("name", label(value).encode())
    if hasattr(value, "__wrapped__"):
        wrapped = spot.child(value.__wrapped__, ".__wrapped__")
        return frame("wrapper", type_name(type(value)).encode(), wrapped)
    return spot.refer(value, type_name(type(value)), _describe_library_object)


@exactly(object)
def _other(value: Any, spot: Spot) -> bytes:
    """Encode where no other encoder is for a value: only a global of the user's gets by."""
    if spot.is_lenient and is_own_class(type(value), spot.graph.home):
        return _instance(value, spot)
    return spot.refuse(value, f"{type_name(type(value))} objects are not understood")


def _instance(value: Any, spot: Spot) -> bytes:
    return spot.refer(value, type_name(type(value)), _describe_instance)


def _describe_instance(value: Any, spot: Spot) -> bytes:
    slots = [name for cls in type(value).__mro__ for name in _slots(cls)]
    state = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    state |= getattr(value, "__dict__", {})
    content = next((base(value) for base in _BUILTIN_BASES if isinstance(value, base)), None)
    place = spot.place
    attributes = named(state, lambda name: f"{place}.{name}", spot, is_lenient=spot.is_lenient)
    return frame("instance", spot.child(type(value)), spot.child(content), attributes)


def _slots(cls: type) -> list[str]:
    return [name for name, one in vars(cls).items() if isinstance(one, MemberDescriptorType)]


def _describe_library_object(value: Any, spot: Spot) -> bytes:
    """Encode by what pickle would take apart, which is all that the library says of its state."""
    try:
        parts = value.__reduce_ex__(2)
    except (TypeError, pickle.PicklingError):
        if hasattr(value, "__name__"):  # a ufunc, or a function compiled by another tool
            return frame("name", f"{type_name(type(value))} {label(value)}".encode())
        return spot.refuse(value, f"{type_name(type(value))} objects are not understood")
    if isinstance(parts, str):
        return frame("name", label(value).encode())
    return frame("reduced", *spot.children(parts[:3]))
