"""The encodings of Python's own values: numbers, text, times, containers and paths.

Two values have one encoding only if no function can tell them apart, but for NaN: which of its
bits are set depends on the processor, and says nothing.
"""

from __future__ import annotations

import math
import re
import struct
import sys
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePath
from types import EllipsisType, MappingProxyType, NotImplementedType
from typing import Any

from swarmgrid.identity.encode import Spot, exactly, family, frame, leaf
from swarmgrid.user_code.ownership import is_own_class

_MICROSECOND = timedelta(microseconds=1)

# ---- numbers and text


@leaf(type(None), EllipsisType, NotImplementedType)
def singleton_bytes(value: object) -> bytes:
    """Encode None, Ellipsis or NotImplemented."""
    return frame(repr(value))


@leaf(bool)
def bool_bytes(value: bool) -> bytes:
    """Encode a truth value."""
    return frame("bool", bytes([value]))


@leaf(int)
def int_bytes(value: int) -> bytes:
    """Encode an integer of any size."""
    return frame("int", _signed(value))


@leaf(float)
def float_bytes(value: float) -> bytes:
    """Encode a float; every NaN has the same."""
    return frame("float", _float64(value))


@leaf(complex)
def complex_bytes(value: complex) -> bytes:
    """Encode a complex number."""
    return frame("complex", _float64(value.real), _float64(value.imag))


@leaf(str)
def str_bytes(value: str) -> bytes:
    """Encode a string."""
    return frame("str", value.encode("utf-8", "surrogatepass"))


@leaf(bytes, bytearray)
def bytes_bytes(value: bytes | bytearray) -> bytes:
    """Encode a byte string; apart from one that can change."""
    return frame(type(value).__name__, bytes(value))


@leaf(memoryview)
def view_bytes(value: memoryview) -> bytes:
    """Encode a view of memory by its elements, with their kind and shape."""
    shape = b"".join(map(_signed, value.shape or ()))
    return frame("view", value.format.encode(), shape, bytes([value.readonly]), value.tobytes())


@leaf(Decimal)
def decimal_bytes(value: Decimal) -> bytes:
    """Encode a decimal; trailing zeros count, as they do in its arithmetic."""
    sign, digits, exponent = value.as_tuple()
    return frame("Decimal", bytes([sign]), bytes(digits), str(exponent).encode())


@leaf(Fraction)
def fraction_bytes(value: Fraction) -> bytes:
    """Encode a fraction."""
    return frame("Fraction", _signed(value.numerator), _signed(value.denominator))


@leaf(uuid.UUID)
def uuid_bytes(value: uuid.UUID) -> bytes:
    """Encode a UUID."""
    return frame("UUID", value.bytes)


@leaf(re.Pattern)
def pattern_bytes(value: re.Pattern[Any]) -> bytes:
    """Encode a compiled regular expression."""
    text = value.pattern
    content = str_bytes(text) if isinstance(text, str) else bytes_bytes(text)
    return frame("Pattern", content, _signed(int(value.flags)))


@leaf(range)
def range_bytes(value: range) -> bytes:
    """Encode a range."""
    return frame("range", *map(_signed, (value.start, value.stop, value.step)))


# ---- times


@leaf(date)
def date_bytes(value: date) -> bytes:
    """Encode a day."""
    return frame("date", _signed(value.toordinal()))


@leaf(timedelta)
def timedelta_bytes(value: timedelta) -> bytes:
    """Encode a duration."""
    return frame("timedelta", _microseconds(value))


@exactly(time)
def _time(value: time, spot: Spot) -> bytes:
    """By the time of day, with the offset and zone if it has them."""
    clock = timedelta(
        hours=value.hour,
        minutes=value.minute,
        seconds=value.second,
        microseconds=value.microsecond,
    )
    zone = [] if value.tzinfo is None else [zone_bytes(value, spot)]
    return frame("time", _microseconds(clock), bytes([value.fold]), *zone)


@exactly(datetime)
def _datetime(value: datetime, spot: Spot) -> bytes:
    """By the time on the clock, with the offset and zone if it has them."""
    local = value.replace(tzinfo=None) - datetime(1970, 1, 1)  # noqa: DTZ001 - naive on purpose
    zone = [] if value.tzinfo is None else [zone_bytes(value, spot)]
    return frame("datetime", _microseconds(local), bytes([value.fold]), *zone)


def zone_bytes(value: datetime | time, spot: Spot) -> bytes:
    """Encode the zone of a time, with its offset then.

    By the zone's own name rather than its abbreviation: Berlin and Algiers are both CET. A zone of
    the user's is what its code says.
    """
    zone, offset = value.tzinfo, value.utcoffset()
    if is_own_class(type(zone), spot.walk.home):
        content = spot.child(zone, ".tzinfo")
    else:
        name = getattr(zone, "key", None) or getattr(zone, "zone", None) or value.tzname()
        content = str(name).encode()
    return frame("zone", b"" if offset is None else _microseconds(offset), content)


# ---- containers


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
    return frame(type(value).__name__, *spot.encode_set(value))


@exactly(dict)
def _dict(value: Mapping[Any, Any], spot: Spot) -> bytes:
    """In its order, which a loop over it sees."""
    if value is sys.modules:  # it changes at every import; the modules that code takes of it count
        return frame("name", b"sys.modules")
    parts: list[bytes] = []
    for key, item in value.items():
        parts += (spot.child(key, " (key)"), spot.child(item, step(key)))
    return frame("mapping", *parts)


@exactly(OrderedDict, Counter, MappingProxyType)
def _mapping(value: Mapping[Any, Any], spot: Spot) -> bytes:
    """Apart from a dict: they compare and look up differently."""
    return frame(type(value).__name__, _dict(value, spot))


@exactly(defaultdict)
def _defaultdict(value: defaultdict[Any, Any], spot: Spot) -> bytes:
    factory = spot.child(value.default_factory, ".default_factory")
    return frame("defaultdict", factory, _dict(value, spot))


def step(key: Any) -> str:
    """Return the subscript of a key whose text is known to be short and plain."""
    return f"[{key!r}]" if type(key) in {str, int, float, bool, bytes} else "[...]"


def _is_library_path(value: Any) -> bool:
    return isinstance(value, PurePath) and type(value).__module__.partition(".")[0] == "pathlib"


@family(_is_library_path)
def _path(value: PurePath, spot: Spot) -> bytes:
    """By its text, and the class by which the program asked for it: on every system the same."""
    asked = {type(Path()): "Path", type(PurePath()): "PurePath"}
    name = asked.get(type(value), type(value).__name__)
    return frame("path", name.encode(), spot.child(value.as_posix()))


# ---- what they are made of


def _signed(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)


def _float64(value: float) -> bytes:
    return struct.pack("<d", math.nan if value != value else value)  # noqa: PLR0124 - NaN


def _microseconds(value: timedelta) -> bytes:
    return _signed(value // _MICROSECOND)
