"""Taking something out of a stored grid: points, or all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import ArchivedError, InputError
from swarmgrid.finding.resolve import not_stored
from swarmgrid.format.described import archive_in
from swarmgrid.handle.base import GridBase
from swarmgrid.inventory.keeping import current_row, recorded, stored_grids
from swarmgrid.leases import lease
from swarmgrid.leases.preflight import check_writable
from swarmgrid.maintenance.removal import drop_grid, remove_points
from swarmgrid.quantities import check_flags
from swarmgrid.records.snapshot import snapshot_paths
from swarmgrid.store.checked_json import MAX_DOCUMENT
from swarmgrid.store.directory import remove_empty_folders
from swarmgrid.store.layout import DATA, LOCKS, MANIFEST, SNAPSHOTS

if TYPE_CHECKING:
    from swarmgrid.inventory.row import GridRow
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import Location


class GridRemoving(GridBase):
    """A stored grid, as far as values are taken out of it; see `Grid`."""

    def delete(self, selection: Mapping[str, Any] | None = None, /, **labels: Any) -> int:
        """Delete the values of some points, from the manifest and from the disk.

        The axes keep their values. The next `compute` that asks for the points computes them.
        Waits while another process fills the grid. A Dataset that was opened before finds the
        chunks changed: reading them is an error.

        Parameters
        ----------
        selection : mapping, optional
            By axis a value, a list of values, or a slice of labels, as for ``Dataset.sel``; an
            axis that is not named is taken whole. Lists are of labels, also of bools: there are
            no masks. A grid without axes needs no selection.
        **labels
            The same, by keyword: ``grid.delete(s=slice(0, 9), strat="a")``.

        Returns
        -------
        int
            The number of points that were computed and are not any more.

        Raises
        ------
        InputError
            If nothing is selected, or nothing is stored; see `drop` for the whole grid.
        DamageError
            If values that share a chunk with these are damaged; `repair` comes first then.
        """
        return self._remove(selection, labels, from_disk=True)

    def invalidate(self, selection: Mapping[str, Any] | None = None, /, **labels: Any) -> int:
        """Count some points as not computed, so that the next `compute` computes them again.

        As `delete`, but their values stay on the disk until they are computed again.
        """
        return self._remove(selection, labels, from_disk=False)

    def drop(self, *, snapshots: bool = False, archived: bool = False) -> None:
        """Delete everything that is stored of the grid.

        Waits while another process fills it.

        Parameters
        ----------
        snapshots : bool, default False
            Whether to delete its snapshots, too. Without that, a grid that has any is an error.
        archived : bool, default False
            Whether to delete a grid that is archived. Its values stay in the archive, which is a
            store of its own. Without that, such a grid is an error.

        Raises
        ------
        ArchivedError
            If it is archived, and ``archived`` is not given.
        InputError
            If nothing is stored of it, or it has snapshots.
        """
        check_flags(snapshots=snapshots, archived=archived)
        location, path = self._ref.location, self._ref.path
        blobs = location.open()
        if not blobs.names(path.prefix) and not blobs.names(path.manifest):
            raise not_stored(self._ref)
        # looked at first, so as not to wait for the lease in vain
        n = len(snapshot_paths(blobs, path))
        if not snapshots and (n or not drop(location, path, may_be_archived=archived)):
            raise InputError(
                f"the grid has {n or 'new'} snapshot{'s' * (n != 1)}, which read its chunks; pass "
                "snapshots=True to delete them with it"
            )
        if snapshots:
            drop(location, path, snapshots=True, may_be_archived=archived)

    def _remove(
        self, selection: Mapping[str, Any] | None, labels: Mapping[str, Any], *, from_disk: bool
    ) -> int:
        from swarmgrid.view.selecting import positions, to_selection

        chosen = to_selection(selection, labels)
        if not chosen and self._read().grid.axes:
            raise InputError(
                "nothing is selected; name an axis and its labels, such as s=slice(0, 9), or call "
                "drop() for the whole grid"
            )
        try:
            positions(self._read().grid.axes, chosen)  # what cannot be is said before any write
        except InputError as error:
            scope = self._ref.location.scope
            if scope is None:
                raise
            raise InputError(
                f"{error}. These are the points of scope {scope.name!r} itself; those of the "
                "shared store are deleted there"
            ) from None
        check_writable(self._ref.location)
        with self._written() as held:
            n = remove_points(
                held, self._ref.path, lambda axes: positions(axes, chosen), from_disk=from_disk
            )
        if n is None:
            raise not_stored(self._ref)
        return n


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
