"""The part of a stored grid that a request speaks of, chunk by chunk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True)
class AxisSelection:
    """Some positions of one stored axis, sorted into its bins."""

    positions: NDArray[np.intp]
    """``(k,)``: where each requested value stands on the stored axis."""
    length: int
    """How many values a bin (a chunk along this axis) holds."""

    @cached_property
    def bins(self) -> NDArray[np.intp]:
        """``(n_bins,)``: the numbers of the bins that hold a requested value, ascending."""
        return np.unique(self.positions // self.length)

    @cached_property
    def needed(self) -> NDArray[np.intp]:
        """``(n_bins,)``: how many of each bin's first values cover the requested ones."""
        last = np.zeros(len(self.bins), np.intp)
        np.maximum.at(last, self._bin_of_position, self.positions % self.length + 1)
        return last

    @cached_property
    def _bin_of_position(self) -> NDArray[np.intp]:
        return np.searchsorted(self.bins, self.positions // self.length)

    @cached_property
    def counts(self) -> NDArray[np.intp]:
        """``(n_bins,)``: how many values of each touched bin are requested."""
        return np.bincount(self._bin_of_position, minlength=len(self.bins))

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self._bin_of_position, kind="stable")

    @cached_property
    def _ends(self) -> NDArray[np.intp]:
        return np.cumsum(self.counts)

    def members(self, i: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Of the ``i``-th touched bin: places in the request, and positions within the bin."""
        end = self._ends[i]
        places = self._order[end - self.counts[i] : end]
        return places, self.positions[places] % self.length


@dataclass(frozen=True)
class Selection:
    """The requested box of a stored grid: a selection along every stored axis."""

    axes: tuple[AxisSelection, ...]
    """In the order of the stored axes."""

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values are requested on every axis."""
        return tuple(len(axis.positions) for axis in self.axes)

    @property
    def size(self) -> int:
        """How many points are requested."""
        return math.prod(self.shape)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """The shape of a stored chunk."""
        return tuple(axis.length for axis in self.axes)

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """How many bins are touched on every axis."""
        return tuple(len(axis.bins) for axis in self.axes)

    def chunk_index(self, touched: tuple[int, ...]) -> tuple[int, ...]:
        """The index in the store of the chunk at ``touched`` among the touched ones."""
        return tuple(int(axis.bins[i]) for axis, i in zip(self.axes, touched, strict=True))

    def touched(self) -> Iterator[tuple[int, ...]]:
        """Every touched chunk, in C order, as its place among the touched bins."""
        return iter(np.ndindex(*self.grid_shape))

    def request_block(self, touched: tuple[int, ...]) -> tuple[NDArray[np.intp], ...]:
        """The places in the request of one touched chunk's points, an array per axis."""
        return tuple(axis.members(i)[0] for axis, i in zip(self.axes, touched, strict=True))

    def chunk_block(self, touched: tuple[int, ...]) -> tuple[NDArray[np.intp], ...]:
        """The indices within one touched chunk of the requested points, an array per axis."""
        return tuple(axis.members(i)[1] for axis, i in zip(self.axes, touched, strict=True))

    def requested_mask(self, touched: tuple[int, ...]) -> NDArray[np.bool_]:
        """The requested points of one touched chunk, as a mask of the chunk's shape."""
        mask = np.zeros(self.chunk_shape, bool)
        mask[np.ix_(*self.chunk_block(touched))] = True
        return mask


def as_slices(
    block: tuple[NDArray[np.intp], ...],
) -> tuple[slice, ...] | tuple[NDArray[np.intp], ...]:
    """An orthogonal index for ``block``: plain slices where the indices are consecutive.

    Slices copy at memory speed; an ``np.ix_`` of arrays costs about ten times that.
    """
    if all(len(i) and int(i[-1]) - int(i[0]) == len(i) - 1 and _rises(i) for i in block):
        return tuple(slice(int(i[0]), int(i[-1]) + 1) for i in block)
    return np.ix_(*block)


def _rises(indices: NDArray[np.intp]) -> bool:
    return len(indices) == 1 or bool((np.diff(indices) == 1).all())
