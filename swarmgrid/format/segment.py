"""A manifest segment: rows in columns, as bytes and back; no I/O.

::

    "SWGS"  u4 crc32c of all that follows  u4 length of the header
    header  JSON: format, key, axes, outputs, writers, attributes,
            columns [[name, dtype, shape], ...]
    columns, each little-endian in C order, one after the other, in one zstd frame
"""

from __future__ import annotations

import itertools
import json
import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.format import checked_object
from swarmgrid.format.codec import check_expansion, compressed, expanded
from swarmgrid.format.writers import UNKNOWN, WriterId, united
from swarmgrid.space.points import Points
from swarmgrid.store.checked_json import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MAGIC = b"SWGS"
MAX_ROWS_NBYTES = 2**26
"""The most bytes of a segment's columns; the bitmap of one row may come on top of it."""
MAX_ANY_NBYTES = MAX_ROWS_NBYTES + 2**28 + 2**16
"""The same with that bitmap, for chunks of any shape; see `most_nbytes`."""
MAX_HEADER = 2**24
"""The most bytes of a header, but for the names of axes and outputs."""
MAX_ATTRIBUTE = 4096
"""The most characters of JSON of an attribute that every segment repeats; most need about 50."""


@dataclass(frozen=True, slots=True)
class Row:
    """A fact that stays true: these points of this chunk were computed, and had these values."""

    key: bytes
    """16 bytes: the digest of the chunk, see `swarmgrid.identity.chunk_digest`."""
    index: tuple[int, ...]
    """The chunk's index on every axis."""
    points: Points
    checksums: tuple[int, ...]
    """CRC-32C of the points' values in C order, an int per output, in the outputs' order."""
    seconds: float
    """The time that computing them took inside the function."""
    time: int = 0
    """The end of that, in whole seconds since 1970 by the clock of its machine; 0: not known."""
    chunk_bytes: int = 0
    """Bytes of the chunk's objects, of all outputs, as they were written with it; 0: not known."""
    commit: int = 0
    """The number of the commit that it came with; 0: it is still to be committed."""


