"""Cuts the missing points into tasks of a good size, as the cost of a point becomes known."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swarmgrid.space.points import Piece

TASK_SECONDS = 0.4
"""What a task is to take: hundreds of times what handing it out costs."""
LONG_SECONDS = 1.0
"""A chunk that takes longer is always divided: its first points are stored before the last."""
SHORT_SECONDS = 0.01
"""What a task is to take near the end of a run, where many workers share what is left."""
DIVIDED_SECONDS = 0.05
"""A chunk that takes less is computed by one worker, even at the end of a run."""
IDLE_SECONDS, MAX_IDLE_SECONDS = 0.05, 1.0
"""After how long who waits for a task asks for one, at first and at last."""
MANY_WORKERS = 8
"""From so many on, their first tasks are of different lengths: all would come back at once."""
TASKS_PER_WORKER = 4
"""Into so many tasks at least is divided what is left."""
MAX_CHUNKS = 256
"""Chunks of one task: each is a file to write and a row to report."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one task is to compute."""

    pieces: tuple[Piece, ...]
    writes: bool
    """Whether the worker may write the chunks: it has every point of them that is missing."""
    is_alone: bool = False
    """Whether it is one point that may be the death of its worker."""


class Batcher:
    """The missing points of a run, handed out as batches to whoever asks, from any thread.

    Parameters
    ----------
    pieces : iterator of Piece
        The missing points, chunk by chunk; a million chunks need no memory here.
    n_points : int
        How many there are.
    cost : callable
        The seconds per point, as far as they are known at the time; None where they are not.
    points_per_task : int or None
        A size set by hand.
    may_split : bool
        Whether a chunk may be divided among tasks.
    on_split : callable
        Told of a piece before it is divided: its points will come back in parts.
    is_split : callable
        Says whether the points of a chunk come back in parts already.
    """

    def __init__(
        self,
        pieces: Iterator[Piece],
        n_points: int,
        *,
        cost: Callable[[], float | None],
        points_per_task: int | None,
        may_split: bool,
        on_split: Callable[[Piece], None],
        is_split: Callable[[tuple[int, ...]], bool],
    ) -> None:
        self._n_workers = 1
        self._seconds, self._short_seconds = TASK_SECONDS, SHORT_SECONDS
        self._is_isolating = self._may_write = True
        self._pieces = pieces
        self._left = n_points
        self._cost = cost
        self._fixed = points_per_task
        self._may_split = may_split
        self._on_split = on_split
        self._is_split = is_split
        self._whole: deque[Piece] = deque()
        self._parts: deque[Piece] = deque()
        self._alone: deque[Piece] = deque()
        self._shares: deque[int] = deque()
        self._n_out = self._n_cut = 0
        self._is_closed = self._is_exhausted = False
        self._change = threading.Condition(threading.RLock())

    def suit(
        self,
        *,
        n_workers: int,
        may_write: bool,
        is_isolating: bool,
        seconds: float = TASK_SECONDS,
        short_seconds: float = SHORT_SECONDS,
    ) -> None:
        """Cut batches for an executor from now on.

        Parameters
        ----------
        n_workers : int
            How many tasks run at once.
        may_write : bool
            Whether workers can reach the store.
        is_isolating : bool
            Whether a task that kills its worker takes no other one with it.
        seconds : float
            What a task is to take.
        short_seconds : float
            What it is to take at least, near the end of a run.
        """
        with self._change:
            self._seconds, self._short_seconds = seconds, short_seconds
            self._n_workers = n_workers
            self._may_write = may_write
            self._is_isolating = is_isolating

    @property
    def is_empty(self) -> bool:
        """Whether every point has been handed out and come back, or nothing more is to be."""
        with self._change:
            kept = self._whole or self._parts or self._alone
            is_done = self._is_exhausted and not kept and not self._n_out
            return is_done or self._is_closed

    def n_batches(self) -> int:
        """About how many batches what is left makes; more rather than fewer."""
        with self._change:
            if self._fixed is not None:
                return max(1, math.ceil(self._left / self._fixed))
            work = self._left * (self._cost() or 0.0)
            few = 2 * TASKS_PER_WORKER * self._n_workers
            return max(1, min(self._left, few + int(work / self._seconds)))

    def take(
        self, *, may_wait: bool = True, on_wait: Callable[[], None] | None = None
    ) -> Batch | None:
        """The next batch; None if there is none.

        Parameters
        ----------
        may_wait : bool
            Whether to wait, if there is none, as long as a task may still put something back.
        on_wait : callable, optional
            Called again and again while that lasts, unless the size of tasks was set by hand.
        """
        if self._fixed is not None:
            on_wait = None
        seconds = None if on_wait is None else IDLE_SECONDS
        with self._change:
            while not self._is_closed:
                batch = self._next()
                if batch is not None:
                    self._left -= sum(len(piece.points) for piece in batch.pieces)
                    self._n_out += 1
                    self._n_cut += 1
                    return batch
                if not self._n_out or not may_wait:
                    return None
                if on_wait is not None and seconds is not None:
                    on_wait()
                    seconds = min(1.5 * seconds, MAX_IDLE_SECONDS)
                self._change.wait(seconds)
            return None

    def returned(self) -> None:
        """A batch that was taken is done, or what it did not get to was put back."""
        with self._change:
            self._n_out -= 1
            self._change.notify_all()

    def close(self) -> None:
        """Hand out nothing more."""
        with self._change:
            self._is_closed = True
            self._change.notify_all()

    def put_back(self, pieces: list[Piece], *, writes: bool) -> None:
        """Take back what a task did not get to, to divide it: it took longer than was expected.

        It comes next, so that chunks that have begun are completed before others begin.
        """
        with self._change:
            (self._whole if writes else self._parts).extendleft(reversed(pieces))
            n = sum(len(piece.points) for piece in pieces)
            self._left += n
            if n and self._fixed is None:
                share = math.ceil(n / self._n_workers)
                self._shares.extend([share] * math.ceil(n / share))

    def put_back_alone(self, piece: Piece) -> None:
        """Take back a point that is to be computed alone in its worker; its chunk is divided."""
        with self._change:
            self._alone.append(piece)
            self._left += len(piece.points)

    def _next(self) -> Batch | None:
        cost = self._cost()
        size, most = self._points_per_task(cost), self._most_of_a_chunk(cost)
        if not self._whole and not self._parts:
            self._shares.clear()
        if self._shares:
            share = self._shares.popleft()
            size, most = min(size, share), min(most, share)
        if self._parts:
            return self._part(self._parts.popleft(), size)
        pieces: list[Piece] = []
        n = 0
        while n < size and len(pieces) < MAX_CHUNKS and (piece := self._take_piece()) is not None:
            if self._comes_in_parts(piece, most):
                if pieces:
                    self._whole.appendleft(piece)
                    break
                if not self._is_split(piece.index):
                    self._on_split(piece)
                return self._part(piece, size)
            pieces.append(piece)
            n += len(piece.points)
        return Batch(tuple(pieces), writes=True) if pieces else self._single()

    def _single(self) -> Batch | None:
        """A point that is to be computed alone, when nothing else is left."""
        if not self._alone or (self._n_out and not self._is_isolating):
            return None
        return Batch((self._alone.popleft(),), writes=False, is_alone=True)

    def _points_per_task(self, cost: float | None) -> int:
        if self._fixed is not None:
            return self._fixed
        if cost is None:
            return 1
        size = self._seconds / max(cost, 1e-9)
        if self._n_cut < self._n_workers >= MANY_WORKERS:
            size *= 0.5 + self._n_cut / self._n_workers
        if self._n_workers > 1:
            size = min(size, max(self._fair(), self._short_seconds / max(cost, 1e-9)))
        return max(1, int(size))

    def _fair(self) -> float:
        """The points of one of as many tasks as what is left should make."""
        return self._left / (self._n_workers * TASKS_PER_WORKER)

    def _comes_in_parts(self, piece: Piece, most: float) -> bool:
        if not self._may_write or self._is_split(piece.index):
            return True
        return self._may_split and len(piece.points) > most

    def _most_of_a_chunk(self, cost: float | None) -> float:
        """The most points of a chunk that one task computes, and writes."""
        if self._fixed is not None or cost is None:
            return self._fixed or 1
        long = max(LONG_SECONDS, self._seconds) / max(cost, 1e-9)
        if self._n_workers > 1:
            short = max(DIVIDED_SECONDS, self._short_seconds)
            long = min(long, max(self._fair(), short / max(cost, 1e-9)))
        return long

    def _take_piece(self) -> Piece | None:
        if self._whole:
            return self._whole.popleft()
        piece = next(self._pieces, None)
        self._is_exhausted = piece is None
        return piece

    def _part(self, piece: Piece, size: int) -> Batch:
        n = size if self._may_split else len(piece.points)
        first, rest = piece.points.divided_at(n)
        assert first is not None
        if rest is not None:
            self._parts.appendleft(replace(piece, points=rest))
        return Batch((replace(piece, points=first),), writes=False)
