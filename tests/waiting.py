"""Waiting for what other processes and threads do, however busy the machine is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 240
"""Seconds after which something is taken never to come: far more than it ever takes, on a machine
that is ten times as slow as usual. Tests name no other time for that."""


def wait_until(condition: Callable[[], object]) -> None:
    """Return once the condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process goes on: one that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def meet(folder: Path, n: int, caller: int | None = None) -> None:
    """Return once so many processes have come here, other than the caller."""
    if os.getpid() != caller:
        (folder / str(os.getpid())).touch()
    wait_until(lambda: len(list(folder.iterdir())) >= n)
