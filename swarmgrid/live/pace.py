"""The pace of a run by the rows that it has left, and the time that is left; values in and out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.records.row_values import n_points

if TYPE_CHECKING:
    from swarmgrid.format.segment import Rows

WINDOWS = (60.0, 600.0, 3600.0, 86400.0)
"""The seconds that are looked back: the fewest in which the work of enough rows ended."""
_ENOUGH = 5
_SLICES = 8


@dataclass(frozen=True, slots=True)
class Pace:
    """Points per second, and how far that may be off."""

    mean: float
    low: float
    high: float

    def seconds_left(self, n_missing: int) -> tuple[float, float, float]:
        """The seconds that so many points take: by the mean, at least, and at most."""
        return n_missing / self.mean, n_missing / self.high, n_missing / self.low


def pace(rows: Rows, now: float) -> Pace | None:
    """The pace at an instant of the clock that the rows have; None where nothing ended lately.

    The band is that of the mean of several slices of time: twice its standard error.
    """
    is_recent = rows.time > now - WINDOWS[-1]
    times = rows.time[is_recent].astype(np.float64)
    counts = n_points(rows)[is_recent]
    if not len(times):
        return None
    for window in WINDOWS:
        is_in = times > now - window
        if len(np.unique(times[is_in])) >= _ENOUGH:
            break
    if not is_in.any():
        return None
    # a row's second is where it ended; the work of the first one began before that
    begin = max(now - window, float(times[is_in].min()) - 1)
    span = max(now - begin, 1.0)
    edges = np.linspace(begin, max(now, begin + span), _SLICES + 1)
    ended, _ = np.histogram(times[is_in], edges, weights=counts[is_in])
    rates = ended * _SLICES / span
    mean = float(rates.mean())
    if mean <= 0:
        return None
    off = 2 * float(rates.std(ddof=1)) / math.sqrt(_SLICES)
    return Pace(mean, max(mean - off, mean / 4), mean + off)
