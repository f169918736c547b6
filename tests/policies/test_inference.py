"""The first points of a new grid decide its outputs; every order of results is a case."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.outputs.results import inferred, unpacked
from swarmgrid.planning.request import to_request
from swarmgrid.policies.attempts import Attempts
from swarmgrid.policies.inference import Inference
from swarmgrid.store.location import to_location
from swarmgrid.transport.messages import Failure, Task, TaskResult, Values, WorkerCrash

POINTS_PER_WORKER = 4
CRASH = WorkerCrash("ended", "its worker was killed by SIGKILL", 0)


def func(x: int) -> Any:
    """Never called: the results are made up."""


def inference(n: int = 20) -> Inference:
    request = to_request(func, {}, {"x": range(n)}, to_location("memory://inference"))
    return Inference(request, None, Attempts({}, retries=0))


def tasks_of(found: Inference, n_workers: int = 2) -> list[Task]:
    return list(iter(lambda: found.next_task(n_workers, POINTS_PER_WORKER), None))


def place(task: Task) -> int:
    return int(task.parts[0].points.indices()[0][0])


def result(task: Task, value: object, seconds: float = 1.0, worker: int = 1) -> TaskResult:
    outputs = unpacked(value)
    arrays = {name: np.asarray(a)[None] for name, a in outputs.values.items()}
    part = task.parts[0]
    values = Values(part.index, part.points, arrays, seconds)
    schema = inferred(outputs, ["x"])
    return TaskResult(values=[values], schema=schema, seconds=seconds, points=1, worker=worker)


def failure(task: Task) -> TaskResult:
    part = task.parts[0]
    offset = tuple(map(int, part.points.indices()[0]))
    one = Failure(part.index, offset, {"x": offset[0]}, "ValueError", "ValueError: no", "")
    return TaskResult(failures=[one])


def test_a_few_points_for_every_worker_are_tried() -> None:
    found = inference()
    assert [place(task) for task in tasks_of(found)] == list(range(2 * POINTS_PER_WORKER))
    assert not found.is_over


@pytest.mark.parametrize(
    ("back", "seconds", "has_waited", "is_ready"),
    [
        pytest.param([], 1.0, True, False, id="nothing is there"),
        pytest.param([0], 1e-6, False, True, id="the first, and points are cheap"),
        pytest.param([0], 1.0, False, False, id="the first, but no worker did a second point"),
        pytest.param([0, 1], 1.0, False, True, id="a second point shows the cost"),
        pytest.param([1, 2, 3, 4, 5, 6], 1.0, True, False, id="two are not there"),
        pytest.param([1, 2, 3, 4, 5, 6, 7], 1.0, False, False, id="the first may come yet"),
        pytest.param([1, 2, 3, 4, 5, 6, 7], 1.0, True, True, id="it keeps the others waiting"),
    ],
)
def test_the_first_point_decides_or_the_others_where_it_is_slow(
    back: list[int], seconds: float, has_waited: bool, is_ready: bool
) -> None:
    found = inference()
    tasks = tasks_of(found)
    for number in back:
        found.add(tasks[number], result(tasks[number], 1.5, seconds))
    assert found.is_ready(has_waited=has_waited) == is_ready


@given(st.permutations(range(2 * POINTS_PER_WORKER)), st.integers(1, 2 * POINTS_PER_WORKER))
def test_points_settle_alike_before_and_after_the_decision(order: list[int], n: int) -> None:
    found = inference()
    tasks = tasks_of(found)
    for number in order[:n]:
        assert found.add(tasks[number], result(tasks[number], number * 0.5)).values == ()
    coverage, indices = found.decide()
    before = {i: len(coverage.part(i).points) for i in indices}
    after = found.count_tried()
    assert sum(before.values()) - sum(len(after.part(i).points) for i in indices) == len(tasks)
    settled = list(found.settle_waiting().values)
    for number in order[n:]:
        settled += found.add(tasks[number], result(tasks[number], number * 0.5)).values
    values = np.full(20, np.nan)
    for one in settled:
        length = coverage.grid.chunk_shape[0]
        (offset,) = one.points.indices()[0]
        values[one.index[0] * length + offset] = one.arrays["value"][0]
    np.testing.assert_array_equal(values[:8], np.arange(8) * 0.5)
    assert np.isnan(values[8:]).all()
    assert found.is_over


def test_the_earliest_point_that_is_there_decides_the_dtype() -> None:
    found = inference()
    tasks = tasks_of(found)
    for number, value in ((5, 1), (2, 2.5), (3, 7)):
        found.add(tasks[number], result(tasks[number], value))
    coverage, _ = found.decide()
    assert coverage.grid.schema.outputs["value"].dtype == "float64"
    assert found.settle_waiting().n_misfits == 0


def test_a_result_that_does_not_fit_the_outputs_is_a_failure_with_its_point() -> None:
    found = inference()
    tasks = tasks_of(found)
    found.add(tasks[0], result(tasks[0], 1.5))
    found.add(tasks[3], result(tasks[3], "text"))
    found.decide()
    found.count_tried()
    settled = found.settle_waiting()
    assert settled.n_misfits == 1
    assert [dict(one.point) for one in settled.failures] == [{"x": 3}]
    late = found.add(tasks[4], result(tasks[4], "text"))
    assert [dict(one.point) for one in late.failures] == [{"x": 4}]


def test_where_all_points_fail_the_next_ones_are_tried_until_there_are_none() -> None:
    found = inference(n=10)
    tried = []
    while tasks := tasks_of(found):
        tried += [place(task) for task in tasks]
        for task in tasks:
            found.add(task, failure(task))
            assert not found.is_ready(has_waited=True)
    assert tried == list(range(10))
    assert found.is_over
    assert len(found.failures) == 10


def test_a_task_whose_worker_crashed_is_tried_again_alone_and_then_failed() -> None:
    found = inference()
    tasks = tasks_of(found)
    first, settled = found.add_crash(tasks[0], CRASH)
    assert (dict(first.point), settled.failures) == ({"x": 0}, ())
    assert found.next_task(2, 1, may_crash=False) is None
    again = found.next_task(2, 1)
    assert again is not None
    assert (again.is_isolated, place(again)) == (True, 0)
    found.add_crash(again, CRASH)
    assert [dict(one.point) for one in found.failures] == [{"x": 0}]
    assert found.next_task(2, 1) is None
