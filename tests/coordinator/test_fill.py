"""A run that another process overtakes waits for that one, and goes on with what is missing."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import MemoryStore, WrapperStore

import swarmgrid
from swarmgrid.coordinator.fill import MAX_VAIN
from swarmgrid.leases.lease import acquire
from swarmgrid.store.blobs import writing
from swarmgrid.store.layout import GridPath
from swarmgrid.store.lease_record import epochs, record_key
from swarmgrid.store.location import Location, to_location
from tests.waiting import PATIENCE, wait_until

N = 12
AXES = {"x": range(N)}


def options_of(func: Callable[[int], float], **changed: Any) -> dict[str, Any]:
    """Options of a run that stores each point at once."""
    options: dict[str, Any] = {"func": func, "version": "1", "verbose": 0, "executor": "sync"}
    return options | {"chunks": 1, "flush_interval": 0.001} | changed


def path_of(location: Location) -> GridPath:
    (grid,) = [name for name in location.open().names("locks/") if len(name) == 32]
    return GridPath("slow", grid)


def overtake(location: Location) -> None:
    """Take the one grid of a store over, as another process does, and give it back."""
    ticks = itertools.count(0, 10_000)  # by whose clock the owner is silent

    def take() -> None:
        acquire(location, path_of(location), clock=lambda: float(next(ticks))).release()

    thread = threading.Thread(target=take)  # no part of the run that this is called in
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def is_noticed(again: Callable[[], None] = lambda: None) -> bool:
    """Whether the run has seen that its lease is lost, of which a heartbeat may know nothing."""
    again()
    return all(thread.name != "swarmgrid-lease" for thread in threading.enumerate())


def stored(location: Location) -> set[int]:
    """The points that are stored."""
    grid = swarmgrid.Grid.open(location.store or location.url, "slow/")
    return set(grid.dataset()["value"].to_series().dropna().index)


def is_begun(location: Location) -> bool:
    """Whether a point is committed."""
    names = location.open().names(path_of(location).manifest)
    return any(name.endswith(".seg") for name in names)


@pytest.fixture(params=["directory", "memory"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    return to_location(tmp_path / "s" if request.param == "directory" else MemoryStore())


def test_an_overtaken_run_goes_on_and_keeps_what_was_committed(
    home: Location, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []
    kept: dict[int, int] = {}
    overtaken_at: list[int] = []

    def slow(x: int) -> float:
        calls.append(x)
        # the first run may come as far as 9, before its thread that writes stops it
        if (x, calls.count(4)) in {(4, 1), (9, 2)} and x not in overtaken_at:
            overtaken_at.append(x)
            wait_until(lambda: is_begun(home))
            overtake(home)
            wait_until(is_noticed)
            kept.update({x: calls.count(x) for x in stored(home)})
        return x * 2.0

    options = options_of(slow, store=home.store or home.url, lease_seconds=0.04)
    ds = swarmgrid.compute(axes=AXES, **options)
    assert ds["value"].values.tolist() == [x * 2.0 for x in AXES["x"]]
    assert caplog.text.count("has overtaken the run") == 2
    n_calls = Counter(calls)
    assert kept
    assert {x: n_calls[x] for x in kept} == kept, "what was committed is computed again"
    assert n_calls[4] >= 2  # one time more, where the second run was slow to commit it
    assert max(n_calls.values()) <= 3
    assert swarmgrid.Grid.open(options["store"], "slow/").verify().is_clean


class Sleepy(WrapperStore[Any]):
    """A store that another process takes over while a request is under way, which then fails."""

    then: Callable[[], None] | None = None

    async def set(self, key: str, value: Any) -> None:
        if self.then is not None and "/value/c" in key:
            then, self.then = self.then, None
            thread = threading.Thread(target=then)
            thread.start()
            while thread.is_alive():
                await _moment()
            raise TimeoutError("30 s are over")
        await self._store.set(key, value)


async def _moment() -> None:
    import asyncio

    await asyncio.sleep(0.005)


def test_a_request_that_fails_since_its_process_slept_ends_no_overtaken_run() -> None:
    home = to_location(Sleepy(MemoryStore()))

    def slow(x: int) -> float:
        if x == 5 and not is_armed:
            is_armed.append(True)
            wait_until(lambda: is_begun(home))
            home.store.then = lambda: overtake(home)
        return float(x)

    is_armed: list[bool] = []
    ds = swarmgrid.compute(axes=AXES, **options_of(slow, store=home.store))
    assert home.store.then is None
    assert ds["value"].values.tolist() == list(range(N))


def test_a_failing_request_of_a_run_that_was_not_overtaken_ends_it() -> None:
    home = to_location(Sleepy(MemoryStore()))
    home.store.then = lambda: None

    def slow(x: int) -> float:
        return float(x)

    with pytest.raises(swarmgrid.StoreError, match="30 s are over"):
        swarmgrid.compute(axes=AXES, **options_of(slow, store=home.store))


def test_runs_do_not_take_a_grid_from_each_other_for_ever(tmp_path: Path) -> None:
    home = to_location(tmp_path)
    calls: list[int] = []

    def slow(x: int) -> float:
        calls.append(x)
        overtake(home)
        return float(x)

    with pytest.raises(swarmgrid.LeaseLostError, match="call compute again"):
        swarmgrid.compute(axes={"x": [1]}, **options_of(slow, store=tmp_path))
    assert len(calls) == MAX_VAIN


def test_a_run_whose_lease_was_deleted_is_not_begun_anew(tmp_path: Path) -> None:
    """Whoever deletes a store, or a part of it, does not want it back."""
    home = to_location(tmp_path)
    calls: list[int] = []

    def slow(x: int) -> float:
        calls.append(x)
        if x == 4:
            wait_until(lambda: is_begun(home))
            wait_until(lambda: is_noticed(delete_lease))
        return float(x)

    def delete_lease() -> None:
        blobs, grid = home.open(), path_of(home).grid
        with writing(blobs):
            for epoch in epochs(blobs, grid):
                blobs.delete(record_key(grid, epoch))

    with pytest.raises(swarmgrid.LeaseLostError, match="was deleted"):
        swarmgrid.compute(axes=AXES, **options_of(slow, store=tmp_path, lease_seconds=0.04))
    assert max(Counter(calls).values()) == 1
