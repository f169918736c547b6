"""The log of a run: one JSON object a line, each line written by one call."""

from __future__ import annotations

import datetime as dt
import json
import operator
import os

from swarmgrid.observe.diagnostics import Diagnostics
from swarmgrid.observe.events import (
    CallRetried,
    Event,
    PointFailed,
    RunEnded,
    RunStarted,
    StateChanged,
    TaskDone,
    WorkerCrashed,
)


def _same(*names: str) -> dict[str, str]:
    """Keys of a line that are the names of the event's members."""
    return {name: name for name in names}


def _short(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value


_LINES: dict[type[Event], tuple[str, dict[str, str]]] = {
    RunStarted: ("run started", _same("function", "grid", "points", "cached")),
    CallRetried: ("retried", _same("point", "reason", "attempt", "worker")),
    TaskDone: (
        "task done",
        {**_same("points", "seconds", "worker"), "peak_memory": "peak_nbytes"},
    ),
    StateChanged: ("state changed", _same("places", "worker")),
    PointFailed: ("point failed", _same("point", "reason", "attempt")),
    WorkerCrashed: ("worker lost", _same("worker", "reason", "point")),
    RunEnded: (
        "run ended",
        {"outcome": "outcome", **{name: f"diagnostics.{name}" for name in Diagnostics.__slots__}},
    ),
}
"""The lines of the log by event: the name, and the event's member behind each key."""


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
        if self._file is None or type(event) not in _LINES:
            return
        name, members = _LINES[type(event)]
        details = {key: _short(operator.attrgetter(path)(event)) for key, path in members.items()}
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "event": name, **details}, default=str) + "\n"
        os.write(self._file, line.encode())  # one call: a kill leaves a whole line or none
        if isinstance(event, RunEnded):
            os.close(self._file)
            self._file = None
