"""The rows of a manifest that an index covers, and the points that its keys stand for.

A row is a fact that stays true, so that a set of rows says what an index holds, however segments
are compacted. The key of a point is the number that the index gave to its row, and the place of
the point among the row's points: neither changes while the grid grows.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.format.segment import Rows
from swarmgrid.format.writers import UNKNOWN
from swarmgrid.maintenance.kept import row_ids

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.records.grid_state import GridState

_PLACE = np.uint64(2**32)
"""The keys of one row: a chunk has less points."""
_KEPT_ROWS = 64
"""Rows with a bitmap, whose points are kept once they were found."""


@dataclass(frozen=True)
class Covered:
    """The rows that an index covers, of one output of a grid."""

    axes: Mapping[str, tuple[int, str]]
    """For every axis how many values it had, and their digest, as in a segment."""
    chunk_shape: tuple[int, ...]
    layout: int
    data_type: str
    shape: tuple[int, ...]
    """Of the output at a point."""
    rows: Rows
    """With the checksums of this output alone."""
    numbers: NDArray[np.uint32]
    """``(n,)``: what the index calls its rows; ascending."""
    _places: collections.OrderedDict[int, NDArray[np.intp]] = field(
        default_factory=collections.OrderedDict, repr=False, compare=False
    )

    @classmethod
    def nothing(cls, grid: StoredGrid, output: str) -> Self:
        """No rows of a grid as it is."""
        return cls(
            {axis.name: (len(axis), grid.axis_digest(axis.name)) for axis in grid.axes},
            grid.chunk_shape,
            grid.layout,
            grid.data_types()[output],
            grid.schema.outputs[output].shape,
            Rows.from_rows([], len(grid.axes), 1),
            np.zeros(0, np.uint32),
        )

    def is_of(self, grid: StoredGrid, output: str) -> bool:
        """Whether the rows mean in a grid what they meant when the index was built.

        Of another layout with the same chunks, too: rows are of values, however these are encoded.
        """
        lengths = {axis.name: len(axis) for axis in grid.axes}
        return (
            [*self.axes] == [*grid.names]
            and self.chunk_shape == grid.chunk_shape
            and output in grid.schema.outputs
            and self.data_type == grid.data_types()[output]
            and self.shape == grid.schema.outputs[output].shape
            and all(
                n <= lengths[name] and grid.axis_digest(name, n) == digest
                for name, (n, digest) in self.axes.items()
            )
        )

    def __len__(self) -> int:
        return len(self.rows)

    def difference(self, now: Rows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The places of rows that are not there any more, and those of new ones among all now."""
        old, new = row_ids(self.rows), row_ids(now)
        if not len(old) or not len(new):
            return np.arange(len(old)), np.arange(len(new))
        return np.flatnonzero(~np.isin(old, new)), np.flatnonzero(~np.isin(new, old))

    def without(self, places: NDArray[np.intp]) -> Covered:
        """The same without some rows."""
        kept = np.setdiff1d(np.arange(len(self.rows)), places)
        return replace(self, rows=self.rows.subset(kept), numbers=self.numbers[kept],
            _places=collections.OrderedDict())  # fmt: skip

    def with_rows(self, rows: Rows, grid: StoredGrid) -> Covered:
        """The same with some more rows, of a grid that may have grown."""
        first = int(self.numbers[-1]) + 1 if len(self.numbers) else 0
        numbers = np.arange(first, first + len(rows), dtype=np.uint32)
        n_axes = len(self.chunk_shape)
        return replace(
            self,
            axes={axis.name: (len(axis), grid.axis_digest(axis.name)) for axis in grid.axes},
            layout=grid.layout,
            rows=Rows.concatenated([self.rows, rows], n_axes, 1),
            numbers=np.concatenate([self.numbers, numbers]),
            _places=collections.OrderedDict(),
        )

    def keys(self, place: int) -> NDArray[np.uint64]:
        """The keys of the points of one row, in C order."""
        n = len(self.rows.points(place))
        return np.uint64(self.numbers[place]) * _PLACE + np.arange(n, dtype=np.uint64)

    def positions(self, keys: NDArray[np.uint64]) -> NDArray[np.intp]:
        """``(m, d)``: the positions along the stored axes of the points of some keys."""
        numbers, ranks = keys // _PLACE, (keys % _PLACE).astype(np.intp)
        places = np.searchsorted(self.numbers, numbers)
        ends = self.rows.bits_end
        has_bitmap = ends[places] > np.where(places > 0, ends[places - 1], 0)
        for place in {*places[has_bitmap].tolist()}:
            members = np.flatnonzero(places == place)
            ranks[members] = self._within(place)[ranks[members]]
        found = np.zeros((len(keys), len(self.chunk_shape)), np.intp)
        for d in reversed(range(len(self.chunk_shape))):
            ranks, found[:, d] = np.divmod(ranks, self.rows.extent[places, d])
        return found + self.rows.index[places] * np.array(self.chunk_shape, np.intp)

    def _within(self, place: int) -> NDArray[np.intp]:
        """The places in its box of the points of a row."""
        if place not in self._places:
            self._places[place] = np.flatnonzero(self.rows.points(place).box_mask())
            if len(self._places) > _KEPT_ROWS:
                self._places.popitem(last=False)
        return self._places[place]


def rows_of(state: GridState, output: str) -> Rows:
    """The rows of a grid, each once, as far as they are about one output."""
    rows, column = state.manifest.rows, list(state.grid.schema.outputs).index(output)
    n = len(rows)
    about = replace(
        rows,
        key=np.zeros((n, 16), np.uint8),
        checksums=np.ascontiguousarray(rows.checksums[:, column : column + 1]),
        seconds=np.zeros(n, "<f4"),
        time=np.zeros(n, "<u4"),
        writer=np.zeros(n, "<u4"),
        chunk_bytes=np.zeros(n, "<u8"),
        writers=(UNKNOWN,),
    )
    first = np.unique(row_ids(about), return_index=True)[1]
    return about if len(first) == n else about.subset(np.sort(first))
