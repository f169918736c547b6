"""The part of a stored grid that a request selects, chunk by chunk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Index = tuple[slice, ...] | tuple[NDArray[np.intp], ...]


@dataclass(frozen=True)
class AxisSelection:
    """Some positions of one stored axis, sorted into its bins."""

    positions: NDArray[np.intp]
    """``(k,)``: where each requested value stands on the stored axis."""
    length: int
    """The number of values in a bin (a chunk along this axis)."""

    @cached_property
    def bins(self) -> NDArray[np.intp]:
        """``(n_bins,)``: the numbers of the bins that hold a requested value, ascending."""
        bins = self.positions // self.length
        if (bins[1:] < bins[:-1]).any():
            return np.unique(bins)
        return bins[np.diff(bins, prepend=-1) > 0]  # as mostly; to sort a million takes 30 ms

    @cached_property
    def needed(self) -> NDArray[np.intp]:
        """``(n_bins,)``: how many of each bin's first values cover the requested ones."""
        last = np.zeros(len(self.bins), np.intp)
        np.maximum.at(last, self._bin_of_position, self.positions % self.length + 1)
        return last

    @cached_property
    def _bin_of_position(self) -> NDArray[np.intp]:
        return np.searchsorted(self.bins, self.positions // self.length)

    def bins_at(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """The numbers, among the touched bins, of those that hold the values at some places."""
        return self._bin_of_position[places]

    @cached_property
    def counts(self) -> NDArray[np.intp]:
        """``(n_bins,)``: how many values of each touched bin are requested."""
        return np.bincount(self._bin_of_position, minlength=len(self.bins))

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """``(k,)``: the places in the request, those of each bin together."""
        return np.argsort(self._bin_of_position, kind="stable")

    @cached_property
    def ends(self) -> NDArray[np.intp]:
        """``(n_bins,)``: where those of each bin end in `order`."""
        return np.cumsum(self.counts)

    def places(self, i: int) -> NDArray[np.intp]:
        """The places in the request of the values of the ``i``-th touched bin."""
        end = self.ends[i]
        return self.order[end - self.counts[i] : end]

    def inside(self, i: int) -> NDArray[np.intp]:
        """The positions within the ``i``-th touched bin of its requested values."""
        return self.positions[self.places(i)] % self.length

    @cached_property
    def place_runs(self) -> Runs:
        """The places of every touched bin, as runs."""
        return Runs.of(self.order, self.ends, self.counts)

    @cached_property
    def inside_runs(self) -> Runs:
        """The positions within every touched bin, as runs."""
        return Runs.of(self.positions[self.order] % self.length, self.ends, self.counts)


@dataclass(frozen=True)
class Runs:
    """For every touched bin, whether some indices of its are consecutive, and which."""

    start: NDArray[np.intp]
    """``(n_bins,)``."""
    stop: NDArray[np.intp]
    """``(n_bins,)``."""
    is_run: NDArray[np.bool_]
    """``(n_bins,)``."""

    @classmethod
    def of(
        cls, indices: NDArray[np.intp], ends: NDArray[np.intp], counts: NDArray[np.intp]
    ) -> Runs:
        """The runs of indices that are sorted by bin, where each bin's end and have a length."""
        breaks = np.cumsum(np.diff(indices, prepend=indices[:1]) != 1)
        first = ends - counts
        start = indices[first]
        return cls(start, start + counts, breaks[ends - 1] == breaks[first])

    def slice(self, i: int) -> slice | None:
        """The indices of the ``i``-th touched bin; None if they are not consecutive."""
        return slice(self.start.item(i), self.stop.item(i)) if self.is_run.item(i) else None


@dataclass(frozen=True)
class Selection:
    """The requested box of a stored grid: a selection along every stored axis."""

    axes: tuple[AxisSelection, ...]
    """In the order of the stored axes."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of requested values on every axis."""
        return tuple(len(axis.positions) for axis in self.axes)

    @property
    def size(self) -> int:
        """The number of requested points."""
        return math.prod(self.shape)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """The shape of a stored chunk."""
        return tuple(axis.length for axis in self.axes)

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """The number of touched bins on every axis."""
        return tuple(len(axis.bins) for axis in self.axes)

    def chunk_index(self, touched: tuple[int, ...]) -> tuple[int, ...]:
        """The index in the store of the chunk at ``touched`` among the touched ones."""
        return tuple([axis.bins.item(i) for axis, i in zip(self.axes, touched, strict=True)])

    def at(self, places: Sequence[NDArray[np.intp]]) -> Selection:
        """The part at some places of the request, an array of them for each axis."""
        return Selection(
            tuple(
                AxisSelection(axis.positions[along], axis.length)
                for axis, along in zip(self.axes, places, strict=True)
            )
        )

    def touched_of(self, index: tuple[int, ...]) -> tuple[int, ...] | None:
        """The place of a stored chunk among the touched ones; None if it is none of them."""
        found = [
            int(np.searchsorted(axis.bins, i)) for axis, i in zip(self.axes, index, strict=True)
        ]
        is_touched = all(
            n < len(axis.bins) and axis.bins[n] == i
            for axis, n, i in zip(self.axes, found, index, strict=True)
        )
        return tuple(found) if is_touched else None

    def touched(self) -> Iterator[tuple[int, ...]]:
        """Every touched chunk, in C order, as its place among the touched bins."""
        return iter(np.ndindex(*self.grid_shape))

    def request_block(self, touched: tuple[int, ...]) -> tuple[NDArray[np.intp], ...]:
        """The places in the request of one touched chunk's points, an array per axis."""
        return tuple(axis.places(i) for axis, i in zip(self.axes, touched, strict=True))

    def chunk_block(self, touched: tuple[int, ...]) -> tuple[NDArray[np.intp], ...]:
        """The indices within one touched chunk of the requested points, an array per axis."""
        return tuple(axis.inside(i) for axis, i in zip(self.axes, touched, strict=True))

    def index_in_request(self, touched: tuple[int, ...]) -> Index:
        """`request_block` as an orthogonal index."""
        runs = [axis.place_runs.slice(i) for axis, i in zip(self.axes, touched, strict=True)]
        return _whole(runs) or np.ix_(*self.request_block(touched))

    def index_in_chunk(self, touched: tuple[int, ...]) -> Index:
        """`chunk_block` as an orthogonal index."""
        runs = [axis.inside_runs.slice(i) for axis, i in zip(self.axes, touched, strict=True)]
        return _whole(runs) or np.ix_(*self.chunk_block(touched))

    def box(self, touched: tuple[int, ...]) -> tuple[int, ...] | None:
        """The extent of one touched chunk's points, if they are a box from its origin."""
        runs = [axis.inside_runs.slice(i) for axis, i in zip(self.axes, touched, strict=True)]
        if any(run is None or run.start for run in runs):
            return None
        return tuple(run.stop for run in runs if run is not None)

    def requested_mask(self, touched: tuple[int, ...]) -> NDArray[np.bool_]:
        """The requested points of one touched chunk, as a mask of the chunk's shape."""
        mask = np.zeros(self.chunk_shape, bool)
        mask[np.ix_(*self.chunk_block(touched))] = True
        return mask


def outer_index(indices: tuple[NDArray[np.intp], ...]) -> Index:
    """An orthogonal index: plain slices where the indices along every dim are consecutive.

    Slices copy at memory speed; an ``np.ix_`` of arrays costs about ten times that.
    """
    return _whole([_run(along) for along in indices]) or np.ix_(*indices)


def _run(indices: NDArray[np.intp]) -> slice | None:
    if len(indices) and (np.diff(indices) == 1).all():
        return slice(int(indices[0]), int(indices[-1]) + 1)
    return None


def _whole(runs: list[slice | None]) -> tuple[slice, ...] | None:
    """The slices, if there is one along every axis."""
    return None if None in runs else tuple(runs)  # type: ignore[arg-type]  # no None is among them
