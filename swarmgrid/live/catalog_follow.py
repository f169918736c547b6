"""Follows all grids of a store: the inventory, and those that a process writes now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import StoreError
from swarmgrid.following.sight import IDLE
from swarmgrid.inventory import objects
from swarmgrid.inventory.keeping import stored_rows
from swarmgrid.inventory.row import GridRow
from swarmgrid.live.feed import row_of
from swarmgrid.live.follow import GridFollower

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.store.location import Location

MAX_FOLLOWED = 12
"""The most grids whose own objects are read; of others the inventory's rows are shown."""


class CatalogFollower:
    """Reads which grids there are, again and again; it writes nothing.

    Parameters
    ----------
    location : Location
        The store.
    clock : callable
        Seconds that only grow.
    """

    def __init__(self, location: Location, clock: Callable[[], float] = time.monotonic) -> None:
        self._location = location
        self._clock = clock
        self._names: list[str] | None = None
        self._rows: dict[str, GridRow] = {}
        self._followed: dict[str, GridFollower] = {}

    def look(self) -> list[dict[str, Any]]:
        """Look at the store: one listing, what is new, and the grids that are being written.

        Returns
        -------
        list of dict
            The grids in brief: those that are being written first, then the newest.
        """
        blobs = self._location.open()
        names = blobs.names(objects.FOLDER)
        if names != self._names:
            self._names = None
            self._rows = {row.grid: row for row in stored_rows(self._location, keeps=False)}
            marks = objects.read_inventory(blobs).marks[:MAX_FOLLOWED]
            self._followed = {
                mark.path.grid: self._followed.get(mark.path.grid)
                or GridFollower(blobs, mark.path, self._clock)
                for mark in marks
            }
            self._names = names
        found, is_active = [], set()
        for grid, follower in self._followed.items():
            try:
                view = follower.look()
            except StoreError:  # the page of the grid says why
                view = None
            row = self._rows.get(grid, GridRow(grid, follower.path.folder))
            state = IDLE if view is None else view.holder.state
            found.append(row_of(row, state, view))
            is_active.add(grid)
        others = [row for grid, row in self._rows.items() if grid not in is_active]
        others.sort(key=lambda row: -row.written)
        return found + [row_of(row, IDLE if row.checksum else "damaged", None) for row in others]
