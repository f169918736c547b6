"""Answers the executors that ask for tasks."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from swarmgrid.coordinator.engines import HERE, SMALL_SECONDS, WORKERS
from swarmgrid.coordinator.inbox import TaskRequest, WorkRequest
from swarmgrid.policies.pace import reporting_seconds
from swarmgrid.process_pool.process import process_count
from swarmgrid.transport.messages import Task

if TYPE_CHECKING:
    from swarmgrid.coordinator.run_state import RunState
    from swarmgrid.executors.base import Traits
    from swarmgrid.policies.inference import Inference
    from swarmgrid.policies.queue import Batch

LIMIT = 5
"""A task that takes so many times as long as it is to take reports, and is handed out again."""
TRIAL_SECONDS = 0.02
"""The duration that a task is cut for, while the calling process computes on trial."""
IDLE_SECONDS, MAX_IDLE_SECONDS = 0.05, 1.0
"""After how long a busy worker is asked to share with an idle one, at first and at last."""
BACKLOG = 8
"""Reports for each worker that the writer may have before it; no task begins beyond that."""


class Dispatcher:
    """Hands out tasks, and says when there are none.

    Parameters
    ----------
    state : RunState
        The state of the run.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._requests: deque[TaskRequest] = deque()
        self._free: deque[WorkRequest] = deque()
        self._idle_since = state.begun
        self._idle_seconds = IDLE_SECONDS

    def add(self, message: TaskRequest | WorkRequest) -> None:
        """Have an executor wait for its answer."""
        if isinstance(message, TaskRequest):
            self._requests.append(message)
        else:
            self._state.engines[message.engine].has_asked = True
            self._free.append(message)

    @property
    def relief_due(self) -> float | None:
        """The time at which a busy worker is asked to share; None: no worker has cause to."""
        return self._idle_since + self._idle_seconds if self._may_relieve() else None

    def answer(self) -> None:
        """Answer those that wait, as far as there is something to answer."""
        for _ in range(len(self._requests)):  # once around: what is put back waits for news
            asked = self._requests.popleft()
            task = self._next_task(asked.engine)
            if task is not None:
                self._state.engines[asked.engine].n_out += 1
                self._idle_since, self._idle_seconds = self._state.now, IDLE_SECONDS
            elif asked.may_wait and not self._has_none_for(asked.engine):
                self._requests.append(asked)
                continue
            asked.reply.put(task)
        for _ in range(len(self._free)):
            free = self._free.popleft()
            if self._has_none_for(free.engine):
                free.reply.put(0)
            elif self._has_some():
                free.reply.put(self._n_tasks(free.engine))
            else:
                self._free.append(free)
        if self._may_relieve() and self._state.now >= self._idle_since + self._idle_seconds:
            self._state.engines[max(self._state.engines)].executor.relieve()
            self._idle_since = self._state.now
            # longer each time: the worker answers after its present call, however long that is
            self._idle_seconds = min(1.5 * self._idle_seconds, MAX_IDLE_SECONDS)

    def turn_away(self) -> None:
        """Answer all that wait: there is nothing."""
        for asked in self._requests:
            asked.reply.put(None)
        for free in self._free:
            free.reply.put(0)
        self._requests.clear()
        self._free.clear()

    def _is_replaced(self, engine: int) -> bool:
        """Whether workers have taken over from the calling process."""
        workers = self._state.engines.get(WORKERS)
        return engine == HERE and workers is not None and workers.has_asked

    def _has_none_for(self, engine: int) -> bool:
        """Whether an executor is to end."""
        return self._state.is_stopping or self._state.is_finished or self._is_replaced(engine)

    def _has_some(self) -> bool:
        """Whether there is, as far as can be seen, a task to hand out now."""
        if self._state.inference is not None and self._state.inference.may_hand_out:
            return True
        return self._state.queue is not None and not self._state.queue.is_empty

    def _n_tasks(self, engine: int) -> int:
        if self._state.queue is None:
            # many rather than few while the chunks are unknown: an executor that is told 0 ends
            return max(1, self._state.counts.left)
        traits = self._state.engines[engine].executor.traits
        return self._state.queue.n_tasks(
            self._state.cost.seconds_per_point, traits, self._task_seconds(engine)
        )

    def _task_seconds(self, engine: int) -> float | None:
        return TRIAL_SECONDS if self._state.is_trial and engine == HERE else None

    def _may_relieve(self) -> bool:
        """Whether a worker that is busy may be asked to share what it has not begun."""
        is_idle = bool(self._requests) and self._state.n_out > 0 and not self._state.is_stopping
        return is_idle and self._state.queue is not None and self._state.queue.may_share

    def _next_task(self, engine: int) -> Task | None:
        if self._state.is_stopping or self._is_replaced(engine):
            return None
        traits = self._state.engines[engine].executor.traits
        if self._state.inference is not None:
            task = self._first_task(self._state.inference, engine, traits)
            if task is not None or self._state.queue is None:
                return task
        # a store that is slower than the workers would else fill this process with results
        if self._state.queue is None or self._state.n_unwritten > BACKLOG * traits.n_workers:
            return None
        batch, divided = self._state.queue.get(
            self._state.cost.seconds_per_point,
            # no worker writes before the metadata are there: a chunk comes after its place
            traits if self._state.is_grown else replace(traits, may_write=False),
            seconds=self._task_seconds(engine),
            may_be_isolated=traits.is_isolating or not self._state.n_out,
        )
        if divided is not None:
            self._state.expect(divided)
        return None if batch is None else self._to_task(batch, engine)

    def _first_task(self, found: Inference, engine: int, traits: Traits) -> Task | None:
        """A task of the first points, which begin in C order: none is taken to be held ready."""
        if self._state.engines[engine].n_out >= traits.n_workers:
            return None
        n_workers = self._n_first(traits) if engine == HERE else traits.n_workers
        # a task that may crash its worker goes alone where it could take others with it
        may_crash = traits.is_isolating or self._is_idle()
        return found.next_task(n_workers, traits.first_points, may_crash=may_crash)

    def _is_idle(self) -> bool:
        """Whether no task is out, and none is left but those that may crash their worker."""
        return not self._state.n_out and (self._state.queue is None or self._state.queue.is_empty)

    def _n_first(self, traits: Traits) -> int:
        """The most workers that may share the first points."""
        return (
            self._state.options.workers or process_count()
            if self._state.is_trial
            else traits.n_workers
        )

    def _to_task(self, batch: Batch, engine: int) -> Task:
        assert self._state.coverage is not None
        grid = self._state.coverage.grid
        is_trial = self._state.is_trial and engine == HERE
        traits = self._state.engines[engine].executor.traits
        return Task(
            batch.parts,
            grid.chunk_shape,
            grid.schema,
            batch.writes,
            # on trial a slow task reports early, so that workers can take over the rest of it
            SMALL_SECONDS if is_trial else LIMIT * traits.task_seconds,
            grid.inner_shape,
            reporting_seconds(self._state.options.flush_interval),
            batch.is_isolated,
            grid.v2_keys,
        )
