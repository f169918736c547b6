"""Values as people give them: spans of time, ``"30d"``, sizes, ``"50GB"``, flags, callbacks."""

from __future__ import annotations

import datetime as dt
import functools
import inspect
import math
import numbers
import operator
import re
from typing import Any

import numpy as np

from swarmgrid.errors import InputError, brief

_SPAN = re.compile(r"\s*(\d+(?:\.\d*)?)\s*(s|min|h|d|w)\s*")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE = re.compile(r"\s*(\d+(?:\.\d*)?)\s*([kMGTP]?)(i?)B?\s*", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def is_number(value: object) -> bool:
    """Whether a value is a real number, of Python or of numpy; a bool is none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def span_seconds(name: str, span: Any) -> float:
    """A span of time in seconds; InputError, which calls it ``name``, if it is none."""
    if isinstance(span, dt.timedelta):
        span = span.total_seconds()
    if is_number(span) and 0 <= span < math.inf:
        return float(span)
    found = _SPAN.fullmatch(span) if isinstance(span, str) else None
    if found is None:
        raise InputError(
            f"{name} is {brief(span)}; expected a span of time, such as '30d', '12h' or '90min'"
        )
    seconds = float(found[1]) * _SECONDS[found[2]]
    if seconds == math.inf:
        raise InputError(f"{name} is {brief(span)}, which is for ever; expected '30d'")
    return seconds


def size_bytes(name: str, size: Any) -> float:
    """A size in bytes; InputError, which calls it ``name``, if it is none."""
    is_whole = isinstance(size, numbers.Integral) and not isinstance(size, bool)
    if is_whole and size >= 0:
        return operator.index(size)
    found = _SIZE.fullmatch(size) if isinstance(size, str) else None
    if found is None:
        raise InputError(f"{name} is {brief(size)}; expected bytes, such as '50GB'")
    unit = 1024.0 if found[3] else 1000.0
    nbytes = float(found[1]) * float(unit ** _POWERS[found[2].lower()])
    if nbytes == math.inf:
        raise InputError(f"{name} is {brief(found[0])}, more than any store; expected '50GB'")
    return nbytes


def check_flags(**flags: object) -> None:
    """Raise InputError where an argument, by its name, is neither True nor False.

    A text such as ``"no"`` would count as True.
    """
    for name, value in flags.items():
        if not isinstance(value, (bool, np.bool_)):
            raise InputError(f"{name} is {brief(value)}; expected True or False")


def check_plain(name: str, callback: Any) -> None:
    """Raise InputError where a call of a callback returns at once, and runs nothing of it."""
    inner = callback
    while isinstance(inner, functools.partial):
        inner = inner.func
    for one in (inner, type(inner).__call__):
        if inspect.iscoroutinefunction(one):
            raise InputError(
                f"{name} is {brief(callback)}, an async function, which nothing would await; "
                "expected a plain function, which may hand on what it gets: "
                "asyncio.run_coroutine_threadsafe(handle(event), loop)"
            )
        if inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one):
            raise InputError(
                f"{name} is {brief(callback)}, a generator function, of which a call runs "
                "nothing; expected a plain function, without yield"
            )
