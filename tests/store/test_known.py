"""Facts about stores: kept by what the store is, not by what it is called or where it lay."""

from __future__ import annotations

import gc

from zarr.storage import MemoryStore

from swarmgrid.store.known import Known
from swarmgrid.store.location import Location, to_location


def test_a_fact_is_of_one_store_object_and_ends_with_it() -> None:
    known: Known[str] = Known()
    store = MemoryStore()
    location = Location("same name", store=store)
    known.put(location, "one")
    assert known.get(location) == "one"
    assert known.get(Location("other name", store=store)) == "one"
    assert known.get(Location("same name", store=MemoryStore())) is None
    del location, store
    gc.collect()
    for _ in range(100):  # some of them lie where the first one did
        assert known.get(Location("same name", store=MemoryStore())) is None


def test_a_url_with_other_options_is_another_store() -> None:
    known: Known[str] = Known()
    known.put(to_location("s3://bucket", {"endpoint": "a"}), "one")
    assert known.get(to_location("s3://bucket", {"endpoint": "a"})) == "one"
    assert known.get(to_location("s3://bucket", {"endpoint": "b"})) is None


def test_a_store_that_cannot_be_referred_to_weakly_is_tried_every_time() -> None:
    class Slotted:
        __slots__ = ()

    known: Known[str] = Known()
    known.put(location := Location("slotted", store=Slotted()), "one")
    assert known.get(location) is None
