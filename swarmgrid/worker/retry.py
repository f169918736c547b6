"""Calls a flaky function again, after a pause that doubles."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, Any

from swarmgrid.transport.messages import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmgrid.worker.calls import Function
    from swarmgrid.worker.heartbeat import Heartbeat

BACKOFF_SECONDS = 0.1
"""The pause before the first retry; it doubles with each, up to `MAX_BACKOFF_SECONDS`."""
MAX_BACKOFF_SECONDS = 10.0


def with_retries(
    func: Function,
    retries: int,
    names: Sequence[str],
    heartbeat: Heartbeat,
    wait_for_turn: Callable[[], None],
    note: Callable[[Retry], None],
) -> Function:
    """The function, called again when it raises an `Exception`; the last one is raised.

    Parameters
    ----------
    func : callable
        The function.
    retries : int
        The most repeated calls; with 0 the function is returned as it is.
    names : sequence of str
        The arguments that identify the point.
    heartbeat : Heartbeat
        Shows which attempt is being made: a time limit holds for each by itself.
    wait_for_turn : callable
        Returns when the rate of calls allows the next one.
    note : callable
        Told of each failure that is followed by another attempt.
    """
    if not retries:
        return func

    def call(**arguments: Any) -> Any:
        for attempt in range(1, retries + 1):
            heartbeat.begin_attempt(attempt)
            try:
                return func(**arguments)
            # no BaseException: Ctrl-C and SIGTERM are no failures of the function
            except Exception as error:  # noqa: BLE001  # any may be gone the next time
                reason = "".join(traceback.format_exception_only(error)).strip()
            note(Retry({name: arguments[name] for name in names}, reason, attempt))
            # a pause is no slow call: the time limit begins anew with the next attempt
            heartbeat.pause_attempts()
            time.sleep(pause_seconds(attempt))
            wait_for_turn()
        # the last one is not caught: its error is what the user sees
        heartbeat.begin_attempt(retries + 1)
        return func(**arguments)

    return call


def pause_seconds(attempt: int) -> float:
    """The pause after an attempt, the first being 1."""
    return min(MAX_BACKOFF_SECONDS, BACKOFF_SECONDS * 2.0 ** min(attempt - 1, 30))
