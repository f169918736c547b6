"""One chunk of a grid: what is written, what the row says, and what damage does."""

from __future__ import annotations

import numpy as np
import pytest

from swarmgrid.errors import DamageError
from swarmgrid.format.chunk_io import chunk_key, empty_block, read_block, write_points
from swarmgrid.format.codec import checksum
from swarmgrid.format.grid import StoredGrid
from swarmgrid.outputs.outputs import Output, Schema
from swarmgrid.space.points import Points
from swarmgrid.store.directory import FileBlobs
from tests.stores.grids import DTYPES, PATH, Recorder, new_grid, some_values

SCHEMA = Schema(
    {name.split("[")[0]: Output(dtype=name) for name in DTYPES}
    | {"trace": Output(("t",), (3,)), "none": Output(("n",), (0,))}
)


@pytest.fixture(params=[None, (1, 1), (2, 1)], ids=["plain", "sharded", "sharded in columns"])
def grid(request: pytest.FixtureRequest) -> StoredGrid:
    axes = {"s": [1, 2, 3], "k": ["a", "b"]}
    return new_grid(axes, {"s": 2, "k": 2}, SCHEMA, request.param)


def full_block(grid: StoredGrid) -> dict[str, np.ndarray]:
    return {
        name: some_values(output.dtype, grid.block_shape(output))
        for name, output in SCHEMA.outputs.items()
    }


def test_a_block_is_read_as_it_was_written(files: FileBlobs, grid: StoredGrid) -> None:
    block = full_block(grid)
    recorder = Recorder(files)
    row, written = write_points(recorder, grid, (1, 0), block, Points((2, 2)), 0.5)
    got = read_block(files, grid, (1, 0))
    assert got.keys() == block.keys()
    for name, values in block.items():
        np.testing.assert_array_equal(got[name], values)
        assert got[name].flags.writeable
    assert written == sum(len(data) for _, data in recorder.writes)
    assert (row.index, row.points, row.seconds) == ((1, 0), Points((2, 2)), 0.5)


def test_the_row_holds_the_checksums_of_the_new_points_only(
    files: FileBlobs, grid: StoredGrid
) -> None:
    block = full_block(grid)
    mask = np.array([[False, True], [True, False]])
    row, _ = write_points(files, grid, (0, 0), block, Points.from_mask(mask), 0.5)
    expected = [checksum(block[n][mask], o.dtype) for n, o in SCHEMA.outputs.items()]
    assert list(row.checksums) == expected
    whole, _ = write_points(files, grid, (0, 0), block, Points((2, 2)), 0.5)
    assert list(whole.checksums) == [
        checksum(block[n], o.dtype) for n, o in SCHEMA.outputs.items()
    ]


def test_the_key_of_a_row_is_that_of_its_axis_values(files: FileBlobs, grid: StoredGrid) -> None:
    block = full_block(grid)
    keys = [
        write_points(files, grid, index, block, Points((2, 2)), 0.5)[0].key
        for index in ((0, 0), (1, 0))
    ]
    assert [len(key) for key in keys] == [16, 16]
    assert keys[0] != keys[1]
    other = new_grid({"s": [1, 2, 9], "k": ["a", "b"]}, {"s": 2, "k": 2}, SCHEMA)
    assert write_points(files, other, (0, 0), block, Points((2, 2)), 0.5)[0].key == keys[0]


def test_an_empty_block_is_one_where_nothing_is_computed(grid: StoredGrid) -> None:
    block = empty_block(grid)
    assert np.isnan(block["trace"]).all()
    assert block["trace"].shape == (2, 2, 3)
    assert np.isnat(block["datetime64"]).all()
    assert set(block["string"].flat) == {""}


def test_chunks_of_an_outputs_own_dims_are_whole(grid: StoredGrid) -> None:
    assert chunk_key(grid, "trace", (1, 0)) == f"{PATH.prefix}trace/c.1.0.0"
    assert chunk_key(grid, "bool", (1, 0)) == f"{PATH.prefix}bool/c.1.0"


@pytest.mark.parametrize("name", ["float64", "string", "trace"])
@pytest.mark.parametrize("how", ["missing", "cut off", "of another size"])
def test_a_damaged_chunk_is_reported(
    name: str, how: str, files: FileBlobs, grid: StoredGrid
) -> None:
    write_points(files, grid, (0, 0), full_block(grid), Points((2, 2)), 0.5)
    key = chunk_key(grid, name, (0, 0))
    data = files.get(key) or b""
    if how == "missing":
        files.delete(key)
    else:
        other = files.get(chunk_key(grid, "int8", (0, 0))) or b""
        files.put(key, data[:-1] if how == "cut off" else other)
    with pytest.raises(DamageError) as caught:
        read_block(files, grid, (0, 0))
    assert caught.value.key == key
