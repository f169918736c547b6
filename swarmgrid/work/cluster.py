"""Hands tasks to the workers of a ``dask.distributed`` cluster."""

from __future__ import annotations

import pickle
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from swarmgrid.work import worker
from swarmgrid.work.job import Lost, Receipt

if TYPE_CHECKING:
    from swarmgrid.work.executors import Receive
    from swarmgrid.work.job import Task
    from swarmgrid.work.source import Source
    from swarmgrid.work.throttle import Throttle

QUEUED_PER_WORKER = 4
"""Tasks that a cluster has at once, so that its workers need not wait for the next."""
NEWS_SECONDS = 0.5
"""How long it takes at most until a cluster's scheduler knows of a task."""


class Cluster:
    """A ``dask.distributed.Client``: the job is sent to its workers once.

    Parameters
    ----------
    job : bytes
        The pickled job.
    client : distributed.Client
        The client.
    """

    shares_memory = False
    is_isolating = False
    may_overlap = False
    is_ready = True
    n_running = 0

    def __init__(self, job: bytes, client: Any) -> None:
        self._client = client
        self._packed = job
        self._job: Any = None
        self._is_stopped = False
        self._running: dict[Any, tuple[Task, float]] = {}
        self.n_workers = max(1, sum(client.nthreads().values()))

    def prepare(self, n: int) -> None:
        """Nothing to make ready: the cluster is there."""

    def run(
        self,
        source: Source,
        receive: Receive,
        throttle: Throttle,  # noqa: ARG002  # the settings exclude a rate with a client
    ) -> None:
        from distributed import KilledWorker, as_completed

        if self._job is None or self._job.status != "finished":  # it dies with the last worker
            self._job = self._client.scatter(self._packed, broadcast=True, hash=False)
        running = as_completed(loop=self._client.loop)
        self._submit_all(source, running)
        for future in running:
            task, _ = self._running.pop(future)
            if self._is_stopped and future.cancelled():
                continue
            try:
                receipt = pickle.loads(future.result())
            except (KilledWorker, CancelledError) as error:
                reason = f"WorkerLostError: {_why(error)}"
                receipt = Receipt(lost=Lost(reason, None))
            receive(task, receipt)
            future.release()
            source.returned()
            self._submit_all(source, running)

    def _submit_all(self, source: Source, running: Any) -> None:
        """Have so many tasks under way that no worker waits."""
        while len(self._running) < QUEUED_PER_WORKER * self.n_workers:
            task = None if self._is_stopped else source.take(may_wait=False)
            if task is None:
                return
            packed = worker.pickled(task)
            future = self._client.submit(worker.run_remote, self._job, packed, pure=False)
            self._running[future] = task, time.monotonic()
            running.add(future)

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


def _why(error: BaseException) -> str:
    """What became of a task's worker; dask cancels what it has forgotten with the worker."""
    if isinstance(error, CancelledError):
        return "its worker in the cluster ended"
    return str(error).partition(".")[0]
