"""The iterator over events, also for ``async for``."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from typing import TYPE_CHECKING, Self

from swarmgrid.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.following.events import Event
    from swarmgrid.following.store import StoreFollower
    from swarmgrid.following.waking import Waker


class Watch:
    """The events of stored grids, one after the other; made by `swarmgrid.watch`.

    It is an iterator, also for ``async for``, and a context manager. It reads the store only while
    it is asked for the next event, and never after it is closed.

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width):
    ...     return width * 2.0
    >>> ds = swarmgrid.compute(area, axes={"width": [1, 2]}, store="memory://watch")
    >>> with swarmgrid.watch("memory://watch", area, timeout=0) as watch:
    ...     for event in watch:
    ...         match event:
    ...             case swarmgrid.PointsComputed(n_points=n):
    ...                 print(n, event.points["width"])
    2 [1 2]
    """

    __module__ = "swarmgrid"

    def __init__(
        self,
        follower: StoreFollower,
        waker: Waker,
        *,
        interval: float = 1.0,
        timeout: float | None = None,
        until: Callable[[Event], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._follower = follower
        self._waker = waker
        self._interval = interval
        self._due = clock()
        """The time of the next look, if nothing asks for an earlier one."""
        self._timeout = timeout
        self._until = until
        self._clock = clock
        self._closed = threading.Event()
        self._lock = threading.Lock()
        """Held while the store is looked at, and between looks: two threads may wait at once."""
        self._is_over = False
        self._position = follower.position

    @property
    def token(self) -> str:
        """A text that stands for all events that were taken so far; see `Event.token`."""
        return self._position.to_text()

    def close(self) -> None:
        """End the iteration, from any thread; nothing is read any more."""
        self._closed.set()
        self._waker.wake()
        if self._lock.acquire(blocking=False):  # else the thread that waits does it
            try:
                self._waker.close()
            finally:
                self._lock.release()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        while self._find():
            if (event := self._taken()) is not None:
                return event
        self.close()
        raise StopIteration

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        is_given_up = threading.Event()
        try:
            # only found in the thread: where the task is cancelled, the event is not lost
            while await in_thread(self._find, is_given_up):
                if (event := self._taken()) is not None:
                    return event
        except asyncio.CancelledError:
            is_given_up.set()
            self._waker.wake()
            raise
        self.close()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iteration, as `close`; for ``contextlib.aclosing``."""
        self.close()

    def _taken(self) -> Event | None:
        """The next event; None if another thread or task has taken it."""
        ready = self._follower.ready
        try:
            event = ready.popleft()
        except IndexError:
            return None
        try:
            self._is_over = self._until is not None and bool(self._until(event))
        except BaseException:
            ready.appendleft(event)  # it is not taken: the next step yields it
            raise
        self._position = event.position
        return event

    def _find(self, is_given_up: threading.Event | None = None) -> bool:
        """Wait for an event; False if none is to come, or none is waited for any more."""
        end = math.inf if self._timeout is None else self._clock() + self._timeout
        with self._lock:
            try:
                while not (self._is_ended(is_given_up) or self._follower.ready):
                    is_last = self._clock() >= end
                    # from one look to the next, not from the end of a slow one: what comes just
                    # after a listing is told an interval later
                    pause = min(self._due, end) - self._clock()
                    if pause > 0:
                        self._waker.wait(pause, self._follower.folders)
                        if self._is_ended(is_given_up):
                            break
                    self._due = self._clock() + self._interval
                    self._follower.look()
                    if is_last and not self._follower.ready:
                        return False
                return not self._is_ended(is_given_up)
            finally:
                if self._closed.is_set():
                    self._waker.close()

    def _is_ended(self, is_given_up: threading.Event | None) -> bool:
        """Whether no caller waits for the next event."""
        is_cancelled = is_given_up is not None and is_given_up.is_set()
        return is_cancelled or self._closed.is_set() or self._is_over

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed.is_set() else f"woken by {self._waker.name}"
        return f"<swarmgrid.Watch {state}>"
