"""The thread that writes what comes back to the store, so that no other thread waits for it."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from swarmgrid.coordinator.commit import Committer
from swarmgrid.coordinator.inbox import GridGrown, ValuesTaken, WriterFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.coordinator.inbox import Message
    from swarmgrid.coordinator.witness import Witness
    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.failures import FailedPoint
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.space.points import ChunkPart
    from swarmgrid.transport.messages import TaskResult

IDLE_SECONDS = 1.0
"""The interval at which the thread checks whether a flush is due, before the grid is known."""
WAIT_SECONDS = 1.0
"""The interval of events that tell that the last results are still being written."""


class Writer:
    """Carries out the coordinator's commands in their order, and commits when that is due.

    Parameters
    ----------
    lease : Lease
        The right to write the grid.
    flush_interval : float or None
        Seconds that finished points stay in memory; None: see `Pace`.
    inbox : SimpleQueue
        The coordinator's: it is told what was done, and what went wrong.
    keeps_failures : bool
        Whether the grid is to hold the points that failed, too.
    witness : Witness, optional
        Is told of each commit, by the thread that writes.
    """

    def __init__(
        self,
        lease: Lease,
        flush_interval: float | None,
        inbox: SimpleQueue[Message],
        *,
        keeps_failures: bool,
        witness: Witness | None = None,
    ) -> None:
        self._witness = witness
        self._lease = lease
        self._flush_interval = flush_interval
        self._keeps_failures = keeps_failures
        self._is_grown = False
        self._inbox = inbox
        self._commands: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._committer: Committer | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="swarmgrid-writer", daemon=True)
        self._thread.start()

    def begin(
        self, grid: StoredGrid, stored: StoredGrid | None, manifest: Manifest | None
    ) -> None:
        """Say what grid is to be filled, and what of it is stored; the first command."""
        self._commands.put(functools.partial(self._begin, grid, stored, manifest))

    def expect(self, part: ChunkPart) -> None:
        """Announce that a part's points will come back, in any order and number of parts."""
        self._commands.put(lambda: self._books.expect(part))

    def give_up(self, index: tuple[int, ...], n: int) -> None:
        """Expect ``n`` points of a chunk no longer: they failed."""
        self._commands.put(lambda: self._books.give_up(index, n))

    def record(self, failure: FailedPoint) -> None:
        """Keep a point's failure with the next commit."""
        self._commands.put(lambda: self._books.record(failure))

    def receive(self, result: TaskResult) -> None:
        """Put results into their chunks, and note what workers wrote."""
        self._commands.put(functools.partial(self._receive, result))

    def close(self, tell_waiting: Callable[[], None]) -> BaseException | None:
        """Carry out what was commanded, commit everything, and end.

        Parameters
        ----------
        tell_waiting : callable
            Called once a second meanwhile.

        Returns
        -------
        BaseException or None
            The first error, which the coordinator may have been told of.
        """
        self._commands.put(None)  # the last one: whatever was commanded before is carried out
        while self._thread.is_alive():
            self._thread.join(WAIT_SECONDS)
            if self._thread.is_alive():
                tell_waiting()
        if self._committer is not None:  # its thread is gone: this one owns it now
            try:
                self._committer.close()
            except BaseException as error:  # noqa: BLE001  # the first one says the cause
                self._error = self._error or error
        return self._error

    @property
    def written(self) -> tuple[int, int]:
        """The number of chunks and of bytes written."""
        committer = self._committer
        return (0, 0) if committer is None else (committer.chunks_written, committer.bytes_written)

    @property
    def _books(self) -> Committer:
        assert self._committer is not None
        return self._committer

    def _begin(
        self, grid: StoredGrid, stored: StoredGrid | None, manifest: Manifest | None
    ) -> None:
        self._lease.check()
        self._committer = Committer(
            self._lease,
            grid,
            stored,
            manifest,
            self._flush_interval,
            keeps_failures=self._keeps_failures,
            witness=self._witness,
        )

    def _receive(self, result: TaskResult) -> None:
        begun = time.monotonic()
        self._books.receive(result)
        n = sum(len(values.points) for values in result.values)
        self._inbox.put(ValuesTaken(time.monotonic() - begun, n))

    def _serve(self) -> None:
        is_open = True
        while is_open:
            command: Callable[[], None] | None = _look
            seconds = IDLE_SECONDS if self._committer is None else self._committer.look_seconds
            with contextlib.suppress(Empty):
                command = self._commands.get(timeout=seconds)
            is_open = command is not None
            if command is not None:
                self._carry_out(command)

    def _carry_out(self, command: Callable[[], None]) -> None:
        try:
            command()
            committer = self._committer
            if committer is None:
                return
            # after each command, not by a clock alone: a busy queue would put off every flush
            committer.commit_if_due()
            if not self._is_grown and committer.is_grown:
                self._is_grown = True
                self._inbox.put(GridGrown(committer.schema))
        except BaseException as error:  # noqa: BLE001  # the coordinator ends the run with it
            # what other tasks have finished is stored all the same, as far as that goes. Later
            # errors follow from the first, and the run is ending already
            if self._error is None:
                self._error = error
                self._inbox.put(WriterFailed(error))


def _look() -> None:
    """Nothing was commanded: something may be due."""
