"""The encodings of the user's classes, by their attributes, and of members of enums.

Python keeps no code object of a class. What it writes into a class by itself, for a dataclass, an
enum, a named tuple or a protocol, differs between its versions and says nothing that the fields,
the members and the bases do not say: it does not count.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
from collections.abc import Mapping
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any

from swarmgrid.identity.encode import Spot, digest, exactly, family, frame
from swarmgrid.identity.ownership import is_own_class, is_own_function, type_name

_BOOKKEEPING = frozenset(
    {
        *("__abstractmethods__", "__annotations__", "__annotate__", "__annotate_func__"),
        *("__annotations_cache__", "__classcell__", "__classdictcell__", "__dataclass_fields__"),
        *("__dataclass_params__", "__dict__", "__doc__", "__final__", "__firstlineno__"),
        *("__match_args__", "__module__", "__orig_bases__", "__parameters__", "__qualname__"),
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
    return frame("name", type_name(cls).encode())


def _describe_class(cls: type, spot: Spot) -> bytes:
    whole = cls.__qualname__
    return frame(
        "class",
        whole.encode(),
        spot.child(type(cls)),
        b"".join(spot.entry(base, f"base of {whole}") for base in cls.__bases__),
        _fields(cls, spot),
        spot.named(_members(cls), lambda name: f"member {name!r} of {whole}", cls.__module__),
        _attributes(cls, spot),
    )


def _attributes(cls: type, spot: Spot) -> bytes:
    """Encode what the user's code gave a class: methods, properties and values."""
    whole = cls.__qualname__
    attributes = {n: one for n, one in vars(cls).items() if _is_written(cls, n, one, spot)}
    return spot.named(attributes, lambda name: f"attribute {name!r} of {whole}", cls.__module__)


def _fields(cls: type, spot: Spot) -> bytes:
    """Encode the fields of a dataclass or named tuple, in their order."""
    if _is_tuple(cls):
        fields, defaults = vars(cls)["_fields"], vars(cls)["_field_defaults"]
        return frame("fields", spot.child(fields), spot.child(defaults, "._field_defaults"))
    if "__dataclass_fields__" not in vars(cls):
        return frame("fields")
    settings = cls.__dataclass_params__  # type: ignore[attr-defined]
    parts = [spot.child([settings.eq, settings.order, settings.frozen, settings.unsafe_hash])]
    for one in dataclasses.fields(cls):
        place = f"field {one.name!r} of {cls.__qualname__}"
        flags = [getattr(one, name) is True for name in _FLAGS]
        parts += (spot.child(one.name), spot.child(flags))
        parts += (spot.entry(one.default, place), spot.entry(one.default_factory, place))
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
            {k: v for k, v in sorted(vars(member).items()) if not _is_internal(k)},
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
    return digest(_Code(cls), cls.__qualname__)


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


def _is_internal(name: str) -> bool:
    return name == "__objclass__" or (name.startswith("_") and name.endswith("_"))


def _is_tuple(cls: type) -> bool:
    return issubclass(cls, tuple) and "_fields" in vars(cls) and "_field_defaults" in vars(cls)


def _is_written(cls: type, name: str, value: Any, spot: Spot) -> bool:
    """Tell whether a class attribute is the user's, and not Python's own book-keeping."""
    if name in _BOOKKEEPING or isinstance(value, MemberDescriptorType | GetSetDescriptorType):
        return False
    function = _function_of(value)
    if function is not None and is_own_function(function, spot.walk.home):
        return not _is_generated(cls, name, function)
    if issubclass(cls, enum.Enum):
        return name not in _ENUMS | _OPERATORS and name not in cls.__members__
    if _is_tuple(cls):
        return name not in _TUPLES and name not in vars(cls)["_fields"]
    is_made = "__dataclass_params__" in vars(cls) and name in _DATACLASSES
    return not (is_made or (vars(cls).get("_is_protocol") is not None and name in _PROTOCOLS))


def _function_of(value: Any) -> FunctionType | None:
    found = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
    return found if isinstance(found, FunctionType) else None


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
