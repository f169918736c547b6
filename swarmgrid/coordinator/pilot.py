"""The beginning of a run on a new grid: computes the first points, wherever that is quickest."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from swarmgrid.coordinator.source import Tasks
from swarmgrid.coordinator.threads import POLL_SECONDS, Background, Regularly

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.coordinator.inference import Exploration
    from swarmgrid.coordinator.team import Staff
    from swarmgrid.executors.local import Executor, Receive
    from swarmgrid.executors.rate import Throttle
    from swarmgrid.planning.coverage import Coverage

PATIENCE_SECONDS = 0.05
"""How long the calling process computes its first points before workers are started to help."""


class FirstPoints:
    """Has an exploration's points computed until the grid is known; the slowest may take longer.

    Parameters
    ----------
    found : Exploration
        What the points show.
    staff : Staff
        Who computes.
    throttle : Throttle
        Spaces the calls.
    receive : callable
        Takes the receipts, as an executor does.
    interval : float
        Seconds after which the first point that is there decides.
    lock : RLock
        Held when the exploration is told something.
    is_work_for_many : callable
        Whether workers are worth starting, by what is known at the time.
    go_on : callable
        Computes the rest of the grid.
    """

    def __init__(
        self,
        found: Exploration,
        staff: Staff,
        throttle: Throttle,
        receive: Receive,
        interval: float,
        lock: Any,
        is_work_for_many: Callable[[], bool],
        go_on: Callable[[Coverage], None],
    ) -> None:
        self._found = found
        self._staff = staff
        self._throttle = throttle
        self._receive = receive
        self._interval = interval
        self._lock = lock
        self._is_work_for_many = is_work_for_many
        self._go_on = go_on
        self._is_stopped = self._is_idle_here = self._has_gone_on = False
        self._ahead = Background(self._go_ahead)
        self._rest: Background | None = None

    def explore(self) -> Coverage | None:
        """The new grid, once one point shows its outputs; None where none does."""
        found, staff = self._found, self._staff
        with Regularly(self._interval, self._lock, found.decide):
            while found.coverage is None and not self._is_stopped:
                tasks = Tasks(found.next_tasks(staff.present, staff.n_workers))
                if not tasks.n:
                    break
                self._rest = Background(self._run, staff.workers, tasks)
                if staff.is_provisional:
                    self._begin_here(tasks, self._rest)
                elif staff.present.may_overlap:
                    self._rest.start()
                else:
                    self._rest.run()
                self._rest.wait(until=lambda: found.coverage is not None)
                if found.coverage is None:
                    self._rest.join()
        return found.coverage

    def compute_rest(self, coverage: Coverage) -> None:
        """Compute the rest of the grid, or wait for who has begun to."""
        with self._lock:
            self._is_idle_here = True
        self._ahead.join()
        if not self._has_gone_on:
            self._go_on(coverage)

    def finish(self) -> None:
        """Wait for the slowest of the points, and try again those that lost a worker."""
        if self._rest is not None:
            self._rest.join()
        while self._found.has_lost and not self._is_stopped:
            tasks = Tasks(self._found.next_tasks(self._staff.present, self._staff.n_workers))
            self._run(lambda: self._staff.present, tasks)

    def stop(self) -> None:
        """Begin nothing more."""
        self._is_stopped = True

    def _begin_here(self, tasks: Tasks, rest: Background) -> None:
        """Compute point after point in this process, until workers are there to take over.

        They are started once a second point confirms what the first has cost; or while the first
        takes long, for it may be the shortest.
        """
        call = Background(self._call_workers, tasks, rest)
        timer = threading.Timer(PATIENCE_SECONDS, call.start)
        timer.daemon = True
        timer.start()
        n_done = 0
        try:
            while not rest.has_started and (task := tasks.take()) is not None:
                self._run(lambda: self._staff.present, Tasks([task]))
                n_done += 1
                if n_done > 1 and self._is_work_for_many():
                    call.start()
        except BaseException:
            self.stop()
            raise
        finally:
            timer.cancel()
            timer.join()
            call.join()  # it may be starting the rest at this moment

    def _call_workers(self, tasks: Tasks, rest: Background) -> None:
        """Have workers compute the rest of some tasks, if they are worth starting."""
        if not self._is_work_for_many():
            return
        workers = self._staff.workers()
        while tasks.n and not workers.is_ready and not self._is_stopped:
            time.sleep(POLL_SECONDS)
        rest.start()
        self._ahead.start()

    def _go_ahead(self) -> None:
        """Begin with the rest of the grid while the calling process is busy with its point."""
        self._staff.workers()
        self._staff.reconsider(None, 0)  # they are there: the calling process does no more
        while not self._is_stopped:
            with self._lock:
                if self._is_idle_here:
                    return
                self._has_gone_on = self._found.coverage is not None
            if self._has_gone_on:
                assert self._found.coverage is not None
                self._go_on(self._found.coverage)
                return
            time.sleep(POLL_SECONDS)

    def _run(self, executor: Callable[[], Executor], tasks: Tasks) -> None:
        if tasks.n and not self._is_stopped:
            executor().run(tasks, self._receive, self._throttle)
        with self._lock:
            self._found.decide()
