"""Sees to what comes back from the executors: results, failures and crashes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from swarmgrid.coordinator.endings import with_code
from swarmgrid.observe.events import (
    CallRetried,
    PointFailed,
    PointsRejected,
    StateChanged,
    TaskDone,
    WorkerCrashed,
)
from swarmgrid.policies.attempts import aftermath, to_record
from swarmgrid.policies.queue import TaskQueue
from swarmgrid.transport.messages import TaskResult

if TYPE_CHECKING:
    from swarmgrid.coordinator.run_state import RunState
    from swarmgrid.planning.coverage import Coverage
    from swarmgrid.policies.inference import Inference, Settled
    from swarmgrid.transport.messages import Failure, Task, WorkerCrash


class Results:
    """Has values stored, points tried again, and failures recorded.

    Parameters
    ----------
    state : RunState
        The state of the run.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state

    def begin(self, coverage: Coverage) -> None:
        self._begin_grid(coverage)
        self._begin_queue(coverage)

    def decide(self, found: Inference) -> None:
        coverage, indices = found.decide()
        self._state.coverage = coverage
        self._begin_grid(coverage)
        # announced before their values come: the writer closes a chunk once nothing of it is
        # awaited
        for index in indices:
            self._state.expect(coverage.part(index))
        coverage = self._state.coverage = found.count_tried()
        self._settle(found.settle_waiting())
        self._begin_queue(coverage)

    def end_inference(self) -> None:
        """Settle what the first points came to, where the run ends before that was decided."""
        found = self._state.inference
        if found is None or found.coverage is not None:
            return
        if found.can_decide:
            self.decide(found)
            return
        for failure in found.failures:
            self.fail(failure)
        if self._state.fatal is None and found.failures and not self._state.is_stopping:
            self._state.fatal = found.failures[0]  # no point shows the outputs

    def add(self, task: Task, result: TaskResult) -> None:
        if task.schema is None and self._state.inference is not None:
            self._add_first(self._state.inference, task, result)
        elif result.crash is not None:
            self._add_crash(task, result, result.crash)
        else:
            self._add_results(task, result)

    def fail(self, failure: Failure) -> None:
        """Record a point that failed for good, and end the run where the options say so."""
        seen = replace(failure, traceback=with_code(failure.traceback))
        numbered = self._state.attempts.number(seen)
        coverage = self._state.coverage
        is_recorded = coverage is not None and bool(coverage.grid.schema.outputs)
        self._state.tell(
            PointFailed(
                numbered.point,
                numbered.exception,
                numbered.reason,
                numbered.attempt,
                numbered.n_points,
                is_recorded,
            )
        )
        if is_recorded:
            self._state.writer.record(to_record(numbered))
        if self._state.options.on_error == "raise" and self._state.fatal is None:
            self._state.fatal = numbered
            self._state.stop()

    def _begin_grid(self, coverage: Coverage) -> None:
        grid_state = self._state.grid_state
        self._state.writer.begin(
            coverage.grid,
            grid_state.grid if grid_state else None,
            grid_state.manifest if grid_state else None,
        )

    def _begin_queue(self, coverage: Coverage) -> None:
        options = self._state.options
        self._state.queue = TaskQueue(
            coverage.parts(),
            self._state.counts.left,
            self._state.divided,
            points_per_task=1 if options.rate else options.exec_chunk_size,
            may_divide=not self._state.request.function.vectorized,
        )

    def _add_first(self, found: Inference, task: Task, result: TaskResult) -> None:
        if result.crash is not None:
            failure, settled = found.add_crash(task, result.crash)
            self._tell_crash(result, result.crash, failure)
            self._settle(settled)
        else:
            self._state.n_first_done += 1
            self._tell_done(result, is_first=True)
            self._settle(found.add(task, result))
        if found.failures and self._state.options.on_error == "raise":
            self._state.stop()

    def _settle(self, settled: Settled) -> None:
        if settled.n_misfits:
            self._state.tell(PointsRejected(settled.n_misfits))
        for failure in settled.failures:
            self._expect_no_more(failure)
            self.fail(failure)
        for values in settled.values:
            self._store(TaskResult(values=[values]))

    def _add_results(self, task: Task, result: TaskResult) -> None:
        assert self._state.queue is not None
        # first: values of these are in this very report
        for part in result.split:
            self._state.expect(part)
        self._store(result)
        n_workers = self._state.n_workers
        self._state.queue.put_back(result.left, writes=task.writes, n_workers=n_workers)
        self._state.n_trials += 1
        self._tell_done(result, is_first=False)
        for failure in result.failures:
            self._expect_no_more(failure)
            self.fail(failure)

    def _add_crash(self, task: Task, result: TaskResult, crash: WorkerCrash) -> None:
        """Hand the points of a crashed worker out again, the one at fault by itself."""
        assert self._state.queue is not None
        do = self._state
        found = aftermath(
            task, crash, do.attempts, do.job.axes, is_block=do.request.function.vectorized
        )
        self._tell_crash(result, crash, found.crashed_at)
        for part in found.divided:
            if task.writes and part.index not in self._state.divided:
                self._state.expect(part)
        n_workers = self._state.n_workers
        self._state.queue.put_back(list(found.again), writes=task.writes, n_workers=n_workers)
        self._state.queue.put_back(list(found.divided_parts), writes=False, n_workers=n_workers)
        for part in found.isolated:
            self._state.queue.put_back_isolated(part)
        if found.is_final and found.crashed_at is not None:
            self._expect_no_more(found.crashed_at)
            self.fail(found.crashed_at)

    def _expect_no_more(self, failure: Failure) -> None:
        self._state.divided.settle(failure.index, failure.n_points)
        self._state.writer.give_up(failure.index, failure.n_points)

    def _store(self, result: TaskResult) -> None:
        for values in result.values:
            self._state.divided.settle(values.index, len(values.points))
        self._state.n_unwritten += 1
        self._state.writer.receive(result)

    def _tell_done(self, result: TaskResult, *, is_first: bool) -> None:
        if self._state.expected is not None:
            self._state.expected.add(result)
        if result.changed:
            self._state.tell(StateChanged(result.changed, result.worker))
        for retry in result.retries:
            self._state.tell(CallRetried(retry.point, retry.reason, retry.attempt, result.worker))
        self._state.tell(
            TaskDone(
                result.points,
                result.seconds,
                result.wall_seconds,
                result.worker,
                result.peak_nbytes,
                is_first,
            )
        )

    def _tell_crash(
        self, result: TaskResult, crash: WorkerCrash, crashed_at: Failure | None
    ) -> None:
        point = None if crashed_at is None else crashed_at.point
        self._state.tell(WorkerCrashed(result.worker, crash.reason, point))
