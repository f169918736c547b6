"""Several grids are archived by age, size or query: what a dry run said, and nothing twice."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid import Grid
from swarmgrid.leases import lease
from swarmgrid.store.archive import Archive, Record, write_record
from swarmgrid.store.layout import GridPath
from swarmgrid.store.location import to_location
from tests.store_api.test_pruning import OPTIONS, alphas, simulate, store

__all__ = ["store"]  # a fixture: three grids, written ten days, one day and an hour ago


def grid(store: Path, alpha: float) -> Grid:
    return swarmgrid.catalog(store)["simulate", {"alpha": alpha}]


def archived(store: Path) -> list[float]:
    return alphas(row for row in swarmgrid.catalog(store).rows if row.archive)


def chunks(store: Path, alpha: float) -> list[Path]:
    return [*store.glob(f"data.zarr/simulate/{grid(store, alpha).id}/value/c.*")]


def test_old_grids_move_when_that_is_said_and_others_stay(store: Path, tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    found = swarmgrid.archive(store, tape, older_than="2d")
    assert (alphas(found.grids), found.is_dry_run, found.changes) == ([0.1], True, {})
    assert "1 grid would be moved" in repr(found)
    assert "pass dry_run=False" in str(found)
    assert not tape.exists()
    assert archived(store) == []
    found = swarmgrid.archive(store, tape, older_than=dt.timedelta(days=2), dry_run=False)
    assert "1 grid moved" in str(found)
    assert (alphas(found.grids), archived(store)) == ([0.1], [0.1])
    (change,) = found.changes.values()
    assert (change.chunks, found.nbytes) == (1, change.nbytes)
    assert chunks(store, 0.1) == []
    again = swarmgrid.archive(store, tape, older_than="2d", dry_run=False)
    assert (again.grids, again.failed, again.changes) == ((), {}, {})
    with pytest.raises(swarmgrid.ArchivedError):
        grid(store, 0.1).dataset().load()
    grid(store, 0.1).thaw()
    assert grid(store, 0.1).dataset()["value"].values.tolist() == [x * 0.1 for x in range(9)]
    assert [*tape.iterdir()] == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"max_bytes": 0}, [0.1, 0.2, 0.3]),
        ({"max_bytes": "1GB"}, []),
        ({"max_bytes": 0, "keep": {"params.alpha": 0.1}}, [0.2, 0.3]),
        ({"query": {"params.alpha": {"$gt": 0.15}}}, [0.2, 0.3]),
        ({"query": {"params.alpha": {"$gt": 0.15}}, "older_than": "2h"}, [0.2]),
        ({"function": "simulate"}, [0.1, 0.2, 0.3]),
        ({"function": "other"}, []),
        ({"older_than": 0}, [0.1, 0.2, 0.3]),
    ],
)
def test_grids_are_chosen_by_size_and_query(
    store: Path, tmp_path: Path, options: Any, expected: list[float]
) -> None:
    assert alphas(swarmgrid.archive(store, tmp_path / "tape", **options).grids) == expected


def test_a_grid_in_use_stays_and_one_with_damage_is_told(store: Path, tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    (chunk,) = chunks(store, 0.1)
    data = chunk.read_bytes()
    chunk.write_bytes(data[:-1])
    with lease.acquire(to_location(store), GridPath("simulate", grid(store, 0.2).id)):
        found = swarmgrid.archive(store, tape, older_than=0, dry_run=False)
    assert [alphas(found.grids), alphas(found.in_use)] == [[0.3], [0.2]]
    assert [*found.failed] == [grid(store, 0.1).id]
    assert "1 more are in use\nnot moved: " in str(found)
    assert archived(store) == [0.3]
    with pytest.raises(swarmgrid.DamageError):  # of all that there are
        swarmgrid.archive(store, tape, query={"params.alpha": 0.1}, dry_run=False)
    chunk.write_bytes(data)
    found = swarmgrid.archive(store, tape, older_than=0, dry_run=False)
    assert (alphas(found.grids), archived(store)) == ([0.1, 0.2], [0.1, 0.2, 0.3])


def test_a_grid_whose_archive_was_begun_elsewhere_is_told_and_others_move(
    store: Path, tmp_path: Path
) -> None:
    begun = Record(Archive(f"{tmp_path}/other/simulate-1", "2026-01-01T00:00:00+00:00"))
    one = grid(store, 0.1)  # the first of them
    with lease.acquire(to_location(store), GridPath("simulate", one.id)) as held:
        write_record(held.blobs, GridPath("simulate", one.id), begun)
    found = swarmgrid.archive(store, tmp_path / "tape", older_than=0, dry_run=False)
    assert (len(found.grids), len(found.changes), [*found.failed]) == (2, 2, [one.id])
    assert "thaw it before you archive it elsewhere" in str(found)
    assert archived(store) == [0.2, 0.3]
    with pytest.raises(swarmgrid.InputError, match="elsewhere"):  # nothing was moved by this call
        swarmgrid.archive(store, tmp_path / "tape", older_than=0, dry_run=False)
    assert len(chunks(store, 0.1)) == 1


def test_an_archived_grid_does_not_change_its_storage_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("swarmgrid.handle.archiving.check_storage_class", lambda name, url: None)
    store = MemoryStore()
    swarmgrid.stream({"alpha": 1}, {"x": [1]}, func=simulate, store=store, **OPTIONS)
    (one,) = swarmgrid.catalog(store)
    change = one.archive("memory://tape-of-a-class")
    with pytest.raises(swarmgrid.InputError, match="already, with the usual one; thaw it before"):
        one.archive("memory://tape-of-a-class", storage_class="DEEP_ARCHIVE")
    assert one.archive("memory://tape-of-a-class") == change


def test_a_move_that_was_cut_short_is_completed(store: Path, tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    (chunk,) = chunks(store, 0.1)
    data = chunk.read_bytes()
    grid(store, 0.1).archive(tape)
    chunk.write_bytes(data)  # as if it had been killed before the last deletion
    found = swarmgrid.archive(store, tape, older_than="2d")
    assert alphas(found.grids) == [0.1]
    swarmgrid.archive(store, tape, older_than="2d", dry_run=False)
    assert not chunk.exists()
    assert grid(store, 0.1).verify(archived=True).is_clean
    assert swarmgrid.archive(store, tape, older_than="2d").grids == ()


def test_what_cannot_be_is_said_before_anything_moves(store: Path, tmp_path: Path) -> None:
    for given, match in [
        ({}, "nothing says which grids to move; pass older_than"),
        ({"older_than": "soon"}, "older_than is 'soon'"),
        ({"max_bytes": 0, "dry_run": 1}, "dry_run is 1; expected True or False"),
        ({"older_than": 0, "storage_class": "DEEP"}, "storage_class"),
    ]:
        with pytest.raises(swarmgrid.InputError, match=match):
            swarmgrid.archive(store, tmp_path / "tape", **given)  # type: ignore[arg-type]
    for target, match in [
        (store, "is the store of the grid itself"),
        ("memory://tape", "ends with this process"),
        (5, "target is 5, a int"),
        ("sqlite:///tape.db", "expected a folder, or a URL of an object store"),
    ]:
        with pytest.raises(swarmgrid.InputError, match=match):
            swarmgrid.archive(store, target, older_than=0, dry_run=False)  # type: ignore[arg-type]
    with pytest.raises(swarmgrid.InputError, match="scope"):
        swarmgrid.archive(swarmgrid.scope("a", store), tmp_path / "tape", older_than=0)
    assert archived(store) == []


def test_all_archived_grids_come_back_or_those_of_a_query(store: Path, tmp_path: Path) -> None:
    swarmgrid.archive(store, tmp_path / "tape", older_than=0, dry_run=False)
    assert archived(store) == [0.1, 0.2, 0.3]
    done = swarmgrid.thaw(store, query={"params.alpha": 0.2})
    (change,) = done.values()
    assert ([*done], change.chunks) == ([grid(store, 0.2).id], 1)
    assert archived(store) == [0.1, 0.3]
    assert len(swarmgrid.thaw(store)) == 2
    assert (archived(store), swarmgrid.thaw(store)) == ([], {})
    assert grid(store, 0.3).dataset()["value"].values.tolist() == [x * 0.3 for x in range(9)]


def test_a_grid_that_cannot_be_thawed_keeps_no_other_one_from_it(
    store: Path, tmp_path: Path
) -> None:
    done = swarmgrid.archive(store, tmp_path / "tape", older_than=0, dry_run=False)
    archive = Path(done.changes[grid(store, 0.1).id].archive)
    archive.rename(tmp_path / "elsewhere")
    with pytest.raises(swarmgrid.StoreError, match="tape") as failed:
        swarmgrid.thaw(store)
    assert "2 other grids were thawed, and 0 more could not be" in failed.value.__notes__
    assert archived(store) == [0.1]
    grid(store, 0.1).thaw(tmp_path / "elsewhere")
    assert archived(store) == []
