"""The coordinator: one thread that owns the state of a run, and reads one inbox.

Executors ask it for tasks and report to it; the writer is told by it what to store. Nothing else
changes the state, so none of it is locked, and nothing that takes long is done here
(decision 0022).
"""

from __future__ import annotations

import contextvars
import threading
import time
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from swarmgrid.coordinator.dispatch import Dispatcher
from swarmgrid.coordinator.engines import HERE, SMALL_SECONDS, WORKERS, Driver
from swarmgrid.coordinator.inbox import (
    EngineEnded,
    EngineMade,
    GridGrown,
    Interrupted,
    Reported,
    TaskOver,
    TaskRequest,
    ValuesTaken,
    WorkRequest,
    WriterFailed,
)
from swarmgrid.coordinator.moments import Moments, moment
from swarmgrid.coordinator.task_results import Results
from swarmgrid.observe.events import ValuesStored
from swarmgrid.policies.pace import SOON_SECONDS

if TYPE_CHECKING:
    from swarmgrid.coordinator.inbox import Message
    from swarmgrid.coordinator.run_state import RunState
    from swarmgrid.observe.events import Moment
    from swarmgrid.planning.coverage import Coverage
    from swarmgrid.transport.messages import Failure

PATIENCE_SECONDS = 0.05
"""The time that the first points have before workers are started to help, and before a later
one decides the outputs."""
TRIALS = 4
"""Tasks that the calling process does before it is decided whether workers save time."""


