"""Spaces calls out in time."""

from __future__ import annotations

import threading
import time


class RateLimiter:
    """Lets callers through one after the other, ``interval`` seconds apart at least.

    Parameters
    ----------
    interval : float
        Seconds; 0 lets everybody through.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._next = 0.0
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def wait(self) -> None:
        """Return when it is the caller's turn, or once nothing more is to begin."""
        if not self.interval or self._stopped.is_set():
            return
        with self._lock:
            now = time.monotonic()
            turn = max(self._next, now)
            self._next = turn + self.interval
        self._stopped.wait(turn - now)

    def stop(self) -> None:
        """Keep nobody waiting any more."""
        self._stopped.set()
