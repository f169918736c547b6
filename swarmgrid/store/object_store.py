"""Whole objects in an object store, where a writer that was overtaken cannot replace any.

An object store has no rename that could fence a writer off, but it can replace an object on
condition. A new object is created; an existing one is replaced only if it still is what it was
*before* the writer checked that the grid is still its own. A process that takes the grid over and
writes has either changed the object since, or the check comes after the takeover.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swarmgrid.errors import LeaseLostError, StoreError
from swarmgrid.store.blobs import ZarrBlobs
from swarmgrid.store.bounded import innermost, is_obstore
from swarmgrid.store.layout import LOCKS
from swarmgrid.store.lease_record import highest_record

if TYPE_CHECKING:
    from zarr.abc.store import Store

_TRIES = 10


def is_object_store(store: Any) -> bool:
    """Whether a Zarr store is obstore's itself: wrappers do not pass conditions on."""
    return innermost(store) is store and is_obstore(store)


class FencedBlobs(ZarrBlobs):
    """The objects of a ``zarr.storage.ObjectStore``, as the holder of a lease writes them.

    Parameters
    ----------
    store : zarr.storage.ObjectStore
        The store.
    name : str
        The name of the store in errors.
    group, writer : str
        The grid, and the name in the lease that this writer holds.
    prefix : str
        See `ZarrBlobs`.
    """

    def __init__(self, store: Store, name: str, group: str, writer: str, prefix: str = "") -> None:
        super().__init__(store, name, prefix=prefix)
        self._group = group
        self._writer = writer

    def put(self, key: str, data: bytes) -> None:
        # these are what conditions go by; each has one writer
        if key.startswith(f"{LOCKS}/"):
            super().put(key, data)
            return
        for _ in range(_TRIES):
            if self._put_if(key, data, "create"):
                return
            # before the look at the lease: a successor shows there, or else changes the tag after
            # this
            tag = self._tag(key)
            if tag is None:
                continue  # deleted since
            self._check_lease()
            if self._put_if(key, data, {"e_tag": tag}):
                return
        raise StoreError(f"store {self._name}: {key} kept changing while it was written")

    def _put_if(self, key: str, data: bytes, mode: Any) -> bool:
        """Write on a condition; whether it held."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

        try:
            whole = self._prefix + key
            obstore.put(self._store.store, whole, data, mode=mode)  # type: ignore[attr-defined]
        except (AlreadyExistsError, PreconditionError):
            return False
        except BaseError as error:
            raise self._failed(error) from error
        return True

    def _tag(self, key: str) -> str | None:
        """The object's entity tag; None where there is no object."""
        import obstore
        from obstore.exceptions import BaseError

        try:
            whole = self._prefix + key
            return str(obstore.head(self._store.store, whole)["e_tag"])  # type: ignore[attr-defined]
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise self._failed(error) from error

    def _check_lease(self) -> None:
        _, record = highest_record(self, self._group)
        if record is not None and record.writer != self._writer:
            raise LeaseLostError(
                f"process {record.pid} on {record.host} has taken over grid {self._group}. "
                "What was committed is kept; call compute again"
            )
