"""The inventory is a hint: whatever happens to it, a catalog says what the grids say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.inventory import keeping, objects
from swarmgrid.inventory.row import GridRow
from swarmgrid.leases import lease
from swarmgrid.store.blobs import Blobs
from swarmgrid.store.layout import GridPath
from swarmgrid.store.location import Location, to_location
from tests.stores.grids import record_of_a_dead_process

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0}


def simulate(x: int, alpha: float) -> float:
    if x == 9:
        raise ValueError("nine")
    return x * alpha


def compute(store: Any, alpha: float = 0.5, n: int = 3, **options: Any) -> None:
    axes = {"x": range(n)}
    swarmgrid.stream({"alpha": alpha}, axes, func=simulate, store=store, **{**OPTIONS, **options})


def briefs(rows: list[GridRow]) -> list[tuple[Any, ...]]:
    """Each grid's param and counts."""
    return sorted(
        (row.params.get("alpha"), row.points_computed, row.points_failed, row.points_total)
        for row in rows
    )


def truth(location: Location) -> list[GridRow]:
    blobs = location.open()
    rows = [keeping.current_row(blobs, path) for path in keeping.stored_grids(blobs)]
    return [row for row in rows if not row.is_gone]


def by_id(rows: list[GridRow]) -> list[GridRow]:
    return sorted(rows, key=lambda row: row.grid)


STORES = {
    "directory": lambda folder: to_location(folder / "store"),
    "memory": lambda _folder: to_location(MemoryStore()),
}


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    found: Location = STORES[request.param](tmp_path)
    return found


def catalog_objects(blobs: Blobs, suffix: str) -> list[str]:
    return [name for name in blobs.names(objects.FOLDER) if name.endswith(suffix)]


def test_each_run_leaves_one_row_and_no_mark(place: Location) -> None:
    store = place.store or place.url
    for n in (2, 4):
        compute(store, n=n)
    compute(store, 0.7, n=1)
    blobs = place.open()
    assert len(catalog_objects(blobs, ".cat")) == 3
    assert catalog_objects(blobs, ".open") == []
    compute(store, 0.7, n=1)  # nothing to compute: nothing is written
    assert len(catalog_objects(blobs, ".cat")) == 3
    rows = keeping.stored_rows(place)
    assert briefs(rows) == [(0.5, 4, 0, 4), (0.7, 1, 0, 1)]
    for row, true in zip(by_id(rows), by_id(truth(place)), strict=True):
        assert row._replace(time_ns=0) == true._replace(time_ns=0)
        assert row.created <= row.written
        assert row.nbytes > 0


def test_a_run_that_fails_leaves_its_row_too_and_none_of_a_grid_that_is_not_there(
    place: Location,
) -> None:
    store = place.store or place.url
    with pytest.raises(swarmgrid.PointError):
        swarmgrid.stream({"alpha": 1.0}, {"x": [9]}, func=simulate, store=store, **OPTIONS)
    assert keeping.stored_rows(place) == []
    assert place.open().names(objects.FOLDER) == []
    compute(store, n=10, on_error="record", chunks=1)
    assert briefs(keeping.stored_rows(place)) == [(0.5, 9, 1, 10)]
    with pytest.raises(swarmgrid.PointError):
        swarmgrid.stream({"alpha": 0.6}, {"x": [20, 9]}, func=simulate, store=store, chunks=1,
            **OPTIONS)  # fmt: skip
    rows = keeping.stored_rows(place)
    assert briefs(rows) == briefs(truth(place))
    assert briefs(rows)[1][:2] == (0.6, 1)
    assert catalog_objects(place.open(), ".open") == []


