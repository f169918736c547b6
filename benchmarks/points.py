"""The functions that every contender evaluates: of one point, or of a block of points."""

from __future__ import annotations

import functools
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

CALLS = "SWARMGRID_BENCHMARK_CALLS"
"""Names the environment variable that holds the file to which counted functions add a byte."""
LENGTH = 1000
"""Values in the output of `trace`."""
SLEEP_SECONDS = 0.01
MIXED = 31
"""Values of ``b`` over which costs differ a hundredfold."""
_NOISE = np.random.default_rng(0).random(LENGTH)


def trivial(a: float, b: float) -> float:
    """A number that costs nothing; of a pair of whole numbers, it has many digits."""
    return a * 0.7 + b / 7.0


def trace(a: float, b: float) -> Values:
    """An array of `LENGTH` numbers, which compress as badly as those of a simulation."""
    return (a * 0.7 + b / 7.0) * _NOISE


def sleeper(a: float, b: float) -> float:
    """A number that takes `SLEEP_SECONDS`."""
    time.sleep(SLEEP_SECONDS)
    return trivial(a, b)


def wave(a: Values, b: Values) -> Values:
    """A block: ``a`` and ``b`` broadcast against each other."""
    return np.sin(a) * b


def last_1ms(a: float, b: float) -> float:  # noqa: ARG001  # the points of a grid
    """How long this took, in seconds: 1 ms, and what the system adds to a sleep."""
    return _slept(0.001)


def last_10ms(a: float, b: float) -> float:  # noqa: ARG001
    """The same with 10 ms."""
    return _slept(0.01)


def last_1s(a: float, b: float) -> float:  # noqa: ARG001
    """The same with a second."""
    return _slept(1.0)


def last_mixed(a: float, b: float) -> float:
    """The same with `mixed_seconds`."""
    return _slept(mixed_seconds(a, b))


def mixed_seconds(a: Any, b: Any) -> Any:
    """From 2 ms to 200 ms, by ``b`` alone, which has `MIXED` values."""
    return 0.002 * 100.0 ** (b / (MIXED - 1)) + a * 0.0


def _slept(seconds: float) -> float:
    """Sums of what this returns are free of the error that a sleep has."""
    begun = time.perf_counter()
    time.sleep(seconds)
    return time.perf_counter() - begun


def counted_trivial(a: float, b: float) -> float:
    """`trivial`, counted."""
    _count()
    return trivial(a, b)


def counted_trace(a: float, b: float) -> Values:
    """`trace`, counted."""
    _count()
    return trace(a, b)


def counted_sleeper(a: float, b: float) -> float:
    """`sleeper`, counted."""
    _count()
    return sleeper(a, b)


def counted_wave(a: Values, b: Values) -> Values:
    """`wave`, counted."""
    _count()
    return wave(a, b)


def _count() -> None:
    os.write(_calls_file(), b".")


@functools.cache
def _calls_file() -> int:
    """Opened once per process: appending a byte takes a microsecond then."""
    return os.open(os.environ[CALLS], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
