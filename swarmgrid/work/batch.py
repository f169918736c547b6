"""Cuts the missing points into tasks of a good size, as the cost of a point becomes known."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swarmgrid.work.job import Piece

TASK_SECONDS = 0.1
"""What a task is to take: a thousand times what dask takes to hand it out."""
WINDOW = 512
"""Tasks handed to dask at once: memory stays flat, and workers idle once in so many tasks."""
WINDOW_CHUNKS = 16_384
"""Chunks handed out at once, where tasks hold many small ones."""
TASKS_PER_WORKER = 4
"""At least so many, so that the last ones to finish do not keep the others waiting."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one task is to compute."""

    pieces: tuple[Piece, ...]
    writes: bool
    """Whether the worker may write the chunks: it has every point of them that is missing."""
    is_alone: bool = False
    """Whether it is one point that may be the death of its worker."""


class Batcher:
    """The missing points of a run, handed out as batches.

    Parameters
    ----------
    pieces : iterator of Piece
        The missing points, chunk by chunk; a million chunks need no memory here.
    n_points : int
        How many there are.
    n_workers : int
        How many tasks run at once.
    points_per_task : int or None
        A size set by hand.
    may_split, may_write : bool
        Whether a chunk may be divided among tasks, and whether workers can reach the store.
    is_isolating : bool
        Whether a task that kills its worker takes no other one with it.
    on_split : callable
        Told of a piece before it is divided: its points will come back in parts.
    is_split : callable
        Says whether the points of a chunk come back in parts already.
    """

    def __init__(
        self,
        pieces: Iterator[Piece],
        n_points: int,
        n_workers: int,
        *,
        points_per_task: int | None,
        may_split: bool,
        may_write: bool,
        is_isolating: bool,
        on_split: Callable[[Piece], None],
        is_split: Callable[[tuple[int, ...]], bool],
    ) -> None:
        self.n_workers = n_workers
        self.is_isolating = is_isolating
        self._pieces = pieces
        self._left = n_points
        self._fixed = points_per_task
        self._may_split = may_split
        self._may_write = may_write
        self._on_split = on_split
        self._is_split = is_split
        self._whole: deque[Piece] = deque()
        self._parts: deque[Piece] = deque()
        self._alone: deque[Piece] = deque()

    def put_back(self, pieces: list[Piece], *, writes: bool) -> None:
        """Take back what a task did not get to."""
        (self._whole if writes else self._parts).extend(pieces)
        self._left += sum(len(piece.points) for piece in pieces)

    def put_back_alone(self, piece: Piece) -> None:
        """Take back a point that is to be computed alone in its worker; its chunk is divided."""
        self._alone.append(piece)
        self._left += len(piece.points)

    def window(self, seconds_per_point: float | None) -> list[Batch]:
        """The next batches; none when everything is handed out.

        Parameters
        ----------
        seconds_per_point : float or None
            The cost of a point, as far as it is known.
        """
        size = self._points_per_task(seconds_per_point)
        limit = self.n_workers if seconds_per_point is None else WINDOW
        batches: list[Batch] = []
        n_chunks = 0
        while len(batches) < limit and n_chunks < WINDOW_CHUNKS and (batch := self._next(size)):
            batches.append(batch)
            n_chunks += len(batch.pieces)
        if not batches:
            batches = self._singles()
        self._left -= sum(len(p.points) for batch in batches for p in batch.pieces)
        return batches

    def _singles(self) -> list[Batch]:
        """The points that are to be computed alone, when nothing else is left."""
        n = len(self._alone) if self.is_isolating else min(1, len(self._alone))
        return [Batch((self._alone.popleft(),), writes=False, is_alone=True) for _ in range(n)]

    def _points_per_task(self, seconds_per_point: float | None) -> int:
        if self._fixed is not None:
            return self._fixed
        if seconds_per_point is None:
            return 1
        size = max(1, int(TASK_SECONDS / max(seconds_per_point, 1e-9)))
        if self.n_workers > 1:
            size = min(size, -(-self._left // (self.n_workers * TASKS_PER_WORKER)))
        return max(1, size)

    def _next(self, size: int) -> Batch | None:
        if self._parts:
            return self._part(self._parts.popleft(), size)
        pieces: list[Piece] = []
        n = 0
        while n < size and (piece := self._take()) is not None:
            if self._comes_in_parts(piece, size):
                if pieces:
                    self._whole.appendleft(piece)
                    break
                if not self._is_split(piece.index):
                    self._on_split(piece)
                return self._part(piece, size)
            pieces.append(piece)
            n += len(piece.points)
        return Batch(tuple(pieces), writes=True) if pieces else None

    def _comes_in_parts(self, piece: Piece, size: int) -> bool:
        is_long = self._may_split and len(piece.points) > 2 * size
        return not self._may_write or is_long or self._is_split(piece.index)

    def _take(self) -> Piece | None:
        return self._whole.popleft() if self._whole else next(self._pieces, None)

    def _part(self, piece: Piece, size: int) -> Batch:
        n = size if self._may_split else len(piece.points)
        first, rest = piece.points.divided_at(n)
        assert first is not None
        if rest is not None:
            self._parts.appendleft(replace(piece, points=rest))
        return Batch((replace(piece, points=first),), writes=False)
