"""The log of a run: one JSON object a line, each line written by one call."""

from __future__ import annotations

import datetime as dt
import json
import os
from typing import Any

from swarmgrid.observe.diagnostics import Diagnostics
from swarmgrid.observe.events import (
    CallRetried,
    Event,
    PointFailed,
    RunEnded,
    RunStarted,
    TaskDone,
    WorkerCrashed,
)


class RunLog:
    """Appends events to a file as they happen.

    Parameters
    ----------
    path : path-like or None
        The file; None: nothing is written.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = None if path is None else os.open(path, flags, 0o644)

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._write(
                    "run started",
                    function=event.function,
                    grid=event.grid,
                    points=event.points,
                    cached=event.cached,
                )
            case CallRetried():
                self._write(
                    "retried",
                    point=event.point,
                    reason=event.reason,
                    attempt=event.attempt,
                    worker=event.worker,
                )
            case TaskDone():
                self._write(
                    "task done",
                    points=event.points,
                    seconds=round(event.seconds, 6),
                    worker=event.worker,
                    peak_memory=event.peak_nbytes,
                )
            case PointFailed():
                self._write(
                    "point failed",
                    point=event.point,
                    reason=event.reason,
                    attempt=event.attempt,
                )
            case WorkerCrashed():
                self._write(
                    "worker lost",
                    worker=event.worker,
                    reason=event.reason,
                    point=event.point,
                )
            case RunEnded():
                names = Diagnostics.__slots__
                counts = {name: getattr(event.diagnostics, name) for name in names}
                self._write("run ended", outcome=event.outcome, **counts)
                self._close()
            case _:
                pass

    def _write(self, event: str, **details: Any) -> None:
        """Append one event, with the time and what is known of it."""
        if self._file is None:
            return
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "event": event, **details}, default=str) + "\n"
        os.write(self._file, line.encode())  # one call: a kill leaves a whole line or none

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
