"""A heartbeat says the same in a list, in shared memory, and in a view of that."""

from __future__ import annotations

import multiprocessing
from typing import Any

import pytest

from swarmgrid.worker.heartbeat import N_FLOATS, Heartbeat, Stop


def in_shared_memory() -> Any:
    return multiprocessing.get_context("spawn").RawArray("d", N_FLOATS)


@pytest.fixture(params=["list", "shared memory", "view"])
def heartbeat(request: pytest.FixtureRequest) -> Heartbeat:
    if request.param == "list":
        return Heartbeat()
    shared = in_shared_memory()
    return Heartbeat(
        shared if request.param == "shared memory" else memoryview(shared).cast("B").cast("d")
    )


def test_the_point_is_shown_in_a_call_and_the_next_one_between_two(heartbeat: Heartbeat) -> None:
    heartbeat.pause_before(0)
    assert (heartbeat.point, heartbeat.next_point, heartbeat.is_calling) == (None, 0, False)
    for ordinal in (0, 1, 10**6):
        heartbeat.begin(ordinal)
        assert (heartbeat.point, heartbeat.next_point) == (ordinal, ordinal)
        assert heartbeat.is_calling
        heartbeat.pause_before(ordinal + 1)
        assert (heartbeat.point, heartbeat.next_point) == (None, ordinal + 1)


def test_every_attempt_is_another_beat(heartbeat: Heartbeat) -> None:
    heartbeat.begin(3)
    beats = []
    for attempt in (1, 2):
        heartbeat.begin_attempt(attempt)
        assert not heartbeat.is_paused
        beats.append(heartbeat.beat)
        heartbeat.pause_attempts()
        assert heartbeat.is_paused
        beats.append(heartbeat.beat)
    assert len(set(beats)) == 3
    assert heartbeat.point == 3


@pytest.mark.parametrize("why", list(Stop))
@pytest.mark.parametrize("before", list(Stop))
def test_that_a_task_is_late_gives_way_to_any_other_reason(
    heartbeat: Heartbeat, before: Stop, why: Stop
) -> None:
    heartbeat.request_stop(before)
    heartbeat.request_stop(why)
    kept = before if why is Stop.TASK_LATE and before is not Stop.NONE else why
    assert heartbeat.stop is kept
    heartbeat.end_task()
    assert heartbeat.stop is (Stop.NONE if kept is Stop.TASK_LATE else kept)


def test_what_one_side_writes_the_other_reads() -> None:
    shared = in_shared_memory()
    worker = Heartbeat(memoryview(shared).cast("B").cast("d"))
    watcher = Heartbeat(shared)
    worker.begin(7)
    watcher.request_stop(Stop.RUN_ENDS)
    assert watcher.point == 7
    assert worker.stop is Stop.RUN_ENDS
