"""The inside of a worker process: it takes tasks from a pipe until its coordinator is gone."""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing import current_process, parent_process
from typing import TYPE_CHECKING, Any

from swarmgrid.leases.nesting import enter_for_good
from swarmgrid.transport.messages import TaskResult
from swarmgrid.transport.packing import packed_to_return
from swarmgrid.transport.parcel import unpack_job
from swarmgrid.worker.evaluate import run_task
from swarmgrid.worker.heartbeat import Heartbeat
from swarmgrid.worker.monitor import Watchdog
from swarmgrid.worker.output import WorkerOutput

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from swarmgrid.transport.messages import Job, Task
    from swarmgrid.worker.output import Levels

ASK = b""
"""A worker's request for its turn to call the function again."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The worker's ends of its pipes, and what it needs to use them."""

    tasks: Connection
    """To the coordinator; when that closes, the process ends."""
    out: Connection
    err: Connection
    mark: bytes
    """A text that no line of the function's begins with."""
    levels: Levels
    """Those of the caller's loggers."""


def serve(ends: Ends, floats: Any, memory_limit: int | None) -> None:
    """Answer tasks with results; the first message is the pickled job.

    Parameters
    ----------
    ends : Ends
        The pipes to the coordinator.
    floats : ctypes array of float
        Those of a `Heartbeat`, shared with the coordinator.
    memory_limit : int or None
        Bytes that the process may have resident, as nearly as a cap on its address space can say.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the coordinator decides what Ctrl-C does
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # the fork server's
    # the function may use multiprocessing, too: its children end with this process' group
    current_process()._config["daemon"] = False  # type: ignore[attr-defined]  # noqa: SLF001
    _end_with_coordinator()
    connection = ends.tasks
    output = WorkerOutput(ends.out.fileno(), ends.err.fileno(), ends.mark, ends.levels)
    ends.out.close()
    ends.err.close()
    channel, watchdog = PipeChannel(connection), Watchdog()
    heartbeat = Heartbeat(memoryview(floats).cast("B").cast("d"))  # faster than ctypes
    with contextlib.suppress(EOFError, OSError):
        data = connection.recv_bytes()
        try:
            job = unpack_job(data, is_own_process=True)
            enter_for_good(job.runs)
        except Exception as error:  # noqa: BLE001  # raised again in the coordinator
            channel.send(pickle.dumps(error, pickle.HIGHEST_PROTOCOL))
            return
        if memory_limit is not None:
            _limit_memory(memory_limit)
        while True:
            task = pickle.loads(connection.recv_bytes())
            answer = _answer(job, task, heartbeat, watchdog, channel)
            # in this order: what the task printed is in the pipes before its result is told
            output.end_task()
            channel.send(answer)


class PipeChannel:
    """The way home through a pipe, for the task and for the thread that looks at it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, data: bytes) -> None:
        """Send a pickled result, an error, or `ASK`."""
        with self._lock:
            self._connection.send_bytes(data)

    def report(self, result: TaskResult) -> None:
        """Hand over a part of the results."""
        self.send(packed_to_return(result))

    def may_write(self) -> bool:
        """Always: a coordinator that ends the run ends this process, and has fenced the store."""
        return True

    def wait_for_turn(self) -> None:
        """Ask the coordinator, which knows the rate of all workers together."""
        self.send(ASK)
        self._connection.recv_bytes()


def _answer(
    job: Job, task: Task, heartbeat: Heartbeat, watchdog: Watchdog, channel: PipeChannel
) -> bytes:
    """The pickled result; or the error, which is ours or the store's, not the function's."""
    try:
        if job.is_rate_limited:
            channel.wait_for_turn()
            if heartbeat.stop:
                return packed_to_return(TaskResult(left=list(task.parts), worker=os.getpid()))
        return packed_to_return(_watched(job, run_task(job, task, heartbeat, watchdog, channel)))
    except Exception as error:  # noqa: BLE001  # raised again in the coordinator
        return pickle.dumps(error, pickle.HIGHEST_PROTOCOL)


def run_remote(job: bytes, task: bytes) -> bytes:
    """The pickled result of a pickled task, in a worker that dask.distributed owns."""
    loaded, watchdog = _loaded(job)
    result = run_task(loaded, pickle.loads(task), watchdog=watchdog)
    return packed_to_return(_watched(loaded, result))


def _watched(job: Job, result: TaskResult) -> TaskResult:
    """The result of the first task of a process, with what its calls have changed."""
    if job.watch is not None and result.points:
        result.changed = job.watch.changes()
    return result


def held(job: bytes) -> bytes:
    """The pickled job, as something that dask makes again where it was lost."""
    return job


def pickled(task: Task) -> bytes:
    """A task as it travels."""
    return pickle.dumps(task, pickle.HIGHEST_PROTOCOL)


@functools.lru_cache(maxsize=4)
def _loaded(job: bytes) -> tuple[Job, Watchdog]:
    return unpack_job(job, is_own_process=False), Watchdog()


def _end_with_coordinator() -> None:
    """Have the kernel end this process when the coordinator dies, whatever it is doing then.

    The pipe that multiprocessing holds to notice that is made to send SIGIO, whose default is to
    end the process: unlike a thread, it needs no interpreter lock. It goes to the whole process
    group, of which are also the programs that the function starts.
    """
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    parent = parent_process()
    if parent is None or not sys.platform.startswith("linux"):
        return
    import fcntl

    sentinel: Any = parent.sentinel
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    # a negative number is that of a process group
    fcntl.fcntl(sentinel, fcntl.F_SETOWN, -os.getpid())
    flags = fcntl.fcntl(sentinel, fcntl.F_GETFL)
    fcntl.fcntl(sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)
    if not parent.is_alive():  # it died before the signal was armed
        os._exit(1)


def _limit_memory(nbytes: int) -> None:
    """Cap the address space, so that the function sees MemoryError before the machine is short."""
    try:
        import resource
    except ImportError:
        return
    import psutil

    used = psutil.Process().memory_info()
    # address space that is mapped and not resident takes no memory: the cap allows for it
    cap = used.vms - used.rss + nbytes
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    cap = cap if hard == resource.RLIM_INFINITY else min(cap, hard)
    resource.setrlimit(resource.RLIMIT_AS, (cap, hard))
