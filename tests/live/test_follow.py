"""A follower sees what a fresh look sees, and reads only what is new."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swarmgrid
from swarmgrid.live.follow import GridFollower
from swarmgrid.pictures.chunk_map import grid_map
from swarmgrid.pictures.reading import read_look
from swarmgrid.store.directory import FileBlobs
from swarmgrid.store.layout import GridPath

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0, "on_error": "record"}


def partly(x: int, y: int, bad: int = 3) -> float:
    if x == bad:
        raise ValueError("no")
    return float(x * y)


class Counted(FileBlobs):
    """Counts what is asked of a directory."""

    calls: Counter[str]

    def names(self, prefix: str) -> list[str]:
        self.calls["names"] += 1
        return super().names(prefix)

    def get_many(self, keys: Any, *args: Any) -> Any:
        self.calls["get"] += len(keys)
        return super().get_many(keys, *args)

    def get(self, key: str, *args: Any) -> Any:
        self.calls["get"] += 1
        return super().get(key, *args)


def followed(store: Path) -> tuple[GridFollower, Counted]:
    blobs = Counted(str(store))
    blobs.calls = Counter()
    row = swarmgrid.catalog(store).rows[0]
    return GridFollower(blobs, GridPath(row.folder, row.grid)), blobs


def check_same(follower: GridFollower, store: Path) -> None:
    """The follower's map is that of a fresh look."""
    found = follower.look()
    fresh = read_look(FileBlobs(str(store)), follower.path)
    assert found is not None
    assert fresh is not None
    cells = grid_map(fresh.state.grid, fresh.state.manifest, fresh.failures)
    for name in ("total", "computed", "failed", "seconds"):
        np.testing.assert_allclose(getattr(found.cells, name), getattr(cells, name))
    assert [f.place for f in found.failures] == [f.place for f in fresh.failures]


def test_a_follower_keeps_up_with_growth_failures_deletion_and_compaction(tmp_path: Path) -> None:
    store = tmp_path / "cache"

    def stream(x: Any, y: Any) -> None:
        swarmgrid.stream(partly, {"bad": 3}, {"x": x, "y": y}, store=store, version="1", **OPTIONS)

    stream(range(2), range(3))
    follower, _ = followed(store)
    check_same(follower, store)
    for n in range(3, 13):  # more rounds than segments stay
        stream(range(n), range(3))
        check_same(follower, store)
    stream(range(5), range(7))
    check_same(follower, store)
    grid = swarmgrid.catalog(store)["partly/"]
    grid.delete(x=[1, 2])
    check_same(follower, store)
    grid.invalidate(y=[0])
    check_same(follower, store)
    revision = follower.look().revision
    assert follower.look().revision == revision
    grid.drop()
    assert follower.look() is None
    stream([9], [9])
    check_same(follower, store)


def test_a_look_at_what_has_not_changed_is_two_listings_and_the_lease(tmp_path: Path) -> None:
    store = tmp_path / "cache"
    swarmgrid.stream(partly, {"bad": 3}, {"x": range(4), "y": range(3)}, store=store, **OPTIONS)
    follower, blobs = followed(store)
    assert follower.look().counts == (12, 9, 3)
    blobs.calls.clear()
    for _ in range(5):
        assert follower.look().counts == (12, 9, 3)
    assert blobs.calls == {"names": 10, "get": 5}


def test_a_follower_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "cache"
    swarmgrid.stream(partly, {"bad": 3}, {"x": range(4), "y": range(3)}, store=store, **OPTIONS)
    before = {p: p.stat().st_mtime_ns for p in store.rglob("*")}
    follower, _ = followed(store)
    follower.look()
    assert {p: p.stat().st_mtime_ns for p in store.rglob("*")} == before
