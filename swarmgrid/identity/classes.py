"""The encodings of the user's classes, by their attributes, and of members of enums.

Python keeps no code object of a class. What it writes into a class by itself, for a dataclass, an
enum, a named tuple or a protocol, differs between its versions and says nothing that the fields,
the members and the bases do not say: it does not count.
"""

from __future__ import annotations

import abc
import collections
import dataclasses
import enum
import inspect
import typing
from collections.abc import Callable, Mapping
from types import (
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
from typing import Any

from swarmgrid.identity.encode import Called, Spot, digest, exactly, family, frame
from swarmgrid.user_code.ownership import (
    function_of,
    is_own_class,
    is_own_function,
    patches_of,
    type_name,
)

_BOOKKEEPING = frozenset(
    {
        *("__abstractmethods__", "__annotations__", "__annotate__", "__annotate_func__"),
        *("__annotations_cache__", "__classcell__", "__classdictcell__", "__dataclass_fields__"),
        *("__dataclass_params__", "__dict__", "__doc__", "__final__", "__firstlineno__"),
        *("__module__", "__orig_bases__", "__parameters__", "__qualname__", "__signature__"),
        "__slotnames__",  # of copyreg, as soon as an object is pickled
        *("__static_attributes__", "__type_params__", "__weakref__", "_abc_impl"),
    }
)
_PROTOCOLS = frozenset(
    {
        *("__callable_proto_members_only__", "__init__", "__non_callable_proto_members__"),
        *("__protocol_attrs__", "__subclasshook__", "_is_protocol", "_is_runtime_protocol"),
    }
)
_DATACLASSES = frozenset(
    {
        *("__delattr__", "__eq__", "__ge__", "__getstate__", "__gt__", "__hash__", "__init__"),
        *("__le__", "__lt__", "__replace__", "__repr__", "__setattr__", "__setstate__"),
    }
)
_SETTINGS = ("init", "repr", "eq", "order", "frozen", "unsafe_hash")
_FLAGS = ("init", "repr", "compare", "hash", "kw_only")


class _Plain(enum.Enum):
    A = 1


class _Flag(enum.Flag):
    A = 1


_ENUMS = frozenset({*vars(_Plain), *vars(_Flag), "__new_member__", "_unhashable_values_"}) | {
    *("_hashable_values_", "_add_alias_", "_add_value_alias_", "_unhashable_values_map_"),
    *("__format__", "__str__", "__repr__", "__reduce_ex__", "__hash__", "__dir__"),
}
_TUPLES = frozenset(vars(collections.namedtuple("_Tuple", ""))) | {"__replace__", "__orig_bases__"}  # noqa: PYI024
_OPERATORS = {"__or__", "__and__", "__xor__", "__invert__", "__ror__", "__rand__", "__rxor__"}


@family(lambda value: isinstance(value, type))
def _class(cls: type, spot: Spot) -> bytes:
    if is_own_class(cls, spot.walk.home):
        return spot.refer(cls, _describe_class)
    if patches_of(cls):
        return spot.refer(cls, _describe_patched)
    return frame("name", type_name(cls).encode())


def _describe_patched(cls: type, spot: Spot) -> bytes:
    """Encode a library's class that has methods of the user's: by its name, and these."""
    whole = type_name(cls)
    patches = spot.named(patches_of(cls), lambda name: f"attribute {name!r} of {whole}")
    return frame("patched", whole.encode(), patches)


def describe_closed(called: Called, spot: Spot) -> bytes:
    """Encode a class whose objects do not leave the code: without its methods' annotations."""
    return _describe_class(called.func, spot, as_called)


def as_called(value: Any) -> Any:
    """Return a method or property marked as one that is only called; any other value itself."""
    is_code = isinstance(value, FunctionType) or type(value) in METHODS
    return Called(value) if is_code else value


METHODS = {property, staticmethod, classmethod}


def _describe_class(
    cls: type, spot: Spot, marked: Callable[[Any], Any] = lambda value: value
) -> bytes:
    whole = cls.__qualname__
    types = _annotations(cls)
    return frame(
        "class",
        whole.encode(),
        spot.child(type(cls)),
        b"".join(spot.entry(base, f"base of {whole}") for base in cls.__bases__),
        _fields(cls, spot),
        spot.attributes(types, lambda name: f"annotation {name!r} of {whole}"),
        frame("registered", *spot.encode_set(_registered(cls))),
        spot.named(_members(cls), lambda name: f"member {name!r} of {whole}", cls.__module__),
        _order(cls, spot),
        _attributes(cls, spot, marked),
    )


def _order(cls: type, spot: Spot) -> bytes:
    """Encode the order of an enum's members, in which a loop meets them."""
    if not issubclass(cls, enum.Enum):
        return b""
    boundary = getattr(getattr(cls, "_boundary_", None), "name", None)
    return spot.child([list(cls.__members__), boundary])


def _attributes(
    cls: type, spot: Spot, marked: Callable[[Any], Any] = lambda value: value
) -> bytes:
    """Encode what the user's code gave a class: methods, properties and values."""
    whole = cls.__qualname__
    attributes = {
        n: one for n, one in vars(cls).items() if is_written(cls, n, one, spot.walk.home)
    }
    if decorators := vars(cls).get("__pydantic_decorators__"):
        attributes["__pydantic_decorators__"] = _settings(decorators)
    values = spot.child([name for name, one in attributes.items() if _is_in_order(name, one)])
    attributes = {name: marked(value) for name, value in attributes.items()}
    named = spot.named(attributes, lambda name: f"attribute {name!r} of {whole}", cls.__module__)
    return frame("attributes", values, named)


def _is_in_order(name: str, value: Any) -> bool:
    """Tell whether the place of an attribute in its class counts: code may be moved there."""
    is_descriptor = hasattr(type(value), "__get__")
    is_code = is_descriptor or isinstance(value, type) or function_of(value) is not None
    return not is_code and name[:2] != "__"


def _annotations(cls: type) -> Mapping[str, Any]:
    """Return the types that a class says of its attributes, which libraries read."""
    try:
        return inspect.get_annotations(cls)
    except NameError:  # from Python 3.14 on they are evaluated late
        return {}


def _registered(cls: type) -> list[type]:
    """Return the classes that count as subclasses of an abstract one without being such."""
    if not isinstance(cls, abc.ABCMeta) or not hasattr(abc, "_get_dump"):
        return []
    found = (reference() for reference in abc._get_dump(cls)[0])  # noqa: SLF001 - no other way
    return [one for one in found if one is not None]


def _settings(decorators: Any) -> dict[str, Any]:
    """Return what pydantic notes of decorated methods; the methods are attributes as well."""
    kinds = {kind: getattr(decorators, kind) for kind in sorted(decorators.__dataclass_fields__)}
    return {
        kind: {name: getattr(one, "info", None) for name, one in found.items()}
        for kind, found in kinds.items()
        if isinstance(found, dict)
    }


@exactly(typing.ForwardRef)
def _forward(value: typing.ForwardRef, spot: Spot) -> bytes:
    return frame("forward", spot.child(value.__forward_arg__))


def _fields(cls: type, spot: Spot) -> bytes:
    """Encode the fields of a dataclass or named tuple, in their order."""
    if _is_tuple(cls):
        fields, defaults = vars(cls)["_fields"], vars(cls)["_field_defaults"]
        return frame("fields", spot.child(fields), spot.child(defaults, "._field_defaults"))
    if "__dataclass_fields__" not in vars(cls):
        return frame("fields")
    settings = cls.__dataclass_params__  # type: ignore[attr-defined]
    parts = [spot.child([getattr(settings, name) for name in _SETTINGS])]
    for one in dataclasses.fields(cls):
        place = f"field {one.name!r} of {cls.__qualname__}"
        flags = [getattr(one, name) is True for name in _FLAGS]
        parts += (spot.child(one.name), spot.child(flags))
        parts += (spot.entry(one.default, place), spot.entry(one.default_factory, place))
        parts += [spot.child(dict(one.metadata), f"{place}.metadata")] if one.metadata else []
    return frame("fields", *parts)


@family(lambda value: type(value) is type(dataclasses.MISSING))
def _missing(_value: Any, _spot: Spot) -> bytes:
    return frame("missing")


def _members(cls: type) -> Mapping[str, Any]:
    """Return the values of an enum's members, with the attributes that its code gave them."""
    members = cls.__members__.items() if issubclass(cls, enum.Enum) else ()
    return {
        name: [
            member.name,
            member.value,
            written_attributes(member),
            *_own_payload(member),
        ]
        for name, member in members
    }


def member_digest(member: enum.Enum) -> str:
    """Digest a member by its value and attributes, whatever other members the enum has."""
    cls = type(member)
    return digest(_members(cls)[member.name][1:], f"{cls.__qualname__}.{member.name}.value")


def enum_code(cls: type[enum.Enum]) -> str:
    """Digest what an enum's members can do, by its own code: the members themselves left out.

    Of those that this code names, all count.
    """
    return digest(_Code(cls), cls.__qualname__, is_reach=True)


@dataclasses.dataclass(frozen=True, slots=True)
class _Code:
    """The code of an enum without its members."""

    of: type[enum.Enum]


@exactly(_Code)
def _enum_code(code: _Code, spot: Spot) -> bytes:
    if not is_own_class(code.of, spot.walk.home):
        return frame("enum code", type_name(code.of).encode())
    bases = [spot.child(base, ".__bases__") for base in code.of.__bases__]
    return frame("enum code", spot.child(type(code.of)), *bases, _attributes(code.of, spot))


def written_attributes(member: enum.Enum) -> dict[str, Any]:
    """Return the attributes that the code of an enum gave a member."""
    return {k: v for k, v in sorted(vars(member).items()) if not _is_internal(k)}


def payload_of(member: enum.Enum) -> tuple[Any, ...] | None:
    """Return what a member is as a number or text, for which its ``value`` may be another."""
    base = payload_type(type(member))
    return None if base is None else base.__getnewargs__(member)


def payload_type(cls: type[enum.Enum]) -> Any:
    """Return the type of numbers or text that the members of an enum are; None for most."""
    bases = (int, float, complex, str, bytes, tuple)
    return next((one for one in bases if issubclass(cls, one)), None)


def _own_payload(member: enum.Enum) -> list[Any]:
    payload = payload_of(member)
    return [] if payload is None or payload == (member.value,) else [payload]


def _is_internal(name: str) -> bool:
    return name in {"_name_", "_value_", "_sort_order_", "__objclass__"}


def _is_tuple(cls: type) -> bool:
    return issubclass(cls, tuple) and "_fields" in vars(cls) and "_field_defaults" in vars(cls)


def is_written(cls: type, name: str, value: Any, home: str | None) -> bool:
    """Tell whether a class attribute is the user's, and not Python's own book-keeping."""
    if name in _BOOKKEEPING or isinstance(value, MemberDescriptorType | GetSetDescriptorType):
        return False
    if type(value).__name__ == "CField":  # of a structure of ctypes, whose _fields_ say it
        return False
    if name.startswith("__pydantic_") and name != "__pydantic_fields__":
        return False
    function = function_of(value)
    if function is not None and is_own_function(function, home):
        return not _is_generated(cls, name, function)
    if issubclass(cls, enum.Enum):
        is_borrowed = isinstance(value, WrapperDescriptorType | MethodDescriptorType)
        if is_borrowed and value != getattr(cls.__bases__[-1], name, None):
            return True
        return name not in _ENUMS | _OPERATORS and name not in cls.__members__
    if _is_tuple(cls):
        return name not in _TUPLES and name not in vars(cls)["_fields"]
    is_plain = value is None or isinstance(value, FunctionType)
    is_made = is_plain and "__dataclass_params__" in vars(cls) and name in _DATACLASSES
    return not (is_made or (vars(cls).get("_is_protocol") is not None and name in _PROTOCOLS))


def _is_generated(cls: type, name: str, function: FunctionType) -> bool:
    """Tell whether a method was written by dataclass or namedtuple, which compile it from text."""
    if _is_tuple(cls):
        return name == "__new__"
    return name in _DATACLASSES and function.__code__.co_qualname.startswith("__create_fn__")


@family(lambda value: isinstance(value, tuple) and _is_tuple(type(value)) and not callable(value))
def _named_tuple(value: Any, spot: Spot) -> bytes:
    items = [spot.child(item, f".{name}") for name, item in zip(value._fields, value, strict=True)]
    return frame("named tuple", spot.child(type(value)), *items)


@family(lambda value: isinstance(value, enum.Enum))
def _member(member: enum.Enum, spot: Spot) -> bytes:
    """By its class, which says all values, and its name; of a library's class by its value too."""
    cls = type(member)
    # A combination of flags has no name of its own on every Python.
    value = member.value if isinstance(member, enum.Flag) else member.name
    if is_own_class(cls, spot.walk.home):
        return frame("enum", spot.child(cls), spot.child(value))
    return frame("enum", spot.child(cls), spot.child(value), spot.child(member.value, ".value"))
