"""What a worker does: calls the function at the points of a task, and writes the chunk."""

from __future__ import annotations

import gc
import os
import time
from typing import TYPE_CHECKING, Any

from swarmgrid.space.points import Points
from swarmgrid.storage.block import empty_block, read_block, write_points
from swarmgrid.storage.stored import StoredAxis, StoredGrid
from swarmgrid.work.calls import called_by_block, called_by_point
from swarmgrid.work.job import BEGUN, STOP, Piece, Receipt, Values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.space.axis import Axis
    from swarmgrid.storage.blobs import Blobs
    from swarmgrid.work.calls import Pulse
    from swarmgrid.work.job import Job, Task


def run_task(job: Job, task: Task, pulse: Pulse | None = None) -> Receipt:
    """The receipt of a task: its points computed and, where the task says so, written.

    The function's own errors do not get out of here: they come home in the receipt, together
    with every point that was finished.

    Parameters
    ----------
    job, task : Job, Task
        What to do.
    pulse : mutable sequence of float, optional
        Where to show what is being done; see `swarmgrid.work.job`.
    """
    pulse = [0.0, 0.0, 0.0] if pulse is None else pulse
    pulse[BEGUN] = 0
    receipt = Receipt(schema=task.schema, writes=task.writes, worker=os.getpid())
    grid = _grid(job, task)
    blobs = job.open() if grid is not None else None
    evaluate = called_by_block if job.vectorized else called_by_point
    deadline = time.monotonic() + task.limit_seconds
    for number, piece in enumerate(task.pieces):
        bins = _bins(job, task, piece)
        found = evaluate(job, piece, bins, receipt.schema, pulse, deadline)
        receipt.schema = found.schema
        receipt.retries += found.retries
        receipt.failures += found.failures
        if found.values is not None:
            _keep(receipt, piece, found.values, grid, blobs)
        receipt.interruption = found.interruption
        if receipt.interruption or (found.failures and job.on_error == "raise"):
            break
        is_late = time.monotonic() > deadline or pulse[STOP]
        if found.left is not None or is_late:
            is_fresh = piece.is_fresh and (found.values is None or not task.writes)
            rest = [Piece(piece.index, found.left, is_fresh)] if found.left is not None else []
            receipt.left = [*rest, *task.pieces[number + 1 :]]
            break
    if job.collects_garbage:
        gc.collect()
    receipt.peak_nbytes = _peak_nbytes()
    return receipt


def _peak_nbytes() -> int:
    """The most memory that this process ever had resident, where the system says."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _grid(job: Job, task: Task) -> StoredGrid | None:
    """The grid to write to; None if the results are only to be returned."""
    if not task.writes or task.schema is None or task.chunk_shape is None:
        return None
    axes = (StoredAxis(axis, n, 0) for axis, n in zip(job.axes, task.chunk_shape, strict=True))
    return StoredGrid(job.path, tuple(axes), task.schema, inner_shape=task.inner_shape)


def _bins(job: Job, task: Task, piece: Piece) -> list[Axis]:
    """Every axis with only the values that the piece's box has."""
    extent = piece.points.extent
    lengths = task.chunk_shape or extent
    return [
        axis.with_values(axis.values[i * length : i * length + n])
        for axis, i, length, n in zip(job.axes, piece.index, lengths, extent, strict=True)
    ]


def merged(
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


def _keep(
    receipt: Receipt, piece: Piece, values: Values, grid: StoredGrid | None, blobs: Blobs | None
) -> None:
    receipt.seconds += values.seconds
    receipt.points += len(values.points)
    if grid is None or blobs is None:
        receipt.values.append(values)
        return
    block = None if piece.is_fresh else read_block(blobs, grid, piece.index)
    block = merged(block, values, grid)
    row, nbytes = write_points(blobs, grid, piece.index, block, values.points, values.seconds)
    receipt.rows.append(row)
    receipt.nbytes += nbytes
