"""The lease of a grid, kept in the store: one process at a time may grow and fill it.

Leases are numbered files, ``locks/<grid id>/<epoch>.json``, and the highest number holds.
Only an exclusive *create* is needed of the store. The owner rewrites its file while it lives.
A process that waits for the grid watches the file by its own clock. It creates the next number
once the file says *released*, or has not changed for the time that the lease states, or belongs
to a process of this machine that is gone. Clocks of two machines are never compared.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from swarmgrid.errors import InputError, LeaseLostError
from swarmgrid.leases.nesting import runs_around
from swarmgrid.store.lease_record import (
    LEASE_SECONDS,
    MAX_LEASE_SECONDS,
    MAX_NBYTES,
    LeaseRecord,
    epochs,
    highest_record,
    record_key,
    to_commit,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import Location

_POLL_SECONDS = 0.2

_own: set[str] = set()
"""Writers of this process that hold or are acquiring a lease; any other of its leases is stale."""
_log = logging.getLogger(__name__)


class Lease:
    """The right to write one grid, renewed by a thread until it is released.

    Use `acquire` to get one; it is a context manager that releases at the end.
    """

    def __init__(self, blobs: Blobs, path: GridPath, epoch: int, record: LeaseRecord) -> None:
        self.blobs = blobs
        """The store as this owner writes it: fenced, where the store can do that."""
        self.epoch = epoch
        """The number of the lease: later owners have higher ones."""
        self._numbers = itertools.count()
        self._commits = itertools.count(1)
        self.writer = record.writer
        """The name of the owner's staging folder."""
        self._path = path
        self._record = record
        self._ended = threading.Event()
        self._expected_end: float | None = None
        """On the monotonic clock; None: it is not known."""
        self._lost = ""
        self.is_overtaken: bool = False
        """Whether a later lease was seen: another process has taken the grid over."""
        self.has_committed: bool = False
        """Whether a commit was begun under this lease."""
        # a thread of its own: neither a long point nor a slow store keeps the owner from showing
        # life
        self._thread = threading.Thread(target=self._keep, name="swarmgrid-lease", daemon=True)
        self._thread.start()

    def new_name(self, suffix: str) -> str:
        """A name for an object of the owner's, which comes after all that were used before."""
        # the epoch first: names sort by owner, and failures are read in that order
        return f"{self.epoch:012d}-{next(self._numbers):08d}-{self.writer}{suffix}"

    def names_of(self, kind: str) -> Callable[[], str]:
        """Makes names of segments that take the place of others; ``kind`` says why."""
        # of no name used before: a segment under its old name would be taken for the one read
        return lambda: self.new_name(f"-{kind}.seg")

    def new_commit(self) -> int:
        """The number of the next commit: higher than all of this owner, and of earlier ones."""
        self.has_committed = True
        return to_commit(self.epoch, next(self._commits))

    def check(self) -> None:
        """Raise LeaseLostError if the lease is known to be another's, or gone."""
        # seen by the heartbeat, so that this takes no request: it comes before nearly every write.
        # What is written before the next heartbeat after a takeover is the fence's to refuse
        if self._lost:
            raise LeaseLostError(f"{self._lost}. What was committed is kept; call compute again")

    def expect(self, seconds_left: float | None) -> None:
        """Note how long the owner still needs: its next heartbeats say so to those that wait."""
        end = None if seconds_left is None else time.monotonic() + seconds_left
        self._expected_end = end

    def release(self) -> None:
        """Give the grid up, so that the next process need not wait."""
        self._ended.set()
        self._thread.join()  # or its next heartbeat would overwrite that the lease is released
        with contextlib.suppress(Exception):  # the store is gone or full: the lease runs out
            # also where nothing is written: a run that failed asks `is_overtaken` (0042)
            self._look()
            if not self._lost:
                self._write(replace(self._record, released=True, seconds_left=None))
        self._lost = self._lost or f"the lease of grid {self._path.grid} was given back"
        # what stays of it is removed by the next owner's fence
        with contextlib.suppress(Exception):
            self.blobs.end_writing()
        # last: from here on another thread of this process takes the lease without waiting
        _own.discard(self.writer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def _keep(self) -> None:
        is_silent = False
        while not self._ended.wait(self._record.seconds / 4):  # three may fail in a row
            try:
                self._look()
                if self._lost:  # `check` raises that where the run can see it
                    return
                # a successor that comes between the look and this write is not touched by it:
                # the file is that of this owner's epoch, which no longer is the highest
                beat, left = self._record.beat + 1, self._seconds_left()
                self._record = replace(self._record, beat=beat, seconds_left=left)
                self._write(self._record)
            except Exception as error:  # noqa: BLE001  # obstore's errors are no OSErrors
                if not is_silent:
                    _log.warning(
                        "the lease of grid %s cannot be renewed: %s; this is tried again, but "
                        "another process may take the grid over after %g s",
                        self._path.grid,
                        error,
                        self._record.seconds,
                    )
                is_silent = True
            else:
                if is_silent:
                    _log.warning("the lease of grid %s is renewed again", self._path.grid)
                is_silent = False

    def _seconds_left(self) -> float | None:
        end = self._expected_end
        return None if end is None else round(max(0.0, end - time.monotonic()), 1)

    def _look(self) -> None:
        """See whether the lease is still this owner's; bytes that are damaged say nothing."""
        grid, mine = self._path.grid, self._record
        epoch, record = highest_record(self.blobs, grid)
        is_other = record is not None and record.writer != mine.writer
        if epoch < 0:
            self._lost = f"the lease of grid {grid}, or the whole store, was deleted"
        elif epoch != self.epoch or is_other:
            # a lower number, or this one of another's: the lease was deleted before
            self.is_overtaken = epoch > self.epoch
            self._lost = (
                f"another process has taken over grid {grid}, because this one showed no sign of "
                f"life for {mine.seconds:g} s, or its lease was deleted"
            )

    def _write(self, record: LeaseRecord) -> None:
        self.blobs.put(record_key(self._path.grid, self.epoch), record.to_bytes())


def acquire(
    location: Location,
    path: GridPath,
    seconds: float = LEASE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Lease:
    """Acquire the lease of a grid; wait as long as another process holds it.

    Parameters
    ----------
    location : Location
        The store.
    path : GridPath
        The grid.
    seconds : float
        The time by which the lease outlives its owner; at most `MAX_LEASE_SECONDS`.
    clock : callable
        Seconds that only grow.

    Raises
    ------
    InputError
        If the grid is held by a run that waits for the caller.
    """
    watch = _LeaseWatch(clock)
    while True:
        # a new writer at each try: the owner that was faster has fenced the name of the last one
        record = LeaseRecord.of_this_process(min(seconds, MAX_LEASE_SECONDS))
        blobs = location.open(path.grid, record.writer)
        epoch = _highest(blobs, path.grid)
        if epoch >= 0 and not watch.look(
            epoch, blobs.get(record_key(path.grid, epoch), MAX_NBYTES)
        ):
            _check_not_own(path, watch.writer)
            time.sleep(_POLL_SECONDS)
            continue
        _own.add(record.writer)  # before its file is there: another thread would see it as stale
        try:
            if _try_acquire(blobs, path, epoch + 1, record):
                return Lease(blobs, path, epoch + 1, record)
        except LeaseLostError:  # the owner that was faster has already fenced this attempt
            pass
        # also after Ctrl-C: a record that was created counts as stale in this process from now on
        except BaseException:
            _own.discard(record.writer)
            raise
        _own.discard(record.writer)


def _try_acquire(blobs: Blobs, path: GridPath, epoch: int, record: LeaseRecord) -> bool:
    """Create the lease's file, and fence all other writers; whether this process now owns it.

    Creating is atomic: of two processes that try the same epoch, one has it. The look afterwards
    catches a process that listed the epochs before a file of a higher one was there. Only then are
    others fenced and earlier leases deleted: a loser that did so would cut off the owner.
    """
    # before the create: a directory stages the lease record, too
    blobs.begin_writing()
    won = blobs.create(record_key(path.grid, epoch), record.to_bytes())
    if not won or _highest(blobs, path.grid) != epoch:
        blobs.end_writing()
        return False
    blobs.fence_others()
    # a kill from here on leaves lower numbers, which do not hold; the next owner deletes them
    _delete_before(blobs, path, epoch)
    return True


class _LeaseWatch:
    """Decides when another owner's lease has ended: released, its process dead, or unchanged.

    Only this process' own clock counts: those of two machines differ.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: tuple[int, bytes | None] | None = None
        self._since = 0.0
        self._said = False
        self.writer = ""
        """The owner, as far as it is known."""

    def look(self, epoch: int, data: bytes | None) -> bool:
        """Look at the bytes of the highest lease; whether a successor may take the grid now."""
        record = LeaseRecord.from_bytes(data)
        self.writer = "" if record is None else record.writer
        if record is not None and (record.released or record.is_dead()):
            return True
        if record is not None and record.is_of_this_process() and record.writer not in _own:
            return True  # it could not say so, because the store was full or not there
        # any change is a sign of life; the time that the owner writes there is of its own clock
        if (epoch, data) != self._seen:
            self._seen, self._since = (epoch, data), self._clock()
        self._say(record)
        # a damaged record states no time, and its owner may be alive
        limit = record.seconds if record is not None else LEASE_SECONDS
        return self._clock() - self._since > limit

    def _say(self, record: LeaseRecord | None) -> None:
        if not self._said and record is not None:
            self._said = True
            is_own = record.is_of_this_process()
            owner = "another thread of this process"
            _log.warning(
                "waiting for %s, which is computing this grid; what it finishes will be reused",
                owner if is_own else f"process {record.pid} on {record.host}",
            )


def _check_not_own(path: GridPath, owner: str) -> None:
    """Raise InputError where the owner waits for the caller: neither would ever go on."""
    if owner in runs_around():
        raise InputError(
            f"the function that computes grid {path.grid} of {path.function} asks for points of "
            "that same grid that are not computed yet: the run would wait for itself for ever. "
            f"Call {path.function} itself there instead of compute, or compute those points first"
        )


def _highest(blobs: Blobs, grid: str) -> int:
    return max(epochs(blobs, grid), default=-1)


def _delete_before(blobs: Blobs, path: GridPath, epoch: int) -> None:
    for earlier in epochs(blobs, path.grid):
        if earlier < epoch:
            blobs.delete(record_key(path.grid, earlier))
