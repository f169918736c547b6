"""One worker process, and how it is started safely from any script, thread or notebook."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import types
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from swarmgrid.process_pool import fork_server, process_main
from swarmgrid.transport.messages import TaskResult, WorkerCrash
from swarmgrid.worker.heartbeat import N_FLOATS, Heartbeat, Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from swarmgrid.process_pool.output import Output

PRELOAD = [
    "swarmgrid.process_pool.process_main",
    "swarmgrid.store.directory",
    "swarmgrid.store.location",
]
"""The modules that the fork server imports once: a worker starts in 20 ms instead of 400."""
POLL_SECONDS = 0.1
"""The interval between two checks of a running worker."""
LEAVE_SECONDS = 0.5
"""The time for a worker without a task to leave by itself; then it is killed."""
_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
"""Fork would copy the locks of zarr's and obstore's threads in whatever state they are."""
_context: Any = multiprocessing.get_context(_METHOD)
_starting = threading.Lock()


class WorkerProcess:
    """A process that holds one job and answers one task at a time.

    Parameters
    ----------
    job : bytes
        The pickled job.
    output : Output
        Hands on what it prints and logs.
    memory_limit : int or None
        Bytes that it may take; see `run`.
    """

    def __init__(self, job: bytes, output: Output, memory_limit: int | None = None) -> None:
        self.tasks_done = 0
        self._has_ended = False
        self._memory_limit = memory_limit
        self._verdict: WorkerCrash | None = None
        self._n_points = 0
        self._since = self._begun_since = 0.0
        self._last_begun = 0
        self._leaves_until = -math.inf
        # without a lock, which a worker that is killed could hold for ever
        floats = _context.RawArray("d", N_FLOATS)
        self._heartbeat = Heartbeat(floats)
        (ours, theirs), (out, their_out), (err, their_err) = _pipes()
        self._connection: Connection = ours
        self._output = output.add(out, err)
        ends = process_main.Ends(theirs, their_out, their_err, self._output.mark, output.levels)
        self._process = _context.Process(
            target=process_main.serve, args=(ends, floats, memory_limit), daemon=True
        )
        try:
            self._server = _start_without_main(self._process)
        except BaseException:
            ours.close()
            self._output.end()
            raise
        finally:
            # else this process would hold these ends, too: no pipe would end with its worker
            for connection in (theirs, their_out, their_err):
                connection.close()
        self._send(job)

    @property
    def pid(self) -> int:
        """The process id."""
        return int(self._process.pid)

    def run(
        self,
        task: bytes,
        n_points: int,
        timeout: float | None,
        take: Callable[[TaskResult], None],
        wait_for_turn: Callable[[], None],
    ) -> TaskResult:
        """The result of a task; one with a `crash` if the process ended meanwhile.

        Parameters
        ----------
        task : bytes
            The pickled task.
        n_points : int
            The number of its points.
        timeout : float or None
            Seconds after which a call is given up, and the process with it.
        take : callable
            Takes results of parts of the task.
        wait_for_turn : callable
            Returns when the function may be called, at first and after a failure.
        """
        self._heartbeat.pause_before(0)
        self._n_points, self._last_begun = n_points, 0
        self._since = self._begun_since = time.monotonic()
        timer = _CallTimer(self._heartbeat, timeout)
        self._send(task)
        while (message := self._message(timer)) is not None:
            if message == process_main.ASK:
                wait_for_turn()
                self._send(process_main.ASK)
                continue
            answer = pickle.loads(message)
            if isinstance(answer, MemoryError) and self._memory_limit is not None:
                # it met what looks at the task, beside a call that took all there was
                self.kill(self._too_large())
                break
            if isinstance(answer, BaseException):
                raise answer
            result: TaskResult = answer
            if not result.n_settled:
                self.tasks_done += 1
                return result
            take(result)
        return TaskResult(crash=self._crash(), worker=self.pid)

    def _message(self, timer: _CallTimer) -> bytes | None:
        """Wait for the worker's next message; None if it has ended instead.

        What the function started may keep the pipe open that its worker is gone from.
        """
        sources = [self._connection, self._process.sentinel]
        with contextlib.suppress(EOFError, OSError):
            while self._connection not in (ready := wait(sources, POLL_SECONDS)):
                if ready and not self._connection.poll():  # what it sent before it ended counts
                    return None
                self._look_after(timer)
            return self._connection.recv_bytes()
        return None

    def ask_to_report(self) -> None:
        """Ask the worker to end its task after the present point."""
        self._heartbeat.request_stop(Stop.RUN_ENDS)

    def seconds_left(self) -> float:
        """The time for the points that the worker has not begun; 0 if it must give them back.

        They take at least what the others did, or what the present one has taken since it was
        first seen here.
        """
        if self._heartbeat.stop:
            return 0.0
        now, begun = time.monotonic(), max(0, self.begun())
        if begun != self._last_begun:
            self._last_begun, self._begun_since = begun, now
        pace = max((now - self._since) / (begun + 1), now - self._begun_since)
        return max(0, self._n_points - begun - 1) * pace

    def ask_to_share(self) -> None:
        """Ask the worker to end its task after the present point, to divide the rest."""
        self._heartbeat.request_stop(Stop.TASK_LATE)

    def kill(self, verdict: WorkerCrash | None = None) -> None:
        """End the process at once, and what the function started; `run` then says why."""
        self._verdict = self._verdict or verdict  # the first one says the cause
        if not self._has_ended:
            self._kill_group()
            with contextlib.suppress(ProcessLookupError, AttributeError):
                self._process.kill()  # it may not have made its group yet

    def dismiss(self) -> None:
        """Let the process leave, which has no task: it then releases what the function took.

        Named semaphores that a killed process had, such as those of a bar of tqdm, are reported
        as leaked by Python's resource tracker.
        """
        if not self._has_ended:
            self._leaves_until = time.monotonic() + LEAVE_SECONDS
            self._connection.close()

    def end(self) -> None:
        """End the process and wait for it. Only the thread that drives it may call this."""
        if (seconds := self._leaves_until - time.monotonic()) > 0:
            self._process.join(seconds)
        self.kill()
        self._join()
        self._connection.close()
        self._output.end()

    def resident_nbytes(self) -> int:
        """The memory that the process has resident; 0 if it has ended."""
        import psutil

        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # it is dead: receiving will say so
            self._connection.send_bytes(data)

    def _look_after(self, timer: _CallTimer) -> None:
        if timer.look():
            reason = f"it took longer than {timer.timeout:g} s"
            self.kill(WorkerCrash("timeout", reason, self.begun()))
        limit = self._memory_limit
        if limit is not None and self.resident_nbytes() > limit:
            self.kill(self._too_large())

    def _too_large(self) -> WorkerCrash:
        reason = f"it took more than {self._memory_limit} bytes"
        return WorkerCrash("memory", reason, self.begun())

    def begun(self) -> int:
        """The ordinal of the point that is being computed, among those of the task."""
        return self._heartbeat.next_point

    def _join(self) -> None:
        if not self._has_ended:
            self._process.join()
            self._kill_group()  # the programs that the function started
            self._has_ended = True

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, AttributeError):
            os.killpg(self.pid, signal.SIGKILL)

    def _crash(self) -> WorkerCrash:
        self._join()
        if self._verdict is not None:
            return self._verdict
        if fork_server.ended_with(self._server, self._process.exitcode):
            reason = "the fork server that its worker came from was ended"
            is_at_fault = not fork_server.may_be_chance()
            return WorkerCrash("ended", reason, self.begun(), is_at_fault=is_at_fault)
        how = _how(self._process.exitcode)
        return WorkerCrash("ended", f"its worker {how}", self.begun())


class _CallTimer:
    """Says when one call takes too long, by its heartbeat; pauses do not count."""

    def __init__(self, heartbeat: Heartbeat, timeout: float | None) -> None:
        self.timeout = timeout
        self._heartbeat = heartbeat
        self._seen: tuple[float, float] | None = None
        self._since = 0.0

    def look(self) -> bool:
        """Look at the heartbeat; whether the present call has taken too long."""
        if self.timeout is None:
            return False
        now, seen = time.monotonic(), self._heartbeat.beat
        may_last = not self._heartbeat.is_calling or self._heartbeat.is_paused
        if seen != self._seen or may_last:
            self._seen, self._since = seen, now
        return now - self._since > self.timeout


def _pipes() -> tuple[tuple[Connection, Connection], ...]:
    """Make the pipes to a worker, our end first: for tasks, its output, and its errors."""
    return _context.Pipe(), _context.Pipe(duplex=False), _context.Pipe(duplex=False)


def process_count() -> int:
    """The number of worker processes that this process may use: the CPUs that it may run on."""
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )


def _how(exit_code: int) -> str:
    if exit_code < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


@contextlib.contextmanager
def _allowed_to_have_children() -> Iterator[None]:
    """Let a daemonic process, such as a worker of ``multiprocessing.Pool``, start workers.

    It is refused that because it may be ended at any time; our workers end with it.
    """
    config: dict[str, Any] = multiprocessing.current_process()._config  # type: ignore[attr-defined]  # noqa: SLF001
    is_daemonic = config.get("daemon", False)
    config["daemon"] = False
    default: Any = multiprocessing.context._default_context  # noqa: SLF001
    method = default._actual_context  # noqa: SLF001
    if method is not None and method._name not in multiprocessing.get_all_start_methods():  # noqa: SLF001
        default._actual_context = _context  # noqa: SLF001  # joblib's, which a worker does not know
    try:
        yield
    finally:
        config["daemon"] = is_daemonic
        if method is not None:
            default._actual_context = method  # noqa: SLF001


def _start_without_main(process: Any) -> int | None:
    """Start a process that does not run the user's script again, guarded or not.

    What a function of ``__main__`` needs travels with it, by value. Returns the process id of the
    fork server that it came from, if there is one.
    """
    with _starting, _allowed_to_have_children():
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            if _METHOD != "forkserver":
                process.start()
                return None
            return fork_server.start(process, PRELOAD)
        finally:
            sys.modules["__main__"] = main
