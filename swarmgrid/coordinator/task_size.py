"""The size of a task: numbers in, numbers out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarmgrid.executors.base import Traits

LONG_SECONDS = 1.0
"""A chunk that takes longer is always divided: its first points are stored before the last."""
DIVIDED_SECONDS = 0.05
"""A chunk that takes less is computed by one worker, even at the end of a run."""
TASKS_PER_WORKER = 4
"""The remaining points make at least so many tasks for each worker."""
MANY_WORKERS = 8
"""From so many on, their first tasks are of different lengths: all would come back at once."""


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
        How many tasks were cut before.
    seconds : float, optional
        What this task is to take, in place of what the traits say.
    fixed : int, optional
        A number of points that the user has set.
    """
    if fixed is not None:
        return TaskSize(fixed, fixed)
    if cost is None:
        return TaskSize(1, 1)
    n, cost = traits.n_workers, max(cost, 1e-9)
    seconds = traits.task_seconds if seconds is None else seconds
    points, chunk_points = seconds / cost, max(LONG_SECONDS, seconds) / cost
    if n_cut < n >= MANY_WORKERS:
        points *= 0.5 + n_cut / n
    if n > 1:
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
