"""Ctrl-C and SIGTERM: they end a run, and cost it as little as possible."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

from swarmgrid.transport.messages import TerminatedError
from swarmgrid.worker.heartbeat import Stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarmgrid.worker.heartbeat import Heartbeat


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Have SIGTERM end the run as Ctrl-C does, so that what is finished gets committed."""
    is_default = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if not is_default:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def interrupted_between_calls(heartbeat: Heartbeat) -> Iterator[None]:
    """Have the two signals wait while the calling thread does something else than a call.

    A call is interrupted at once; a function that swallows that does not keep the run from ending,
    and what it returns then is dropped. Anywhere else, an exception out of nowhere would cost the
    points whose results are on their way; there the heartbeat says stop, and the exception is
    raised at the end. A second signal does not wait.
    """
    waiting: list[BaseException] = []

    def handle(number: int, _frame: object) -> None:
        error: BaseException = KeyboardInterrupt()
        if number == signal.SIGTERM:
            error = TerminatedError(128 + number)
        is_first, is_in_call = not waiting, heartbeat.is_calling
        if is_first:
            waiting.append(error)
            heartbeat.request_stop(Stop.INTERRUPTED if is_in_call else Stop.RUN_ENDS)
        if is_in_call or not is_first:
            raise error

    ours = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _terminate}
    replaced = (
        [number for number, usual in ours.items() if signal.getsignal(number) is usual]
        if threading.current_thread() is threading.main_thread()
        else []
    )
    for number in replaced:
        signal.signal(number, handle)
    try:
        yield
    except BaseException as error:
        if waiting and error is not waiting[0]:  # whatever else failed must not swallow it
            raise waiting[0] from error
        raise
    finally:
        for number in replaced:
            signal.signal(number, ours[number])
    if waiting:
        raise waiting[0]


def _terminate(number: int, _frame: object) -> None:
    raise TerminatedError(128 + number)
