"""The options of a run that change no result: executor, retries, limits, telling."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, brief
from swarmgrid.store.lease_record import LEASE_SECONDS

if TYPE_CHECKING:
    import os

EXECUTORS = ("processes", "threads", "sync")
"""The names that ``executor=`` accepts."""
PAUSE_AT, KILL_AT = 0.80, 0.90
_RATE_UNITS = {
    **dict.fromkeys(("s", "sec", "second"), 1.0),
    **dict.fromkeys(("m", "min", "minute"), 60.0),
    **dict.fromkeys(("h", "hour"), 3600.0),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of workers."""

    timeout: float | None = None
    """Seconds for one point."""
    memory: int | None = None
    """Bytes for one worker."""
    max_tasks: int | None = None
    """Tasks after which a worker is replaced by a fresh one."""
    pause_at: float = PAUSE_AT
    """The part of the machine's memory in use at which work goes on one task at a time."""
    kill_at: float = KILL_AT
    """The part at which the run's own largest worker is ended."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of a run."""

    executor: str | None = None
    """``"processes"``, ``"threads"`` or ``"sync"``; None: what dask is configured to use, else
    processes."""
    client: Any = None
    """A ``dask.distributed.Client`` to compute with."""
    workers: int | None = None
    """The number of processes or threads; None: one per CPU."""
    exec_chunk_size: int | None = None
    """Points per task; None: chosen by what a point costs."""
    flush_interval: float | None = None
    """Seconds that a finished point may stay in memory before it is in the store; None: about one,
    or up to ten where writing would take more than 2 % of the run."""
    on_error: str = "raise"
    """``"raise"``: the first failing point ends the run; ``"record"``: failures are kept, read as
    missing, and the run goes on."""
    retries: int = 0
    """The most repeated calls at a point where the function failed, each after a longer pause."""
    retry_failed: bool = True
    """Whether points that failed in an earlier run are tried again."""
    timeout: float | None = None
    """Seconds for one call; the worker that takes longer is ended."""
    rate: str | float | None = None
    """The most calls in a time, ``"10/s"`` or ``"30/min"``."""
    memory_limit: str | int | None = None
    """The memory of one worker, ``"2GB"``: more is a MemoryError in the function, or ends it."""
    max_tasks_per_child: int | None = None
    """Tasks after which a worker is replaced by a fresh one."""
    isolate: bool = False
    """Whether every task gets a fresh process."""
    gc: str | None = None
    """``"task"``: garbage is collected after every task."""
    pause_at: float = PAUSE_AT
    """The part of the machine's memory in use at which work goes on one task at a time."""
    kill_at: float = KILL_AT
    """The part at which the run's largest worker is ended, and its work done with fewer."""
    durability: str = "process"
    """``"process"``: what is committed survives the death of any process; ``"power"``: a loss of
    power, too."""
    log: str | os.PathLike[str] | None = None
    """A file that gets one JSON line per event of the run."""
    on_event: Callable[[Any], Any] | None = None
    """Called with each event of the grid while the run goes on; see `swarmgrid.watch`."""
    verbose: int = 1
    """0: nothing is shown; 1: a bar in a terminal or notebook, elsewhere a line a minute in the
    log; 2: a bar always."""
    lease_seconds: float = LEASE_SECONDS
    """The time for which a process that shows no sign of life keeps a grid to itself."""

    @property
    def needs_processes(self) -> bool:
        """Whether some option can only be kept with worker processes of our own."""
        limits = (self.timeout, self.memory_limit, self.max_tasks_per_child)
        return self.isolate or any(limit is not None for limit in limits)

    def limits(self) -> Limits:
        """The limits of worker processes."""
        return Limits(
            timeout=self.timeout,
            memory=None if self.memory_limit is None else to_bytes(self.memory_limit),
            max_tasks=1 if self.isolate else self.max_tasks_per_child,
            pause_at=self.pause_at,
            kill_at=self.kill_at,
        )

    def check(self) -> None:
        """Raise InputError where two options exclude each other, or the log has no place.

        What each may be by itself is `swarmgrid.option_checks.CHECKS`.
        """
        self._check_executor()
        self._check_log()
        if self.pause_at > self.kill_at:
            raise InputError(
                f"pause_at is {self.pause_at!r} and kill_at is {self.kill_at!r}; expected parts "
                "of the machine's memory, the first no larger than the second"
            )

    def _check_log(self) -> None:
        if self.log is None:
            return
        try:
            log = Path(self.log).expanduser().absolute()
            is_file_of_folder = log.parent.is_dir() and not log.is_dir()
        except (OSError, ValueError, RuntimeError):  # too long, or the home of no user
            is_file_of_folder = False
        if not is_file_of_folder:
            raise InputError(f"log is {str(self.log)!r}; expected a file in a folder that exists")

    def _check_executor(self) -> None:
        if self.executor is not None and self.client is not None:
            raise InputError(
                f"executor={self.executor!r} and client= exclude each other; pass one"
            )
        if self.needs_processes and self.client is not None:
            raise InputError(
                "timeout, memory_limit, max_tasks_per_child and isolate are kept by worker "
                "processes of our own; with a client its own limits rule (see "
                "distributed.worker.memory in dask's configuration)"
            )
        if self.needs_processes and self.executor in {"threads", "sync"}:
            raise InputError(
                "timeout, memory_limit, max_tasks_per_child and isolate need worker processes; "
                f"leave out executor={self.executor!r}"
            )
        if self.rate is not None and self.client is not None:
            raise InputError("rate is kept by executors of this process; leave out client=")
        if self.client is not None and (self.pause_at, self.kill_at) != (PAUSE_AT, KILL_AT):
            raise InputError(
                "pause_at and kill_at are kept by worker processes of our own; with a client its "
                "own limits rule (see distributed.worker.memory in dask's configuration)"
            )


def to_interval(rate: str | float) -> float:
    """The seconds between two calls that a rate means: ``"10/s"``, ``"30/min"`` or calls a second.

    Raises
    ------
    InputError
        If it is no rate.
    """
    if isinstance(rate, (int, float)):
        per_second = float(rate)
    else:
        found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*/\s*(\w+)\s*", rate)
        unit = None if found is None else _RATE_UNITS.get(found[2])
        per_second = float(found[1]) / unit if found is not None and unit is not None else 0.0
    if not 0 < per_second < float("inf"):
        raise InputError(
            f"rate is {rate!r}; expected calls per time, such as '10/s', '30/min' or '100/h'"
        )
    return 1 / per_second


def to_bytes(size: str | float) -> int:
    """A size such as ``"2GB"`` in bytes; InputError if it is none."""
    from dask.utils import parse_bytes

    try:
        n = int(parse_bytes(size))
    except (ValueError, TypeError, AttributeError, OverflowError):
        n = 0
    if not 0 < n < 2**63:
        raise InputError(f"memory_limit is {size!r}; expected bytes, or a text such as '2GB'")
    return n


def to_names(name: str, value: object) -> tuple[str, ...]:
    """Return the names in a collection, in order; InputError if it holds anything else."""
    is_some = isinstance(value, Collection) and not isinstance(value, (str, bytes, Mapping))
    names = list(value) if isinstance(value, Collection) and is_some else [None]
    if not all(isinstance(one, str) for one in names):
        raise InputError(
            f"{name} is {brief(value)}; expected names that the function uses, such as {{'args'}}"
        )
    return tuple(sorted(map(str, names)))
