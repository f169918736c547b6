"""Times as they are stored: nanoseconds in 64 bits."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TYPES = {"M": (dt.date, np.datetime64), "m": (dt.timedelta, np.timedelta64)}
"""By numpy's code of times, and of spans, their types; those of pandas are among them."""
_FINER = {"ps", "fs", "as"}
_CALENDAR = {"Y": "years", "M": "months"}
_RANGE = {"M": "the years 1678 to 2262", "m": "292 years"}


def to_nanoseconds(times: NDArray[Any]) -> NDArray[Any]:
    """Times of any unit in nanoseconds.

    Raises
    ------
    ValueError
        If one of them would change.
    """
    kind = times.dtype.kind
    check_unit(times.dtype, has_values=not np.isnat(times).all())
    try:
        fine = times.astype(f"{kind}8[ns]")
        is_exact = np.array_equal(fine.astype(times.dtype), times, equal_nan=True)
    except OverflowError:  # numpy 2.5 and later; earlier ones wrap around
        is_exact = False
    if is_exact:
        return fine
    if np.datetime_data(times.dtype)[0] in _FINER:
        raise ValueError(
            f"times finer than a nanosecond, which is what is stored; round them: "
            f".astype('{kind}8[ns]')"
        )
    raise ValueError(
        f"times beyond {_RANGE[kind]}, which is what 64 bits of nanoseconds hold; use "
        "numbers, such as years, or texts instead"
    )


def is_time(one: object, kind: str) -> bool:
    """Whether it is a time without a time zone, ``"M"``, or a span of time, ``"m"``."""
    return isinstance(one, _TYPES[kind]) and getattr(one, "tzinfo", None) is None


def one_in_nanoseconds(one: Any, kind: str) -> NDArray[Any] | None:
    """``()``: a time or a span, as `is_time` has it; None if it would change."""
    with contextlib.suppress(ValueError):
        found = one.to_numpy() if hasattr(one, "to_numpy") else np.asarray(one, f"{kind}8")
        return to_nanoseconds(np.asarray(found))
    return None


def check_unit(dtype: np.dtype[Any], *, has_values: bool = True) -> None:
    """Raise ValueError if spans of a dtype have no length, as a month has none."""
    unit = np.datetime_data(dtype)[0]
    if dtype.kind == "m" and unit in _CALENDAR:
        raise ValueError(
            f"spans of calendar {_CALENDAR[unit]}, which have no fixed length; use days, or the "
            f"number of {_CALENDAR[unit]} as an integer"
        )
    if dtype.kind == "m" and unit == "generic" and has_values:
        raise ValueError(
            "spans of time without a unit, which have no length; give them one: "
            ".astype('timedelta64[s]')"
        )
