"""Who computes a run: the calling process where that is soon done, else workers."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from swarmgrid.executors.local import InProcess
from swarmgrid.executors.process import process_count
from swarmgrid.executors.select import configured, executor_for, has_client
from swarmgrid.store.sharing import is_shared, new_probe, probe

if TYPE_CHECKING:
    from swarmgrid.executors.local import Executor
    from swarmgrid.run_options import Settings
    from swarmgrid.transport.messages import Job

SMALL_SECONDS = 0.25
"""Less work than this is done in the calling process: starting workers takes as long."""


class Staff:
    """The executors of a run.

    Parameters
    ----------
    job, settings : Job, Settings
        What to do, and how.
    cost : float or None
        Seconds per point, where that is known.
    left : int
        Points to compute.
    """

    def __init__(self, job: Job, settings: Settings, cost: float | None, left: int) -> None:
        self._job = job
        self._probe = contextlib.ExitStack()
        self._settings = settings
        self._left = left
        self._lock = threading.Lock()
        self._workers: Executor | None = None
        self._is_stopped = self._is_closed = False
        self.is_provisional = self._may_begin_here() and (
            cost is None or cost * left < SMALL_SECONDS
        )
        """Whether it is the calling process, and workers may take its place."""
        self.present: Executor = InProcess(job) if self.is_provisional else self.workers()
        """Who computes at present."""

    def workers(self) -> Executor:
        """What the options and dask's configuration ask for, made when it is first needed."""
        with self._lock:
            if self._workers is None:
                self._workers = self._hired()
                self._workers.prepare(self._left)
                if self._is_closed:
                    self._workers.close()
                elif self._is_stopped:
                    self._workers.stop()
            return self._workers

    @property
    def n_workers(self) -> int:
        """How many tasks the present executor runs at once, or the one that may follow it."""
        if self.is_provisional:
            return self._settings.workers or process_count()
        return self.present.n_workers

    def reconsider(self, cost: float | None, left: int) -> None:
        """Go on with workers, where what was tried shows that they are worth it."""
        if self.is_provisional and (self._workers or (cost or 0.0) * left > SMALL_SECONDS):
            self.is_provisional = False
            self.present = self.workers()

    @property
    def n_running(self) -> int:
        """How many tasks are being computed at this moment, where that can be known."""
        return sum(executor.n_running for executor in self._all())

    def stop(self) -> None:
        """Begin no further task, and have the running ones report after their present point."""
        with self._lock:
            self._is_stopped = True
        for executor in self._all():
            executor.stop()

    def close(self) -> None:
        """End everything that runs, and free what is held."""
        with self._lock:
            self._is_closed = True
        for executor in self._all():
            executor.close()
        self._probe.close()

    def _hired(self) -> Executor:
        """The workers' executor, and in the store what they must see before they write.

        Whether each worker sees the same store as this process nobody knows beforehand: a store
        object may hold its values in memory, and a directory may be of one machine of a cluster.
        """
        job = self._job
        is_sure = job.location.store is None and not has_client(self._settings)
        if not is_sure and is_shared(job.location):
            job = replace(job, probe=new_probe())
        workers = executor_for(job, self._settings)  # packs the job
        if job.probe is not None:
            self._probe.enter_context(probe(job.location, job.probe))
        return workers

    def _all(self) -> list[Executor]:
        with self._lock:
            others = [] if self._workers in {None, self.present} else [self._workers]
        return [self.present, *[other for other in others if other is not None]]

    def _may_begin_here(self) -> bool:
        """Whether the user leaves it open who computes, and expects nothing of processes.

        Who wants failures recorded may expect that of a function that ends its process, too.
        """
        settings = self._settings
        is_open = settings.executor is None and settings.client is None
        is_safe = settings.on_error == "raise" and not settings.needs_processes
        return is_open and is_safe and configured().is_default
