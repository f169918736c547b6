"""The time that a run still needs, by what stored points say of the points that are left."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarmgrid.planning.costs import Costs
    from swarmgrid.transport.messages import TaskResult


class ExpectedCost:
    """Compares what the tasks of a run took with what was expected of their points.

    Points that are left may cost more than those that are done. What is expected of them follows
    from their axis values, and is scaled by what the run has shown so far.

    Parameters
    ----------
    costs : Costs
        The cost of a point by its axis values, as stored points show it.
    chunk_shape : tuple of int
        The grid's.
    seconds, points : float, int
        The expected time of all points of the run, and their number.
    """

    def __init__(
        self, costs: Costs, chunk_shape: tuple[int, ...], seconds: float, points: int
    ) -> None:
        self._costs = costs
        self._chunk_shape = chunk_shape
        self._left, self._points_left = seconds, points
        self._expected = self._taken = 0.0

    def add(self, result: TaskResult) -> None:
        """Note the points that a task computed, and its time."""
        parts = [(row.index, row.points) for row in result.rows]
        parts += [(values.index, values.points) for values in result.values]
        for index, points in parts:
            expected = self._costs.of_points(self._chunk_shape, index, points)
            self._expected += expected
            self._left -= expected
            self._points_left -= len(points)
        self._taken += result.wall_seconds

    def seconds_left(self, points: int) -> float:
        """The time of so many points that are left: all but those that failed meanwhile."""
        if self._points_left <= 0:
            return 0.0
        pace = self._taken / self._expected if self._expected > 0 and self._taken > 0 else 1.0
        return max(self._left, 0.0) * pace * min(1.0, points / self._points_left)
