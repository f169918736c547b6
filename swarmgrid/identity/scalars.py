"""The encodings of numbers, text and times: values that hold no others."""

from __future__ import annotations

import math
import re
import struct
import uuid
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from types import EllipsisType, NotImplementedType
from typing import Any

from swarmgrid.identity.encode import Spot, exactly, frame, leaf
from swarmgrid.identity.ownership import is_own_class

# numpy's finest unit is the attosecond; counted in it, every unit it has gives an integer.
ATTOSECONDS = {
    "W": 7 * 86400 * 10**18,
    "D": 86400 * 10**18,
    "h": 3600 * 10**18,
    "m": 60 * 10**18,
    "s": 10**18,
    "ms": 10**15,
    "us": 10**12,
    "ns": 10**9,
    "ps": 10**6,
    "fs": 10**3,
    "as": 1,
}


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
    """Encode a byte string."""
    return frame("bytes", bytes(value))


@leaf(memoryview)
def view_bytes(value: memoryview) -> bytes:
    """Encode a view of bytes: of other elements with their kind and shape."""
    if (value.format, value.ndim) == ("B", 1):
        return bytes_bytes(bytes(value))
    shape = b"".join(map(_signed, value.shape or ()))
    return frame("view", value.format.encode(), shape, value.tobytes())


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
    """Encode a range; ranges of the same numbers are equal, as they are in Python."""
    start = value.start if value else 0
    step = value.step if len(value) > 1 else 1
    return frame("range", _signed(len(value)), _signed(start), _signed(step))


@leaf(date)
def date_bytes(value: date) -> bytes:
    """Encode a day."""
    return frame("date", _signed(value.toordinal()))


@exactly(time)
def time_bytes(value: time, spot: Spot) -> bytes:
    """Encode a time of day, with its offset and zone where it has them."""
    clock = timedelta(
        hours=value.hour,
        minutes=value.minute,
        seconds=value.second,
        microseconds=value.microsecond,
    )
    zone = [] if value.tzinfo is None else [_duration(value.utcoffset()), _zone(value, spot)]
    return frame("time", _duration(clock), bytes([value.fold]), *zone)


@exactly(datetime)
def datetime_bytes(value: datetime, spot: Spot) -> bytes:
    """Encode an instant, with its offset and zone where it has them."""
    offset = value.utcoffset()
    local = value.replace(tzinfo=None) - datetime(1970, 1, 1)  # noqa: DTZ001 - naive on purpose
    count = attoseconds(local)
    if offset is not None:
        return aware_bytes(count - attoseconds(offset), value, spot)
    if value.tzinfo is not None:
        return frame("datetime without offset", _signed(count), _zone(value, spot))
    # Which of two hours with one name it is, once it gets a zone.
    return frame("fold", instant_bytes(count)) if value.fold else instant_bytes(count)


@leaf(timedelta)
def timedelta_bytes(value: timedelta) -> bytes:
    """Encode a duration."""
    return duration_bytes(attoseconds(value))


def instant_bytes(count: int) -> bytes:
    """Encode a naive instant, in attoseconds since 1970."""
    return frame("datetime", _signed(count))


def aware_bytes(count: int, value: datetime, spot: Spot) -> bytes:
    """Encode the instant of an aware datetime, in attoseconds since 1970, UTC."""
    return frame("datetime", _signed(count), _duration(value.utcoffset()), _zone(value, spot))


def duration_bytes(count: int) -> bytes:
    """Encode a duration in attoseconds."""
    return frame("timedelta", _signed(count))


def months_bytes(count: int) -> bytes:
    """Encode a duration in calendar months, which have no fixed length."""
    return frame("months", _signed(count))


def nat_bytes() -> bytes:
    """Encode "not a time"."""
    return frame("NaT")


def attoseconds(value: timedelta) -> int:
    """Count a duration in attoseconds, exactly."""
    return value // timedelta(microseconds=1) * ATTOSECONDS["us"]


def _signed(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)


def _float64(value: float) -> bytes:
    return struct.pack("<d", math.nan if value != value else value)  # noqa: PLR0124 - NaN


def _duration(value: timedelta | None) -> bytes:
    return b"" if value is None else _signed(attoseconds(value))


def _zone(value: datetime | time, spot: Spot) -> bytes:
    """Return the zone's own name rather than its abbreviation: Berlin and Algiers are both CET.

    A zone of the user's is what its code says.
    """
    zone = value.tzinfo
    if is_own_class(type(zone), spot.walk.home):
        return spot.child(zone, ".tzinfo")
    return str(
        getattr(zone, "key", None) or getattr(zone, "zone", None) or value.tzname()
    ).encode()
