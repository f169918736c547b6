"""Workers of a pool share their work when one of them is idle."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from swarmgrid.process_pool import memory, pool
from swarmgrid.run_options import Limits


class Busy:
    """A worker that has work left for some seconds, and can be asked once."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked = 0

    def seconds_left(self) -> float:
        return 0.0 if self.asked else self.seconds

    def ask_to_share(self) -> None:
        self.asked += 1


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(pool, "WorkerProcess", Busy)
    made = pool.WorkerPool(b"", 4, Limits(), lambda: memory.Use(0.1, 10**9))
    yield made
    made._busy.clear()
    made.close()


def test_the_busiest_worker_is_asked_first_and_then_the_next(busy: Any) -> None:
    workers = [Busy(1.0), Busy(30.0), Busy(0.001)]
    busy._busy = set(workers)
    asked = []
    for _ in range(3):
        busy.relieve()
        asked.append([worker.asked for worker in workers])
    assert asked == [[0, 1, 0], [1, 1, 0], [1, 1, 0]]


def test_no_worker_is_asked_while_all_are_busy_or_memory_is_short(busy: Any) -> None:
    workers = [Busy(9.0) for _ in range(4)]
    busy._busy = set(workers)
    busy.relieve()
    busy._busy = set(workers[:2])
    with busy._change:
        busy._is_paused = True
        busy.relieve()
        busy._is_paused = False
    assert sum(worker.asked for worker in workers) == 0
    assert threading.active_count() > 1
