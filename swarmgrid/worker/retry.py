"""Calls a flaky function again, after a pause that doubles."""

from __future__ import annotations

import functools
import time
import traceback
from typing import TYPE_CHECKING, Any

from swarmgrid.transport.messages import TRY, Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenacity import RetryCallState

    from swarmgrid.worker.calls import Function, Pulse

BACKOFF_SECONDS = 0.1
"""The pause before the first retry; it doubles with each, up to `MAX_BACKOFF_SECONDS`."""
MAX_BACKOFF_SECONDS = 10.0
PAUSED = -1.0
"""What the pulse shows in place of the number of the try between two of them."""


def with_retries(
    func: Function,
    retries: int,
    names: Sequence[str],
    pulse: Pulse,
    wait_for_turn: Callable[[], None],
    note: Callable[[Retry], None],
) -> Function:
    """The function, called again when it fails.

    Parameters
    ----------
    func : callable
        The function.
    retries : int
        How often; with 0 it is returned as it is.
    names : sequence of str
        The arguments that say which point it is.
    pulse : mutable sequence of float
        Shows which try is going on: a time limit holds for each by itself.
    wait_for_turn : callable
        Returns when the rate of calls allows the next one.
    note : callable
        Told of each failure that is followed by another try.
    """
    if not retries:
        return func
    from tenacity import Retrying, stop_after_attempt, wait_exponential

    def begin(state: RetryCallState) -> None:
        pulse[TRY] = state.attempt_number

    def pause(seconds: float) -> None:
        pulse[TRY] = PAUSED
        time.sleep(seconds)
        wait_for_turn()

    present: dict[str, Any] = {}

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        reason = "".join(traceback.format_exception_only(error)).strip()
        note(Retry({name: present[name] for name in names}, reason, state.attempt_number))

    retrying = Retrying(
        stop=stop_after_attempt(retries + 1),
        wait=wait_exponential(BACKOFF_SECONDS, MAX_BACKOFF_SECONDS),
        before=begin,
        sleep=pause,
        before_sleep=tell,
        reraise=True,
    )

    def call(**arguments: Any) -> Any:
        present.update(arguments)
        return retrying(functools.partial(func, **arguments))

    return call
