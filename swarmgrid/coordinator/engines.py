"""The executors of a run: the calling process where that is soon done, else workers."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from swarmgrid.coordinator.inbox import EngineEnded, EngineMade, TaskSource
from swarmgrid.executors.in_process import InProcess
from swarmgrid.executors.select import configured, executor_for, has_client
from swarmgrid.leases.sharing import new_probe, probe, try_sharing

if TYPE_CHECKING:
    from queue import SimpleQueue

    from swarmgrid.coordinator.inbox import Message
    from swarmgrid.executors.base import Executor
    from swarmgrid.executors.rate import RateLimiter
    from swarmgrid.run_options import RunOptions
    from swarmgrid.transport.messages import Job

SMALL_SECONDS = 0.25
"""Less work than this is done in the calling process: starting workers takes as long."""
HERE, WORKERS = 0, 1
"""The numbers of the two engines: the one of the calling thread, and workers that join later."""


@dataclass(slots=True)
class Engine:
    """An executor and the thread that drives it."""

    executor: Executor
    probe: contextlib.ExitStack | None = None
    """Closed when the executor is: it removes what workers must see in the store."""
    n_out: int = 0
    """Tasks that it has."""
    has_asked: bool = False
    """Whether it has begun to ask for tasks."""
    has_ended: bool = False

    @property
    def n_running(self) -> int:
        """Tasks that run; an executor may hold further ones ready."""
        return min(self.n_out, self.executor.traits.n_workers)

    def close(self) -> None:
        """End everything that the executor runs."""
        self.executor.close()
        if self.probe is not None:
            self.probe.close()


def may_begin_here(options: RunOptions) -> bool:
    """Whether the user leaves the executor open, and no option relies on worker processes.

    ``on_error="record"`` may be meant for a function that ends its process, too.
    """
    is_open = options.executor is None and options.client is None
    is_safe = options.on_error == "raise" and not options.needs_processes
    return is_open and is_safe and configured().is_default


def first_engine(job: Job, options: RunOptions, left: int, *, is_trial: bool) -> Engine:
    """The engine that the calling thread drives."""
    if is_trial:
        return Engine(InProcess(job))
    engine = workers_engine(job, options)
    engine.executor.prepare(left)
    return engine


def workers_engine(job: Job, options: RunOptions) -> Engine:
    """The workers that the options ask for, and in the store what they must see to write there.

    It is not known beforehand whether each worker sees the same store as this process: a store
    object may hold its values in memory, and a directory may be of one machine of a cluster.
    """
    is_sure = job.grid.location.store is None and not has_client(options)
    if not is_sure and try_sharing(job.grid.location):
        job = replace(job, probe=new_probe())
    # before anything is put into the store: a job that cannot be packed is an error
    executor = executor_for(job, options)  # packs the job
    stack = contextlib.ExitStack()
    if job.probe is not None:
        stack.enter_context(probe(job.grid.location, job.probe))
    return Engine(executor, stack)


class Driver:
    """Drives executors, each in one thread, until the coordinator has no more tasks for it.

    Parameters
    ----------
    inbox : SimpleQueue
        The coordinator's inbox.
    closed : Event
        Set once no thread reads the inbox any more.
    limiter : RateLimiter
        Spaces the calls.
    """

    def __init__(
        self, inbox: SimpleQueue[Message], closed: threading.Event, limiter: RateLimiter
    ) -> None:
        self._inbox = inbox
        self._closed = closed
        self._limiter = limiter

    def drive(self, engine: int, executor: Executor) -> None:
        """Run tasks until there are none; raises what the executor raises."""
        tasks = TaskSource(engine, self._inbox, self._closed)
        error: BaseException | None = None
        try:
            while n := tasks.wait_for_work():
                executor.run(tasks, n, self._limiter)
        except BaseException as raised:
            error = raised
            raise
        finally:
            # whatever happened: the coordinator waits for the end of every executor
            self._inbox.put(EngineEnded(engine, error))

    def start_workers(self, job: Job, options: RunOptions, left: int) -> None:
        """Make workers ready, and drive them, in a thread of their own."""
        # the calling thread goes on computing meanwhile: a first worker takes 0.25 s to come
        thread = threading.Thread(
            target=contextvars.copy_context().run,  # a notebook finds the cell by its context
            args=(self._drive_workers, job, options, left),
            name="swarmgrid-workers",
            daemon=True,
        )
        thread.start()

    def _drive_workers(self, job: Job, options: RunOptions, left: int) -> None:
        try:
            engine = workers_engine(job, options)
        except BaseException as error:  # noqa: BLE001  # raised in the calling thread
            self._inbox.put(EngineEnded(WORKERS, error))
            return
        self._inbox.put(EngineMade(engine))
        if not self._closed.is_set():
            engine.executor.prepare(left)
            engine.executor.wait_until_ready()
            with contextlib.suppress(BaseException):  # the coordinator was told
                self.drive(WORKERS, engine.executor)
        if self._closed.is_set():  # a run that was interrupted meanwhile may not know the workers
            engine.close()
