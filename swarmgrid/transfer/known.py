"""Known results in memory as a part of a grid: joined to it as a stored grid is, in one commit."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from swarmgrid.format.grid import StoredAxis, StoredGrid
from swarmgrid.format.segment import Row, Rows
from swarmgrid.format.writers import WriterId
from swarmgrid.records.grid_state import GridState
from swarmgrid.records.manifest import Manifest
from swarmgrid.space.points import Points
from swarmgrid.transfer.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from swarmgrid.format.chunk_io import Block
    from swarmgrid.outputs.outputs import Schema
    from swarmgrid.space.axis import Axis
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath

_KEY = bytes(16)
"""The digest of a chunk that is not stored."""


@dataclass(frozen=True)
class KnownPart:
    """Points of a grid whose results are known, as `join_part` takes them."""

    blobs: Blobs
    """The store of the grid."""
    new_grid: StoredGrid
    """The grid to make, should it not be stored."""
    axes: tuple[Axis, ...]
    """The values that the points have on each axis."""
    schema: Schema
    """The outputs."""
    arrays: Block
    """By output an array over these axes and its own dims."""
    mask: NDArray[np.bool_]
    """Over the axes: the points whose results are known."""

    is_same_grid: ClassVar[bool] = False
    is_one_commit: ClassVar[bool] = True
    may_decrypt: ClassVar[bool] = True  # nothing of it is encrypted

    @property
    def path(self) -> GridPath:
        """The grid that it is a part of."""
        return self.new_grid.path

    def source(self, order: Sequence[str] | None) -> Source:
        """The points with the axes in the order that the grid has."""
        names = [axis.name for axis in self.axes]
        turn = [names.index(name) for name in order or names]
        axes = tuple(self.axes[d] for d in turn)
        mask = self.mask.transpose(turn)
        arrays = {
            name: array.transpose([*turn, *range(len(turn), array.ndim)])
            for name, array in self.arrays.items()
        }
        stored = tuple(StoredAxis.new(axis, max(1, len(axis))) for axis in axes)
        grid = StoredGrid(self.path, stored, replace(self.schema, encodings={}))
        points, n = Points.from_mask(mask), len(self.schema.outputs)
        row = Row(_KEY, (0,) * len(axes), points, (0,) * n, 0.0, int(time.time()))
        rows = Rows.from_rows([row], len(axes), n).written_by(WriterId.of_this_process().putting())
        state = GridState(grid, Manifest(rows, {}))
        return _KnownSource(self.blobs, state, axes, tuple(range(len(axes))), arrays, mask)

    def empty(self, source: Source, max_nbytes: int) -> StoredGrid:  # noqa: ARG002  # as `Part`
        """The grid to make."""
        return self.new_grid


@dataclass(frozen=True)
class _KnownSource(Source):
    """Points in memory, as a source."""

    arrays: Block
    mask: NDArray[np.bool_]

    has_checksums: ClassVar[bool] = False

    def reader(self) -> Any:
        return _Reader(self.arrays, self.mask)


class _Reader:
    """Reads points from memory, as `SourceReader` does from a store."""

    def __init__(self, arrays: Block, mask: NDArray[np.bool_]) -> None:
        self._arrays = arrays
        self._mask = mask

    def rows_at(self, places: Sequence[NDArray[np.intp]]) -> NDArray[np.int64]:
        return np.where(self._mask[_at(places)], 0, -1).astype(np.int64)

    def chunks_at(self, places: Sequence[NDArray[np.intp]]) -> list[tuple[int, ...]]:  # noqa: ARG002
        return []

    def values_at(self, places: Sequence[NDArray[np.intp]]) -> Block:
        return {name: array[_at(places)] for name, array in self._arrays.items()}

    def fetch(self, indices: Iterable[tuple[int, ...]]) -> None:
        """Nothing: all is in memory."""


def _at(places: Sequence[NDArray[np.intp]]) -> Any:
    """An orthogonal index that gives an array also where there are no axes."""
    return (*np.ix_(*places), ...)
