"""Hands tasks to the workers of a ``dask.distributed`` cluster."""

from __future__ import annotations

import math
import pickle
import sys
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, cast

from swarmgrid.executors.base import SHORT_SECONDS, TASK_SECONDS, Traits
from swarmgrid.leases.sharing import try_sharing
from swarmgrid.process_pool import process_main
from swarmgrid.transport.messages import TaskResult, WorkerCrash

if TYPE_CHECKING:
    from swarmgrid.executors.base import Tasks
    from swarmgrid.executors.rate import RateLimiter
    from swarmgrid.transport.messages import Job, Task

QUEUED_PER_WORKER = 3
"""Tasks that a cluster has at once, so that its workers need not wait for the next."""
TASKS_PER_SECOND = 50
"""The load on a scheduler, which manages about 200: the more workers, the longer the tasks."""
PEAK_TASKS_PER_SECOND = 100
"""The same for a moment, near the end of a run."""
LOOK_SECONDS = 2.0
"""The time after which to ask the scheduler again how many workers there are."""
ADAPTIVE_TARGETS = 2.0
"""Of an adaptive cluster's `target_duration`, the work that waits for each worker."""
NEWS_SECONDS = 0.5
"""The longest time until a cluster's scheduler knows of a task."""


class Cluster:
    """A ``dask.distributed.Client``: the job is sent to its workers once.

    Parameters
    ----------
    job : Job
        The job.
    pickled : bytes
        The same as it travels.
    client : distributed.Client
        The client.
    """

    def __init__(self, job: Job, pickled: bytes, client: Any) -> None:
        self._client = client
        self._may_write = try_sharing(job.grid.location)
        self.traits = self._traits()
        self._looked = time.monotonic()
        self._packed = pickled
        self._job: Any = None
        self._is_stopped = False
        self._running: dict[Any, tuple[Task, float]] = {}
        self._has_seceded = is_in_task() and _secede()

    def _traits(self) -> Traits:
        """The traits with the workers that the cluster has now."""
        n = max(1, sum(self._client.nthreads().values()))
        return Traits(
            n_workers=n,
            may_write=self._may_write,
            is_isolating=False,
            task_seconds=max(TASK_SECONDS, n / TASKS_PER_SECOND),
            short_seconds=max(SHORT_SECONDS, n / PEAK_TASKS_PER_SECOND),
            first_points=1,
        )

    @property
    def n_queued(self) -> int:
        """The number of tasks that the cluster has at once.

        An adaptive cluster gets workers for the work that waits there, at its `target_duration`
        of it for each: without so much it would never get more, and end those that it has.
        """
        traits = self.traits
        per_worker = QUEUED_PER_WORKER
        adaptive = getattr(getattr(self._client, "cluster", None), "_adaptive", None)
        if adaptive is not None:
            seconds = ADAPTIVE_TARGETS * _target_seconds(adaptive)
            per_worker = max(per_worker, math.ceil(seconds / traits.task_seconds))
        return per_worker * traits.n_workers

    def prepare(self, n: int) -> None:
        """Nothing to make ready: the cluster is there."""

    def wait_until_ready(self) -> None:
        """It is there."""

    def run(
        self,
        tasks: Tasks,
        n: int,  # noqa: ARG002
        limiter: RateLimiter,  # noqa: ARG002  # the options exclude a rate with a client
    ) -> None:
        from distributed import as_completed

        # results are fetched as they come, many at a time: one by one takes 10 ms each
        running = as_completed(loop=self._client.loop, with_results=True, raise_errors=False)
        self._submit(tasks, running)
        for batch in running.batches():
            for future, result in batch:
                task, _ = self._running.pop(future)
                if self._is_stopped and future.cancelled():
                    continue
                tasks.report(task, _result(future, result))
                # the scheduler keeps a result as long as a future of it is held
                future.release()
                tasks.task_done()
            self._submit(tasks, running)

    def _submit(self, tasks: Tasks, running: Any) -> None:
        """Have so many tasks under way that no worker waits; in one message to the scheduler."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:  # the cluster may have grown or shrunk
            self._looked, self.traits = now, self._traits()
        begun: list[Task] = []
        n = self.n_queued - running.count()
        while len(begun) < n and not self._is_stopped:
            task = tasks.get(may_wait=False)
            if task is None:
                break
            begun.append(task)
        if not begun:
            return
        self._send_job()
        futures = self._client.map(
            process_main.run_remote,
            # not pure: dask would give equal tasks one key, and compute them once
            [self._job] * len(begun),
            [process_main.pickled(task) for task in begun],
            pure=False,
        )
        now = time.monotonic()
        self._running.update(
            (future, (task, now)) for future, task in zip(futures, begun, strict=True)
        )
        running.update(futures)

    def _send_job(self) -> None:
        """See that the workers can have the job: what is scattered dies with the last of them.

        A task's result dask makes again on the next worker there is; but it warns of large ones.
        """
        if self._job is None:
            self._job = self._client.scatter(self._packed, broadcast=True, hash=False)
        elif self._job.status not in {"finished", "pending"}:
            self._job = self._client.submit(process_main.held, self._packed, pure=False)

    def relieve(self) -> None:
        """Its tasks end by themselves, after some times what they were to take."""

    def stop(self) -> None:
        self._is_stopped = True
        begun = {key for keys in self._client.processing().values() for key in keys}
        known = time.monotonic() - NEWS_SECONDS  # what is newer may have begun meanwhile
        queued = [
            f for f, (_, since) in self._running.items() if f.key not in begun and since < known
        ]
        self._client.cancel([f for f in queued if f.status == "pending"])

    def close(self) -> None:
        self._is_stopped = True
        self._client.cancel([f for f in self._running if f.status == "pending"])
        if self._job is not None:
            self._job.release()
        if self._has_seceded:
            from distributed import rejoin

            self._has_seceded = False
            rejoin()


def _target_seconds(adaptive: Any) -> float:
    """The `target_duration` of an adaptive cluster; dask's default where it does not say."""
    seconds = getattr(adaptive, "target_duration", None)
    return float(seconds) if isinstance(seconds, (int, float)) else 5.0


def _secede() -> bool:
    """Give the worker's thread to others: our tasks would wait for it, and it for them.

    False where it was given up before, as ``worker_client`` does.
    """
    from distributed import secede

    try:
        secede()
    except KeyError:  # dask's word for a thread that is not of its pool any more
        return False
    return True


def is_in_task() -> bool:
    """Whether this thread is computing a task of a ``dask.distributed`` worker."""
    if "distributed.worker" not in sys.modules:
        return False
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True


def _result(future: Any, result: Any) -> TaskResult:
    """The result of a task; raises the error that is ours or the store's."""
    from distributed import KilledWorker

    if future.status == "finished":
        return cast("TaskResult", pickle.loads(result))
    # with `raise_errors=False` an error comes as a triple, of its type, itself and its traceback,
    # and a cancellation as itself
    error = result[1] if isinstance(result, tuple) else result
    if not isinstance(error, (KilledWorker, CancelledError)):
        raise error
    return TaskResult(crash=WorkerCrash("ended", _why(error), None))


def _why(error: BaseException) -> str:
    """The fate of a task's worker; dask cancels a task that it has forgotten with its worker."""
    if isinstance(error, CancelledError):
        return "its worker in the cluster ended"
    return str(error).partition(".")[0]
