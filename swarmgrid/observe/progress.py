"""The display of a run while it goes on: a bar, a widget, or a line a minute in the log."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import sys
from typing import TYPE_CHECKING, Protocol

from swarmgrid.observe.events import Event, Moment, RunEnded, RunStarted
from swarmgrid.observe.words import closing_line, sentence

if TYPE_CHECKING:
    from collections.abc import Callable

LOG_SECONDS = 60.0
"""The interval at which a run logs its progress."""

_log = logging.getLogger("swarmgrid")


class Display(Protocol):
    """Something that shows how far a run is."""

    def show(self, moment: Moment) -> None:
        """Show a moment of the run, the first or a later one."""

    def close(self, line: str | None) -> None:
        """Take away what is shown, if anything is; ``line`` stays in its place."""


class Progress:
    """Shows how far a run is; an error of the display ends the display and never the run.

    Parameters
    ----------
    verbose : int
        0: nothing; 1: a bar in a terminal, a widget in a notebook, elsewhere a line a minute in
        the log; 2: a bar, wherever it goes to.
    """

    def __init__(self, verbose: int) -> None:
        self._verbose = verbose
        self._started: RunStarted | None = None
        self._display: Display | None = None

    def __call__(self, event: Event) -> None:
        if not self._verbose:
            return
        try:
            self._show(event)
        except Exception:  # noqa: BLE001  # a terminal that is gone, a disk that is full, ...
            self._verbose = 0
            with contextlib.suppress(Exception):
                if self._display is not None:
                    self._display.close(None)

    def _show(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._started = event
            case Moment() if self._started is not None:
                if self._display is None:
                    self._display = _display_for(self._started, is_bar=self._verbose > 1)
                self._display.show(event)
            case RunEnded() if self._started is not None and self._display is not None:
                is_whole = event.outcome == "finished"
                line = closing_line(self._started.function, event.diagnostics)
                self._display.close(line if is_whole else None)
            case _:
                pass


class LogLines:
    """Writes a line a minute to the logger ``swarmgrid``.

    If logging is not set up, the lines go to standard error, as Python's own warnings do.
    """

    def __init__(self, started: RunStarted) -> None:
        self._started = started
        self._n_minutes = 0

    def show(self, moment: Moment) -> None:
        n_minutes = int(moment.seconds / LOG_SECONDS)
        if n_minutes > self._n_minutes:
            self._n_minutes = n_minutes
            say(f"{self._started.function}: {sentence(self._started, moment)}")

    def close(self, line: str | None) -> None:
        if self._n_minutes and line is not None:
            say(line)


def say(text: str) -> None:
    """Log a text as information; on standard error if logging is not set up."""
    if _log.hasHandlers() or _log.level or logging.root.manager.disable >= logging.INFO:
        _log.info(text)
    elif sys.stderr is not None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201  # the way of `logging.lastResort`


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = sys.modules.get("IPython")
    current = None if shell is None else shell.get_ipython()
    return hasattr(current, "kernel")


def _display_for(started: RunStarted, *, is_bar: bool) -> Display:
    """The display that fits where this process writes to."""
    from swarmgrid.observe import bars

    make: Callable[[RunStarted], Display] = LogLines
    if is_notebook():
        has_widgets = importlib.util.find_spec("ipywidgets") is not None
        make = bars.Widget if has_widgets else bars.PlainCell
    elif sys.stderr is not None and (is_bar or sys.stderr.isatty()):
        make = bars.TerminalBar
    return make(started)
