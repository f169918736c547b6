"""The tier on a disk: files that the processes of a machine share.

Each copy is a file of its own, written under another name and renamed. Its head has a checksum,
so that a torn file or a flipped bit is a miss. A counter in a file of its own says how many bytes
all of them take. It is raised before a file appears, under a lock that ends with its process, and
counted anew when the tier seems full. So the budget holds through kills.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import google_crc32c

from swarmgrid.errors import StoreError
from swarmgrid.tiers.policy import CopyStats, Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from swarmgrid.tiers.policy import TierMetrics, TierPolicy

_HEAD = struct.Struct("<4sIQ")
_MAGIC = b"SWGC"
_COUNT = struct.Struct("<q")
_TOUCH_SECONDS = 60.0
"""The time of use is noted that seldom: each note is a write to the disk."""
_PART = ".part"


class DiskTier:
    """Copies in a folder of a disk.

    Parameters
    ----------
    folder : str
        The folder, of this tier alone; it is made where it is not there.
    budget : int
        The most bytes of all files.
    policy : TierPolicy
        The rules.
    """

    def __init__(self, folder: str, budget: int, policy: TierPolicy) -> None:
        self._folder = Path(folder)
        self._root = str(self._folder)  # to read a copy: a Path costs as much as a system call
        self._budget = budget
        self._policy = policy
        self._pinned: dict[str, int] = {}
        self._counts = Counts()
        self._lock = threading.Lock()
        self._is_ready = False

    def get(self, key: str) -> bytes | None:
        """A copy; None if there is none, or it is not what was written."""
        path = self._path(key)
        try:
            number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._count(misses=1)
            return None
        try:
            status = os.fstat(number)
            data = _read(number, status.st_size, key)
        except OSError:
            self._count(misses=1)
            return None
        finally:
            os.close(number)
        if data is None:
            self.drop(key, is_damaged=True)
            self._count(misses=1)
            return None
        self._count(hits=1)
        now = self._policy.clock()
        if abs(now - status.st_mtime) > _TOUCH_SECONDS:
            with contextlib.suppress(OSError):
                os.utime(path, (now, now))
        return data

    def has(self, key: str) -> bool:
        """Whether there is a copy."""
        return Path(self._path(key)).exists()

    def put(self, key: str, data: bytes) -> None:
        """Keep a copy; nothing happens if there is no room, or the disk cannot be written."""
        path, packed = Path(self._path(key)), _packed(data, key)
        if len(packed) > self._budget:
            return
        with contextlib.suppress(OSError):
            self._make_ready()
            with self._locked():  # to the end: what one process is about to write, another counts
                replaced = path.stat().st_size if path.exists() else 0
                used = self._used() - replaced
                if used + len(packed) > self._budget:
                    used = self._make_room(len(packed), but=path.name) - replaced
                if used + len(packed) > self._budget:
                    return
                self._write_used(used + replaced + len(packed))  # a kill leaves it seeming fuller
                path.parent.mkdir(exist_ok=True)
                part = path.with_name(f"{path.name}{_PART}")
                part.write_bytes(packed)
                now = self._policy.clock()
                os.utime(part, (now, now))
                part.replace(path)
                self._write_used(used + len(packed))

    def drop(self, key: str, *, is_damaged: bool = False) -> bool:
        """Forget a copy: whether there was one."""
        path = Path(self._path(key))
        try:
            with self._locked():
                size = path.stat().st_size
                path.unlink()
                self._write_used(self._used() - size)
        except OSError:
            return False
        if is_damaged:
            self._count(damaged=1)
        return True

    def pin(self, keys: Iterable[str], change: int) -> None:
        """Keep copies from eviction by this process; ``-1`` takes that back."""
        for key in keys:
            name = _name(key)
            self._pinned[name] = self._pinned.get(name, 0) + change
            if self._pinned[name] <= 0:
                del self._pinned[name]

    def trim(self) -> None:
        """Delete what was not used for long."""
        span = self._policy.idle_seconds("cold_to_home")
        if span is not None:
            before = self._policy.clock() - span
            with contextlib.suppress(OSError), self._locked():
                for name, path, stats in list(self._files()):
                    if stats.last_used < before and name not in self._pinned:
                        path.unlink()
                        self._count(evictions=1)
                self._write_used(sum(stats.nbytes for _, _, stats in self._files()))

    def clear(self) -> None:
        """Delete all copies."""
        with contextlib.suppress(OSError):
            self._make_ready()
            with self._locked():
                for _, path, _ in list(self._files()):
                    path.unlink(missing_ok=True)
                self._write_used(0)

    def metrics(self) -> TierMetrics:
        """The figures so far; bytes and copies are those of all processes."""
        sizes = [stats.nbytes for _, _, stats in self._files()]
        return self._counts.metrics(sum(sizes), self._budget, len(sizes))

    def _path(self, key: str) -> str:
        name = _name(key)
        return f"{self._root}/{name[:2]}/{name}"

    def _make_ready(self) -> None:
        """Make the folder, and count what is there: a killed process may have left parts."""
        if self._is_ready:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the disk tier {str(self._folder)!r} cannot be made: {error}"
            ) from error
        with self._locked():
            self._write_used(self._recount())
            if self._used() > self._budget:
                self._make_room(0)
        self._is_ready = True

    def _recount(self) -> int:
        """The bytes of all files; parts of killed processes are deleted."""
        for path in self._folder.glob(f"*/*{_PART}"):  # who holds the lock is at no other's part
            path.unlink(missing_ok=True)
        return sum(stats.nbytes for _, _, stats in self._files())

    def _make_room(self, nbytes: int, but: str = "") -> int:
        """Delete copies, all but one, until so many bytes fit: the bytes that are left."""
        used = self._recount()
        if used + nbytes > self._budget:
            files = {name: (path, stats) for name, path, stats in self._files()}
            for name, (_, stats) in files.items():
                stats.pins = self._pinned.get(name, 0)
            excess = used + nbytes - int(self._budget * self._policy.watermark)
            copies = ((name, stats) for name, (_, stats) in files.items() if name != but)
            for name in self._policy.victims(copies, excess, self._policy.clock()):
                path, stats = files[name]
                path.unlink(missing_ok=True)
                used -= stats.nbytes
                self._count(evictions=1)
        self._write_used(used)
        return used

    def _files(self) -> Iterator[tuple[str, Path, CopyStats]]:
        for folder in sorted(self._folder.glob("??")):
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    if not entry.name.endswith(_PART):
                        with contextlib.suppress(OSError):
                            status = entry.stat()
                            stats = CopyStats(status.st_size, status.st_mtime)
                            yield entry.name, Path(entry.path), stats

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes and threads from counting; a killed one leaves no lock."""
        with (self._folder / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _used(self) -> int:
        try:
            return int(_COUNT.unpack_from((self._folder / "used").read_bytes())[0])
        except (OSError, struct.error):  # torn, or not there yet
            return self._recount()

    def _write_used(self, nbytes: int) -> None:
        # in place: to truncate a file makes ext4 flush it, which took 3 ms
        number = os.open(f"{self._root}/used", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            os.pwrite(number, _COUNT.pack(max(0, nbytes)), 0)
        finally:
            os.close(number)

    def _count(self, hits: int = 0, misses: int = 0, evictions: int = 0, damaged: int = 0) -> None:
        with self._lock:
            self._counts.hits += hits
            self._counts.misses += misses
            self._counts.evictions += evictions
            self._counts.damaged += damaged


def _name(key: str) -> str:
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


def _packed(data: bytes, key: str) -> bytes:
    crc = google_crc32c.extend(google_crc32c.value(key.encode()), data)
    return _HEAD.pack(_MAGIC, crc, len(data)) + data


def _read(number: int, nbytes: int, key: str) -> bytes | None:
    """The bytes of a copy; None if they are not those that were written under the key."""
    head = os.read(number, _HEAD.size)
    if len(head) < _HEAD.size:
        return None
    magic, crc, length = _HEAD.unpack(head)
    if magic != _MAGIC or length != nbytes - _HEAD.size:
        return None
    data = os.read(number, length)
    while len(data) < length:  # one call reads 2 GB at most
        more = os.read(number, length - len(data))
        if not more:
            return None
        data += more
    is_right = google_crc32c.extend(google_crc32c.value(key.encode()), data) == crc
    return data if is_right else None
