"""A Zarr store in one SQLite file."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import weakref
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, brief
from swarmgrid.stores.file_systems import check_is_local
from swarmgrid.stores.key_value import Condition, KeyValueStore
from swarmgrid.stores.per_process import PerProcess
from swarmgrid.stores.schemes import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PAGE = 1000
"""Keys that a listing reads at a time: a reader that stays open keeps the log from ending."""
_MAX_VALUE = 10**9
"""The most bytes of a value, as SQLite is usually built."""
_SCHEMA = "CREATE TABLE IF NOT EXISTS zarr (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL)"


class SQLite(KeyValueStore):
    """A Zarr store in one file: the table ``zarr`` of an SQLite database, in WAL mode.

    A write is on the disk when it returns (``synchronous=FULL``): it survives a loss of power.
    Processes of one machine share the file; on a network file system it is refused.

    Parameters
    ----------
    path : str or path
        The file, or its URL. It is made at the first write; its folder must be there.
    timeout : float
        The most seconds that a write waits for those of others.
    synchronous : str
        ``"FULL"``, or ``"NORMAL"``: a loss of power may undo the last writes, a kill never does.
    read_only : bool
        Whether the store refuses to be written.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import swarmgrid, zarr
    >>> store = swarmgrid.stores.SQLite(os.path.join(tempfile.mkdtemp(), "a.db"))
    >>> zarr.create_array(store, data=np.arange(3))[:].tolist()
    [0, 1, 2]
    """

    __module__ = "swarmgrid.stores"

    max_nbytes = _MAX_VALUE - 2**20

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        timeout: float = 60.0,
        synchronous: str = "FULL",
        read_only: bool = False,
    ) -> None:
        if synchronous not in {"FULL", "NORMAL"}:
            raise InputError(f"synchronous is {brief(synchronous)}; expected 'FULL' or 'NORMAL'")
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout < 0:
            raise InputError(f"timeout is {brief(timeout)}; expected seconds")
        self._path = path_of(path, "sqlite")
        self._timeout = timeout
        self._synchronous = synchronous
        settings = {"path": self._path, "timeout": timeout, "synchronous": synchronous}
        super().__init__(settings, read_only=read_only)
        self._idle: PerProcess[list[_Connection]] = PerProcess(list, _close_all)
        weakref.finalize(self, self._idle.close)

    def __str__(self) -> str:
        return f"sqlite:///{self._path}"

    def read_many(
        self, keys: Sequence[str], start: int = 0, stop: int | None = None
    ) -> list[bytes | None]:
        # SQLite would take the lower 32 bits of larger numbers
        start = max(-_MAX_VALUE, min(start, _MAX_VALUE))
        stop = None if stop is None or stop > _MAX_VALUE else stop
        # the size of a value is in its head: `substr` reads no more than is asked for
        part, length = "value", () if stop is None else (max(0, stop - start),)
        if start or stop is not None:
            part = f"substr(value, ?{', ?' * len(length)})"
            length = (start + (start >= 0), *length)
        query = f"SELECT CAST({part} AS BLOB) FROM zarr WHERE key = ?"  # noqa: S608  # no input in it
        with self._lent() as connection:
            if connection is None:
                return [None] * len(keys)
            rows = [connection.execute(query, (*length, key)).fetchone() for key in keys]
        return [None if row is None else row[0] or b"" for row in rows]  # NULL: a part of nothing

    def write_if(self, key: str, data: bytes | None, condition: Condition | None = None) -> bool:
        self._check_writable()
        if data is None and not os.path.exists(self._path):
            return condition is None or condition.holds(None)
        with self._lent(create=True) as connection, _transaction(connection):
            if condition is not None:
                query = "SELECT value FROM zarr WHERE key = ?"
                row = connection.execute(query, (condition.key,)).fetchone()
                if not condition.holds(None if row is None else row[0]):
                    return False
            if data is None:
                connection.execute("DELETE FROM zarr WHERE key = ?", (key,))
            else:
                connection.execute("INSERT OR REPLACE INTO zarr VALUES (?, ?)", (key, data))
        return True

    def keys(self, first: str, end: str) -> Iterator[str]:
        query = "SELECT key FROM zarr WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
        n = 16  # most folders that are listed have few names
        while True:
            with self._lent() as connection:
                if connection is None:
                    return
                page = [key for (key,) in connection.execute(query, (first, end, n))]
            yield from page
            if len(page) < n:
                return
            # the least key after the last one
            first, n = f"{page[-1]}\0", _PAGE

    def close(self) -> None:
        self._idle.close()
        super().close()

    @contextlib.contextmanager
    def _lent(self, *, create: bool = False) -> Iterator[Any]:
        """A connection that no other thread uses now; None where there is no file."""
        file = _file_at(self._path)
        if file is None and not create:
            yield None
            return
        idle = self._idle.get()
        try:
            connection = idle.pop()
        except IndexError:  # every connection is in use
            connection = self._connect()
        if connection.file != file:  # the file was removed since, and may have been made again
            connection.close()
            connection = self._connect()
        try:
            if create and not connection.is_prepared:
                self._prepare(connection)
            yield connection if connection.look_for_table() else None
        except BaseException:
            connection.close()
            raise
        if connection.is_frozen:  # it would never see a later write
            connection.close()
        else:
            idle.append(connection)

    def _connect(self) -> _Connection:
        check_is_local(self._path, "SQLite")
        mode = "ro" if self.read_only else "rwc"
        folder = os.path.dirname(self._path)
        if not os.path.isdir(folder):
            raise FileNotFoundError(
                f"there is no folder {folder} for the SQLite file {self._path}. Make it, or "
                "correct the path; of a URL, sqlite:///a.db is relative to the current folder, "
                "sqlite:////home/me/a.db is not"
            )
        # a log and shared memory beside the file cannot be made there; none is there, so that all
        # is in the file itself
        is_frozen = not os.access(folder, os.W_OK) and not os.path.exists(f"{self._path}-wal")
        mode = "ro&immutable=1" if is_frozen else mode
        name = self._path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        connection: _Connection = sqlite3.connect(
            f"file:{name}?mode={mode}",
            uri=True,
            timeout=self._timeout,
            # no transactions by Python's own rules: `_transaction` begins and ends them
            isolation_level=None,
            check_same_thread=False,  # the pool sees to it that one thread at a time uses it
            factory=_Connection,
        )
        connection.file, connection.is_frozen = _file_at(self._path), is_frozen
        return connection

    def _prepare(self, connection: _Connection) -> None:
        """Make the table, before the first write through a connection."""
        end = time.monotonic() + self._timeout
        connection.execute(f"PRAGMA synchronous={self._synchronous}")
        while True:
            try:
                if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                    connection.execute("PRAGMA journal_mode=WAL")
                connection.execute(_SCHEMA)
            except sqlite3.OperationalError as error:
                # of several processes that make one file, SQLite lets some fail without waiting
                if "locked" not in str(error) or time.monotonic() > end:
                    raise
                time.sleep(0.01)
            else:
                connection.file, connection.is_prepared = _file_at(self._path), True
                return


class _Connection(sqlite3.Connection):
    """A connection that knows which file it has open, not only where that was."""

    file: tuple[int, int] | None = None
    is_frozen: bool = False
    """Whether it takes the file for one without writers."""
    is_prepared: bool = False
    """Whether it has been made ready to write."""
    is_known: bool = False
    """Whether the table was seen."""

    def look_for_table(self) -> bool:
        """Whether the table is there: a reader makes none in a file that is no store yet."""
        query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'zarr'"
        self.is_known = self.is_known or self.execute(query).fetchone() is not None
        return self.is_known


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")  # waits here; a later upgrade could only fail
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _file_at(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def _close_all(connections: list[_Connection]) -> None:
    for connection in connections:
        connection.close()


def open_url(url: str, **options: Any) -> SQLite:
    """Open the store of an ``sqlite:///`` URL."""
    return SQLite(url, **options)