class Coordinator:
    """Hands out the missing points of a grid, and sees to what comes of them.

    Parameters
    ----------
    state : RunState
        The state of the run, which nothing else touches from now on.
    inbox : SimpleQueue
        The inbox, which the writer knows, too.
    """

    def __init__(self, state: RunState, inbox: SimpleQueue[Message]) -> None:
        self._state = state
        self._inbox = inbox
        self._dispatcher = Dispatcher(state)
        self._results = Results(state)
        self._moments = Moments(state)
        self._deadline: float | None = None
        self._closed = threading.Event()
        self._driver = Driver(inbox, self._closed, state.limiter)
        self._thread = threading.Thread(
            target=contextvars.copy_context().run,  # a notebook finds the cell by its context
            args=(self._serve,),
            name="swarmgrid-coordinator",
            daemon=True,
        )

    # ---- the calling thread's side

    def compute(self) -> Failure | None:
        """Drive the first executor until everything is computed.

        Returns
        -------
        Failure or None
            The point that ended the run.

        Raises
        ------
        BaseException
            The error of an executor or of the writer.
        """
        self._thread.start()
        self._driver.drive(HERE, self._state.engines[HERE].executor)
        # the driver returns once no task is left for it; what it has reported may still be on its
        # way
        self._thread.join()
        if self._state.error is not None:
            raise self._state.error
        return self._state.fatal

    def end(self, grace_seconds: float) -> None:
        """Begin nothing more; wait until what runs is reported, a few seconds at most."""
        if self._thread.ident is not None:
            self._inbox.put(Interrupted(time.monotonic() + grace_seconds))
            self._thread.join()

    def close(self) -> None:
        """End the executors and whatever they still do; the thread has ended or does so now."""
        self._inbox.put(Interrupted(0.0))
        if self._thread.ident is not None:
            self._thread.join()
        for engine in self._state.engines.values():
            engine.close()

    def moment(self) -> Moment:
        """The progress of the run, once its thread has ended."""
        self._state.now = time.monotonic()
        return moment(self._state)

    @property
    def n_workers(self) -> int:
        """The number of tasks that ran at once, at the end."""
        return self._state.n_workers

    @property
    def coverage(self) -> Coverage | None:
        """The points that were missing, if these are known by now."""
        return self._state.coverage

    # ---- the loop

    def _serve(self) -> None:
        state = self._state
        try:
            if state.coverage is not None:
                self._results.begin(state.coverage)
            while not self._is_done():
                self._read(self._timeout())
                self._moments.tell()
                self._infer()
                self._call_workers()
                # last: a task is cut from all that the messages so far have changed
                self._dispatcher.answer()
            self._results.end_inference()
        except BaseException as error:  # noqa: BLE001  # raised in the calling thread
            state.give_up(error)
        finally:
            # set first: a request after the last look into the inbox sees it, see `_answer`
            self._closed.set()
            self._turn_away()

    def _read(self, timeout: float | None) -> None:
        """Take note of the messages that are there; wait for the first of them."""
        try:
            self._note(self._inbox.get(timeout=timeout))
            while True:  # all of them: a decision on half of the news may be of a state long gone
                self._note(self._inbox.get_nowait())
        except Empty:
            self._state.now = time.monotonic()

    def _note(self, message: Message) -> None:  # noqa: C901  # a case for each kind of message
        state = self._state
        match message:
            case Reported(task=task, result=result):
                self._results.add(task, result)
            case TaskOver(engine=number):
                state.engines[number].n_out -= 1
            case TaskRequest() | WorkRequest():
                self._dispatcher.add(message)
            case ValuesTaken(seconds=seconds, points=points):
                state.n_unwritten -= 1
                state.tell(ValuesStored(seconds, points))
            case GridGrown(schema=schema):
                state.is_grown = True
                if state.coverage is not None:  # codecs may have been chosen by the first chunk
                    grid = replace(state.coverage.grid, schema=schema)
                    state.coverage = replace(state.coverage, grid=grid)
            case EngineMade(engine=engine):
                state.engines[WORKERS] = engine
                # while it was being made it was not among those that could be told to stop
                if state.is_stopping:
                    engine.executor.stop()
            case EngineEnded(engine=number, error=error):
                self._note_end(number, error)
            case WriterFailed(error=error):
                state.give_up(error)
            case Interrupted(deadline=deadline):
                self._deadline = min(deadline, self._deadline or deadline)
                state.stop()

    def _note_end(self, number: int, error: BaseException | None) -> None:
        if number in self._state.engines:
            self._state.engines[number].has_ended = True
        else:  # it could not even be made
            # nothing is to wait for workers that never come, nor call any a second time
            self._state.are_workers_called = False
            self._state.is_trial = False
        if error is not None and number == WORKERS:
            self._state.give_up(error)
        elif error is not None:
            self._state.stop()  # the calling thread knows the error

    def _timeout(self) -> float | None:
        """Seconds until something is due that no message tells."""
        state = self._state
        patience = state.begun + PATIENCE_SECONDS
        due = [self._deadline, self._dispatcher.relief_due, self._moments.due]
        if state.is_trial and not state.are_workers_called:
            due.append(patience)
        if state.inference is not None and state.inference.can_decide:
            due += [patience, self._decision_due()]
        # what is due by now was acted on in this round: a timeout of 0 for it would have the loop
        # spin
        ahead = [when for when in due if when is not None and when > state.now]
        return max(0.0, min(ahead) - time.monotonic()) if ahead else None

    def _is_done(self) -> bool:
        """Whether nothing more is to be waited for."""
        if self._deadline is not None and self._state.now >= self._deadline:
            return True
        if not (self._state.is_stopping or self._state.is_finished):
            return False
        are_over = all(engine.has_ended for engine in self._state.engines.values())
        are_pending = self._state.are_workers_called and WORKERS not in self._state.engines
        return are_over and not are_pending and (not self._state.n_out or self._deadline is None)

    def _infer(self) -> None:
        """Decide the outputs once the first points show them."""
        found = self._state.inference
        if found is None or found.coverage is not None or self._state.is_stopping:
            return
        has_waited = self._state.now >= self._state.begun + PATIENCE_SECONDS
        is_late = found.can_decide and self._state.now >= self._decision_due()
        if is_late or found.is_ready(has_waited=has_waited):
            self._results.decide(found)

    def _decision_due(self) -> float:
        return self._state.begun + (self._state.options.flush_interval or SOON_SECONDS) / 2

    def _call_workers(self) -> None:
        """Start workers once they save time for the points left, or if the first takes long."""
        if not self._state.is_trial or self._state.are_workers_called or self._state.is_stopping:
            return
        cost, left = self._state.cost.seconds_per_point, self._state.counts.left
        if self._state.cost.is_rough or (cost is not None and cost * left <= SMALL_SECONDS):
            return
        if self._state.queue is not None and self._state.n_trials:
            is_due = self._state.n_trials >= TRIALS
        else:
            # one point says too little: a function's first call may import and compile
            is_confirmed = cost is not None and self._state.n_first_done > 1
            is_due = is_confirmed or self._state.now >= self._state.begun + PATIENCE_SECONDS
        if is_due:
            self._state.are_workers_called = True
            self._driver.start_workers(self._state.job, self._state.options, left)

    def _turn_away(self) -> None:
        """Answer all that still ask: there is nothing."""
        while True:
            self._dispatcher.turn_away()
            try:
                message = self._inbox.get_nowait()
            except Empty:
                return
            if isinstance(message, TaskRequest | WorkRequest):
                self._dispatcher.add(message)
