"""Tells the log and the callback of a run the events of its grid, by the run's own commits."""

from __future__ import annotations

import contextlib
import contextvars
import datetime as dt
import logging
import threading
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import DamageError
from swarmgrid.following.changes import Teller
from swarmgrid.following.reader import GridLook, GridReader
from swarmgrid.following.sight import WORKING, Holder
from swarmgrid.following.token import Mark, Position
from swarmgrid.store.lease_record import LeaseRecord, epoch_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from swarmgrid.following.changes import Changes
    from swarmgrid.following.events import Event
    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.format.segment import Rows
    from swarmgrid.records.failures import FailedPoint
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import Location

_LOOKS = 3
"""So many looks at most until one is confirmed: afterwards others may write."""
_ALL = 2**64 - 1
_log = logging.getLogger(__name__)


class Diary:
    """Tells the events of a grid, as a watcher would, to the process that fills it.

    The store is read where others may have changed it: before the run, once it holds the grid, and
    after it. In between the commits of the run are told as they are made, which takes no request.

    Parameters
    ----------
    location, path : Location, GridPath
        The grid.
    tell : callable
        Is called with each event, by the thread that has made a commit, or that looks.
    """

    def __init__(self, location: Location, path: GridPath, tell: Callable[[Event], None]) -> None:
        self._location, self._path, self._tell = location, path, tell
        self._reader = GridReader(location.open(), path)
        self._mark = Mark()
        self._here = Holder(WORKING, LeaseRecord.of_this_process(0.0))
        self._lock = threading.Lock()
        self._is_blind = False
        """True after a look that has failed: the next one tells the commits, too."""
        self._has_warned = False

    def skip(self) -> None:
        """Take all that is stored as told, but for damage: the run tells what it meets."""
        tell, self._tell = self._tell, lambda _: None
        try:
            self.look()
        finally:
            self._tell = tell
        self._mark = replace(self._mark, damage=())

    def look(self) -> None:
        """Read the grid, and tell what is new."""
        with self._lock, self._go_on_after_errors("read"):
            self._is_blind = True
            for _ in range(_LOOKS):
                teller = self._teller()
                try:
                    look = self._reader.look()
                except DamageError as error:
                    self._tell_all(teller.damaged(self._mark, error.key, error.reason))
                    return
                self._tell_all(teller.since(self._mark, look))
                if look is None or look.is_settled:
                    break
            self._is_blind = False

    def committed(self, grid: StoredGrid, rows: Rows, failures: Sequence[FailedPoint]) -> None:
        """Tell of points, and of failures, that the run has just committed."""
        with self._lock, self._go_on_after_errors("told"):
            if not self._is_blind:  # else the look at the end tells them
                commits = [*rows.commit[:1].tolist(), *(failure.commit for failure in failures)]
                look = GridLook(
                    grid=grid,
                    rows=rows,
                    records=tuple(failures),
                    marked=(),
                    damaged=(),
                    settled=_ALL,
                    revision=0,
                    epoch=epoch_of(max(commits)),
                    holder=self._here,
                )
                self._tell_all(self._teller().of_own_commits(self._mark, look))

    def failed(self, failures: Sequence[FailedPoint]) -> None:
        """Tell of failures at points that have no place in the stored grid."""
        record = self._here.record
        assert record is not None
        with self._lock, self._go_on_after_errors("told"):
            for failure in failures:
                event = self._teller().of_failure(failure, None, f"{record.host}:{record.pid}")
                self._tell(replace(event, position=Position({self._path.grid: self._mark})))

    def _teller(self) -> Teller:
        return Teller(self._location, self._path, dt.datetime.now(dt.UTC))

    def _tell_all(self, changes: Changes) -> None:
        try:
            while True:
                event, self._mark = next(changes)
                with self._go_on_after_errors("told"):  # one that cannot be told is not told again
                    self._tell(replace(event, position=Position({self._path.grid: self._mark})))
        except StopIteration as end:
            self._mark = end.value

    @contextlib.contextmanager
    def _go_on_after_errors(self, what: str) -> Iterator[None]:
        """Go on after an error: what is told of a run must not end it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # also those of a log's disk that is full
            if not self._has_warned:
                self._has_warned = True
                text = "the events of grid %s cannot be %s: %s: %s; the run goes on"
                _log.warning(text, self._path.grid, what, type(error).__name__, error)


@contextlib.contextmanager
def told(
    location: Location,
    path: GridPath,
    write: Callable[[str], None] | None,
    callback: Callable[[Event], Any] | None,
) -> Iterator[Diary]:
    """Tell of the events of a grid from now on to the end of a ``with`` block.

    The block ends once all was told. No error of the callback, or of reading the events, comes out
    of it.

    Parameters
    ----------
    location, path : Location, GridPath
        The grid.
    write : callable or None
        Is called with each event as a line of JSON.
    callback : callable or None
        Is called with each event, by a thread of its own, so that it does not hold up the run.
    """
    calls = None if callback is None else _Calls(callback)

    def tell(event: Event) -> None:
        if calls is not None:
            calls.put(event)
        if write is not None:
            write(event.to_json())

    diary = Diary(location, path, tell)
    diary.skip()
    if calls is not None:
        calls.start()
    try:
        yield diary
    finally:
        diary.look()
        if calls is not None:
            calls.end()


class _Calls:
    """The thread that calls back, with one event after the other."""

    def __init__(self, callback: Callable[[Event], Any]) -> None:
        self._callback = callback
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._has_failed = False
        self._thread = threading.Thread(
            target=contextvars.copy_context().run,
            args=(self._run,),
            name="swarmgrid-events",
            daemon=True,
        )

    def start(self) -> None:
        self._thread.start()

    def put(self, event: Event) -> None:
        self._events.put(event)

    def end(self) -> None:
        """Wait until it was called with all of them."""
        self._events.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                self._callback(event)
            except BaseException as error:  # noqa: BLE001  # also SystemExit: the thread goes on
                if not self._has_failed:
                    self._has_failed = True
                    _log.warning(
                        "on_event has raised %s: %s at %r; the run goes on, and so do the events. "
                        "Further errors of it are not shown",
                        type(error).__name__,
                        error,
                        event,
                        exc_info=error,
                    )
