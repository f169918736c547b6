"""Reading an object of a Zarr store, unless it is larger than it can be.

Its size is asked for before its bytes are in memory, where that costs no request of its own.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zarr.abc.store import Store
    from zarr.core.buffer import Buffer, BufferPrototype


MAX_EXPANDED, MAX_RATIO = 2**26, 2**10
"""An object that takes ``n`` bytes of a disk or network stands for at most the larger of
``MAX_EXPANDED`` and ``n * MAX_RATIO`` bytes, whether by compression or by holes."""
MIN_HOLES = 2**20
"""Larger files are looked at for holes before they are read."""


class TooLargeError(Exception):
    """An object is larger than the limit, or no regular file."""


def innermost(store: Any) -> Any:
    """The store that zarr's wrapper stores, if any, wrap."""
    while hasattr(store, "_store") and hasattr(store._store, "set_if_not_exists"):  # noqa: SLF001
        store = store._store  # noqa: SLF001  # there is no public way in
    return store


def is_obstore(store: Any) -> bool:
    """Whether a store is zarr's ``ObjectStore``, or one of ours that is: no subclass of others."""
    # by name: the classes would import obstore
    kinds = [kind.__name__ for kind in type(store).__mro__]
    is_own = type(store).__module__ == "swarmgrid.stores"
    return kinds[0] == "ObjectStore" or (is_own and "ObjectStore" in kinds)


def is_fsspec(store: Any) -> bool:
    """Whether a store is zarr's ``FsspecStore``."""
    return type(store).__name__ == "FsspecStore"  # by name: the class would import fsspec


async def bounded_get(
    store: Store, key: str, prototype: BufferPrototype, limit: int
) -> Buffer | None:
    """The object's bytes; None where there is none.

    Raises
    ------
    TooLargeError
        If the object has more than ``limit`` bytes.
    """
    if is_obstore(store):  # the answer's head says the size, before its body is fetched
        return await _from_object_store(store, key, prototype, limit)
    if is_fsspec(store):
        buffer = await _from_fsspec_store(store, key, prototype, limit)
    else:
        _check_before(store, key, limit)
        buffer = await store.get(key, prototype)
    if buffer is not None and len(buffer) > limit:
        raise TooLargeError
    return buffer


async def _from_object_store(
    store: Any, key: str, prototype: BufferPrototype, limit: int
) -> Buffer | None:
    import obstore

    try:
        found = await obstore.get_async(store.store, key)
        if found.meta["size"] > limit:
            raise TooLargeError
        return prototype.buffer.from_bytes(await found.bytes_async())
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None


async def _from_fsspec_store(
    store: Any, key: str, prototype: BufferPrototype, limit: int
) -> Buffer | None:
    from zarr.abc.store import RangeByteRequest

    try:
        # to ask for the size would be one more request: one byte beyond the limit says as much
        found: Buffer | None = await store.get(key, prototype, RangeByteRequest(0, limit + 1))
    except Exception as error:
        # of an object without bytes there is no part; each file system says so in its own class
        if re.search(r"\b416\b|not satisfiable", str(error)):
            return prototype.buffer.from_bytes(b"")
        raise
    return found


def _check_before(store: Store, key: str, limit: int) -> None:
    """Raise TooLargeError where a local store says so without a request."""
    inner = innermost(store)
    kind = type(inner).__name__
    if kind == "ZipStore":
        try:
            nbytes = inner._zf.getinfo(key).file_size  # noqa: SLF001  # `getsize` reads it all
        except KeyError:
            return
        if nbytes > limit:
            raise TooLargeError
    elif kind == "LocalStore":  # zarr's own reading of a fifo waits for ever
        try:
            number = os.open(inner.root / key, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return
        try:
            status = os.fstat(number)
            if not (is_readable(number, status, limit) or stat.S_ISDIR(status.st_mode)):
                raise TooLargeError
        finally:
            os.close(number)


def is_folder(store: Store, key: str) -> bool:
    """Whether a store of files has a folder in an object's place."""
    inner = innermost(store)
    return type(inner).__name__ == "LocalStore" and (inner.root / key).is_dir()


def is_readable(number: int, status: os.stat_result, limit: int) -> bool:
    """Whether an open file is a regular one, of at most ``limit`` bytes, and not mostly holes."""
    if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
        return False
    return status.st_size <= MIN_HOLES or not _is_mostly_holes(number, status.st_size)


def _is_mostly_holes(number: int, nbytes: int) -> bool:
    """Whether a file would take far more memory than it takes of the disk, as none of ours does.

    Even a shard of zeros has an index. A file system that knows no holes says that it has none.
    """
    found = at = 0
    with contextlib.suppress(OSError):  # at the last hole: there are no data after it
        while found < nbytes // MAX_RATIO:
            start = os.lseek(number, at, os.SEEK_DATA)
            at = os.lseek(number, start, os.SEEK_HOLE)
            found += at - start
    # the caller reads it from its beginning
    os.lseek(number, 0, os.SEEK_SET)
    return found < nbytes // MAX_RATIO
