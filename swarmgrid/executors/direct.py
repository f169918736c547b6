"""The channel of a task that runs in the coordinator's own process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.executors.base import Tasks
    from swarmgrid.executors.rate import RateLimiter
    from swarmgrid.transport.messages import Task, TaskResult


class DirectChannel:
    """Hands over what a task reports, without a detour."""

    def __init__(
        self, task: Task, tasks: Tasks, limiter: RateLimiter, is_closed: Callable[[], bool]
    ) -> None:
        self._task = task
        self._tasks = tasks
        self._limiter = limiter
        self._is_closed = is_closed

    def may_write(self) -> bool:
        return not self._is_closed()

    def report(self, result: TaskResult) -> None:
        self._tasks.report(self._task, result)

    def wait_for_turn(self) -> None:
        self._limiter.wait()
