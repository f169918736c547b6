"""The coordinator's inbox: what arrives in it, and the end of it that an executor holds."""

from __future__ import annotations

from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    import threading

    from swarmgrid.coordinator.engines import Engine
    from swarmgrid.outputs.outputs import Schema
    from swarmgrid.transport.messages import Task, TaskResult

_T = TypeVar("_T")
LOOK_SECONDS = 1.0
"""The interval at which an executor that waits for an answer checks that the coordinator lives."""


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A thread of an executor would begin a task now."""

    engine: int
    reply: SimpleQueue[Task | None]
    may_wait: bool
    """Whether to wait as long as a running task may give points back."""


@dataclass(frozen=True, slots=True)
class WorkRequest:
    """An executor is free, and asks about how many tasks there are; 0: none will come."""

    engine: int
    reply: SimpleQueue[int]


@dataclass(frozen=True, slots=True)
class Reported:
    """Results of a task, or of a part of it."""

    task: Task
    result: TaskResult


@dataclass(frozen=True, slots=True)
class TaskOver:
    """A task that was handed out is over; what came of it was reported before."""

    engine: int


@dataclass(frozen=True, slots=True)
class EngineMade:
    """Workers are being started, to take over from the calling process."""

    engine: Engine


@dataclass(frozen=True, slots=True)
class EngineEnded:
    """An executor came to its end, by an error or because it was told to."""

    engine: int
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class GridGrown:
    """The stored grid has all values that the run needs: workers may write its chunks."""

    schema: Schema
    """The outputs, with their encodings as they are stored."""


@dataclass(frozen=True, slots=True)
class ValuesTaken:
    """The writer has taken values in, and perhaps written them."""

    seconds: float
    points: int


@dataclass(frozen=True, slots=True)
class WriterFailed:
    """The store could not be written or read."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The calling thread has left: begin nothing more, and wait for what runs until a time."""

    deadline: float
    """On the monotonic clock."""


Message: TypeAlias = (
    TaskRequest
    | WorkRequest
    | Reported
    | TaskOver
    | EngineMade
    | EngineEnded
    | GridGrown
    | ValuesTaken
    | WriterFailed
    | Interrupted
)


class TaskSource:
    """The end of the inbox that an executor holds: it gives tasks and accepts reports.

    Any thread of the executor may use it.

    Parameters
    ----------
    engine : int
        The number of the executor.
    inbox : SimpleQueue
        The coordinator's inbox.
    closed : Event
        Set once no thread reads the inbox any more.
    """

    def __init__(self, engine: int, inbox: SimpleQueue[Message], closed: threading.Event) -> None:
        self._engine = engine
        self._inbox = inbox
        self._closed = closed

    def wait_for_work(self) -> int:
        """Wait until there are tasks: about how many; 0 once there will be none."""
        # one for each question: no thread can take the answer to another's
        reply: SimpleQueue[int] = SimpleQueue()
        self._inbox.put(WorkRequest(self._engine, reply))
        return self._answer(reply) or 0

    def get(self, *, may_wait: bool = True) -> Task | None:
        """The next task; None if there is none, and, with ``may_wait``, none will come back."""
        reply: SimpleQueue[Task | None] = SimpleQueue()
        self._inbox.put(TaskRequest(self._engine, reply, may_wait))
        return self._answer(reply)

    def report(self, task: Task, result: TaskResult) -> None:
        """Hand over the results of a task, or of a part of it."""
        self._inbox.put(Reported(task, result))

    def task_done(self) -> None:
        """Tell that a task is over; its results were reported before."""
        self._inbox.put(TaskOver(self._engine))

    def _answer(self, reply: SimpleQueue[_T]) -> _T | None:
        while True:
            try:
                return reply.get(timeout=LOOK_SECONDS)
            except Empty:  # the message may have come after the coordinator's last look
                if self._closed.is_set():
                    return None
