"""The heartbeat of a worker: what it is doing, and whether it is asked to stop.

Three floats in memory that a worker shares with the process that watches it. Only this module
knows what they mean.
"""

from __future__ import annotations

import enum
from typing import Protocol

POINT, ATTEMPT, STOP = 0, 1, 2
"""The places of the three floats. The first is the ordinal, among the task's points, of the one
that is computed; between two calls it is half less than the next one's, so that one store says
both. The second is the number of the attempt, negative in the pause before the next. The third is
a `Stop`."""
N_FLOATS = 3
_BETWEEN = 0.5
_PAUSED = -1.0


class Stop(enum.IntEnum):
    """The cause for which a worker is asked to end its task after the present call."""

    NONE = 0
    """It is not."""
    RUN_ENDS = 1
    """Nothing more of the run is to begin."""
    TASK_LATE = 2
    """This task alone is to end: its time is up, or a worker that is idle shares it."""
    INTERRUPTED = 3
    """Ctrl-C or SIGTERM came in a call: its result is not to be kept."""


class Floats(Protocol):
    """The memory that a heartbeat may be kept in: a list, a ``RawArray``, or a view of one."""

    def __getitem__(self, number: int, /) -> float: ...

    def __setitem__(self, number: int, value: float, /) -> None: ...


class Heartbeat:
    """Shared by a worker and those that watch it: the point, the attempt, whether to stop.

    There is no lock. The point and the attempt have one writer, the worker; a float is stored
    whole, so a reader sees the old or the new one. The request to stop has several writers: see
    `request_stop` and `end_task`.

    Parameters
    ----------
    floats : mutable sequence of float, optional
        The memory for the floats. Default: a list, which the threads of one process share.
    """

    __slots__ = ("floats",)

    def __init__(self, floats: Floats | None = None) -> None:
        self.floats: Floats = [0.0] * N_FLOATS if floats is None else floats
        """The floats themselves, for the loop that every point goes through: there a method call
        would be a tenth of what a point costs."""

    def begin(self, ordinal: int) -> None:
        """Show that the call at a point has begun."""
        self.floats[POINT] = ordinal

    def pause_before(self, ordinal: int) -> None:
        """Show that no call is running, and which point is next."""
        self.floats[POINT] = ordinal - _BETWEEN

    def begin_attempt(self, number: int) -> None:
        """Show that a call at the present point has begun, the first or a repeated one."""
        self.floats[ATTEMPT] = number

    def pause_attempts(self) -> None:
        """Show that the next attempt at the present point has not begun."""
        self.floats[ATTEMPT] = _PAUSED

    @property
    def is_calling(self) -> bool:
        """Whether the function is being called at a point, or its next attempt waited for."""
        return self.floats[POINT] % 1 == 0

    @property
    def is_paused(self) -> bool:
        """Whether the next attempt at a point has not begun."""
        return self.floats[ATTEMPT] < 0

    @property
    def point(self) -> int | None:
        """The ordinal of the point that is computed; None between two calls."""
        point = self.floats[POINT]  # read once: the next call may begin meanwhile
        return int(point) if point % 1 == 0 else None

    @property
    def next_point(self) -> int:
        """The ordinal of the point that is computed, or that is computed next."""
        return int(self.floats[POINT] + _BETWEEN)  # one read, whether a call runs or not

    @property
    def beat(self) -> tuple[float, float]:
        """Two values that change with every call and every attempt."""
        return self.floats[POINT], self.floats[ATTEMPT]

    @property
    def stop(self) -> Stop:
        """The cause for which the task ends after the present call, if it must."""
        return Stop(int(self.floats[STOP]))

    def request_stop(self, why: Stop) -> None:
        """Ask the worker to end its task after the present call.

        That a task is late gives way to any other reason. Between the look and the store the end
        of the run may be asked for and be overwritten; the task ends all the same, and the
        executors, which know that the run ends, hand out no further one.
        """
        if why is not Stop.TASK_LATE or not self.floats[STOP]:
            self.floats[STOP] = why

    def end_task(self) -> None:
        """Take back the request to end the present task: the next is not late.

        A request that comes after this one has ended makes the next task end after one point,
        which costs a round trip and loses nothing.
        """
        if self.floats[STOP] == Stop.TASK_LATE:
            self.floats[STOP] = Stop.NONE
