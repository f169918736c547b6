"""Shares the looks at one thing among all of its viewers; without viewers there are no looks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, Self

from swarmgrid.errors import SwarmgridError
from swarmgrid.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_CPU = 0.02
"""Looks take at most this part of one core, as far as pauses can see to that; sending what they
find takes about half as much on top. The whole is to stay under 3 %."""
MAX_PAUSE = 30.0
"""The pause between looks grows up to so many seconds while nothing changes."""
_GROWTH = 1.5
_log = logging.getLogger(__name__)


def next_pause(interval: float, cpu_seconds: float, n_same: int) -> float:
    """The seconds to wait for the next look.

    Parameters
    ----------
    interval : float
        The shortest pause.
    cpu_seconds : float
        The CPU time that the last look took.
    n_same : int
        The number of looks in a row that have shown the same.

    Examples
    --------
    >>> next_pause(1.0, 0.001, 0), next_pause(1.0, 0.3, 0), next_pause(1.0, 0.001, 20)
    (1.0, 15.0, 30.0)
    """
    idle = min(interval * _GROWTH ** max(0, min(n_same, 40) - 2), MAX_PAUSE)
    return max(interval, idle, cpu_seconds / MOST_CPU)


class Channel:
    """Looks at something as long as it has viewers.

    Parameters
    ----------
    look : callable
        Reads, and returns what there is to see; runs in a thread.
    is_same : callable
        Whether two of its results show the same.
    interval : float
        The shortest pause between looks, in seconds.
    longest : callable, optional
        The longest pause after a result.
    """

    def __init__(
        self,
        look: Callable[[], Any],
        is_same: Callable[[Any, Any], bool],
        interval: float,
        longest: Callable[[Any], float] = lambda _: MAX_PAUSE,
    ) -> None:
        self._look = look
        self._is_same = is_same
        self._interval = interval
        self._longest = longest
        self._n_viewers = 0
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._woken = asyncio.Event()
        self._has_warned = False
        self.number = 0
        """The number of looks."""
        self.seen: Any = None
        """The result of the last one; an error, if it was one."""

    async def __aenter__(self) -> Self:
        self._n_viewers += 1
        self._woken.set()  # a new viewer need not wait for the end of a long pause
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._n_viewers -= 1
        if self._n_viewers == 0 and self._task is not None:
            # first: a viewer that comes while this waits starts a task of its own
            ended, self._task = self._task, None
            ended.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ended

    @property
    def n_viewers(self) -> int:
        """The number of viewers."""
        return self._n_viewers

    async def next(self, number: int) -> Any:
        """The result of the first look after that of a number."""
        while self.number <= number:
            await self._changed.wait()
        return self.seen

    async def _run(self) -> None:
        n_same = 0
        while True:
            self._woken.clear()
            seen, cpu_seconds = await in_thread(self._time_look)
            is_same = self.number > 0 and self._is_same(self.seen, seen)
            n_same = n_same + 1 if is_same else 0
            self.seen = seen
            self.number += 1
            # each look has an event of its own: none is missed by a viewer that is still busy with
            # the last one, as it compares numbers before it waits
            self._changed.set()
            self._changed = asyncio.Event()
            least = next_pause(self._interval, cpu_seconds, 0)
            # whole, whatever wakes it: viewers that come and go cannot have it look more often
            await asyncio.sleep(least)
            rest = (
                min(next_pause(self._interval, cpu_seconds, n_same), self._longest(seen)) - least
            )
            if rest > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), rest)

    def _time_look(self) -> tuple[Any, float]:
        began = time.thread_time()
        try:
            seen = self._look()
        except SwarmgridError as error:
            seen = error
        except Exception as error:  # noqa: BLE001  # or viewers would wait for ever
            text = f"the store cannot be shown: {type(error).__name__}: {error}"
            seen = SwarmgridError(text)
            if not self._has_warned:
                self._has_warned = True
                _log.warning(text, exc_info=error)
        return seen, time.thread_time() - began
