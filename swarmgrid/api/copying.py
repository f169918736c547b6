"""Copies the grids of a store that another store does not have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swarmgrid import readable
from swarmgrid.api.catalog import Catalog, catalog
from swarmgrid.errors import InputError
from swarmgrid.format.grid_state import read_state
from swarmgrid.handle.resolve import location_of
from swarmgrid.inventory.keeping import recorded
from swarmgrid.options import current_options
from swarmgrid.store import lease
from swarmgrid.store.layout import GridPath
from swarmgrid.store.preflight import check_writable
from swarmgrid.transfer.copying import copy_grid

if TYPE_CHECKING:
    import os

    from swarmgrid.inventory.row import GridRow
    from swarmgrid.store.location import Location


@dataclass(frozen=True)
class Copying:
    """The grids that `copy` copied, and those that it left alone."""

    __module__ = "swarmgrid"

    copied: tuple[GridRow, ...]
    """The grids that were copied, in brief."""
    left: tuple[GridRow, ...]
    """The grids of which the target has computed points already; nothing of them was changed."""
    nbytes: int
    """The bytes of the copied chunks."""

    def __str__(self) -> str:
        n = len(self.copied)
        text = f"{n} grid{'s' * (n != 1)} copied, {readable.nbytes(self.nbytes)}"
        return text + (f"; {len(self.left)} are there already" if self.left else "")


def copy(
    source: str | os.PathLike[str] | Any,
    target: str | os.PathLike[str] | Any,
    *,
    query: Mapping[str, Any] | None = None,
    function: str | None = None,
    source_options: Mapping[str, Any] | None = None,
    target_options: Mapping[str, Any] | None = None,
) -> Copying:
    """Copy grids to another store, from or to a directory, S3 or any Zarr store.

    A grid is copied as it was at one instant, with its tags, failures and code; every value is
    held against its checksum. A grid of which the target has computed points is left alone.

    Parameters
    ----------
    source, target : str, path or zarr.abc.store.Store
        The stores.
    query, function : mapping, str, optional
        The grids to copy, as for `Catalog.query`. Default: all.
    source_options, target_options : mapping, optional
        The settings that the URLs need.

    Returns
    -------
    Copying

    Raises
    ------
    DamageError
        If a value of the source is damaged: of that grid, the target has no computed points.
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
    found, goal = chosen_grids(source, target, query, function, source_options, target_options)
    copied: list[GridRow] = []
    left: list[GridRow] = []
    nbytes = 0
    for row in found.rows:
        n = _copied(found.location, goal, row)
        (left if n is None else copied).append(row)
        nbytes += n or 0
    return Copying(tuple(copied), tuple(left), nbytes)


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
    if goal == found.location:
        raise InputError(f"source and target are the same store, {goal.url!r}")
    return found, goal


def _copied(source: Location, target: Location, row: GridRow) -> int | None:
    """Copy one grid: the bytes of its chunks; None where the target has points of it."""
    path = GridPath(row.function or row.folder, row.grid)
    there = read_state(target.open(), path)
    if there is not None and len(there.manifest.rows):
        return None
    blobs = source.open()
    state = read_state(blobs, path)
    if state is None:  # deleted meanwhile
        return None
    check_writable(target)
    with lease.acquire(target, path) as held, recorded(held, path):
        there = read_state(held.blobs, path)
        if there is not None and len(there.manifest.rows):
            return None
        return copy_grid(blobs, state, held)


copy.__module__ = "swarmgrid"
