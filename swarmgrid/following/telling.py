"""Tells a callback of the events of a grid while a block of code runs."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import SwarmgridError
from swarmgrid.following.store import StoreFollower
from swarmgrid.following.token import Position
from swarmgrid.following.waking import waker_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swarmgrid.following.events import Event
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import Location

INTERVAL_SECONDS = 0.5
"""The pause between two looks, where no hint comes before."""
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def told(
    location: Location, path: GridPath, callbacks: list[Callable[[Event], Any]]
) -> Iterator[None]:
    """Tell callbacks of the events of a grid from now on to the end of a ``with`` block.

    They are called one after the other by a thread of their own, so that none holds up the run.
    The block ends once all was told. No error of a callback, or of reading the events, comes out
    of it.
    """
    if not callbacks:
        yield
        return
    follower = StoreFollower(location, lambda other: other.grid == path.grid, Position())
    try:
        follower.skip()
    except SwarmgridError as error:  # the run itself says what is wrong with the store
        _log.warning("what is stored cannot be read: %s; events may be told again", error)
    telling = _Telling(location, follower, callbacks)
    telling.start()
    try:
        yield
    finally:
        telling.end()


class _Telling:
    """The thread that calls back."""

    def __init__(
        self,
        location: Location,
        follower: StoreFollower,
        callbacks: list[Callable[[Event], Any]],
    ) -> None:
        self._follower = follower
        self._callbacks = callbacks
        self._waker = waker_for(location)
        self._ended = threading.Event()
        self._failed: set[int] = set()
        self._is_blind = False
        self._thread = threading.Thread(
            target=contextvars.copy_context().run,
            args=(self._run,),
            name="swarmgrid-events",
            daemon=True,
        )

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Tell what is left, and end the thread."""
        self._ended.set()
        self._waker.wake()
        self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                is_last = self._ended.is_set()
                self._look()
                is_last = is_last and not self._follower.ready
                while self._follower.ready:
                    self._call(self._follower.ready.popleft())
                if is_last:
                    return
                if not self._ended.is_set():
                    self._waker.wait(INTERVAL_SECONDS, self._follower.folders)
        finally:
            self._waker.close()

    def _look(self) -> None:
        try:
            self._follower.look()
            self._is_blind = False
        except SwarmgridError as error:
            if not self._is_blind:
                _log.warning("events cannot be read: %s; this is tried again", error)
            self._is_blind = True

    def _call(self, event: Event) -> None:
        for number, callback in enumerate(self._callbacks):
            try:
                callback(event)
            except BaseException as error:  # noqa: BLE001  # also SystemExit: the thread goes on
                if number not in self._failed:
                    self._failed.add(number)
                    _log.warning(
                        "on_event has raised %s: %s at %r; the run goes on, and so do the events. "
                        "Further errors of it are not shown",
                        type(error).__name__,
                        error,
                        event,
                        exc_info=error,
                    )
