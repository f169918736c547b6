"""The calling thread as an executor: one task after the other, without dask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmgrid.executors.base import Traits
from swarmgrid.executors.direct import DirectChannel
from swarmgrid.executors.interrupt import interrupted_between_calls
from swarmgrid.worker.evaluate import run_task
from swarmgrid.worker.heartbeat import Heartbeat, Stop
from swarmgrid.worker.monitor import Watchdog

if TYPE_CHECKING:
    from swarmgrid.executors.base import Tasks
    from swarmgrid.executors.rate import RateLimiter
    from swarmgrid.transport.messages import Job


class InProcess:
    """One task after the other in the calling thread; dask is not even imported."""

    def __init__(self, job: Job) -> None:
        self.traits = Traits(n_workers=1, may_write=True, is_isolating=True)
        self._job = job
        self._heartbeat = Heartbeat()
        self._watchdog = Watchdog()

    def prepare(self, n: int) -> None:
        """Nothing to make ready."""

    def wait_until_ready(self) -> None:
        """It always is."""

    def run(self, tasks: Tasks, n: int, limiter: RateLimiter) -> None:  # noqa: ARG002
        while (task := tasks.get()) is not None:
            try:
                limiter.wait()
                if self._heartbeat.stop:
                    return
                with interrupted_between_calls(self._heartbeat):
                    channel = DirectChannel(task, tasks, limiter, lambda: False)
                    result = run_task(self._job, task, self._heartbeat, self._watchdog, channel)
                    tasks.report(task, result)
            finally:
                tasks.task_done()
            if result.interruption is not None:
                raise result.interruption

    def relieve(self) -> None:
        """It has no idle worker."""

    def stop(self) -> None:
        self._heartbeat.request_stop(Stop.RUN_ENDS)

    def close(self) -> None:
        self.stop()