@pytest.mark.parametrize("is_ended", [True, False])
def test_a_grid_whose_writer_left_a_mark_is_read_itself(place: Location, is_ended: bool) -> None:
    """A killed process leaves its mark; one at work has it: the row is old in both cases."""
    store = place.store or place.url
    compute(store)
    blobs = place.open()
    (before,) = catalog_objects(blobs, ".cat")
    old = blobs.get(objects.FOLDER + before)
    compute(store, n=5)
    blobs.begin_writing()
    newer = [name for name in catalog_objects(blobs, ".cat") if name != before]
    objects.delete(blobs, newer)
    assert blobs.get(objects.FOLDER + before) == old
    grid = swarmgrid.Grid.open(store, "")
    path = GridPath("simulate", grid.id)
    record = record_of_a_dead_process() if is_ended else None
    held = lease.acquire(place, path)
    writer = held.writer if record is None else record.writer
    objects.write_mark(blobs, path, writer)
    assert briefs(keeping.stored_rows(place)) == [(0.5, 5, 0, 5)]
    assert bool(catalog_objects(blobs, ".open")) is not is_ended
    held.release()
    assert briefs(keeping.stored_rows(place)) == [(0.5, 5, 0, 5)]
    assert catalog_objects(blobs, ".open") == []
    assert briefs(list(objects.read_inventory(blobs).rows.values())) == [(0.5, 5, 0, 5)]


