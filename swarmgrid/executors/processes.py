"""dask's threaded scheduler, each of its threads driving a worker process."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from swarmgrid.executors.base import Traits
from swarmgrid.executors.daemon_threads import DaemonThreads
from swarmgrid.executors.dask_nodes import Graphs
from swarmgrid.leases.sharing import try_sharing
from swarmgrid.process_pool import process_main
from swarmgrid.process_pool.pool import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.executors.base import Tasks
    from swarmgrid.executors.rate import RateLimiter
    from swarmgrid.run_options import Limits
    from swarmgrid.transport.messages import Job, Task, TaskResult


class DaskProcesses:
    """dask's threaded scheduler, each of its threads driving a worker process.

    dask's own process scheduler gives up the whole run when one worker dies, and cannot say
    which point did it; a thread that waits for one process can.

    Parameters
    ----------
    job : Job
        The job.
    pickled : bytes
        The same as it travels.
    n_workers : int
        The number of processes.
    limits : Limits
        The limits of each worker.
    """

    def __init__(self, job: Job, pickled: bytes, n_workers: int, limits: Limits) -> None:
        may_write = try_sharing(job.grid.location)
        self.traits = Traits(n_workers, may_write, is_isolating=True)
        self._name = job.grid.path.function
        self._graphs: Graphs | None = None
        self._threads: DaemonThreads | None = None
        self._pool = WorkerPool(pickled, n_workers, limits)

    def prepare(self, n: int) -> None:
        self._pool.prepare(n)

    def wait_until_ready(self) -> None:
        self._pool.wait_until_ready()

    def run(self, tasks: Tasks, n: int, limiter: RateLimiter) -> None:
        def drive(task: Task) -> None:
            rest, n_settled = task, 0

            def report(partial: TaskResult) -> None:
                nonlocal rest, n_settled
                tasks.report(rest, partial)
                rest, n_settled = task.after(partial.n_settled), partial.n_settled

            n_points = sum(len(part.points) for part in task.parts)
            packed = process_main.pickled(task)
            result = self._pool.run(
                packed, n_points, report, limiter.wait, is_isolated=task.is_isolated
            )
            if result is None:
                return
            if result.crash is not None and result.crash.begun is not None:
                begun = result.crash.begun - n_settled
                result.crash = replace(result.crash, begun=begun)
            tasks.report(rest, result)

        if self._graphs is None:
            # as many threads again hold the next task ready, unless it begins at a certain time
            n_threads = self.traits.n_workers * (1 if limiter.interval else 2)
            # not dask's own, which end before what `atexit` calls
            self._threads = DaemonThreads(n_threads)
            get = functools.partial(threaded_scheduler(), pool=self._threads)
            self._graphs = Graphs(self._name, get, n_threads)
        self._graphs.run(drive, tasks, n)

    def relieve(self) -> None:
        self._pool.relieve()

    def stop(self) -> None:
        self._pool.stop()

    def close(self) -> None:
        if self._threads is not None:  # each ends after the task that the pool cuts short now
            self._threads.close()
        self._pool.close()


def threaded_scheduler() -> Callable[..., Any]:
    """Import dask's scheduler of threads, while another thread may import dask, too."""
    # Not `dask.threaded` at once: its lock and that of dask, taken in this order, are a deadlock
    # with a function that makes its first DataArray now. Python breaks it by failing both imports.
    import dask
    import dask.threaded

    get: Callable[..., Any] = dask.threaded.get
    return get
