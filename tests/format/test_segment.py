"""Manifest segments: rows as bytes and back."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import google_crc32c
import numcodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.errors import FormatError
from swarmgrid.format.segment import MAGIC, Row, Rows, Segment
from swarmgrid.space.points import Points


@st.composite
def row_lists(draw: st.DrawFn, n_axes: int, n_outputs: int) -> list[Row]:
    """Rows of boxes and of bitmaps."""

    def row() -> Row:
        extent = tuple(draw(st.integers(1, 4)) for _ in range(n_axes))
        mask = np.array([draw(st.booleans()) for _ in range(int(np.prod(extent)))], bool)
        return Row(
            key=draw(st.binary(min_size=16, max_size=16)),
            index=tuple(draw(st.integers(0, 2**31 - 1)) for _ in range(n_axes)),
            points=Points.from_mask(mask.reshape(extent)),
            checksums=tuple(draw(st.integers(0, 2**32 - 1)) for _ in range(n_outputs)),
            seconds=draw(st.floats(0, 1e6, width=32)),
        )

    return [row() for _ in range(draw(st.integers(0, 5)))]


@st.composite
def segments(draw: st.DrawFn) -> tuple[Segment, list[Row]]:
    names = draw(st.lists(st.text(min_size=1, max_size=3), unique=True, max_size=3))
    types = st.sampled_from(["int64", "float64", "string"])
    outputs = draw(st.dictionaries(st.text(max_size=3), types, max_size=3))
    rows = draw(row_lists(len(names), len(outputs)))
    axes = {name: (draw(st.integers(0, 2**40)), "digest") for name in names}
    return Segment(axes, outputs, Rows.from_rows(rows, len(names), len(outputs))), rows


def as_rows(rows: Rows) -> list[Row]:
    return [
        Row(
            rows.key[i].tobytes(),
            tuple(rows.index[i].tolist()),
            rows.points(i),
            tuple(rows.checksums[i].tolist()),
            float(rows.seconds[i]),
        )
        for i in range(len(rows))
    ]


@given(segments())
def test_a_segment_survives_being_stored(drawn: tuple[Segment, list[Row]]) -> None:
    segment, rows = drawn
    read = Segment.from_bytes(segment.to_bytes())
    assert list(read.axes.items()) == list(segment.axes.items())
    assert list(read.outputs.items()) == list(segment.outputs.items())
    assert as_rows(read.rows) == rows
    assert read.rows.has_bitmap().tolist() == [row.points.bits is not None for row in rows]


@given(st.lists(row_lists(2, 1), max_size=4))
def test_concatenated_rows_are_the_rows_one_after_the_other(parts: list[list[Row]]) -> None:
    columns = [Rows.from_rows(part, 2, 1) for part in parts]
    joined = Rows.concatenated(columns, 2, 1)
    assert as_rows(joined) == [row for part in parts for row in part]
    assert joined.index.shape == (len(joined), 2)
    assert joined.checksums.shape == (len(joined), 1)


def small_segment() -> Segment:
    mask = np.array([[True, False], [True, True]])
    rows = [
        Row(bytes(range(16)), (0, 1), Points((2, 3)), (0xDEADBEEF, 7), 0.5),
        Row(b"\xff" * 16, (300, 0), Points.from_mask(mask), (0, 2**32 - 1), 0.0),
    ]
    axes = {"s": (4, "00112233"), "strat": (2, "44556677")}
    return Segment(axes, {"mean": "float64", "é": "int8"}, Rows.from_rows(rows, 2, 2))


def test_the_bytes_of_a_segment_are_those_of_format_1() -> None:
    data = small_segment().to_bytes()
    magic, crc, length = struct.unpack_from("<4sII", data)
    assert magic == MAGIC == b"SWGS"
    assert crc == google_crc32c.value(data[8:])
    columns = numcodecs.Zstd().decode(data[12 + length :])
    written = hashlib.sha256(data[12 : 12 + length] + columns).hexdigest()
    assert written == GOLDEN, "stores in format 1 exist: see format.md"


GOLDEN = "6d87a52ced7bff3060c72b7dfde313f27b679c7e33d8b33111a4cc431a0680e8"


def test_a_segment_that_is_cut_off_is_refused() -> None:
    data = small_segment().to_bytes()
    for n in range(len(data)):
        with pytest.raises(ValueError, match=r"checksum|does not begin"):
            Segment.from_bytes(data[:n])


def test_a_segment_with_one_byte_changed_is_refused() -> None:
    data = small_segment().to_bytes()
    for i in range(len(data)):
        for flip in (*(1 << bit for bit in range(8)), 255):
            with pytest.raises(ValueError, match=r"checksum|does not begin"):
                Segment.from_bytes(data[:i] + bytes([data[i] ^ flip]) + data[i + 1 :])


@pytest.mark.parametrize("more", [b"\0", b"SWGS"])
def test_a_segment_with_something_after_it_is_refused(more: bytes) -> None:
    with pytest.raises(ValueError, match="checksum"):
        Segment.from_bytes(small_segment().to_bytes() + more)


def test_a_segment_of_a_newer_format_is_refused() -> None:
    body = small_segment().to_bytes()[8:].replace(b'"format": 1', b'"format": 2')
    data = MAGIC + struct.pack("<I", google_crc32c.value(body)) + body
    with pytest.raises(FormatError, match=r"format version 2; this swarmgrid reads up to 1"):
        Segment.from_bytes(data)


def test_an_empty_segment_has_no_rows() -> None:
    empty: Any = Rows.from_rows([], 3, 2)
    axes = dict.fromkeys("abc", (0, ""))
    read = Segment.from_bytes(Segment(axes, {"u": "bool", "v": "bool"}, empty).to_bytes()).rows
    assert len(read) == 0
    assert (read.index.shape, read.checksums.shape) == ((0, 3), (0, 2))
