"""Pruning deletes what it said it would, the oldest first, and nothing that is kept or in use."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.inventory.row import GridRow
from swarmgrid.leases import lease
from swarmgrid.quantities import size_bytes, span_seconds
from swarmgrid.store.layout import GridPath
from swarmgrid.store.location import to_location
from swarmgrid.store_api.catalog import Catalog
from swarmgrid.store_api.pruning import oldest

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0}


def simulate(x: int, alpha: float) -> float:
    return x * alpha


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three grids, written ten days, one day and an hour ago."""
    now = 1_800_000_000.0
    for alpha, age in ((0.1, 10 * 86400), (0.2, 86400), (0.3, 3600)):
        monkeypatch.setattr("swarmgrid.format.chunk_io.time.time", lambda age=age: now - age)
        swarmgrid.stream({"alpha": alpha}, {"x": range(9)}, func=simulate, store=tmp_path / "s",
            chunks=9, **OPTIONS)  # fmt: skip
    monkeypatch.setattr("time.time", lambda: now)
    return tmp_path / "s"


def alphas(rows: Any) -> list[float]:
    return sorted(row.params["alpha"] for row in rows)


def test_nothing_is_deleted_unless_that_is_said(store: Path) -> None:
    before = sorted(path for path in store.rglob("*"))
    found = swarmgrid.prune(store, older_than="2d")
    assert alphas(found.grids) == [0.1]
    assert found.is_dry_run
    (row,) = swarmgrid.catalog(store).query({"params.alpha": 0.1}).rows
    assert found.nbytes == row.nbytes > 0
    assert "1 grid would be deleted" in str(found)
    assert "pass dry_run=False" in str(found)
    assert sorted(path for path in store.rglob("*")) == before


def test_old_grids_go_and_others_stay(store: Path) -> None:
    grids = {row.params["alpha"]: row.grid for row in swarmgrid.catalog(store).rows}
    found = swarmgrid.prune(store, older_than=dt.timedelta(days=2), dry_run=False)
    assert "1 grid deleted" in str(found)
    assert alphas(swarmgrid.catalog(store).rows) == [0.2, 0.3]
    assert not (store / "data.zarr" / "simulate" / grids[0.1]).exists()
    assert swarmgrid.prune(store, older_than="2d", dry_run=False).grids == ()


def test_the_oldest_go_until_the_rest_fits(store: Path) -> None:
    sizes = [row.nbytes for row in swarmgrid.catalog(store).rows]
    assert alphas(swarmgrid.prune(store, max_bytes=sum(sizes)).grids) == []
    assert alphas(swarmgrid.prune(store, max_bytes=sum(sizes) - 1).grids) == [0.1]
    assert alphas(swarmgrid.prune(store, max_bytes=0).grids) == [0.1, 0.2, 0.3]


def test_grids_that_are_kept_or_in_use_stay(store: Path) -> None:
    keep = {"params.alpha": {"$lt": 0.15}}
    assert alphas(swarmgrid.prune(store, max_bytes=0, keep=keep).grids) == [0.2, 0.3]
    busy = swarmgrid.catalog(store)["simulate", {"alpha": 0.2}]
    with lease.acquire(to_location(store), GridPath("simulate", busy.id)):
        found = swarmgrid.prune(store, max_bytes=0, keep=keep, dry_run=False)
        assert (alphas(found.grids), alphas(found.in_use)) == ([0.3], [0.2])
        assert "1 more are in use" in str(found)
    assert alphas(swarmgrid.catalog(store).rows) == [0.1, 0.2]


