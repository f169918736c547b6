"""One filling of a grid, from the missing points to committed chunks, under its lease."""

from __future__ import annotations

import math
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from swarmgrid.codecs.keys import secrets_of
from swarmgrid.coordinator.coordinator import Coordinator
from swarmgrid.coordinator.engines import HERE, SMALL_SECONDS, first_engine, may_begin_here
from swarmgrid.coordinator.run_state import RunState
from swarmgrid.coordinator.writer import Writer
from swarmgrid.executors.rate import RateLimiter
from swarmgrid.leases.nesting import runs_around
from swarmgrid.observe.counts import Counts
from swarmgrid.observe.events import Moment, RunEnded, RunStarted
from swarmgrid.observe.log import RunLog
from swarmgrid.observe.progress import Progress
from swarmgrid.outputs.outputs import Schema
from swarmgrid.planning.costs import fitted_costs
from swarmgrid.planning.growth import covered, new_grid
from swarmgrid.policies.attempts import Attempts, to_error
from swarmgrid.policies.expected_cost import ExpectedCost
from swarmgrid.policies.inference import Inference
from swarmgrid.policies.task_size import CostModel
from swarmgrid.process_pool.pool import GRACE_SECONDS
from swarmgrid.records.failures import read_failures, within
from swarmgrid.run_options import to_interval
from swarmgrid.transport.messages import Job, TerminatedError

if TYPE_CHECKING:
    from swarmgrid.coordinator.inbox import Message
    from swarmgrid.coordinator.witness import Witness
    from swarmgrid.leases.lease import Lease
    from swarmgrid.observe.diagnostics import Diagnostics
    from swarmgrid.observe.events import Event, Observer
    from swarmgrid.planning.coverage import Coverage
    from swarmgrid.planning.request import Request
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.run_options import RunOptions
    from swarmgrid.transport.parcel import Parcel


def job_of(request: Request, options: RunOptions, axes: tuple[Any, ...], writer: str) -> Job:
    """The part that all tasks of a run share."""
    return Job(
        function=request.function,
        grid=request.grid,
        axes=axes,
        writer=writer,
        on_error=options.on_error,
        retries=options.retries,
        collects_garbage=options.gc == "task",
        is_rate_limited=options.rate is not None,
        runs=(*runs_around(), writer),
    )


