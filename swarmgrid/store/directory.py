"""Whole objects as files of a directory: the bytes and names that zarr's LocalStore has.

A direct write, staged and renamed, costs 40 µs where ``LocalStore`` through zarr's event loop
costs 550. Staging has a second use. A writer stages in a folder of its own; its successor renames
that folder away, and a writer that wakes up late cannot complete a write any more.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import stat
import time
from typing import TYPE_CHECKING

from swarmgrid.errors import LeaseLostError, StoreError
from swarmgrid.store.blobs import MAX_OBJECT, UNREADABLE
from swarmgrid.store.bounded import is_readable
from swarmgrid.store.layout import LOCKS, MANIFEST
from swarmgrid.store.refusals import remedy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

STAGING = f"{LOCKS}/staging"
"""The folder in which files are written before they are renamed into place, one per writer."""
FREE = "free"
"""The group of the writers that need no lease, and that are never fenced."""
FREE_SECONDS = 3600.0
"""A free writer, which writes for moments, has been killed if it was silent for so long."""
_NO_FILE = {errno.ENXIO, errno.ENODEV, errno.ELOOP}
"""The errors of opening a socket, a device without a driver or a circle of links."""
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}

# os.path and open are used here, not pathlib: making a Path costs as much as the system call.


class FileBlobs:
    """The files below ``root``.

    Parameters
    ----------
    root : str
        The store's directory. It is made when something is first written.
    group, writer : str
        Writers of one group fence each other; the staging folder is ``<group>-<writer>``.
    is_durable : bool
        Whether files and folders are flushed to the disk before a write counts as done.
    """

    def __init__(
        self,
        root: str,
        group: str = FREE,
        writer: str | None = None,
        *,
        is_durable: bool = False,
    ) -> None:
        self._root = root
        self._is_durable = is_durable
        self._group = group
        self._is_owner = writer is not None
        self._writer = f"{group}-{writer or os.urandom(8).hex()}"
        self._staging = f"{root}/{STAGING}/{self._writer}"
        self._numbers = itertools.count()  # unlike a generator, threads may share it
        self._known_folders: set[str] = set()

    is_create_atomic = True
    max_nbytes = MAX_OBJECT

    def get(self, key: str, limit: int = MAX_OBJECT) -> bytes | None:
        path = self._path(key)
        try:
            # without O_NONBLOCK, to open a fifo would wait for a process that writes to it
            number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                # of the open file: the one at the path may have been replaced meanwhile
                status = os.fstat(number)
                if stat.S_ISDIR(status.st_mode):
                    return None
                is_object = is_readable(number, status, limit)
                return _read(number, status.st_size) if is_object else UNREADABLE
            finally:
                os.close(number)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno in _NO_FILE:
                return UNREADABLE
            raise self._failed("read", error) from error

    def get_many(self, keys: Sequence[str], limit: int = MAX_OBJECT) -> list[bytes | None]:
        return [self.get(key, limit) for key in keys]

    def put(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with self._staged(data, is_moved=True) as staged:
            self._place(os.replace, staged, path)
        self._show_change(key)

    def create(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        with self._staged(data) as staged:
            try:  # a link fails where the name exists; a rename would replace it
                self._place(os.link, staged, path)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                return _create_in_place(path, data)
            return True

    def delete(self, key: str) -> None:
        path = self._path(key)
        try:
            if self._is_owner:
                self._take_away(path)
            else:
                os.unlink(path)
        except LeaseLostError:
            raise
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        except OSError as error:
            raise self._failed("written", error) from error
        self._show_change(key)

    def names(self, prefix: str) -> list[str]:
        path = self._path(prefix)
        try:
            return sorted(os.listdir(path))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._failed("read", error) from error

    def begin_writing(self) -> None:
        try:
            os.makedirs(self._staging, exist_ok=True)
        except OSError as error:
            raise self._failed("written", error) from error

    def end_writing(self) -> None:
        self._remove_staging(self._writer)

    def fence_others(self) -> None:
        for name in self.names(STAGING):
            # of this grid alone: owners of other grids of the store write meanwhile
            is_other = name.startswith(f"{self._group}-") and name != self._writer
            if is_other or (name.startswith(f"{FREE}-") and self._is_old(name)):
                self._remove_staging(name)

    def _take_away(self, path: str) -> None:
        """Delete a file, unless another process has taken over: an unlink would not see it."""
        if os.path.isdir(path):
            return
        taken = f"{self._staging}/{os.getpid()}-{os.urandom(4).hex()}-{next(self._numbers)}"
        try:
            os.rename(path, taken)
        except FileNotFoundError:
            if not os.path.isdir(self._staging):
                raise self._lost() from None
            raise
        # a successor that comes now removes it with the folder
        with contextlib.suppress(FileNotFoundError):
            os.unlink(taken)

    def _lost(self) -> LeaseLostError:
        return LeaseLostError(
            f"the staging folder {self._staging} is gone: another process has taken over this "
            "grid, or the store was deleted. What was committed is kept; call compute again"
        )

    def _path(self, key: str) -> str:
        """The file of a key; StoreError where that would lie outside of the store.

        A folder in a store that came from elsewhere may be a link to one of the user's own,
        where names would be listed, written and removed. Files that are links are read, as stores
        under git-annex or DVC consist of such; a write replaces the link.
        """
        folder = key.rpartition("/")[0]
        if folder and folder not in self._known_folders:
            self._check_folder(folder)
        return f"{self._root}/{key}"

    def _check_folder(self, folder: str) -> None:
        # each once: a million writes go to few folders, and these lie in even fewer
        above, _, part = folder.rpartition("/")
        if above and above not in self._known_folders:
            self._check_folder(above)
        if part in {"", ".", ".."} or os.path.islink(f"{self._root}/{folder}"):
            raise StoreError(
                f"{folder} in store {self._root} leads out of it ({part!r} is a symbolic "
                "link or no name); expected folders. Put a folder in the link's place"
            )
        self._known_folders.add(folder)

    def _show_change(self, key: str) -> None:
        """Set the time of the root to now, where a key of the manifest was written or deleted.

        ``xr.open_dataset(root, chunks=...)`` names its dask arrays by path and that time: those
        of two states of a grid must not have one name, or dask takes the one for the other.
        """
        if key.startswith(f"{MANIFEST}/"):
            with contextlib.suppress(OSError):  # another user's folder, in which we may write
                os.utime(self._root)

    def _is_old(self, name: str) -> bool:
        """Whether nothing was staged in a folder for so long that its writer is gone."""
        with contextlib.suppress(OSError):
            seconds = time.time() - os.stat(f"{self._root}/{STAGING}/{name}").st_mtime
            return seconds > FREE_SECONDS
        return False

    def _remove_staging(self, name: str) -> None:
        folder = f"{self._root}/{STAGING}/{name}"
        # a folder that is gone already is that of a fence that was killed before it removed it
        gone = folder if ".gone" in name else f"{folder}.gone-{os.urandom(4).hex()}"
        try:
            os.rename(folder, gone)  # atomic: no write through the folder completes after it
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failed("written", error) from error
        shutil.rmtree(gone, ignore_errors=True)

    def _failed(self, what: str, error: OSError) -> StoreError:
        return StoreError(f"store {self._root} cannot be {what}: {error}. {remedy(error)}")

    @contextlib.contextmanager
    def _staged(self, data: bytes, *, is_moved: bool = False) -> Iterator[str]:
        # workers stage in the folder of their run's writer, and each process counts from 0
        path = f"{self._staging}/{os.getpid()}-{os.urandom(4).hex()}-{next(self._numbers)}"
        is_left = True
        try:
            _write(path, data, is_durable=self._is_durable)
            yield path
            is_left = not is_moved
        except FileNotFoundError:
            raise self._lost() from None
        except (FileExistsError, LeaseLostError):
            raise
        except OSError as error:
            raise self._failed("written", error) from error
        finally:
            if is_left:  # by a failure, or as `create` has linked it
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def _place(self, move: Callable[[str, str], None], staged: str, path: str) -> None:
        try:
            move(staged, path)
        except FileNotFoundError:
            if not os.path.exists(staged):  # the staging folder was taken away: see `_staged`
                raise
            # made when a write fails, and not looked for before each one
            os.makedirs(os.path.dirname(path), exist_ok=True)
            move(staged, path)
            self._flush_folders(os.path.dirname(os.path.dirname(path)))
        # a rename survives a loss of power only once its folder is on the disk
        if self._is_durable:
            _flush_folder(os.path.dirname(path))

    def _flush_folders(self, folder: str) -> None:
        """Flush a folder and those above it, in which a new one may have been made."""
        above = os.path.dirname(self._root)
        while self._is_durable and len(folder) >= len(above):
            _flush_folder(folder)
            folder = os.path.dirname(folder)


def _flush_folder(path: str) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(number: int, nbytes: int) -> bytes:
    """The bytes of an open file of a size, by three system calls less than those of `open`."""
    data = os.read(number, nbytes + 1)
    if len(data) == nbytes:  # less than asked for: there is no more
        return data
    parts = [data]
    while data:  # so much that it comes in parts, or of another size by now
        data = os.read(number, 2**24)
        parts.append(data)
    return b"".join(parts)


def _write(path: str, data: bytes, flag: int = os.O_TRUNC, *, is_durable: bool = False) -> None:
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag, 0o666)
    try:
        view = memoryview(data)
        while view:  # a raw write may take less than all, as on a disk that fills up
            view = view[os.write(number, view) :]
        if is_durable:
            os.fsync(number)
    finally:
        os.close(number)


def _create_in_place(path: str, data: bytes) -> bool:
    """Create exclusively on a file system without hard links; a kill may leave it short."""
    try:
        _write(path, data, os.O_EXCL)
    except FileExistsError:
        return False
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(path)  # no reader has seen it whole
        raise
    return True


def remove_empty_folders(root: str, folders: Sequence[str]) -> None:
    """Remove folders that hold nothing but empty folders; others stay."""
    for folder in folders:
        for place, _, _ in os.walk(f"{root}/{folder}", topdown=False):
            with contextlib.suppress(OSError):  # it is not empty
                os.rmdir(place)
