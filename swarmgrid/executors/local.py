"""Hands tasks to dask, and every receipt to the coordinator as it arrives.

The executors share one method, so that what they compute is the same. Tasks go to dask in raw
graphs without dependencies: they cost 50 µs each there, where ``dask.delayed`` costs 1000.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from swarmgrid.coordinator.queue import SHORT_SECONDS, TASK_SECONDS
from swarmgrid.executors import process_main
from swarmgrid.executors.interrupt import interrupted_between_calls
from swarmgrid.executors.pool import WorkerPool
from swarmgrid.transport.messages import N_PULSE, STOP, Receipt
from swarmgrid.worker.evaluate import run_task
from swarmgrid.worker.task_report import Overseer

if TYPE_CHECKING:
    from swarmgrid.coordinator.source import Source
    from swarmgrid.executors.rate import Throttle
    from swarmgrid.run_options import Limits
    from swarmgrid.transport.messages import Job, Task

    Receive = Callable[[Task, Receipt], None]


FIRST_POINTS = 4
"""So many are tried by each worker at first: a slow one does not keep the others waiting."""


class Executor(Protocol):
    """Runs tasks in any order."""

    n_workers: int
    """How many tasks run at once."""
    shares_memory: bool
    """Whether the tasks run in this process, and so see its memory stores."""
    is_isolating: bool
    """Whether a task that kills its worker takes no other task with it."""
    may_overlap: bool
    """Whether `run` may be called in two threads at once, the workers being shared."""
    task_seconds: float
    """What a task is to take, so that handing it out costs next to nothing."""
    short_seconds: float
    """What a task is to take at least near the end, where many workers share what is left."""
    first_points: int
    """How many of the first points of a new grid a worker gets, each a task of its own."""

    def prepare(self, n: int) -> None:
        """Make ready for ``n`` tasks at once, without waiting."""

    @property
    def is_ready(self) -> bool:
        """Whether a task would begin at once, as far as that can be known."""

    def run(self, source: Source, receive: Receive, throttle: Throttle) -> None:
        """Run tasks, calling ``receive`` with each and its receipt, maybe from threads.

        ``throttle`` is waited for right before a task begins: a worker that is still starting when
        its turn comes would call together with the next.
        """

    def stop(self) -> None:
        """Begin no further task, and have the running ones report after their present point."""

    @property
    def n_running(self) -> int:
        """How many tasks are being computed at this moment, where that can be known."""

    def close(self) -> None:
        """End everything that runs, and free what is held."""


class InProcess:
    """One task after the other in the calling thread; dask is not even imported."""

    n_workers = 1
    n_running = 0
    is_ready = True
    shares_memory = True
    is_isolating = True
    may_overlap = False
    task_seconds, short_seconds = TASK_SECONDS, SHORT_SECONDS
    first_points = FIRST_POINTS

    def __init__(self, job: Job) -> None:
        self._job = job
        self._pulse = [0.0] * N_PULSE
        self._overseer = Overseer()

    def prepare(self, n: int) -> None:
        """Nothing to make ready."""

    def run(self, source: Source, receive: Receive, throttle: Throttle) -> None:
        for _ in range(source.n):
            task = source.take(may_wait=False)
            if task is None:
                return
            throttle.wait()
            if self._pulse[STOP]:
                return
            with interrupted_between_calls(self._pulse):
                line = _Direct(task, receive, throttle, lambda: False)
                receipt = run_task(self._job, task, self._pulse, self._overseer, line)
                receive(task, receipt)
            source.returned()
            if receipt.interruption is not None:
                raise receipt.interruption

    def stop(self) -> None:
        self._pulse[STOP] = 1.0

    def close(self) -> None:
        self.stop()


class _Direct:
    """The way home of a task that runs in the coordinator's own process."""

    def __init__(
        self, task: Task, receive: Receive, throttle: Throttle, is_closed: Callable[[], bool]
    ) -> None:
        self._task = task
        self._receive = receive
        self._throttle = throttle
        self._is_closed = is_closed

    def may_write(self) -> bool:
        return not self._is_closed()

    def report(self, receipt: Receipt) -> None:
        self._receive(self._task, receipt)

    def wait_for_turn(self) -> None:
        self._throttle.wait()


