"""A child process that serves on 127.0.0.1: find it, start it, wait until it is ready, stop it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import PATIENCE

GRPC_OFFSET = 10_000
SHARES = 16
"""The test processes that find ports of their own: none that another one has found, too, and is
about to use."""


def executable(name: str) -> str:
    """The program `name` of this interpreter's environment, else the one on PATH."""
    beside_python = Path(sys.executable).parent / name
    found = str(beside_python) if beside_python.exists() else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"Program '{name}' not found. Install the 'test' extra.")
    return found


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_ports(count: int) -> list[int]:
    """Distinct free ports p, with p + 10000 free as well (where SeaweedFS puts its gRPC).

    Below 32768, so that no outgoing connection can take one before the server does.
    """
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    # not by `random`, which pytest-randomly sets to one state in all test processes
    chance = random.SystemRandom()
    candidates = chance.sample(range(11_000 + number % SHARES, 21_000, SHARES), 500)
    free = (p for p in candidates if is_free(p) and is_free(p + GRPC_OFFSET))
    return [next(free) for _ in range(count)]


@contextmanager
def running(
    command: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    is_ready: Callable[[], bool],
    timeout_seconds: float = PATIENCE,
) -> Iterator[subprocess.Popen[bytes]]:
    """The process of `command`, ready to serve, in a process group of its own.

    Raises RuntimeError, with the end of its log, where it ends early or is not ready in time.
    """
    log = directory / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=directory,
            # HOME: no configuration of the user's is read, nothing is left behind.
            env={**os.environ, "HOME": str(directory), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, is_ready, timeout_seconds, log)
        yield process
    finally:
        _stop(process)


def _wait_until_ready(
    process: subprocess.Popen[bytes],
    is_ready: Callable[[], bool],
    timeout_seconds: float,
    log: Path,
) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not is_ready():
        code = process.poll()
        if code is None and time.monotonic() < deadline:
            time.sleep(0.05)
            continue
        state = f"not ready after {timeout_seconds} s" if code is None else f"ended with {code}"
        tail = log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"Server '{process.args}' {state}. Its log ends:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and its children: their group's id is the process id (own session).

    At once: the data is thrown away, and a graceful stop takes 2 s (SeaweedFS) or 6 s (rclone).
    """
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
