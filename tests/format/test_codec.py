"""Chunks as bytes: what zarr writes and reads, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import ZstdCodec

from swarmgrid.format.codec import (
    checksum,
    codecs,
    decoded,
    encoded,
    filled,
    raw_bytes,
)
from swarmgrid.format.zarr_metadata import array_document
from swarmgrid.outputs.encoding import fill_value
from swarmgrid.store.checked_json import to_bytes
from tests.stores.grids import DTYPES, file_at, some_values

SHAPES: list[tuple[int, ...]] = [(), (1,), (6,), (2, 3), (2, 0)]
IN_ZARR = {"datetime64[ns]": "int64", "timedelta64[ns]": "int64"}
"""Times are integers to zarr; their attributes say what they are."""


def assert_same(got: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(got, expected)
    if expected.dtype.kind in "fc":
        np.testing.assert_array_equal(np.signbit(got.real), np.signbit(expected.real))


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_survive_being_stored(dtype: str) -> None:
    for shape in SHAPES:
        values = some_values(dtype, shape)
        got = decoded(encoded(values, dtype), dtype, shape)
        assert got.shape == shape
        assert got.dtype == values.dtype
        assert_same(got, values)


@pytest.mark.parametrize("dtype", DTYPES)
def test_order_and_byte_order_in_memory_do_not_matter(dtype: str) -> None:
    values = some_values(dtype, (2, 3))
    others = [np.asfortranarray(values), np.repeat(values, 2, axis=1)[:, ::2]]
    if dtype != "string":
        others.append(values.astype(values.dtype.newbyteorder(">")))
    assert {encoded(other, dtype) for other in others} == {encoded(values, dtype)}
    assert {checksum(other, dtype) for other in others} == {checksum(values, dtype)}


@pytest.mark.parametrize("dtype", DTYPES)
def test_zarr_reads_what_is_encoded(dtype: str, tmp_path: Path) -> None:
    values = some_values(dtype, (5, 3))
    stored = IN_ZARR.get(dtype, dtype)
    document = array_document(dtype, (5, 3), (2, 3), ("x", "y"), {})
    (tmp_path / "zarr.json").write_bytes(to_bytes(document))
    for i in range(3):
        chunk = filled((2, 3), dtype)
        chunk[: len(values[2 * i : 2 * i + 2])] = values[2 * i : 2 * i + 2]
        (tmp_path / f"c.{i}.0").write_bytes(encoded(chunk, dtype))
    got: Any = zarr.open_array(tmp_path, mode="r")[:]
    assert_same(got, values if stored == dtype else values.view(stored))


@pytest.mark.parametrize("shape", [(), (6,), (2, 3)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bytes_are_those_that_zarr_writes(
    dtype: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    values = some_values(dtype, shape)
    stored = IN_ZARR.get(dtype, dtype)
    array: Any = zarr.create_array(
        tmp_path,
        shape=shape,
        chunks=shape,
        dtype=stored,
        compressors=ZstdCodec(level=1, checksum=True),
        chunk_key_encoding={"name": "default", "separator": "."},
        config={"write_empty_chunks": True},
    )
    array[...] = values if stored == dtype else values.view(stored)
    written = (tmp_path / ".".join(["c", *("0" for _ in shape)])).read_bytes()
    assert written == encoded(values, dtype)
    assert_same(decoded(written, dtype, shape), values)
    assert json.loads((tmp_path / "zarr.json").read_bytes())["codecs"] in (
        codecs(stored),
        [{**codecs(stored)[0], "configuration": {"endian": "little"}}, *codecs(stored)[1:]],
        [{"name": "vlen-utf8", "configuration": {}}, *codecs(stored)[1:]],
    )


def changes(data: bytes) -> Iterator[bytes]:
    """Every single-bit flip, every truncation, and some lengthenings."""
    for i in range(len(data)):
        yield data[:i]
        for bit in range(8):
            yield data[:i] + bytes([data[i] ^ 1 << bit]) + data[i + 1 :]
    yield from (data + b"x", data + bytes(8))


@pytest.mark.parametrize("dtype", ["float64", "bool", "string", "int8"])
def test_changed_bytes_are_refused_or_mean_the_same(dtype: str) -> None:
    values = some_values(dtype, (2, 3))
    data = encoded(values, dtype)
    n_refused = 0
    for changed in changes(data):
        try:
            got = decoded(changed, dtype, (2, 3))
        except ValueError:
            n_refused += 1
        else:  # an unused bit of the frame's header
            assert_same(got, values)
    assert n_refused > 9 * len(data) - 5


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_chunk_of_another_size_is_refused(dtype: str) -> None:
    data = encoded(some_values(dtype, (3,)), dtype)
    for shape in [(2,), (4,), (2, 2), ()]:
        with pytest.raises(ValueError, match="instead of"):
            decoded(data, dtype, shape)


@pytest.mark.parametrize("raw", [b"\3\0", b"\xff" * 24], ids=["short", "numbers"])
def test_numbers_are_not_taken_for_strings(raw: bytes) -> None:
    with pytest.raises(ValueError, match="strings instead of"):
        decoded(encoded(np.frombuffer(raw, "u1"), "uint8"), "string", (3,))


@given(st.lists(st.binary(max_size=6), max_size=3))
def test_broken_strings_are_refused(lengths: list[bytes]) -> None:
    raw = b"\3\0\0\0" + b"".join(lengths)
    try:
        got = decoded(encoded(np.frombuffer(raw, "u1"), "uint8"), "string", (3,))
    except ValueError:
        return
    assert bytes(raw_bytes(got, "string")) == raw


@pytest.mark.parametrize("dtype", DTYPES)
def test_zarr_shows_the_fill_value_where_nothing_is_stored(dtype: str, tmp_path: Path) -> None:
    document = array_document(dtype, (3,), (2,), ("x",), {})
    file_at(tmp_path, "zarr.json").write_bytes(to_bytes(document))
    got: Any = zarr.open_array(tmp_path, mode="r")[:]
    expected = filled((3,), dtype)
    assert_same(got, expected.view("int64") if dtype in IN_ZARR else expected)


UNDONE = {
    "float32": np.float32("nan"),
    "complex64": np.complex64("nan+nanj"),
    "int8": -128,
    "uint16": 2**16 - 1,
    "bool": False,
    "string": "",
    "datetime64[ns]": np.datetime64("NaT", "ns"),
    "timedelta64[ns]": np.timedelta64("NaT", "ns"),
}


@pytest.mark.parametrize("dtype", UNDONE)
def test_a_point_that_is_not_computed_looks_like_it(dtype: str) -> None:
    np.testing.assert_array_equal(np.array(fill_value(dtype)), np.array(UNDONE[dtype]))


@given(st.lists(st.text(), max_size=8))
def test_any_text_survives_being_stored(words: list[str]) -> None:
    values = np.array([*words, None], object)[:-1]
    assert decoded(encoded(values, "string"), "string", (len(words),)).tolist() == words


def test_the_checksum_is_the_crc_32c_of_the_little_endian_values() -> None:
    assert checksum(np.frombuffer(b"123456789", "u1"), "uint8") == 0xE3069283  # RFC 3720's
    values = np.array([1.5, 2.5])
    assert checksum(values, "float64") == google_crc32c.value(values.astype("<f8").tobytes())
