"""The points that differ between two states of one grid, chunk by chunk: for `Grid.diff`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.maintenance.kept import has_layout_of, other_chunks
from swarmgrid.records.snapshot import snapshot_chunk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.blobs import Blobs


@dataclass(frozen=True, slots=True)
class BoxChange:
    """The points of a box of a grid that differ between two states; masks of the box's shape."""

    start: tuple[int, ...]
    """The position of its first point on every axis."""
    added: NDArray[np.bool_]
    removed: NDArray[np.bool_]
    changed: NDArray[np.bool_]

    @property
    def is_any(self) -> bool:
        """Whether any point differs."""
        return bool(self.added.any() or self.removed.any() or self.changed.any())


def have_one_layout(before: GridState, after: GridState) -> bool:
    """Whether two states have chunks, dtypes and orders of values in common."""
    return has_layout_of(*sorted((after.grid, before.grid), key=_size, reverse=True))


def _size(grid: StoredGrid) -> int:
    return sum(map(len, grid.axes))


def changes(blobs: Blobs, before: GridState, after: GridState) -> Iterator[BoxChange]:
    """The chunks that differ between two states of one layout.

    Values are read only of chunks whose rows differ, and of points that both states have.

    Raises
    ------
    DamageError
        If values are not there any more.
    """
    shape = after.grid.chunk_shape
    rows = before.manifest.rows, after.manifest.rows
    for index in sorted({*other_chunks(*rows), *other_chunks(*rows[::-1])}):
        old, new = (one.manifest.computed_in(index, shape) for one in (before, after))
        both = old & new
        differs = np.zeros(shape, bool)
        if both.any():
            for name in after.grid.schema.outputs:
                a, _ = snapshot_chunk(blobs, before.grid, before.manifest, name, index)
                b, _ = snapshot_chunk(blobs, after.grid, after.manifest, name, index)
                differs |= unequal(a, b, len(shape))
        start = tuple(i * n for i, n in zip(index, shape, strict=True))
        found = BoxChange(start, new & ~old, old & ~new, differs & both)
        if found.is_any:
            yield found


def unequal(a: NDArray[Any], b: NDArray[Any], n_axes: int) -> NDArray[np.bool_]:
    """The points at which two blocks of values differ; a missing value is like another."""
    found = ~((a == b) | ((a != a) & (b != b)))  # noqa: PLR0124  # NaN, NaT
    return np.asarray(found.any(axis=tuple(range(n_axes, found.ndim))))
