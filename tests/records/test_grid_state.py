"""Grid and manifest read together, while a writer goes on."""

from __future__ import annotations

import pytest

from swarmgrid.errors import StoreError
from swarmgrid.format.grid import StoredGrid
from swarmgrid.format.grid_io import write_grid
from swarmgrid.format.segment import Row, Rows
from swarmgrid.records.damage_marks import mark_name
from swarmgrid.records.grid_state import read_state
from swarmgrid.records.manifest import read_manifest, write_segment
from swarmgrid.space.points import Points
from swarmgrid.store.blobs import Blobs
from swarmgrid.store.directory import FileBlobs
from tests.stores.grids import PATH, Recorder, assert_same_grid, fill_grid, grown, new_grid


@pytest.fixture
def grid(files: FileBlobs) -> StoredGrid:
    """A stored grid of three points in two chunks, a segment for each."""
    grid = new_grid({"s": [1, 2, 3]}, {"s": 2})
    write_grid(files, grid, None)
    for i, row in enumerate(fill_grid(files, grid)):
        write_segment(files, PATH, f"{i}.seg", grid, Rows.from_rows([row], 1, 1))
    return grid


def merge(blobs: Blobs, grid: StoredGrid, name: str) -> None:
    names = blobs.names(PATH.manifest)
    manifest = read_manifest(blobs, PATH, names, grid)
    assert manifest is not None
    write_segment(blobs, PATH, name, grid, manifest.rows)
    for old in names:
        blobs.delete(PATH.manifest + old)


def test_nothing_stored_has_no_state(files: FileBlobs) -> None:
    assert read_state(files, PATH) is None


def test_a_grid_s_state_has_the_grid_and_every_row(files: FileBlobs, grid: StoredGrid) -> None:
    state = read_state(files, PATH)
    assert state is not None
    assert_same_grid(state.grid, grid)
    assert sorted(state.manifest.rows.index.tolist()) == [[0], [1]]


def test_a_merge_between_listing_and_reading_is_retried(
    files: FileBlobs, grid: StoredGrid
) -> None:
    merges: list[str] = []

    def merge_once(key: str) -> None:
        if key.endswith(".seg") and not merges:
            merges.append("merged.seg")
            merge(files, grid, merges[0])

    reader = Recorder(files)
    reader.before_read = merge_once
    state = read_state(reader, PATH)
    assert state is not None
    assert list(state.manifest.sizes) == merges
    assert sorted(state.manifest.rows.index.tolist()) == [[0], [1]]


def test_a_manifest_that_never_stays_is_reported(files: FileBlobs, grid: StoredGrid) -> None:
    numbers = iter(range(1000))

    def merge_always(key: str) -> None:
        if key.endswith(".seg"):
            merge(files, grid, f"merged-{next(numbers)}.seg")

    reader = Recorder(files)
    reader.before_read = merge_always
    with pytest.raises(StoreError, match=r"manifest/.* kept changing while it was read \d+ times"):
        read_state(reader, PATH)


def test_a_growth_between_listing_and_reading_damages_nothing(
    files: FileBlobs, grid: StoredGrid
) -> None:
    larger = grown(grid, s=[0.5])

    def grow(key: str) -> None:
        if key == PATH.metadata and files.get("grown") is None:
            files.put("grown", b"1")
            write_grid(files, larger, grid)
            row = Row(bytes(16), (1,), Points.at((1,)), (7,), 0.1)
            write_segment(files, PATH, "9.seg", larger, Rows.from_rows([row], 1, 1))

    reader = Recorder(files)
    reader.before_read = grow
    state = read_state(reader, PATH)
    assert state is not None
    assert_same_grid(state.grid, larger)
    assert set(state.manifest.sizes) == {"0.seg", "1.seg"}
    assert state.manifest.damaged == ()


def test_the_state_takes_three_rounds_of_requests(files: FileBlobs, grid: StoredGrid) -> None:
    reader = Recorder(files)
    read_state(reader, PATH)
    keys = [PATH.metadata, PATH.chunk("s", (0,)), *(f"{PATH.manifest}{i}.seg" for i in range(2))]
    assert reader.reads == keys


def test_a_state_that_is_still_that_of_the_store_is_not_read_again(
    files: FileBlobs, grid: StoredGrid
) -> None:
    state = read_state(files, PATH)
    reader = Recorder(files)
    assert read_state(reader, PATH, state) is state
    assert reader.reads == [PATH.metadata]


@pytest.mark.parametrize("what", ["a row", "a value", "a failure", "a mark", "a segment less"])
def test_a_state_that_has_changed_is_read_again(
    files: FileBlobs, grid: StoredGrid, what: str
) -> None:
    known = read_state(files, PATH)
    assert known is not None
    row = Row(bytes(16), (1,), Points.at((0,)), (7,), 0.1)
    match what:
        case "a row":
            write_segment(files, PATH, "9.seg", grid, Rows.from_rows([row], 1, 1))
        case "a value":
            write_grid(files, grown(grid, s=[0.5]), grid)
        case "a failure":
            files.put(f"{PATH.manifest}1.err", b"")
        case "a mark":
            files.put(PATH.manifest + mark_name((0,)), b"")
        case _:
            files.delete(f"{PATH.manifest}0.seg")
    state = read_state(files, PATH, known)
    assert state is not None
    assert (state.names, state.document) != (known.names, known.document)
