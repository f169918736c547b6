"""What a running task has come to, and the thread that looks at it during the calls."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from typing import TYPE_CHECKING

from swarmgrid.transport.messages import BEGUN, LATE, STOP, TaskResult
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


class TaskReport:
    """The result of a task, as it grows.

    Parameters
    ----------
    task : Task
        The task.
    pulse : mutable sequence of float
        Which point is being computed; see `swarmgrid.transport.messages`.
    send : callable or None
        Takes the result of a part, while the task goes on.
    """

    def __init__(
        self, task: Task, pulse: Pulse, send: Callable[[TaskResult], None] | None
    ) -> None:
        self._task = task
        self.result = self._empty(task.schema)
        self._pulse = pulse
        self._send = send
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
        """The calls of a part are about to be made; if ``is_divided``, others write it."""
        with self._lock:
            self._calls, self._is_divided = calls, is_divided
            if is_divided:
                self.result.split.append(calls.part)

    def end(self) -> tuple[Values | None, bool]:
        """They were made: what is not reported yet, and whether the rest was."""
        calls = self._calls
        assert calls is not None
        with self._lock:
            self._calls = None
            values, failures = calls.take(calls.settled, time.monotonic())
            self.result.schema = calls.schema
            self.result.failures += failures
            self._first += len(calls.part.points)
            return values, self._is_divided

    def keep(self, values: Values) -> None:
        """Results that the coordinator is to write."""
        with self._lock:
            self._count(values)
            self.result.values.append(values)

    def wrote(self, values: Values, row: Row, nbytes: int) -> None:
        """Results that were written."""
        with self._lock:
            self._count(values)
            self.result.rows.append(row)
            self.result.nbytes += nbytes

    def close(self) -> TaskResult:
        """The task is done: what was not reported yet."""
        if self._pulse[STOP] == LATE:
            self._pulse[STOP] = 0.0
        return self._clocked()

    def report_done(self) -> None:
        """Report the parts that are done, where the task ends with an error."""
        with self._lock:
            if self._send is not None and self.result.points:
                partial = self._clocked()
                partial.n_settled = self._first
                self.result = self._empty(partial.schema)
                self._send(partial)

    def retried(self, retry: Retry) -> None:
        """A call failed, and is made again."""
        with self._lock:
            self.result.retries.append(retry)

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
        if is_slow and self._send is not None and begun > self._n_reported:
            self._report_before(int(begun), self._send)

    def _report_before(self, ordinal: int, send: Callable[[TaskResult], None]) -> None:
        """Report all points before one; nothing of theirs changes any more."""
        with self._lock:
            calls = self._calls
            if calls is None or ordinal < self._first:
                return
            values, failures = calls.take(ordinal - self._first, self._since)
            if (values is not None or failures) and not self._is_divided and self._task.writes:
                self._is_divided = True
                self.result.split.append(calls.part)
            if values is not None:
                self._count(values)
                self.result.values.append(values)
            self.result.failures += failures
            partial = self._clocked()
            self.result = self._empty(calls.schema)
            partial.n_settled = self._n_reported = ordinal
            send(partial)

    def _empty(self, schema: Schema | None) -> TaskResult:
        return TaskResult(schema=schema, worker=os.getpid())

    def _clocked(self) -> TaskResult:
        """The result, with the time since the last one."""
        now = time.monotonic()
        self.result.wall_seconds, self._clock = now - self._clock, now
        return self.result

    def _count(self, values: Values) -> None:
        self.result.seconds += values.seconds
        self.result.points += len(values.points)


class Watchdog:
    """A thread that looks at the tasks which run in this process."""

    def __init__(self) -> None:
        self._reports: set[TaskReport] = set()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @contextlib.contextmanager
    def watching(self, report: TaskReport) -> Iterator[None]:
        """Look at a task again and again; raises what went wrong meanwhile."""
        if math.isinf(report.due_seconds):
            yield
            return
        with self._change:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="swarmgrid-watchdog", daemon=True
                )
                self._thread.start()
            self._reports.add(report)
            self._change.notify()
        try:
            yield
        finally:
            with self._change:
                self._reports.discard(report)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        with self._change:
            while self._error is None:
                if not self._reports:
                    self._change.wait(LINGER_SECONDS)
                    if not self._reports:
                        self._thread = None
                        return
                self._change.wait(min(le.due_seconds for le in self._reports) / LOOKS)
                try:
                    for report in list(self._reports):
                        report.look()
                except BaseException as error:  # noqa: BLE001  # raised where the task runs
                    self._error = error
                    for report in self._reports:
                        report.end_soon()
