"""Grids to store, and stores that keep account or fail."""

from __future__ import annotations

import enum
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from swarmgrid.format.chunk_io import empty_block, write_points
from swarmgrid.format.grid import StoredAxis, StoredGrid
from swarmgrid.format.segment import Row
from swarmgrid.outputs.outputs import Output, Schema
from swarmgrid.space.axis import to_axis
from swarmgrid.space.match import positions, reconciled
from swarmgrid.space.points import Points
from swarmgrid.store.blobs import MAX_OBJECT, Blobs
from swarmgrid.store.directory import FileBlobs
from swarmgrid.store.layout import GridPath
from swarmgrid.store.lease_record import LeaseRecord

PATH = GridPath("simulate", "0123456789abcdef")


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


AXES: dict[str, tuple[Any, Any]] = {
    "int": ([3, 1], [2**40]),
    "float": ([0.5, -np.inf], [1e-300]),
    "bool": ([True], [False]),
    "str": (["a", ""], ["日本"]),
    "enum": ([Colour.BLUE], [Colour.RED]),
    "datetime": (
        np.array(["2000-01-01"], "M8[D]"),
        np.array(["1999-01-01T00:00:00.000000001"], "M8"),
    ),
    "timedelta": (np.array([1], "m8[s]"), np.array([-(2**62)], "m8[ns]")),
}
"""For every kind of axis the values that a grid begins with, and those that it gets later."""

DTYPES = (
    *("float16", "float32", "float64", "complex64", "complex128", "bool", "string"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("datetime64[ns]", "timedelta64[ns]"),
)


def some_values(dtype: str, shape: tuple[int, ...] = (6,)) -> np.ndarray:
    """Values of a dtype, the extreme ones among them."""
    n = int(np.prod(shape))
    if dtype == "string":
        words = ["", "a", "bé", "日本", "x" * 300, "line\nbreak"]
        return np.array([words[i % 6] for i in range(n)] + [None], object)[:-1].reshape(shape)
    known = np.dtype(dtype)
    if known.kind in "iumM":
        limits = np.iinfo("i8" if known.kind in "mM" else known)
        extremes = [limits.max, limits.min, 0, 1, 2, limits.max - 1]
        values = np.array(extremes, limits.dtype).view(known)
    elif known.kind == "b":
        values = np.array([True, False, False, True, True, False])
    elif known.kind == "c":
        values = np.array([1 + 2j, complex(np.nan, -np.inf), 0, -1j, 3, complex(-0.0, 0.5)], known)
    else:
        values = np.array([0.1, -0.0, np.nan, np.inf, -np.inf, np.finfo(known).tiny], known)
    return np.resize(values, n).reshape(shape)


def new_grid(
    axes: dict[str, Any],
    chunks: dict[str, int],
    schema: Schema | None = None,
    inner: tuple[int, ...] | None = None,
) -> StoredGrid:
    """A grid that is not stored yet; with ``inner`` its chunks are shards of such ones."""
    stored = tuple(StoredAxis.new(to_axis(name, v), chunks[name]) for name, v in axes.items())
    return StoredGrid(PATH, stored, schema or Schema({"mean": Output()}), inner_shape=inner)


def grown(grid: StoredGrid, **requested: Any) -> StoredGrid:
    """The grid with the new ones of the requested values appended."""
    axes = []
    for stored in grid.stored_axes:
        have, want = reconciled(
            stored.axis, to_axis(stored.axis.name, requested.get(stored.axis.name, []))
        )
        axis = have.extended(want.take(positions(have, want) < 0))
        separator = stored.separator if have.kind == stored.axis.kind else "/"
        axes.append(replace(stored, axis=axis, separator=separator))
    return replace(grid, stored_axes=tuple(axes))


def fill_grid(blobs: Blobs, grid: StoredGrid) -> list[Row]:
    """Write every chunk, with values that say where they stand; the rows for the manifest."""
    rows = []
    lengths = [len(axis) for axis in grid.axes]
    for index in np.ndindex(*(-(-n // c) for n, c in zip(lengths, grid.chunk_shape, strict=True))):
        block = empty_block(grid)
        inside = tuple(
            min(c, n - i * c) for i, c, n in zip(index, grid.chunk_shape, lengths, strict=True)
        )
        box = tuple(slice(n) for n in inside)
        for name, output in grid.schema.outputs.items():
            block[name][box] = some_values(output.dtype, inside + output.shape)
        rows.append(write_points(blobs, grid, index, block, Points(inside), 0.5)[0])
    return rows


def assert_same_grid(got: StoredGrid | None, expected: StoredGrid) -> None:
    """Both grids have the same documents, axis values and coordinates."""
    assert got is not None
    assert got.path == expected.path
    assert got.group_document() == expected.group_document()
    for axis, other in zip(got.axes, expected.axes, strict=True):
        assert axis.kind == other.kind
        assert axis.values.dtype == other.values.dtype
        np.testing.assert_array_equal(axis.values, other.values)
    assert dict(got.schema.outputs) == dict(expected.schema.outputs)
    for name, coord in expected.schema.coords.items():
        read = got.schema.coords[name]
        assert (read.dims, dict(read.attrs)) == (coord.dims, dict(coord.attrs))
        np.testing.assert_array_equal(read.values, coord.values)


class Recorder:
    """The objects of another `Blobs`, with a note of every write and every read."""

    def __init__(self, inner: Blobs) -> None:
        self.inner = inner
        self.max_nbytes = inner.max_nbytes
        self.writes: list[tuple[str, bytes]] = []
        self.reads: list[str] = []
        self.before_read: Callable[[str], None] = lambda _key: None

    @property
    def is_create_atomic(self) -> bool:
        return self.inner.is_create_atomic

    def get(self, key: str, limit: int = MAX_OBJECT) -> bytes | None:
        return self.get_many([key], limit)[0]

    def get_many(self, keys: Sequence[str], limit: int = MAX_OBJECT) -> list[bytes | None]:
        for key in keys:
            self.reads.append(key)
            self.before_read(key)
        return self.inner.get_many(keys, limit)

    def put(self, key: str, data: bytes) -> None:
        self.writes.append((key, data))
        self.inner.put(key, data)

    def create(self, key: str, data: bytes) -> bool:
        is_new = self.inner.create(key, data)
        if is_new:
            self.writes.append((key, data))
        return is_new

    def delete(self, key: str) -> None:
        self.inner.delete(key)

    def names(self, prefix: str) -> list[str]:
        return self.inner.names(prefix)

    def begin_writing(self) -> None:
        self.inner.begin_writing()

    def end_writing(self) -> None:
        self.inner.end_writing()

    def fence_others(self) -> None:
        self.inner.fence_others()


def directory(root: Path) -> FileBlobs:
    """The files below ``root``, ready to be written."""
    blobs = FileBlobs(str(root))
    blobs.begin_writing()
    return blobs


def file_at(root: Path, key: str) -> Path:
    """The file of a key, its folder made."""
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def record_of_a_dead_process() -> LeaseRecord:
    """What a process of this machine left that was killed."""
    code = (
        "from swarmgrid.store.lease_record import LeaseRecord\n"
        "print(LeaseRecord.of_this_process(9).to_bytes())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    record = LeaseRecord.from_bytes(eval(out))
    assert record is not None
    assert record.is_dead()
    return record