COLUMNS = {
    "key": "|u1",
    "index": "<i4",
    "extent": "<i4",
    "bits_end": "<i8",
    "bits": "|u1",
    "checksums": "<u4",
    "seconds": "<f4",
    "time": "<u4",
    "writer": "<u4",
    "chunk_bytes": "<u8",
    "commit": "<u8",
}
"""The columns of `Rows` and their dtypes, in the order in which they are stored."""
_LATER = ("time", "writer", "chunk_bytes", "commit")
"""Columns that may be absent: they describe how a row came about, and no value depends on them."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Many rows, column by column; ``n`` rows of ``d`` axes and ``k`` outputs."""

    key: NDArray[np.uint8]
    """``(n, 16)``."""
    index: NDArray[np.int32]
    """``(n, d)``."""
    extent: NDArray[np.int32]
    """``(n, d)``: see `Points`."""
    bits_end: NDArray[np.int64]
    """``(n,)``: where the row's bitmap ends in ``bits``; it begins where the one before ends."""
    bits: NDArray[np.uint8]
    checksums: NDArray[np.uint32]
    """``(n, k)``."""
    seconds: NDArray[np.float32]
    """``(n,)``."""
    time: NDArray[np.uint32]
    """``(n,)``: see `Row`."""
    writer: NDArray[np.uint32]
    """``(n,)``: the number of the row's writer in ``writers``."""
    chunk_bytes: NDArray[np.uint64]
    """``(n,)``: see `Row`."""
    commit: NDArray[np.uint64]
    """``(n,)``: see `Row`; `swarmgrid.store.lease_record.to_commit` says what the numbers mean."""
    writers: tuple[WriterId, ...] = (UNKNOWN,)
    """The processes whose runs committed the rows."""

    def __len__(self) -> int:
        return len(self.seconds)

    @classmethod
    def from_rows(cls, rows: Sequence[Row], n_axes: int, n_outputs: int) -> Rows:
        """The rows as columns."""
        bitmaps = [row.points.bits or b"" for row in rows]
        n = len(rows)
        return cls(
            key=np.frombuffer(b"".join(r.key for r in rows), np.uint8).reshape(n, 16),
            index=np.array([r.index for r in rows], "<i4").reshape(n, n_axes),
            extent=np.array([r.points.extent for r in rows], "<i4").reshape(n, n_axes),
            bits_end=np.cumsum([len(b) for b in bitmaps], dtype="<i8"),
            bits=np.frombuffer(b"".join(bitmaps), np.uint8),
            checksums=np.array([r.checksums for r in rows], "<u4").reshape(n, n_outputs),
            seconds=np.array([r.seconds for r in rows], "<f4"),
            time=np.array([r.time for r in rows], "<u4"),
            writer=np.zeros(n, "<u4"),
            chunk_bytes=np.array([r.chunk_bytes for r in rows], "<u8"),
            commit=np.array([r.commit for r in rows], "<u8"),
        )

    def written_by(self, writer: WriterId) -> Rows:
        """The rows, with one writer for all of them."""
        return replace(self, writer=np.zeros(len(self), "<u4"), writers=(writer,))

    def committed_as(self, number: int) -> Rows:
        """The rows, with a number for those that have none."""
        commit = np.where(self.commit == 0, np.uint64(number), self.commit)
        return replace(self, commit=commit.astype("<u8"))

    @classmethod
    def concatenated(cls, parts: Sequence[Rows], n_axes: int, n_outputs: int) -> Rows:
        """All rows of several sets."""
        if not parts:
            return cls.from_rows([], n_axes, n_outputs)
        if len(parts) == 1:  # of a million rows, a copy takes as long as to decompress them
            return parts[0]
        shifts = np.cumsum([0, *(len(part.bits) for part in parts[:-1])])
        columns = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in COLUMNS
            if name not in {"bits_end", "writer"}
        }
        # ends count from the beginning of the bits of their own part
        ends = [part.bits_end + shift for part, shift in zip(parts, shifts, strict=True)]
        writers, numbers = united([part.writers for part in parts])
        writer = [new[part.writer] for part, new in zip(parts, numbers, strict=True)]
        return cls(
            bits_end=np.concatenate(ends),
            writer=np.concatenate(writer),
            writers=writers,
            **columns,
        )

    def subset(self, numbers: NDArray[np.intp] | slice) -> Rows:
        """Some of the rows."""
        if not len(self.bits):  # nearly always; a loop over a million rows takes half a second
            return replace(self, **{n: getattr(self, n)[numbers] for n in COLUMNS if n != "bits"})
        # a bitmap begins where the one before it ended, in the rows as they were
        starts = np.concatenate([np.zeros(1, "<i8"), self.bits_end[:-1]])[numbers]
        ends = self.bits_end[numbers]
        bits = [self.bits[start:end] for start, end in zip(starts, ends, strict=True)]
        columns = {n: getattr(self, n)[numbers] for n in COLUMNS if n not in {"bits", "bits_end"}}
        return replace(
            self,
            bits=np.concatenate([self.bits[:0], *bits]),
            bits_end=np.cumsum(ends - starts, dtype="<i8"),
            **columns,
        )

    @property
    def nbytes(self) -> int:
        """The size of all columns."""
        return sum(int(getattr(self, name).nbytes) for name in COLUMNS)

    def divided(self, max_nbytes: int = MAX_ROWS_NBYTES) -> list[Rows]:
        """The rows, in order, in parts that fit into a segment of so many bytes each."""
        if self.nbytes <= max_nbytes:
            return [self]
        widths = np.diff(self.bits_end, prepend=0) + (self.nbytes - len(self.bits)) // len(self)
        ends = np.cumsum(widths)
        cuts = [0, *(np.flatnonzero(np.diff(ends // max_nbytes)) + 1).tolist(), len(self)]
        return [self.subset(slice(*both)) for both in itertools.pairwise(cuts)]  # no copies

    def points(self, i: int) -> Points:
        """The points of row ``i``."""
        start = int(self.bits_end[i - 1]) if i else 0
        bits = self.bits[start : int(self.bits_end[i])].tobytes()
        return Points(tuple(map(int, self.extent[i])), bits or None)

    def is_put(self) -> NDArray[np.bool_]:
        """``(n,)``: whether the row is of results that were put, and says nothing of the cost."""
        return np.array([writer.is_putting for writer in self.writers], bool)[self.writer]

    def has_bitmap(self) -> NDArray[np.bool_]:
        """``(n,)``: whether the row's points are less than its whole box."""
        if not len(self.bits):
            return np.zeros(len(self), bool)
        return np.diff(self.bits_end, prepend=0) > 0


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows, and the axes and outputs that they refer to."""

    axes: Mapping[str, tuple[int, str]]
    """For every axis how many values it had, and their digest; see `axis_digest`."""
    outputs: Mapping[str, str]
    """By output, in the order of the checksums, the ``data_type`` of the values they are of."""
    rows: Rows
    key: str = ""
    """Its own key: what lies under another is not the segment that was written there."""
    layout: int = 0
    """The layout of the chunks that its rows refer to; see `StoredGrid`."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """A copy of what the group's document says of the function; see `brief_attributes`."""

    def to_bytes(self) -> bytes:
        """The segment as it is stored."""
        columns = [(name, getattr(self.rows, name)) for name in COLUMNS]
        header: dict[str, Any] = {
            "key": self.key,
            "axes": {name: list(entry) for name, entry in self.axes.items()},
            "outputs": dict(self.outputs),
            "writers": [writer.to_list() for writer in self.rows.writers],
            "columns": [[name, column.dtype.str, column.shape] for name, column in columns],
        }
        if self.layout:
            header["layout"] = self.layout
        # a group document that is lost is rebuilt with them: see `repair._rebuilt_group`
        if self.attributes:
            header["attributes"] = dict(self.attributes)
        raw = b"".join(np.ascontiguousarray(column).data for _, column in columns)
        return checked_object.to_bytes(MAGIC, header, [compressed(raw)] if raw else [])

    @classmethod
    def from_bytes(cls, data: bytes, max_nbytes: int = MAX_ANY_NBYTES) -> Segment:
        """A stored segment.

        Parameters
        ----------
        data : bytes
            The segment.
        max_nbytes : int
            The most bytes that its columns can have; see `most_nbytes`.

        Raises
        ------
        ValueError
            If the bytes are not those that were written.
        FormatError
            If they were written in a newer format.
        """
        header, frame = checked_object.from_bytes(MAGIC, data, "a manifest segment")
        try:
            axes = {str(name): (n, digest) for name, (n, digest) in header["axes"].items()}
            outputs = dict(header["outputs"].items())
            attributes, layout = header.get("attributes", {}), header.get("layout", 0)
            is_sound = (
                isinstance(attributes, dict)
                and type(layout) is int
                and layout >= 0
                and all(type(n) is int and 0 <= n < 2**62 for n, _ in axes.values())
                and all(isinstance(text, str) for text in (*outputs.values(), header["key"]))
            )
            columns = _columns(header["columns"], frame, max_nbytes)
            n = len(columns["seconds"])
            for name in _LATER:
                if name not in columns:
                    zeros = bytes(n * np.dtype(COLUMNS[name]).itemsize)
                    columns[name] = np.frombuffer(zeros, COLUMNS[name])  # read-only, as the others
            writers = tuple(map(WriterId.from_list, header.get("writers", [UNKNOWN.to_list()])))
            rows = Rows(**{name: columns[name] for name in COLUMNS}, writers=writers)
        except MALFORMED as error:
            raise ValueError(f"its header makes no sense: {error!r}") from None
        if not is_sound or not _fits(rows, len(axes), len(outputs)):
            raise ValueError("its columns do not fit its header")
        return cls(axes, outputs, rows, header["key"], layout, attributes)


def brief_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Some attributes of a group, without those that are too long to stand in every segment."""
    return {k: v for k, v in attributes.items() if len(json.dumps(v)) <= MAX_ATTRIBUTE}


_COLUMN_TYPE = re.compile(r"[<|][biuf][1248]")


def most_nbytes(chunk_shape: Sequence[int]) -> int:
    """The most bytes of the columns of a segment, by the shape of the grid's chunks."""
    return MAX_ROWS_NBYTES + math.prod(chunk_shape) // 8 + 2**16


def _columns(entries: Any, frame: bytes, max_nbytes: int) -> dict[str, NDArray[Any]]:
    """The columns of a segment, once it is known that they are what the frame expands to."""
    total = 0
    for name, dtype, shape in entries:
        is_shape = len(shape) <= 2 and all(type(n) is int and n >= 0 for n in shape)
        if not is_shape or not _COLUMN_TYPE.fullmatch(dtype):
            raise ValueError(f"column {name!r} has the dtype {dtype!r} and the shape {shape!r}")
        total += math.prod(shape) * int(dtype[2:])
    if total > max_nbytes:
        raise ValueError(f"its columns have {total} bytes; expected at most {max_nbytes}")
    if total != (check_expansion(frame) if frame else 0):
        raise ValueError(f"columns of {total} bytes are not what is stored")
    # only now: its size is known to be that of the columns, and within bounds
    raw = expanded(frame) if frame else b""
    columns, offset = {}, 0
    for name, dtype, shape in entries:
        # views of one buffer, which nothing ever writes to: rows are facts
        columns[name] = np.frombuffer(raw, dtype, math.prod(shape), offset).reshape(shape)
        offset += columns[name].nbytes
    return columns


def _fits(rows: Rows, n_axes: int, n_outputs: int) -> bool:
    """Whether columns have the dtypes and shapes that are written, and bitmaps and writers fit."""
    n = len(rows.seconds)
    widths = {"key": (16,), "index": (n_axes,), "extent": (n_axes,), "checksums": (n_outputs,)}
    for name, dtype in COLUMNS.items():
        column: NDArray[Any] = getattr(rows, name)
        shape = column.shape[:1] if name == "bits" else (n, *widths.get(name, ()))
        if column.dtype.str != dtype or column.shape != shape:
            return False
    if not (rows.writer < len(rows.writers)).all():
        return False
    ends = rows.bits_end
    is_last = (int(ends[-1]) if n else 0) == len(rows.bits)
    has_order = bool((ends[1:] >= ends[:-1]).all()) and (not n or int(ends[0]) >= 0)
    return is_last and has_order and bool((np.isfinite(rows.seconds) & (rows.seconds >= 0)).all())
