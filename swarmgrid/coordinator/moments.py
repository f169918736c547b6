"""Tells about once a second how far a run is, also while no point comes back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from swarmgrid.observe.events import Moment

if TYPE_CHECKING:
    from swarmgrid.coordinator.run_state import RunState

FIRST_SECONDS = 0.3
"""The time of the first moment: a run that is over by then shows nothing."""
EVERY_SECONDS = 1.0


class Moments:
    """Tells the moments of a run when they are due, by the run's own clock.

    Parameters
    ----------
    state : RunState
        The state of the run.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._stage = ""
        self.due = state.begun + FIRST_SECONDS
        """The time of the next moment, on the monotonic clock."""

    def tell(self) -> None:
        """Tell the present moment, if one is due."""
        now = self._state.now
        is_news = bool(self._stage) and self._stage != _stage(self._state)
        if now < self.due and not is_news:
            return
        # moments that passed while a message took long, or the machine slept, are not made up for
        n_missed = math.floor((now - self.due) / EVERY_SECONDS)
        self.due += (1 + n_missed) * EVERY_SECONDS
        self._stage = _stage(self._state)
        self._state.tell(moment(self._state))


def moment(state: RunState) -> Moment:
    """The progress of a run now."""
    counts, left = state.counts, state.counts.left
    n_running = sum(e.n_running for e in state.engines.values()) * _points_per_call(state)
    return Moment(
        seconds=state.now - state.begun,
        settled=counts.requested - left,
        computed=counts.computed,
        failed=counts.failed,
        begun=counts.requested - left + min(n_running, left),
        workers=state.n_workers,
        seconds_left=_seconds_left(state, left),
        stage=_stage(state),
    )


def _stage(state: RunState) -> Literal["computing", "stopping"]:
    return "stopping" if state.is_stopping else "computing"


def _points_per_call(state: RunState) -> int:
    """The number of points of one call: those of a chunk, if the function takes blocks."""
    if not state.request.function.vectorized:
        return 1
    shape = state.inference.chunk_shape if state.inference is not None else None
    if state.coverage is not None:
        shape = state.coverage.grid.chunk_shape
    return math.prod(shape or ())


def _seconds_left(state: RunState, left: int) -> float | None:
    cost = state.cost.seconds_per_point
    if cost is None:
        return None
    seconds = cost * left if state.expected is None else state.expected.seconds_left(left)
    at_once = max(1, min(state.n_workers, left // _points_per_call(state)))
    return max(seconds / at_once, left * state.limiter.interval)
