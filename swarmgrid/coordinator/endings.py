"""Says to the user what an error or a signal that ended a run leaves, and what to do next."""

from __future__ import annotations

import linecache
import logging
import re
from typing import TYPE_CHECKING

from swarmgrid.errors import PointError
from swarmgrid.transport.messages import TerminatedError

if TYPE_CHECKING:
    from swarmgrid.observe.diagnostics import Diagnostics

_FRAME = re.compile(r'^( +)File "(.+)", line (\d+), in .*\n(?!\1  )', re.MULTILINE)
"""A frame of a traceback without its line of code."""

_log = logging.getLogger("swarmgrid")


def explain(error: BaseException, done: Diagnostics, *, is_recording: bool) -> None:
    """Add to what ended a run how much of it is stored, and how to go on.

    Parameters
    ----------
    error : BaseException
        The error or signal that ended the run. Ctrl-C gets a text; for SIGTERM, which shows none,
        it is logged.
    done : Diagnostics
        The counts of the stored points.
    is_recording : bool
        Whether points that fail are recorded: then no point has shown what the outputs are.
    """
    n_stored = done.points_cached + done.points_computed
    n_requested = done.points_total - done.points_skipped
    stored = f"{n_stored:,} of {n_requested:,} points are stored"
    if isinstance(error, KeyboardInterrupt):
        error.args = (f"{stored}; call again to go on",)
        error.__cause__, error.__suppress_context__ = None, True
    elif isinstance(error, TerminatedError):
        _log.warning("ended by SIGTERM: %s; call again to go on", stored)
    elif isinstance(error, PointError):
        if error.__cause__ is not None:
            error.__cause__.add_note(f"at {error.labels}")
        instead = (
            "declare outputs= to record the failures: every point that was tried has failed, so "
            "nothing shows what the outputs are"
            if is_recording
            else 'pass on_error="record" to go on past points that fail'
        )
        error.add_note(
            f"{stored} (this one is {error.labels}). Correct {error.function} and call again, or "
            + instead
        )


def with_code(traceback: str) -> str:
    """A traceback with the lines of code that the worker could not see, such as a notebook's."""

    def add_line(found: re.Match[str]) -> str:
        line = linecache.getline(found[2], int(found[3])).strip()
        return f"{found[0]}{found[1]}  {line}\n" if line else found[0]

    return _FRAME.sub(add_line, traceback)
