"""The cost of a point, estimated from a run's tasks, and the size of a task: no side effects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmgrid.observe.events import TaskDone, ValuesStored

if TYPE_CHECKING:
    from swarmgrid.executors.base import Traits
    from swarmgrid.observe.events import Event

LONG_SECONDS = 1.0
"""A chunk that takes longer is always divided: its first points are stored before the last."""
DIVIDED_SECONDS = 0.05
"""A chunk that takes less is computed by one worker, even at the end of a run."""
TASKS_PER_WORKER = 4
"""The remaining points make at least so many tasks for each worker."""
MANY_WORKERS = 8
"""From so many on, their first tasks are of different lengths: all would come back at once."""
ROUGH_SECONDS = 1e-3
"""Below this, the time of a task is mostly that of the machinery around it."""


class CostModel:
    """Estimates the seconds per point.

    Parameters
    ----------
    known : float or None
        The cost of a point in earlier runs.
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


@dataclass(frozen=True, slots=True)
class TaskSize:
    """The most that one task computes."""

    points: int
    """Points of the task."""
    chunk_points: float
    """Points of one chunk; a chunk with more is divided among tasks."""


def task_size(
    left: int,
    cost: float | None,
    traits: Traits,
    *,
    n_cut: int = MANY_WORKERS,
    seconds: float | None = None,
    fixed: int | None = None,
) -> TaskSize:
    """The size of the next task.

    Parameters
    ----------
    left : int
        Points that no task has yet.
    cost : float or None
        Seconds per point; None: not known, and a task gets one point.
    traits : Traits
        The executor: its workers share what is left, and say what a task is to take.
    n_cut : int
        The number of tasks that were cut before.
    seconds : float, optional
        The duration of this task, in place of that in the traits.
    fixed : int, optional
        A number of points that the user has set.
    """
    if fixed is not None:
        return TaskSize(fixed, fixed)
    if cost is None:
        return TaskSize(1, 1)
    # a coarse clock may see no time pass
    n, cost = traits.n_workers, max(cost, 1e-9)
    seconds = traits.task_seconds if seconds is None else seconds
    points, chunk_points = seconds / cost, max(LONG_SECONDS, seconds) / cost
    if n_cut < n >= MANY_WORKERS:
        points *= 0.5 + n_cut / n
    if n > 1:
        # shorter towards the end: no worker is to get a long task while the others run out of work
        fair = left / (n * TASKS_PER_WORKER)
        points = min(points, max(fair, traits.short_seconds / cost))
        short = max(DIVIDED_SECONDS, traits.short_seconds)
        chunk_points = min(chunk_points, max(fair, short / cost))
    return TaskSize(max(1, int(points)), chunk_points)


def n_tasks(
    left: int,
    cost: float | None,
    traits: Traits,
    *,
    seconds: float | None = None,
    fixed: int | None = None,
) -> int:
    """About how many tasks the points that are left make; more rather than fewer."""
    if fixed is not None:
        return max(1, -(-left // fixed))
    seconds = traits.task_seconds if seconds is None else seconds
    few = 2 * TASKS_PER_WORKER * traits.n_workers
    return max(1, min(left, few + int(left * (cost or 0.0) / seconds)))
