"""How a run is carried out; nothing of this changes a result."""

from __future__ import annotations

import numbers
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError
from swarmgrid.storage.lease import LEASE_SECONDS

if TYPE_CHECKING:
    import os

EXECUTORS = ("processes", "threads", "sync")
"""What ``executor=`` may say."""
PAUSE_AT, KILL_AT = 0.80, 0.90
_RATE_UNITS = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Limits:
    """What workers may take."""

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
class Settings:
    """The options of a run, as `Options` documents them."""

    executor: str | None = None
    client: Any = None
    workers: int | None = None
    exec_chunk_size: int | None = None
    flush_interval: float = 10.0
    on_error: str = "raise"
    retries: int = 0
    retry_failed: bool = True
    timeout: float | None = None
    rate: str | float | None = None
    memory_limit: str | int | None = None
    max_tasks_per_child: int | None = None
    isolate: bool = False
    gc: str | None = None
    pause_at: float = PAUSE_AT
    kill_at: float = KILL_AT
    durability: str = "process"
    log: str | os.PathLike[str] | None = None
    verbose: int = 1
    lease_seconds: float = LEASE_SECONDS

    @property
    def needs_processes(self) -> bool:
        """Whether some option can only be kept with worker processes of our own."""
        limits = (self.timeout, self.memory_limit, self.max_tasks_per_child)
        return self.isolate or any(limit is not None for limit in limits)

    def limits(self) -> Limits:
        """What worker processes may take."""
        return Limits(
            timeout=self.timeout,
            memory=None if self.memory_limit is None else to_bytes(self.memory_limit),
            max_tasks=1 if self.isolate else self.max_tasks_per_child,
            pause_at=self.pause_at,
            kill_at=self.kill_at,
        )

    def check(self) -> None:
        """Raise InputError where an option is wrong, or two exclude each other."""
        self._check_executor()
        self._check_numbers()
        _one_of("verbose", self.verbose, (0, 1, 2))
        _one_of("on_error", self.on_error, ("raise", "record"))
        _one_of("durability", self.durability, ("process", "power"))
        _one_of("gc", self.gc, (None, "task"))
        if self.rate is not None:
            to_interval(self.rate)
        log = None if self.log is None else Path(self.log).absolute()
        if log is not None and (log.is_dir() or not log.parent.is_dir()):
            raise InputError(f"log is {str(self.log)!r}; expected a file in a folder that exists")
        parts = (self.pause_at, self.kill_at)
        if not all(map(_is_number, parts)) or not 0 < self.pause_at <= self.kill_at <= 1:
            raise InputError(
                f"pause_at is {self.pause_at!r} and kill_at is {self.kill_at!r}; expected parts "
                "of the machine's memory, the first no larger than the second"
            )

    def _check_executor(self) -> None:
        _one_of("executor", self.executor, (None, *EXECUTORS))
        if self.executor is not None and self.client is not None:
            raise InputError(
                f"executor={self.executor!r} and client= exclude each other; pass one"
            )
        if self.client is not None and not (
            hasattr(self.client, "scatter") and hasattr(self.client, "map")
        ):
            raise InputError(f"client is {self.client!r}; expected a dask.distributed.Client")
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

    def _check_numbers(self) -> None:
        for name in ("workers", "exec_chunk_size", "max_tasks_per_child"):
            value = getattr(self, name)
            if value is not None and not _is_whole(value, 1):
                raise InputError(f"{name} is {value!r}; expected a positive integer")
        if not _is_whole(self.retries, 0):
            raise InputError(f"retries is {self.retries!r}; expected an integer, at least 0")
        for name in ("flush_interval", "lease_seconds", "timeout"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value > 0):
                raise InputError(f"{name} is {value!r}; expected seconds above 0")
        if self.memory_limit is not None:
            to_bytes(self.memory_limit)


def to_interval(rate: str | float) -> float:
    """The seconds between two calls that a rate means: ``"10/s"``, ``"30/min"`` or calls a second.

    Raises
    ------
    InputError
        If it is no rate.
    """
    if isinstance(rate, (int, float)) and rate > 0:
        return 1 / rate
    found = re.fullmatch(r"\s*([\d.]+)\s*/\s*(s|sec|m|min|h)\s*", str(rate))
    if found is None or not float(found[1]):
        raise InputError(f"rate is {rate!r}; expected calls per time, such as '10/s' or '30/min'")
    return _RATE_UNITS[found[2]] / float(found[1])


def to_bytes(size: str | int) -> int:
    """A size such as ``"2GB"`` in bytes; InputError if it is none."""
    from dask.utils import parse_bytes

    try:
        n = int(parse_bytes(size))
    except (ValueError, TypeError, AttributeError):
        n = 0
    if n <= 0:
        raise InputError(f"memory_limit is {size!r}; expected bytes, or a text such as '2GB'")
    return n


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        shown = ", ".join(repr(a) for a in allowed if a is not None)
        raise InputError(f"{name} is {value!r}; expected one of {shown}")
