"""The second look at a chunk that does not hold what the rows that a reader knows say.

A reader has no lease: since it read the rows, points may have been deleted or computed again, and
the grid deleted and made anew. Only rows that are stored now tell that from damage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmgrid.errors import DamageError
from swarmgrid.format.chunk_io import chunk_key, chunk_limit
from swarmgrid.records.checked_chunk import computed_chunk
from swarmgrid.records.grid_state import read_state

if TYPE_CHECKING:
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath

_TRIES = 5


def is_damaged_now(blobs: Blobs, path: GridPath, name: str, index: tuple[int, ...]) -> bool:
    """Whether a chunk of an output does not hold what the rows that are stored now say.

    Raises
    ------
    DamageError
        If the grid's metadata is damaged.
    """
    state: GridState | None = None
    for _ in range(_TRIES):
        before, state = state, read_state(blobs, path, state)
        if state is None:
            return False
        if state is before:  # no writer took away the rows while the chunk was read
            return True
        if not _is_damaged(blobs, state, name, index):
            return False
    return True


def _is_damaged(blobs: Blobs, state: GridState, name: str, index: tuple[int, ...]) -> bool:
    grid, manifest = state.grid, state.manifest
    if name not in grid.schema.outputs or len(index) != len(grid.axes):
        return False  # of a grid that was made anew
    if index in state.marked:  # its rows are left out
        return True
    if not len(manifest.rows_of(index)):
        return False
    key = chunk_key(grid, name, index)
    data = blobs.get(key, chunk_limit(grid, name))
    try:
        computed_chunk(data, key, grid, manifest, name, index)
    except DamageError:
        return True
    return False
