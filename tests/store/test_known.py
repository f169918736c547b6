"""Facts about stores: kept by what the store is, not by what it is called or where it lay."""

from __future__ import annotations

import gc

from zarr.storage import MemoryStore

from swarmgrid.store.known import MAX_KEPT, MAX_NBYTES, Known, Understood
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


def test_what_bytes_mean_is_kept_for_the_last_ones_that_are_small() -> None:
    kept: Understood[int] = Understood()
    for i in range(MAX_KEPT + 1):
        kept.put(b"%d" % i, "a", i, 0)
    assert kept.get(b"0", "a") is None
    assert [kept.get(b"%d" % i, "a") for i in range(1, MAX_KEPT + 1)] == [*range(1, MAX_KEPT + 1)]
    assert kept.get(b"1", "b") is None, "the same bytes of something else"
    kept.put(large := bytes(MAX_NBYTES + 1), "a", 1, 0)
    kept.put(b"small", "a", 1, MAX_NBYTES + 1)
    assert kept.get(large, "a") is None is kept.get(b"small", "a")
    kept.clear()
    assert kept.get(b"1", "a") is None


def test_a_result_that_is_kept_again_takes_one_place() -> None:
    kept: Understood[int] = Understood()
    for i in range(2 * MAX_KEPT):
        kept.put(b"first" if i % 2 else b"%d" % i, "a", i, 0)
    assert kept.get(b"first", "a") == 2 * MAX_KEPT - 1
