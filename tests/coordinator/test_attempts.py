"""What is handed out again after a worker crashed, and how."""

from __future__ import annotations

import pytest

from swarmgrid.coordinator.attempts import Attempts, aftermath
from swarmgrid.space.axis import to_axes
from swarmgrid.space.points import ChunkPart, Points
from swarmgrid.transport.messages import Task, WorkerCrash

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
    results = [attempts.may_try_again(((0,), (0,)), crash) for _ in range(tries)]
    assert results == [True] * (tries - 1) + [False]
