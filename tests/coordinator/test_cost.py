"""The cost of a point, by the events of a run."""

from __future__ import annotations

import pytest

from swarmgrid.coordinator.cost import CostModel
from swarmgrid.observe.events import Event, TaskDone, ValuesStored


def first(points: int, seconds: float) -> TaskDone:
    return TaskDone(points, seconds, seconds, worker=1, peak_nbytes=0, is_first=True)


def later(points: int, wall_seconds: float) -> TaskDone:
    return TaskDone(points, 0.0, wall_seconds, worker=1, peak_nbytes=0, is_first=False)


@pytest.mark.parametrize(
    ("known", "events", "cost", "is_rough"),
    [
        pytest.param(None, [], None, False, id="nothing is known"),
        pytest.param(0.5, [], 0.5, False, id="of earlier runs"),
        pytest.param(0.5, [first(1, 2.0)], 2.0, False, id="this run knows better"),
        pytest.param(None, [first(1, 2.0), first(1, 1.0)], 1.0, False, id="the quickest"),
        pytest.param(None, [first(1, 1e-4)], 1e-4, True, id="too short to tell"),
        pytest.param(
            None, [first(1, 1e-4), ValuesStored(1e-3, 1)], 1.1e-3, False, id="with its storing"
        ),
        pytest.param(None, [first(1, 1e-4), later(10, 5.0)], 0.5, False, id="tasks count"),
        pytest.param(None, [first(0, 0.1)], None, False, id="a task of failures alone"),
        pytest.param(None, [ValuesStored(1.0, 0)], None, False, id="rows alone were stored"),
    ],
)
def test_the_cost_follows_from_what_tasks_took(
    known: float | None, events: list[Event], cost: float | None, is_rough: bool
) -> None:
    model = CostModel(known)
    for event in events:
        model(event)
    assert model.seconds_per_point == (None if cost is None else pytest.approx(cost))
    assert model.is_rough == is_rough
