"""The interface of the executors, and what they take their tasks from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from swarmgrid.executors.rate import RateLimiter
    from swarmgrid.transport.messages import Task, TaskResult

TASK_SECONDS = 0.4
"""The duration that a task is cut for: hundreds of times the cost of handing it out."""
SHORT_SECONDS = 0.01
"""The least duration of a task near the end, where many workers share the remaining points."""
FIRST_POINTS = 4
"""So many are tried by each worker at first: a slow one does not keep the others waiting."""


@dataclass(frozen=True, slots=True)
class Traits:
    """The abilities of an executor."""

    n_workers: int
    """The number of tasks that run at once."""
    may_write: bool
    """Whether its workers reach the store, and so may write chunks themselves."""
    is_isolating: bool
    """Whether a task that crashes its worker takes no other task with it."""
    task_seconds: float = TASK_SECONDS
    """The duration that a task is cut for, so that handing it out costs next to nothing."""
    short_seconds: float = SHORT_SECONDS
    """The least duration of a task near the end, where many workers share the remaining points."""
    first_points: int = FIRST_POINTS
    """The number of first points of a new grid that a worker gets, each a task of its own."""


class Tasks(Protocol):
    """The source of an executor's tasks and the receiver of its reports, for all its threads."""

    def wait_for_work(self) -> int:
        """Wait until there are tasks: about how many; 0 once there will be none."""

    def get(self, *, may_wait: bool = True) -> Task | None:
        """The next task; None if there is none, and, with ``may_wait``, none will come back."""

    def report(self, task: Task, result: TaskResult) -> None:
        """Hand over the results of a task, or of a part of it."""

    def task_done(self) -> None:
        """Tell that a task is over; its results were reported before."""


class Executor(Protocol):
    """Runs tasks in any order."""

    traits: Traits

    def prepare(self, n: int) -> None:
        """Make ready for ``n`` tasks at once, without waiting."""

    def wait_until_ready(self) -> None:
        """Wait until a task would begin at once, as far as that can be known."""

    def run(self, tasks: Tasks, n: int, limiter: RateLimiter) -> None:
        """Run tasks until there are none: about ``n`` of them.

        ``limiter`` is waited for right before a task begins: a worker that is still starting when
        its turn comes would call together with the next.
        """

    def relieve(self) -> None:
        """If a worker is idle, have the busiest one give back the points that it has not begun."""

    def stop(self) -> None:
        """Begin no further task, and have the running ones report after their present point."""

    def close(self) -> None:
        """End everything that runs, and free what is held."""
