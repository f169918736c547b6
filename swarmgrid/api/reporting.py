"""The reports of a call while it computes: events of its grid, to a log and to a callback."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from swarmgrid.following.telling import Diary
    from swarmgrid.observe.diagnostics import Diagnostics
    from swarmgrid.options import Options
    from swarmgrid.store.grid_ref import GridRef


@contextlib.contextmanager
def reported(grid: GridRef, options: Options) -> Iterator[Diary | None]:
    """Tell the events of a grid while a ``with`` block fills it, where something listens."""
    callback, path = options.on_event, options.log
    if callback is None and path is None:
        yield None
        return
    from swarmgrid.following.telling import told
    from swarmgrid.observe.log import LogFile

    with contextlib.ExitStack() as stack:
        write = None if path is None else stack.enter_context(LogFile(path)).append
        yield stack.enter_context(told(grid.location, grid.path, write, callback))


def log_nothing_done(grid: GridRef, path: str | os.PathLike[str], done: Diagnostics) -> None:
    """Tell the log of a call that had nothing to compute."""
    from swarmgrid.observe.events import RunEnded, RunStarted
    from swarmgrid.observe.log import RunLog

    log = RunLog(path)
    log(RunStarted(grid.path.function, grid.path.grid, done.points_cached, done.points_cached))
    log(RunEnded("finished", done))
