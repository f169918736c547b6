"""Deletes a stored grid, under its lease."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmgrid.format.snapshot import snapshot_paths
from swarmgrid.inventory.keeping import current_row, recorded
from swarmgrid.maintenance.removal import drop_grid
from swarmgrid.store import lease
from swarmgrid.store.directory import remove_empty_folders
from swarmgrid.store.preflight import check_writable

if TYPE_CHECKING:
    from swarmgrid.inventory.row import GridRow
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import Location


def drop(
    location: Location, path: GridPath, *, as_in: GridRow | None = None, snapshots: bool = False
) -> bool:
    """Delete everything that is stored of a grid: whether that was done.

    Parameters
    ----------
    location : Location
        The store.
    path : GridPath
        The grid.
    as_in : GridRow, optional
        The row that the caller has read. A grid that was written to since is left alone.
    snapshots : bool
        Whether its snapshots go with it. Without that, a grid that has any is left alone.
    """
    check_writable(location)
    with lease.acquire(location, path) as held, recorded(held, path, may_delete=True):
        # under the lease, as a snapshot is taken: it may have come since the caller looked
        if not snapshots and snapshot_paths(held.blobs, path):
            return False
        if as_in is not None:  # the catalog is a hint, and a run may have ended since it was read
            found = current_row(held.blobs, path)
            if (found.written, found.checksum) != (as_in.written, as_in.checksum):
                return False
        drop_grid(held, path)
    if location.is_directory:
        folders = [path.prefix, path.manifest, path.snapshots, path.indexes]
        remove_empty_folders(location.url, folders)
    return True
