"""Lets a program print while a bar stands in the last line of its terminal.

Standard output and error are replaced for that time by streams that take the bar away, write whole
lines, and draw it again. Handlers of `logging` that write to them get these streams, too.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = ("stdout", "stderr")
_lock = threading.Lock()
_bars: list[Any] = []
"""The bars of this process that are shown now."""
_open_lines: set[int] = set()
"""The threads that have begun a line in the terminal, such as a debugger's prompt."""


def shared_with(bar: Any, stream: Any) -> contextlib.ExitStack:
    """Have the process print above a bar until what is returned is closed.

    Parameters
    ----------
    bar : tqdm.tqdm
        The bar.
    stream : file
        The stream of the bar; text that goes to no terminal is left as it is, and so is all if
        the bar goes to a file.
    """
    stack = contextlib.ExitStack()
    if not stream.isatty():
        return stack
    with _lock:
        _bars.append(bar)
        if len(_bars) == 1:
            _replace_streams()
    stack.callback(_leave, bar)
    return stack


class Guarded:
    """A stream to a terminal that has a bar in its last line.

    Parameters
    ----------
    stream : file
        The stream.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._is_open = True
        self._begun: dict[int, str] = {}
        """By thread, the beginning of a line that is not shown yet."""

    def write(self, text: str) -> int:
        """Write the whole lines; what is left waits for its end, a flush, or the bar's end."""
        if not self._is_open:
            return int(self._stream.write(text))
        thread = threading.get_ident()
        whole, newline, rest = (self._begun.pop(thread, "") + text).rpartition("\n")
        if rest:
            self._begun[thread] = rest
        if newline:
            with without_bars():
                _open_lines.discard(thread)
                self._stream.write(whole + newline)
                self._stream.flush()
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Show the beginning of a line, such as a prompt; no bar is drawn until it ends."""
        thread = threading.get_ident()
        if self._is_open and thread in self._begun:
            with without_bars():
                _open_lines.add(thread)
                self._stream.write(self._begun.pop(thread))
        self._stream.flush()

    def end(self) -> None:
        """Be the stream itself from now on, for those that still hold this one."""
        self._is_open = False
        while self._begun:
            self._stream.write(self._begun.popitem()[1])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def without_bars() -> Iterator[None]:
    """Take the bars away for a moment."""
    bars = list(_bars)
    if not bars:
        yield
        return
    with bars[0].get_lock():
        for bar in bars:
            bar.clear(nolock=True)
        yield
        if not _open_lines:
            for bar in bars:
                bar.refresh(nolock=True)


def may_draw() -> bool:
    """Whether no line has begun in the terminal that is still to be ended."""
    return not _open_lines


def _replace_streams() -> None:
    for name in _NAMES:
        stream = getattr(sys, name)
        if stream is not None and stream.isatty() and not isinstance(stream, Guarded):
            guarded = Guarded(stream)
            setattr(sys, name, guarded)
            for handler in _handlers_of(stream):
                handler.setStream(guarded)


def _leave(bar: Any) -> None:
    with _lock:
        _bars.remove(bar)
        if _bars:
            return
        for name in _NAMES:
            guarded = getattr(sys, name)
            if isinstance(guarded, Guarded):  # else other code has replaced it
                setattr(sys, name, guarded._stream)  # noqa: SLF001
                for handler in _handlers_of(guarded):
                    handler.setStream(guarded._stream)  # noqa: SLF001
                guarded.end()
        _open_lines.clear()


def _handlers_of(stream: Any) -> list[Any]:
    """The handlers of `logging` that write to a stream."""
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    found = [handler for logger in loggers for handler in getattr(logger, "handlers", ())]
    return [h for h in found if isinstance(h, logging.StreamHandler) and h.stream is stream]
