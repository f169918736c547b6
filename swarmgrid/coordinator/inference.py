"""The first points of a new grid: what they return shows the outputs, and so the chunks."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from swarmgrid.coordinator.attempts import failure_of
from swarmgrid.planning.growth import covered, new_grid, placed, single_points
from swarmgrid.space.chunks import MAX_POINTS, MAX_SECONDS
from swarmgrid.space.labels import MisfitError
from swarmgrid.space.points import Points
from swarmgrid.space.results import Unpacked, fitted, unnamed
from swarmgrid.transport.messages import Failure, Receipt, Task, Values

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from swarmgrid.coordinator.attempts import Attempts
    from swarmgrid.coordinator.commit import Committer
    from swarmgrid.coordinator.stats import Tally
    from swarmgrid.executors.local import Executor
    from swarmgrid.planning.coverage import Coverage
    from swarmgrid.planning.request import Request
    from swarmgrid.space.outputs import Schema


class Exploration:
    """Computes the first points of a grid that is not stored, or chunks where one is a call.

    The first of them in C order decides what the outputs are. Where it keeps all others waiting,
    the first one that is there does: no worker waits for it, and nothing that is to be stored.

    Parameters
    ----------
    request : Request
        What is asked for.
    coverage : Coverage or None
        Its chunks, where they are known although the outputs are not.
    begin : callable
        Makes the grid in the store: what takes the values of a coverage.
    fail : callable
        Told of each point that failed for good.
    attempts, tally
        How often points were tried, and who is told.
    """

    def __init__(
        self,
        request: Request,
        coverage: Coverage | None,
        begin: Callable[[Coverage], Committer],
        fail: Callable[[Failure], None],
        attempts: Attempts,
        tally: Tally,
    ) -> None:
        self.coverage: Coverage | None = None
        """The new grid, once its outputs are known; the points tried here count as computed."""
        self._request = request
        self._begin = begin
        self._fail = fail
        self._attempts = attempts
        self._tally = tally
        self._is_block = request.vectorized
        self._shape = None if coverage is None else coverage.grid.chunk_shape
        self._pieces = single_points(request) if coverage is None else coverage.pieces()
        self._tasks: list[Task] = []
        self._tried: list[Task] = []
        self._again: list[Task] = []
        self._waiting: list[tuple[Task, Receipt]] = []
        self.failures: list[Failure] = []
        """Points that failed for good before there was a grid."""
        self._committer: Committer | None = None
        self._schema: Schema | None = None
        self._is_closed = False

    @property
    def has_lost(self) -> bool:
        """Whether points are to be tried again because their worker died."""
        return bool(self._again)

    def next_tasks(self, executor: Executor, n_workers: int) -> list[Task]:
        """Tasks for an executor to run next, those whose worker died first; maybe none.

        There are enough of them for ``n_workers`` to join in.
        """
        if self._again:
            n = len(self._again) if executor.is_isolating else 1
            tasks, self._again = self._again[:n], self._again[n:]
            return [replace(task, is_alone=True) for task in tasks]
        n = n_workers * (1 if self._is_block else executor.first_points)
        tasks = [
            Task((piece,), self._shape, None, writes=False) for piece in islice(self._pieces, n)
        ]
        self._tasks = tasks
        self._tried += tasks
        return tasks

    def take(self, task: Task, receipt: Receipt) -> None:
        """Take what came of a task."""
        if receipt.lost is not None:
            self._take_loss(task, receipt)
            return
        self._tally.first_done(receipt)
        for failure in receipt.failures:
            self._take_failure(failure)
        if self.coverage is not None:
            self._take_in(task, receipt)
            return
        self._waiting.append((task, receipt))
        is_first_there = any(task is self._tasks[0] for task, _ in self._waiting)
        is_costed = self._is_block or _is_cheap(receipt) or self._cost() is not None
        are_others_there = 0 < len(self._tasks) - 1 <= len(self._waiting)
        if is_costed and (is_first_there or are_others_there):
            self.decide()

    def decide(self) -> None:
        """Fix the outputs by the first point, in C order, that is there; if one is."""
        there = [pair for pair in self._waiting if pair[1].values]
        if self.coverage is not None or not there or self._is_closed:
            return
        _, first = min(there, key=lambda pair: _order(pair[1].values[0]))
        assert first.schema is not None
        self._schema = first.schema
        grid = new_grid(self._request, first.schema, self._cost())
        coverage = covered(self._request, grid, None)
        self._shape = self._shape or coverage.grid.chunk_shape
        self._committer = self._begin(coverage)
        points = [self._placed(task) for task in self._tried]
        for index in {index for index, _ in points}:
            self._committer.expect(coverage.piece(index))
        for index, inside in points:
            coverage.mark(index, inside)
        self.coverage = coverage
        for task, receipt in self._waiting:
            self._take_in(task, receipt)
        self._waiting = []
        failures, self.failures = self.failures, []
        for failure in failures:
            self._give_up(failure)

    def close(self) -> None:
        """Decide by what is there, and by nothing that comes later."""
        try:
            self.decide()
        finally:
            self._is_closed = True

    def _cost(self) -> float | None:
        """What a point costs, by those that are there; None before a worker did its second.

        A worker's first call may take long for what the others need no more: imports, compilation.
        """
        receipts = [receipt for _, receipt in self._waiting if receipt.points]
        if len({receipt.worker for receipt in receipts}) == len(receipts):
            return None
        return min(receipt.seconds / receipt.points for receipt in receipts)

    def _take_loss(self, task: Task, receipt: Receipt) -> None:
        assert receipt.lost is not None
        piece = task.pieces[0]
        failure = failure_of(piece, receipt.lost, self._request.axes, task.chunk_shape)
        self._tally.lost(receipt.lost, receipt, failure.point)
        if self._attempts.may_try_again((failure.index, failure.offset), receipt.lost):
            self._again.append(task)
        else:
            self._take_failure(failure)

    def _take_failure(self, failure: Failure) -> None:
        if self.coverage is None:
            self.failures.append(failure)
        else:
            self._give_up(failure)

    def _give_up(self, failure: Failure) -> None:
        """Count a point as failed, in the terms of the grid's chunks."""
        assert self._committer is not None
        assert self._shape is not None
        if not self._is_block:
            index, offset = placed(failure.offset, self._shape)
            failure = replace(failure, index=index, offset=offset)
        self._committer.give_up(failure.index, failure.n_points)
        self._fail(failure)

    def _take_in(self, task: Task, receipt: Receipt) -> None:
        """Commit what a task returned, in the terms of the grid's outputs and chunks."""
        assert self._committer is not None
        assert self._schema is not None
        for values in receipt.values:
            try:
                arrays = self._refitted(values, receipt)
            except MisfitError as error:
                self._tally.corrected(len(values.points))
                self._give_up(self._misfit(values, error))
                continue
            index, points = self._placed(task)
            whole = replace(values, index=index, points=points, arrays=arrays)
            begun = time.monotonic()
            self._committer.receive(Receipt(values=[whole]))
            self._tally.first_stored(time.monotonic() - begun, len(points))

    def _placed(self, task: Task) -> tuple[tuple[int, ...], Points]:
        """The chunk of a task, and its points within it."""
        piece = task.pieces[0]
        if self._is_block or self._shape is None:
            return piece.index, piece.points
        (position,) = piece.points.indices().tolist()
        index, offset = placed(position, self._shape)
        return index, Points.at(offset)

    def _refitted(self, values: Values, receipt: Receipt) -> dict[str, NDArray[Any]]:
        """Results inferred by themselves, as arrays that fit the outputs."""
        assert receipt.schema is not None
        assert self._schema is not None
        dims = {
            name: output.dims
            for name, output in receipt.schema.outputs.items()
            if output.dims != unnamed(name, len(output.dims))
        }
        given = {n: a if self._is_block else a[0] for n, a in values.arrays.items()}
        lead = (len(values.points),) if self._is_block else ()
        result = Unpacked(given, dims, dict(receipt.schema.coords))
        arrays = fitted(result, self._schema, lead)
        return arrays if self._is_block else {name: a[None] for name, a in arrays.items()}

    def _misfit(self, values: Values, error: MisfitError) -> Failure:
        position = values.points.indices()[0]
        lengths = self._shape if self._is_block and self._shape else [0] * len(position)
        point = {
            axis.name: axis.label(i * n + int(p))
            for axis, i, n, p in zip(
                self._request.axes, values.index, lengths, position, strict=True
            )
        }
        offset = tuple(map(int, position))
        block = values.points if self._is_block else None
        return Failure(values.index, offset, point, "OutputError", str(error), "", block=block)


def _is_cheap(receipt: Receipt) -> bool:
    """Whether points cost too little to have a say in the chunks."""
    return receipt.points > 0 and receipt.seconds / receipt.points < MAX_SECONDS / MAX_POINTS


def _order(values: Values) -> tuple[Any, ...]:
    return values.index, tuple(values.points.indices()[0].tolist())
