"""The state of a run: only the coordinator's thread reads and changes it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmgrid.policies.queue import DividedChunks

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.coordinator.engines import Engine
    from swarmgrid.coordinator.writer import Writer
    from swarmgrid.executors.rate import RateLimiter
    from swarmgrid.observe.counts import Counts
    from swarmgrid.observe.events import Event
    from swarmgrid.planning.coverage import Coverage
    from swarmgrid.planning.request import Request
    from swarmgrid.policies.attempts import Attempts
    from swarmgrid.policies.expected_cost import ExpectedCost
    from swarmgrid.policies.inference import Inference
    from swarmgrid.policies.queue import TaskQueue
    from swarmgrid.policies.task_size import CostModel
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.run_options import RunOptions
    from swarmgrid.space.points import ChunkPart
    from swarmgrid.transport.messages import Failure, Job


@dataclass(slots=True)
class RunState:
    """All state of a run at a moment."""

    request: Request
    options: RunOptions
    job: Job
    grid_state: GridState | None
    """The stored state of the grid when the run began."""
    attempts: Attempts
    counts: Counts
    cost: CostModel
    tell: Callable[[Event], None]
    """Takes every event."""
    writer: Writer
    """Stores what comes back."""
    limiter: RateLimiter
    """Spaces the calls."""
    engines: dict[int, Engine]
    """The executors, by number; the last of them has the workers."""
    is_trial: bool
    """Whether the calling process computes on trial, and workers may take over."""
    inference: Inference | None
    """Decides the outputs, where these were not known."""
    coverage: Coverage | None
    """The missing points, once the outputs are known."""
    expected: ExpectedCost | None = None
    """The cost of the points that are left, as stored points tell it; None: none does."""
    queue: TaskQueue | None = None
    """The missing points that are not handed out yet; None while these are unknown."""
    divided: DividedChunks = field(default_factory=DividedChunks)
    are_workers_called: bool = False
    """Whether workers were started to take over."""
    n_first_done: int = 0
    """Tasks of the first points that came back."""
    n_trials: int = 0
    """Other tasks that came back."""
    n_unwritten: int = 0
    """Reports that the writer has before it."""
    is_grown: bool = False
    """Whether the stored grid has all values that the run needs: workers may write its chunks."""
    is_stopping: bool = False
    """Whether nothing more is to begin."""
    begun: float = field(default_factory=time.monotonic)
    now: float = field(default_factory=time.monotonic)
    """The time of the last message."""
    fatal: Failure | None = None
    """The failure that ends the run."""
    error: BaseException | None = None
    """The error that ends it: of the store, of an executor, or of the coordinator."""

    @property
    def n_workers(self) -> int:
        """The number of tasks that run at once."""
        return self.engines[max(self.engines)].executor.traits.n_workers

    @property
    def n_out(self) -> int:
        """Tasks that the executors have."""
        return sum(engine.n_out for engine in self.engines.values())

    @property
    def is_finished(self) -> bool:
        """Whether every point is settled."""
        if self.n_out or (self.inference is not None and not self.inference.is_over):
            return False
        return self.queue is None or self.queue.is_empty

    def expect(self, part: ChunkPart) -> None:
        """Have a chunk written by the coordinator: its points come back in parts."""
        # the queue must not hand the rest out as a whole chunk, nor the writer close it too early
        self.divided.expect(part.index, len(part.points))
        self.writer.expect(part)

    def stop(self) -> None:
        """Begin nothing more, and have running tasks report after their present point."""
        if self.is_stopping:
            return
        self.is_stopping = True
        for engine in self.engines.values():
            engine.executor.stop()
        self.limiter.stop()  # after the workers were told, or those that wait would call

    def give_up(self, error: BaseException) -> None:
        """End the run with an error."""
        # the first: what follows is mostly a consequence of it
        self.error = self.error or error
        self.stop()
