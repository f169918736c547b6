"""The bars of a run: in a terminal, as a notebook's widget, and as plain text in a notebook."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tqdm.std import tqdm

from swarmgrid.observe.console import may_draw, shared_with, without_bars
from swarmgrid.observe.words import counted, timed

if TYPE_CHECKING:
    import contextlib

    from swarmgrid.observe.events import Moment, RunStarted

MAX_NAME = 24
"""Characters of the function's name that a bar shows."""
PLAIN_COLUMNS = 100
"""The width of a bar in a notebook without widgets."""


class _Bar(tqdm):  # type: ignore[misc]
    """A bar that is drawn when it is told to, by no thread of tqdm's own."""

    monitor_interval = 0


def _options(started: RunStarted) -> dict[str, Any]:
    name = started.function
    return {
        "total": started.points,
        "desc": name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…",
        "leave": False,
        "bar_format": "{desc}{percentage:3.0f}%|{bar}|",
    }


def _format(started: RunStarted, moment: Moment) -> str:
    """The format of a moment for tqdm: the part that a narrow terminal cuts off stands last."""
    text = f" {counted(started, moment)} [{timed(moment)}]"
    return "{desc}{percentage:3.0f}%|{bar}|" + text.replace("{", "{{").replace("}", "}}")


class TerminalBar:
    """A bar in a terminal; whatever else the process prints meanwhile stands above it."""

    def __init__(self, started: RunStarted) -> None:
        self._started = started
        self._stream = sys.stderr
        self._bar: Any = None
        self._console: contextlib.ExitStack | None = None

    def show(self, moment: Moment) -> None:
        if self._bar is None:
            options = _options(self._started) | {"bar_format": _format(self._started, moment)}
            self._bar = _Bar(
                initial=moment.settled, file=self._stream, dynamic_ncols=True, **options
            )
            self._console = shared_with(self._bar, self._stream)
            return
        with self._bar.get_lock():
            self._bar.bar_format = _format(self._started, moment)
            self._bar.n = moment.settled
            if may_draw():
                self._bar.refresh(nolock=True)

    def close(self, line: str | None) -> None:
        if self._console is not None:
            self._console.close()
        if self._bar is not None:
            self._bar.close()
            with without_bars():  # those of other runs
                if self._stream.isatty():
                    self._stream.write("\r\x1b[K")  # the terminal may have put ^C behind the bar
                if line is not None:
                    self._stream.write(f"{line}\n")
                self._stream.flush()


class Widget:
    """A widget of a notebook's."""

    def __init__(self, started: RunStarted) -> None:
        self._started = started
        self._bar: Any = None

    def show(self, moment: Moment) -> None:
        if self._bar is None:
            from tqdm.notebook import tqdm_notebook

            quiet = type("_Widget", (tqdm_notebook,), {"monitor_interval": 0})
            self._bar = quiet(initial=moment.settled, **_options(self._started))
        self._bar.bar_format = _format(self._started, moment)
        self._bar.n = moment.settled
        self._bar.refresh()

    def close(self, line: str | None) -> None:
        if self._bar is not None:
            self._bar.disp(close=True, check_delay=False)
            self._bar.close()
            if line is not None:
                print(line)  # noqa: T201  # standard error is red in a notebook


class PlainCell:
    """A bar of plain text in a notebook without widgets: one output, which changes in place."""

    def __init__(self, started: RunStarted) -> None:
        self._started = started
        self._handle: Any = None

    def show(self, moment: Moment) -> None:
        options = _options(self._started) | {"bar_format": _format(self._started, moment)}
        text = tqdm.format_meter(
            moment.settled,
            options["total"],
            moment.seconds,
            ncols=PLAIN_COLUMNS,
            prefix=options["desc"],
            bar_format=options["bar_format"],
        )
        self._show(text)

    def close(self, line: str | None) -> None:
        if self._handle is not None:
            self._show(line or "")

    def _show(self, text: str) -> None:
        from IPython.display import display

        data = {"text/plain": text}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)
