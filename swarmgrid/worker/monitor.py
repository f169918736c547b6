"""The thread of a process that looks at the tasks which run in it."""

from __future__ import annotations

import contextlib
import math
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarmgrid.worker.task_report import TaskReport

LINGER_SECONDS = 1.0
"""The time that the thread that looks at tasks stays when there are none."""
LOOKS = 5
"""The number of checks within the time after which a report is due."""


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
        # nothing can ever be due: such a task needs no thread
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
                        # under the lock: a task that begins now starts another one
                        self._thread = None
                        return
                self._change.wait(min(le.due_seconds for le in self._reports) / LOOKS)
                try:
                    # with the lock: a task that ends waits for the look that is at it
                    for report in list(self._reports):
                        report.look()
                # a store or pipe that fails here must end the tasks: no other thread sees it
                except BaseException as error:  # noqa: BLE001  # raised where the task runs
                    self._error = error
                    for report in self._reports:
                        report.end_soon()