class Run:
    """One filling of one grid, by the holder of its lease."""

    def __init__(
        self,
        request: Request,
        options: RunOptions,
        held: Lease,
        grid_state: GridState | None,
        parcel: Parcel | None = None,
        coverage: Coverage | None = None,
        witness: Witness | None = None,
    ) -> None:
        self._request = request
        self._witness = witness
        self._options = options
        self._lease = held
        self._grid_state = grid_state
        self._parcel = parcel
        earlier = self._earlier_failures()
        self._attempts = Attempts(earlier, options.retries)
        self._coverage = coverage or self._known_coverage()
        failed = 0
        if self._coverage is not None and not options.retry_failed:
            before = self._coverage.n_missing()
            self._coverage = self._coverage.without(earlier.values())
            failed = before - self._coverage.n_missing()
        requested = request.domain.n_requested
        missing = requested if self._coverage is None else self._coverage.n_missing()
        total = math.prod(request.domain.shape)
        self._counts = Counts(total=total, requested=requested, missing=missing, failed=failed)
        self._cost = CostModel(grid_state.manifest.seconds_per_point() if grid_state else None)
        self._observers: list[Observer] = [
            self._counts,
            self._cost,
            Progress(options.verbose),
            RunLog(options.log),
            self._expect,
        ]
        self._coordinator: Coordinator | None = None
        self._writer: Writer | None = None
        self._raised: BaseException | None = None
        """The error that ended the computation, and was raised."""
        path = request.grid.path
        self._tell(RunStarted(path.function, path.grid, requested, self._counts.cached))

    def execute(self) -> None:
        """Compute what is missing, and commit it."""
        if self._counts.left == 0:
            return
        # kept before it begins: `close` must end it, however far `compute` gets
        coordinator = self._coordinator = self._to_coordinator()
        try:
            fatal = coordinator.compute()
        except BaseException as error:
            self._raised = error
            raise
        if fatal is not None:
            raise to_error(fatal, self._request.grid.path.function)

    def close(self, outcome: str) -> Diagnostics:
        """Commit what came back, and end the workers; raises a signal that comes meanwhile."""
        interruption = None
        failure: BaseException | None = None
        try:
            if self._coordinator is not None:
                if outcome != "finished":
                    interruption = _wait_for_running(self._coordinator)
                # before the writer, which takes commands as long as the coordinator's thread lives
                self._coordinator.close()
            if self._writer is not None:
                failure = self._writer.close(self._tell_storing)
        finally:
            # also where the last commit fails: the bar is taken away, and the log gets its end
            diagnostics = self.diagnostics()
            self._tell(RunEnded(outcome, diagnostics))
        # they are the same where the writer's error is what ended the run
        if failure is not None and failure is not self._raised:
            if self._raised is None:
                raise failure
            self._raised.add_note(f"What was finished could not all be stored: {failure}")
        if interruption is not None:
            raise interruption
        return diagnostics

    def _tell_storing(self) -> None:
        """Say that the last results are being written."""
        if self._coordinator is not None:
            self._tell(replace(self._coordinator.moment(), stage="storing"))

    def _expect(self, event: Event) -> None:
        """Let the lease say how long the run still needs, to those that follow it elsewhere."""
        if isinstance(event, Moment):
            self._lease.expect(event.seconds_left)

    def _tell(self, event: Event) -> None:
        for observer in self._observers:
            observer(event)

    def _to_coordinator(self) -> Coordinator:
        options, known = self._options, self._coverage
        axes = self._request.domain.axes if known is None else known.grid.axes
        job = job_of(self._request, options, axes, self._lease.writer)
        job = replace(job, parcel=self._parcel, keys=self._secrets())
        cost, left = self._cost.seconds_per_point, self._counts.left
        is_trial = may_begin_here(options) and (cost is None or cost * left < SMALL_SECONDS)
        # before the writer is made: where this raises, there is no thread yet to be ended
        engine = first_engine(job, options, left, is_trial=is_trial)
        inbox: SimpleQueue[Message] = SimpleQueue()
        self._writer = Writer(
            self._lease,
            options.flush_interval,
            inbox,
            keeps_failures=options.on_error == "record",
            witness=self._witness,
        )
        is_inferred = known is None or not known.grid.schema.outputs
        rate = options.rate
        state = RunState(
            request=self._request,
            options=options,
            job=job,
            grid_state=self._grid_state,
            attempts=self._attempts,
            counts=self._counts,
            cost=self._cost,
            tell=self._tell,
            writer=self._writer,
            limiter=RateLimiter(to_interval(rate) if rate else 0.0),
            engines={HERE: engine},
            is_trial=is_trial,
            inference=Inference(self._request, known, self._attempts) if is_inferred else None,
            coverage=None if is_inferred else known,
            expected=self._expected_cost(),
        )
        return Coordinator(state, inbox)

    def _secrets(self) -> dict[str, bytes]:
        """The secrets of the keys that the grid is, or will be, encrypted with."""
        stored = self._grid_state.grid.schema.encodings.values() if self._grid_state else ()
        asked = self._request.layout.key_id or ""
        return secrets_of({asked, *(one.key_id for one in stored)} - {""})

    def diagnostics(self) -> Diagnostics:
        found = self._coordinator
        coverage = self._coverage if found is None else found.coverage
        chunks = 0
        if coverage is not None:
            chunks = coverage.complete.size * len(coverage.grid.schema.outputs)
        n_chunks, n_bytes = (0, 0) if self._writer is None else self._writer.written
        return self._counts.diagnostics(
            n_workers=1 if found is None else found.n_workers,
            chunks_total=chunks,
            chunks_written=n_chunks,
            bytes_written=n_bytes,
        )

    def _expected_cost(self) -> ExpectedCost | None:
        """The expected cost of the missing points, if stored points tell it."""
        state, coverage = self._grid_state, self._coverage
        if state is None or coverage is None:
            return None
        costs = fitted_costs(coverage.grid, state.manifest.rows, has_band=False)
        if costs is None:
            return None
        seconds = costs.of_missing(coverage).total
        return ExpectedCost(costs, coverage.grid.chunk_shape, seconds, self._counts.left)

    def _known_coverage(self) -> Coverage | None:
        """The missing points, if the grid or its outputs are known beforehand.

        A block function's chunks do not wait for its outputs: its first call is a whole chunk.
        """
        request = self._request
        if self._grid_state is not None:
            return covered(
                request.domain, request.layout, self._grid_state.grid, self._grid_state.manifest
            )
        if request.layout.schema is not None or request.function.vectorized:
            return covered(
                request.domain,
                request.layout,
                new_grid(request, request.layout.schema or Schema({})),
                None,
            )
        return None

    def _earlier_failures(self) -> dict[Any, Any]:
        if self._grid_state is None:
            return {}
        names, grid = self._grid_state.failure_names, self._grid_state.grid
        return within(read_failures(self._lease.blobs, self._request.grid.path, names), grid)


def _wait_for_running(coordinator: Coordinator) -> BaseException | None:
    """Give the points that are being computed a moment; the signal that cut it short."""
    try:
        coordinator.end(GRACE_SECONDS)
    except (KeyboardInterrupt, TerminatedError) as error:  # what came back is committed first
        return error
    return None
