"""A terminal as far as the tests need one: what stands on its screen, and scripts run in it."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

from tests import programs
from tests.waiting import PATIENCE

_TOKEN = re.compile(r"\x1b\[([\d;]*)([A-Za-z])|(.)", re.DOTALL)


class Screen:
    """The lines of a terminal, scrolled-off ones among them."""

    def __init__(self) -> None:
        self.lines = [""]
        self._row = self._column = 0

    def feed(self, text: str) -> None:
        """Take what a program writes."""
        for count, command, char in _TOKEN.findall(text):
            if command == "A":
                self._row = max(0, self._row - int(count or 1))
            elif command == "K":
                self.lines[self._row] = self.lines[self._row][: self._column]
            elif char == "\r":
                self._column = 0
            elif char == "\n":
                self._row, self._column = self._row + 1, 0
                self.lines += [""] * (self._row + 1 - len(self.lines))
            elif char:
                line = self.lines[self._row].ljust(self._column)
                self.lines[self._row] = line[: self._column] + char + line[self._column + 1 :]
                self._column += 1

    def text(self) -> list[str]:
        """The lines, without those that are empty."""
        return [line.rstrip() for line in self.lines if line.strip()]


class Terminal(io.StringIO):
    """Standard error as a terminal within the test's own process."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        """What stands on the screen now."""
        screen = Screen()
        screen.feed(self.getvalue())
        return screen.text()


def _environment() -> dict[str, str]:
    """The variables of this process, but for those that tell of another terminal."""
    kept = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES"}}
    return {**kept, "PYTHON_COLORS": "0"}  # of tracebacks, from Python 3.13 on


class Session:
    """A script that runs in a terminal of its own."""

    def __init__(self, script: Path, *arguments: object, columns: int = 100) -> None:
        self.screen = Screen()
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = programs.start(  # one system call
            [sys.executable, str(script), *map(str, arguments)],
            env=_environment(),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self._partial = b""

    def read(self, seconds: float = 0.1) -> bool:
        """Show what the script writes; False once it has ended and all is shown."""
        has_ended = (
            self.process.poll() is not None
        )  # before the look: it may write and end meanwhile
        if not select.select([self._master], [], [], seconds)[0]:
            return not has_ended
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux: nobody has the terminal open any more
            return False
        self._partial += data
        with contextlib.suppress(UnicodeDecodeError):
            self.screen.feed(self._partial.decode())
            self._partial = b""
        return bool(data)

    def wait_for(self, pattern: str) -> None:
        """Read until a line of the screen matches."""
        until = time.monotonic() + PATIENCE
        while not any(re.search(pattern, line) for line in self.screen.lines):
            may_come = self.read() and time.monotonic() < until
            assert may_come, f"{pattern!r} was never shown:\n" + "\n".join(self.screen.lines)

    def end(self) -> int:
        """Read all until the script ends: its exit code."""
        until = time.monotonic() + PATIENCE
        while self.read():
            shown = "\n".join(self.screen.lines)
            assert time.monotonic() < until, f"the script does not end:\n{shown}"
        return self.process.wait()

    def press_ctrl_c(self) -> None:
        os.write(self._master, b"\x03")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)


@contextlib.contextmanager
def session(script: Path, *arguments: object, columns: int = 100) -> Iterator[Session]:
    """Run a script in a terminal; it is gone afterwards."""
    found = Session(script, *arguments, columns=columns)
    try:
        yield found
    finally:
        found.close()
