"""The process that forks workers: it is started again if it was killed.

`multiprocessing` notices a server that has ended before it is asked for a process, but not one
whose socket is gone with its temporary folder, nor one that ends meanwhile.
"""
# ruff: noqa: SLF001 - the standard library has no public way to let go of a fork server

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import time
from multiprocessing import forkserver, process, resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator

TRIES = 4
"""The most tries to start a worker: a second server may be killed, too."""
PAUSE_SECONDS = 0.05
"""A process that was killed takes a moment until it counts as ended."""
UNKNOWN = 255
"""The exit code that `multiprocessing` gives a worker when its fork server has ended."""
MAX_ENDED = 4
"""So many servers may be ended by chance; after that it is the function that ends them."""

_ended: set[int] = set()
_left: list[int] = []
"""Servers that were left alone, because their workers may still run."""
_log = logging.getLogger(__name__)


def start(worker: Any, preload: list[str]) -> int | None:
    """Start a worker process from the fork server, and return the server's process id.

    Raises
    ------
    WorkerError
        If no fork server can be started, or each one ends at once.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(preload)
    for n in range(1, TRIES + 1):
        try:
            _restore_folder()
            with _spared_by_ctrl_c():
                worker.start()
            pid: int | None = _server()._forkserver_pid
        except (OSError, EOFError) as error:
            _log.warning("the fork server does not answer (%s); starting it anew", error)
            worker._popen = None
            if n == TRIES:
                raise WorkerError(
                    "the function",
                    f"the fork server that starts workers cannot be reached ({error!r}). Is "
                    "something ending processes, or is the folder for temporary files gone? Or "
                    "use executor='threads'",
                ) from error
            time.sleep(PAUSE_SECONDS)
            _leave()
        else:
            return pid
    raise AssertionError


@contextlib.contextmanager
def _spared_by_ctrl_c() -> Iterator[None]:
    """Have a server that is started now not see SIGINT: while it imports it would end by that."""
    resource_tracker.ensure_running()  # the start of it unblocks SIGINT, just before the server's
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ended_with(pid: int | None, exit_code: int) -> bool:
    """Whether a worker may seem to have ended because the fork server that it is from has."""
    if pid is None or exit_code != UNKNOWN:
        return False
    tries = range(TRIES)
    return any(_has_ended(pid, PAUSE_SECONDS if n else 0.0) for n in tries)


def _has_ended(pid: int, pause: float) -> bool:
    time.sleep(pause)
    if pid in _ended:
        return True
    try:
        # WNOWAIT leaves it to `multiprocessing`, whose own wait fails for one that is gone
        is_over = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # it was waited for when the next one was started
        is_over = pid not in _left
    if is_over:
        _ended.add(pid)
    return is_over


def may_be_chance() -> bool:
    """Whether so few servers have ended that the function need not be the one to end them."""
    return len(_ended) <= MAX_ENDED


def _server() -> Any:
    return forkserver._forkserver


def _restore_folder() -> None:
    """Make the folder again in which the next server's socket is to lie."""
    folder = process.current_process()._config.get("tempdir")  # type: ignore[attr-defined]
    if folder is not None and not Path(folder).is_dir():
        # multiprocessing goes on to use it, and to delete it in the end
        with contextlib.suppress(OSError):
            Path(folder).mkdir(mode=0o700, parents=True)


def _leave() -> None:
    """Give up the present server without waiting for it: it ends with the last of its workers."""
    server = _server()
    with server._lock:
        pid = server._forkserver_pid
        if pid is None:
            return
        with contextlib.suppress(OSError):
            os.close(server._forkserver_alive_fd)
        server._forkserver_pid = server._forkserver_alive_fd = server._forkserver_address = None
        _left.append(pid)
    for pid in _left.copy():
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0]:
                _left.remove(pid)
