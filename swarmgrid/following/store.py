"""Follows the grids of a store: which ones have changed, and what is new in these."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from swarmgrid.errors import DamageError
from swarmgrid.following.changes import Teller
from swarmgrid.following.reader import GridReader
from swarmgrid.following.sight import SILENT, WORKING
from swarmgrid.inventory import objects
from swarmgrid.inventory.keeping import stored_grids
from swarmgrid.store.layout import GridPath

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.following.changes import Changes
    from swarmgrid.following.events import Event
    from swarmgrid.following.token import Position
    from swarmgrid.store.location import Location

MAX_KEPT = 64
"""So many grids are kept in memory between looks."""
MAX_SWEPT = 8
"""So many grids are looked at in a sweep."""
SWEEP_SECONDS = 30.0
"""After so long grids are looked at without a hint, as one may fail to be written."""


class StoreFollower:
    """Looks at grids again and again, and tells what is new; it writes nothing.

    Parameters
    ----------
    location : Location
        The store.
    is_meant : callable
        Says whether a grid is followed.
    position : Position
        The events that were told already.
    clock, now : callable
        Seconds that only grow; the time in UTC.
    """

    def __init__(
        self,
        location: Location,
        is_meant: Callable[[GridPath], bool],
        position: Position,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self.ready: deque[Event] = deque()
        """The events that were found, and not taken yet."""
        self.position = position
        """The events so far, those that are ready among them."""
        self._location = location
        self._is_meant = is_meant
        self._clock, self._now = clock, now
        self._names: list[str] | None = None
        self._paths: dict[str, GridPath] = {}
        self._times: dict[str, int] = {}
        """By grid the time of its newest row in the inventory."""
        self._open: set[str] = set()
        """The grids that a process writes, as far as that is known."""
        self._held: set[str] = set()
        """Those with a process at work: it gives its lease back after it has written its row."""
        self._unsettled: set[str] = set()
        """The grids of which there is more to be told."""
        self._readers: dict[str, GridReader] = {}
        self._swept = clock()
        self._turn = 0

    @property
    def folders(self) -> list[str]:
        """The prefixes below which something changes when there is news."""
        grids = [grid for grid in self._paths if grid in self._open or len(self._paths) < MAX_KEPT]
        paths = [self._paths[grid] for grid in grids[:MAX_KEPT]]
        return [objects.FOLDER, *(p for path in paths for p in (path.manifest, path.locks))]

    def look(self) -> None:
        """Look at the store: one listing, and the grids of which that says that they may be new.

        What is new is in ``ready``.

        Raises
        ------
        StoreError
            If the store cannot be read. The next look tells all that this one did not.
        """
        due = self._note_changes() | self._open | self._held | self._sweep()
        for grid in sorted(due, key=lambda grid: (self._times.get(grid, 0), grid)):
            if grid in self._paths:
                self._unsettled.add(grid)  # until it is known that nothing is left
        for grid in sorted(self._unsettled, key=lambda grid: (self._times.get(grid, 0), grid)):
            self._look_at(self._paths[grid])

    def skip(self) -> None:
        """Take all that is there as told."""
        self.look()
        while self.ready:
            self.ready.clear()
            self.look()

    def _note_changes(self) -> set[str]:
        """The grids that the inventory has another row of, or none."""
        blobs = self._location.open()
        names = blobs.names(objects.FOLDER)
        if names == self._names:
            return set()
        is_first, self._names = self._names is None, None  # an error on the way: read it again
        found = objects.read_inventory(blobs)
        paths = {mark.path.grid: mark.path for mark in found.marks}
        paths |= {row.grid: GridPath(row.folder, row.grid) for row in found.rows.values()}
        if is_first and (self._location.is_directory or found.damaged or not found.rows):
            paths |= {path.grid: path for path in stored_grids(blobs)}
        paths = {grid: path for grid, path in paths.items() if self._is_meant(path)}
        changed = {grid for grid in paths if grid not in self._paths}
        # a row stays, also of a grid that is gone: where there is none, all was deleted by hand
        changed |= {grid for grid in self._times if grid in self._paths and grid not in found.rows}
        for grid, row in found.rows.items():
            if grid in paths and self._times.get(grid) != row.time_ns:
                self._times[grid] = row.time_ns
                changed.add(grid)
        # one that was being written is looked at once more: it may have ended before its row
        before, self._open = self._open, {m.path.grid for m in found.marks if m.path.grid in paths}
        self._paths |= paths
        self._names = names
        return changed | before

    def _sweep(self) -> set[str]:
        """Grids that are looked at because they were not for long; a part of many."""
        if self._clock() - self._swept < SWEEP_SECONDS:
            return set()
        self._swept = self._clock()
        grids = sorted(self._paths)
        start = self._turn if self._turn < len(grids) else 0
        self._turn = start + MAX_SWEPT
        return set(itertools.islice(grids, start, start + MAX_SWEPT))

    def _look_at(self, path: GridPath) -> None:
        """Find what is new of one grid."""
        reader = self._readers.pop(path.grid, None) or GridReader(
            self._location.open(), path, self._clock
        )
        self._readers[path.grid] = reader
        # in the order of their use: the first was not used for longest
        while len(self._readers) > MAX_KEPT:
            del self._readers[next(iter(self._readers))]
        teller = Teller(self._location, path, self._now())
        try:
            look = reader.look()
        except DamageError as error:
            mark = self.position.of(path.grid)
            self._tell(path.grid, teller.damaged(mark, error.key, error.reason))
            self._unsettled.discard(path.grid)
            return
        self._tell(path.grid, teller.since(self.position.of(path.grid), look))
        if look is None or look.is_settled:
            self._unsettled.discard(path.grid)
        self._held.discard(path.grid)
        if reader.holder.state == WORKING:
            self._held.add(path.grid)
        elif reader.holder.state != SILENT and path.grid not in self._unsettled:
            # the mark of a process that was killed may stay for long; the next one leaves another
            self._open.discard(path.grid)

    def _tell(self, grid: str, changes: Changes) -> None:
        """Make ready the events of some changes, each with the position after it."""
        try:
            while True:
                event, mark = next(changes)
                self.position = self.position.with_mark(grid, mark)
                self.ready.append(replace(event, position=self.position))
        except StopIteration as end:
            if end.value != self.position.of(grid):
                self.position = self.position.with_mark(grid, end.value)
