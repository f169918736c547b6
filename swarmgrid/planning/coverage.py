"""The requested points that are computed, and those that are missing, chunk by chunk."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.space.points import ChunkPart, Points

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.records.failures import FailedPoint
    from swarmgrid.space.selection import Selection


@dataclass(frozen=True)
class Coverage:
    """The requested points that are computed, and those that are not."""

    grid: StoredGrid
    """The grid, grown to hold every requested value."""
    selection: Selection
    """The requested values' positions in it, along its axes."""
    mask: NDArray[np.bool_] | None
    """The points asked for, over the selection; None: all."""
    complete: NDArray[np.bool_]
    """``selection.grid_shape``: whether all of a chunk's requested points are computed."""
    partial: Mapping[tuple[int, ...], NDArray[np.bool_]]
    """The computed points of chunks that are not complete."""
    failed: Mapping[tuple[int, ...], NDArray[np.bool_]] = field(default_factory=dict)
    """Points of such chunks that are not to be computed, because they failed."""

    @property
    def n_requested(self) -> int:
        """The number of requested points."""
        return self.selection.size if self.mask is None else int(self.mask.sum())

    def parts(self) -> Iterator[ChunkPart]:
        """The missing points, chunk by chunk, in C order."""
        for place in np.argwhere(self._incomplete):
            touched = tuple(place.tolist())
            points = self._missing_points(touched)
            if len(points):
                index = self.selection.chunk_index(touched)
                yield ChunkPart(index, points, touched not in self.partial)

    def n_missing(self) -> int:
        """The number of missing points."""
        if self.complete.all():
            return 0
        untouched, begun = self.missing_chunks()
        counts: NDArray[Any] = untouched.astype(np.int64)
        for axis in reversed(self.selection.axes):
            counts = counts @ axis.counts
        return int(counts) + sum(int(self.missing_mask(touched).sum()) for touched in begun)

    def missing_chunks(self) -> tuple[NDArray[np.bool_], list[tuple[int, ...]]]:
        """The chunks that have missing points.

        Returns
        -------
        untouched : array = selection.grid_shape, bool
            The chunks of which every selected point is missing.
        begun : list
            The others, by their place among the touched ones: see `missing_mask`.
        """
        if self.mask is not None:
            begun = [tuple(place) for place in np.argwhere(self._incomplete).tolist()]
            return np.zeros_like(self.complete), begun
        begun = [at for at in {*self.partial, *self.failed} if not self.complete[at]]
        untouched = ~self.complete
        for touched in begun:
            untouched[touched] = False
        return untouched, begun

    @functools.cached_property
    def _incomplete(self) -> NDArray[np.bool_]:
        """The chunks of which some points that are asked for may be missing."""
        if self.mask is None or not self.mask.size:
            return ~self.complete
        asked: NDArray[Any] = self.mask
        for d, axis in enumerate(
            self.selection.axes
        ):  # to look at each of a million takes minutes
            asked = np.logical_or.reduceat(
                np.take(asked, axis.order, d), axis.ends - axis.counts, axis=d
            )
        return np.asarray(asked & ~self.complete, bool)

    def n_incomplete(self) -> int:
        """The number of chunks that hold a missing point."""
        if self.mask is None:
            return int((~self.complete).sum())
        return sum(1 for _ in self.parts())

    def has_missing(self) -> bool:
        """Whether any point of the selection is not computed, or not asked for."""
        return self.mask is not None or not bool(self.complete.all())

    def is_computed(self, places: Sequence[NDArray[np.intp]] | None = None) -> NDArray[np.bool_]:
        """Whether points are asked for and computed.

        Parameters
        ----------
        places : sequence of array, optional
            For each axis, places in the selection; all, unless given. Nothing is made that is
            larger than the points at these.
        """
        if places is None:
            places = [np.arange(n) for n in self.selection.shape]
        part, axes = self.selection.at(places), self.selection.axes
        bins = [axis.bins_at(along) for axis, along in zip(axes, places, strict=True)]
        computed = np.array(self.complete[np.ix_(*bins)])
        for touched, done in self.partial.items():
            at = part.touched_of(self.selection.chunk_index(touched))
            if at is not None:
                inside = np.ix_(*part.chunk_block(at))
                computed[np.ix_(*part.request_block(at))] = done[inside]
        return computed if self.mask is None else computed & self.mask[np.ix_(*places)]

    def part(self, index: tuple[int, ...]) -> ChunkPart:
        """The missing points of one chunk."""
        touched = self._touched(index)
        return ChunkPart(index, self._missing_points(touched), touched not in self.partial)

    def without(self, failures: Iterable[FailedPoint]) -> Coverage:
        """The same, some points that failed not being missing."""
        failed = dict(self.failed)
        for failure in failures:
            if self._is_touched(failure.index):
                touched = self._touched(failure.index)
                mask = failure.points.mask(self.selection.chunk_shape)
                failed[touched] = failed.get(touched, False) | mask
        return replace(self, failed=failed)

    def _is_touched(self, index: tuple[int, ...]) -> bool:
        return all(i in axis.bins for axis, i in zip(self.selection.axes, index, strict=True))

    def _touched(self, index: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(
            int(np.searchsorted(axis.bins, i))
            for axis, i in zip(self.selection.axes, index, strict=True)
        )

    def with_computed(self, places: Iterable[tuple[tuple[int, ...], Points]]) -> Coverage:
        """The same, some points, by the index of their chunk, being computed."""
        partial = dict(self.partial)
        for index, points in places:
            touched = self._touched(index)
            mask = points.mask(self.selection.chunk_shape)
            partial[touched] = partial.get(touched, False) | mask
        return replace(self, partial=partial)

    def _missing_points(self, touched: tuple[int, ...]) -> Points:
        """The missing points of one touched chunk; no mask is made where they are a box."""
        box = self.selection.box(touched) if self.mask is None else None
        if box is None or touched in self.partial or touched in self.failed:
            return Points.from_mask(self.missing_mask(touched))
        return Points(box)

    def missing_mask(self, touched: tuple[int, ...]) -> NDArray[np.bool_]:
        """The missing points of one touched chunk, a mask of the chunk's shape."""
        mask = self.selection.requested_mask(touched)
        if self.mask is not None:
            inside = np.ix_(*self.selection.chunk_block(touched))
            mask[inside] &= self.mask[np.ix_(*self.selection.request_block(touched))]
        for done in (self.partial.get(touched), self.failed.get(touched)):
            if done is not None:
                mask &= ~done
        return mask
