"""Hands on what worker processes print and log: to the caller's own streams and loggers."""

from __future__ import annotations

import base64
import contextlib
import contextvars
import logging
import os
import pickle
import selectors
import sys
import threading
import uuid
from collections import deque
from itertools import groupby
from typing import TYPE_CHECKING, Any

from swarmgrid.worker.output import ERROR, MAX_LINE, RECORD, Levels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from multiprocessing.connection import Connection

READ_NBYTES = 1 << 16
"""The most bytes that are read at once."""
LOOK_SECONDS = 1.0
"""The interval at which it is checked that the thread that reads is there."""
_logger = logging.getLogger(__name__)
_OUT, _ERR, _LOG = "stdout", "stderr", "log"


class Output:
    """Reads the pipes of all workers of a pool, in one thread, which sleeps while they are empty.

    A worker whose pipe is full waits; so memory stays flat, however much is printed.
    """

    def __init__(self) -> None:
        self.levels = Levels.of_this_process()
        """Those of the caller's loggers."""
        self._selector = selectors.DefaultSelector()
        self._requests: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._is_open = True
        self._is_closed = False
        self._changing = threading.Lock()
        self._thread = threading.Thread(
            target=contextvars.copy_context().run,  # a notebook finds the cell by its context
            args=(self._serve,),
            name="swarmgrid-output",
            daemon=True,
        )

    def add(self, out: Connection, err: Connection) -> OutputOfWorker:
        """Begin to read the pipes of a worker."""
        source = OutputOfWorker(self, out, err)

        def register() -> None:
            for pipe in source.pipes:
                self._selector.register(pipe.number, selectors.EVENT_READ, pipe)

        with self._changing:
            if self._thread.ident is None:
                self._thread.start()
        self._ask(register)
        return source

    def end(self, source: OutputOfWorker) -> None:
        """Hand on what a worker that has ended left in its pipes, and close them."""
        done = threading.Event()

        def finish() -> None:
            try:
                for pipe in source.pipes:
                    # first: once it is closed, another pipe may get its number
                    self._forget(pipe)
                    pipe.finish()
            finally:
                done.set()

        if self._thread.is_alive():
            self._ask(finish)
        while not done.wait(LOOK_SECONDS):
            if not self._thread.is_alive():  # nothing is read any more; no run waits for that
                return

    def close(self) -> None:
        """End the thread, once; every worker has been ended."""
        with self._changing:  # a pool is closed by the thread that drives it, and by the run
            if self._is_closed:
                return
            self._is_closed = True
            if self._thread.ident is not None:
                self._ask(self._stop)
                self._thread.join()
            self._selector.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _ask(self, request: Callable[[], None]) -> None:
        """Have the thread do something."""
        # in this order: the thread finds the request when it wakes up
        self._requests.append(request)
        os.write(self._wake_write, b"\0")

    def _stop(self) -> None:
        self._is_open = False

    def _serve(self) -> None:
        while self._is_open:
            for key, _ in self._selector.select():
                try:
                    self._take(key)
                except Exception:  # the workers must not wait for a full pipe
                    _logger.warning("output of a worker is lost", exc_info=True)

    def _take(self, key: selectors.SelectorKey) -> None:
        """Take in what is there: requests, or lines of a worker."""
        if key.data is None:
            self._do_requests()
        # a request of the same round may have closed the pipe
        elif key.fd in self._selector.get_map() and not key.data.read():
            self._forget(key.data)

    def _do_requests(self) -> None:
        # before the requests: one that comes after them writes a byte of its own
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, READ_NBYTES)
        while self._requests:
            self._requests.popleft()()

    def _forget(self, pipe: _Pipe) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(pipe.number)


class OutputOfWorker:
    """The pipes of one worker, and what tells the kinds of lines apart."""

    def __init__(self, output: Output, out: Connection, err: Connection) -> None:
        self.mark = b"\x1e" + uuid.uuid4().hex.encode()
        """The prefix of the lines that the function has not printed."""
        self.pipes = (_Pipe(out, _OUT, self.mark), _Pipe(err, _ERR, self.mark))
        self._output = output

    def end(self) -> None:
        """Hand on all that is left; the worker has ended."""
        self._output.end(self)


class _Pipe:
    """The end of a pipe from which the lines of a worker are read."""

    def __init__(self, connection: Connection, kind: str, mark: bytes) -> None:
        self._connection = connection
        self.number = connection.fileno()
        self._kind = kind
        self._mark = mark
        self._begun = b""
        os.set_blocking(self.number, False)

    def read(self) -> bool:
        """Hand on the lines that are there; False once no process has the other end any more."""
        try:
            data = os.read(self.number, READ_NBYTES)
        except BlockingIOError:
            return True
        whole, newline, rest = (self._begun + data).rpartition(b"\n")
        self._begun = rest if len(rest) <= 2 * MAX_LINE else b""
        if newline:
            self._hand_on(whole)
        if rest and not self._begun:  # something that is no Python wrote a line without an end
            self._hand_on(rest)
        return bool(data)

    def finish(self) -> None:
        """Hand on what is left; what the function started may still have the other end."""
        # not until it ends: a program that the function started may write for ever
        for _ in range(MAX_LINE // READ_NBYTES):
            before = self._begun
            if not self.read() or (self._begun == before and not self._has_more()):
                break
        if self._begun:
            self._hand_on(self._begun)
        self._connection.close()

    def _has_more(self) -> bool:
        return bool(self._connection.poll())

    def _hand_on(self, lines: bytes) -> None:
        if self._mark not in lines:
            _write(self._kind, [lines])
            return
        told = (self._told(line) for line in lines.split(b"\n"))
        for kind, group in groupby(told, key=lambda pair: pair[0]):
            found = [line for _, line in group]
            if kind == _LOG:
                for line in found:
                    _log(line)
            else:
                _write(kind, found)

    def _told(self, line: bytes) -> tuple[str, bytes]:
        """The kind of a line, and the line itself."""
        if not line.startswith(self._mark):
            return self._kind, line
        n = len(self._mark)
        kinds = {ERROR: _ERR, RECORD: _LOG}
        return kinds.get(line[n : n + 1], self._kind), line[n + 1 :]


def _write(name: str, lines: Iterable[bytes]) -> None:
    """Write lines to the stream that the caller's process has for them now."""
    text = b"\n".join(lines).decode(errors="replace")
    if "\r" in text:  # a bar of the function's own: only what it came to is a line
        ended = ((line, line.rstrip("\r").rpartition("\r")[2]) for line in text.split("\n"))
        shown = [end for line, end in ended if "\r" not in line or end.strip()]
        if not shown:  # it has wiped itself out
            return
        text = "\n".join(shown)
    stream = getattr(sys, name)
    with contextlib.suppress(Exception):  # closed, or no process reads it: the run goes on
        stream.write(text + "\n")


def _log(packed: bytes) -> None:
    """Have the caller's loggers handle a record of a worker's."""
    with contextlib.suppress(Exception):
        said: dict[str, Any] = pickle.loads(base64.b64decode(packed))
        logger = logging.getLogger(said["name"])
        if logger.isEnabledFor(said["levelno"]):
            logger.handle(logging.makeLogRecord(said))
