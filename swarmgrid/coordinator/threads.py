"""Calls that go on in a thread while the coordinator does something else."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_SECONDS = 0.01
"""How often is looked whether what is waited for is there."""


class Background:
    """A call that can be made here, or in a thread.

    Parameters
    ----------
    call : callable
        What to call, and its arguments.
    """

    def __init__(self, call: Callable[..., None], *arguments: Any) -> None:
        self.run = functools.partial(call, *arguments)
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._kept, name="swarmgrid-first", daemon=True)

    def start(self) -> None:
        """Begin it in a thread, unless it was."""
        with self._lock:
            if not self.has_started:
                self._thread.start()

    @property
    def has_started(self) -> bool:
        """Whether it was begun in a thread."""
        return self._thread.ident is not None

    def wait(self, until: Callable[[], bool]) -> None:
        """Return when the call has returned, or earlier, once ``until`` is true."""
        while self._thread.is_alive() and not until():
            self._thread.join(POLL_SECONDS)

    def join(self) -> None:
        """Wait for the call, if it was begun in a thread; raises what it raised."""
        if self.has_started:
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _kept(self) -> None:
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001  # raised where the run can see it
            self._error = error


class Regularly:
    """Calls something again and again, under a lock, until it is left.

    Parameters
    ----------
    seconds : float
        How long to wait before each call.
    lock : RLock
        Held during the calls.
    action : callable
        What to do.
    """

    def __init__(self, seconds: float, lock: Any, action: Callable[[], None]) -> None:
        self._seconds = seconds
        self._lock = lock
        self._action = action
        self._left = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="swarmgrid-explore", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._left.set()
        self._thread.join()
        if self._error is not None and error[0] is None:
            raise self._error

    def _run(self) -> None:
        while not self._left.wait(self._seconds):
            try:
                with self._lock:
                    self._action()
            except BaseException as error:  # noqa: BLE001  # raised where the run can see it
                self._error = error
                return
