"""The progress of grids, and the processes at work on them, by what a watcher reads."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmgrid.errors import StoreError
from swarmgrid.following.sight import IDLE, KILLED, SILENT, WORKING, Holder, LeaseSight
from swarmgrid.inventory import objects
from swarmgrid.store.layout import GridPath

if TYPE_CHECKING:
    from swarmgrid.following.reader import GridLook, GridReader
    from swarmgrid.inventory.row import GridRow
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.location import Location

PAUSE_SECONDS = 1.0
"""The pause between two looks."""
_FEW = 20
"""Of so many grids each one is looked at; of more, those that a process writes."""
WINDOW_SECONDS = 60.0
"""A rate is that of so long a time."""


@dataclass(frozen=True)
class Look:
    """One grid at one instant."""

    row: GridRow
    holder: Holder = Holder(IDLE)  # noqa: RUF009  # it is frozen
    has_beaten: bool = False
    """Whether a sign of life was seen."""
    rate: float | None = None
    """Points per second that were computed of late; None: not known."""

    @property
    def is_running(self) -> bool:
        """Whether a process fills the grid, as far as this machine can tell."""
        return self.holder.state == WORKING

    @property
    def is_killed(self) -> bool:
        """Whether a process held the grid when it ended, or shows no sign of life any more."""
        return self.holder.state in {KILLED, SILENT}

    @property
    def state(self) -> str:
        """The state in one word; ``held``: by a process that may be at work on another machine."""
        if not self.row.checksum:
            return "damaged"
        if self.is_running and self.holder.record is not None:
            import socket

            is_here = self.holder.record.host == socket.gethostname()
            return "running" if is_here or self.has_beaten else "held"
        if self.row.archive:
            return "archived"
        if self.row.points_missing == 0:
            return "failed" if self.row.points_failed else "complete"
        return "killed" if self.is_killed else "partial"

    @property
    def seconds_left(self) -> float | None:
        """The time that the run still needs; None: not known.

        By the estimate of the run itself, which knows the cost of the points that are left; else
        by the present rate.
        """
        if not self.is_running:
            return None
        if self.holder.seconds_left is not None:
            return self.holder.seconds_left
        return self.row.points_missing / self.rate if self.rate else None


class Follower:
    """Looks at some grids again and again; of those that are written only what is new is read.

    Parameters
    ----------
    location : Location
        The store.
    read_rows : callable
        Reads the grids that are followed, in brief.
    clock : callable
        Seconds that only grow.
    """

    def __init__(
        self,
        location: Location,
        read_rows: Callable[[], list[GridRow]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._location, self._read_rows, self._clock = location, read_rows, clock
        self._names: list[str] | None = None
        """The inventory that the rows are of."""
        self._rows: list[GridRow] = []
        self._sights: dict[str, LeaseSight] = {}
        self._readers: dict[str, GridReader] = {}
        self._points: dict[str, list[tuple[float, int]]] = {}
        """By grid the points that were computed at the times of earlier looks."""
        self._beats: dict[str, tuple[str, int]] = {}
        """By grid the first sign of life that was seen."""

    def look(self) -> list[Look]:
        """Look at the grids as they are now."""
        blobs = self._location.open()
        names = blobs.names(objects.FOLDER)
        marked = objects.marked(names)
        # one that is written for the first time has a mark before it is there
        is_fresh = names != self._names or not marked <= {row.grid for row in self._rows}
        if is_fresh:
            self._rows, self._names = self._read_rows(), names
        found = []
        for row in self._rows:
            if row.grid not in marked and len(self._rows) > _FEW:
                found.append(Look(row))  # no process writes it: its row says all
            else:
                found.append(self._look_at(blobs, row, counts=row.grid in marked and not is_fresh))
        return found

    def _look_at(self, blobs: Blobs, row: GridRow, *, counts: bool) -> Look:
        """Look at one grid; ``counts`` says to count its points, which its row has not."""
        path = GridPath(row.folder, row.grid)
        if counts:
            from swarmgrid.following.reader import GridReader  # with numpy, which others need not

            reader = self._readers.setdefault(row.grid, GridReader(blobs, path, self._clock))
            with contextlib.suppress(StoreError):  # a damaged grid: the row says so
                row = _counted(row, reader.look())
            holder = reader.holder
        else:
            sight = self._sights.setdefault(row.grid, LeaseSight(self._clock))
            holder = sight.look(blobs, row.grid)
        return Look(row, holder, self._note_beat(row.grid, holder), self._note_points(row))

    def _note_points(self, row: GridRow) -> float | None:
        """Note how many points are computed: the rate of late."""
        now = self._clock()
        seen = self._points.setdefault(row.grid, [])
        seen.append((now, row.points_computed))
        while len(seen) > 2 and seen[1][0] <= now - WINDOW_SECONDS:
            del seen[0]
        (begin, before), (end, after) = seen[0], seen[-1]
        return (after - before) / (end - begin) if end > begin and after >= before else None

    def _note_beat(self, grid: str, holder: Holder) -> bool:
        """Note the sign of life: whether there were two."""
        if holder.record is None:
            return False
        sign = (holder.record.writer, holder.record.beat)
        return self._beats.setdefault(grid, sign) != sign


def _counted(row: GridRow, look: GridLook | None) -> GridRow:
    """A row with the points of a grid that was looked at."""
    if look is None:
        return row
    from swarmgrid.inventory.brief import measured

    return row._replace(
        points_total=math.prod(map(len, look.grid.axes)),
        points_computed=measured(look.manifest, look.grid.chunk_shape)[0],
        points_failed=sum(len(failure.points) for failure in look.failures),
    )


def looks(follower: Follower, sleep: Callable[[float], None]) -> Iterator[list[Look]]:
    """Look at grids again and again, until the runs that were seen have ended.

    Where no process is at work at first, it waits for one; unless nothing is missing.
    """
    has_run = False
    while True:
        found = follower.look()
        yield found
        is_running = any(one.is_running for one in found)
        has_run = has_run or is_running
        is_whole = bool(found) and all(one.row.points_missing == 0 for one in found)
        if not is_running and (has_run or is_whole):
            return
        sleep(PAUSE_SECONDS)
