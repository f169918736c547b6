"""Chunks that are read before they are asked for, where reads walk along an axis by a stride.

Each read touches some bins along every axis. Where one read after the other has the same bins but
along one axis, and there each time so many further, the next ones are read in the background. A
reader never waits for that: what is not there yet it reads itself, and what it asked for in the
meantime is not read ahead any more.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.space.selection import Selection

    Bins = tuple[tuple[int, ...], ...]
    Task = Callable[[], None]

MOST_CHUNKS = 64
"""Reads of more chunks than these are no steps of a walk: they fill the tiers on their own."""
MOST_WALKS = 256
"""Outputs whose reads are remembered."""


class Walked(Protocol):
    """An array whose chunks are read."""

    def place(self) -> str:
        """The name of the array within its store."""

    def fetch(self, indices: list[tuple[int, ...]]) -> None:
        """Read the chunks that there are into the tiers, those that no tier has."""


@dataclass(slots=True)
class Walk:
    """The reads of one array, as far as they are one walk."""

    bins: Bins
    """Of the last read."""
    step: tuple[int, int] | None = None
    """The axis and the number of bins between the last two reads."""
    strides: int = 0
    """The number of times in a row that this was the step."""
    ahead: int = 0
    """The number of steps from the last read on that were submitted already."""


class ReadAhead:
    """Reads ahead of walks; every method may be called by several threads at once.

    Parameters
    ----------
    steps : int
        The most steps ahead; 0 switches it off.
    submit : callable, optional
        Takes a function without arguments, and calls it sometime. Default: one thread, which
        ends when nothing is left to do.
    """

    def __init__(self, steps: int, submit: Callable[[Task], object] | None = None) -> None:
        self._steps = steps
        self._submit = submit if submit is not None else Background().submit
        self._lock = threading.Lock()
        self._walks: OrderedDict[str, Walk] = OrderedDict()

    def saw(
        self,
        array: Walked,
        selection: Selection,
        run: Callable[[Task], Task],
        most_chunks: int,
    ) -> None:
        """Note a read, and have the next ones of the walk read, if it is one.

        Parameters
        ----------
        array : Walked
            The array that was read.
        selection : Selection
            The chunks.
        run : callable
            Takes a task, and returns one that leaves copies in the present pool, behind those in
            use.
        most_chunks : int
            The most chunks that may be read ahead.
        """
        n = math.prod(selection.grid_shape)
        if not self._steps or not 0 < n <= min(MOST_CHUNKS, most_chunks):
            return
        bins = tuple(tuple(axis.bins.tolist()) for axis in selection.axes)
        for far in self._next(array.place(), bins, min(self._steps, most_chunks // n)):
            indices = list(itertools.product(*far))
            # an interpreter that ends gives no thread any more
            with contextlib.suppress(RuntimeError):
                self._submit(run(_Fetch(self, array, far, indices)))

    def is_due(self, place: str, bins: Bins) -> bool:
        """Whether bins that were to be read ahead are still ahead of the walk."""
        with self._lock:
            walk = self._walks.get(place)
            if walk is None or walk.step is None:
                return False
            axis, step = walk.step
            return any(
                _shifted(walk.bins, axis, step * k) == bins for k in range(1, walk.ahead + 1)
            )

    def _next(self, place: str, bins: Bins, steps: int) -> list[Bins]:
        """The bins to read ahead after a read: those that were not asked for before."""
        with self._lock:
            walk = self._walks.pop(place, None)
            self._walks[place] = walk = walk or Walk(bins)
            if len(self._walks) > MOST_WALKS:
                self._walks.popitem(last=False)
            if walk.bins == bins:  # the same chunks again, such as another row of them
                return []
            step = _step(walk.bins, bins)
            is_same = step is not None and step == walk.step
            walk.strides = walk.strides + 1 if is_same else 1
            walk.ahead = max(0, walk.ahead - 1) if is_same else 0
            walk.bins, walk.step = bins, step
            if step is None or walk.strides < 2:
                return []
            axis, length = step
            first, walk.ahead = walk.ahead + 1, max(walk.ahead, steps)
            far = [_shifted(bins, axis, length * k) for k in range(first, steps + 1)]
            return [one for one in far if min(one[axis]) >= 0]


class _Fetch:
    """Reads some chunks, if nothing has come in between; never fails."""

    def __init__(
        self, ahead: ReadAhead, array: Walked, bins: Bins, indices: list[tuple[int, ...]]
    ) -> None:
        self._ahead = ahead
        self._array = array
        self._bins = bins
        self._indices = indices

    def __call__(self) -> None:
        # what is wrong with a chunk, its reader is told when it asks for it
        with contextlib.suppress(Exception):
            if self._ahead.is_due(self._array.place(), self._bins):
                self._array.fetch(self._indices)


class Background:
    """One thread that runs tasks in order, and ends when there are none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: deque[Task] = deque(maxlen=MOST_CHUNKS)
        """The latest: what a reader has left behind is of no use to it."""
        self._is_running = False

    def submit(self, task: Task) -> None:
        """Have the thread run a task, in its turn."""
        with self._lock:
            self._tasks.append(task)
            if self._is_running:
                return
            # a daemon: the process ends without it, and its reads leave nothing half done
            thread = threading.Thread(target=self._serve, name="swarmgrid-ahead", daemon=True)
            thread.start()
            # after the start: where that fails, as at the end of the process, the next call tries
            self._is_running = True

    def _serve(self) -> None:
        while True:
            with self._lock:
                if not self._tasks:
                    self._is_running = False
                    return
                task = self._tasks.popleft()
            with contextlib.suppress(Exception):
                task()
            del task  # and what it refers to


def _step(before: Bins, after: Bins) -> tuple[int, int] | None:
    """The axis along which all bins moved by the same number, and that; None if they did not."""
    differ = [d for d, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    if len(differ) != 1:
        return None
    (axis,) = differ
    one, other = before[axis], after[axis]
    steps = {b - a for a, b in zip(one, other, strict=True)} if len(one) == len(other) else set()
    return (axis, steps.pop()) if len(steps) == 1 else None


def _shifted(bins: Bins, axis: int, by: int) -> Bins:
    moved = tuple(i + by for i in bins[axis])
    return (*bins[:axis], moved, *bins[axis + 1 :])


def room(nbytes: int, chunk_nbytes: int) -> int:
    """The number of chunks that may be read ahead into a budget: a quarter of it."""
    return nbytes // 4 // max(1, chunk_nbytes)
