"""The log of a run: one JSON object a line, each line written in one piece."""

from __future__ import annotations

import datetime as dt
import json
import os
from typing import Any


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

    def write(self, event: str, **details: Any) -> None:
        """Append one event, with the time and what is known of it."""
        if self._file is None:
            return
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "event": event, **details}, default=str) + "\n"
        os.write(self._file, line.encode())  # one call: a kill leaves a whole line or none

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
