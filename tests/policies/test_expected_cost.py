"""The time left follows from the axis values of the points left, and from the pace so far."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.coordinator import moments
from swarmgrid.coordinator.run_state import RunState
from swarmgrid.format.segment import Row
from swarmgrid.planning.costs import Costs
from swarmgrid.policies.expected_cost import ExpectedCost
from swarmgrid.space.points import Points
from swarmgrid.transport.messages import TaskResult, Values

COSTS = Costs(0.5, (np.array([1.0, 10.0]), np.array([1.0, 2.0, 1.0, 2.0])), (1.0, 1.0))


def result(index: tuple[int, int], points: Points, seconds: float) -> TaskResult:
    row = Row(b"", index, points, (), seconds)
    return TaskResult(rows=[row], wall_seconds=seconds, points=len(points))


def test_the_points_left_cost_what_their_values_say_times_the_pace() -> None:
    model = ExpectedCost(COSTS, (1, 2), 0.5 * 11 * 6, 8)
    assert model.seconds_left(8) == pytest.approx(33)
    model.add(result((0, 0), Points((1, 2)), 3.0))  # twice the 1.5 s that were expected
    assert model.seconds_left(6) == pytest.approx((33 - 1.5) * 2)
    values = Values((1, 1), Points.from_mask(np.array([[False, True]])), {}, 20.0)
    model.add(TaskResult(values=[values], wall_seconds=20.0, points=1))
    assert model.seconds_left(5) == pytest.approx((33 - 1.5 - 10) * 23 / 11.5)
    assert model.seconds_left(1) == pytest.approx((33 - 1.5 - 10) * 23 / 11.5 / 5)
    assert model.seconds_left(0) == 0


def test_a_run_of_a_grid_with_costs_shows_what_these_say(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[float | None, float | None]] = []
    before = RunState.expect

    def looking(state: RunState, part: Any) -> None:
        expected = None if state.expected is None else state.expected.seconds_left(1)
        seen.append((expected, moments.moment(state).seconds_left))
        before(state, part)

    monkeypatch.setattr(RunState, "expect", looking)
    store = MemoryStore()
    call: dict[str, Any] = {"func": lambda x: x, "store": store, "executor": "sync", "chunks": 4}
    for n in (3, 7):
        swarmgrid.stream({}, {"x": range(n)}, verbose=0, exec_chunk_size=1, **call)
    assert [expected is not None for expected, _ in seen] == [False, True, True]
    assert all(left is not None and left >= 0 for _, left in seen[1:])
