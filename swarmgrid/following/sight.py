"""The sight of the process that holds a grid: at work, killed, or silent for too long."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmgrid.store.lease_record import LeaseRecord, epochs, record_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.store.blobs import Blobs

_MAX_NBYTES = 2**16
IDLE, WORKING, KILLED, SILENT = "idle", "working", "killed", "silent"


@dataclass(frozen=True, slots=True)
class Holder:
    """The last process that held a grid."""

    state: str
    """`IDLE`: it gave the grid back, or there is none. `WORKING`. `KILLED`: it ended without
    giving it back. `SILENT`: it has shown no sign of life for longer than its lease lasts."""
    record: LeaseRecord | None = None
    seconds_left: float | None = None
    """The time that its run still needs, by its own estimate; None: not known, or not at work."""


class LeaseSight:
    """Looks at a grid's lease again and again; only the own clock counts.

    Parameters
    ----------
    clock : callable
        Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: tuple[int, bytes | None] | None = None
        self._since = 0.0
        self.epoch = -1
        """The number of the lease that was looked at last; -1: there was none."""

    def look(self, blobs: Blobs, grid: str) -> Holder:
        """Read the lease of a grid: one listing, and one object."""
        found = epochs(blobs, grid)
        self.epoch = found[-1] if found else -1
        if not found:
            return Holder(IDLE)
        data = blobs.get(record_key(grid, found[-1]), _MAX_NBYTES)
        return self.judge(found[-1], data)

    def judge(self, epoch: int, data: bytes | None) -> Holder:
        """The state of the owner of a lease, by what is written there."""
        record = LeaseRecord.from_bytes(data)
        if (epoch, data) != self._seen:
            self._seen, self._since = (epoch, data), self._clock()
        if record is None or record.released:
            return Holder(IDLE, record)
        if record.is_dead():
            return Holder(KILLED, record)
        age = self._clock() - self._since
        if age > record.seconds:
            return Holder(SILENT, record)
        left = None if record.seconds_left is None else max(0.0, record.seconds_left - age)
        return Holder(WORKING, record, left)
