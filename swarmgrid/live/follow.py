"""Follows one grid for its viewers: its map, its failures, its pace and its lease."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from swarmgrid.following.changes import Teller
from swarmgrid.following.reader import GridReader
from swarmgrid.following.sight import WORKING, Holder
from swarmgrid.following.token import Mark
from swarmgrid.live.machine import memory
from swarmgrid.live.pace import Pace, pace
from swarmgrid.pictures.chunk_map import GridMap, grid_map

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.following.events import Event
    from swarmgrid.following.reader import GridLook
    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.format.segment import Rows
    from swarmgrid.records.failures import FailedPoint
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import Location

MAX_EVENTS = 30
"""So many events are shown."""
_MEMORY_SECONDS = 5.0
"""The memory of a process tree is asked for no more often: that takes a look at all processes."""


@dataclass(frozen=True)
class GridView:
    """A grid as it was at one look."""

    grid: StoredGrid
    manifest: Manifest
    cells: GridMap
    failures: tuple[FailedPoint, ...]
    """Those of points that are not computed since."""
    revision: int
    """Another number says that something of all that has changed."""
    holder: Holder
    pace: Pace | None
    """Only while a process is at work."""
    memory: int | None
    """Bytes in memory of that process and of its workers, where it is known."""
    events: tuple[tuple[int, Event], ...] = ()
    """The last events, the oldest first, and how many there were with each."""

    @property
    def counts(self) -> tuple[int, int, int]:
        """The points in all, computed and failed."""
        cells = self.cells
        return int(cells.total.sum()), int(cells.computed.sum()), int(cells.failed.sum())

    @property
    def missing(self) -> int:
        """The points that are neither computed nor failed."""
        total, computed, failed = self.counts
        return max(0, total - computed - failed)


class GridFollower:
    """Reads a grid again and again: all of it once, and then only what is new.

    Parameters
    ----------
    blobs, path : Blobs, GridPath
        The grid.
    clock : callable
        Seconds that only grow.
    location : Location, optional
        The store, if events are followed.
    """

    def __init__(
        self,
        blobs: Blobs,
        path: GridPath,
        clock: Callable[[], float] = time.monotonic,
        location: Location | None = None,
    ) -> None:
        self.path = path
        self._location = location
        self._mark = Mark()
        self._events: deque[tuple[int, Event]] = deque(maxlen=MAX_EVENTS)
        self._told: tuple[object, ...] = ()
        self._n_events = 0
        self._clock = clock
        self._reader = GridReader(blobs, path, clock)
        self._view: GridView | None = None
        self._newest = (0.0, 0.0)
        """The time of the newest row, by its writer's clock and by ours."""
        self._memory: tuple[float, int | None] = (-math.inf, None)

    def look(self) -> GridView | None:
        """Look at the grid: two listings and the lease, and what is new; None if there is none.

        Raises
        ------
        StoreError
            If the store cannot be read, or the grid's document is damaged.
        """
        seen = self._reader.look()
        self._follow_events(seen)
        if seen is None:
            self._view = None
            return None
        if self._view is None or self._view.revision != seen.revision:
            self._view = self._make_view(seen)
        is_working = seen.holder.state == WORKING
        self._view = replace(
            self._view,
            holder=seen.holder,
            pace=self._pace(self._view.manifest.rows) if is_working else None,
            memory=self._asked_memory(seen.holder) if is_working else None,
            events=tuple(self._events),
        )
        return self._view

    def _follow_events(self, seen: GridLook | None) -> None:
        """Take note of what has happened since the last look."""
        sign = () if seen is None else (seen.revision, seen.settled, seen.epoch, seen.holder.state)
        if self._location is None or sign == self._told:
            return
        changes = Teller(self._location, self.path, dt.datetime.now(dt.UTC)).since(
            self._mark, seen
        )
        try:
            while True:
                event, self._mark = next(changes)
                self._n_events += 1
                self._events.append((self._n_events, event))
        except StopIteration as end:
            self._mark = end.value  # it may change where nothing is told
        self._told = sign

    def _make_view(self, seen: GridLook) -> GridView:
        manifest, failures = seen.manifest, seen.failures
        latest = float(seen.rows.time.max(initial=0))
        if latest > self._newest[0]:
            self._newest = (latest, self._clock())
        cells = grid_map(seen.grid, manifest, failures)
        return GridView(
            seen.grid,
            manifest,
            cells,
            failures,
            seen.revision,
            seen.holder,
            pace=None,
            memory=None,
        )

    def _pace(self, rows: Rows) -> Pace | None:
        """The pace now, by the writers' clock as far as it can be known."""
        latest, seen = self._newest
        return pace(rows, latest + self._clock() - seen) if latest else None

    def _asked_memory(self, holder: Holder) -> int | None:
        asked, found = self._memory
        if self._clock() - asked >= _MEMORY_SECONDS and holder.record is not None:
            found = memory(holder.record)
            self._memory = (self._clock(), found)
        return found
