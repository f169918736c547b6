"""Spaces calls out in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class RateLimiter:
    """Lets callers through one after the other, ``interval`` seconds apart at least.

    Parameters
    ----------
    interval : float
        Seconds; 0 lets everybody through.
    now : callable
        The time, in seconds.
    pause : callable, optional
        Waits so many seconds. Default: until that time is over, or `stop` is called.
    """

    def __init__(
        self,
        interval: float,
        *,
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.interval = interval
        self._now = now
        self._next = 0.0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._pause = self._stopped.wait if pause is None else pause

    def wait(self) -> None:
        """Return when it is the caller's turn, or once nothing more is to begin."""
        if not self.interval or self._stopped.is_set():
            return
        with self._lock:
            now = self._now()
            turn = max(self._next, now)
            self._next = turn + self.interval
        # without the lock: others take their turns meanwhile, and `stop` wakes all of them
        self._pause(turn - now)

    def stop(self) -> None:
        """Let all waiting calls go on, and no later one wait."""
        self._stopped.set()
