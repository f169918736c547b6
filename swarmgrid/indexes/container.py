"""An index as one object: what it is of, the rows that it covers, and its graph.

::

    "SWGX"  u4 crc32c of all that follows  u4 length of the header
    header  JSON: format, key, settings, chunk_shape, layout, data_type, shape,
            parts: the bytes of the segments of rows, of their numbers, of the graph
    the parts, one after the other
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.format import checked_object
from swarmgrid.format.segment import Rows, Segment
from swarmgrid.indexes.covered import Covered
from swarmgrid.indexes.settings import IndexSettings
from swarmgrid.store.checked_json import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarmgrid.indexes.graph import Graph

MAGIC = b"SWGX"
MAX_NBYTES = 2**31 - 2**20
"""The most bytes of an index: what one call can encrypt."""


def to_bytes(key: str, settings: IndexSettings, covered: Covered, graph: Graph) -> bytes:
    """An index as it is stored under a key."""
    types = {settings.output: covered.data_type}
    segments = [
        Segment(covered.axes, types, rows, key, covered.layout).to_bytes()
        for rows in covered.rows.divided()
    ]
    parts = [*segments, covered.numbers.astype("<u4").tobytes(), graph.to_bytes()]
    header = {
        "key": key,
        "settings": settings.to_document(),
        "chunk_shape": list(covered.chunk_shape),
        "layout": covered.layout,
        "data_type": covered.data_type,
        "shape": list(covered.shape),
        "parts": [len(part) for part in parts],
    }
    return checked_object.to_bytes(MAGIC, header, parts)


def from_bytes_of(
    data: bytes, key: str, settings: IndexSettings | None = None
) -> tuple[IndexSettings, Covered, bytes]:
    """A stored index: its settings, the rows that it covers, and its graph in bytes.

    Parameters
    ----------
    data : bytes
        The object.
    key : str
        Its key.
    settings : IndexSettings, optional
        The settings that it must have.

    Raises
    ------
    ValueError
        If the bytes are not those that were written under the key.
    FormatError
        If they were written in a newer format.
    """
    header, rest = checked_object.from_bytes(MAGIC, data, "an index", key)
    try:
        if header["key"] != key:
            raise ValueError("it was written as another object")  # one way
        found = IndexSettings.from_document(header["settings"])
        *segments, numbers, graph = _parts(rest, header["parts"])
        covered = _covered(header, segments, numbers, key, found.output)
    except MALFORMED as error:
        raise ValueError(f"its header makes no sense: {error!r}") from None
    if settings is not None and found != settings:
        raise ValueError("it has other settings than its name says")
    return found, covered, graph


def _parts(data: bytes, lengths: Sequence[Any]) -> list[bytes]:
    if not all(type(n) is int and n >= 0 for n in lengths) or sum(lengths) != len(data):
        raise ValueError("its parts are not as long as it says")
    ends = [0, *itertools.accumulate(lengths)]
    return [data[start:end] for start, end in itertools.pairwise(ends)]


def _covered(
    header: dict[str, Any], segments: list[bytes], numbers: bytes, key: str, output: str
) -> Covered:
    chunk_shape, shape = tuple(header["chunk_shape"]), tuple(header["shape"])
    if not all(type(n) is int and n > 0 for n in (*chunk_shape, *shape)):
        raise ValueError("its shapes make no sense")
    read = [Segment.from_bytes(segment) for segment in segments]
    types = {output: header["data_type"]}
    if not read or any(one.key != key or dict(one.outputs) != types for one in read):
        raise ValueError("its rows are those of something else")
    rows = Rows.concatenated([one.rows for one in read], len(chunk_shape), 1)
    found = np.frombuffer(numbers, "<u4").astype(np.uint32)
    if len(found) != len(rows) or (np.diff(found.astype(np.int64)) <= 0).any():
        raise ValueError("its rows have no numbers")
    layout = header["layout"]
    if any(one.layout != layout or one.axes != read[0].axes for one in read):
        raise ValueError("its rows are of several layouts")
    if len(read[0].axes) != len(chunk_shape) or not _fit(rows, chunk_shape):
        raise ValueError("its rows have points that their chunks do not have")
    return Covered(read[0].axes, chunk_shape, layout, str(header["data_type"]), shape, rows, found)


def _fit(rows: Rows, chunk_shape: tuple[int, ...]) -> bool:
    """Whether rows lie within chunks, and their bitmaps have the size of their boxes."""
    is_inside = (rows.index >= 0) & (rows.extent >= 1)
    is_inside &= rows.extent <= np.array(chunk_shape, np.int64)
    if not is_inside.all():
        return False
    sizes = np.prod(rows.extent, axis=1, dtype=np.int64)
    bitmaps = np.diff(rows.bits_end, prepend=0)
    return bool(((bitmaps == 0) | (bitmaps == -(-sizes // 8))).all())
