"""One filling of a grid, from the missing points to committed chunks, under its lease."""

from __future__ import annotations

import contextlib
import functools
import math
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from swarmgrid.coordinator.attempts import (
    Attempts,
    failure_of,
    singly,
    suspected,
    to_error,
    to_record,
)
from swarmgrid.coordinator.commit import Committer
from swarmgrid.coordinator.inference import Exploration
from swarmgrid.coordinator.pace import SOON_SECONDS, reporting_seconds
from swarmgrid.coordinator.pilot import FirstPoints
from swarmgrid.coordinator.queue import Batcher
from swarmgrid.coordinator.source import Batches
from swarmgrid.coordinator.stats import Tally
from swarmgrid.coordinator.team import SMALL_SECONDS, Staff
from swarmgrid.errors import SwarmgridError
from swarmgrid.executors.pool import GRACE_SECONDS
from swarmgrid.executors.rate import Throttle
from swarmgrid.format.failures import read_failures, within
from swarmgrid.planning.coverage import Coverage
from swarmgrid.planning.growth import covered, n_wanted, new_grid
from swarmgrid.run_options import to_interval
from swarmgrid.space.outputs import Schema
from swarmgrid.store import lease
from swarmgrid.store.nesting import runs_around
from swarmgrid.store.sharing import is_shared
from swarmgrid.transport.messages import Failure, Job, Receipt, Task, TerminatedError

if TYPE_CHECKING:
    from swarmgrid.coordinator.queue import Batch
    from swarmgrid.format.state import Snapshot
    from swarmgrid.observe.diagnostics import Diagnostics
    from swarmgrid.planning.request import Request
    from swarmgrid.run_options import Settings
    from swarmgrid.transport.parcel import Parcel

LIMIT = 5
"""A task that takes so many times as long as it is to take reports, and is handed out again."""
TRIAL_WINDOW = 4
"""Tasks that the calling process does before it is seen whether workers are worth it."""
TRIAL_SECONDS = 0.02
"""What each of them is to take."""
WINDOW = 512
"""Tasks handed to dask at once."""


def job_of(request: Request, settings: Settings, axes: tuple[Any, ...], writer: str) -> Job:
    """What all tasks of a run share."""
    return Job(
        func=request.func,
        params=request.params,
        axes=axes,
        path=request.path,
        location=request.location,
        writer=writer,
        vectorized=request.vectorized,
        rng=request.rng,
        on_error=settings.on_error,
        retries=settings.retries,
        collects_garbage=settings.gc == "task",
        is_throttled=settings.rate is not None,
        runs=(*runs_around(), writer),
    )


