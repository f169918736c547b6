"""A Zarr store in one LMDB folder."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, StoreError, brief
from swarmgrid.quantities import check_flags
from swarmgrid.stores.extras import importing_for
from swarmgrid.stores.file_systems import check_is_local
from swarmgrid.stores.key_value import Condition, KeyValueStore
from swarmgrid.stores.schemes import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PAGE = 1000
_MAX_KEY = 511
_READERS = 1024


class LMDB(KeyValueStore):
    """A Zarr store in one folder: an LMDB environment, each object under its key.

    A write is on the disk when it returns: it survives a loss of power. Processes of one machine
    share the folder; on a network file system it is refused. Needs the extra ``lmdb``.

    Parameters
    ----------
    path : str or path
        The folder, or its URL. It is made at the first write.
    map_size : int
        The most bytes of the environment. It takes no room before it is filled.
    sync : bool
        Whether a write waits for the disk; without, a loss of power may damage the environment.
    read_only : bool
        Whether the store refuses to be written.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import swarmgrid, zarr
    >>> store = swarmgrid.stores.LMDB(os.path.join(tempfile.mkdtemp(), "a.lmdb"))
    >>> zarr.create_array(store, data=np.arange(3))[:].tolist()
    [0, 1, 2]
    """

    __module__ = "swarmgrid.stores"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        map_size: int = 2**38,
        sync: bool = True,
        read_only: bool = False,
    ) -> None:
        with importing_for("LMDB", "lmdb"):
            import lmdb  # noqa: F401
        if isinstance(map_size, bool) or not isinstance(map_size, int) or map_size < 1:
            raise InputError(f"map_size is {brief(map_size)}; expected a number of bytes")
        check_flags(sync=sync)
        self._path = path_of(path, "lmdb")
        self._map_size, self._sync = map_size, sync
        settings = {"path": self._path, "map_size": map_size, "sync": sync}
        super().__init__(settings, read_only=read_only)
        self._environment: _Environment | None = None

    def __str__(self) -> str:
        return f"lmdb:///{self._path}"

    def read_many(
        self, keys: Sequence[str], start: int = 0, stop: int | None = None
    ) -> list[bytes | None]:
        environment = self._get_environment(create=False)
        if environment is None:
            return [None] * len(keys)
        with environment.reading() as transaction:
            found = [
                transaction.get(key) if 0 < len(key) <= _MAX_KEY else None
                for key in map(str.encode, keys)
            ]
            # copied before the transaction ends: what it found are views of the map
            return [None if value is None else bytes(value[start:stop]) for value in found]

    def write_if(self, key: str, data: bytes | None, condition: Condition | None = None) -> bool:
        import lmdb

        self._check_writable()
        name = key.encode()
        if not 0 < len(name) <= _MAX_KEY:
            raise StoreError(
                f"the key {key[:60]!r} has {len(name)} bytes; LMDB takes 1 to {_MAX_KEY}. Give "
                "the function or the output a shorter name, or use another store"
            )
        environment = self._get_environment(create=True)
        assert environment is not None
        try:
            return environment.write_if(name, data, condition)
        except lmdb.MapFullError:
            # a process that was killed while it read keeps all that was replaced since
            if environment.environment.reader_check():
                with contextlib.suppress(lmdb.MapFullError):
                    return environment.write_if(name, data, condition)
            size = environment.environment.info()["map_size"]
            raise StoreError(
                f"store {self} is full: it has {size} bytes. What was committed is kept; open it "
                f"in a new process with a larger map, storage_options={{'map_size': {4 * size}}}"
            ) from None

    def keys(self, first: str, end: str) -> Iterator[str]:
        start, stop, n = first.encode(), end.encode(), 16
        environment = self._get_environment(create=False)
        while environment is not None:
            page: list[bytes] = []
            # short transactions: while one is open, no space of what was replaced is used again
            with environment.reading() as transaction, transaction.cursor() as cursor:
                if cursor.set_range(start):
                    for name in cursor.iternext(keys=True, values=False):
                        if bytes(name) >= stop or len(page) == n:
                            break
                        page.append(bytes(name))
            yield from map(bytes.decode, page)
            if len(page) < n:
                return
            start, n = page[-1] + b"\0", _PAGE

    def close(self) -> None:
        self._environment = None  # it closes with the last store that uses it
        super().close()

    def _get_environment(self, *, create: bool) -> _Environment | None:
        """The environment, open in this process; None where there is none and none is made."""
        file = _file_at(self._path)
        if file is None and not create:
            return None
        mine = self._environment
        if mine is None or mine.file != file or mine.pid != os.getpid():
            mine = self._environment = _shared(self)
        return mine

    def open_environment(self) -> Any:
        """Open the environment; a process may do that once."""
        import lmdb

        check_is_local(self._path, "LMDB")
        if os.path.exists(self._path) and not os.path.isdir(self._path):
            raise StoreError(f"{self._path} is a file; expected a folder, or a new path")
        is_writable = not os.path.exists(self._path) or os.access(self._path, os.W_OK)
        if is_writable:
            os.makedirs(self._path, exist_ok=True)
        lock = f"{self._path}/lock.mdb"
        try:
            environment = lmdb.open(
                self._path,
                map_size=self._map_size,
                max_readers=_READERS,
                sync=self._sync,
                metasync=self._sync,
                readonly=not is_writable,
                # what cannot be written cannot be locked either: of a grid, checksums tell
                lock=is_writable or os.access(lock, os.W_OK),
                # one that is kept has a reader's place, which a forked process would give away
                max_spare_txns=0,
            )
        except (lmdb.MemoryError, OverflowError) as error:
            raise StoreError(
                f"store {self} cannot be mapped with map_size={self._map_size}: {error}. Pass "
                "less as storage_options={'map_size': ...}, at least what the store is to hold"
            ) from error
        # processes that were killed leave their places, and keep what they read from being reused
        environment.reader_check()
        return environment

    @property
    def path(self) -> str:
        """The folder."""
        return self._path


class _Environment:
    """An environment that is open in this process, once, for all stores of its folder."""

    def __init__(self, environment: Any, file: tuple[int, int] | None) -> None:
        self.environment = environment
        self.file = file
        self.pid = os.getpid()

    def begin(self, *, write: bool = False) -> Any:
        """Begin a transaction; its values are views into the file."""
        import lmdb

        try:
            return self.environment.begin(write=write, buffers=True)
        except lmdb.MapResizedError:  # another process opened it with a larger map, and filled it
            self.environment.set_mapsize(0)
        except lmdb.ReadersFullError:  # of processes that were killed since this one opened it
            self.environment.reader_check()
        return self.environment.begin(write=write, buffers=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Any]:
        """A transaction that reads; no process is forked before its end."""
        with _reads, self.begin() as transaction:
            yield transaction

    def write_if(self, name: bytes, data: bytes | None, condition: Condition | None) -> bool:
        """Write an object, or delete it, in one transaction; whether the condition held."""
        with self.begin(write=True) as transaction:
            if condition is not None:
                found = transaction.get(condition.key.encode())
                if not condition.holds(None if found is None else bytes(found)):
                    return False
            if data is None:
                transaction.delete(name)
            else:
                transaction.put(name, data)
        return True


_environments: weakref.WeakValueDictionary[tuple[int, int], _Environment] = (
    weakref.WeakValueDictionary()
)
_lock = threading.Lock()
_reads = threading.RLock()
"""Held in each reading, which is short: to close what a forked process inherits ends the readings
of its parent as well, and what they read could then be overwritten."""


def _shared(store: LMDB) -> _Environment:
    with _lock:
        file = _file_at(store.path)
        found = None if file is None else _environments.get(file)
        if found is None:
            environment = store.open_environment()
            file = _file_at(store.path)
            found = _Environment(environment, file)
            if file is not None:
                _environments[file] = found
        return found


def _file_at(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(f"{path}/data.mdb")
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def _after_fork() -> None:
    """Close what was inherited: LMDB forbids its use, and a second opening beside it."""
    global _lock, _reads  # the old ones may be held by a thread that is not here
    _lock, _reads = threading.Lock(), threading.RLock()
    for found in list(_environments.values()):
        found.environment.close()
    _environments.clear()


def _before_fork() -> None:
    _reads.acquire()


def _after_fork_in_parent() -> None:
    _reads.release()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork
)


def open_url(url: str, **options: Any) -> LMDB:
    """Open the store of an ``lmdb:///`` URL."""
    return LMDB(url, **options)
