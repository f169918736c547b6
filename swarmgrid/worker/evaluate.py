"""The evaluation of a task: calls the function at its points, and writes the chunk."""

from __future__ import annotations

import gc
import logging
import sys
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from swarmgrid.format.chunk_io import empty_block, read_block, write_points
from swarmgrid.format.grid import StoredAxis, StoredGrid
from swarmgrid.leases.nesting import inside
from swarmgrid.leases.sharing import is_visible
from swarmgrid.space.points import ChunkPart, Points
from swarmgrid.store.scoping import opened
from swarmgrid.transport.messages import TaskResult
from swarmgrid.worker.arguments import with_own_arguments
from swarmgrid.worker.calls import BlockCalls, PointCalls
from swarmgrid.worker.heartbeat import Heartbeat
from swarmgrid.worker.monitor import Watchdog
from swarmgrid.worker.records import records_with_points
from swarmgrid.worker.retry import with_retries
from swarmgrid.worker.task_report import TaskReport

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.space.axis import Axis
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.transport.messages import Job, Task, Values


_log = logging.getLogger(__name__)


class Channel(Protocol):
    """The way home from where a task runs."""

    def report(self, result: TaskResult) -> None:
        """Hand over a part of the results, while the task goes on."""

    def wait_for_turn(self) -> None:
        """Return when the rate of calls allows one more."""

    def may_write(self) -> bool:
        """Whether the run goes on: a result that the run no longer waits for is not stored."""


def run_task(
    job: Job,
    task: Task,
    heartbeat: Heartbeat | None = None,
    watchdog: Watchdog | None = None,
    channel: Channel | None = None,
) -> TaskResult:
    """The result of a task: its points computed and, where the task says so, written.

    The function's own errors do not get out of here: they come home in the result, together
    with every point that was finished.

    Parameters
    ----------
    job, task : Job, Task
        The job and the task.
    heartbeat : Heartbeat, optional
        Shows what is being done.
    watchdog : Watchdog, optional
        Ends the task when its time is up, and has slow calls reported.
    channel : Channel, optional
        Takes reports before the task's end.
    """
    heartbeat = heartbeat or Heartbeat()
    report = TaskReport(task, heartbeat, channel.report if channel is not None else None)
    with (
        (watchdog or Watchdog()).watching(report),
        inside(job.runs),
        # what the function computes itself stays in the scope, too
        nullcontext() if job.grid.location.scope is None else opened(job.grid.location.scope),
        records_with_points(job, task, heartbeat),
    ):
        try:
            interruption, left = _run_parts(job, task, heartbeat, report, channel)
        except Exception:  # the store's, as a rule; what was written before is accounted for
            report.report_done()
            raise
    result = report.close()
    result.interruption, result.left = interruption, left
    if job.collects_garbage:
        gc.collect()
    result.peak_nbytes = _peak_nbytes()
    return result


def _run_parts(
    job: Job, task: Task, heartbeat: Heartbeat, report: TaskReport, channel: Channel | None
) -> tuple[BaseException | None, list[ChunkPart]]:
    """Compute part after part: what interrupted that, and what is left."""
    grid = _grid(job, task)
    blobs = job.open() if grid is not None and _sees_store(job) else None
    turn = channel.wait_for_turn if channel is not None and job.is_rate_limited else _at_once
    # of a block there is no one point that a retry could be told of
    names = [] if job.function.vectorized else [axis.name for axis in job.axes]
    own = with_own_arguments(job.call(), job)
    # around the own arguments: each try gets params that no other one has changed
    func = with_retries(own, job.retries, names, heartbeat, turn, report.add_retry)
    kind = BlockCalls if job.function.vectorized else PointCalls
    first = 0
    for number, part in enumerate(task.parts):
        bins = _bins(job, task, part)
        calls = kind(job, func, part, bins, report.result.schema, heartbeat, first)
        report.begin(calls, is_divided=grid is not None and blobs is None)
        calls.make()
        values, is_divided = report.end()
        # asked after the calls: a run that ended meanwhile must find no chunk written after it
        is_over = channel is not None and not channel.may_write()
        if values is not None and (grid is None or blobs is None or is_divided or is_over):
            report.keep(_own(values) if job.function.vectorized else values)
        elif values is not None and grid is not None and blobs is not None:
            _write(report, part, values, grid, blobs)
        if calls.interruption is not None:
            # the rest is not handed back: the run ends
            return calls.interruption, []
        if report.result.failures and job.on_error == "raise":
            return None, []
        n = len(part.points)
        if calls.settled < n or heartbeat.stop:
            _, rest = part.points.divided_at(calls.settled)
            # what was written just now is in the chunk: the rest is put in beside it
            is_fresh = part.is_fresh and values is None
            mine = [] if rest is None else [ChunkPart(part.index, rest, is_fresh)]
            return None, [*mine, *task.parts[number + 1 :]]
        first += n
    return None, []


