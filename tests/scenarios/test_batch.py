"""Tasks are cut when they begin; what comes back is divided among the workers."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import pytest

from swarmgrid.coordinator.queue import TASK_SECONDS, Batcher
from swarmgrid.executors import pool
from swarmgrid.run_options import Limits
from swarmgrid.space.points import Piece, Points


def piece(number: int, n: int) -> Piece:
    return Piece((number,), Points((n,)), is_fresh=True)


def batcher(pieces: Iterable[Piece], *, cost: float, n_workers: int = 2) -> Batcher:
    pieces = list(pieces)
    split: set[tuple[int, ...]] = set()
    made = Batcher(
        iter(pieces),
        sum(len(p.points) for p in pieces),
        cost=lambda: cost,
        points_per_task=None,
        may_split=True,
        on_split=lambda p: split.add(p.index),
        is_split=lambda index: index in split,
    )
    made.suit(n_workers=n_workers, may_write=True, is_isolating=True)
    return made


def sizes(made: Batcher) -> list[int]:
    found = []
    while (batch := made.take()) is not None:
        found.append(sum(len(p.points) for p in batch.pieces))
        made.returned()
    return found


def test_tasks_take_their_time_and_become_smaller_at_the_end() -> None:
    found = sizes(batcher([piece(i, 10) for i in range(100)], cost=0.01))
    assert sum(found) == 1000
    assert found[0] == TASK_SECONDS / 0.01
    assert found[-1] == 1


def test_many_workers_get_longer_tasks_which_do_not_end_all_at_once() -> None:
    made = batcher([piece(0, 30_000)], cost=0.1)
    made.suit(n_workers=100, may_write=True, is_isolating=False, seconds=2.0, short_seconds=1.0)
    found = sizes(made)
    assert sum(found) == 30_000  # 30 s of work for each
    assert len(found) < 30 * 70  # what a scheduler can see to meanwhile, and more
    first = found[:100]
    assert (min(first), max(first)) == (10, 29)
    assert len(set(first)) == 20
    assert min(found[:-1]) == 10


def test_what_comes_back_is_divided_among_the_workers() -> None:
    made = batcher([piece(0, 40)], cost=1e-6)
    assert sum(len(p.points) for p in made.take().pieces) == 40  # type: ignore[union-attr]
    made.put_back([piece(0, 31)], writes=True)
    made.returned()
    assert sizes(made) == [16, 15]


def test_what_is_not_of_it_is_not_divided_so() -> None:
    made = batcher([piece(0, 10), piece(1, 10_000), piece(2, 10_000)], cost=1e-5, n_workers=64)
    made.take()
    made.put_back([piece(0, 1)], writes=True)
    made.returned()
    assert sizes(made)[:3] == [1, 999, 999]


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
    made = pool.WorkerPool(b"", 4, Limits(), lambda: pool.memory.Use(0.1, 10**9))
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


def test_nobody_is_asked_while_all_are_busy_or_memory_is_short(busy: Any) -> None:
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
