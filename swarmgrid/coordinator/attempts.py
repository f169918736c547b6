"""Points that fail, or take their worker with them: how often each was tried, and what is next."""

from __future__ import annotations

import contextlib
import datetime as dt
import pickle
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.errors import OutputError, PointError, WorkerLostError
from swarmgrid.format.failures import FailedPoint
from swarmgrid.space.points import Piece
from swarmgrid.transport.messages import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swarmgrid.format.failures import Place
    from swarmgrid.space.axis import Axis
    from swarmgrid.transport.messages import Lost, Task

DEADLY_TRIES = 2
"""How often a point that ends its worker is tried at least: the first time it may be innocent."""


class Attempts:
    """How often every troublesome point was tried.

    Parameters
    ----------
    earlier : mapping
        The last failures of earlier runs, by place.
    retries : int
        How often the user wants a point tried again.
    """

    def __init__(self, earlier: Mapping[Place, FailedPoint], retries: int) -> None:
        self._earlier = {place: failure.attempt for place, failure in earlier.items()}
        self._deaths: dict[Place, int] = {}
        self._retries = retries

    def numbered(self, failure: Failure) -> Failure:
        """The failure, with the number of the attempt."""
        place = failure.index, failure.offset
        self._earlier[place] = self._earlier.get(place, 0) + 1
        return replace(failure, attempt=self._earlier[place])

    def may_try_again(self, place: Place, lost: Lost) -> bool:
        """Whether a point that ended its worker is given another one."""
        if lost.is_innocent:
            return True
        self._deaths[place] = self._deaths.get(place, 0) + 1
        is_timeout = lost.reason.startswith("TimeoutError")
        tries = 1 + self._retries if is_timeout else max(DEADLY_TRIES, 1 + self._retries)
        return self._deaths[place] < tries


@dataclass(frozen=True, slots=True)
class Suspect:
    """The point that a worker was computing when it ended, and the rest of its piece."""

    piece: Piece
    """The point."""
    others: Piece | None
    """The piece without it."""


def suspected(task: Task, lost: Lost, *, is_block: bool) -> tuple[int, Suspect] | None:
    """Which of a task's pieces, and which point of it, a worker ended at.

    Returns
    -------
    tuple or None
        The piece's number and the suspect; None if nobody knows.
    """
    begun = lost.begun
    if begun is None:
        only_one = len(task.pieces) == 1 and (is_block or len(task.pieces[0].points) == 1)
        return (0, Suspect(task.pieces[0], None)) if only_one else None
    for number, piece in enumerate(task.pieces):
        n = len(piece.points)
        if begun < n:
            if is_block:
                return number, Suspect(piece, None)
            this = np.arange(n) == begun
            point, others = piece.points.subset(this), piece.points.subset(~this)
            assert point is not None
            rest = None if others is None else replace(piece, points=others)
            return number, Suspect(replace(piece, points=point), rest)
        begun -= n
    return None


def singly(piece: Piece) -> list[Piece]:
    """A piece's points, each a piece of its own."""
    n = len(piece.points)
    parts = (piece.points.subset(np.arange(n) == i) for i in range(n))
    return [replace(piece, points=part) for part in parts if part is not None]


def failure_of(
    piece: Piece, lost: Lost, axes: Sequence[Axis], chunk_shape: Sequence[int] | None
) -> Failure:
    """The failure of a point, or a block of them, that ended its worker for good."""
    offset = tuple(map(int, piece.points.indices()[0]))
    lengths = chunk_shape or [0] * len(offset)
    point = {
        axis.name: axis.take(np.array([i * n + o])).label(0)
        for axis, i, n, o in zip(axes, piece.index, lengths, offset, strict=True)
    }
    exception, _, _ = lost.reason.partition(":")
    block = piece.points if len(piece.points) > 1 else None
    return Failure(piece.index, offset, point, exception, lost.reason, "", block=block)


def to_record(failure: Failure) -> FailedPoint:
    """A failure as it is stored."""
    now, block = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"), failure.block
    return FailedPoint(
        index=failure.index,
        offset=failure.offset,
        point={name: _plain(value) for name, value in failure.point.items()},
        exception=failure.exception,
        reason=failure.reason,
        traceback=failure.traceback,
        attempt=failure.attempt,
        time=now,
        extent=None if block is None else block.extent,
        bits="" if block is None or block.bits is None else block.bits.hex(),
    )


def to_error(failure: Failure, function: str) -> PointError:
    """A failure as the error that the user sees, with the function's own as its cause."""
    kind = _KINDS.get(failure.exception, PointError)
    error = kind(function, dict(failure.point), failure.reason, failure.traceback)
    if failure.pickled is not None:
        with contextlib.suppress(Exception):  # its text is there in any case
            cause = pickle.loads(failure.pickled)
            error.__cause__ = cause.with_traceback(None)  # ours says where it was, once
    return error


_KINDS = {"OutputError": OutputError, "WorkerLostError": WorkerLostError}


def _plain(value: object) -> object:
    return value.item() if isinstance(value, (np.bool_, np.integer, np.floating)) else value
