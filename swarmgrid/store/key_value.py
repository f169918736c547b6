"""Whole objects in a key-value store: read and written without zarr's event loop, and fenced.

A writer with a lease has an object of its own, ``locks/staging/<grid>-<writer>``, and makes each
of its writes on one condition: that this object is there at that instant. The store checks and
writes in one step. A successor deletes the object before it reads anything, so no write of a
process that was overtaken completes after that, as in a directory, whose folder it renames away.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import LeaseLostError, StoreError, SwarmgridError
from swarmgrid.store.blobs import MAX_OBJECT, UNREADABLE
from swarmgrid.store.directory import STAGING
from swarmgrid.store.lease_record import LeaseRecord
from swarmgrid.store.refusals import meaning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swarmgrid.stores.key_value import KeyValueStore


def is_key_value_store(store: Any) -> bool:
    """Whether a Zarr store has the three methods of one; wrappers do not pass conditions on."""
    return hasattr(type(store), "write_if") and hasattr(type(store), "read_many")


class KeyValueBlobs:
    """The objects of a `swarmgrid.stores.KeyValueStore`.

    Parameters
    ----------
    store : KeyValueStore
        The store.
    name : str
        The name of the store in errors.
    group, writer : str
        The grid, and the name of the writer in its lease. None: it needs no lease.
    prefix : str
        The folder of the store in which all objects lie, with its slash.
    """

    is_create_atomic = True

    def __init__(
        self,
        store: KeyValueStore,
        name: str,
        group: str,
        writer: str | None,
        prefix: str = "",
    ) -> None:
        self._store = store
        self._name = name
        self.max_nbytes = MAX_OBJECT if store.max_nbytes is None else store.max_nbytes
        self._group = group
        self._prefix = prefix
        self._own = "" if writer is None else f"{prefix}{STAGING}/{group}-{writer}"

    def get(self, key: str, limit: int = MAX_OBJECT) -> bytes | None:
        return self.get_many([key], limit)[0]

    def get_many(self, keys: Sequence[str], limit: int = MAX_OBJECT) -> list[bytes | None]:
        with self._told():
            # one byte more than the limit says that it is exceeded
            whole = [self._prefix + key for key in keys]
            found = self._store.read_many(whole, 0, limit + 1) if keys else []
        return [UNREADABLE if data and len(data) > limit else data for data in found]

    def put(self, key: str, data: bytes) -> None:
        self._write(key, data)

    def create(self, key: str, data: bytes) -> bool:
        from swarmgrid.stores.key_value import Condition

        whole = self._prefix + key
        # absence of the key is the one condition that a write may have, so that this one has no
        # fence; leases and probes, which are created, need none (decision 0027)
        is_new = self._write_if(whole, data, Condition(whole, None))
        # a client that lost the answer asked again, and was told that the object is there
        return is_new or self.get(key, len(data)) == data

    def delete(self, key: str) -> None:
        self._write(key, None)

    def names(self, prefix: str) -> list[str]:
        with self._told():
            return self._store.names(self._prefix + prefix)

    def begin_writing(self) -> None:
        if self._own:
            # while this object is there, writes of this owner hold: see `_write`
            self._write_if(self._own, LeaseRecord.of_this_process(0).to_bytes())

    def end_writing(self) -> None:
        if self._own:
            self._write_if(self._own, None)

    def fence_others(self) -> None:
        for name in self.names(f"{STAGING}/"):
            key = f"{STAGING}/{name}"
            if name.startswith(f"{self._group}-") and self._prefix + key != self._own:
                # from here on the condition of every write of that owner fails in the store
                self._write(key, None)

    def _write(self, key: str, data: bytes | None) -> None:
        from swarmgrid.stores.key_value import Condition

        condition = Condition(self._own) if self._own else None
        if not self._write_if(self._prefix + key, data, condition):
            raise self._lost()

    def _write_if(self, key: str, data: bytes | None, condition: Any = None) -> bool:
        if self._store.read_only:  # a third party's class may leave that to its caller
            raise StoreError(f"store {self._name} cannot be written: it was opened read-only")
        with self._told():
            return self._store.write_if(key, data, condition)

    def _lost(self) -> LeaseLostError:
        return LeaseLostError(
            f"another process has taken over grid {self._group}, or its lease was deleted. What "
            "was committed is kept; call compute again"
        )

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Raise errors of the store, of which each has its own, as StoreErrors."""
        try:
            yield
        except SwarmgridError:
            raise
        except Exception as error:
            raise StoreError(f"store {self._name}: {meaning(error)}") from error
