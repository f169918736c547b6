"""Takes the snapshots of a grid along to another store, with the chunks that only they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.errors import DamageError
from swarmgrid.format.chunk_io import chunk_key
from swarmgrid.maintenance.kept import has_layout_of, other_chunks, state_at
from swarmgrid.records.snapshot import put_kept, read_snapshots, snapshot_chunk, write_contents
from swarmgrid.store.layout import SnapshotPath

if TYPE_CHECKING:
    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.records.snapshot import Snapshot
    from swarmgrid.store.blobs import Blobs


def copy_snapshots(source: Blobs, state: GridState, held: Lease) -> tuple[int, int]:
    """Copy the snapshots of a grid whose chunks are there already: their number, and bytes.

    Parameters
    ----------
    source, state : Blobs, GridState
        The grid, as it was read.
    held : Lease
        The right to write the grid in the target.

    Raises
    ------
    DamageError
        If a snapshot is damaged.
    """
    found = read_snapshots(source, state.grid.path)
    try:
        return len(found), sum(_copy(source, state, held, snapshot) for snapshot in found)
    except DamageError as error:
        remedy = f"{error.remedy}. swarmgrid.copy(..., snapshots=False) leaves snapshots behind"
        raise DamageError(error.key, error.reason, remedy) from None


def _copy(source: Blobs, state: GridState, held: Lease, snapshot: Snapshot) -> int:
    """Copy one snapshot; its record last, as it makes it count."""
    snapshot.check()
    path, target = state.grid.path, held.blobs
    place = SnapshotPath(path.function, path.grid, snapshot.id)
    then = state_at(source, place)
    rows = then.manifest.rows
    # what the grid's own rows have, too, was copied and checked with the grid
    alike = (
        state.manifest.rows if has_layout_of(state.grid, then.grid) else rows.subset(np.arange(0))
    )
    nbytes = 0
    for index in other_chunks(rows, alike):
        for name in then.grid.schema.outputs:
            key = chunk_key(then.grid, name, index)
            _, data = snapshot_chunk(source, then.grid, then.manifest, name, index)
            if data != target.get(key):
                held.check()
                put_kept(target, path, key, data)
                nbytes += len(data)
    write_contents(target, place, then.grid, rows)
    held.check()
    target.put(place.record, snapshot.to_bytes(place.record))
    return nbytes
