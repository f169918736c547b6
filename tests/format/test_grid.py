"""A grid written and read back, grown, and looked at by others in the middle of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from zarr.storage import MemoryStore

from swarmgrid.errors import DamageError, FormatError
from swarmgrid.format.described import MIN_COORD_CHUNK
from swarmgrid.format.grid import (
    StoredAxis,
    StoredGrid,
    read_grid,
)
from swarmgrid.format.grid_io import copy_key, write_grid
from swarmgrid.outputs.outputs import Coord, Output, Schema
from swarmgrid.space.axis import Axis
from swarmgrid.space.canonical import canonical_bytes
from swarmgrid.store import checked_json
from swarmgrid.store.blobs import Blobs, ZarrBlobs
from swarmgrid.store.directory import FileBlobs
from swarmgrid.store.layout import GridPath
from tests.long import first
from tests.stores.grids import (
    AXES,
    DTYPES,
    PATH,
    Recorder,
    assert_same_grid,
    directory,
    file_at,
    fill_grid,
    grown,
    new_grid,
)

SCHEMA = Schema(
    {name.split("[")[0]: Output(dtype=name) for name in DTYPES}
    | {
        "trace": Output(("t",), (3,), attrs={"units": "m"}),
        "image": Output(("t", "u"), (3, 2), "int16"),
        "nothing": Output(("none",), (0,)),
    },
    {
        "t": Coord(("t",), np.array([0.0, 0.5, 1.0]), {"units": "s"}),
        "label": Coord(("t",), np.array(["a", "", "日本"])),
        "when": Coord(("u",), np.array(["2000", "NaT"], "M8[D]")),
        "map": Coord(("u", "t"), np.arange(6).reshape(2, 3)),
        "scale": Coord((), np.array(2.5)),
        "none": Coord(("none",), np.empty(0, "i4")),
        "hollow": Coord(("none", "t"), np.empty((0, 3))),
    },
)
LARGE = MIN_COORD_CHUNK * 2 + 1


def read(blobs: Blobs, path: GridPath = PATH) -> StoredGrid | None:
    return read_grid(blobs, path, blobs.get(path.metadata))


def every_axis(which: int) -> dict[str, Any]:
    return {f"by_{kind}": values[which] for kind, values in AXES.items()}


# ---- round trips


@pytest.mark.parametrize("kind", AXES)
def test_a_grid_is_read_as_it_was_written_and_grown(kind: str, files: FileBlobs) -> None:
    first, later = AXES[kind]
    grid = new_grid({"x": first}, {"x": 2})
    write_grid(files, grid, None)
    assert_same_grid(read(files), grid)
    larger = grown(grid, x=later)
    assert len(larger.axes[0]) == len(first) + 1
    write_grid(files, larger, grid)
    assert_same_grid(read(files), larger)


@pytest.mark.parametrize("inner", first(1, map(pytest.param, [(2, 1), None, (4, 1)])))
def test_every_store_keeps_a_grid(blobs: Blobs, inner: tuple[int, ...] | None) -> None:
    grid = new_grid({"a": [1, 2], "b": ["x"]}, {"a": 4, "b": 1}, SCHEMA, inner)
    write_grid(blobs, grid, None)
    assert_same_grid(read(blobs), grid)
    larger = grown(grid, a=[0.5], b=["y"])
    write_grid(blobs, larger, grid)
    assert_same_grid(read(blobs), larger)


def test_a_grid_of_every_kind_of_axis_and_output_is_read_as_it_was_written(
    files: FileBlobs,
) -> None:
    axes = every_axis(0)
    grid = new_grid(axes, dict.fromkeys(axes, 2), SCHEMA)
    write_grid(files, grid, None)
    assert_same_grid(read(files), grid)


def test_a_grid_without_axes_is_one_point(files: FileBlobs) -> None:
    grid = new_grid({}, {}, SCHEMA)
    write_grid(files, grid, None)
    assert_same_grid(read(files), grid)


@pytest.mark.parametrize("n", [0, 1, MIN_COORD_CHUNK, MIN_COORD_CHUNK + 1, LARGE])
def test_an_axis_of_any_length_is_read_as_it_was_written(n: int, files: FileBlobs) -> None:
    grid = new_grid({"x": np.arange(n)}, {"x": 100})
    write_grid(files, grid, None)
    assert_same_grid(read(files), grid)
    larger = grown(grid, x=np.arange(n + 3 * LARGE))
    write_grid(files, larger, grid)
    assert_same_grid(read(files), larger)
    assert len(larger.axes[0]) == n + 3 * LARGE


def test_attributes_of_the_function_are_kept(files: FileBlobs) -> None:
    grid = new_grid({"x": [1]}, {"x": 1})
    attributes = {"swarmgrid_function": "f", "swarmgrid_params": "{}", "swarmgrid_version": "1"}
    grid = StoredGrid(grid.path, grid.stored_axes, grid.schema, attributes)
    write_grid(files, grid, None)
    got = read(files)
    assert got is not None
    assert got.attributes == attributes


def test_nothing_stored_is_no_grid(files: FileBlobs) -> None:
    assert read(files) is None


@pytest.mark.parametrize("function", ["simulate", "<lambda>", "naïve f", "..", "a/b"])
def test_a_functions_name_makes_one_folder(
    function: str, files: FileBlobs, tmp_path: Path
) -> None:
    path = GridPath(function, "0" * 32)
    grid = StoredGrid(path, (), Schema({"mean": Output()}))
    write_grid(files, grid, None)
    assert_same_grid(read(files, path), grid)
    folders = [p for p in (tmp_path / "store/data.zarr").iterdir() if p.is_dir()]
    assert len(folders) == 1
    assert path.group == f"{folders[0].name}/{path.grid}"


# ---- what foreign readers see


def opened(root: Path) -> xr.Dataset | None:
    """What xarray sees of the grid; None where it sees none."""
    try:
        ds: xr.Dataset = xr.open_zarr(root / "data.zarr" / PATH.group, chunks=None)
    except FileNotFoundError:
        return None
    return ds.load()


@pytest.mark.parametrize("is_sharded", [False, True])
def test_xarray_reads_every_kind(is_sharded: bool, files: FileBlobs, tmp_path: Path) -> None:
    axes = every_axis(0)
    inner = (2, 1) * 3 + (2,) if is_sharded else None
    grid = new_grid(axes, dict.fromkeys(axes, 2), SCHEMA, inner)
    write_grid(files, grid, None)
    fill_grid(files, grid)
    ds = opened(tmp_path / "store")
    assert ds is not None
    assert set(ds.data_vars) == set(SCHEMA.outputs)
    assert set(ds.coords) == {*axes, *SCHEMA.coords}
    for axis in grid.axes:
        np.testing.assert_array_equal(ds[axis.name], axis.labels())
    for name, coord in SCHEMA.coords.items():
        assert ds[name].dims == coord.dims
        np.testing.assert_array_equal(ds[name], coord.values)
    for name, output in SCHEMA.outputs.items():
        assert ds[name].dims == (*axes, *output.dims)
        if output.dtype != "string":
            assert ds[name].dtype == output.dtype


def writes_of(grid: StoredGrid, old: StoredGrid | None) -> list[tuple[str, bytes]]:
    """Every write that makes ``old`` into ``grid``, in order."""
    recorder = Recorder(ZarrBlobs(MemoryStore()))
    if old is not None:
        write_grid(recorder, old, None)
        recorder.writes.clear()
    write_grid(recorder, grid, old)
    return recorder.writes


def growths() -> Iterator[Any]:
    small = new_grid({"s": [3, 1], "k": ["a"]}, {"s": 2, "k": 1}, SCHEMA)
    times = new_grid({"d": AXES["datetime"][0], "b": [True]}, {"d": 1, "b": 2})
    long = new_grid({"s": np.arange(MIN_COORD_CHUNK)}, {"s": 1024})
    yield pytest.param(small, grown(small, s=[7, 8, 9]), id="more ints")
    yield pytest.param(small, grown(small, s=[9], k=["", "日本"]), id="more of two axes")
    yield pytest.param(small, grown(small, s=[0.5]), id="ints become floats")
    yield pytest.param(small, grown(small, s=[3.0, 1.0]), id="ints become the same floats")
    yield pytest.param(small, grown(grown(small, s=[0.5]), s=[0.25]), id="floats at once")
    yield pytest.param(grown(small, s=[0.5]), grown(grown(small, s=[0.5]), s=[0.25]), id="floats")
    sharded = new_grid({"s": [3, 1], "k": ["a"]}, {"s": 4, "k": 2}, SCHEMA, (2, 1))
    yield pytest.param(sharded, grown(sharded, s=[7, 8, 9], k=["b"]), id="shards")
    yield pytest.param(times, grown(times, d=AXES["datetime"][1], b=[False]), id="times")
    yield pytest.param(long, grown(long, s=np.arange(LARGE)), id="several coordinate chunks")
    yield pytest.param(long, grown(long, s=[0.5]), id="many ints become floats")


@pytest.mark.parametrize(("old", "new"), first(1, growths()))
def test_every_reader_sees_the_old_grid_or_the_new_one_at_every_instant(
    old: StoredGrid, new: StoredGrid, tmp_path: Path
) -> None:
    blobs = directory(tmp_path)
    write_grid(blobs, old, None)
    fill_grid(blobs, old)
    before = opened(tmp_path)
    assert before is not None
    writes = writes_of(new, old)
    assert writes[-1][0] == PATH.metadata
    assert [key for key, _ in writes].count(PATH.metadata) == 1
    for key, data in writes[:-1]:
        file_at(tmp_path, key).write_bytes(data)
        seen = opened(tmp_path)
        assert seen is not None
        assert seen.identical(before), key
        assert_same_grid(read(blobs), old)
    file_at(tmp_path, PATH.metadata).write_bytes(writes[-1][1])
    after = opened(tmp_path)
    assert after is not None
    assert_same_grid(read(blobs), new)
    for axis in new.axes:
        np.testing.assert_array_equal(after[axis.name], axis.labels())
    part = after.isel({axis.name: slice(len(axis)) for axis in old.axes})
    for name in old.schema.outputs:
        np.testing.assert_array_equal(part[name], before[name])


def test_a_new_grid_is_seen_when_it_is_whole(tmp_path: Path) -> None:
    grid = new_grid({"s": [3, 1], "k": ["a"]}, {"s": 2, "k": 1}, SCHEMA)
    writes = writes_of(grid, None)
    blobs = directory(tmp_path)
    for key, data in writes:
        assert opened(tmp_path) is None
        assert read(blobs) is None
        file_at(tmp_path, key).write_bytes(data)
    assert opened(tmp_path) is not None
    assert_same_grid(read(blobs), grid)


@pytest.mark.parametrize("n_done", range(12))
def test_a_growth_that_was_cut_short_can_be_done_again_otherwise(
    n_done: int, tmp_path: Path
) -> None:
    old = new_grid({"s": [3, 1]}, {"s": 2})
    blobs = directory(tmp_path)
    write_grid(blobs, old, None)
    for key, data in itertools.islice(writes_of(grown(old, s=[0.5, 8.0]), old), n_done):
        file_at(tmp_path, key).write_bytes(data)
    survived = read(blobs)
    assert survived is not None
    again = grown(survived, s=[7, 9, 11])
    write_grid(blobs, again, survived)
    assert_same_grid(read(blobs), again)
    ds = opened(tmp_path)
    assert ds is not None
    np.testing.assert_array_equal(ds["s"], again.axes[0].labels())


def test_a_promotion_leaves_the_old_coordinate_chunk() -> None:
    old = new_grid({"s": [3, 1]}, {"s": 2})
    written = {key for key, _ in writes_of(grown(old, s=[0.5]), old)}
    assert PATH.chunk("s", (0,), ".") not in written
    assert PATH.chunk("s", (0,), "/") in written


def test_growth_writes_only_the_coordinate_chunks_with_new_values() -> None:
    first = new_grid({"s": [0], "t": [1]}, {"s": 9, "t": 1})
    length = first.stored_axes[0].coord_chunk
    old = grown(first, s=np.arange(2 * length + 5))
    new = grown(old, s=np.arange(3 * length + 1))
    changed = [PATH.chunk("s", (i,)) for i in (2, 3)]
    written = [key for key, _ in writes_of(new, old) if not key.endswith("zarr.json")]
    assert written == [key for chunk in changed for key in (copy_key(PATH, chunk), chunk)]


@pytest.mark.parametrize(("old", "new"), list(growths()))
def test_every_coordinate_chunk_has_its_copy_already(old: StoredGrid, new: StoredGrid) -> None:
    for writes in (writes_of(old, None), writes_of(new, old)):
        chunks = [key for key, _ in writes if key.startswith(PATH.prefix)]
        chunks = [key for key in chunks if not key.endswith("zarr.json")]
        keys = [key for key, _ in writes]
        assert chunks
        for chunk in chunks:
            assert keys.index(copy_key(PATH, chunk)) < keys.index(chunk)
            assert dict(writes)[copy_key(PATH, chunk)] == dict(writes)[chunk]


def test_the_parents_are_written_once_and_list_nothing() -> None:
    writes = dict(writes_of(new_grid({"s": [1]}, {"s": 1}), None))
    documents = [json.loads(writes[key]) for key in PATH.parents]
    assert all("consolidated_metadata" not in document for document in documents)
    assert [doc["attributes"] for doc in documents] == [{"swarmgrid_format": 1}, {}]


def test_the_arrays_own_documents_are_those_of_the_group() -> None:
    grid = new_grid({"s": [1], "t": ["a"]}, {"s": 1, "t": 1}, SCHEMA)
    writes = {key: data for key, data in writes_of(grid, None) if key.endswith("zarr.json")}
    group = json.loads(writes[PATH.metadata])
    arrays = group["consolidated_metadata"]["metadata"]
    assert {PATH.array_metadata(name): doc for name, doc in arrays.items()} == {
        key: json.loads(data)
        for key, data in writes.items()
        if key not in {PATH.metadata, *PATH.parents}
    }


# ---- damage


@pytest.fixture
def stored(files: FileBlobs) -> StoredGrid:
    grid = new_grid({"s": [3, 1], "k": ["a"]}, {"s": 2, "k": 1}, SCHEMA)
    write_grid(files, grid, None)
    return grid


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"attributes": {}}', b"\xff"], ids=str)
def test_a_damaged_group_document_is_reported(data: bytes, files: FileBlobs) -> None:
    with pytest.raises(DamageError) as caught:
        read_grid(files, PATH, data)
    assert caught.value.key == PATH.metadata


def test_a_changed_group_document_is_reported(files: FileBlobs, stored: StoredGrid) -> None:
    data = files.get(PATH.metadata) or b""
    assert data.count(b'"chunk_shape"') > 3
    with pytest.raises(DamageError, match="changed after it was written"):
        read_grid(files, PATH, data.replace(b'"fill_value":"NaN"', b'"fill_value":0', 1))


def test_every_changed_byte_of_the_group_document_is_reported(files: FileBlobs) -> None:
    grid = new_grid({"s": [3, 1]}, {"s": 2})
    write_grid(files, grid, None)
    data = files.get(PATH.metadata) or b""
    for i in range(len(data)):
        changed = data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :]
        try:
            got = read_grid(files, PATH, changed)
        except (DamageError, FormatError):
            continue
        assert json.loads(changed) == json.loads(data)
        assert_same_grid(got, grid)


NONSENSE: dict[str, Callable[[Any], object]] = {
    "no keys of chunks": lambda array: array.pop("chunk_key_encoding"),
    "no chunk shape": lambda array: array.update(chunk_grid={"name": "regular"}),
    "an unknown dtype": lambda array: array.update(data_type="int63"),
    "an unknown kind": lambda array: array["attributes"].update(swarmgrid_kind="ink"),
    "a missing array": lambda array: array.clear(),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_a_document_with_a_checksum_that_makes_no_sense_is_reported(
    case: str, files: FileBlobs, stored: StoredGrid
) -> None:
    """As a repair may make one up from the documents of arrays, which have no checksum."""
    document = json.loads(files.get(PATH.metadata) or b"")
    NONSENSE[case](document["consolidated_metadata"]["metadata"]["s"])
    data = checked_json.to_bytes(checked_json.with_checksum(document))
    with pytest.raises(DamageError, match="it cannot be understood") as caught:
        read_grid(files, PATH, data)
    assert caught.value.key == PATH.metadata


def test_a_group_of_a_newer_format_is_refused(files: FileBlobs, stored: StoredGrid) -> None:
    document = json.loads(files.get(PATH.metadata) or b"")
    document["attributes"]["swarmgrid_format"] = 2
    document["consolidated_metadata"] = {"in": "another way"}
    with pytest.raises(FormatError, match="format version 2; this swarmgrid reads up to 1"):
        read_grid(files, PATH, checked_json.to_bytes(document))


@pytest.mark.parametrize("name", ["s", "k", "t", "label", "when", "map", "scale"])
@pytest.mark.parametrize("how", ["missing", "cut off", "another array's"])
def test_a_damaged_coordinate_is_reported(
    name: str, how: str, files: FileBlobs, stored: StoredGrid
) -> None:
    index = {"map": (0, 0), "scale": ()}.get(name, (0,))
    key = PATH.chunk(name, index)
    data = files.get(key)
    assert data is not None
    if how == "missing":
        files.delete(key)
    else:
        other = files.get(PATH.chunk("t" if name in {"s", "k"} else "s", (0,))) or b""
        files.put(key, data[:-1] if how == "cut off" else other)
    with pytest.raises(DamageError) as caught:
        read(files)
    assert caught.value.key == key


# ---- digests


def test_a_promotion_keeps_the_digest_of_the_old_values() -> None:
    old = new_grid({"s": [3, 1, 2]}, {"s": 2})
    new = grown(old, s=[0.5])
    for n in range(4):
        assert old.axis_digest("s", n) == new.axis_digest("s", n)
    assert old.bin_bytes((0,)) == new.bin_bytes((0,))
    assert old.bin_bytes((1,)) != new.bin_bytes((1,))


def test_lists_of_values_that_differ_have_different_bytes() -> None:
    values: list[Any] = [
        *(np.array(v, object) for v in (["ab"], ["a", "b"], ["1:a"], ["", "ab"], ["ab", ""])),
        *(np.array(v, "i8") for v in ([1], [1, 2], [2, 1], [0], [1, 0])),
        *(np.array(v, "f8") for v in ([1.5], [1.5, 1.0], [1.0, 1.5], [2.0**60], [np.inf])),
        *(np.array(v, "?") for v in ([True], [False], [True, False])),
    ]
    assert len({canonical_bytes(v) for v in values}) == len(values)


def test_whole_floats_have_the_bytes_of_their_integers() -> None:
    whole = np.array([1, -(2**53), 0])
    assert canonical_bytes(whole.astype("f8")) == canonical_bytes(whole)


@pytest.mark.parametrize(
    ("n", "expected"), [(0, 1024), (1024, 1024), (1025, 2048), (2**21, 2**20)]
)
def test_a_coordinate_has_room_to_grow(n: int, expected: int) -> None:
    assert StoredAxis.new(Axis("x", "int", np.arange(n)), 1).coord_chunk == expected
