"""Writes points of another grid, with the time and the writer that their rows have there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.errors import InputError
from swarmgrid.format.chunk_io import to_row, write_block
from swarmgrid.format.grid_io import write_grid
from swarmgrid.format.segment import Rows
from swarmgrid.records.manifest import max_rows_nbytes, write_segments
from swarmgrid.space.points import Points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.format.chunk_io import Block
    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.format.segment import Row
    from swarmgrid.leases.lease import Lease

_ROWS, _NBYTES = 2**13, 2**28
"""The most rows, and about the most bytes of chunks, that a kill may lose."""


class Writer:
    """Writes chunks of a grid, and commits rows for the new points in them.

    Parameters
    ----------
    held : Lease
        The right to write the grid.
    grid : StoredGrid
        The grid, with room for all that will be written.
    old : StoredGrid or None
        The grid as it is stored; None: it is not.
    is_one_commit : bool
        Whether all rows are committed by one object, which is there or is not.
    """

    def __init__(
        self,
        held: Lease,
        grid: StoredGrid,
        old: StoredGrid | None,
        *,
        is_one_commit: bool = False,
    ) -> None:
        self.nbytes = 0
        """The bytes of all chunks that were written."""
        self._held = held
        self._grid = grid
        self._rows: list[Row] = []
        self._numbers: list[int] = []
        self._committed = 0
        self._is_one_commit = is_one_commit
        if old is None or old.axes_differ(grid):
            held.check()
            write_grid(held.blobs, grid, old)

    def write(
        self, index: tuple[int, ...], block: Block, numbers: NDArray[np.int64], rows: Rows
    ) -> None:
        """Write a chunk, and make rows for its new points.

        Parameters
        ----------
        index : tuple of int
            The chunk.
        block : Block
            All its values.
        numbers : array
            Over the chunk: the number of the row that a new point has in the other grid, else -1.
        rows : Rows
            The rows of the other grid.
        """
        self._held.check()
        written = write_block(self._held.blobs, self._grid, index, block, numbers >= 0)
        self.nbytes += written
        for i in np.unique(numbers[numbers >= 0]).tolist():
            mask = numbers == i
            share = int(mask.sum()) / len(rows.points(i))
            seconds, ended = float(rows.seconds[i]) * share, int(rows.time[i])
            points = Points.from_mask(mask)
            self._rows.append(to_row(self._grid, index, block, points, seconds, ended, written))
            self._numbers.append(i)
        if self._is_one_commit:
            return
        if len(self._rows) >= _ROWS or self.nbytes - self._committed >= _NBYTES:
            self._commit(rows)

    def close(self, rows: Rows) -> None:
        """Commit what is left."""
        if self._rows:
            self._commit(rows)

    def _commit(self, rows: Rows) -> None:
        # after their chunks, and now and then: a kill repeats what was not committed, and no more
        self._held.check()
        grid = self._grid
        made = Rows.from_rows(self._rows, len(grid.axes), len(grid.schema.outputs))
        made = replace(made, writer=rows.writer[self._numbers], writers=rows.writers)
        if self._is_one_commit and len(made.divided(max_rows_nbytes(self._held.blobs))) > 1:
            raise InputError(
                f"the points lie in {len(made)} chunks, more than one object of the manifest can "
                "hold; nothing counts as computed. Put them in several calls"
            )
        held = self._held
        write_segments(held.blobs, grid.path, self._new_name, grid, made, held.new_commit)
        self._rows, self._numbers = [], []
        self._committed = self.nbytes

    def _new_name(self) -> str:
        return self._held.new_name(".seg")
