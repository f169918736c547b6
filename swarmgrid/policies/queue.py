"""The queue of a run: its missing points, cut into tasks when an executor asks for one.

Only the coordinator's thread uses it, so nothing here is locked.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from swarmgrid.policies.task_size import n_tasks, task_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarmgrid.executors.base import Traits
    from swarmgrid.space.points import ChunkPart

MAX_CHUNKS = 256
"""Chunks of one task: each is a file to write and a row to report."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The points of one task."""

    parts: tuple[ChunkPart, ...]
    writes: bool
    """Whether the worker may write the chunks: it has every point of them that is missing."""
    is_isolated: bool = False
    """Whether it is one point that may crash its worker."""


class DividedChunks:
    """Chunks whose points come back in parts, and how many points of each are still to come."""

    def __init__(self) -> None:
        self._left: dict[tuple[int, ...], int] = {}

    def __contains__(self, index: tuple[int, ...]) -> bool:
        return index in self._left

    def expect(self, index: tuple[int, ...], n: int) -> None:
        """Count ``n`` points of a chunk that are to come back."""
        self._left[index] = self._left.get(index, 0) + n

    def settle(self, index: tuple[int, ...], n: int) -> None:
        """Count ``n`` points of a chunk that came back, or never will."""
        left = self._left.get(index)
        if left is not None:
            self._left[index] = left - n
            if left <= n:
                del self._left[index]


class TaskQueue:
    """The missing points of a run.

    Parameters
    ----------
    parts : iterator of ChunkPart
        The missing points, chunk by chunk; a million chunks need no memory here.
    n_points : int
        The number of these points.
    divided : DividedChunks
        Chunks whose points come back in parts; the queue reads it.
    points_per_task : int or None
        A size that the user has set.
    may_divide : bool
        Whether a chunk may be divided among tasks.
    """

    def __init__(
        self,
        parts: Iterator[ChunkPart],
        n_points: int,
        divided: DividedChunks,
        *,
        points_per_task: int | None,
        may_divide: bool,
    ) -> None:
        self.left = n_points
        """Points that no task has."""
        self._parts = parts
        self._divided = divided
        self._fixed = points_per_task
        self._may_divide = may_divide
        self._whole: deque[ChunkPart] = deque()
        """Chunk parts that came back and that a worker may write."""
        self._to_divide: deque[ChunkPart] = deque()
        """Parts of divided chunks."""
        self._isolated: deque[ChunkPart] = deque()
        """Points that may crash their worker."""
        self._shares: deque[int] = deque()
        """The sizes of the next tasks, after a slow task gave its points back."""
        self._n_cut = 0
        self._ahead: ChunkPart | None = None
        """The next of the parts, where it was looked at."""

    @property
    def is_empty(self) -> bool:
        """Whether every point has been handed out."""
        if self._ahead is None:
            # the parts come from a generator: only a look at the next one tells whether there is
            # any
            self._ahead = next(self._parts, None)
        return self._ahead is None and not (self._whole or self._to_divide or self._isolated)

    @property
    def may_share(self) -> bool:
        """Whether a running task may be asked to give points back."""
        return self._fixed is None

    def n_tasks(self, cost: float | None, traits: Traits, seconds: float | None = None) -> int:
        """About how many tasks are left; more rather than fewer."""
        return n_tasks(self.left, cost, traits, seconds=seconds, fixed=self._fixed)

    def get(
        self,
        cost: float | None,
        traits: Traits,
        *,
        seconds: float | None = None,
        may_be_isolated: bool = True,
    ) -> tuple[Batch | None, ChunkPart | None]:
        """Cut the next batch.

        Parameters
        ----------
        cost : float or None
            Seconds per point, as far as they are known.
        traits : Traits
            The abilities of the executor that asks.
        seconds : float, optional
            The duration of a task, in place of that in the traits.
        may_be_isolated : bool
            Whether a point that may crash its worker may be handed out now.

        Returns
        -------
        tuple of Batch or None and ChunkPart or None
            The batch; and the part that was divided for it, whose chunk was whole before: all of
            its points come back in parts.
        """
        size = task_size(
            self.left, cost, traits, n_cut=self._n_cut, seconds=seconds, fixed=self._fixed
        )
        n_most, chunk_most = size.points, size.chunk_points
        if not self._whole and not self._to_divide:
            # they were for what came back; points that no task has had are cut by their cost
            self._shares.clear()
        if self._shares:
            share = self._shares.popleft()
            n_most, chunk_most = min(n_most, share), min(chunk_most, share)
        batch, divided = self._cut(traits, n_most, chunk_most)
        # last: whatever such a point does to its worker, all others are computed by then
        if batch is None and self._isolated and may_be_isolated:
            batch = Batch((self._isolated.popleft(),), writes=False, is_isolated=True)
        if batch is not None:
            self._n_cut += 1
            self.left -= sum(len(part.points) for part in batch.parts)
        return batch, divided

    def put_back(self, parts: list[ChunkPart], *, writes: bool, n_workers: int) -> None:
        """Take back what a task did not get to, and divide it: the task was slower than expected.

        It comes next, so that chunks that have begun are completed before others begin.
        """
        # at the front, in their order: open chunks are held in memory until they are complete
        (self._whole if writes else self._to_divide).extendleft(reversed(parts))
        n = sum(len(part.points) for part in parts)
        self.left += n
        if n and self._fixed is None:  # equal shares: one large one would be the last to come back
            share = math.ceil(n / n_workers)
            self._shares.extend([share] * math.ceil(n / share))

    def put_back_isolated(self, part: ChunkPart) -> None:
        """Take back a point that is to be computed alone in its worker."""
        self._isolated.append(part)
        self.left += len(part.points)

    def _cut(
        self, traits: Traits, n_most: int, chunk_most: float
    ) -> tuple[Batch | None, ChunkPart | None]:
        # chunks that have begun come first: each stays in memory until its last point is there
        if self._to_divide:
            return self._share_of(self._to_divide.popleft(), n_most), None
        parts: list[ChunkPart] = []
        n = 0
        while n < n_most and len(parts) < MAX_CHUNKS and (part := self._next_part()) is not None:
            if self._comes_in_parts(part, traits, chunk_most):
                if parts:  # a task either writes its chunks or returns its points, never both
                    self._whole.appendleft(part)
                    break
                divided = None if part.index in self._divided else part
                return self._share_of(part, n_most), divided
            parts.append(part)
            n += len(part.points)
        return (Batch(tuple(parts), writes=True) if parts else None), None

    def _next_part(self) -> ChunkPart | None:
        if self._whole:
            return self._whole.popleft()
        part = self._ahead or next(self._parts, None)
        self._ahead = None
        return part

    def _comes_in_parts(self, part: ChunkPart, traits: Traits, chunk_most: float) -> bool:
        if not traits.may_write or part.index in self._divided:
            return True
        return self._may_divide and len(part.points) > chunk_most

    def _share_of(self, part: ChunkPart, size: int) -> Batch:
        n = size if self._may_divide else len(part.points)
        first, rest = part.points.divided_at(n)
        assert first is not None
        if rest is not None:
            self._to_divide.appendleft(replace(part, points=rest))
        return Batch((replace(part, points=first),), writes=False)
