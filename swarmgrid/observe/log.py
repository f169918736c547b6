"""The log of a run: one JSON object a line, each line written by one call.

Lines about the grid are those that `swarmgrid watch --json` writes. Those of this module are about
the run alone, and have no token.
"""

from __future__ import annotations

import datetime as dt
import logging
import operator
import os
import socket
from pathlib import Path
from typing import Self

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
from swarmgrid.readable import json_line

_log = logging.getLogger(__name__)


def _same(*names: str) -> dict[str, str]:
    """Keys of a line that are the names of the event's members."""
    return {name: name for name in names}


def _short(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value


_LINES: dict[type[Event], tuple[str, dict[str, str]]] = {
    RunStarted: ("run started", {"n_points": "points", "n_cached": "cached"}),
    CallRetried: ("retried", _same("point", "reason", "attempt", "worker")),
    TaskDone: (
        "task done",
        {"n_points": "points", **_same("seconds", "worker"), "peak_memory": "peak_nbytes"},
    ),
    StateChanged: ("state changed", _same("places", "worker")),
    # of a point that the store has no record of: of others its events tell, in the same words
    PointFailed: (
        "failed",
        {"n_points": "points", **_same("point", "exception", "reason", "attempt")},
    ),
    WorkerCrashed: ("worker lost", _same("worker", "reason", "point")),
    RunEnded: (
        "run ended",
        {"outcome": "outcome", **{name: f"diagnostics.{name}" for name in Diagnostics.__slots__}},
    ),
}
"""The lines of the log by event: the name, and the event's member behind each key."""


class LogFile:
    """A file that lines are appended to, by any number of processes and threads.

    Parameters
    ----------
    path : path-like
        The file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._path = Path(path).expanduser()
        self._file = os.open(self._path, flags, 0o644)
        self._has_failed = self._is_torn = False

    def append(self, line: str) -> None:
        """Append a line; an error is logged once, as no run ends because its log is full."""
        try:
            data = f"{line}\n".encode()
            if self._is_torn:  # or this line would be lost with the part of the one before
                data = b"\n" + data
            while data:
                # one call: a kill leaves a whole line or none; a disk that is nearly full takes a
                # part, and the next call says that
                done = os.write(self._file, data)
                self._is_torn, data = done < len(data), data[done:]
        except OSError as error:
            if not self._has_failed:
                _log.warning(
                    "the log %s cannot be written: %s; the run goes on", self._path, error
                )
            self._has_failed = True

    def close(self) -> None:
        """Append nothing more."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class RunLog:
    """Appends what happens in a run to a file.

    Parameters
    ----------
    path : path-like or None
        The file; None: nothing is written.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._file = None if path is None else LogFile(path)
        self._common: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        if self._file is None or type(event) not in _LINES:
            return
        if isinstance(event, PointFailed) and event.is_recorded:
            return
        if isinstance(event, RunStarted):
            writer = f"{socket.gethostname()}:{os.getpid()}"
            self._common = {"function": event.function, "grid": event.grid, "writer": writer}
        name, members = _LINES[type(event)]
        details = {key: _short(operator.attrgetter(path)(event)) for key, path in members.items()}
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        line = {"event": name, **self._common, "time": now, **details}
        self._file.append(json_line(line))
        if isinstance(event, RunEnded):
            self._file.close()
            self._file = None
