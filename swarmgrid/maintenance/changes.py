"""The points that differ between two states of one grid, chunk by chunk: for `Grid.diff`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.errors import InputError
from swarmgrid.maintenance.kept import has_layout_of
from swarmgrid.maintenance.snapshots import other_chunks
from swarmgrid.records.snapshot import snapshot_chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.blobs import Blobs


@dataclass(frozen=True, slots=True)
class ChunkChange:
    """The points of one chunk that differ between two states; masks of the chunk's shape."""

    index: tuple[int, ...]
    added: NDArray[np.bool_]
    removed: NDArray[np.bool_]
    changed: NDArray[np.bool_]


def changes(blobs: Blobs, before: GridState, after: GridState) -> Iterator[ChunkChange]:
    """The chunks that differ.

    Values are read only of chunks whose rows differ, and of points that both states have.

    Raises
    ------
    DamageError
        If values are not there any more.
    InputError
        If the states have different chunks, dtypes, or orders of values.
    """
    one, two = sorted((before.grid, after.grid), key=lambda grid: sum(map(len, grid.axes)))
    if not has_layout_of(two, one):
        raise InputError(
            "the two have different chunks, dtypes or orders of values, because the layout was "
            "changed in between. Compare their Datasets: dataset(at=...)"
        )
    shape = two.chunk_shape
    rows = before.manifest.rows, after.manifest.rows
    for index in sorted({*other_chunks(*rows), *other_chunks(*rows[::-1])}):
        old, new = (one.manifest.computed_in(index, shape) for one in (before, after))
        both = old & new
        differs = np.zeros(shape, bool)
        if both.any():
            for name in two.schema.outputs:
                a, _ = snapshot_chunk(blobs, before.grid, before.manifest, name, index)
                b, _ = snapshot_chunk(blobs, after.grid, after.manifest, name, index)
                unequal = ~((a == b) | ((a != a) & (b != b)))  # noqa: PLR0124  # NaN, NaT
                differs |= unequal.reshape(*shape, -1).any(axis=-1)
        found = ChunkChange(index, new & ~old, old & ~new, differs & both)
        if found.added.any() or found.removed.any() or found.changed.any():
            yield found
