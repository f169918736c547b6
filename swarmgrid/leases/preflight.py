"""Checks that a store can be written at all, before anything is computed for it."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

from swarmgrid.errors import StoreError, SwarmgridError, UnsafeStoreError
from swarmgrid.store import checked_json
from swarmgrid.store.bounded import innermost
from swarmgrid.store.checked_json import check_root_format
from swarmgrid.store.known import Known
from swarmgrid.store.layout import DATA, LOCKS, METADATA, PROBE
from swarmgrid.store.lease_record import LeaseRecord

if TYPE_CHECKING:
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.location import Location

_admitted: Known[bool] = Known()
"""Stores whose conditional create this process has seen to hold."""


def check_writable(location: Location) -> None:
    """Raise StoreError unless the store can be written, safely, in this format.

    Writes and deletes one small object under ``locks/``, once per process and store.

    Raises
    ------
    FormatError
        If the store has a newer format.
    UnsafeStoreError
        If its conditional create does not hold, so that two writers could both get a lease.
    StoreError
        If it cannot be written.
    """
    if location.is_read_only:
        raise StoreError(f"store {location.url!r} cannot be written: it was opened read-only")
    blobs = location.open()
    if not blobs.is_create_atomic:
        raise UnsafeStoreError(_without_create(location))
    # each time: a newer release may have written to the store since it was admitted
    _check_root(blobs)
    if _admitted.get(location):
        return
    try:
        is_exclusive = _try_exclusive_create(blobs)
    except SwarmgridError:
        raise
    except Exception as error:  # every store has errors of its own
        raise StoreError(f"store {location.url!r} cannot be written: {error}") from error
    if not is_exclusive:
        raise UnsafeStoreError(
            f"store {location.url!r} does not keep two writers apart: a create that must fail "
            "where the key exists replaced it. Use a store with conditional writes "
            "(If-None-Match), such as a directory, S3, GCS or Azure itself"
        )
    # success alone is remembered: a store that was refused, or not reached, is tried again
    _admitted.put(location, fact=True)


def _without_create(location: Location) -> str:
    kind = type(innermost(location.zarr_store())).__name__
    return (
        f"store {location.url!r} does not keep two writers apart: its class, {kind}, has no "
        "exclusive create, but looks whether a key exists and writes then, which two processes "
        "can both do. It can be read. To write, pass the URL itself (store='s3://bucket/path'; "
        "gs:// and az:// alike), a directory, or an FsspecStore over gcsfs; a class of your own "
        "needs a set_if_not_exists that is one step"
    )


def _check_root(blobs: Blobs) -> None:
    key = f"{DATA}/{METADATA}"
    data = blobs.get(key, checked_json.MAX_DOCUMENT)
    if data is None:
        return
    try:
        attributes = checked_json.attributes_of(checked_json.from_bytes(data))
    except ValueError:
        return  # nothing that values depend on; `verify` reports it
    check_root_format(attributes, key)


def _try_exclusive_create(blobs: Blobs) -> bool:
    """Create an object twice, and delete it; whether the second create failed."""
    key = f"{LOCKS}/{PROBE}{secrets.token_hex(8)}"
    one, two = (LeaseRecord.of_this_process(0).to_bytes() for _ in range(2))  # says whose it was
    try:
        blobs.begin_writing()
        first = blobs.create(key, one)
        second = blobs.create(key, two)
        # what the store says and what it has done are two things
        return first and not second and blobs.get(key, len(one)) == one
    finally:
        with contextlib.suppress(Exception):
            blobs.delete(key)
            blobs.end_writing()
