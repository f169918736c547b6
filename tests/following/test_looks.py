"""A watch sees how far a run is, how fast, and how it ends; it looks seldom at rest."""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from swarmgrid.following.looks import PAUSE_SECONDS, Follower, Look, looks
from swarmgrid.inventory import objects
from swarmgrid.inventory.row import GridRow
from swarmgrid.store.blobs import Blobs
from swarmgrid.store.lease_record import LeaseRecord, record_key
from swarmgrid.store.location import to_location

ROW = GridRow("0" * 32, "f", "f", points_total=100, checksum="x")


class World:
    """A grid, its lease, and a clock that only sleeping moves."""

    def __init__(self, url: str) -> None:
        self.location = to_location(url)
        self.blobs: Blobs = self.location.open()
        self.now, self.row, self.pauses = 0.0, ROW, list[float]()
        self.steps: Iterator[Callable[[], None]] = iter(())
        self.follower = Follower(self.location, lambda: [self.row], lambda: self.now)

    def compute(self, n: int, failed: int = 0) -> None:
        self.row = self.row._replace(points_computed=n, points_failed=failed)
        self.blobs.put(f"{objects.FOLDER}{self.now}", b"a row")

    def hold(self, lease: LeaseRecord) -> None:
        self.blobs.put(record_key(self.row.grid, 1), lease.to_bytes())

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        next(self.steps, lambda: None)()

    def watch(self, *steps: Callable[[], None]) -> list[Look]:
        """The looks at the grid while these things happen, one in each pause."""
        self.steps = iter(steps)
        found = []
        for (one,) in looks(self.follower, self.sleep):
            found.append(one)
            assert len(found) < 1000, "the watch does not end"
        return found


@pytest.fixture
def world(new_memory_store: Callable[[], str]) -> World:
    return World(new_memory_store())


HERE = LeaseRecord.of_this_process(30)
ELSEWHERE = replace(HERE, host="far", pid=1, beat=1)
DEAD = replace(HERE, pid=2**22 + 1, started=f"1 {HERE.started.partition(' ')[2]}")


def test_a_run_is_followed_to_its_end(world: World) -> None:
    world.hold(HERE)

    def ends() -> None:
        world.compute(60)
        world.hold(replace(HERE, released=True))

    found = world.watch(lambda: world.compute(10), lambda: world.compute(40), ends)
    assert [one.state for one in found] == ["running", "running", "running", "partial"]
    assert [one.rate for one in found] == [None, 10.0, 20.0, 20.0]
    assert found[2].seconds_left == 3.0
    assert found[3].seconds_left is None
    assert world.pauses == [PAUSE_SECONDS] * 3


def test_it_waits_for_a_run_that_has_not_begun(world: World) -> None:
    def begins() -> None:
        world.hold(HERE)

    def ends() -> None:
        world.compute(100)
        world.hold(replace(HERE, released=True))

    nothing = [lambda: None] * 12
    found = world.watch(*nothing, begins, ends)
    assert [one.state for one in found[:13]] == ["partial"] * 13
    assert [one.state for one in found[13:]] == ["running", "complete"]
    assert world.pauses == [PAUSE_SECONDS] * 14


def test_a_whole_grid_is_not_waited_for(world: World) -> None:
    world.compute(99, failed=1)
    (one,) = world.watch()
    assert one.state == "failed"


def test_a_killed_process_is_told_from_one_at_work(world: World) -> None:
    assert os.getpid() != DEAD.pid
    assert socket.gethostname() == DEAD.host
    world.hold(HERE)
    found = world.watch(lambda: world.hold(DEAD))
    assert [one.state for one in found] == ["running", "killed"]


def test_a_process_elsewhere_counts_as_killed_when_it_shows_no_sign_of_life(world: World) -> None:
    world.hold(ELSEWHERE)
    beats = [(lambda n=n: world.hold(replace(ELSEWHERE, beat=n))) for n in range(2, 10)]
    found = world.watch(*beats)
    assert [one.state for one in found[:9]] == ["held", *["running"] * 8]
    assert found[-1].state == "killed"
    assert world.now > ELSEWHERE.seconds


def test_a_rate_is_that_of_late(world: World) -> None:
    world.hold(HERE)

    def goes_on(n: int) -> None:
        world.compute(n)
        world.hold(replace(HERE, beat=n))

    steps: list[Any] = [functools.partial(goes_on, n) for n in range(1, 81)]
    found = world.watch(*steps, lambda: world.hold(replace(HERE, released=True)))
    assert found[80].rate == pytest.approx(1.0)
    assert len(world.follower._points[ROW.grid]) < 70


def test_a_damaged_grid_is_no_reason_to_stop(world: World) -> None:
    world.row = ROW._replace(checksum="", points_total=0)
    (one,) = world.watch()
    assert one.state == "damaged"


def test_the_time_left_is_what_the_run_itself_expects(world: World) -> None:
    world.hold(HERE)

    def beats() -> None:
        world.compute(50)
        world.hold(replace(HERE, beat=1, seconds_left=100.0))

    found = world.watch(
        lambda: world.compute(10),
        beats,
        lambda: None,
        lambda: world.hold(replace(HERE, released=True)),
    )
    assert [one.seconds_left for one in found[:2]] == [None, pytest.approx(90 / 10)]
    assert found[2].seconds_left == 100.0
    assert found[3].seconds_left == 100.0 - (world.pauses[2])
    assert found[-1].seconds_left is None
