"""Whatever is done to a grid, its snapshots read the same: what changes a chunk keeps it first."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid import Grid
from swarmgrid.leases import lease
from tests.conftest import Killed
from tests.long import examples, first

TURN = [0]
"""The number of the step: whatever is computed in it has values that say so."""


def noisy(x: int, y: int) -> dict[str, Any]:
    """Is another function at every step, as one that draws, or calls what no fingerprint knows."""
    return {"whole": x * y + 1000 * TURN[0], "text": f"{x} in {TURN[0]}"}


def function(store: Any) -> Any:
    options: dict[str, Any] = {"executor": "sync", "verbose": 0, "version": "1"}
    return swarmgrid.GridFunction(noisy, store=store, chunks=None, **options)


class History:
    """A grid, what it holds by labels, and what each of its snapshots held."""

    def __init__(self, archive: Path) -> None:
        TURN[0] = 0
        self.store, self.archive = MemoryStore(), archive
        self.key: Any = None
        swarmgrid.stream({}, {"x": range(5), "y": [1, 2]}, func=noisy, store=self.store,
            version="1", executor="sync", verbose=0, chunks={"x": 4})  # fmt: skip
        self.grid = Grid.open(self.store, "noisy/")
        self.taken: dict[str, xr.Dataset] = {}

    def do(self, step: str, n: int) -> None:
        TURN[0] += 1
        getattr(self, f"_{step}")(n)

    def check(self) -> None:
        for name, then in self.taken.items():
            assert self.grid.dataset(at=name).load().identical(then), name

    def _compute(self, n: int) -> None:
        function(self.store).stream({}, {"x": range(n), "y": [1, 2]})

    def _put(self, n: int) -> None:
        f = function(self.store)
        f.put_many({(x, 2): noisy(x, 2) for x in range(n + 2)}, on_conflict="keep")

    def _merge(self, n: int) -> None:
        other = MemoryStore()
        function(other).stream({}, {"x": [n, n + 1], "y": [2, 1]})
        swarmgrid.merge(other, self.store, on_conflict="keep")

    def _publish(self, n: int) -> None:
        mine = swarmgrid.scope("a", self.store)
        with mine:
            function(self.store).stream({}, {"x": [n, TURN[0] + 100], "y": [1, 2]})
            self.grid.snapshot("of the scope")
            self.grid.delete(x=TURN[0] + 100, y=1)
        mine.publish(on_conflict="keep")
        mine.discard()

    def _delete(self, n: int) -> None:
        self.grid.delete(x=self._label(n), y=[1 + n % 2])

    def _invalidate(self, n: int) -> None:
        self.grid.invalidate(x=self._label(n))

    def _label(self, n: int) -> int:
        labels = self.grid.dataset()["x"].values
        return int(labels[n % len(labels)])

    def _rechunk(self, n: int) -> None:
        self.grid.rechunk(chunks={"x": n % 3 + 1}, sort=n % 2 == 1)

    def _compress(self, n: int) -> None:
        self.grid.compress(level=n)

    def _convert(self, _: int) -> None:
        with contextlib.suppress(swarmgrid.InputError):  # of an output with other codecs
            self.grid.convert("whole", "float64")

    def _rotate(self, n: int) -> None:
        pytest.importorskip("cryptography")
        self.key = swarmgrid.Key.generate() if n % 3 else None
        self.grid.rotate(self.key)

    def _archive(self, _: int) -> None:
        if self.key is None:
            self.grid.archive(self.archive)
            self.grid.thaw()

    def _tear(self, n: int) -> None:
        """Tear a segment of the manifest: its points count as not computed."""
        data = self.store._store_dict
        torn = sorted(key for key in data if key.startswith("manifest/") and ".seg" in key)
        if torn:
            data[torn[n % len(torn)]] = default_buffer_prototype().buffer.from_bytes(b"torn")

    def _repair(self, _: int) -> None:
        self.grid.repair()

    def _prune(self, _: int) -> None:
        if self.taken:  # else the grid goes
            swarmgrid.prune(self.store, max_bytes=0, dry_run=False)

    def _snapshot(self, n: int) -> None:
        if n % 4 == 3:
            self.grid.snapshot("expires at once", expires=0)
            return
        taken = self.grid.snapshot(tags=["kept"])
        self.taken[taken.id] = self.grid.dataset().load()

    def _restore(self, n: int) -> None:
        if self.taken:
            name = list(self.taken)[n % len(self.taken)]
            self.grid.restore(name)
            now, then = self.grid.dataset().load(), self.taken[name]
            assert len(self.grid.diff(name)) == 0
            assert all(int(now[v].count()) == int(then[v].count()) for v in then)

    def _drop_snapshot(self, n: int) -> None:
        if self.taken:
            name = list(self.taken)[n % len(self.taken)]
            self.grid.delete_snapshot(name)
            del self.taken[name]


STEPS = [name.removeprefix("_") for name in vars(History) if name[0] == "_" and name[1] != "_"]
STEPS.remove("label")
OFTEN = ["compute", "snapshot", "restore", "snapshot", "compute"]


@pytest.mark.long
@settings(max_examples=examples(40))
@given(
    st.lists(st.tuples(st.sampled_from(STEPS + OFTEN), st.integers(0, 9)), min_size=3, max_size=9)
)
def test_snapshots_hold_through_any_history(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    history = History(tmp_path_factory.mktemp("archive"))
    for step, n in [("snapshot", 0), *steps, ("compute", 9), ("compute", 12)]:
        history.do(step, n)
        history.check()
    history.do("repair", 0)
    assert history.grid.verify().is_clean
    history.check()
    kept = {one.id for one in history.grid.snapshots() if not one.is_expired(one.time)}
    assert kept >= {*history.taken}  # publishing what the shared store lost brings others


def tear(history: History) -> History:
    data = history.store._store_dict
    for key in data:
        if key.startswith("manifest/") and key.endswith(".seg"):
            data[key] = default_buffer_prototype().buffer.from_bytes(b"torn")
    return history


def lose_document(history: History) -> History:
    """Lose what says which values the axes have, and its copies."""
    data = history.store._store_dict
    for key in list(data):
        if f"noisy/{history.grid.id}/x/" in key or "/copy" in key:
            del data[key]
    return history


VANISH: dict[str, Callable[[History], Any]] = {
    "restored": lambda h: h.do("restore", 0),
    "torn": tear,
    "torn and repaired": lambda h: tear(h).do("repair", 0),
    "lost": lambda h: lose_document(h).do("repair", 0),
}


@pytest.mark.parametrize("name", VANISH)
@pytest.mark.parametrize("again", first(1, ["compute", "put", "merge"]))
def test_a_snapshot_outlives_rows_that_vanish(name: str, again: str, tmp_path: Path) -> None:
    history = History(tmp_path)
    history.do("snapshot", 0)
    history.do("compute", 8)
    history.do("snapshot", 0)
    history.check()
    VANISH[name](history)
    history.check()
    history.do(again, 10)  # with other values
    history.do("compute", 10)
    history.check()
    assert not np.isin(2 + 1000 * np.arange(2), history.grid.dataset()["whole"].sel(x=5)).all()
    last = list(history.taken)[-1]
    history.grid.restore(last)
    then = history.taken[last]
    assert history.grid.dataset().sel(x=then.x, y=then.y)["text"].load().equals(then["text"])


def test_a_kill_while_a_grid_is_dropped_leaves_no_snapshot_without_chunks(
    tmp_path: Path, kill_at: Callable[[int], None]
) -> None:
    for k in itertools.count(1, 4):
        store = tmp_path / str(k)
        function(store).stream({}, {"x": [1], "y": [1]})
        grid = Grid.open(store, "noisy/")
        grid.snapshot("one")
        then = grid.dataset().load()
        kill_at(k)
        try:
            grid.drop(snapshots=True)
            break
        except Killed:
            pass
        finally:
            kill_at(-1)
            lease._own.clear()  # as in a process that has ended
        for _ in grid.snapshots():
            assert grid.dataset(at="one").identical(then)
    assert k > 5
    assert not (store / "snapshots" / grid.id).exists()
