"""What verify says of all that lies in a grid's folders, and what a repair does about it."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from zarr.storage import MemoryStore

from swarmgrid.errors import DamageError
from swarmgrid.format.chunk_io import chunk_key, empty_block, write_points
from swarmgrid.format.codec import encoded
from swarmgrid.format.grid import StoredGrid
from swarmgrid.format.grid_io import copy_key, write_documents, write_grid
from swarmgrid.format.segment import Rows, Segment
from swarmgrid.leases import lease
from swarmgrid.maintenance.removal import remove_points
from swarmgrid.maintenance.repair import repair_grid
from swarmgrid.maintenance.report import Problem, Report
from swarmgrid.maintenance.verify import verify_grid
from swarmgrid.outputs.outputs import Coord, Output, Schema
from swarmgrid.records.damage_marks import mark_chunk, marks
from swarmgrid.records.failures import FailedPoint, read_all_failures, write_failures
from swarmgrid.records.manifest import write_segment
from swarmgrid.space.points import Points
from swarmgrid.store.grid_ref import GridRef
from swarmgrid.store.layout import LOCKS
from swarmgrid.store.lease_record import LeaseRecord, record_key
from swarmgrid.store.location import Location, to_location
from tests.stores.grids import (
    PATH,
    Recorder,
    fill_grid,
    grown,
    new_grid,
    record_of_a_dead_process,
)

SCHEMA = Schema({"mean": Output(), "name": Output(dtype="string")})


@pytest.fixture
def store(tmp_path: Path) -> Location:
    return to_location(tmp_path)


@pytest.fixture
def grid(store: Location) -> StoredGrid:
    """A grid of two axes with four chunks, all computed."""
    made = new_grid({"x": [1, 2, 3], "s": ["a", "b"]}, {"x": 2, "s": 1}, SCHEMA)
    with lease.acquire(store, PATH) as held:
        write_grid(held.blobs, made, None)
        rows = fill_grid(held.blobs, made)
        write_segment(held.blobs, PATH, "000000000000-one.seg", made, Rows.from_rows(rows, 2, 2))
    return made


def verified(store: Location) -> Report:
    return verify_grid(store.open(), PATH)


def repaired(store: Location) -> Report:
    with lease.acquire(store, PATH) as held:
        repair_grid(held, GridRef(store, PATH))
    return verified(store)


def put(store: Location, key: str, data: bytes) -> None:
    blobs = store.open()
    blobs.begin_writing()
    blobs.put(key, data)
    blobs.end_writing()


def found(report: Report) -> list[tuple[str, str]]:
    """What kind of thing is said of which key."""
    kinds = [("problem", problem.key) for problem in report.problems]
    return kinds + [("note", note.key) for note in report.notes]


CLEAN = Report((), 8, 6)

# ---- objects that do not belong where they lie


@pytest.mark.parametrize(
    ("key", "kind", "is_removed"),
    [
        (f"{PATH.prefix}mean/c.0.0.1f2e.partial", "problem", True),
        (f"{PATH.prefix}x/c.0.tmp", "problem", True),
        (f"{PATH.prefix}zarr.json.1f2e.partial", "problem", True),
        (f"{PATH.prefix}mean/notes.txt", "problem", True),
        (f"{PATH.prefix}other/zarr.json", "note", False),  # a folder of the user's own
        (f"{PATH.manifest}000000000000-one.seg.1f2e.partial", "problem", True),
        (f"{PATH.manifest}one.tmp", "problem", True),
        (f"{PATH.manifest}notes.txt", "note", False),  # may be of a later version
        (f"{PATH.manifest}c.x.bad", "note", False),
        (f"{PATH.manifest}000000000000-one.err", "problem", True),
        (f"{PATH.locks}000000000000.json.1f2e.partial", "problem", True),
    ],
)
def test_what_does_not_belong_there_is_said_and_removed_where_it_is_a_left_over(
    store: Location, grid: StoredGrid, key: str, kind: str, is_removed: bool
) -> None:
    put(store, key, b"half")
    folder = f"{PATH.prefix}other"
    assert found(verified(store)) == [(kind, folder if key.startswith(folder) else key)]
    after = repaired(store)
    assert after.problems == ()
    assert (store.open().get(key) is None) == is_removed
    assert (after == CLEAN) == is_removed


def test_a_left_over_that_goes_away_meanwhile_is_none(store: Location, grid: StoredGrid) -> None:
    key = f"{PATH.prefix}mean/c.0.0.1f2e.partial"
    put(store, key, b"of a writer that is at work")
    blobs = Recorder(store.open())
    names = blobs.names

    def look(prefix: str) -> list[str]:
        listed = names(prefix)
        if prefix == f"{PATH.prefix}mean/":
            looks.append(prefix)
            if len(looks) == 2:  # the first look is at the chunks
                blobs.delete(key)
        return listed

    looks: list[str] = []
    blobs.names = look  # type: ignore[method-assign]
    assert verify_grid(blobs, PATH) == CLEAN
    assert len(looks) == 3


# ---- leases and staging


def test_a_grid_that_is_being_written_is_clean(store: Location, grid: StoredGrid) -> None:
    with lease.acquire(store, PATH) as held:
        held.blobs.put(f"{LOCKS}/staging/{PATH.grid}-{held.writer}/half", b"1")
        assert verified(store) == CLEAN
    assert verified(store) == CLEAN


def test_what_a_killed_owner_leaves_is_noted_and_goes_with_the_next(
    store: Location, grid: StoredGrid
) -> None:
    dead = record_of_a_dead_process()
    put(store, record_key(PATH.grid, 7), dead.to_bytes())
    staging = f"{LOCKS}/staging/{PATH.grid}-{dead.writer}"
    put(store, f"{staging}/123-half", b"1")
    put(store, f"{LOCKS}/staging/another-grid/123-half", b"1")
    report = verified(store)
    first, last = record_key(PATH.grid, 0), record_key(PATH.grid, 7)
    assert found(report) == [("note", key) for key in (last, first, staging)]
    assert f"process {dead.pid}" in report.notes[0].reason
    assert report.is_clean
    lease.acquire(store, PATH).release()
    assert verified(store) == CLEAN
    assert store.open().names(f"{LOCKS}/staging/") == ["another-grid"]


def test_a_lease_that_cannot_be_read_is_a_problem(
    store: Location, grid: StoredGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.2)
    put(store, record_key(PATH.grid, 3), b"{")
    assert found(verified(store))[0] == ("problem", record_key(PATH.grid, 3))
    assert repaired(store) == CLEAN


def test_an_owner_on_another_machine_may_be_alive(store: Location, grid: StoredGrid) -> None:
    other = replace(LeaseRecord.of_this_process(9), host="elsewhere")
    put(store, record_key(PATH.grid, 0), other.to_bytes())
    put(store, f"{LOCKS}/staging/{PATH.grid}-{other.writer}/half", b"1")
    assert verified(store) == CLEAN


def test_probes_of_dead_processes_are_removed(store: Location, grid: StoredGrid) -> None:
    gone, here = f"{LOCKS}/probe-1", f"{LOCKS}/probe-2"
    put(store, gone, record_of_a_dead_process().to_bytes())
    put(store, here, LeaseRecord.of_this_process(0).to_bytes())
    assert found(verified(store)) == [("note", gone)]
    assert repaired(store) == CLEAN
    assert store.open().get(here) is not None


def test_free_writers_that_were_killed_are_tidied_away_in_time(
    store: Location, tmp_path: Path, grid: StoredGrid
) -> None:
    for name, seconds in {"free-old": 7200, "free-new": 60}.items():
        folder = tmp_path / LOCKS / "staging" / name
        folder.mkdir()
        (folder / "half").touch()
        os.utime(folder, (time.time() - seconds,) * 2)
    lease.acquire(store, PATH).release()
    assert store.open().names(f"{LOCKS}/staging/") == ["free-new"]


# ---- marks and failures


def test_a_mark_of_a_whole_chunk_is_noted_and_removed(store: Location, grid: StoredGrid) -> None:
    mark_chunk(store, PATH, (1, 0), DamageError("a", "b"))
    report = verified(store)
    assert found(report) == [("note", f"{PATH.manifest}c.1.0.bad")]
    assert repaired(store) == CLEAN


def test_a_mark_of_a_damaged_chunk_is_not_mentioned(store: Location, grid: StoredGrid) -> None:
    key = chunk_key(grid, "mean", (1, 0))
    store.open().delete(key)
    mark_chunk(store, PATH, (1, 0), DamageError(key, "it is missing"))
    assert verified(store).problems == (Problem(key, "it is missing", 1),)
    assert found(verified(store)) == [("problem", key)]
    after = repaired(store)
    assert (after.problems, after.points) == ((), 5)
    assert marks(store.open().names(PATH.manifest)) == []


@pytest.mark.parametrize("name", ["c.x.bad", "c..1.bad", "x.bad", "c.1.bad.bad", "c1.bad"])
def test_a_name_that_is_nearly_a_mark_marks_nothing(name: str) -> None:
    assert marks([name]) == []


def failure(offset: int = 0, reason: str = "") -> FailedPoint:
    point = {"x": float("inf"), "s": b"?"}
    return FailedPoint((0, 0), (offset, 0), point, "ValueError", reason, "", 1, "2026")


def test_a_record_of_failures_that_was_changed_is_a_problem(
    store: Location, grid: StoredGrid
) -> None:
    blobs = store.open()
    blobs.begin_writing()
    write_failures(blobs, PATH, "a.err", [failure(reason="abc")])
    assert read_all_failures(blobs, grid)[(0, 0), (0, 0)].reason == "abc"
    assert verified(store) == CLEAN
    data = blobs.get(f"{PATH.manifest}a.err") or b""
    blobs.put(f"{PATH.manifest}a.err", data.replace(b"abc", b"abd"))
    assert found(verified(store)) == [("problem", f"{PATH.manifest}a.err")]
    assert repaired(store) == CLEAN


# ---- values without a row


def test_chunks_of_a_lost_segment_hold_values_without_a_row(
    store: Location, grid: StoredGrid
) -> None:
    store.open().delete(f"{PATH.manifest}000000000000-one.seg")
    report = verified(store)
    assert (report.problems, report.points) == ((), 0)
    (note,) = report.notes
    assert note.key == chunk_key(grid, "mean", (0, 0))
    assert "this chunk and 7 more hold values" in note.reason
    assert repaired(store).notes == (note,)  # they may be whole: the segment may be found again


def test_points_without_a_row_are_seen_beside_those_of_a_row(
    store: Location, grid: StoredGrid
) -> None:
    blobs = store.open()
    blobs.begin_writing()
    blobs.delete(f"{PATH.manifest}000000000000-one.seg")
    for index in np.ndindex(2, 2):
        for name in SCHEMA.outputs:
            blobs.delete(chunk_key(grid, name, index))
    block = empty_block(grid)
    block["mean"][0, 0], block["name"][0, 0] = 1.0, ""
    row, _ = write_points(blobs, grid, (0, 0), block, Points((1, 1)), 0.0)
    write_segment(blobs, PATH, "a.seg", grid, Rows.from_rows([row], 2, 2))
    assert verified(store) == Report((), 2, 1)
    block["name"][1, 0] = "b"
    write_points(blobs, grid, (0, 0), block, Points((1, 1)), 0.0)
    report = verified(store)
    assert found(report) == [("note", chunk_key(grid, "name", (0, 0)))]
    assert report.is_clean


# ---- the second copies, and growth that was cut short


COPY = copy_key(PATH, PATH.chunk("x", (0,)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _data: None, "missing"),
        (lambda data: data[:-3], "cannot be read"),
        (lambda data: b"", "cannot be read"),
    ],
)
def test_a_second_copy_is_written_again(
    store: Location, grid: StoredGrid, change: Callable[[bytes], bytes | None], reason: str
) -> None:
    data = store.open().get(COPY) or b""
    changed = change(data)
    store.open().delete(COPY)
    if changed is not None:
        put(store, COPY, changed)
    report = verified(store)
    assert found(report) == [("problem", COPY)]
    assert reason in report.problems[0].reason
    assert repaired(store) == CLEAN
    assert store.open().get(COPY) == data


def test_a_second_copy_of_other_values_is_a_problem(store: Location, grid: StoredGrid) -> None:
    other = new_grid({"x": [1, 2, 4], "s": ["a", "b"]}, {"x": 2, "s": 1}, SCHEMA)
    written = Recorder(to_location(MemoryStore()).open())
    write_grid(written, other, None)
    put(store, COPY, dict(written.writes)[COPY])
    report = verified(store)
    assert found(report) == [("problem", COPY)]
    assert "differs" in report.problems[0].reason
    assert repaired(store) == CLEAN


def test_second_copies_of_the_outputs_own_coordinates_are_held_against_them(
    store: Location,
) -> None:
    t, none = Coord(("t",), np.array([0.0, np.nan]), {}), Coord(("n",), np.zeros(0), {})
    outputs = {"trace": Output(("t",), (2,)), "empty": Output(("n",), (0,))}
    made = new_grid({"x": [1]}, {"x": 1}, Schema(outputs, {"t": t, "n": none}))
    with lease.acquire(store, PATH) as held:
        write_grid(held.blobs, made, None)
    assert verified(store) == Report((), 0, 0)
    key = copy_key(PATH, PATH.chunk("t", (0,)))
    put(store, key, encoded(np.array([0.0, 1.0]), "float64"))
    assert found(verified(store)) == [("problem", key)]
    assert repaired(store) == Report((), 0, 0)


@pytest.mark.parametrize("more", [{"x": [9]}, {"x": [0.5]}, {"x": range(5000), "s": ["c"]}])
def test_a_growth_that_is_cut_short_at_any_write_leaves_a_clean_grid(
    store: Location, grid: StoredGrid, more: dict[str, list[float]], tmp_path: Path
) -> None:
    larger = grown(grid, **more)
    steps = Recorder(to_location(MemoryStore()).open())
    write_grid(steps, larger, grid)
    for key, data in steps.writes:
        report = verified(store)
        assert (report.problems, report.points) == ((), 6), report
        put(store, key, data)
    assert verified(store) == CLEAN


@pytest.mark.parametrize("more", [{"x": [9]}, {"x": [0.5]}, {"x": range(5000), "s": ["c"]}])
def test_a_repair_settles_a_growth_that_was_cut_short_at_any_write(
    store: Location, grid: StoredGrid, more: dict[str, list[float]]
) -> None:
    larger = grown(grid, **more)
    steps = Recorder(to_location(MemoryStore()).open())
    write_grid(steps, larger, grid)
    for k in range(len(steps.writes)):
        for key, data in steps.writes[:k]:
            put(store, key, data)
        assert repaired(store) == CLEAN


def test_a_making_that_is_cut_short_at_any_write_leaves_no_problem(store: Location) -> None:
    made = new_grid({"x": [1, 2], "s": ["a"]}, {"x": 2, "s": 1}, SCHEMA)
    steps = Recorder(to_location(MemoryStore()).open())
    write_grid(steps, made, None)
    for key, data in steps.writes[:-1]:
        put(store, key, data)
        report = verified(store)
        assert found(report) == [("note", PATH.metadata)], report
    put(store, *steps.writes[-1])
    assert verified(store) == Report((), 0, 0)


def test_a_lost_document_of_a_grid_with_values_is_a_problem(
    store: Location, grid: StoredGrid
) -> None:
    store.open().delete(f"{PATH.manifest}000000000000-one.seg")
    store.open().delete(PATH.metadata)
    assert found(verified(store)) == [("problem", PATH.metadata)]


def test_documents_that_differ_otherwise_are_no_growth(store: Location, grid: StoredGrid) -> None:
    smaller = new_grid({"x": [1, 2], "s": ["a", "b"]}, {"x": 2, "s": 1}, SCHEMA)
    blobs = Recorder(to_location(MemoryStore()).open())
    write_documents(blobs, smaller)
    key = PATH.array_metadata("mean")
    put(store, key, dict(blobs.writes)[key])
    assert found(verified(store)) == [("problem", key)]
    assert repaired(store) == CLEAN


# ---- while others are at work


def test_a_compaction_meanwhile_is_read_again(store: Location, grid: StoredGrid) -> None:
    blobs = Recorder(store.open())
    old = f"{PATH.manifest}000000000000-one.seg"

    def merge(key: str) -> None:
        data = store.open().get(old)
        if key == PATH.metadata and data is not None:
            new = f"{PATH.manifest}000000000001-two.seg"
            put(store, new, replace(Segment.from_bytes(data), key=new).to_bytes())
            store.open().delete(old)

    blobs.before_read = merge
    assert verify_grid(blobs, PATH) == CLEAN


def test_points_that_are_deleted_meanwhile_are_no_damage(
    store: Location, grid: StoredGrid
) -> None:
    blobs = Recorder(store.open())
    deleted: list[str] = []

    def delete(key: str) -> None:
        if "/mean/c." in key and not deleted:
            deleted.append(key)
            with lease.acquire(store, PATH) as held:
                remove_points(held, PATH, lambda _: [np.arange(3), np.arange(2)], from_disk=True)

    blobs.before_read = delete
    assert verify_grid(blobs, PATH) == Report((), 0, 0)
    assert deleted


def test_damage_is_found_though_other_points_are_written_meanwhile(
    store: Location, grid: StoredGrid
) -> None:
    blobs = Recorder(store.open())
    store.open().delete(chunk_key(grid, "mean", (1, 1)))
    numbers = itertools.count()
    data = store.open().get(f"{PATH.manifest}000000000000-one.seg")
    assert data is not None

    def write(key: str) -> None:
        if "/mean/c." in key:
            new = f"{PATH.manifest}{next(numbers):012d}-two.seg"
            put(store, new, replace(Segment.from_bytes(data), key=new).to_bytes())

    blobs.before_read = write
    assert len(verify_grid(blobs, PATH).problems) == 1
    assert next(numbers) == 4  # each chunk was read once


def test_a_coordinate_that_a_new_document_replaces_is_no_damage(
    store: Location, grid: StoredGrid
) -> None:
    blobs, home = Recorder(store.open()), store.open()
    coordinate = f"{PATH.prefix}x/c.0"
    values, document = home.get(coordinate), home.get(PATH.metadata)
    assert values is not None
    assert document is not None

    def replace_it(key: str) -> None:
        if key == coordinate and blobs.reads.count(key) == 1:
            put(store, coordinate, b"of another layout")
            put(store, PATH.metadata, document + b" ")
        elif key == PATH.metadata and blobs.reads.count(key) == 2:
            put(store, coordinate, values)

    blobs.before_read = replace_it
    assert [p for p in verify_grid(blobs, PATH).problems if p.key == coordinate] == []
    assert blobs.reads.count(coordinate) > 1


def test_a_report_says_everything_in_lines(store: Location, grid: StoredGrid) -> None:
    assert str(verified(store)) == "6 points in 8 chunks read: nothing is wrong"
    mark_chunk(store, PATH, (1, 0), DamageError("a", "b"))
    store.open().delete(COPY)
    head, problem, note = str(verified(store)).splitlines()
    assert head == "6 points in 8 chunks read: 1 problem"
    assert problem.startswith(f"  {COPY}: ")
    assert note.startswith(f"  note: {PATH.manifest}c.1.0.bad: ")
