"""Points that fail or crash their worker: what is tried again, how, and what becomes of it."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.errors import OutputError, PointError, WorkerLostError
from swarmgrid.policies.attempts import Attempts, aftermath, to_error, to_record
from swarmgrid.space.axis import to_axes
from swarmgrid.space.points import ChunkPart, Points
from swarmgrid.transport.messages import Failure, Task, WorkerCrash

if TYPE_CHECKING:
    from swarmgrid.transport.messages import FailureKind

AXES = to_axes({"x": range(12)})
TASK = Task(
    tuple(ChunkPart((i,), Points((4,)), is_fresh=True) for i in range(3)), (4,), None, writes=True
)


def places(parts: tuple[ChunkPart, ...]) -> list[int]:
    return [4 * p.index[0] + i for p in parts for (i,) in p.points.indices().tolist()]


@pytest.mark.parametrize(
    ("crash", "is_block", "again", "parts", "isolated"),
    [
        pytest.param(
            WorkerCrash("ended", "killed", 5),
            False,
            [0, 1, 2, 3, 8, 9, 10, 11],
            [4, 6, 7],
            [5],
            id="a point",
        ),
        pytest.param(
            WorkerCrash("ended", "killed", 5),
            True,
            [0, 1, 2, 3, 8, 9, 10, 11],
            [],
            [4, 5, 6, 7],
            id="a block",
        ),
        pytest.param(
            WorkerCrash("ended", "killed", None), False, [], [], list(range(12)), id="nobody knows"
        ),
        pytest.param(
            WorkerCrash("memory", "short", 5, is_at_fault=False),
            False,
            list(range(12)),
            [],
            [],
            id="not at fault",
        ),
    ],
)
def test_the_point_at_fault_is_tried_alone_and_the_others_as_before(
    crash: WorkerCrash, is_block: bool, again: list[int], parts: list[int], isolated: list[int]
) -> None:
    found = aftermath(TASK, crash, Attempts({}, retries=0), AXES, is_block=is_block)
    assert places(found.again) == again
    assert places(found.divided_parts) == parts
    assert places(found.isolated) == isolated
    assert not found.is_final
    assert sorted(again + parts + isolated) == list(range(12))


def test_a_second_crash_at_one_point_is_its_failure() -> None:
    attempts = Attempts({}, retries=0)
    crash = WorkerCrash("ended", "its worker was killed by SIGKILL", 0)
    isolated = Task((ChunkPart((1,), Points.at((2,)), is_fresh=False),), (4,), None, writes=False)
    first = aftermath(isolated, crash, attempts, AXES, is_block=False)
    second = aftermath(isolated, crash, attempts, AXES, is_block=False)
    assert (first.is_final, second.is_final) == (False, True)
    assert second.crashed_at is not None
    assert second.crashed_at.point == {"x": 6}
    assert second.isolated == ()


@pytest.mark.parametrize(("retries", "tries"), [(0, 1), (2, 3)])
def test_a_time_limit_holds_for_every_try_that_the_user_wants(retries: int, tries: int) -> None:
    attempts = Attempts({}, retries)
    crash = WorkerCrash("timeout", "it took longer than 1 s", 0)
    results = [attempts.count_crash(((0,), (0,)), crash) for _ in range(tries)]
    assert results == [True] * (tries - 1) + [False]


@pytest.mark.parametrize("is_block", [False, True])
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3), data=st.data())
def test_no_point_is_lost_or_handed_out_twice_after_a_crash(
    is_block: bool, sizes: list[int], data: st.DataObject
) -> None:
    parts = tuple(ChunkPart((i,), Points((n,)), is_fresh=True) for i, n in enumerate(sizes))
    task = Task(parts, (4,), None, writes=True)
    begun = data.draw(st.none() | st.integers(0, sum(sizes) - 1))
    crash = WorkerCrash("ended", "killed", begun, is_at_fault=data.draw(st.booleans()))
    found = aftermath(
        task, crash, Attempts({}, data.draw(st.integers(0, 2))), AXES, is_block=is_block
    )
    handed_out = places(found.again) + places(found.divided_parts) + places(found.isolated)
    assert sorted(handed_out) == sorted(places(parts))
    # points that come back in parts are written by the coordinator, in chunks of the same task
    assert set(places(found.divided_parts) + places(found.isolated)) <= set(places(found.divided))


@pytest.mark.parametrize(
    ("earlier", "failures", "numbers"),
    [
        pytest.param({}, [0, 0, 0], [1, 2, 3], id="each attempt of a run counts"),
        pytest.param({}, [0, 1, 0], [1, 1, 2], id="points count apart"),
        pytest.param({0: 4}, [0, 1], [5, 1], id="those of earlier runs count, too"),
    ],
)
def test_the_attempts_at_a_point_are_numbered(
    earlier: dict[int, int], failures: list[int], numbers: list[int]
) -> None:
    before = {((0,), (i,)): to_record(failed(i, attempt=n)) for i, n in earlier.items()}
    attempts = Attempts(before, retries=0)
    assert [attempts.number(failed(i)).attempt for i in failures] == numbers


def failed(i: int, **members: Any) -> Failure:
    return Failure((0,), (i,), {"x": i}, "ValueError", "ValueError: no", "", **members)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("raised", PointError),
        ("misfit", OutputError),
        ("ended", WorkerLostError),
        ("timeout", PointError),
        ("memory", PointError),
    ],
)
def test_the_kind_of_a_failure_decides_its_error_and_no_text_does(
    kind: FailureKind, error: type[PointError]
) -> None:
    # the function's own exception may have any name
    failure = replace(failed(3, kind=kind), exception="OutputError", reason="WorkerLostError: x")
    found = to_error(failure, "f")
    assert type(found) is error
    assert found.__cause__ is None


def test_the_exception_of_the_function_is_the_cause_where_it_travels() -> None:
    whole = to_error(failed(3, pickled=pickle.dumps(KeyError("a"))), "f")
    assert repr(whole.__cause__) == "KeyError('a')"
    torn = to_error(failed(3, pickled=b"\x80\x05torn"), "f")
    assert torn.__cause__ is None
    assert "ValueError: no" in str(torn)


def test_a_failure_is_stored_with_plain_values_and_the_points_of_its_block() -> None:
    block = Points((2,))
    record = to_record(replace(failed(0, block=block), point={"x": np.int64(7), "y": "a"}))
    assert record.point == {"x": 7, "y": "a"}
    assert type(record.point["x"]) is int
    assert record.points == block
    assert to_record(failed(1)).points == Points.at((1,))
