"""Grid and manifest read together, while a writer goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.errors import StoreError
from swarmgrid.format import described
from swarmgrid.format import grid as grid_module
from swarmgrid.format.grid import StoredGrid
from swarmgrid.format.grid_io import write_grid
from swarmgrid.format.segment import COLUMNS, Row, Rows, Segment
from swarmgrid.outputs.outputs import Coord, Output, Schema
from swarmgrid.records import manifest as manifest_module
from swarmgrid.records.damage_marks import mark_name
from swarmgrid.records.grid_state import read_state
from swarmgrid.records.manifest import read_manifest, write_segment
from swarmgrid.space.points import Points
from swarmgrid.store import checked_json
from swarmgrid.store.blobs import MAX_OBJECT, Blobs
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


def test_a_compaction_between_listing_and_reading_is_retried(
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


# ---- bytes that were read before


class Changed:
    """The objects of another `Blobs`, but for one."""

    def __init__(self, inner: Blobs, key: str, data: bytes | None) -> None:
        self._inner = inner
        self._key, self._data = key, data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def get(self, key: str, limit: int = MAX_OBJECT) -> bytes | None:
        return self.get_many([key], limit)[0]

    def get_many(self, keys: Sequence[str], limit: int = MAX_OBJECT) -> list[bytes | None]:
        found = self._inner.get_many(keys, limit)
        pairs = zip(keys, found, strict=True)
        return [self._data if key == self._key else data for key, data in pairs]


def forget() -> None:
    grid_module._understood.clear()
    manifest_module._understood.clear()


def outcome(blobs: Blobs) -> object:
    """All that a reader can know of a grid, or the error that it gets."""
    try:
        state = read_state(blobs, PATH)
    except StoreError as error:
        return type(error), str(error)
    assert state is not None
    rows, grid = state.manifest.rows, state.grid
    columns = [getattr(rows, name).tolist() for name in COLUMNS]
    axes = [(axis.kind, axis.values.tolist(), axis.is_int) for axis in grid.axes]
    return columns, state.manifest.damaged, axes, grid.group_document(), state.names


@given(data=st.data())
def test_what_was_read_before_changes_nothing_of_what_is_read(
    files: FileBlobs, grid: StoredGrid, data: st.DataObject
) -> None:
    """Any object damaged, cut, gone or in the place of another: as in a process that is new."""
    reader = Recorder(files)
    read_state(reader, PATH)
    stored = {key: files.get(key) or b"" for key in reader.reads}
    key = data.draw(st.sampled_from(sorted(stored)))
    before = stored[key]
    at = data.draw(st.integers(0, len(before) - 1))
    flipped = bytes([before[at] ^ data.draw(st.integers(1, 255))])
    other = data.draw(
        st.sampled_from(
            [before[:at] + flipped + before[at + 1 :], before[:at], None, *stored.values()]
        )
    )
    forget()
    fresh = outcome(Changed(files, key, other))
    read_state(files, PATH)  # the process knows the sound objects, and then the changed one, too
    assert outcome(Changed(files, key, other)) == fresh == outcome(Changed(files, key, other))
    assert outcome(files) != fresh or other == before


def test_bytes_that_were_read_before_are_read_and_not_examined(
    files: FileBlobs, grid: StoredGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Recorder(files), Recorder(files)
    read_state(first, PATH)

    def refuse(*_: object, **__: object) -> NoReturn:
        pytest.fail("the same bytes were examined twice")

    for module, name in (
        (checked_json, "from_bytes"),
        (described, "checked_documents"),
        (described, "check_same"),
        (Segment, "from_bytes"),
    ):
        monkeypatch.setattr(module, name, refuse)
    read_state(second, PATH)
    assert second.reads == first.reads


def test_what_readers_share_cannot_be_changed(files: FileBlobs, grid: StoredGrid) -> None:
    state, again = read_state(files, PATH), read_state(files, PATH)
    assert state is not None
    assert again is not None
    assert again.grid is state.grid
    arrays = [*(axis.values for axis in state.grid.axes)]
    data = files.get(f"{PATH.manifest}0.seg") or b""
    arrays += [getattr(manifest_module._segment(data, 2**20).rows, name) for name in COLUMNS]
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_a_grid_with_attributes_or_coordinates_is_not_shared(files: FileBlobs) -> None:
    """What a user gets of these may be a list, which can be changed in place."""
    for schema in (
        Schema({"mean": Output(attrs={"levels": [1, 2]})}),
        Schema({"mean": Output()}, attrs={"levels": [1, 2]}),
        Schema({"mean": Output(("t",), (2,))}, {"t": Coord(("t",), np.array([0.0, 1.0]))}),
    ):
        write_grid(files, new_grid({"s": [1, 2, 3]}, {"s": 2}, schema), None)
        one, other = read_state(files, PATH), read_state(files, PATH)
        assert one is not None
        assert other is not None
        assert one.grid is not other.grid
        assert_same_grid(other.grid, one.grid)
