"""Sends what a worker process prints and logs home, in whole lines, through two pipes.

The first pipe is the process' standard output: what the function, and whatever it starts, prints.
Lines that begin with the worker's mark carry something else in the order in which it came: lines
that Python wrote to standard error, and log records. The second pipe is standard error for
programs and libraries that are not Python. A pipe that is full has its writer wait, so nothing
piles up; and what is in a pipe outlives the process.
"""

from __future__ import annotations

import base64
import io
import logging
import os
import pickle
import sys
import threading
from dataclasses import dataclass
from typing import Any

ERROR, RECORD = b"e", b"r"
"""The bytes behind the mark of a line."""
MAX_LINE = 1 << 20
"""Bytes of a line; what is longer is divided."""
MAX_TEXT = 1 << 16
"""Characters of a text of a record."""
_EMPTY = logging.makeLogRecord({}).__dict__
"""The members that every record has."""
_PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of the caller's loggers: what it would not handle is not sent."""

    by_name: dict[str, int]
    disabled: int
    """The level up to which `logging.disable` was called."""

    @classmethod
    def of_this_process(cls) -> Levels:
        """Return those of the caller."""
        manager = logging.root.manager
        found = {"": logging.root.level}
        for name, logger in list(manager.loggerDict.items()):
            if isinstance(logger, logging.Logger) and logger.level:
                found[name] = logger.level
        return cls(found, manager.disable)

    def set(self) -> None:
        """Set them in a worker."""
        logging.disable(self.disabled)
        for name, level in self.by_name.items():
            logging.getLogger(name or None).setLevel(level)


class WorkerOutput:
    """The output of this process, which is a worker; made once, before its first task.

    Parameters
    ----------
    out, err : int
        The descriptors of the two pipes.
    mark : bytes
        A text that no line of the function's begins with.
    levels : Levels
        Those of the caller's loggers.
    """

    def __init__(self, out: int, err: int, mark: bytes, levels: Levels) -> None:
        # the descriptors, not only Python's streams: programs that the function starts print, too
        os.dup2(out, 1)
        os.dup2(err, 2)
        lock = threading.RLock()
        self._lines = (Lines(1, b"", lock), Lines(2, mark + ERROR, lock))
        self._texts = tuple(map(_text, self._lines))
        sys.stdout, sys.stderr = self._texts
        levels.set()
        logging.root.handlers = [Sender(self._lines[0], mark)]

    def end_task(self) -> None:
        """Send lines that have no end yet: their worker may be ended before its next task."""
        for text, lines in zip(self._texts, self._lines, strict=True):
            text.flush()
            if lines.has_begun:
                lines.end()


class Lines(io.RawIOBase):
    """Writes whole lines to the first pipe, each with a prefix.

    Parameters
    ----------
    number : int
        The descriptor that programs take this for.
    prefix : bytes
        The text at the beginning of every line.
    lock : lock
        Held while lines are written: those longer than a pipe's atomic write would mix.
    pipe : int
        The descriptor of the first pipe.
    """

    def __init__(self, number: int, prefix: bytes, lock: Any, pipe: int = 1) -> None:
        super().__init__()
        self._number = number
        self._prefix = prefix
        self._lock = lock
        self._pipe = pipe
        self._begun = b""

    @property
    def has_begun(self) -> bool:
        """Whether there is a line without its end."""
        return bool(self._begun)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def write(self, data: Any) -> int:
        with self._lock:
            whole, newline, rest = (self._begun + bytes(data)).rpartition(b"\n")
            self._begun = b""
            if newline:
                self._send(whole + newline)
            # a line that never ends must not fill the memory
            while len(rest) > MAX_LINE:
                self._send(rest[:MAX_LINE] + b"\n")
                rest = rest[MAX_LINE:]
            self._begun = rest
        return len(data)

    def send_line(self, line: bytes) -> None:
        """Send a line as it is."""
        with self._lock:
            self._write_all(line)

    def end(self) -> None:
        """End the line that has begun."""
        self.write(b"\n")

    def _send(self, lines: bytes) -> None:
        if self._prefix:  # not splitlines, which ends lines at carriage returns, too
            lines = b"".join(self._prefix + line + b"\n" for line in lines.split(b"\n")[:-1])
        self._write_all(lines)

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            # a pipe may take less than all
            view = view[os.write(self._pipe, view) :]


class Sender(logging.Handler):
    """Sends the records of all loggers of a worker home."""

    def __init__(self, lines: Lines, mark: bytes) -> None:
        super().__init__()
        self._out = lines
        self._prefix = mark + RECORD

    def emit(self, record: logging.LogRecord) -> None:
        try:
            said = _plain(record)
            packed = base64.b64encode(pickle.dumps(said))
            if len(packed) >= MAX_LINE:
                own = {name: value for name, value in said.items() if name in _EMPTY}
                packed = base64.b64encode(pickle.dumps(own))
            self._out.send_line(self._prefix + packed + b"\n")
        except Exception:  # noqa: BLE001  # as every handler
            self.handleError(record)


def _plain(record: logging.LogRecord) -> dict[str, Any]:
    """The content of a record, in values that any process can read."""
    said = dict(record.__dict__)
    # a traceback cannot travel, its text can
    if record.exc_info and not record.exc_text:
        said["exc_text"] = logging.Formatter().formatException(record.exc_info)
    # formatted here: the arguments may be anything, and the coordinator need not know their
    # classes
    said |= {"msg": record.getMessage(), "args": None, "exc_info": None}
    return {name: _short(value) for name, value in said.items()}


def _short(value: Any) -> Any:
    """A plain value, or the text of one that is not; a long text is cut."""
    if isinstance(value, dict) and all(isinstance(v, _PLAIN) for v in value.values()):
        return {str(name): _short(one) for name, one in list(value.items())[:100]}
    if not isinstance(value, _PLAIN):
        value = repr(value)
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"{value[:MAX_TEXT]}... ({len(value):,} characters)"
    return value


def _text(lines: Lines) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(lines),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )
