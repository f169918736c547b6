"""Follows grids by the store alone: how far they are, how fast, and until their runs end."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarmgrid.inventory.row import GridRow
    from swarmgrid.store.lease_record import LeaseRecord
    from swarmgrid.store.location import Location

FIRST_SECONDS, MOST_SECONDS = 1.0, 30.0
"""The pause between two looks: the first, and the longest, where nothing changes."""
_GROWTH = 1.5
_FEW = 20
"""Of so many grids each one's lease is read."""
WINDOW_SECONDS = 60.0
"""A rate is that of so long a time."""


@dataclass(frozen=True)
class Look:
    """One grid at one instant."""

    row: GridRow
    lease: LeaseRecord | None = None
    """The lease that holds; None where nothing is known of one."""
    beat_age: float = 0.0
    """Seconds for which the lease has shown no sign of life, as far as that was watched."""
    has_beaten: bool = False
    """Whether a sign of life was seen."""
    rate: float | None = None
    """Points per second that were computed of late; None: not known."""

    @functools.cached_property  # a process may end while a look is shown: what was shown holds
    def is_running(self) -> bool:
        """Whether a process fills the grid, as far as this machine can tell."""
        return (
            self.lease is not None
            and not self.lease.released
            and not self.lease.is_dead()
            and self.beat_age <= self.lease.seconds
        )

    @property
    def is_killed(self) -> bool:
        """Whether a process held the grid when it ended, or shows no sign of life any more."""
        return self.lease is not None and not self.lease.released and not self.is_running

    @property
    def state(self) -> str:
        """The state in one word; ``held``: by a process that may be at work on another machine."""
        if not self.row.checksum:
            return "damaged"
        if self.lease is not None and self.is_running:
            import socket

            is_here = self.lease.host == socket.gethostname()
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
        if self.lease is None or not self.is_running:
            return None
        if self.lease.seconds_left is not None:
            return max(0.0, self.lease.seconds_left - self.beat_age)
        if not self.rate:
            return None
        return self.row.points_missing / self.rate


@dataclass
class Follower:
    """The memory of a watch: what was seen of some grids at earlier looks."""

    location: Location
    read_rows: Callable[[], list[GridRow]]
    """Reads the grids that are followed, in brief."""
    _points: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    """By grid the points that were computed at the times of earlier looks."""
    _beats: dict[str, tuple[float, tuple[str, int], bool]] = field(default_factory=dict)
    """By grid the time at which its lease changed last, what it was, and whether it changed."""

    def look(self, now: float) -> list[Look]:
        """Read the grids as they are now."""
        from swarmgrid.store.lease_record import highest_record

        blobs, begun = self.location.open(), time.time_ns()
        rows, found = self.read_rows(), []
        for row in rows:
            # of many, only those that a process fills, or filled when it ended: they are read anew
            may_run = row.time_ns >= begun or len(rows) <= _FEW
            lease = highest_record(blobs, row.grid)[1] if may_run else None
            age, has_beaten = self._note_beat(row.grid, lease, now)
            found.append(Look(row, lease, age, has_beaten, self._note_points(row, now)))
        return found

    def _note_points(self, row: GridRow, now: float) -> float | None:
        """Note how many points are computed: the rate of late."""
        seen = self._points.setdefault(row.grid, [])
        seen.append((now, row.points_computed))
        while len(seen) > 2 and seen[1][0] <= now - WINDOW_SECONDS:
            del seen[0]
        (begin, before), (end, after) = seen[0], seen[-1]
        return (after - before) / (end - begin) if end > begin and after >= before else None

    def _note_beat(self, grid: str, lease: LeaseRecord | None, now: float) -> tuple[float, bool]:
        """Note the sign of life: the seconds since the last one, and whether one was seen."""
        if lease is None:
            return 0.0, False
        sign = (lease.writer, lease.beat)
        since, last, has_beaten = self._beats.get(grid, (now, sign, False))
        if last != sign:
            since, has_beaten = now, True
        self._beats[grid] = (since, sign, has_beaten)
        return now - since, has_beaten


def looks(
    follower: Follower, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Iterator[list[Look]]:
    """Look at grids again and again, until the runs that were seen have ended.

    The pause grows while nothing changes. Where no process is at work at first, it waits for one;
    unless nothing is missing.
    """
    pause, has_run = FIRST_SECONDS, False
    before: list[object] = []
    while True:
        found = follower.look(clock())
        yield found
        is_running = any(one.is_running for one in found)
        has_run = has_run or is_running
        is_whole = bool(found) and all(one.row.points_missing == 0 for one in found)
        if not is_running and (has_run or is_whole):
            return
        signs: list[object] = [(one.row.points_computed, one.row.points_failed) for one in found]
        pause = FIRST_SECONDS if signs != before else min(MOST_SECONDS, pause * _GROWTH)
        before = signs
        sleep(pause)
