"""The cost of a point, estimated from the tasks of a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from swarmgrid.observe.events import TaskDone, ValuesStored

if TYPE_CHECKING:
    from swarmgrid.observe.events import Event

ROUGH_SECONDS = 1e-3
"""Below this, the time of a task is mostly that of the machinery around it."""


class CostModel:
    """Estimates the seconds per point.

    Parameters
    ----------
    known : float or None
        What points of the grid cost in earlier runs.
    """

    def __init__(self, known: float | None = None) -> None:
        self._known = known
        self._quickest: tuple[float, int] | None = None
        """The seconds and points of the quickest task of the first points."""
        self._storing = 0.0
        """The least that it took to store one of them."""
        self._later_points = 0
        self._later_seconds = 0.0

    def __call__(self, event: Event) -> None:
        match event:
            case TaskDone(is_first=True, points=points, seconds=seconds) if points:
                known = self._quickest or (seconds, points)
                self._quickest = min((seconds, points), known, key=lambda pair: pair[0] / pair[1])
            case TaskDone(is_first=False):
                self._later_points += event.points
                self._later_seconds += event.wall_seconds
            case ValuesStored(seconds=seconds, points=points) if points:
                self._storing = min(self._storing or math.inf, seconds / points)
            case _:
                pass

    @property
    def is_rough(self) -> bool:
        """Whether the cost is but a guess, and may be much too high."""
        if self._quickest is None or self._later_points:
            return False
        seconds, points = self._quickest
        return seconds + points * self._storing < ROUGH_SECONDS

    @property
    def seconds_per_point(self) -> float | None:
        """The cost of a point, its part in writing included; the least, while few are known.

        A function's first call often does more than the others, and a task of one point seems
        to cost more than it does.
        """
        if self._later_points:
            return self._later_seconds / self._later_points
        if self._quickest is None:
            return self._known
        seconds, points = self._quickest
        return seconds / points + self._storing