class DaskInProcess:
    """A dask scheduler whose tasks run in the calling process: its threads, or itself.

    Parameters
    ----------
    job : Job
        The job.
    get : callable
        The scheduler: ``get(graph, keys, ...)``.
    n_workers : int
        How many threads it uses.
    """

    shares_memory = True
    is_isolating = True
    may_overlap = False
    task_seconds, short_seconds = TASK_SECONDS, SHORT_SECONDS
    first_points = FIRST_POINTS
    is_ready = True

    def __init__(self, job: Job, get: Callable[..., Any], n_workers: int) -> None:
        self.n_workers = n_workers
        self._job = job
        self._get = get
        self._pulses = threading.local()
        self._stopped = threading.Event()
        self._closed = threading.Event()
        self._shown: list[list[float]] = []
        self._running: set[Task] = set()
        self._overseer = Overseer()

    @property
    def n_running(self) -> int:
        return len(self._running)

    def prepare(self, n: int) -> None:
        """Nothing to make ready."""

    def run(self, source: Source, receive: Receive, throttle: Throttle) -> None:
        def drive(task: Task) -> None:
            throttle.wait()
            if self._stopped.is_set():
                return
            self._running.add(task)
            try:
                line, pulse = _Direct(task, receive, throttle, self._closed.is_set), self._pulse()
                with interrupted_between_calls(pulse):  # a scheduler may use the main thread
                    receipt = run_task(self._job, task, pulse, self._overseer, line)
                    receive(task, receipt)
            finally:
                self._running.discard(task)
            if receipt.interruption is not None:
                raise receipt.interruption

        _get_all(self._get, drive, source, self.n_workers)

    def stop(self) -> None:
        self._stopped.set()
        for pulse in self._shown:
            pulse[STOP] = 1.0

    def close(self) -> None:
        self.stop()
        self._closed.set()  # a thread cannot be ended, but what it finds is not written any more

    def _pulse(self) -> list[float]:
        """The pulse of the calling thread."""
        if not hasattr(self._pulses, "own"):
            self._pulses.own = [0.0] * N_PULSE
            self._shown.append(self._pulses.own)
        own: list[float] = self._pulses.own
        return own


class DaskProcesses:
    """dask's threaded scheduler, each of its threads driving a worker process.

    dask's own process scheduler gives up the whole run when one worker dies, and cannot say
    which point did it; a thread that waits for one process can.

    Parameters
    ----------
    job : bytes
        The pickled job.
    n_workers : int
        The number of processes.
    limits : Limits
        What they may take.
    """

    shares_memory = False
    is_isolating = True
    may_overlap = True
    task_seconds, short_seconds = TASK_SECONDS, SHORT_SECONDS
    first_points = FIRST_POINTS

    def __init__(self, job: bytes, n_workers: int, limits: Limits) -> None:
        self.n_workers = n_workers
        self._pool = WorkerPool(job, n_workers, limits)

    @property
    def is_ready(self) -> bool:
        return self._pool.is_ready

    def prepare(self, n: int) -> None:
        self._pool.prepare(n)

    def run(self, source: Source, receive: Receive, throttle: Throttle) -> None:
        from dask.threaded import get

        def drive(task: Task) -> None:
            rest, n_settled = task, 0

            def take(part: Receipt) -> None:
                nonlocal rest, n_settled
                receive(rest, part)
                rest, n_settled = task.after(part.n_settled), part.n_settled

            n_points = sum(len(piece.points) for piece in task.pieces)
            receipt = self._pool.run(
                process_main.pickled(task), n_points, take, throttle.wait, is_alone=task.is_alone
            )
            if receipt is None:
                return
            if receipt.lost is not None and receipt.lost.begun is not None:
                begun = receipt.lost.begun - n_settled
                receipt.lost = replace(receipt.lost, begun=begun)
            receive(rest, receipt)

        # as many threads again hold the next task ready, unless it is to begin at a certain time
        n_threads = self.n_workers if throttle.interval else 2 * self.n_workers
        _get_all(get, drive, source, n_threads, self._pool.relieve)

    @property
    def n_running(self) -> int:
        return self._pool.n_running

    def stop(self) -> None:
        self._pool.stop()

    def close(self) -> None:
        self._pool.close()


def _get_all(
    get: Callable[..., Any],
    drive: Callable[[Task], None],
    source: Source,
    n_threads: int,
    on_wait: Callable[[], None] | None = None,
) -> None:
    """Have a dask scheduler call ``drive`` with tasks, each taken when it is about to begin.

    There may be more than were expected: the last slots go on until there are no more, so that
    nobody waits for others in between.
    """
    n, slots = source.n, itertools.count(1)

    def drive_next(_: int) -> None:
        goes_on = next(slots) > n - n_threads
        while (task := source.take(on_wait=on_wait)) is not None:
            try:
                drive(task)
            finally:
                source.returned()
            if not goes_on:
                return

    graph = {("swarmgrid", i): (drive_next, i) for i in range(n)}
    get(graph, list(graph), num_workers=n_threads)