def test_a_writer_that_ends_while_a_grid_is_read_keeps_its_mark(
    place: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it committed after the look is in no row, if it was killed then."""
    store = place.store or place.url
    compute(store)
    blobs = place.open()
    grid = swarmgrid.Grid.open(store, "")
    path = GridPath("simulate", grid.id)
    held = lease.acquire(place, path)
    objects.write_mark(held.blobs, path, held.writer)
    look = keeping.current_row

    def look_and_end(*given: Any) -> Any:
        row = look(*given)
        if not held_is_over:
            held_is_over.append(True)
            held.release()
        return row

    held_is_over: list[bool] = []
    monkeypatch.setattr(keeping, "current_row", look_and_end)
    keeping.stored_rows(place)
    assert held_is_over
    assert len(catalog_objects(blobs, ".open")) == 1
    keeping.stored_rows(place)
    assert catalog_objects(blobs, ".open") == []


def test_the_next_run_of_a_grid_deletes_the_marks_of_killed_ones(place: Location) -> None:
    store = place.store or place.url
    compute(store)
    grid = swarmgrid.Grid.open(store, "")
    blobs = place.open()
    blobs.begin_writing()
    objects.write_mark(blobs, GridPath("simulate", grid.id), "dead" * 4)
    compute(store, n=4)
    assert catalog_objects(blobs, ".open") == []


DAMAGE: dict[str, Any] = {
    "gone": objects.delete,
    "torn": lambda blobs, names: [blobs.put(objects.FOLDER + name, b"torn") for name in names],
    "one of another": lambda blobs, names: blobs.put(
        objects.FOLDER + names[0], blobs.get(objects.FOLDER + names[1])
    ),
    "empty": lambda blobs, names: blobs.put(objects.FOLDER + names[1], b""),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_an_inventory_that_is_lost_or_damaged_is_rebuilt(place: Location, damage: str) -> None:
    store = place.store or place.url
    for alpha in (0.1, 0.2, 0.3):
        compute(store, alpha)
    blobs = place.open()
    blobs.begin_writing()
    DAMAGE[damage](blobs, catalog_objects(blobs, ".cat"))
    expected = [(alpha, 3, 0, 3) for alpha in (0.1, 0.2, 0.3)]
    assert briefs(keeping.stored_rows(place)) == expected
    found = objects.read_inventory(blobs)
    assert (briefs(list(found.rows.values())), found.damaged) == (expected, ())


def test_grids_that_other_tools_moved_are_seen_in_a_directory_and_where_asked_for(
    place: Location, tmp_path: Path
) -> None:
    store = place.store or place.url
    compute(store, 0.1)
    compute(store, 0.2)
    compute(tmp_path / "other", 0.3)
    blobs = place.open()
    blobs.begin_writing()
    gone = swarmgrid.catalog(store)["simulate", {"alpha": 0.1}]
    blobs.delete(f"data.zarr/simulate/{gone.id}/zarr.json")
    for name in blobs.names(f"manifest/{gone.id}/"):
        blobs.delete(f"manifest/{gone.id}/{name}")
    for folder in ("data.zarr", "manifest"):
        for file in (tmp_path / "other" / folder).rglob("*"):
            key = str(file.relative_to(tmp_path / "other"))
            if file.is_file() and not key.startswith(objects.FOLDER):
                blobs.put(key, file.read_bytes())
    assert briefs(keeping.stored_rows(place, check=True)) == [(0.2, 3, 0, 3), (0.3, 3, 0, 3)]
    if place.is_directory:
        shutil.rmtree(Path(place.url, "data.zarr", "simulate", gone.id))
        assert briefs(keeping.stored_rows(place)) == [(0.2, 3, 0, 3), (0.3, 3, 0, 3)]


def test_a_row_of_another_document_is_read_anew_where_asked_for(place: Location) -> None:
    store = place.store or place.url
    compute(store)
    blobs = place.open()
    blobs.begin_writing()
    (name,) = catalog_objects(blobs, ".cat")
    (row,) = objects.decoded_rows(blobs.get(objects.FOLDER + name) or b"", objects.FOLDER + name)
    objects.delete(blobs, [name])
    objects.write_rows(blobs, [row._replace(points_computed=1, checksum="other")])
    assert briefs(keeping.stored_rows(place)) == [(0.5, 1, 0, 3)]
    assert briefs(keeping.stored_rows(place, check=True)) == [(0.5, 3, 0, 3)]
    assert briefs(keeping.stored_rows(place)) == [(0.5, 3, 0, 3)]


def test_a_damaged_grid_is_listed_and_read_again_each_time(place: Location) -> None:
    store = place.store or place.url
    compute(store)
    blobs = place.open()
    blobs.begin_writing()
    grid = swarmgrid.Grid.open(store, "")
    document = f"data.zarr/simulate/{grid.id}/zarr.json"
    data = blobs.get(document) or b""
    blobs.put(document, b"torn")
    for _ in range(2):
        (row,) = keeping.stored_rows(place, check=True)
        assert (row.grid, row.points_total, row.checksum) == (grid.id, 0, "")
    assert "damaged" in repr(swarmgrid.catalog(store, check=True))
    blobs.put(document, data)
    assert briefs(keeping.stored_rows(place, check=True)) == [(0.5, 3, 0, 3)]


def test_repair_and_convert_keep_the_row(place: Location) -> None:
    store = place.store or place.url
    compute(store)
    grid = swarmgrid.Grid.open(store, "")
    before = keeping.stored_rows(place)[0].checksum
    grid.convert("value", "complex128")
    (row,) = keeping.stored_rows(place)
    assert row.outputs == {"value": ("complex128", ())}
    assert row.checksum != before
    blobs = place.open()
    blobs.begin_writing()
    blobs.put(f"data.zarr/simulate/{grid.id}/value/0", b"torn")
    grid.repair()
    assert briefs(keeping.stored_rows(place)) == [(0.5, 0, 0, 3)]


def test_a_run_that_lost_its_lease_writes_no_row(tmp_path: Path) -> None:
    location, path = to_location(tmp_path), GridPath("simulate", "0" * 32)
    compute(tmp_path)
    held = lease.acquire(location, path)
    with keeping.recorded(held, path):
        held.release()
    assert len(catalog_objects(location.open(), ".cat")) == 1


def test_a_store_that_cannot_be_written_is_read_all_the_same(tmp_path: Path) -> None:
    from zarr.storage import LocalStore

    compute(tmp_path)
    shutil.rmtree(tmp_path / "manifest" / "catalog")
    rows = keeping.stored_rows(to_location(LocalStore(tmp_path, read_only=True)))
    assert briefs(rows) == [(0.5, 3, 0, 3)]
    assert not (tmp_path / "manifest" / "catalog").exists()


def test_an_inventory_that_cannot_be_written_stops_no_run(tmp_path: Path) -> None:
    compute(tmp_path, 0.1)
    shutil.rmtree(tmp_path / "manifest" / "catalog")
    (tmp_path / "manifest" / "catalog").write_text("a file where the folder is to be")
    compute(tmp_path, 0.5)
    assert swarmgrid.open({"alpha": 0.5}, func=simulate, store=tmp_path).sizes["x"] == 3
    assert len(keeping.stored_rows(to_location(tmp_path))) == 2


def test_a_mark_of_an_old_run_is_json_with_a_folder(tmp_path: Path) -> None:
    """The form that docs/reference/format.md describes."""
    location, path = to_location(tmp_path), GridPath("a.b", "0" * 32)
    held = lease.acquire(location, path)
    with keeping.recorded(held, path):
        (file,) = (tmp_path / "manifest" / "catalog").iterdir()
        assert file.name == f"{'0' * 32}-{held.writer}.open"
        assert json.loads(file.read_bytes()) == {"folder": "a.b"}
    held.release()
