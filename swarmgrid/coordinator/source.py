"""Where an executor takes its tasks from: a list, or whatever is best at that moment."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from swarmgrid.coordinator.queue import Batch, Batcher
    from swarmgrid.transport.messages import Task


class Source(Protocol):
    """Tasks, handed out one by one to any thread."""

    @property
    def n(self) -> int:
        """How many an executor may take in one go; there may be fewer."""

    def take(
        self, *, may_wait: bool = True, on_wait: Callable[[], None] | None = None
    ) -> Task | None:
        """The next task; None when there is none. See `Batcher.take`."""

    def returned(self) -> None:
        """A task that was taken is over, and its receipt was handed over."""


class Tasks:
    """Tasks that are all known beforehand."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks = deque(tasks)

    @property
    def n(self) -> int:
        return len(self._tasks)

    def take(
        self,
        *,
        may_wait: bool = True,  # noqa: ARG002  # it never has to
        on_wait: Callable[[], None] | None = None,  # noqa: ARG002
    ) -> Task | None:
        try:
            return self._tasks.popleft()
        except IndexError:
            return None

    def returned(self) -> None:
        """Nothing is put back here."""


class Batches:
    """Tasks made of the batches that a `Batcher` cuts, each when it is about to begin.

    Parameters
    ----------
    batcher : Batcher
        What is left to do.
    n : int
        The most tasks to hand out.
    to_task : callable
        Makes a task of a batch.
    """

    def __init__(self, batcher: Batcher, n: int, to_task: Callable[[Batch], Task]) -> None:
        self.n = n
        self._batcher = batcher
        self._to_task = to_task

    def take(
        self, *, may_wait: bool = True, on_wait: Callable[[], None] | None = None
    ) -> Task | None:
        batch = self._batcher.take(may_wait=may_wait, on_wait=on_wait)
        return None if batch is None else self._to_task(batch)

    def returned(self) -> None:
        self._batcher.returned()
