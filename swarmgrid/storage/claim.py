"""What the lease files of a grid say, and which of them holds."""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from swarmgrid.storage import metadata
from swarmgrid.storage.layout import LOCKS

if TYPE_CHECKING:
    from swarmgrid.storage.blobs import Blobs


@dataclass(frozen=True, slots=True)
class Claim:
    """What a lease file says."""

    writer: str
    """A random name, different at every attempt."""
    host: str
    pid: int
    started: str
    """When the process started, in the kernel's words: a process id may be used again."""
    seconds: float
    """After how long without a change the lease may be taken over."""
    beat: int = 0
    """Counts the signs of life."""
    released: bool = False

    @classmethod
    def of_this_process(cls, seconds: float) -> Claim:
        """A new claim in this process' name."""
        pid = os.getpid()
        return cls(secrets.token_hex(8), socket.gethostname(), pid, _start_of(pid), seconds)

    def to_bytes(self) -> bytes:
        """The claim as it is stored."""
        return json.dumps(metadata.sealed({"attributes": asdict(self)})).encode()

    @classmethod
    def from_bytes(cls, data: bytes | None) -> Claim | None:
        """A stored claim; None where the bytes are damaged or gone."""
        try:
            document = metadata.from_bytes(data or b"")
            metadata.check_seal(document)
            return cls(**{f.name: document["attributes"][f.name] for f in fields(cls)})
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def is_of_this_process(self) -> bool:
        """Whether this very process made the claim."""
        here = (socket.gethostname(), os.getpid(), _start_of(os.getpid()))
        return (self.host, self.pid, self.started) == here and self.started.endswith(_system())

    def is_dead(self) -> bool:
        """Whether this machine can prove that the owner has ended."""
        same_machine = self.host == socket.gethostname() and self.started.endswith(_system())
        return same_machine and _start_of(self.pid) != self.started


def claim_key(grid: str, epoch: int) -> str:
    """The key of one lease file of a grid."""
    return f"{LOCKS}/{grid}/{epoch:012d}.json"


def epochs(blobs: Blobs, grid: str) -> list[int]:
    """The numbers of a grid's lease files, ascending."""
    names = blobs.names(f"{LOCKS}/{grid}/")
    return sorted(int(name[:12]) for name in names if _is_lease(name))


def highest_claim(blobs: Blobs, grid: str) -> tuple[int, Claim | None]:
    """The number of the lease that holds, -1 for none, and what it says."""
    found = epochs(blobs, grid)
    if not found:
        return -1, None
    return found[-1], Claim.from_bytes(blobs.get(claim_key(grid, found[-1])))


def _is_lease(name: str) -> bool:
    return name.endswith(".json") and name[:12].isdecimal() and len(name) == 17


def _start_of(pid: int) -> str:
    """When a process of this system started; empty if it has ended or the system cannot say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else f"{fields[19]}{_system()}"


def _system() -> str:
    """The boot of this machine, and the name space of its process ids (containers differ)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f" {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return " unknown"
