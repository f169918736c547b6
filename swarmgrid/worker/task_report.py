"""The report of a running task, and the thread that looks at it during the calls."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from swarmgrid.transport.messages import TaskResult
from swarmgrid.worker.heartbeat import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.format.segment import Row
    from swarmgrid.outputs.outputs import Schema
    from swarmgrid.transport.messages import Retry, Task, Values
    from swarmgrid.worker.calls import Calls
    from swarmgrid.worker.heartbeat import Heartbeat


class TaskReport:
    """The result of a task, as it grows.

    Parameters
    ----------
    task : Task
        The task.
    heartbeat : Heartbeat
        Shows which point is being computed.
    send : callable or None
        Takes the result of a part, while the task goes on.
    """

    def __init__(
        self, task: Task, heartbeat: Heartbeat, send: Callable[[TaskResult], None] | None
    ) -> None:
        self._task = task
        self.result = self._empty(task.schema)
        self._heartbeat = heartbeat
        self._send = send
        self._calls: Calls | None = None
        self._is_divided = False
        self._first = 0
        self._point: int | None = None
        self._start = self._since = self._clock = time.monotonic()
        self._n_reported = 0
        self._lock = threading.Lock()
        heartbeat.pause_before(0)

    @property
    def due_seconds(self) -> float:
        """After how long at least something may have to be done about the task."""
        return min(self._task.limit_seconds, self._task.report_seconds)

    def begin(self, calls: Calls, *, is_divided: bool = False) -> None:
        """The calls of a part are about to be made; if ``is_divided``, others write it."""
        with self._lock:
            self._calls, self._is_divided = calls, is_divided
            # told beforehand: the coordinator writes the chunk, and must know what to wait for
            if is_divided:
                self.result.split.append(calls.part)

    def end(self) -> tuple[Values | None, bool]:
        """They were made: what is not reported yet, and whether the rest was."""
        calls = self._calls
        assert calls is not None
        with self._lock:
            self._calls = None
            values, failures = calls.pop(calls.settled, time.monotonic())
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
        self._heartbeat.end_task()
        return self._stop_clock()

    def report_done(self) -> None:
        """Report the parts that are done, where the task ends with an error."""
        with self._lock:
            # what was written before the error counts: it is committed, not computed again
            if self._send is not None and self.result.points:
                partial = self._stop_clock()
                partial.n_settled = self._first
                self.result = self._empty(partial.schema)
                self._send(partial)

    def add_retry(self, retry: Retry) -> None:
        """Note that a call failed, and is made again."""
        with self._lock:
            self.result.retries.append(retry)

    def end_soon(self) -> None:
        """Have the task end after the present call."""
        self._heartbeat.request_stop(Stop.TASK_LATE)

    def look(self) -> None:
        """End the task if it is late, and report what waits behind a slow call."""
        now = time.monotonic()
        # asked, not ended: the present call is worth what it has cost so far
        if now - self._start > self._task.limit_seconds:
            self.end_soon()
        point = self._heartbeat.point
        if point != self._point:  # seen from here, since the worker keeps no time of its calls
            self._point, self._since = point, now
        is_slow = now - self._since > self._task.report_seconds
        if point is not None and is_slow and self._send is not None and point > self._n_reported:
            self._report_before(point, self._send)

    def _report_before(self, ordinal: int, send: Callable[[TaskResult], None]) -> None:
        """Report all points before one; nothing of theirs changes any more."""
        with self._lock:
            calls = self._calls
            if calls is None or ordinal < self._first:
                return
            # up to when the slow call began: its time is not that of the points before it
            values, failures = calls.pop(ordinal - self._first, self._since)
            if (values is not None or failures) and not self._is_divided and self._task.writes:
                self._is_divided = True
                # its other points come later: no worker may write the chunk as its own any more
                self.result.split.append(calls.part)
            if values is not None:
                self._count(values)
                self.result.values.append(values)
            self.result.failures += failures
            partial = self._stop_clock()
            self.result = self._empty(calls.schema)
            partial.n_settled = self._n_reported = ordinal
            # under the lock: the end of the task would else overtake its part on the way out
            send(partial)

    def _empty(self, schema: Schema | None) -> TaskResult:
        return TaskResult(schema=schema, worker=os.getpid())

    def _stop_clock(self) -> TaskResult:
        """The result, with the time since the last one."""
        now = time.monotonic()
        self.result.wall_seconds, self._clock = now - self._clock, now
        return self.result

    def _count(self, values: Values) -> None:
        self.result.seconds += values.seconds
        self.result.points += len(values.points)
