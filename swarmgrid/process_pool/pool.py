"""A few worker processes that are replaced when they die, and watched so the machine survives."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from swarmgrid.process_pool import memory
from swarmgrid.process_pool.output import Output
from swarmgrid.process_pool.process import WorkerProcess
from swarmgrid.transport.messages import TaskResult, WorkerCrash

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.process_pool.memory import Use
    from swarmgrid.run_options import Limits

WATCH_SECONDS = 0.5
"""The interval between two checks of the machine's memory."""
SHARED_SECONDS = 0.05
"""A worker that seems to need longer for the rest of its task shares it with an idle one."""
GRACE_SECONDS = 2.0
"""The time that a run that ends early waits for the points that are being computed."""

_log = logging.getLogger(__name__)


class WorkerPool:
    """Up to ``n`` processes, each driven by a thread that calls `run`.

    Parameters
    ----------
    job : bytes
        The pickled job.
    n : int
        The number of processes.
    limits : Limits
        The limits of each worker.
    memory_used : callable, optional
        Returns the used part of the machine's memory.
    """

    def __init__(
        self, job: bytes, n: int, limits: Limits, memory_used: Callable[[], Use] | None = None
    ) -> None:
        self._job = job
        self._limits = limits
        self._output = Output()
        self._memory_used = memory_used or memory.memory_used
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        self._waiting: list[object] = []
        self._allowed = n
        self._n_starting = 0
        self._is_paused = False
        self._stopped = threading.Event()
        self._change = threading.Condition()
        self._watch = threading.Thread(
            target=self._keep_watch, name="swarmgrid-watch", daemon=True
        )
        self._watch.start()

    def prepare(self, n: int) -> None:
        """Start up to ``n`` workers, in a thread: they begin to import while others talk."""
        with self._change:
            n = min(n, self._allowed - len(self._idle) - len(self._busy) - self._n_starting)
            self._n_starting += max(0, n)
        for _ in range(n):
            threading.Thread(target=self._start_one, name="swarmgrid-start", daemon=True).start()

    def run(
        self,
        task: bytes,
        n_points: int,
        take: Callable[[TaskResult], None],
        wait_for_turn: Callable[[], None],
        *,
        is_isolated: bool = False,
    ) -> TaskResult | None:
        """The result of a pickled task; None if the pool was stopped before it was done.

        Parameters
        ----------
        task, n_points, take, wait_for_turn
            See `WorkerProcess.run`.
        is_isolated : bool
            Whether the task gets a worker to itself.
        """
        worker = self._get_worker(is_fresh=is_isolated)
        if worker is None:
            return None
        try:
            result = worker.run(task, n_points, self._limits.timeout, take, wait_for_turn)
        except BaseException:
            self._give_back(worker, is_alive=False)
            raise
        is_idle = result.crash is None
        self._give_back(worker, is_alive=is_idle and not is_isolated, is_idle=is_idle)
        return None if result.crash is not None and self._stopped.is_set() else result

    def relieve(self) -> None:
        """If a worker is idle, have the busiest one give back the points that it has not begun."""
        with self._change:
            n = len(self._busy)
            if not 0 < n < self._allowed or self._is_paused or self._stopped.is_set():
                return
            busiest = max(self._busy, key=WorkerProcess.seconds_left)
            if busiest.seconds_left() > SHARED_SECONDS:
                busiest.ask_to_share()

    def stop(self) -> None:
        """Begin no further task, and end those that do not report within `GRACE_SECONDS`."""
        with self._change:
            self._stopped.set()
            for worker in self._busy:
                worker.ask_to_report()
            self._change.notify_all()

    def close(self) -> None:
        """End every process, whatever it is doing."""
        self.stop()
        with self._change:
            idle, self._idle = self._idle, []
            for worker in self._busy:
                worker.kill()  # the thread that drives it sees that, and ends it
        for worker in idle:
            worker.dismiss()
        for worker in idle:
            worker.end()
        with self._change:
            # before the output closes: workers that still start, or end, have pipes to it
            self._change.wait_for(lambda: not self._busy and not self._n_starting)
        self._watch.join()
        self._output.close()

    def wait_until_ready(self) -> None:
        """Wait until none of the workers that were made ready is still being started."""
        with self._change:
            self._change.wait_for(lambda: not self._n_starting or self._stopped.is_set())

    def _start_one(self) -> None:
        """Start an idle worker. Errors are ignored here: `run` starts one itself, and raises."""
        try:
            worker = WorkerProcess(self._job, self._output, self._limits.memory)
        except Exception:  # noqa: BLE001
            worker = None
        with self._change:
            self._n_starting -= 1
            is_needed = worker is not None and not self._stopped.is_set()
            if worker is not None and is_needed:
                self._idle.append(worker)
            self._change.notify_all()
        if worker is not None and not is_needed:
            worker.end()

    def _get_worker(self, *, is_fresh: bool) -> WorkerProcess | None:
        """A worker to use, once there may be another one; None once the pool was stopped.

        Callers get workers in the order of their calls.
        """
        ticket = object()  # a condition wakes its waiters in any order
        with self._change:
            self._waiting.append(ticket)
            try:
                while not self._stopped.is_set() and not (
                    self._waiting[0] is ticket and self._may_begin(is_fresh=is_fresh)
                ):
                    self._change.wait(WATCH_SECONDS)
            finally:
                self._waiting.remove(ticket)
                self._change.notify_all()
            if self._stopped.is_set():
                return None
            if self._idle and is_fresh:  # the fresh one takes its place: there are ``n`` at most
                self._idle[-1].dismiss()
                self._idle.pop().end()
            # started under the lock: else two threads would see room for one
            worker = (
                self._idle.pop()
                if self._idle and not is_fresh
                else WorkerProcess(self._job, self._output, self._limits.memory)
            )
            self._busy.add(worker)
            return worker

    def _may_begin(self, *, is_fresh: bool) -> bool:
        if self._n_starting and not self._idle and not is_fresh:  # one that imports comes soon
            return False
        if not self._busy:
            return True  # one task at least goes on, or nothing ever would
        return len(self._busy) < self._allowed and not self._is_paused

    def _give_back(self, worker: WorkerProcess, *, is_alive: bool, is_idle: bool = False) -> None:
        limit = self._limits.max_tasks
        is_worn = limit is not None and worker.tasks_done >= limit
        is_kept = is_alive and not is_worn and not self._stopped.is_set()
        if not is_kept:  # without the lock: a process that is slow to die holds up no other
            if is_idle:
                worker.dismiss()
            worker.end()
        with self._change:
            self._busy.discard(worker)
            if is_kept:
                self._idle.append(worker)
            self._change.notify_all()

    def _keep_watch(self) -> None:
        while not self._stopped.wait(WATCH_SECONDS):
            try:
                used = self._memory_used()
            except Exception:  # noqa: BLE001  # whatever the system's files may hold
                _log.warning("the machine's memory cannot be looked at", exc_info=True)
                break
            with self._change:
                is_paused = used.part >= self._limits.pause_at
                if is_paused != self._is_paused:
                    self._say_pause(used.part, is_paused=is_paused)
                self._is_paused = is_paused
                self._change.notify_all()
                victim = self._victim(used)
            if victim is not None:
                self._sacrifice(victim, used)
        self._stopped.wait()  # also after an error above: late workers are ended in any case
        with self._change:
            self._change.wait_for(lambda: not self._busy, GRACE_SECONDS)
            for worker in self._busy:
                worker.kill()

    def _victim(self, used: Use) -> WorkerProcess | None:
        """The worker to end, if memory is so short: the largest.

        The last one is spared where other programs alone take too much: its end would not help.
        """
        if used.part < self._limits.kill_at or not self._busy:
            return None
        largest = max(self._busy, key=WorkerProcess.resident_nbytes)
        rest = used.part - largest.resident_nbytes() / used.total
        return largest if len(self._busy) > 1 or rest < self._limits.kill_at else None

    def _sacrifice(self, worker: WorkerProcess, used: Use) -> None:
        with self._change:
            is_only_one = len(self._busy) <= 1
            self._allowed = max(1, min(self._allowed, len(self._busy)) - 1)
        _log.warning(
            "%.0f %% of the machine's memory is in use: ended worker %d of this run, which had %d "
            "MB; its points are tried again with %d workers",
            used.part * 100,
            worker.pid,
            worker.resident_nbytes() // 10**6,
            self._allowed,
        )
        reason = f"{used.part:.0%} of the machine's memory was in use"
        worker.kill(WorkerCrash("memory", reason, worker.begun(), is_at_fault=is_only_one))
        time.sleep(WATCH_SECONDS)  # the memory must come back before the next look

    def _say_pause(self, used: float, *, is_paused: bool) -> None:
        if is_paused:
            _log.warning(
                "%.0f %% of the machine's memory is in use: work goes on one task at a time",
                used * 100,
            )
        else:
            _log.info("memory is available again: work goes on")