_seen: dict[str, bool] = {}
"""Probes that were looked for in this process, and whether they were there."""


def _sees_store(job: Job) -> bool:
    """Whether what this process writes is seen by the coordinator; else it writes for us."""
    if job.probe is None:
        return True
    if job.probe not in _seen:
        _seen[job.probe] = is_visible(job.grid.location, job.probe)
        if not _seen[job.probe]:
            _log.warning(
                "store %s is another one in this worker than in the process that computes; what "
                "the worker finds is handed back to be written there",
                job.grid.location.url,
            )
    return _seen[job.probe]


def _at_once() -> None:
    """The turn of a caller that may always go on."""


def _peak_nbytes() -> int:
    """The most memory that this process ever had resident, where the system says."""
    try:
        import resource
    except ImportError:
        return 0
    # Linux says it in KiB, macOS in bytes
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _grid(job: Job, task: Task) -> StoredGrid | None:
    """The grid to write to; None if the results are only to be returned."""
    if not task.writes or task.schema is None or task.chunk_shape is None:
        return None
    # without lengths of coordinates' chunks: workers write outputs alone
    axes = (StoredAxis(axis, n, 0) for axis, n in zip(job.axes, task.chunk_shape, strict=True))
    return StoredGrid(
        job.grid.path,
        tuple(axes),
        task.schema,
        inner_shape=task.inner_shape,
        v2_keys=task.v2_keys,
    )


def _bins(job: Job, task: Task, part: ChunkPart) -> list[Axis]:
    """Every axis with only the values that the part's box has."""
    extent = part.points.extent
    lengths = task.chunk_shape or extent
    return [
        axis.take(slice(i * length, i * length + n))
        for axis, i, length, n in zip(job.axes, part.index, lengths, extent, strict=True)
    ]


def with_values(
    block: dict[str, NDArray[Any]] | None, values: Values, grid: StoredGrid
) -> dict[str, NDArray[Any]]:
    """A chunk's values with results put in; ``block`` is what it held, None for nothing."""
    if values.points == Points(grid.chunk_shape):
        shape = grid.chunk_shape
        return {name: a.reshape(shape + a.shape[1:]) for name, a in values.arrays.items()}
    block = empty_block(grid) if block is None else block
    mask = values.points.mask(grid.chunk_shape)
    for name, array in values.arrays.items():
        block[name][mask] = array
    return block


def _write(
    report: TaskReport, part: ChunkPart, values: Values, grid: StoredGrid, blobs: Blobs
) -> None:
    block = None if part.is_fresh else read_block(blobs, grid, part.index)
    block = with_values(block, values, grid)
    row, nbytes = write_points(blobs, grid, part.index, block, values.points, values.seconds)
    # not before: a report in between would hold a row without its chunk
    report.wrote(values, row, nbytes)


def _own(values: Values) -> Values:
    """Values in memory of their own: a block function may use its arrays again."""
    return replace(values, arrays={name: array.copy() for name, array in values.arrays.items()})
