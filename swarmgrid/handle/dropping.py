"""Deletes a stored grid, under its lease."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmgrid.errors import ArchivedError
from swarmgrid.format.described import archive_in
from swarmgrid.inventory.keeping import current_row, recorded, stored_grids
from swarmgrid.leases import lease
from swarmgrid.leases.preflight import check_writable
from swarmgrid.maintenance.removal import drop_grid
from swarmgrid.records.snapshot import snapshot_paths
from swarmgrid.store.checked_json import MAX_DOCUMENT
from swarmgrid.store.directory import remove_empty_folders
from swarmgrid.store.layout import DATA, LOCKS, MANIFEST, SNAPSHOTS

if TYPE_CHECKING:
    from swarmgrid.inventory.row import GridRow
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import Location


def drop(
    location: Location,
    path: GridPath,
    *,
    as_in: GridRow | None = None,
    snapshots: bool = False,
    may_be_archived: bool = False,
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
    may_be_archived : bool
        Whether to delete also a grid whose values are in an archive, and stay there.

    Raises
    ------
    ArchivedError
        If the values are in an archive, and that was not said.
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
        check_is_no_archived(held.blobs, path, may_be_archived=may_be_archived)
        drop_grid(held, path)
    if location.is_directory:
        folders = [path.prefix, path.manifest, path.snapshots, path.indexes]
        remove_empty_folders(location.url, folders)
    return True


def check_is_no_archived(blobs: Blobs, path: GridPath, *, may_be_archived: bool) -> None:
    """Raise ArchivedError where the values of a grid are in an archive, which would be lost."""
    archive = archive_in(blobs.get(path.metadata, MAX_DOCUMENT))
    if archive is not None and not may_be_archived:
        raise ArchivedError(
            path.group,
            archive.store,
            archive.since,
            "Thaw the grid, and delete it then; or pass archived=True to Grid.drop, which leaves "
            "the archive alone: it is a store of its own",
        )


def drop_store(location: Location) -> None:
    """Delete what is left of a store without grids that held one for a while, and its folders."""
    blobs = location.open()
    if next(stored_grids(blobs), None) is not None:
        return
    for folder in (DATA, MANIFEST, SNAPSHOTS, LOCKS):
        _delete_all(blobs, f"{folder}/")
    if location.is_directory:
        remove_empty_folders(location.url, [""])


def _delete_all(blobs: Blobs, folder: str) -> None:
    for name in blobs.names(folder):
        _delete_all(blobs, f"{folder}{name}/")
        blobs.delete(folder + name)
