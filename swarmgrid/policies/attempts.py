"""Points that fail, or crash their worker: the tries of each, and what follows for its task."""

from __future__ import annotations

import contextlib
import datetime as dt
import pickle
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.errors import OutputError, PointError, WorkerLostError
from swarmgrid.identity import shortened
from swarmgrid.records.failures import FailedPoint
from swarmgrid.space.points import ChunkPart
from swarmgrid.transport.messages import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swarmgrid.records.failures import Place
    from swarmgrid.space.axis import Axis
    from swarmgrid.transport.messages import Task, WorkerCrash

DEADLY_TRIES = 2
"""The least tries of a point that crashes its worker: once it may not be at fault."""


class Attempts:
    """The number of tries of every point that failed or crashed its worker.

    Parameters
    ----------
    earlier : mapping
        The last failures of earlier runs, by place.
    retries : int
        The most repeated calls at a point.
    """

    def __init__(self, earlier: Mapping[Place, FailedPoint], retries: int) -> None:
        self._earlier = {place: failure.attempt for place, failure in earlier.items()}
        self._deaths: dict[Place, int] = {}
        self._retries = retries

    def number(self, failure: Failure) -> Failure:
        """Count an attempt, and return the failure with its number."""
        place = failure.index, failure.offset
        self._earlier[place] = self._earlier.get(place, 0) + 1
        return replace(failure, attempt=self._earlier[place])

    def count_crash(self, place: Place, crash: WorkerCrash) -> bool:
        """Count a crash at a point; whether the point is given another worker."""
        if not crash.is_at_fault:
            return True
        self._deaths[place] = self._deaths.get(place, 0) + 1
        tries = (
            # a point that exceeds its time limit is at fault for certain, and needs no second
            # trial
            1 + self._retries if crash.kind == "timeout" else max(DEADLY_TRIES, 1 + self._retries)
        )
        return self._deaths[place] < tries


@dataclass(frozen=True, slots=True)
class CrashingPoint:
    """The point that a worker was computing when it ended, and the rest of its part."""

    part: ChunkPart
    """The point."""
    others: ChunkPart | None
    """The part without it."""


def crashing_point(
    task: Task, crash: WorkerCrash, *, is_block: bool
) -> tuple[int, CrashingPoint] | None:
    """The point of a task, and its part, that a worker was computing when it ended.

    Returns
    -------
    tuple or None
        The part's number and the crashing point; None if that is not known.
    """
    begun = crash.begun
    if begun is None:
        # the worker ended before it could say where it was; a single call leaves no doubt
        only_one = len(task.parts) == 1 and (is_block or len(task.parts[0].points) == 1)
        return (0, CrashingPoint(task.parts[0], None)) if only_one else None
    for number, part in enumerate(task.parts):
        n = len(part.points)
        if begun < n:
            if is_block:
                return number, CrashingPoint(part, None)
            this = np.arange(n) == begun
            point, others = part.points.subset(this), part.points.subset(~this)
            assert point is not None
            rest = None if others is None else replace(part, points=others)
            return number, CrashingPoint(replace(part, points=point), rest)
        begun -= n
    return None


def singly(part: ChunkPart) -> list[ChunkPart]:
    """A part's points, each a part of its own."""
    n = len(part.points)
    subsets = (part.points.subset(np.arange(n) == i) for i in range(n))
    return [replace(part, points=points) for points in subsets if points is not None]


def failure_of(
    part: ChunkPart, crash: WorkerCrash, axes: Sequence[Axis], chunk_shape: Sequence[int] | None
) -> Failure:
    """The failure of a point, or a block of them, that ended its worker for good."""
    offset = tuple(map(int, part.points.indices()[0]))
    # while the chunks are not known, an offset is the position on the whole axis
    lengths = chunk_shape or [0] * len(offset)
    point = {
        axis.name: axis.take(np.array([i * n + o])).label(0)
        for axis, i, n, o in zip(axes, part.index, lengths, offset, strict=True)
    }
    block = part.points if len(part.points) > 1 else None
    return Failure(
        part.index,
        offset,
        point,
        crash.exception,
        crash.reason,
        "",
        kind=crash.kind,
        block=block,
    )


@dataclass(frozen=True, slots=True)
class Aftermath:
    """The order and form in which the points of a crashed task are handed out again."""

    crashed_at: Failure | None = None
    """The point that was being computed, where that is known."""
    is_final: bool = False
    """Whether that point counts as failed now."""
    again: tuple[ChunkPart, ...] = ()
    """Parts to be computed as before."""
    divided_parts: tuple[ChunkPart, ...] = ()
    """Parts of divided chunks."""
    isolated: tuple[ChunkPart, ...] = ()
    """Points to be computed alone, each in a fresh worker."""
    divided: tuple[ChunkPart, ...] = ()
    """Parts whose points come back in parts from now on."""


def aftermath(
    task: Task, crash: WorkerCrash, attempts: Attempts, axes: Sequence[Axis], *, is_block: bool
) -> Aftermath:
    """Decide how the points of a task continue after its worker crashed.

    Parameters
    ----------
    task, crash : Task, WorkerCrash
        The task, as far as it was not reported, and how the worker ended.
    attempts : Attempts
        The tries of points; this crash is counted.
    axes : sequence of Axis
        The axes of the grid.
    is_block : bool
        Whether the function takes blocks: a part is then one call.
    """
    if not crash.is_at_fault:
        return Aftermath(again=task.parts)
    found = crashing_point(task, crash, is_block=is_block)
    if found is None:
        # any of the points may be at fault: computed one by one, the next crash tells which
        isolated = [one for part in task.parts for one in ([part] if is_block else singly(part))]
        return Aftermath(isolated=tuple(isolated), divided=task.parts)
    number, at = found
    failure = failure_of(at.part, crash, axes, task.chunk_shape)
    rest = tuple(part for i, part in enumerate(task.parts) if i != number)
    may_try = attempts.count_crash((failure.index, failure.offset), crash)
    return Aftermath(
        crashed_at=failure,
        is_final=not may_try,
        again=rest,
        divided_parts=() if at.others is None else (at.others,),
        isolated=(at.part,) if may_try else (),
        divided=(task.parts[number],),
    )


def to_record(failure: Failure) -> FailedPoint:
    """A failure as it is stored."""
    now, block = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"), failure.block
    return FailedPoint(
        index=failure.index,
        offset=failure.offset,
        point={name: _plain(value) for name, value in failure.point.items()},
        exception=failure.exception,
        reason=failure.reason,
        traceback=shortened(failure.traceback),
        attempt=failure.attempt,
        time=now,
        extent=None if block is None else block.extent,
        bits="" if block is None or block.bits is None else block.bits.hex(),
    )


def to_error(failure: Failure, function: str) -> PointError:
    """A failure as the error that the user sees, with the function's own as its cause."""
    error = _ERRORS.get(failure.kind, PointError)(
        function, dict(failure.point), failure.reason, failure.traceback
    )
    if failure.pickled is not None:
        with contextlib.suppress(Exception):  # its text is there in any case
            cause = pickle.loads(failure.pickled)
            error.__cause__ = cause.with_traceback(None)  # ours says where it was, once
    return error


_ERRORS: dict[str, type[PointError]] = {"misfit": OutputError, "ended": WorkerLostError}
"""The error of a failure, by its kind; any other is a `PointError`."""


def _plain(value: object) -> object:
    return value.item() if isinstance(value, (np.bool_, np.integer, np.floating)) else value
