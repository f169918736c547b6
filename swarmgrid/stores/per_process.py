"""A connection belongs to the process that made it: a forked process makes its own."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_all: weakref.WeakSet[PerProcess[Any]] = weakref.WeakSet()
_inherited: list[Any] = []
"""The things of the process that this one was forked from. They are never closed here: that could
end what the other process still uses."""


class PerProcess(Generic[T]):
    """Something that is made once per process, when it is first asked for.

    Parameters
    ----------
    make : callable
        Makes it.
    end : callable
        Ends it, with its connections.
    """

    def __init__(self, make: Callable[[], T], end: Callable[[T], object]) -> None:
        self._make = make
        self._end = end
        self._made: list[T] = []
        self._lock = threading.Lock()
        _all.add(self)

    def get(self) -> T:
        """Return the one of the process that asks; make it, if there is none."""
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]

    def close(self) -> None:
        """End the one of the process that asks, if there is one; `get` makes another."""
        with self._lock:
            made, self._made = self._made, []
        for one in made:
            self._end(one)

    def begin_anew(self) -> None:
        """Forget what a forked process inherited."""
        _inherited.append(self._made)
        self._made = []
        self._lock = threading.Lock()  # the old one may be held by a thread that is not here


def _after_fork() -> None:
    for one in list(_all):
        one.begin_anew()


os.register_at_fork(after_in_child=_after_fork)
