"""The first points of a new grid: what they return decides the outputs, and so the chunks.

Tasks out, results in, a decision at the end: nothing here computes, waits or writes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from swarmgrid.outputs.labels import MisfitError
from swarmgrid.outputs.results import Unpacked, fitted, unnamed
from swarmgrid.planning.growth import covered, new_grid, placed, single_points
from swarmgrid.policies.attempts import failure_of
from swarmgrid.space.chunks import MAX_POINTS, MAX_SECONDS
from swarmgrid.space.points import Points
from swarmgrid.transport.messages import Failure, Task, Values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from swarmgrid.outputs.outputs import Schema
    from swarmgrid.planning.coverage import Coverage
    from swarmgrid.planning.request import Request
    from swarmgrid.policies.attempts import Attempts
    from swarmgrid.transport.messages import TaskResult, WorkerCrash


@dataclass(frozen=True, slots=True)
class Settled:
    """The results of some points, in the terms of the grid's outputs and chunks."""

    values: tuple[Values, ...] = ()
    failures: tuple[Failure, ...] = ()
    """Points that failed for good."""
    n_misfits: int = 0
    """The number of failures at points that were counted as computed."""


class Inference:
    """Decides what the outputs of a new grid are, by its first points.

    The first of them in C order decides. Where it keeps all others waiting, the first one that is
    there does: no worker waits for it, and nothing that is to be stored.

    Parameters
    ----------
    request : Request
        The request.
    coverage : Coverage or None
        Its chunks, where they are known although the outputs are not: of a block function.
    attempts : Attempts
        The tries of points.
    """

    def __init__(self, request: Request, coverage: Coverage | None, attempts: Attempts) -> None:
        self.coverage: Coverage | None = None
        """The new grid, once it is decided; the points tried here count as computed."""
        self.failures: list[Failure] = []
        """Points that failed for good before that."""
        self._request = request
        self._attempts = attempts
        self._is_block = request.function.vectorized
        self._shape = None if coverage is None else coverage.grid.chunk_shape
        self._parts = single_points(request.domain) if coverage is None else coverage.parts()
        self._round: deque[Task] = deque()
        """Tasks that are to be handed out before the next look at what there is."""
        self._first: Task | None = None
        """The first task of the round."""
        self._is_exhausted = False
        self._out: list[Task] = []
        self._crashed: deque[Task] = deque()
        """Tasks whose worker crashed, to be tried again in a worker of their own."""
        self._waiting: list[tuple[Task, TaskResult]] = []
        self._tried: list[Task] = []
        self._schema: Schema | None = None

    def next_task(
        self, n_workers: int, first_points: int, *, may_crash: bool = True
    ) -> Task | None:
        """The next task to hand out; None while it is better to wait for those that are out.

        Parameters
        ----------
        n_workers : int
            The number of workers that share the first points.
        first_points : int
            The number of these points for each worker.
        may_crash : bool
            Whether a task whose worker crashed may be handed out again now.
        """
        if self._crashed and may_crash:
            return self._handed_out(replace(self._crashed.popleft(), is_isolated=True))
        if self.coverage is not None or self._crashed:
            return None
        if not self._round and not self._out:
            self._begin_round(n_workers * (1 if self._is_block else first_points))
        if not self._round:
            return None
        task = self._round.popleft()
        self._tried.append(task)
        return self._handed_out(task)

    @property
    def may_hand_out(self) -> bool:
        """Whether there may be a task to hand out now."""
        if self.coverage is not None:
            return bool(self._crashed)
        return bool(self._crashed or self._round or not (self._out or self._is_exhausted))

    @property
    def is_over(self) -> bool:
        """Whether every point that was tried is settled, and no more are to be tried."""
        is_idle = not (self._out or self._crashed or self._round)
        return is_idle and (self.coverage is not None or self._is_exhausted)

    def add(self, task: Task, result: TaskResult) -> Settled:
        """Take the results of a task; what is settled by them, once the grid is known."""
        self._out = [other for other in self._out if not _is_same(other, task)]
        if self.coverage is None:
            self.failures += result.failures
            self._waiting.append((task, result))
            return Settled()
        settled = self._settled(task, result)
        failures = tuple(map(self._placed_failure, result.failures))
        return replace(settled, failures=(*failures, *settled.failures))

    def add_crash(self, task: Task, crash: WorkerCrash) -> tuple[Failure, Settled]:
        """Take note of a task whose worker crashed: which point it was, and what follows."""
        self._out = [other for other in self._out if not _is_same(other, task)]
        failure = failure_of(task.parts[0], crash, self._request.domain.axes, task.chunk_shape)
        if self._attempts.count_crash((failure.index, failure.offset), crash):
            self._crashed.append(task)
            return failure, Settled()
        if self.coverage is None:
            self.failures.append(failure)
            return failure, Settled()
        return failure, Settled(failures=(self._placed_failure(failure),))

    def is_ready(self, *, has_waited: bool) -> bool:
        """Whether it is time to decide, by what the results show.

        Parameters
        ----------
        has_waited : bool
            Whether the first point has had a moment to come back before the others decide.
        """
        if not self.can_decide:
            return False
        if not self._out and not self._round:
            return True
        is_costed = self._is_block or _is_cheap(self._waiting[-1][1]) or self._cost() is not None
        is_first_there = any(_is_same(task, self._first) for task, _ in self._waiting)
        return is_costed and (is_first_there or (has_waited and self._are_others_there()))

    @property
    def chunk_shape(self) -> tuple[int, ...] | None:
        """The shape of the chunks, as far as it is known."""
        return self._shape

    @property
    def can_decide(self) -> bool:
        """Whether some point shows the outputs."""
        is_open = self.coverage is None
        return is_open and any(result.values for _, result in self._waiting)

    def decide(self) -> tuple[Coverage, list[tuple[int, ...]]]:
        """Fix the outputs by the first point, in C order, that is there.

        Returns
        -------
        tuple of Coverage and list
            The grid, and the indices of the chunks that the tried points lie in.

        Raises
        ------
        InputError
            If the outputs, chunks or axes do not go together.
        """
        there = [result for _, result in self._waiting if result.values]
        # the first in C order, not in time: which worker was quicker is to decide as little as it
        # can
        first = min(there, key=lambda result: _order(result.values[0]))
        assert first.schema is not None
        grid = new_grid(self._request, first.schema, self._cost())
        self._schema = grid.schema
        coverage = covered(self._request.domain, self._request.layout, grid, None)
        self._shape = self._shape or coverage.grid.chunk_shape
        # what no worker has begun is cut into tasks like all other points
        self._round.clear()
        places = [self._placed(task) for task in self._tried]
        indices = sorted({index for index, _ in places})
        self.coverage = coverage
        return coverage, indices

    def count_tried(self) -> Coverage:
        """Count the points that were tried as computed; their chunks have been announced."""
        assert self.coverage is not None
        self.coverage = self.coverage.with_computed(map(self._placed, self._tried))
        return self.coverage

    def settle_waiting(self) -> Settled:
        """Hand over the results from before the grid was decided, in its terms."""
        values: list[Values] = []
        failures = [self._placed_failure(failure) for failure in self.failures]
        n_misfits = 0
        for task, result in self._waiting:
            settled = self._settled(task, result)
            values += settled.values
            failures += settled.failures
            n_misfits += settled.n_misfits
        self._waiting, self.failures = [], []
        return Settled(tuple(values), tuple(failures), n_misfits)

    def _begin_round(self, n: int) -> None:
        parts = list(islice(self._parts, n))
        self._round.extend(Task((part,), self._shape, None, writes=False) for part in parts)
        self._first = self._round[0] if self._round else None
        self._is_exhausted = not parts

    def _handed_out(self, task: Task) -> Task:
        self._out.append(task)
        return task

    def _are_others_there(self) -> bool:
        """Whether all points of the round but one have come back."""
        return not self._round and len(self._out) == 1 and bool(self._waiting)

    def _cost(self) -> float | None:
        """The cost of a point, by those computed so far; None before a worker did its second.

        A worker's first call may take long for what the others need no more: imports, compilation.
        """
        results = [result for _, result in self._waiting if result.points]
        if len({result.worker for result in results}) == len(results):
            return None
        return min(result.seconds / result.points for result in results)

    def _placed_failure(self, failure: Failure) -> Failure:
        """A failure in the terms of the grid's chunks."""
        if self._is_block:
            return failure
        assert self._shape is not None
        index, offset = placed(failure.offset, self._shape)
        return replace(failure, index=index, offset=offset)

    def _settled(self, task: Task, result: TaskResult) -> Settled:
        fitting: list[Values] = []
        misfits: list[Failure] = []
        n_misfits = 0
        for values in result.values:
            try:
                arrays = self._refitted(values, result)
            except MisfitError as error:
                n_misfits += len(values.points)
                misfits.append(self._placed_failure(self._misfit(values, error)))
                continue
            index, points = self._placed(task)
            fitting.append(replace(values, index=index, points=points, arrays=arrays))
        return Settled(tuple(fitting), tuple(misfits), n_misfits)

    def _placed(self, task: Task) -> tuple[tuple[int, ...], Points]:
        """The chunk of a task, and its points within it."""
        part = task.parts[0]
        if self._is_block or self._shape is None:
            return part.index, part.points
        (position,) = part.points.indices().tolist()
        index, offset = placed(position, self._shape)
        return index, Points.at(offset)

    def _refitted(self, values: Values, result: TaskResult) -> dict[str, NDArray[Any]]:
        """Results inferred by themselves, as arrays that fit the outputs."""
        assert result.schema is not None
        assert self._schema is not None
        dims = {
            name: output.dims
            for name, output in result.schema.outputs.items()
            if output.dims != unnamed(name, len(output.dims))
        }
        given = {n: a if self._is_block else a[0] for n, a in values.arrays.items()}
        lead = (len(values.points),) if self._is_block else ()
        unpacked = Unpacked(given, dims, dict(result.schema.coords))
        arrays = fitted(unpacked, self._schema, lead)
        return arrays if self._is_block else {name: a[None] for name, a in arrays.items()}

    def _misfit(self, values: Values, error: MisfitError) -> Failure:
        position = values.points.indices()[0]
        lengths: Sequence[int] = (
            self._shape if self._is_block and self._shape else [0] * len(position)
        )
        point = {
            axis.name: axis.label(i * n + int(p))
            for axis, i, n, p in zip(
                self._request.domain.axes, values.index, lengths, position, strict=True
            )
        }
        offset = tuple(map(int, position))
        block = values.points if self._is_block else None
        return Failure(
            values.index, offset, point, "OutputError", str(error), "", kind="misfit", block=block
        )


def _is_same(one: Task, other: Task | None) -> bool:
    """Whether two tasks are the same, tried again or not."""
    # a task that is tried again is a copy, but of the very same parts
    return other is not None and one.parts is other.parts


def _is_cheap(result: TaskResult) -> bool:
    """Whether points cost too little to have a say in the chunks."""
    return result.points > 0 and result.seconds / result.points < MAX_SECONDS / MAX_POINTS


def _order(values: Values) -> tuple[Any, ...]:
    return values.index, tuple(values.points.indices()[0].tolist())
