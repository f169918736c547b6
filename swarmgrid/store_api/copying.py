"""Copies the grids of a store that another store does not have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swarmgrid import readable
from swarmgrid.codecs.keys import hold_keys
from swarmgrid.errors import InputError
from swarmgrid.finding.resolve import location_of
from swarmgrid.inventory.keeping import recorded
from swarmgrid.leases import lease
from swarmgrid.leases.preflight import check_writable
from swarmgrid.options import current_options
from swarmgrid.quantities import check_flags
from swarmgrid.records.grid_state import read_state
from swarmgrid.store.layout import GridPath
from swarmgrid.store.scoping import check_no_scope
from swarmgrid.store_api.catalog import Catalog, catalog
from swarmgrid.transfer.copying import copy_grid

if TYPE_CHECKING:
    import os

    from swarmgrid.codecs.keys import Key
    from swarmgrid.inventory.row import GridRow
    from swarmgrid.store.location import Location


@dataclass(frozen=True, repr=False)
class Copying:
    """The grids that `copy` copied, and those that it left alone."""

    __module__ = "swarmgrid"

    copied: tuple[GridRow, ...]
    """The grids that were copied, in brief."""
    left: tuple[GridRow, ...]
    """The grids of which the target has computed points already; nothing of them was changed."""
    nbytes: int
    """The bytes of the copied chunks, those that are kept for snapshots among them."""
    snapshots: int = 0
    """The snapshots that came with the grids."""

    def __repr__(self) -> str:
        """The outcome in numbers."""
        n = len(self.copied)
        text = f"{n} grid{'s' * (n != 1)} copied, {readable.nbytes(self.nbytes)}"
        if self.snapshots:
            text += f", with {self.snapshots} snapshot{'s' * (self.snapshots != 1)}"
        return text + (f"; {len(self.left)} are there already" if self.left else "")


def copy(
    source: str | os.PathLike[str] | Any,
    target: str | os.PathLike[str] | Any,
    *,
    query: Mapping[str, Any] | None = None,
    function: str | None = None,
    snapshots: bool = True,
    source_options: Mapping[str, Any] | None = None,
    target_options: Mapping[str, Any] | None = None,
    key: Key | Iterable[Key] | None = None,
) -> Copying:
    """Copy grids to another store, from or to a directory, S3 or any Zarr store.

    A grid is copied as it was at one instant, with its tags, failures, code and snapshots; every
    value is held against its checksum. A grid of which the target has computed points is left
    alone.

    Parameters
    ----------
    source, target : str, path or zarr.abc.store.Store
        The stores.
    query, function : mapping, str, optional
        The grids to copy, as for `Catalog.query`. Default: all.
    snapshots : bool, default True
        Whether the snapshots of the grids come with them, with the chunks that were kept for
        these.
    source_options, target_options : mapping, optional
        The settings that the URLs need.
    key : Key or iterable of Key, optional
        The keys of encrypted grids: their values are checked, and stay encrypted.

    Returns
    -------
    Copying

    Raises
    ------
    ArchivedError
        If the values of a grid are in an archive; those before it were copied.
    DamageError
        If a value of the source is damaged, or a snapshot: of that grid, the target has no
        computed points.
    InputError
        If both are the same store.

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width, height):
    ...     return width * height
    >>> options = dict(func=area, executor="sync")
    >>> ds = swarmgrid.compute({"height": 2.0}, {"width": [1]}, store="memory://from", **options)
    >>> len(swarmgrid.copy("memory://from", "memory://to").copied)
    1
    """
    check_flags(snapshots=snapshots)
    hold_keys("key", key)
    found, goal = chosen_grids(source, target, query, function, source_options, target_options)
    copied: list[GridRow] = []
    left: list[GridRow] = []
    nbytes = n_snapshots = 0
    for row in found.rows:
        done = _copied(found.location, goal, row, snapshots=snapshots)
        (left if done is None else copied).append(row)
        if done is not None:
            nbytes, n_snapshots = nbytes + done[0], n_snapshots + done[1]
    return Copying(tuple(copied), tuple(left), nbytes, n_snapshots)


def chosen_grids(
    source: Any,
    target: Any,
    query: Mapping[str, Any] | None,
    function: str | None,
    source_options: Mapping[str, Any] | None,
    target_options: Mapping[str, Any] | None,
) -> tuple[Catalog, Location]:
    """The grids of a store that are to be taken to another, and the place of that.

    Raises
    ------
    InputError
        If both are the same store.
    """
    found = catalog(source, storage_options=source_options).query(query, function=function)
    given = {"store": target, "storage_options": target_options}
    goal = location_of(current_options().updated(given))
    for location in (found.location, goal):
        check_no_scope("copying or merging whole stores", location)
    if goal == found.location:
        raise InputError(f"source and target are the same store, {goal.url!r}")
    return found, goal


def _copied(
    source: Location, target: Location, row: GridRow, *, snapshots: bool
) -> tuple[int, int] | None:
    """Copy one grid, as `copy_grid`; None where the target has points of it."""
    path = GridPath(row.function or row.folder, row.grid)
    there = read_state(target.open(), path)
    if there is not None and len(there.manifest.rows):
        return None
    blobs = source.open()
    state = read_state(blobs, path)
    if state is None:  # deleted meanwhile
        return None
    state.grid.check_at_home()
    check_writable(target)
    with lease.acquire(target, path) as held, recorded(held, path):
        there = read_state(held.blobs, path)  # again: while it waited, another may have filled it
        if there is not None and len(there.manifest.rows):
            return None
        return copy_grid(blobs, state, held, snapshots=snapshots)


copy.__module__ = "swarmgrid"
