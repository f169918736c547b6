"""What a running task has come to, and the thread that looks at it during the calls."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from typing import TYPE_CHECKING

from swarmgrid.transport.messages import BEGUN, LATE, STOP, Receipt
from swarmgrid.worker.calls import IDLE, is_calling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swarmgrid.format.segment import Row
    from swarmgrid.space.outputs import Schema
    from swarmgrid.transport.messages import Retry, Task, Values
    from swarmgrid.worker.calls import Calls, Pulse

LINGER_SECONDS = 1.0
"""How long the thread that looks at tasks stays when there are none."""
LOOKS = 5
"""How many times within the time after which something is due it is looked for."""


class Ledger:
    """The receipt of a task, as it grows.

    Parameters
    ----------
    task : Task
        The task.
    pulse : mutable sequence of float
        Which point is being computed; see `swarmgrid.transport.messages`.
    report : callable or None
        Takes a receipt of a part, while the task goes on.
    """

    def __init__(self, task: Task, pulse: Pulse, report: Callable[[Receipt], None] | None) -> None:
        self._task = task
        self.receipt = self._empty(task.schema)
        self._pulse = pulse
        self._report = report
        self._calls: Calls | None = None
        self._is_divided = False
        self._first = 0
        self._begun = -1.0
        self._start = self._since = self._clock = time.monotonic()
        self._n_reported = 0
        self._lock = threading.Lock()
        pulse[BEGUN] = -IDLE

    @property
    def due_seconds(self) -> float:
        """After how long at least something may have to be done about the task."""
        return min(self._task.limit_seconds, self._task.report_seconds)

    def begin(self, calls: Calls, *, is_divided: bool = False) -> None:
        """The calls of a piece are about to be made; if ``is_divided``, others write it."""
        with self._lock:
            self._calls, self._is_divided = calls, is_divided
            if is_divided:
                self.receipt.split.append(calls.piece)

    def end(self) -> tuple[Values | None, bool]:
        """They were made: what is not reported yet, and whether the rest was."""
        calls = self._calls
        assert calls is not None
        with self._lock:
            self._calls = None
            values, failures = calls.take(calls.settled, time.monotonic())
            self.receipt.schema = calls.schema
            self.receipt.failures += failures
            self._first += len(calls.piece.points)
            return values, self._is_divided

    def keep(self, values: Values) -> None:
        """Results that the coordinator is to write."""
        with self._lock:
            self._count(values)
            self.receipt.values.append(values)

    def wrote(self, values: Values, row: Row, nbytes: int) -> None:
        """Results that were written."""
        with self._lock:
            self._count(values)
            self.receipt.rows.append(row)
            self.receipt.nbytes += nbytes

    def close(self) -> Receipt:
        """The task is done: what was not reported yet."""
        if self._pulse[STOP] == LATE:
            self._pulse[STOP] = 0.0
        return self._clocked()

    def report_done(self) -> None:
        """Report the pieces that are done, where the task ends with an error."""
        with self._lock:
            if self._report is not None and self.receipt.points:
                part = self._clocked()
                part.n_settled = self._first
                self.receipt = self._empty(part.schema)
                self._report(part)

    def retried(self, retry: Retry) -> None:
        """A call failed, and is made again."""
        with self._lock:
            self.receipt.retries.append(retry)

    def end_soon(self) -> None:
        """Have the task end after the present call."""
        if not self._pulse[STOP]:
            self._pulse[STOP] = LATE

    def look(self) -> None:
        """End the task if it is late, and report what waits behind a slow call."""
        now = time.monotonic()
        if now - self._start > self._task.limit_seconds:
            self.end_soon()
        begun = self._pulse[BEGUN]
        if begun != self._begun:
            self._begun, self._since = begun, now
        is_slow = is_calling(self._pulse) and now - self._since > self._task.report_seconds
        if is_slow and self._report is not None and begun > self._n_reported:
            self._report_before(int(begun), self._report)

    def _report_before(self, ordinal: int, report: Callable[[Receipt], None]) -> None:
        """Report all points before one; nothing of theirs changes any more."""
        with self._lock:
            calls = self._calls
            if calls is None or ordinal < self._first:
                return
            values, failures = calls.take(ordinal - self._first, self._since)
            if (values is not None or failures) and not self._is_divided and self._task.writes:
                self._is_divided = True
                self.receipt.split.append(calls.piece)
            if values is not None:
                self._count(values)
                self.receipt.values.append(values)
            self.receipt.failures += failures
            part = self._clocked()
            self.receipt = self._empty(calls.schema)
            part.n_settled = self._n_reported = ordinal
            report(part)

    def _empty(self, schema: Schema | None) -> Receipt:
        return Receipt(schema=schema, worker=os.getpid())

    def _clocked(self) -> Receipt:
        """The receipt, with the time since the last one."""
        now = time.monotonic()
        self.receipt.wall_seconds, self._clock = now - self._clock, now
        return self.receipt

    def _count(self, values: Values) -> None:
        self.receipt.seconds += values.seconds
        self.receipt.points += len(values.points)


class Overseer:
    """A thread that looks at the tasks which run in this process."""

    def __init__(self) -> None:
        self._ledgers: set[Ledger] = set()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @contextlib.contextmanager
    def watching(self, ledger: Ledger) -> Iterator[None]:
        """Look at a task again and again; raises what went wrong meanwhile."""
        if math.isinf(ledger.due_seconds):
            yield
            return
        with self._change:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="swarmgrid-overseer", daemon=True
                )
                self._thread.start()
            self._ledgers.add(ledger)
            self._change.notify()
        try:
            yield
        finally:
            with self._change:
                self._ledgers.discard(ledger)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        with self._change:
            while self._error is None:
                if not self._ledgers:
                    self._change.wait(LINGER_SECONDS)
                    if not self._ledgers:
                        self._thread = None
                        return
                self._change.wait(min(le.due_seconds for le in self._ledgers) / LOOKS)
                try:
                    for ledger in list(self._ledgers):
                        ledger.look()
                except BaseException as error:  # noqa: BLE001  # raised where the task runs
                    self._error = error
                    for ledger in self._ledgers:
                        ledger.end_soon()
