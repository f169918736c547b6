"""The manifest: which points of a grid are computed, as a union of immutable segments.

A segment is written under a name of its own after the data that it refers to, and never
changed, so that readers need no lock and a crash leaves at worst work that is done again.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.format.chunk_parts import READ_AT_ONCE
from swarmgrid.format.codec import stored_limit
from swarmgrid.format.segment import (
    MAX_HEADER,
    MAX_ROWS_NBYTES,
    Rows,
    Segment,
    brief_attributes,
    most_nbytes,
)
from swarmgrid.outputs.widening import is_wider
from swarmgrid.records.by_chunk import ByChunk
from swarmgrid.space.points import union
from swarmgrid.store.checked_json import shortened
from swarmgrid.store.known import Understood

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.space.selection import Selection
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath

COMPACT_FROM = 8
"""So many segments of about the same size are compacted into one: O(log n) of them stay."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Manifest:
    """The computed points of one grid, at the instant it was read."""

    rows: Rows
    sizes: Mapping[str, int]
    """The segments that hold the rows, and the bytes of each one's columns."""
    damaged: tuple[str, ...] = ()
    """Segments that could not be read; their points count as not computed."""
    ahead: tuple[str, ...] = ()
    """Segments of a later grid than its document, of more values or converted ones: it is old."""
    others: tuple[str, ...] = ()
    """Segments of the time before an output was converted or the grid laid out anew, or of that
    at work or cut short: they refer to values that are stored elsewhere, and do not count."""

    def coverage(
        self, selection: Selection
    ) -> tuple[NDArray[np.bool_], dict[tuple[int, ...], NDArray[np.bool_]]]:
        """The chunks of a selection that hold every requested point, and the points of the others.

        Returns
        -------
        complete : array = selection.grid_shape, bool
            Whether every requested point of a touched chunk is computed.
        partial : dict
            For the other touched chunks of which anything is computed: the mask of the computed
            points, of the chunk's shape.
        """
        complete = np.zeros(selection.grid_shape, bool)
        if not len(self.rows) or not complete.size:
            return complete, {}
        place, is_touched = self.touched_places(selection)
        # column by column, as nearly all rows are whole boxes: a loop over a million takes seconds
        enough = is_touched & ~self.rows.has_bitmap()
        for d, axis in enumerate(selection.axes):
            enough &= self.rows.extent[:, d] >= axis.needed[place[:, d]]
        if enough.any():
            complete[tuple(place[enough].T)] = True
        rest = np.flatnonzero(is_touched & ~complete[tuple(place.T)])
        partial: dict[tuple[int, ...], NDArray[np.bool_]] = {}
        for i in rest:
            touched = tuple(map(int, place[i]))
            mask = self.rows.points(int(i)).mask(selection.chunk_shape)
            partial[touched] = partial.get(touched, False) | mask
        for touched, mask in list(partial.items()):
            if mask[np.ix_(*selection.chunk_block(touched))].all():
                complete[touched] = True
                del partial[touched]
        return complete, partial

    def chunks(self) -> list[tuple[tuple[int, ...], NDArray[np.intp]]]:
        """Every chunk that has rows, in C order, and the numbers of these."""
        return self._by_chunk.all()

    def without(self, indices: Collection[tuple[int, ...]]) -> Manifest:
        """The manifest without the rows of some chunks."""
        lost = [i for index in indices for i in self.rows_of(index).tolist()]
        if not lost:
            return self
        keep = np.setdiff1d(np.arange(len(self.rows)), lost)
        return replace(self, rows=self.rows.subset(keep))

    def holds(self, index: tuple[int, ...], offset: tuple[int, ...]) -> bool:
        """Whether one point of a chunk is computed."""
        return any(offset in self.rows.points(i) for i in self.rows_of(index).tolist())

    def rows_of(self, index: tuple[int, ...]) -> NDArray[np.intp]:
        """The numbers of the rows of one chunk."""
        return self._by_chunk.of(index)

    def computed_in(
        self, index: tuple[int, ...], chunk_shape: tuple[int, ...]
    ) -> NDArray[np.bool_]:
        """The computed points of one chunk, as a boolean array of its shape."""
        return union(map(self.rows.points, self.rows_of(index).tolist()), chunk_shape)

    def is_whole(self, chunk_shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """``(n,)``: whether a row's points are all of its chunk."""
        if chunk_shape not in self._whole:
            is_full = ~self.rows.has_bitmap()
            # column by column: numpy's reductions over a few numbers each take eight times as long
            for column, n in zip(self.rows.extent.T, chunk_shape, strict=True):
                is_full &= column == n
            self._whole[chunk_shape] = is_full
        return self._whole[chunk_shape]

    @functools.cached_property
    def _whole(self) -> dict[tuple[int, ...], NDArray[np.bool_]]:
        """Answers of `is_whole`, by the shape that was asked for: each reads a million rows."""
        return {}

    @functools.cached_property
    def _by_chunk(self) -> ByChunk:
        return ByChunk(self.rows.index)

    def touched_places(self, selection: Selection) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Each row's chunk as its place among the touched bins, and whether it is touched."""
        place = np.zeros(self.rows.index.shape, np.intp)
        is_touched = np.ones(len(self.rows), bool)
        for d, axis in enumerate(selection.axes):
            index, bins = self.rows.index[:, d], axis.bins
            if len(bins) and bins[-1] - bins[0] == len(bins) - 1:  # nearly always: nothing lies
                at = index - bins[0]  # between them, and a million rows need no search
                place[:, d] = np.clip(at, 0, len(bins) - 1)
                is_touched &= place[:, d] == at
                continue
            at = np.searchsorted(bins, index)
            place[:, d] = np.minimum(at, len(bins) - 1)
            is_touched &= bins[place[:, d]] == index
        return place, is_touched

    def seconds_per_point(self) -> float | None:
        """The mean time that a point took inside the function; None where nothing is computed."""
        whole = ~(self.rows.has_bitmap() | self.rows.is_put())
        points = int(np.prod(self.rows.extent[whole].astype(np.int64), axis=1).sum())
        return float(self.rows.seconds[whole].sum()) / points if points else None


def read_manifest(
    blobs: Blobs, path: GridPath, names: Sequence[str], stored: StoredGrid
) -> Manifest | None:
    """The manifest that the segments ``names`` make up; None if one is gone by now.

    Segments that are damaged, or that refer to other axis values than the stored ones, are
    left out and logged: their points are computed again.
    """
    parts: list[Rows] = []
    sizes: dict[str, int] = {}
    damaged: list[str] = []
    ahead: list[str] = []
    before: list[str] = []
    after: list[str] = []
    n_after = 0
    # known from the document, so that no segment decides how much is allocated for it
    max_nbytes = most_nbytes(stored.chunk_shape)
    gone: list[str] = []
    for name, data in _read(blobs, path, names, stored):
        if data is None:
            gone.append(name)
            continue
        try:
            segment = _segment(data, max_nbytes)
            _check(segment, stored, path.manifest + name)
        # a sound segment of before or after a conversion or a new layout (decisions 0020, 0031)
        except _OtherTypesError as error:
            (after if error.are_wider else before).append(name)
            # rows of later types alone: the document came back from a backup; see below
            n_after += len(segment.rows) if error.are_wider else 0
            continue
        except ValueError as error:
            if isinstance(error, _AheadError):
                ahead.append(name)
            _warn(path, name, error)
            damaged.append(name)
            continue
        parts.append(segment.rows)
        sizes[name] = segment.rows.nbytes
    # gone from the listing, too: a compaction has its rows, and the names must be listed again
    if gone and not {*gone} <= {*blobs.names(path.manifest)}:
        return None
    for name in gone:  # it still is listed
        _warn(path, name, ValueError("it is no file"))
    damaged += gone
    rows = Rows.concatenated(parts, len(stored.axes), len(stored.schema.outputs))
    if n_after and not parts:  # a conversion deletes its sources after it replaced the document
        damaged, ahead, after = damaged + after, ahead + after, []
    return Manifest(rows, sizes, tuple(damaged), tuple(ahead), (*before, *after))


_understood: Understood[Segment] = Understood()
"""Segments of few rows, by their bytes and the most bytes that their columns may have."""


def _segment(data: bytes, max_nbytes: int) -> Segment:
    """A stored segment, whose columns nothing can write to; ValueError if it is none."""
    found = _understood.get(data, max_nbytes)
    if found is None:
        found = Segment.from_bytes(data, max_nbytes)
        _understood.put(data, max_nbytes, found, found.rows.nbytes)
    return found


def _warn(path: GridPath, name: str, error: ValueError) -> None:
    text = "%s%s is damaged: %s; its points will be computed again"
    _log.warning(text, path.manifest, name, error)


def _read(
    blobs: Blobs, path: GridPath, names: Sequence[str], stored: StoredGrid
) -> Iterator[tuple[str, bytes | None]]:
    """The segments' bytes: of a few at a time, as each may expand to much more."""
    n_names = len(stored.axes) + len(stored.schema.outputs)
    limit = stored_limit(most_nbytes(stored.chunk_shape)) + MAX_HEADER + 1024 * n_names
    for start in range(0, len(names), READ_AT_ONCE):
        part = names[start : start + READ_AT_ONCE]
        yield from zip(part, blobs.get_many([path.manifest + n for n in part], limit), strict=True)


def older_than(manifest: Manifest) -> str:
    """The damage of a grid's document whose segments are newer than it."""
    return (
        f"it is older than {manifest.ahead[0]}, which refers to more values of an axis, or to an "
        "output that was converted since, or to another layout"
    )


def write_segment(blobs: Blobs, path: GridPath, name: str, stored: StoredGrid, rows: Rows) -> int:
    """Commit rows under a new name; how many bytes that took."""
    axes = {axis.name: (len(axis), stored.axis_digest(axis.name)) for axis in stored.axes}
    key, attributes = f"{path.manifest}{name}", brief_attributes(stored.attributes)
    data = Segment(axes, stored.data_types(), rows, key, stored.layout, attributes).to_bytes()
    blobs.put(key, data)
    return len(data)


def write_segments(
    blobs: Blobs,
    path: GridPath,
    new_name: Callable[[], str],
    stored: StoredGrid,
    rows: Rows,
    new_commit: Callable[[], int] | None = None,
    max_nbytes: int = MAX_ROWS_NBYTES,
    note: Callable[[Rows], object] = lambda _: None,
) -> dict[str, int]:
    """Commit any number of rows: the segments that they make, by name, with their sizes.

    Rows that were never committed get a number of ``new_commit``, those of each segment one of
    their own: a reader that sees a number sees all rows of it. Rows that are only written again
    keep theirs. None: all rows have one. ``note`` is called with those that got a number, once
    they are written.
    """
    sizes = {}
    for some in rows.divided(min(max_nbytes, max_rows_nbytes(blobs))):
        part, is_new = some, new_commit is not None and not some.commit.all()
        if new_commit is not None and is_new:
            part = part.committed_as(new_commit())
        name = new_name()
        write_segment(blobs, path, name, stored, part)
        sizes[name] = part.nbytes
        if is_new:
            note(part)
    return sizes


def max_rows_nbytes(blobs: Blobs) -> int:
    """The most bytes of a segment's rows: some room of an object is for its head."""
    return min(MAX_ROWS_NBYTES, blobs.max_nbytes // 2)


def to_compact(sizes: Mapping[str, int], limit: int = MAX_ROWS_NBYTES) -> list[str]:
    """The segments to compact into one, so that their number stays logarithmic; maybe none.

    Sizes fall into classes, each ``COMPACT_FROM`` times the next; a full class is compacted, with
    all the smaller ones. Those stay that are so large that no segment could hold a full class.
    """
    small = [name for name in sizes if sizes[name] < limit // COMPACT_FROM]
    ranked = sorted(small, key=lambda name: sizes[name])
    classes: dict[int, list[str]] = {}
    for name in ranked:
        level = 0
        while COMPACT_FROM ** (level + 1) <= sizes[name]:
            level += 1
        classes.setdefault(level, []).append(name)
    full = [level for level, names in classes.items() if len(names) >= COMPACT_FROM]
    if not full:
        return []
    names = [name for level in classes if level <= max(full) for name in classes[level]]
    while sum(sizes[name] for name in names) > limit:
        # the largest stay as they are: each costs the most to write again, and saves one object
        names.pop()
    return names


class _AheadError(ValueError):
    """A segment refers to values that the grid's document does not have yet."""


class _OtherTypesError(ValueError):
    """A segment is of before an output was converted or the grid laid out anew, or of after."""

    def __init__(self, *, are_wider: bool) -> None:
        super().__init__()
        self.are_wider = are_wider


def _check_types(found: Mapping[str, str], stored: Mapping[str, str]) -> None:
    """Raise ValueError where a segment's checksums are of other types than the grid has."""
    pairs = [(found[name], stored[name]) for name in stored if found[name] != stored[name]]
    if pairs and all(is_wider(theirs, ours) for theirs, ours in pairs):
        raise _OtherTypesError(are_wider=True)
    if pairs and all(is_wider(ours, theirs) for theirs, ours in pairs):
        raise _OtherTypesError(are_wider=False)
    if pairs:
        raise ValueError(f"it refers to outputs of the types {dict(found)}")


def _check(segment: Segment, stored: StoredGrid, key: str) -> None:
    """Raise ValueError where a segment is not this one of this grid, or points outside of it."""
    # its checksum says that it is whole, not that it belongs here: files are copied and renamed
    if segment.key != key:
        raise ValueError(f"it was written as {shortened(segment.key)}")
    if segment.layout != stored.layout:
        raise _OtherTypesError(are_wider=segment.layout > stored.layout)
    if list(segment.outputs) != list(stored.schema.outputs):
        raise ValueError(f"it refers to the outputs {list(segment.outputs)}")
    if segment.axes.keys() != {*stored.names}:
        raise ValueError(f"it refers to the axes {tuple(segment.axes)}")
    _check_types(segment.outputs, stored.data_types())
    _check_rows(segment, stored)
    longer = [axis.name for axis in stored.axes if segment.axes[axis.name][0] > len(axis)]
    if longer:
        # rows are written after the document: a shorter one was put back by something else
        raise _AheadError(f"it refers to more values of axis {longer[0]!r}")
    for axis in stored.axes:
        n, digest = segment.axes[axis.name]
        if stored.axis_digest(axis.name, n) != digest:
            raise ValueError(f"it refers to other values of axis {axis.name!r}")


def _check_rows(segment: Segment, stored: StoredGrid) -> None:
    """Raise ValueError where a row has points that its chunk does not have."""
    rows = segment.rows
    for d, (name, length) in enumerate(zip(stored.names, stored.chunk_shape, strict=True)):
        index, extent = rows.index[:, d], rows.extent[:, d]
        ends = index.astype(np.int64) * length + extent
        # by the least and the largest: a comparison of each of a million rows takes longer
        least = min(int(index.min(initial=0)), int(extent.min(initial=1)) - 1)
        is_within = (
            extent.max(initial=0) <= length and ends.max(initial=0) <= segment.axes[name][0]
        )
        if least < 0 or not is_within:
            raise ValueError("it refers to points outside of the grid")
    # nearly always: the ends of bitmaps were found to ascend to the end of the bits, so all are
    # empty
    if not len(rows.bits):
        return
    sizes = np.prod(rows.extent, axis=1, dtype=np.int64)
    bitmaps = np.diff(rows.bits_end, prepend=0)
    if not ((bitmaps == 0) | (bitmaps == -(-sizes // 8))).all():
        raise ValueError("it has bitmaps of other sizes than their boxes")
