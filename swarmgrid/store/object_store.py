"""Whole objects in an object store, where a writer that was overtaken cannot replace any.

An object store has no rename that could fence a writer off, but it can replace an object on
condition. A new object is created; an existing one is replaced only if it still is what it was
*before* the writer checked that the grid is still its own. A process that takes the grid over and
writes has either changed the object since, or the check comes after the takeover.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, LeaseLostError, StoreError, brief
from swarmgrid.store.blobs import ZarrBlobs
from swarmgrid.store.bounded import innermost, is_obstore
from swarmgrid.store.layout import LOCKS
from swarmgrid.store.lease_record import highest_record
from swarmgrid.stores.schemes import CLOUD

if TYPE_CHECKING:
    from zarr.abc.store import Store

_TRIES = 10


def is_object_store(store: Any) -> bool:
    """Whether a Zarr store is obstore's itself: wrappers do not pass conditions on."""
    return innermost(store) is store and is_obstore(store)


def check_storage_class(name: object, url: str) -> None:
    """Raise InputError where objects of a store of some URL cannot have a storage class."""
    if not isinstance(name, str) or not name.isprintable() or not name.strip():
        raise InputError(
            f"storage_class is {brief(name)}; expected a name of the server's, such as "
            "'DEEP_ARCHIVE' of S3"
        )
    if not is_url_of_object_store(url):
        raise InputError(
            f"storage_class is {name!r}, but {url!r} knows no storage classes; expected s3://, "
            "gs:// or az://, or storage_class=None"
        )
    import obstore

    if tuple(map(int, obstore.__version__.split(".")[:2])) < (0, 10):
        raise InputError(
            f"storage_class is {name!r}, which obstore {obstore.__version__} does not pass on; "
            "install obstore>=0.10"
        )


def is_url_of_object_store(url: str) -> bool:
    """Whether a URL is one below which there may be any number of stores."""
    return url.partition("://")[0] in CLOUD and "://" in url


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

    def put(self, key: str, data: bytes, storage_class: str = "") -> None:
        # lease records, by which the conditions of all other writes go; each has one writer
        if key.startswith(f"{LOCKS}/"):
            super().put(key, data)
            return
        attributes = {"Storage-Class": storage_class} if storage_class else None
        for _ in range(_TRIES):
            if self._put_if(key, data, "create", attributes):
                return
            # before the look at the lease: a successor shows there, or else changes the object
            # after this
            version = self._version(key)
            if version is None:
                continue  # deleted since
            self._check_lease()
            if self._put_if(key, data, version, attributes):
                return
        raise StoreError(f"store {self._name}: {key} kept changing while it was written")

    # `delete` has no condition, as obstore offers none (decision 0034)
    def nbytes(self, key: str) -> int | None:
        """The size of an object, also of one that cannot be read yet; None where there is none."""
        found = self._head(key)
        return None if found is None else int(found["size"])

    def _put_if(self, key: str, data: bytes, mode: Any, attributes: Any) -> bool:
        """Write on a condition; whether it held."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

        try:
            whole = self._prefix + key
            store = self._store.store  # type: ignore[attr-defined]
            obstore.put(store, whole, data, mode=mode, attributes=attributes)
        except (AlreadyExistsError, PreconditionError):
            return False
        except BaseError as error:
            raise self._failed(error) from error
        return True

    def _version(self, key: str) -> dict[str, str] | None:
        """The version by which the object of now is replaced; None where there is none."""
        from swarmgrid.stores.cloud import version_of

        found = self._head(key)
        return None if found is None else version_of(found)

    def _head(self, key: str) -> Any:
        import obstore
        from obstore.exceptions import BaseError

        try:
            whole = self._prefix + key
            return obstore.head(self._store.store, whole)  # type: ignore[attr-defined]
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise self._failed(error) from error

    def _check_lease(self) -> None:
        _, record = highest_record(self, self._group)
        # damaged bytes prove nothing: only the name of another writer does
        if record is not None and record.writer != self._writer:
            raise LeaseLostError(
                f"process {record.pid} on {record.host} has taken over grid {self._group}. "
                "What was committed is kept; call compute again"
            )
