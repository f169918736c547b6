"""The tier on a disk: files that the processes of a machine share.

Each copy is a file of its own, written under another name and renamed; a torn one, or one with a
flipped bit, is a miss. A counter in a file of its own says how many bytes all of them take. It is
raised before a file appears, under a lock that ends with its process, and counted anew when the
tier seems full. So the budget holds through kills. Only files with the names of copies are ever
counted or deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import struct
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import google_crc32c

from swarmgrid.tiers.copy_file import copy_in, key_in, packed, read_copy
from swarmgrid.tiers.forms import digest
from swarmgrid.tiers.policy import CopyStats, Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from swarmgrid.tiers.policy import TierMetrics, TierPolicy
    from swarmgrid.view.copies import Recoded

_USED = struct.Struct("<QI")
"""The bytes of all copies, and a checksum of that number."""
_TOUCH_SECONDS = 60.0
"""The time of use is noted that seldom: each note is a write to the disk."""
_PART = ".part"
_FORMS = "forms"
"""The folder of notes: by grid an empty file, whose name has the form that the grid has."""
_IS_FOLDER = re.compile(r"[0-9a-f]{2}")
_IS_COPY = re.compile(r"[0-9a-f]{32}\.copy")


class DiskTier:
    """Copies in a folder of a disk.

    Parameters
    ----------
    folder : str
        The folder; it is made where it is not there, for its owner alone.
    budget : int
        The most bytes of all files.
    policy : TierPolicy
        The rules.
    is_memory : bool
        Whether it is memory that processes share, at a name that others know.
    """

    def __init__(
        self, folder: str, budget: int, policy: TierPolicy, *, is_memory: bool = False
    ) -> None:
        self._folder = Path(folder)
        self._root = str(self._folder)  # to read a copy: a Path costs as much as a system call
        self._budget = budget
        self._policy = policy
        self._is_memory = is_memory
        self._pinned: dict[str, int] = {}
        self._counts = Counts()
        self._lock = threading.Lock()
        self._is_ready = self._is_off = False

    def get(self, key: str) -> bytes | Recoded | None:
        """A copy; None if there is none, or it is not what was written."""
        path = self._path(key)
        try:
            self._make_ready()
            number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._count(misses=1)
            return None
        try:
            status = os.fstat(number)
            data = read_copy(number, status.st_size, key)
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

    def touch(self, key: str, used: float) -> bool:
        """Note a use in another tier, unless there was a later one: whether there is a copy."""
        path = Path(self._path(key))
        try:
            if path.stat().st_mtime < used - _TOUCH_SECONDS:
                os.utime(path, (used, used))
        except OSError:
            return False
        return True

    def put(self, key: str, data: bytes | Recoded, used: float | None = None) -> None:
        """Keep a copy; nothing happens if there is no room, or the disk cannot be written.

        ``used`` is the time of its last use. Default: now.
        """
        used = self._policy.clock() if used is None else used
        try:
            self._make_ready()
            self._put(Path(self._path(key)), *packed(data, key), used)
        except FileNotFoundError:
            self._is_ready = False  # the folder was deleted: the next copy makes it anew
        except OSError:
            pass

    def drop(self, key: str, *, is_damaged: bool = False) -> bool:
        """Forget a copy: whether there was one."""
        path = Path(self._path(key))
        try:
            with self._locked():
                used = self._used()  # before: it may have to be counted
                size = path.stat().st_size
                path.unlink()
                self._write_used(used - size)
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

    def trim(
        self, span: str, take: Callable[[str, bytes | Recoded, float], None] | None = None
    ) -> None:
        """Delete what was not used for as long as a span of the policy says.

        ``take`` is handed the key, the data and the last use of each of these.
        """
        seconds = self._policy.idle_seconds(span)
        if seconds is None:
            return
        before = self._policy.clock() - seconds
        with contextlib.suppress(OSError), self._locked():
            for name, path, stats in list(self._files()):
                if stats.last_used < before and name not in self._pinned:
                    key = key_in(path) if take is not None else ""
                    data = copy_in(path, key) if key else None
                    path.unlink()
                    self._count(evictions=1)
                    if take is not None and data is not None:
                        take(key, data, stats.last_used)
            self._write_used(sum(stats.nbytes for _, _, stats in self._files()))

    def keep_form(self, prefix: str, form: str | None) -> None:
        """Delete the copies of a grid, unless they are of its form; None: there is no grid.

        The note of a form is there before the first copy, and goes after the last one.
        """
        name = digest(prefix)
        folder = Path(self._root, _FORMS)
        note = None if form is None else folder / f"{name}-{digest(form)}"
        with contextlib.suppress(OSError):
            if note is not None and note.exists():
                return
            self._is_ready &= self._folder.exists()  # else it was deleted, and is made anew
            self._make_ready()
            with self._locked():
                others = [each.path for each in _entries(folder) if each.name.startswith(name)]
                if others:
                    self._drop_below(prefix)
                for path in others:
                    Path(path).unlink()
                if note is not None:
                    folder.mkdir(exist_ok=True)
                    note.touch()

    def all_keys(self) -> Iterator[str]:
        """The keys of all copies, as their files say."""
        return (key for key in (key_in(path) for _, path, _ in self._files()) if key)

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
        if self._is_off:
            raise FileNotFoundError(self._root)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._is_memory:
                self._check_owner()
            (self._folder / "lock").open("ab").close()
        except OSError as error:
            # no error: a run that has gone for hours on many machines does not end for a cache
            self._is_off = True
            warnings.warn(
                f"no copies are kept in {self._root!r}, which cannot be made or used: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            raise
        with self._locked():
            used = self._recount()
            self._write_used(used)
            if used > self._budget:
                self._make_room(0)
        self._is_ready = True

    def _check_owner(self) -> None:
        """Raise OSError for a folder that is another user's: values could be forged there."""
        status = self._folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise PermissionError(
                "it belongs to another user, or is a link; have it deleted, or pass shared=False"
            )
        self._folder.chmod(0o700)

    def _put(self, path: Path, head: bytes, data: bytes, when: float) -> None:
        """Write a copy, under the lock to the end: what is about to come, others count."""
        nbytes = len(head) + len(data)
        with self._locked():
            used = self._used()
            if used + nbytes > self._budget:  # beside the old copy, which the new one replaces
                used -= _unlink(path)
            if nbytes <= self._budget < used + nbytes:
                used = self._make_room(nbytes)
            if used + nbytes > self._budget:
                self._write_used(used)
                return
            replaced = path.stat().st_size if path.exists() else 0
            self._write_used(used + nbytes)  # a kill leaves it seeming fuller
            path.parent.mkdir(exist_ok=True)
            part = path.with_name(f"{path.name}{_PART}")
            try:
                with part.open("wb") as file:
                    file.write(head)
                    file.write(data)
                os.utime(part, (when, when))
                part.replace(path)
            except OSError:  # such as a full disk: a part of a file would only keep it full
                part.unlink(missing_ok=True)
                self._write_used(used)
                raise
            self._write_used(used + nbytes - replaced)

    def _drop_below(self, prefix: str) -> None:
        for name, path, _ in list(self._files()):
            key = key_in(path)
            if key.startswith(prefix) or _name(key) != name:  # a damaged one may be any
                path.unlink(missing_ok=True)
        self._write_used(self._recount())

    def _recount(self) -> int:
        """The bytes of all files; parts of killed processes are deleted."""
        total = 0
        for name, path, stats in list(self._files(has_parts=True)):
            if name.endswith(_PART):  # the holder of the lock is at no other's part
                path.unlink(missing_ok=True)
            else:
                total += stats.nbytes
        return total

    def _make_room(self, nbytes: int) -> int:
        """Delete copies until so many bytes fit: the bytes that are left."""
        used = self._recount()
        if used + nbytes > self._budget:
            has_names = self._policy.should_keep is not None
            files = {}
            for name, path, stats in self._files():
                stats.pins = self._pinned.get(name, 0)
                files[(key_in(path) if has_names else "") or name] = path, stats
            excess = used + nbytes - int(self._budget * self._policy.watermark)
            copies = ((key, stats) for key, (_, stats) in files.items())
            for key in self._policy.victims(copies, excess, self._policy.clock()):
                path, stats = files[key]
                path.unlink(missing_ok=True)
                used -= stats.nbytes
                self._count(evictions=1)
        self._write_used(used)
        return used

    def _files(self, *, has_parts: bool = False) -> Iterator[tuple[str, Path, CopyStats]]:
        """The copies, and maybe the parts of such; what others put here is none of ours."""
        for folder in _entries(self._folder):
            if not _IS_FOLDER.fullmatch(folder.name):
                continue
            for entry in _entries(Path(folder.path)):
                name = entry.name.removesuffix(_PART) if has_parts else entry.name
                if _IS_COPY.fullmatch(name) and name.startswith(folder.name):
                    with contextlib.suppress(OSError):
                        status = entry.stat()
                        stats = CopyStats(status.st_size, status.st_mtime)
                        yield entry.name, Path(entry.path), stats

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes and threads from counting; a killed one leaves no lock."""
        with (self._folder / "lock").open("ab") as file:
            # a lock of each opening: threads of one process exclude each other, too
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                # to close it is not enough: a process that was forked meanwhile has it open, too
                fcntl.flock(file, fcntl.LOCK_UN)

    def _used(self) -> int:
        try:
            used, crc = _USED.unpack_from((self._folder / "used").read_bytes())
        except (OSError, struct.error):  # torn, or not there yet
            return self._recount()
        return int(used) if crc == _used_checksum(used) else self._recount()

    def _write_used(self, nbytes: int) -> None:
        # in place: to truncate a file makes ext4 flush it, which took 3 ms
        number = os.open(f"{self._root}/used", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            nbytes = max(0, nbytes)
            os.pwrite(number, _USED.pack(nbytes, _used_checksum(nbytes)), 0)
        finally:
            os.close(number)

    def _count(self, hits: int = 0, misses: int = 0, evictions: int = 0, damaged: int = 0) -> None:
        with self._lock:
            self._counts.hits += hits
            self._counts.misses += misses
            self._counts.evictions += evictions
            self._counts.damaged += damaged


def _name(key: str) -> str:
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest() + ".copy"


def _used_checksum(nbytes: int) -> int:
    return int(google_crc32c.value(nbytes.to_bytes(8, "little")))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder, in order; none where it is no folder."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


def _unlink(path: Path) -> int:
    """Delete a file: the bytes that it had."""
    try:
        size = path.stat().st_size
        path.unlink()
    except OSError:
        return 0
    return size
