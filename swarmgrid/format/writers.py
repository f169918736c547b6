"""The processes that committed rows: their machine, number, and job of a batch system."""

from __future__ import annotations

import os
import socket
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

JOB_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")
"""Environment variables in which batch systems (Slurm, PBS, LSF, Grid Engine) name their job."""
PUT = "put_many"
"""The word before the job of a process that put known results, which no run computed."""
_MAX_TEXT = 256


@dataclass(frozen=True, slots=True)
class WriterId:
    """A process that led a run. No user name and no path: a store may be shared."""

    host: str
    """The machine's name."""
    pid: int
    """The number of the process; 0: not known."""
    job: str = ""
    """The job of a batch system in which it ran; empty: none. `PUT` comes before that of a process
    that computed nothing, and put results that were known."""

    @classmethod
    def of_this_process(cls) -> WriterId:
        """The process that calls."""
        jobs = (os.environ.get(name, "") for name in JOB_VARIABLES)
        job = next((job for job in jobs if job), "")
        # bounded: every segment repeats it
        return cls(socket.gethostname()[:_MAX_TEXT], os.getpid(), job[:_MAX_TEXT])

    def putting(self) -> WriterId:
        """The process as one that puts known results."""
        return replace(self, job=f"{PUT} {self.job}".rstrip()[:_MAX_TEXT])

    @property
    def is_putting(self) -> bool:
        """Whether its rows are of results that were put."""
        return self.job.partition(" ")[0] == PUT

    def to_list(self) -> list[str | int]:
        """The process as a segment's header names it."""
        return list(astuple(self))

    @classmethod
    def from_list(cls, entry: Any) -> WriterId:
        """A process that a header names; ValueError if the entry is of another form."""
        host, pid, job = entry
        if type(host) is not str or type(job) is not str or type(pid) is not int:
            raise ValueError(f"{entry!r} is no writer")
        return cls(host, pid, job)


UNKNOWN = WriterId("", 0)
"""The writer of rows that do not say theirs."""


def united(
    parts: Sequence[tuple[WriterId, ...]],
) -> tuple[tuple[WriterId, ...], list[NDArray[np.uint32]]]:
    """All writers of several lists, each once, and for each list the new numbers of its own."""
    numbers: dict[WriterId, int] = {}
    for writer in (writer for part in parts for writer in part):
        numbers.setdefault(writer, len(numbers))
    return tuple(numbers), [np.array([numbers[w] for w in part], "<u4") for part in parts]
