"""A dask scheduler whose tasks run in the calling process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from swarmgrid.executors.base import Traits
from swarmgrid.executors.dask_nodes import Graphs
from swarmgrid.executors.direct import DirectChannel
from swarmgrid.executors.interrupt import interrupted_between_calls
from swarmgrid.worker.evaluate import run_task
from swarmgrid.worker.heartbeat import Heartbeat, Stop
from swarmgrid.worker.monitor import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.executors.base import Tasks
    from swarmgrid.executors.rate import RateLimiter
    from swarmgrid.transport.messages import Job, Task


class DaskInProcess:
    """A dask scheduler whose tasks run in the calling process: its threads, or itself.

    Parameters
    ----------
    job : Job
        The job.
    get : callable
        The scheduler: ``get(graph, keys, ...)``.
    n_workers : int
        The number of threads that it uses.
    end_threads : callable, optional
        Has the scheduler's threads end, where they are this run's own.
    """

    def __init__(
        self,
        job: Job,
        get: Callable[..., Any],
        n_workers: int,
        *,
        end_threads: Callable[[], None] | None = None,
    ) -> None:
        self.traits = Traits(n_workers, may_write=True, is_isolating=True)
        self._job = job
        self._graphs = Graphs(job.grid.path.function, get, n_workers)
        self._local = threading.local()
        self._stopped = threading.Event()
        self._closed = threading.Event()
        self._heartbeats: list[Heartbeat] = []
        self._watchdog = Watchdog()
        self._end_threads = end_threads

    def prepare(self, n: int) -> None:
        """Nothing to make ready."""

    def wait_until_ready(self) -> None:
        """It always is."""

    def run(self, tasks: Tasks, n: int, limiter: RateLimiter) -> None:
        def drive(task: Task) -> None:
            limiter.wait()
            if self._stopped.is_set():
                return
            channel = DirectChannel(task, tasks, limiter, self._closed.is_set)
            heartbeat = self._heartbeat()
            with interrupted_between_calls(heartbeat):  # a scheduler may use the main thread
                result = run_task(self._job, task, heartbeat, self._watchdog, channel)
                tasks.report(task, result)
            if result.interruption is not None:
                raise result.interruption

        self._graphs.run(drive, tasks, n)

    def relieve(self) -> None:
        """Its tasks end by themselves after two seconds at most."""

    def stop(self) -> None:
        self._stopped.set()
        for heartbeat in self._heartbeats:
            heartbeat.request_stop(Stop.RUN_ENDS)

    def close(self) -> None:
        self.stop()
        self._closed.set()  # a thread cannot be ended, but what it finds is not written any more
        if self._end_threads is not None:
            self._end_threads()

    def _heartbeat(self) -> Heartbeat:
        """The heartbeat of the calling thread."""
        if not hasattr(self._local, "own"):
            self._local.own = Heartbeat()
            self._heartbeats.append(self._local.own)
        own: Heartbeat = self._local.own
        return own
