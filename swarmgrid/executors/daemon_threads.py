"""Threads for dask that do not keep the process from ending."""

from __future__ import annotations

import contextvars
import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = tuple[contextvars.Context, Future[Any], Callable[..., Any], tuple[Any, ...]]


class DaemonThreads:
    """Up to ``n`` threads that run what is submitted, as far as dask's scheduler needs that.

    Python waits at its end for the threads of `concurrent.futures`: after Ctrl-C a script would
    stay until the longest of the running points is over.

    Parameters
    ----------
    n : int
        The number of threads.
    """

    def __init__(self, n: int) -> None:
        self._max_workers = n  # where dask looks for it
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, call: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Have a thread make a call, in the context of this one."""
        future: Future[Any] = Future()
        self._calls.put((contextvars.copy_context(), future, call, args))
        if len(self._threads) < self._max_workers:
            thread = threading.Thread(
                target=self._serve, name=f"swarmgrid-thread-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        return future

    def close(self) -> None:
        """End the threads, each after its present call."""
        for _ in self._threads:
            self._calls.put(None)

    def _serve(self) -> None:
        while (found := self._calls.get()) is not None:
            context, future, call, args = found
            try:
                future.set_result(context.run(call, *args))
            except BaseException as error:  # noqa: BLE001  # dask raises it where it is asked for
                future.set_exception(error)
            # else a waiting thread would hold the last results in memory
            del found, context, future, call, args
