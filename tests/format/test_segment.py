"""Manifest segments: rows as bytes and back."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

import google_crc32c
import numcodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.errors import FormatError
from swarmgrid.format.segment import COLUMNS, MAGIC, Row, Rows, Segment
from swarmgrid.format.writers import UNKNOWN, WriterId
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
            time=draw(st.integers(0, 2**32 - 1)),
            chunk_bytes=draw(st.integers(0, 2**64 - 1)),
            commit=draw(st.integers(0, 2**64 - 1)),
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
            int(rows.time[i]),
            int(rows.chunk_bytes[i]),
            int(rows.commit[i]),
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


HOSTS = st.builds(
    WriterId, st.sampled_from(["a", "b"]), st.integers(1, 2), st.sampled_from(["", "7"])
)


@given(st.lists(st.tuples(row_lists(2, 1), HOSTS), max_size=5), st.randoms())
def test_rows_that_are_concatenated_or_taken_keep_their_time_and_writer(
    drawn: list[tuple[list[Row], WriterId]], random: Any
) -> None:
    parts = [Rows.from_rows(rows, 2, 1).written_by(writer) for rows, writer in drawn]
    joined = Rows.concatenated(parts, 2, 1)
    expected = [(row, writer) for rows, writer in drawn for row in rows]
    assert facts(joined) == expected
    assert len(set(joined.writers)) == len(joined.writers)
    numbers = sorted(random.sample(range(len(expected)), random.randint(0, len(expected))))
    taken = joined.subset(np.array(numbers, np.intp))
    assert facts(taken) == [expected[i] for i in numbers]
    stored = Segment({"x": (1, ""), "y": (1, "")}, {"u": "bool"}, taken).to_bytes()
    assert facts(Segment.from_bytes(stored).rows) == facts(taken)


def facts(rows: Rows) -> list[tuple[Row, WriterId]]:
    writers = [rows.writers[i] for i in rows.writer.tolist()]
    return list(zip(as_rows(rows), writers, strict=True))


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
        Row(bytes(range(16)), (0, 1), Points((2, 3)), (0xDEADBEEF, 7), 0.5, 1_800_000_000, 2**33),
        Row(b"\xff" * 16, (300, 0), Points.from_mask(mask), (0, 2**32 - 1), 0.0),
    ]
    axes = {"s": (4, "00112233"), "strat": (2, "44556677")}
    columns = Rows.from_rows(rows, 2, 2).written_by(WriterId("node-7", 42, "1234"))
    return Segment(axes, {"mean": "float64", "é": "int8"}, columns)


def test_the_bytes_of_a_segment_are_those_of_format_1() -> None:
    data = small_segment().to_bytes()
    magic, crc, length = struct.unpack_from("<4sII", data)
    assert magic == MAGIC == b"SWGS"
    assert crc == google_crc32c.value(data[8:])
    columns = numcodecs.Zstd().decode(data[12 + length :])
    written = hashlib.sha256(data[12 : 12 + length] + columns).hexdigest()
    assert written == GOLDEN, "stores in format 1 exist: see format.md"


GOLDEN = "19b19bac2a99ac7995b577bbeb13165cba3c3037429602d6360e9eb82916dfc7"


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


def with_header(change: Any) -> bytes:
    """A segment whose header and columns a later swarmgrid wrote in another way."""
    data = small_segment().to_bytes()
    (length,) = struct.unpack_from("<I", data, 8)
    header = json.loads(data[12 : 12 + length])
    columns, raw = {}, numcodecs.Zstd().decode(data[12 + length :])
    for name, dtype, shape in header["columns"]:
        n = int(np.prod(shape)) * np.dtype(dtype).itemsize
        columns[name], raw = (dtype, shape, raw[:n]), raw[n:]
    change(header, columns)
    header["columns"] = [[name, *column[:2]] for name, column in columns.items()]
    text = json.dumps(header).encode()
    body = struct.pack("<I", len(text)) + text
    body += numcodecs.Zstd().encode(b"".join(column[2] for column in columns.values()))
    return MAGIC + struct.pack("<I", google_crc32c.value(body)) + body


@given(
    st.lists(
        st.tuples(
            st.text(min_size=1).filter(lambda name: name not in COLUMNS),
            st.sampled_from(["<f8", "|u1", "<i4"]),
            st.lists(st.integers(0, 3), max_size=2),
        ),
        unique_by=lambda column: column[0],
        max_size=3,
    ),
    st.integers(0, 9),
)
def test_columns_and_members_that_a_later_swarmgrid_adds_are_ignored(
    more: list[tuple[str, str, list[int]]], at: int
) -> None:
    def add(header: dict[str, Any], columns: dict[str, Any]) -> None:
        header["later"] = {"any": ["thing"]}
        known = list(columns.items())
        zeros = {n: (t, s, bytes(int(np.prod(s)) * np.dtype(t).itemsize)) for n, t, s in more}
        columns.clear()
        columns.update([*known[:at], *zeros.items(), *known[at:]])

    read = Segment.from_bytes(with_header(add))
    assert facts(read.rows) == facts(small_segment().rows)


def test_a_segment_without_time_and_writer_does_not_know_them() -> None:
    def drop(header: dict[str, Any], columns: dict[str, Any]) -> None:
        del header["writers"], columns["time"], columns["writer"], columns["chunk_bytes"]
        del columns["commit"]

    rows = Segment.from_bytes(with_header(drop)).rows
    assert [row.checksums for row in as_rows(rows)] == [(0xDEADBEEF, 7), (0, 2**32 - 1)]
    assert (rows.time.tolist(), rows.writers) == ([0, 0], (UNKNOWN,))


@pytest.mark.parametrize(
    "writers", [[], [["node", 1]], [["node", "1", ""]], [[None, 1, ""]], None, 7]
)
def test_a_segment_whose_writers_are_no_list_that_holds_each_is_refused(writers: Any) -> None:
    with pytest.raises(ValueError, match="header"):
        Segment.from_bytes(with_header(lambda header, _: header.update(writers=writers)))


def test_an_empty_segment_has_no_rows() -> None:
    empty: Any = Rows.from_rows([], 3, 2)
    axes = dict.fromkeys("abc", (0, ""))
    read = Segment.from_bytes(Segment(axes, {"u": "bool", "v": "bool"}, empty).to_bytes()).rows
    assert len(read) == 0
    assert (read.index.shape, read.checksums.shape) == ((0, 3), (0, 2))


@given(row_lists(2, 1), st.integers(60, 400))
def test_rows_are_divided_into_parts_that_a_segment_holds(rows: list[Row], most: int) -> None:
    whole = Rows.from_rows(rows, 2, 1)
    parts = whole.divided(most)
    assert as_rows(Rows.concatenated(parts, 2, 1)) == as_rows(whole)
    widest = max((Rows.from_rows([row], 2, 1).nbytes for row in rows), default=0)
    assert all(part.nbytes <= most + widest for part in parts)
    if whole.nbytes > most:
        assert all(len(part) for part in parts)
        assert len(parts) <= 1 + 2 * whole.nbytes // most


def test_a_segment_with_larger_columns_than_its_grid_can_have_is_refused() -> None:
    segment = small_segment()
    data = segment.to_bytes()
    assert len(Segment.from_bytes(data, segment.rows.nbytes).rows) == len(segment.rows)
    with pytest.raises(ValueError, match="expected at most"):
        Segment.from_bytes(data, segment.rows.nbytes - 1)