def test_expired_snapshots_go_but_for_those_of_a_grid_that_a_process_fills() -> None:
    store = MemoryStore()
    for alpha in (1, 2):
        swarmgrid.stream({"alpha": alpha}, {"x": [1]}, func=simulate, store=store, **OPTIONS)
    first, second = swarmgrid.catalog(store)
    for grid in (first, second):
        grid.snapshot(expires=0)
    found = swarmgrid.prune(store, older_than="30d")
    assert (found.snapshots, len(first.snapshots())) == (2, 1)
    assert "2 expired snapshots would be deleted" in str(found)
    with lease.acquire(to_location(store), GridPath("simulate", first.id)):
        found = swarmgrid.prune(store, max_bytes=0, dry_run=False)  # does not wait for it
    assert [row.grid for row in found.in_use] == [first.id]
    assert [row.grid for row in found.grids] == [second.id]
    assert "1 expired snapshot deleted" in str(found)
    assert len(first.snapshots()) == 1
    found = swarmgrid.prune(store, older_than="30d", dry_run=False)
    assert (found.snapshots, found.grids, first.snapshots()) == (1, (), [])


ROWS = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 9), st.booleans()), max_size=8)


def test_a_grid_that_the_catalog_does_not_know_to_be_new_stays(store: Path) -> None:
    listed = store / "manifest" / "catalog"
    shutil.copytree(listed, store / "before")
    swarmgrid.stream({"alpha": 0.1}, {"x": range(12)}, func=simulate, store=store, **OPTIONS)
    shutil.rmtree(listed)
    shutil.move(store / "before", listed)
    assert alphas(swarmgrid.prune(store, older_than="2d").grids) == [0.1]
    found = swarmgrid.prune(store, older_than="2d", dry_run=False)
    assert (alphas(found.grids), alphas(found.in_use)) == ([], [0.1])
    again = swarmgrid.run({"alpha": 0.1}, {"x": range(12)}, func=simulate, store=store, **OPTIONS)
    assert again[1].points_computed == 0


@given(ROWS, st.integers(0, 60), st.integers(0, 60))
def test_what_stays_fits_or_is_kept_and_no_newer_grid_goes_for_an_older_one(
    drawn: list[tuple[int, int, bool]], before: int, limit: int
) -> None:
    rows = tuple(
        GridRow(f"{i:032x}", "f", written=written, nbytes=nbytes, checksum="x")
        for i, (written, nbytes, _) in enumerate(drawn)
    )
    kept = {row.grid for row, (_, _, is_kept) in zip(rows, drawn, strict=True) if is_kept}
    gone = oldest(Catalog(to_location(MemoryStore()), rows), kept, before, limit)
    stays = [row for row in rows if row not in gone]
    assert not {row.grid for row in gone} & kept
    free = [row for row in stays if row.grid not in kept]
    assert all(row.written >= before for row in free)
    assert sum(row.nbytes for row in stays) <= limit or not free
    for row in gone:
        needed = (
            row.written < before
            or sum(r.nbytes for r in stays)
            + sum(r.nbytes for r in gone if r.written >= row.written)
            > limit
        )
        assert needed


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30d", 2592000),
        ("1.5 h", 5400),
        ("90min", 5400),
        (7, 7),
        (np.int64(7), 7),
        ("2w", 1209600),
    ],
)
def test_spans_of_time(text: Any, seconds: float) -> None:
    assert span_seconds("older_than", text) == seconds


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [("50GB", 5e10), ("1kB", 1000), ("1 KiB", 1024), (9, 9), (np.int64(9), 9), ("2M", 2e6)],
)
def test_sizes(text: Any, nbytes: float) -> None:
    assert size_bytes("max_bytes", text) == nbytes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing says what to delete"),
        ({"older_than": "a month"}, "span of time"),
        ({"older_than": -1}, "span of time"),
        ({"older_than": True}, "span of time"),
        ({"max_bytes": "many"}, "expected bytes"),
        ({"max_bytes": -1}, "expected bytes"),
        ({"max_bytes": 1, "dry_run": 0}, "True or False"),
        ({"max_bytes": 0, "keep": {"alpha": 1}}, "a path begins with one of"),
    ],
)
def test_a_call_that_cannot_be_understood_deletes_nothing(
    store: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(swarmgrid.InputError, match=message):
        swarmgrid.prune(store, **{"dry_run": False, **options})
    assert len(swarmgrid.catalog(store)) == 3
