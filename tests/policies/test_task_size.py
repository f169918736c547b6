"""Points have a cost; tasks take their time, and become smaller near the end of a run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.executors.base import TASK_SECONDS, Traits
from swarmgrid.observe.events import Event, TaskDone, ValuesStored
from swarmgrid.policies.task_size import (
    LONG_SECONDS,
    MANY_WORKERS,
    CostModel,
    TaskSize,
    n_tasks,
    task_size,
)


def traits(n_workers: int, **options: float) -> Traits:
    return Traits(n_workers, may_write=True, is_isolating=True, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("left", "cost", "n_workers", "options", "size"),
    [
        pytest.param(1000, None, 4, {}, TaskSize(1, 1), id="nothing is known: one point"),
        pytest.param(1000, 0.01, 4, {"fixed": 7}, TaskSize(7, 7), id="the user has set it"),
        pytest.param(1000, 0.01, 1, {}, TaskSize(40, 100.0), id="one worker: 0.4 s"),
        pytest.param(1000, 9.0, 1, {}, TaskSize(1, 1 / 9), id="a slow point is a task"),
        pytest.param(80, 0.01, 2, {}, TaskSize(10, 10.0), id="a quarter of a fair share"),
        pytest.param(8, 0.001, 2, {}, TaskSize(10, 50.0), id="but 10 ms and 50 ms at least"),
        pytest.param(1000, 0.001, 1, {"seconds": 0.02}, TaskSize(20, 1000.0), id="on trial"),
    ],
)
def test_a_task_is_as_large_as_its_cost_and_the_workers_allow(
    left: int, cost: float | None, n_workers: int, options: dict[str, float], size: TaskSize
) -> None:
    found = task_size(left, cost, traits(n_workers), **options)  # type: ignore[arg-type]
    assert found.points == size.points
    assert found.chunk_points == pytest.approx(size.chunk_points)


@given(st.integers(1, 10**9), st.floats(0, 1e3), st.integers(1, 1000))
def test_no_task_is_empty_and_none_takes_longer_than_it_may(
    left: int, cost: float, n_workers: int
) -> None:
    size = task_size(left, cost, traits(n_workers))
    assert size.points >= 1
    assert size.points == 1 or size.points * cost <= TASK_SECONDS
    assert size.chunk_points * cost <= LONG_SECONDS * (1 + 1e-9)


@given(st.integers(1, 10**6), st.none() | st.floats(0, 10), st.integers(1, 100))
def test_there_are_no_more_tasks_than_points(
    left: int, cost: float | None, n_workers: int
) -> None:
    assert 1 <= n_tasks(left, cost, traits(n_workers)) <= left


def test_the_number_of_tasks_follows_from_a_size_that_is_set() -> None:
    assert [n_tasks(left, None, traits(2), fixed=10) for left in (1, 10, 11)] == [1, 1, 2]


def test_the_first_tasks_of_many_workers_are_of_different_lengths() -> None:
    many = traits(2 * MANY_WORKERS)
    sizes = [task_size(10**9, 0.001, many, n_cut=n).points for n in range(2 * MANY_WORKERS)]
    assert sizes == sorted(set(sizes))
    assert sizes[0] == 200
    assert task_size(10**9, 0.001, many, n_cut=2 * MANY_WORKERS).points == 400


def test_an_executor_may_ask_for_longer_tasks() -> None:
    slow = traits(4, task_seconds=3.0, short_seconds=1.0)
    assert task_size(10**9, 0.01, slow).points == 300
    assert task_size(16, 0.01, slow).points == 100


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
