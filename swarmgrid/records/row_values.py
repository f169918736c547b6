"""The rows of a manifest spread over the points of a selection, and added up for each chunk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.format.segment import Rows
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.space.selection import Selection

_DENSE = 4
"""Numbers of chunks are counted in an array of up to so many times their number."""


def row_values(
    manifest: Manifest, selection: Selection, values: NDArray[Any], missing: Any
) -> NDArray[Any]:
    """For each selected point the value of the row that it is computed in, or a missing one."""
    rows = manifest.rows
    by_chunk = np.full(selection.grid_shape, missing, values.dtype)
    if not len(rows) or not selection.size:
        return np.full(selection.shape, missing, values.dtype)
    place, is_touched = manifest.touched_places(selection)
    is_simple = is_touched & ~rows.has_bitmap()
    for d, axis in enumerate(selection.axes):
        is_simple &= rows.extent[:, d] >= axis.needed[place[:, d]]
    for_all = selection.axes or not is_simple.any()  # without axes there is one chunk
    by_chunk[tuple(place[is_simple].T)] = values[is_simple] if for_all else values[is_simple][-1]
    places = [np.arange(n) for n in selection.shape]
    bins = [axis.bins_at(along) for axis, along in zip(selection.axes, places, strict=True)]
    found = np.array(by_chunk[np.ix_(*bins)])
    for i in np.flatnonzero(is_touched & ~is_simple).tolist():
        touched = tuple(map(int, place[i]))
        is_of_row = rows.points(i).mask(selection.chunk_shape)
        is_of_row = is_of_row[np.ix_(*selection.chunk_block(touched))]
        at = np.ix_(*selection.request_block(touched))
        found[at] = np.where(is_of_row, values[i], found[at])
    return found


@dataclass(frozen=True, slots=True)
class ChunkTotals:
    """The computed part of each chunk that has any; ``m`` chunks, in no order."""

    index: NDArray[np.int32]
    """``(m, d)``."""
    points: NDArray[np.int64]
    """``(m,)``: computed points, each counted once."""
    seconds: NDArray[np.float64]
    """``(m,)``: time inside the function, of all rows."""
    nbytes: NDArray[np.uint64]
    """``(m,)``: bytes of the chunk's objects, as far as they are known."""


def chunk_totals(rows: Rows, chunk_shape: tuple[int, ...]) -> ChunkTotals:
    """The computed points of each chunk, which several rows may hold together."""
    n_chunks, chunk = _numbered(rows.index)
    n_rows = np.bincount(chunk, minlength=n_chunks)
    first = np.zeros(n_chunks, np.intp)
    # numpy keeps the last of several values at an index: backwards, each chunk's first row
    first[chunk[::-1]] = np.arange(len(rows))[::-1]
    nbytes = np.zeros(n_chunks, np.uint64)
    np.maximum.at(nbytes, chunk, rows.chunk_bytes)  # a chunk only grows from row to row
    counts = n_points(rows)
    points = np.zeros(n_chunks, np.int64)
    np.maximum.at(points, chunk, counts)
    # a row of the whole chunk covers the others; else several may overlap
    is_open = (n_rows > 1) & (points < math.prod(chunk_shape))
    rest = np.flatnonzero(is_open[chunk])
    rest = rest[np.argsort(chunk[rest], kind="stable")]
    for numbers in np.split(rest, np.flatnonzero(np.diff(chunk[rest])) + 1) if len(rest) else ():
        masks = [rows.points(int(i)).mask(chunk_shape) for i in numbers]
        points[chunk[numbers[0]]] = int(np.logical_or.reduce(masks).sum())
    seconds = np.bincount(chunk, rows.seconds, n_chunks).astype(np.float64)
    return ChunkTotals(rows.index[first], points, seconds, nbytes)


def n_points(rows: Rows) -> NDArray[np.int64]:
    """``(n,)``: the number of points of each row."""
    counts = np.prod(rows.extent, axis=1, dtype=np.int64)
    has_bitmap = rows.has_bitmap()
    if has_bitmap.any():
        ends = rows.bits_end[has_bitmap]
        starts = np.concatenate([np.zeros(1, "<i8"), rows.bits_end])[:-1][has_bitmap]
        so_far = np.concatenate([[0], np.cumsum(np.bitwise_count(rows.bits), dtype=np.int64)])
        counts[has_bitmap] = np.minimum(counts[has_bitmap], so_far[ends] - so_far[starts])
    return np.asarray(counts, np.int64)


def _numbered(index: NDArray[np.int32]) -> tuple[int, NDArray[np.intp]]:
    """The number of different chunks, and of each row the number of its own."""
    lengths = index.max(axis=0, initial=0).astype(np.int64) + 1
    if math.prod(map(int, lengths)) >= 2**62:
        found = np.unique(index, axis=0, return_inverse=True)[1].reshape(-1)
        return int(found.max(initial=-1)) + 1, found
    strides = np.cumprod(np.concatenate([[1], lengths[:0:-1]]))[::-1]
    numbers = index.astype(np.int64) @ strides[: index.shape[1]].astype(np.int64)
    if math.prod(map(int, lengths)) <= _DENSE * len(index) + 1024:  # sorting takes ten times that
        is_there = np.zeros(math.prod(map(int, lengths)), bool)
        is_there[numbers] = True
        return int(is_there.sum()), (np.cumsum(is_there) - 1)[numbers]
    found = np.unique(numbers, return_inverse=True)[1].reshape(-1)
    return int(found.max(initial=-1)) + 1, found
