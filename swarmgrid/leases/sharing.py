"""Tries out whether other processes see what this one writes to a store."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

import cloudpickle

from swarmgrid.store.known import Known
from swarmgrid.store.layout import LOCKS, PROBE
from swarmgrid.store.lease_record import LeaseRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarmgrid.store.location import Location

_known: Known[bool] = Known()


def try_sharing(location: Location) -> bool:
    """Try whether a copy of the store that travelled sees what is written here afterwards.

    Of a store object that is tried once: a small object is written under ``locks/``, and deleted.
    A store that holds its objects itself takes them along when it is pickled, so the object is
    written after that. True may still be wrong for another process: see `is_visible`.
    """
    if location.store is None:
        # each process opens a path or a URL itself; workers of a cluster look for a probe, too
        return not location.url.startswith("memory://")
    found = _known.get(location)
    if found is None:
        found = _is_seen_by_a_copy(location)
        _known.put(location, found)
    return found


@contextlib.contextmanager
def probe(location: Location, key: str) -> Iterator[None]:
    """Keep an object in the store by which other processes find out that they see it."""
    blobs = location.open()
    blobs.begin_writing()
    try:
        blobs.put(key, LeaseRecord.of_this_process(0).to_bytes())  # says whose it was
        yield
    finally:
        with contextlib.suppress(Exception):  # the store is gone; `repair` removes what is left
            blobs.delete(key)
            blobs.end_writing()


def new_probe() -> str:
    """The key of a probe."""
    return f"{LOCKS}/{PROBE}{secrets.token_hex(8)}"


def is_visible(location: Location, key: str) -> bool:
    """Whether this process sees an object that another one has written."""
    return location.open().get(key, 0) is not None


def _is_seen_by_a_copy(location: Location) -> bool:
    try:
        # packed before the probe is written: what travels with the object would prove nothing
        packed = cloudpickle.dumps(location)
    except Exception:  # noqa: BLE001  # any class may raise anything
        return False
    key = new_probe()
    with probe(location, key):
        try:
            return is_visible(cloudpickle.loads(packed), key)
        except Exception:  # noqa: BLE001
            return False
