"""The lease records of a grid, and the one of them that holds."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from swarmgrid.store import checked_json
from swarmgrid.store.layout import LOCKS

if TYPE_CHECKING:
    from swarmgrid.store.blobs import Blobs

LEASE_SECONDS = 30.0
"""The time for which an owner that shows no sign of life keeps its lease."""
MAX_LEASE_SECONDS = 3600.0
"""So long a lease may be at most: a grid whose owner is gone waits for it."""
MAX_NBYTES = 2**16
"""The most bytes of a lease file."""
MAX_EPOCH = 10**12 - 10**6
"""A file of a higher number is no lease: no lease could follow it."""
_NAME = re.compile(r"(\d{12})\.json", re.ASCII)
_PROC = Path("/proc")
_COMMIT_BITS = 24
_LOOKS = 10
"""Of an owner's lease that is deleted between two requests; so often in a row it is no lease."""


def to_commit(epoch: int, number: int) -> int:
    """The number of a commit: those of a grid ascend in the order in which they are written.

    Parameters
    ----------
    epoch : int
        The number of the lease.
    number : int
        Counts the commits of its owner from 1. All after the last that fits have its number.
    """
    return epoch << _COMMIT_BITS | min(number, (1 << _COMMIT_BITS) - 1)


def epoch_of(commit: int) -> int:
    """The number of the lease whose owner has made a commit."""
    return commit >> _COMMIT_BITS


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """The content of a lease file."""

    writer: str
    """A random name, different at every attempt."""
    host: str
    pid: int
    started: str
    """The start of the process, in the kernel's words: a process id may be used again."""
    seconds: float
    """After how long without a change the lease may be taken over."""
    beat: int = 0
    """Counts the signs of life."""
    released: bool = False
    seconds_left: float | None = None
    """The time that the owner's run still needed at this beat, by its own estimate; None: that is
    not known."""

    @classmethod
    def of_this_process(cls, seconds: float) -> LeaseRecord:
        """A new record in this process' name."""
        pid = os.getpid()
        return cls(os.urandom(8).hex(), _host(), pid, _start_of(pid) or "", seconds)

    def to_bytes(self) -> bytes:
        """The record as it is stored."""
        attributes = {k: v for k, v in asdict(self).items() if v is not None}
        return json.dumps(checked_json.with_checksum({"attributes": attributes})).encode()

    @classmethod
    def from_bytes(cls, data: bytes | None) -> LeaseRecord | None:
        """A stored record; None where the bytes are damaged or gone."""
        try:
            attributes = checked_json.checked_attributes(data or b"")
            # the one member that `to_bytes` may leave out
            attributes = {"seconds_left": None, **attributes}
            record = cls(**{f.name: attributes[f.name] for f in fields(cls)})
        except (ValueError, KeyError):
            return None
        return record if record._is_sound() else None

    def _is_sound(self) -> bool:
        """Whether every member is of its type and within its bounds: a file may say anything."""
        return (
            all(type(text) is str for text in (self.writer, self.host, self.started))
            and type(self.pid) is int
            and 0 < self.pid < 2**31
            and type(self.seconds) in {int, float}
            and 0 <= self.seconds <= MAX_LEASE_SECONDS
            and type(self.beat) is int
            and type(self.released) is bool
            and (
                self.seconds_left is None
                or (type(self.seconds_left) in {int, float} and 0 <= self.seconds_left < 1e12)
            )
        )

    def is_of_this_process(self) -> bool:
        """Whether this very process made the record."""
        here = (_host(), os.getpid(), _start_of(os.getpid()))
        return (self.host, self.pid, self.started) == here and self._is_of_this_system()

    def is_dead(self) -> bool:
        """Whether this machine can prove that the owner has ended."""
        # of another machine nothing can be proved here: its lease runs out by its own time
        if self.host != _host() or not self._is_of_this_system():
            return False
        start = _start_of(self.pid)
        # the number may be that of another process by now
        return start != self.started if start is not None else _is_gone(self.pid)

    def is_here(self) -> bool:
        """Whether the owner is seen to run on this machine."""
        is_near = self.host == _host() and self._is_of_this_system()
        # of another machine, or of a process that this one may not look at, nothing is proved
        return is_near and _start_of(self.pid) == self.started

    def _is_of_this_system(self) -> bool:
        """Whether the record is of this boot and name space; no record is, where none is known."""
        system = _system()
        return bool(system) and self.started.endswith(system)


def record_key(grid: str, epoch: int) -> str:
    """The key of one lease file of a grid."""
    return f"{LOCKS}/{grid}/{epoch:012d}.json"


def epochs(blobs: Blobs, grid: str) -> list[int]:
    """The numbers of a grid's lease files, ascending."""
    found = map(_NAME.fullmatch, blobs.names(f"{LOCKS}/{grid}/"))
    numbers = (int(name[1]) for name in found if name is not None)
    return sorted(number for number in numbers if number <= MAX_EPOCH)


def highest_record(blobs: Blobs, grid: str) -> tuple[int, LeaseRecord | None]:
    """The number of the lease that holds, -1 for none, and what it says."""
    epoch, data = -1, None
    for _ in range(_LOOKS):
        epoch = max(epochs(blobs, grid), default=-1)
        data = None if epoch < 0 else blobs.get(record_key(grid, epoch), MAX_NBYTES)
        # deleted since it was listed: by the next owner, whose file is there by now. A writer that
        # took it for no news would go on after two others
        if epoch < 0 or data is not None:
            break
    return epoch, LeaseRecord.from_bytes(data)


def _start_of(pid: int) -> str | None:
    """The start of a process of this system; empty if it has ended, None if that is not shown.

    A ``/proc`` that is mounted with ``hidepid`` does not show the processes of other users.
    """
    try:
        # after the name, which may hold spaces and brackets; the start is field 22 of proc(5)
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        # a zombie has ended; only its parent has not asked for it
        return "" if fields[0] == "Z" else f"{fields[19]}{_system()}"
    except (OSError, IndexError):
        return None


def _is_gone(pid: int) -> bool:
    """Whether the kernel knows of no process of that number, of any user."""
    try:
        os.kill(pid, 0)  # sends nothing
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it is another user's, or the number is none
        return False
    return False


def _host() -> str:
    import socket  # most readers of a finished grid ask for nothing of this

    return socket.gethostname()


def _system() -> str:
    """The boot of this machine, and the name space of its process ids (containers differ).

    Empty where the system does not say.
    """
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f" {boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""
