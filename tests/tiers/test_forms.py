"""Copies of a grid go when it has another layout or key since, or is deleted."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid import Grid, Tiered, TierPolicy
from swarmgrid.tiers import disk
from swarmgrid.tiers.disk import DiskTier
from tests.tiers.test_disk import Killed
from tests.tiers.test_tiered import fill, opened

PLAIN = np.float64(17.0).tobytes()
"""The bytes of a value, in copies that are neither compressed nor encrypted."""


def secret(x: int) -> float:
    return 17.0


def secrets(store: Any, **options: Any) -> Any:
    return swarmgrid.GridFunction(
        secret, store=store, executor="sync", version="1", verbose=0, chunks=2, **options
    )


def files(folder: Path) -> set[tuple[str, bytes]]:
    return {(path.name, path.read_bytes()) for path in folder.glob("??/*.copy")}


def has_plain(folder: Path) -> bool:
    return any(PLAIN in data for _, data in files(folder))


@pytest.fixture
def key() -> Any:
    pytest.importorskip("cryptography")
    return swarmgrid.Key.generate()


def make_anew(grid: Grid, key: Any) -> None:
    grid.drop()
    secrets(grid._ref.location, key=key).stream(axes={"x": range(4)})


CHANGES: dict[str, Callable[[Grid, Any], Any]] = {
    "encrypted": lambda grid, key: grid.rotate(key),
    "laid out anew": lambda grid, _: grid.rechunk(chunks={"x": 3}),
    "deleted and made anew": make_anew,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("ram", ["1MB", ("1MB", "decoded")])
def test_what_another_host_changed_leaves_no_old_copy_here(
    tmp_path: Path, key: Any, change: str, ram: Any
) -> None:
    home = MemoryStore()
    here, beside = (Tiered(home, ram=ram, disk=(tmp_path, "1MB", [])) for _ in range(2))
    secrets(home).stream(axes={"x": range(4)})
    grids = [Grid.open(store, "secret/", key=key) for store in (here, beside)]
    fill(here, 8)  # another grid, whose copies stay
    opened(here, 8).load()
    others = files(tmp_path)
    for grid in grids:
        grid.dataset().load()
    assert has_plain(tmp_path)
    before = files(tmp_path) - others
    CHANGES[change](Grid.open(home, "secret/"), key)
    grids[0].dataset()  # opened, and not read
    assert not files(tmp_path) & before
    assert files(tmp_path) >= others
    assert here.metrics()["ram"].copies == len(others)
    assert grids[1].dataset()["value"].values.tolist() == [17.0] * 4
    assert has_plain(tmp_path) == (change == "laid out anew")
    assert beside.metrics()["ram"].copies == 2
    hits = here.metrics()["home"].hits
    assert opened(here, 8).load()["value"].sum() == 28 * 3
    assert here.metrics()["home"].hits == hits


def test_what_this_process_rotates_leaves_no_old_copy_at_once(tmp_path: Path, key: Any) -> None:
    home = MemoryStore()
    store = Tiered(home, ram="1MB", disk=(tmp_path, "1MB", []))
    secrets(store).stream(axes={"x": range(4)})
    grid = Grid.open(store, "secret/", key=key)
    grid.dataset().load()
    Grid.open(home, "secret/").delete(x=[0, 1])  # a chunk that home does not have any more
    assert has_plain(tmp_path)
    grid.rotate(key)
    assert not has_plain(tmp_path)
    assert PLAIN not in b"".join(map(_bytes, store._tiers._levels.ram._data.values()))  # type: ignore[union-attr]
    grid.dataset().load()
    Grid.open(home, "secret/", key=key).delete(x=[2])
    (chunk,) = (key for key in home._store_dict if "/value/" in key and "zarr.json" not in key)
    del home._store_dict[chunk]  # as if another process had it deleted: nothing here lists it
    grid.drop()
    assert files(tmp_path) == set()
    assert (store.metrics()["ram"].copies, store.metrics()["disk"].nbytes) == (0, 0)


def _bytes(copy: Any) -> bytes:
    return bytes(getattr(copy, "data", copy))


def test_trim_drops_the_copies_of_grids_that_were_deleted_elsewhere(tmp_path: Path) -> None:
    home = MemoryStore()
    store = Tiered(home, ram="1MB", disk=(tmp_path, "1MB"))
    secrets(store).compute(axes={"x": range(4)}).load()
    fill(store, 8)
    Grid.open(home, "secret/").drop()
    store.trim()
    assert (store.metrics()["ram"].copies, store.metrics()["disk"].copies) == (2, 2)
    assert opened(store, 8).load()["value"].sum() == 28 * 3
    assert store.metrics()["home"].hits == 0


def test_a_kill_while_old_copies_go_leaves_them_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in itertools.count():
        folder, steps = tmp_path / str(at), itertools.count()
        tier = DiskTier(str(folder), 10_000, TierPolicy())
        tier.keep_form("s\0data.zarr/f/1/", "0")
        for name in ("f/1/a", "f/1/b", "f/2/a"):
            tier.put(f"s\0data.zarr/{name}", b"x" * 10)

        def dying(real: Any, at: int = at, steps: Any = steps) -> Any:
            def call(*args: Any, **options: Any) -> Any:
                if next(steps) == at:
                    raise Killed
                return real(*args, **options)

            return call

        with monkeypatch.context() as patch:
            for owner, name in [(Path, "unlink"), (Path, "touch"), (os, "pwrite")]:
                patch.setattr(owner, name, dying(getattr(owner, name)))
            try:
                tier.keep_form("s\0data.zarr/f/1/", "1")
                is_done = True
            except Killed:
                is_done = False
        DiskTier(str(folder), 10_000, TierPolicy()).keep_form("s\0data.zarr/f/1/", "1")
        assert [*tier.all_keys()] == ["s\0data.zarr/f/2/a"]
        assert tier._used() == tier.metrics().nbytes
        if is_done:
            break
    assert at >= 4


def test_to_open_a_grid_again_looks_at_no_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = MemoryStore()
    fill(home, 8)
    monkeypatch.setattr(disk, "key_in", lambda _: pytest.fail("looked at a copy"))
    for _ in range(2):
        store = Tiered(home, disk=(tmp_path, "1MB"))
        opened(store, 8).load()
    assert store.metrics()["home"].hits == 0
    assert sum(path.stat().st_size for path in (tmp_path / "forms").iterdir()) == 0
