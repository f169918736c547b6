"""Shards as bytes: what zarr reads, what is left out of them, and what is refused."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import MemoryStore

from swarmgrid.format.codec import checksum, filled
from swarmgrid.format.shard import ABSENT, decoded_shard, encoded_shard
from swarmgrid.format.zarr_metadata import array_document, inner_shape
from swarmgrid.outputs.encoding import fill_value
from swarmgrid.outputs.outputs import STRING
from swarmgrid.store.checked_json import to_bytes
from tests.long import first, pairs
from tests.stores.grids import DTYPES, file_at, some_values

Shape = tuple[int, ...]
SHAPES: dict[str, tuple[Shape, Shape]] = {
    "in one dimension": ((12,), (3,)),
    "in two": ((4, 9), (2, 3)),
    "with dims of its own": ((4, 6, 5), (2, 2, 5)),
    "of one chunk": ((4, 3), (4, 3)),
    "of chunks of one point": ((3, 4), (1, 1)),
    "of compressed chunks": ((1200,), (600,)),
    "of compressed chunks in two dimensions": ((4, 600), (2, 300)),
    "of nothing": ((4, 0), (2, 0)),
}
CASES = first(2 * len(DTYPES), pairs(DTYPES, list(SHAPES)))
"""Of the dtypes, the short run has each with two of the shapes."""
IN_ZARR = {"datetime64[ns]": "int64", "timedelta64[ns]": "int64"}


def zarr_values(data: bytes, dtype: str, shape: Shape, inner: Shape, folder: Path) -> Any:
    """What zarr reads of an array of one shard."""
    dims = [f"x{i}" for i in range(len(shape))]
    document = array_document(dtype, shape, shape, dims, {}, inner=inner)
    file_at(folder, "zarr.json").write_bytes(to_bytes(document))
    (folder / ".".join(["c", *("0" for _ in shape)])).write_bytes(data)
    array: Any = zarr.open_array(folder, mode="r")
    assert array.shards == tuple(max(n, 1) for n in shape)
    assert array.chunks == tuple(max(n, 1) for n in inner)
    return array[...]


def assert_same(got: np.ndarray, expected: np.ndarray, dtype: str) -> None:
    """Bit by bit: there are many NaNs, and two zeros."""
    assert got.shape == expected.shape
    assert checksum(got, dtype) == checksum(expected, dtype)


@pytest.mark.parametrize(("dtype", "divided"), CASES)
def test_values_survive_and_zarr_reads_them(dtype: str, divided: str, tmp_path: Path) -> None:
    shape, inner = SHAPES[divided]
    values = some_values(dtype, shape)
    data = encoded_shard(values, dtype, inner)
    got = decoded_shard(data, dtype, shape, inner)
    assert got.dtype == values.dtype
    assert_same(got, values, dtype)
    theirs = zarr_values(data, dtype, shape, inner, tmp_path)
    stored = IN_ZARR.get(dtype, dtype)
    expected = values if stored == dtype else values.view(stored)
    np.testing.assert_array_equal(theirs, expected)


@pytest.mark.parametrize(("dtype", "divided"), CASES)
def test_chunks_of_nothing_but_fill_values_are_left_out(
    dtype: str, divided: str, tmp_path: Path
) -> None:
    shape, inner = SHAPES[divided]
    nothing = filled(shape, dtype)
    data = encoded_shard(nothing, dtype, inner)
    assert set(struct.unpack(f"<{len(data) // 8}Q", data)) == {ABSENT}
    assert_same(decoded_shard(data, dtype, shape, inner), nothing, dtype)
    theirs = zarr_values(data, dtype, shape, inner, tmp_path)
    np.testing.assert_array_equal(theirs, nothing.view(IN_ZARR.get(dtype, nothing.dtype)))
    if nothing.size:
        some = nothing.copy()
        some[-1] = some_values(dtype, (4,))[1]
        data = encoded_shard(some, dtype, inner)
        assert_same(decoded_shard(data, dtype, shape, inner), some, dtype)
        theirs = zarr_values(data, dtype, shape, inner, tmp_path)
        np.testing.assert_array_equal(theirs, some.view(IN_ZARR.get(dtype, some.dtype)))


def test_a_nan_of_other_bits_than_the_fill_value_is_kept() -> None:
    values = np.array([0x7FF8000000000001, 0xFFF8000000000000], "u8").view("f8")
    data = encoded_shard(values, "float64", (1,))
    assert decoded_shard(data, "float64", (2,), (1,)).tobytes() == values.tobytes()


def test_the_layout_is_that_of_the_format_page() -> None:
    values = np.array([1.0, 2.0, np.nan, np.nan, 5.0, np.nan])
    expected = values[[0, 1, 4, 5]].tobytes()
    expected += struct.pack("<6Q", 0, 16, ABSENT, ABSENT, 16, 16)
    assert encoded_shard(values, "float64", (2,)) == expected


@st.composite
def shards(draw: st.DrawFn) -> tuple[str, np.ndarray, Shape]:
    """A dtype, values of which some are fill values, and the shape of a chunk."""
    dtype = draw(st.sampled_from(DTYPES))
    n = draw(st.integers(1, 4))
    inner = tuple(draw(st.lists(st.integers(1, 4), min_size=n, max_size=n)))
    times = draw(st.lists(st.integers(1, 3), min_size=n, max_size=n))
    values = some_values(dtype, tuple(i * t for i, t in zip(inner, times, strict=True)))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    share = draw(st.sampled_from([0.0, 0.05, 0.3, 0.7, 0.95, 1.0]))
    values = values.copy()
    values[chance.random(values.shape) >= share] = fill_value(dtype)
    return dtype, values, inner


@given(shards())
def test_any_shard_reads_the_same_here_and_by_zarr(shard: tuple[str, np.ndarray, Shape]) -> None:
    dtype, values, inner = shard
    data = encoded_shard(values, dtype, inner)
    assert_same(decoded_shard(data, dtype, values.shape, inner), values, dtype)
    dims = [f"x{i}" for i in range(values.ndim)]
    document = array_document(dtype, values.shape, values.shape, dims, {}, inner=inner)
    assert inner_shape(document) == inner
    store = MemoryStore()
    group: Any = zarr.create_group(store)
    zarr.core.sync.sync(store.set("a/zarr.json", buffer(to_bytes(document))))
    zarr.core.sync.sync(store.set("a/" + ".".join(["c", *"0" * values.ndim]), buffer(data)))
    theirs = np.asarray(group["a"][...])
    np.testing.assert_array_equal(theirs, values.view(IN_ZARR.get(dtype, values.dtype)))


def buffer(data: bytes) -> Any:
    return zarr.core.buffer.default_buffer_prototype().buffer.from_bytes(data)


# ---- damage

DAMAGED: dict[str, tuple[str, Shape, Shape]] = {
    "numbers": ("float64", (6,), (2,)),
    "bools": ("bool", (6,), (2,)),
    "strings": (STRING, (6,), (2,)),
    "compressed": ("int16", (600,), (300,)),
    "compressed strings": (STRING, (40,), (20,)),
}


@pytest.mark.parametrize(("dtype", "shape", "inner"), DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("has_hole", [False, True])
def test_whatever_is_changed_is_an_error_or_only_values(
    dtype: str, shape: Shape, inner: Shape, has_hole: bool
) -> None:
    """Of chunks that are not compressed only the manifest knows what the values were."""
    values = some_values(dtype, shape).copy()
    if has_hole:
        values[: inner[0]] = fill_value(dtype)
    data = encoded_shard(values, dtype, inner)
    body = len(data) - 16 * (shape[0] // inner[0])
    for i in range(len(data)):
        with pytest.raises(ValueError, match="its index|the index"):
            decoded_shard(data[:i], dtype, shape, inner)
        for bit in range(8):
            changed = data[:i] + bytes([data[i] ^ 1 << bit]) + data[i + 1 :]
            try:
                got = decoded_shard(changed, dtype, shape, inner)
            except ValueError:
                continue
            assert i < body, "the index"
            assert (got.shape, got.dtype) == (values.shape, values.dtype)
    for longer in (data + b"x", data + bytes(16), bytes(16) + data, data[16:] + data):
        with pytest.raises(ValueError, match="its index|the index"):
            decoded_shard(longer, dtype, shape, inner)


LIES: dict[str, list[int]] = {
    "in another order": [16, 16, 0, 16],
    "twice the same": [0, 16, 0, 16],
    "with a gap": [0, 8, 16, 16],
    "overlapping": [0, 24, 16, 16],
    "beyond the end": [0, 16, 16, 32],
    "far beyond the end": [0, 16, 16, 2**63],
    "lengths that add up by overflow": [0, 2**64 - 16, 2**64 - 16, 48],
    "of unequal lengths": [0, 8, 8, 24],
    "absent by half": [0, 16, ABSENT, 16],
    "absent by the other half": [0, 16, 16, ABSENT],
    "absent, but there": [0, 16, ABSENT, ABSENT],
    "empty": [0, 0, 0, 32],
}


@pytest.mark.parametrize("index", LIES.values(), ids=LIES)
def test_an_index_that_lies_is_refused(index: list[int]) -> None:
    values = np.arange(4.0)
    sound = encoded_shard(values, "float64", (2,))
    assert sound == values.tobytes() + struct.pack("<4Q", 0, 16, 16, 16)
    with pytest.raises(ValueError, match="its index"):
        decoded_shard(values.tobytes() + struct.pack("<4Q", *index), "float64", (4,), (2,))


def test_bytes_that_are_no_bools_are_refused() -> None:
    data = encoded_shard(np.array([True, True, False, True]), "bool", (2,))
    with pytest.raises(ValueError, match="no bools"):
        decoded_shard(b"\1\2" + data[2:], "bool", (4,), (2,))


@pytest.mark.parametrize("data", [b"", bytes(15), b"\xff" * 31], ids=len)
def test_what_is_shorter_than_its_index_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="less than the index of 2 chunks"):
        decoded_shard(data, "float64", (4,), (2,))


@given(st.sampled_from(sorted(DAMAGED)), st.binary(max_size=120))
def test_any_bytes_are_refused_or_a_shard_of_values(which: str, data: bytes) -> None:
    dtype, shape, inner = DAMAGED[which]
    try:
        got = decoded_shard(data, dtype, shape, inner)
    except ValueError:
        return
    assert got.shape == shape
