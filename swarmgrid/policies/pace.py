"""The time of the next flush: soon, as long as flushes cost little; decision 0019."""

from __future__ import annotations

from collections import deque

SOON_SECONDS = 1.0
"""The time that finished work waits where a flush costs little."""
LATEST_SECONDS = 10.0
"""The longest that finished work waits, whatever a flush costs."""
MAX_PART = 0.02
"""The part of the run that flushes may take before they become rarer."""
LOOKS = 4
"""The number of checks within an interval for whether a flush is due."""


class Pace:
    """Says when the next flush is due.

    Parameters
    ----------
    interval : float or None
        Seconds that finished work may wait; None: about one, unless flushes take too long.
    now : float
        The time, by a clock that only grows.
    """

    def __init__(self, interval: float | None, now: float) -> None:
        self._interval = interval
        self._start = self._last = now
        self._spent = 0.0
        self._costs: deque[float] = deque(maxlen=2)

    @property
    def look_seconds(self) -> float:
        """After how long to ask again."""
        return (self._interval or SOON_SECONDS) / LOOKS

    def is_due(self, now: float) -> bool:
        """Whether to write what is finished."""
        waited = now - self._last
        if self._interval is not None:
            # looks are a quarter of the interval apart: the next one would come too late
            return waited >= self._interval * (1 - 1 / LOOKS)
        if waited < SOON_SECONDS or waited >= LATEST_SECONDS:
            return waited >= LATEST_SECONDS
        cost = min(self._costs, default=0.0)  # one hiccup of a disk says nothing of the next one
        return self._spent + cost <= MAX_PART * (now - self._start)

    def add_flush(self, begun: float, now: float) -> None:
        """Count a flush, from ``begun`` to ``now``."""
        self._costs.append(now - begun)
        self._spent += now - begun
        self._last = now


def reporting_seconds(interval: float | None) -> float:
    """After how long in one call the points before it are reported."""
    return SOON_SECONDS / 2 if interval is None else min(1.0, interval / 4)