class Run:
    """One filling of one grid, by the holder of its lease."""

    def __init__(
        self,
        request: Request,
        settings: Settings,
        held: lease.Lease,
        snapshot: Snapshot | None,
        parcel: Parcel | None = None,
    ) -> None:
        self._request = request
        self._settings = settings
        self._lease = held
        self._snapshot = snapshot
        earlier = self._earlier_failures()
        self._attempts = Attempts(earlier, settings.retries)
        self._coverage = self._known_coverage()
        failed = 0
        if self._coverage is not None and not settings.retry_failed:
            failed = self._coverage.leave_out(earlier.values())
        wanted = n_wanted(request)
        missing = wanted if self._coverage is None else self._coverage.n_missing()
        self._tally = Tally(
            request,
            settings,
            total=math.prod(request.shape),
            wanted=wanted,
            missing=missing,
            failed=failed,
        )
        axes = request.axes if self._coverage is None else self._coverage.grid.axes
        self._job = replace(job_of(request, settings, axes, held.writer), parcel=parcel)
        self._throttle = Throttle(to_interval(settings.rate) if settings.rate else 0.0)
        self._staff: Staff | None = None
        self._found: Exploration | None = None
        self._first: FirstPoints | None = None
        self._committer: Committer | None = None
        self._batcher: Batcher | None = None
        self._fatal: Failure | None = None
        self._is_stopped = self._is_closed = self._is_held = False
        self._lock = threading.RLock()

    def execute(self) -> None:
        """Compute what is missing, and commit it."""
        if self._tally.left == 0:
            return
        staff = Staff(self._job, self._settings, self._cost(), self._tally.left)
        self._staff = staff
        if self._coverage is None or not self._coverage.grid.schema.outputs:
            self._explore(staff)
        elif self._fatal is None:
            self._begin(self._coverage)
        if self._coverage is not None and self._fatal is None:
            if self._first is not None:
                self._first.compute_rest(self._coverage)
            else:
                self._compute(staff, self._coverage)
        if self._fatal is not None:
            raise to_error(self._fatal, self._request.path.function)

    def close(self, outcome: str) -> Diagnostics:
        """Commit what came back, and end the workers; raises a signal that comes meanwhile."""
        interruption = None
        try:
            if self._staff is not None:
                if outcome != "finished":
                    interruption = self._wait_for_running(self._staff)
                self._staff.close()
            with self._lock:
                self._keep_first_points()
                self._is_closed = True
                if self._committer is not None:
                    self._committer.close()
        finally:
            diagnostics = self._diagnostics()
            self._tally.close(outcome, diagnostics)
        if interruption is not None:
            raise interruption
        return diagnostics

    def _diagnostics(self) -> Diagnostics:
        committer, chunks = self._committer, 0
        if self._coverage is not None:
            chunks = self._coverage.complete.size * len(self._coverage.grid.schema.outputs)
        return self._tally.diagnostics(
            n_workers=self._staff.present.n_workers if self._staff else 1,
            chunks_total=chunks,
            chunks_written=committer.chunks_written if committer else 0,
            bytes_written=committer.bytes_written if committer else 0,
        )

    def _wait_for_running(self, staff: Staff) -> BaseException | None:
        """Give the points that are being computed a moment; the signal that cut it short."""
        self._stop()
        end = time.monotonic() + GRACE_SECONDS
        try:
            while staff.n_running and time.monotonic() < end:
                time.sleep(0.02)
        except (KeyboardInterrupt, TerminatedError) as error:  # what came back is committed first
            return error
        return None

    # ---- what is known before anything is computed

    def _known_coverage(self) -> Coverage | None:
        """What is missing, where the grid or its outputs are known beforehand.

        A block function's chunks do not wait for its outputs: its first call is a whole chunk.
        """
        request = self._request
        if self._snapshot is not None:
            return covered(request, self._snapshot.grid, self._snapshot.manifest)
        if request.schema is not None or request.vectorized:
            return covered(request, new_grid(request, request.schema or Schema({})), None)
        return None

    def _earlier_failures(self) -> dict[Any, Any]:
        if self._snapshot is None:
            return {}
        names, grid = self._snapshot.failure_names, self._snapshot.grid
        return within(read_failures(self._lease.blobs, self._request.path, names), grid)

    def _cost(self) -> float | None:
        """Seconds per point, as far as it is known."""
        cost = self._tally.seconds_per_point
        if cost is not None:
            return cost
        return self._snapshot.manifest.seconds_per_point() if self._snapshot else None

    # ---- computing

    def _explore(self, staff: Staff) -> None:
        """Compute the first points of a new grid, which show its outputs, and commit them."""
        found = Exploration(
            self._request, self._coverage, self._begin, self._fail, self._attempts, self._tally
        )
        self._found = found
        self._first = FirstPoints(
            found,
            staff,
            self._throttle,
            self._receive_first,
            (self._settings.flush_interval or SOON_SECONDS) / 2,
            self._lock,
            self._is_work_for_many,
            functools.partial(self._compute, staff),
        )
        self._coverage = self._first.explore()
        if self._coverage is None:
            self._finish_exploring()
            self._fatal = self._fatal or next(iter(found.failures), None)  # no point shows outputs

    def _is_work_for_many(self) -> bool:
        """Whether workers are worth starting; they are while the first point takes long."""
        cost = self._tally.seconds_per_point
        is_much = cost is None or cost * self._tally.left > SMALL_SECONDS
        return is_much and not self._tally.is_rough

    def _receive_first(self, task: Task, receipt: Receipt) -> None:
        assert self._found is not None
        with self._lock:
            if self._is_closed:
                return
            self._found.take(task, receipt)
            if receipt.failures and self._settings.on_error == "raise":
                self._stop()

    def _keep_first_points(self) -> None:
        """Store those that waited for a slower one when the run was ended."""
        if self._found is not None:
            with contextlib.suppress(SwarmgridError):  # what ended the run is raised
                self._found.close()

    def _finish_exploring(self) -> None:
        if self._first is None or self._found is None:
            return
        self._first.finish()
        if self._found.coverage is None:
            for failure in self._found.failures:
                self._fail(failure)

    def _begin(self, coverage: Coverage) -> Committer:
        """What takes the values, and grows the grid in the store for them."""
        snapshot = self._snapshot
        self._lease.check()
        self._committer = Committer(
            self._lease,
            coverage.grid,
            None if snapshot is None else snapshot.grid,
            None if snapshot is None else snapshot.manifest,
            self._settings.flush_interval,
            keeps_failures=self._settings.on_error == "record",
        )
        return self._committer

    def _compute(self, staff: Staff, coverage: Coverage) -> None:
        assert self._committer is not None
        settings = self._settings
        if not self._tally.is_rough:
            staff.reconsider(self._cost(), self._tally.left)
        self._batcher = batcher = Batcher(
            coverage.pieces(),
            self._tally.left,
            cost=self._cost,
            points_per_task=1 if settings.rate else settings.exec_chunk_size,
            may_split=not self._request.vectorized,
            on_split=self._committer.expect,
            is_split=self._committer.is_open,
        )
        if self._is_stopped:  # before there was anything to close
            batcher.close()
        while self._fatal is None and not batcher.is_empty:
            executor = staff.present
            self._suit(batcher, staff)
            window = TRIAL_WINDOW if staff.is_provisional else WINDOW
            n = min(window, batcher.n_batches())
            to_task = functools.partial(self._task, coverage, staff)
            executor.run(Batches(batcher, n, to_task), self._receive, self._throttle)
            staff.reconsider(self._cost(), self._tally.left)
        self._finish_exploring()

    def _suit(self, batcher: Batcher, staff: Staff) -> None:
        """Cut batches for the present executor; workers write once the grid has all its values."""
        assert self._committer is not None
        executor, self._is_held = staff.present, not self._committer.is_grown
        may_write = executor.shares_memory or is_shared(self._request.location)
        batcher.suit(
            n_workers=executor.n_workers,
            may_write=may_write and not self._is_held,
            is_isolating=executor.is_isolating,
            seconds=TRIAL_SECONDS if staff.is_provisional else executor.task_seconds,
            short_seconds=executor.short_seconds,
        )

    def _task(self, coverage: Coverage, staff: Staff, batch: Batch) -> Task:
        return Task(
            batch.pieces,
            coverage.grid.chunk_shape,
            coverage.grid.schema,
            batch.writes,
            SMALL_SECONDS if staff.is_provisional else LIMIT * staff.present.task_seconds,
            coverage.grid.inner_shape,
            reporting_seconds(self._settings.flush_interval),
            batch.is_alone,
        )

    def _receive(self, task: Task, receipt: Receipt) -> None:
        with self._lock:
            if self._is_closed:  # a worker that was ended with the run
                return
            assert self._committer is not None
            assert self._batcher is not None
            if receipt.lost is not None:
                self._rescue(task, receipt)
                return
            for piece in receipt.split:
                self._committer.expect(piece)
            self._committer.receive(receipt)
            self._batcher.put_back(receipt.left, writes=task.writes)
            self._tally.done(receipt)
            for failure in receipt.failures:
                self._committer.give_up(failure.index, failure.n_points)
                self._fail(failure)
            if self._is_held and self._committer.is_grown and self._staff is not None:
                self._suit(self._batcher, self._staff)

    def _fail(self, failure: Failure) -> None:
        """A point failed for good: end the run, or keep note of it."""
        numbered = self._attempts.numbered(failure)
        self._tally.failed(numbered)
        if self._committer is not None:
            self._committer.record(to_record(numbered))
        if self._settings.on_error == "raise" and self._fatal is None:
            self._fatal = numbered
            self._stop()

    def _stop(self) -> None:
        """Begin nothing more."""
        assert self._staff is not None
        self._is_stopped = True
        self._staff.stop()
        self._throttle.stop()  # after the workers were told, or those that wait would call
        if self._first is not None:
            self._first.stop()
        if self._batcher is not None:
            self._batcher.close()

    def _rescue(self, task: Task, receipt: Receipt) -> None:
        """Hand the points of a lost worker out again, the one that it died of by itself."""
        assert self._batcher is not None
        assert self._committer is not None
        assert receipt.lost is not None
        if receipt.lost.is_innocent:
            self._tally.lost(receipt.lost, receipt, None)
            self._batcher.put_back(list(task.pieces), writes=task.writes)
            return
        is_block = self._request.vectorized
        found = suspected(task, receipt.lost, is_block=is_block)
        if found is None:
            self._tally.lost(receipt.lost, receipt, None)
            for piece in task.pieces:
                self._divide(piece, task)
                for part in [piece] if is_block else singly(piece):
                    self._batcher.put_back_alone(part)
            return
        number, suspect = found
        failure = failure_of(suspect.piece, receipt.lost, self._job.axes, task.chunk_shape)
        self._tally.lost(receipt.lost, receipt, failure.point)
        rest = [piece for i, piece in enumerate(task.pieces) if i != number]
        self._batcher.put_back(rest, writes=task.writes)
        self._divide(task.pieces[number], task)
        if suspect.others is not None:
            self._batcher.put_back([suspect.others], writes=False)
        if self._attempts.may_try_again((failure.index, failure.offset), receipt.lost):
            self._batcher.put_back_alone(suspect.piece)
        else:
            self._committer.give_up(failure.index, len(suspect.piece.points))
            self._fail(failure)

    def _divide(self, piece: Any, task: Task) -> None:
        """Let a chunk's points come back in parts: two workers must not write one chunk."""
        assert self._committer is not None
        if task.writes and not self._committer.is_open(piece.index):
            self._committer.expect(piece)
