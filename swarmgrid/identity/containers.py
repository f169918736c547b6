"""The encodings of containers, records, members of enums, and paths."""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

from swarmgrid.identity.encode import Spot, exactly, family, frame, type_name


@exactly(list)
def _list(value: list[Any], spot: Spot) -> bytes:
    return frame("list", *spot.children(value))


@exactly(tuple)
def _tuple(value: tuple[Any, ...], spot: Spot) -> bytes:
    return frame("tuple", *spot.children(value))


@exactly(deque)
def _deque(value: deque[Any], spot: Spot) -> bytes:
    return frame("deque", spot.child(value.maxlen), *spot.children(value))


@exactly(slice)
def _slice(value: slice, spot: Spot) -> bytes:
    return frame("slice", *spot.children((value.start, value.stop, value.step)))


@exactly(set, frozenset)
def _set(value: AbstractSet[Any], spot: Spot) -> bytes:
    return frame("set", *(encoding for encoding, _ in spot.unordered(value)))


@exactly(dict, OrderedDict, defaultdict, Counter, MappingProxyType)
def _mapping(value: Mapping[Any, Any], spot: Spot) -> bytes:
    parts: list[bytes] = []
    for encoding, key in spot.unordered(value, " (key)"):
        parts += (encoding, spot.child(value[key], _step(key)))
    return frame("mapping", *parts)


@family(lambda value: isinstance(value, enum.Enum))
def _member(value: enum.Enum, spot: Spot) -> bytes:
    name = spot.child(value.name)
    return frame("enum", _name(value), name, spot.child(value.value, ".value"))


@family(lambda value: isinstance(value, PurePath))
def _path(value: PurePath, spot: Spot) -> bytes:
    return frame("path", spot.child(value.as_posix()))


def is_record(value: Any) -> bool:
    """Tell whether a value is a dataclass instance and nothing more: not an enum, not callable."""
    is_other = isinstance(value, type | enum.Enum) or callable(value)
    return dataclasses.is_dataclass(value) and not is_other


@family(is_record)
def _dataclass(value: Any, spot: Spot) -> bytes:
    names = [field.name for field in dataclasses.fields(value)]
    return frame("dataclass", _name(value), *_attributes(value, names, spot))


def _is_named_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(type(value), "_fields") and not callable(value)


@family(_is_named_tuple)
def _named_tuple(value: Any, spot: Spot) -> bytes:
    return frame("namedtuple", _name(value), *_attributes(value, value._fields, spot))


def _attributes(value: Any, names: Sequence[str], spot: Spot) -> list[bytes]:
    return [
        part
        for name in names
        for part in (spot.child(name), spot.child(getattr(value, name, None), f".{name}"))
    ]


def _name(value: Any) -> bytes:
    return type_name(type(value)).encode()


def _step(key: Any) -> str:
    """Return the subscript of a key whose text is known to be short and plain."""
    return f"[{key!r}]" if type(key) in {str, int, float, bool, bytes} else "[...]"
