"""Reading and writing whole objects in any Zarr store, synchronously.

Everything that swarmgrid keeps, manifest and leases included, goes through these six calls, so
every store that Zarr can use can hold a grid.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from swarmgrid.errors import StoreError
from swarmgrid.store import fsspec_files
from swarmgrid.store.bounded import (
    TooLargeError,
    bounded_get,
    innermost,
    is_folder,
    is_fsspec,
)
from swarmgrid.store.refusals import FROZEN, FrozenError, meaning

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence

    from zarr.abc.store import Store

T = TypeVar("T")

CONCURRENT_REQUESTS = 32
"""Requests in flight at once: enough to hide a remote store's latency."""
MAX_OBJECT = 2**31 + 2**25
"""The most bytes of any object: a chunk of `MAX_NBYTES` that could not be compressed."""
UNREADABLE = b""
"""The bytes read of a thing that is no object: a fifo, a device, a file above the limit. None
of our objects is empty, so that every reader takes it for a damaged one."""


class Blobs(Protocol):
    """Whole objects by key; every write is atomic: a reader sees the old bytes or the new."""

    max_nbytes: int
    """The most bytes of an object."""

    @property
    def is_create_atomic(self) -> bool:
        """Whether the store promises that `create` is exclusive among processes."""
        ...

    def get(self, key: str, limit: int = MAX_OBJECT) -> bytes | None:
        """The object's bytes; None where there is none.

        `UNREADABLE` where it has more than ``limit`` bytes, or is no regular file.
        """

    def get_many(self, keys: Sequence[str], limit: int = MAX_OBJECT) -> list[bytes | None]:
        """Several objects, each as `get` reads it; concurrently where that helps."""

    def put(self, key: str, data: bytes) -> None:
        """Write an object, replacing what was there."""

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless there is one; whether *this* call wrote it.

        ``data`` must differ from what any other writer would write under the key.
        """

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""

    def names(self, prefix: str) -> list[str]:
        """The objects and folders directly in a folder, ``prefix`` with its slash; sorted."""

    def begin_writing(self) -> None:
        """Make ready what this writer needs; a store that can fences writers from now on."""

    def end_writing(self) -> None:
        """Tidy up after this writer."""

    def fence_others(self) -> None:
        """End every other writer of the same group of writers, where the store can do that."""


@contextlib.contextmanager
def writing(blobs: Blobs) -> Iterator[None]:
    """Make ready what a writer without a lease needs, and tidy up however the block ends."""
    blobs.begin_writing()
    try:
        yield
    finally:
        blobs.end_writing()


class ZarrBlobs:
    """The objects of a ``zarr.abc.store.Store``, through zarr's own event loop.

    Parameters
    ----------
    store : zarr.abc.store.Store
        The store.
    name : str
        The name of the store in errors.
    files : Blobs, optional
        The same objects as files, to read them from: zarr's own reading of a directory waits
        for ever at a fifo.
    prefix : str
        The folder of the Zarr store in which all of them lie, with its slash.
    """

    max_nbytes = MAX_OBJECT

    def __init__(
        self, store: Store, name: str = "", files: Blobs | None = None, prefix: str = ""
    ) -> None:
        self._store = store
        self._name = name or str(store)
        self._files = files
        self._prefix = prefix

    @property
    def is_create_atomic(self) -> bool:
        """Zarr's default looks first and writes then, which two processes can both do."""
        from zarr.abc.store import Store

        is_zarrs = type(innermost(self._store)).set_if_not_exists is Store.set_if_not_exists
        return not is_zarrs or fsspec_files.creates_exclusively(self._store)

    def get(self, key: str, limit: int = MAX_OBJECT) -> bytes | None:
        return self.get_many([key], limit)[0]

    def get_many(self, keys: Sequence[str], limit: int = MAX_OBJECT) -> list[bytes | None]:
        if self._files is not None:
            return self._files.get_many(keys, limit)

        import asyncio  # 30 ms, which a directory does not need

        async def read_all() -> list[bytes | None]:
            gate = asyncio.Semaphore(CONCURRENT_REQUESTS)

            async def read(key: str) -> bytes | None:
                async with gate:
                    try:
                        buffer = await bounded_get(self._store, key, self._prototype(), limit)
                    except TooLargeError:
                        return UNREADABLE
                    except FileNotFoundError:  # a read-only store that is not there yet
                        return None
                return None if buffer is None else buffer.to_bytes()

            return list(await asyncio.gather(*(read(self._prefix + key) for key in keys)))

        return self._wait(read_all())

    def put(self, key: str, data: bytes) -> None:
        self._wait(self._store.set(self._prefix + key, self._buffer(data)))

    def create(self, key: str, data: bytes) -> bool:
        whole = self._prefix + key
        if fsspec_files.creates_exclusively(self._store):
            self._wait(fsspec_files.create(self._store, whole, data))
        else:
            self._wait(self._store.set_if_not_exists(whole, self._buffer(data)))
        return self.get(key, len(data)) == data  # the call itself does not tell which writer won

    def delete(self, key: str) -> None:
        whole = self._prefix + key
        if not is_folder(self._store, whole):  # zarr would delete it with all that is in it
            self._wait(self._store.delete(whole))

    def names(self, prefix: str) -> list[str]:
        prefix = self._prefix + prefix

        async def read() -> list[str]:
            try:
                if is_fsspec(self._store):
                    return await fsspec_files.names(self._store, prefix)
                fsspec_files.forget_listings(self._store)  # of what it wraps
                return [key async for key in self._store.list_dir(prefix.rstrip("/"))]
            except FileNotFoundError:
                return []
            except ValueError:  # zarr 3.1, at an object that marks the folder itself
                keys = [key async for key in self._store.list_prefix(prefix)]
                inside = (key.removeprefix(prefix) for key in keys if key.startswith(prefix))
                return list({name.partition("/")[0] for name in inside})

        # stores differ in whether a folder ends with a slash, and a name begins with its folder
        return sorted(name.rstrip("/").removeprefix(prefix) for name in self._wait(read()))

    def begin_writing(self) -> None:
        """Nothing: a general store has no staging."""

    def end_writing(self) -> None:
        """Nothing to tidy."""

    def fence_others(self) -> None:
        """Nothing: a general store has no conditional replace; see the manifest's checksums."""

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        from zarr.core.sync import sync  # zarr's own loop: stores are bound to it

        try:
            return sync(coroutine)
        except Exception as error:  # every store has errors of its own
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> StoreError:
        kind = FrozenError if FROZEN.search(str(error)) else StoreError
        return kind(f"store {self._name}: {meaning(error)}")

    @staticmethod
    def _buffer(data: bytes) -> Any:
        from zarr.core.buffer import default_buffer_prototype

        return default_buffer_prototype().buffer.from_bytes(data)

    @staticmethod
    def _prototype() -> Any:
        from zarr.core.buffer import default_buffer_prototype

        return default_buffer_prototype()
