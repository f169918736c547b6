"""What is handed out again after a worker crashed, and how."""

from __future__ import annotations

import pytest

from swarmgrid.coordinator.attempts import Attempts
from swarmgrid.coordinator.crashes import aftermath
from swarmgrid.space.axis import to_axes
from swarmgrid.space.points import Piece, Points
from swarmgrid.transport.messages import Lost, Task

AXES = to_axes({"x": range(12)})
TASK = Task(
    tuple(Piece((i,), Points((4,)), is_fresh=True) for i in range(3)), (4,), None, writes=True
)


def places(pieces: tuple[Piece, ...]) -> list[int]:
    return [4 * p.index[0] + i for p in pieces for (i,) in p.points.indices().tolist()]


@pytest.mark.parametrize(
    ("lost", "is_block", "again", "parts", "alone"),
    [
        pytest.param(
            Lost("killed", 5), False, [0, 1, 2, 3, 8, 9, 10, 11], [4, 6, 7], [5], id="a point"
        ),
        pytest.param(
            Lost("killed", 5), True, [0, 1, 2, 3, 8, 9, 10, 11], [], [4, 5, 6, 7], id="a block"
        ),
        pytest.param(Lost("killed", None), False, [], [], list(range(12)), id="nobody knows"),
        pytest.param(
            Lost("MemoryError", 5, is_innocent=True), False, list(range(12)), [], [], id="innocent"
        ),
    ],
)
def test_the_point_at_fault_is_tried_alone_and_the_others_as_before(
    lost: Lost, is_block: bool, again: list[int], parts: list[int], alone: list[int]
) -> None:
    found = aftermath(TASK, lost, Attempts({}, retries=0), AXES, is_block=is_block)
    assert places(found.again) == again
    assert places(found.parts) == parts
    assert places(found.alone) == alone
    assert not found.is_final
    assert sorted(again + parts + alone) == list(range(12))


def test_a_second_crash_at_one_point_is_its_failure() -> None:
    attempts = Attempts({}, retries=0)
    lost = Lost("WorkerLostError: its worker was killed by SIGKILL", 0)
    alone = Task((Piece((1,), Points.at((2,)), is_fresh=False),), (4,), None, writes=False)
    first = aftermath(alone, lost, attempts, AXES, is_block=False)
    second = aftermath(alone, lost, attempts, AXES, is_block=False)
    assert (first.is_final, second.is_final) == (False, True)
    assert second.suspect is not None
    assert second.suspect.point == {"x": 6}
    assert second.alone == ()


@pytest.mark.parametrize(("retries", "tries"), [(0, 1), (2, 3)])
def test_a_time_limit_holds_for_every_try_that_the_user_wants(retries: int, tries: int) -> None:
    attempts = Attempts({}, retries)
    lost = Lost("TimeoutError: it took longer than 1 s", 0)
    results = [attempts.may_try_again(((0,), (0,)), lost) for _ in range(tries)]
    assert results == [True] * (tries - 1) + [False]
