"""What every kind of store promises of its objects."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from swarmgrid.store.blobs import CONCURRENT_REQUESTS, Blobs
from swarmgrid.store.location import Location

DATA = {"nothing": b"", "text": b"text", "every byte": bytes(range(256)), "1 MiB": b"x" * 2**20}


class TestBlobs:
    def test_a_key_without_an_object_has_no_bytes(self, blobs: Blobs) -> None:
        assert blobs.get("a/b") is None
        blobs.put("a/b/c", b"1")
        assert blobs.get("a/b") is None
        assert blobs.get("a/b/c/d") is None

    @pytest.mark.parametrize("data", DATA.values(), ids=DATA)
    def test_an_object_is_read_as_it_was_written(self, blobs: Blobs, data: bytes) -> None:
        data = data[: blobs.max_nbytes]
        blobs.put("a/b", data)
        assert blobs.get("a/b") == data

    def test_a_second_put_replaces_the_object(self, blobs: Blobs) -> None:
        blobs.put("a/b", b"a long one")
        blobs.put("a/b", b"short")
        assert blobs.get("a/b") == b"short"

    def test_many_objects_come_in_the_order_asked_for(self, blobs: Blobs) -> None:
        keys = [f"m/{i}" for i in range(CONCURRENT_REQUESTS + 5)]
        for i, key in enumerate(keys[::2]):
            blobs.put(key, b"%d" % i)
        expected = [None if i % 2 else b"%d" % (i // 2) for i in range(len(keys))]
        assert blobs.get_many(keys[::-1]) == expected[::-1]
        assert blobs.get_many([]) == []

    def test_create_writes_where_nothing_is(self, blobs: Blobs) -> None:
        assert blobs.create("a/b", b"first")
        assert blobs.get("a/b") == b"first"

    def test_create_leaves_what_is_there(self, blobs: Blobs) -> None:
        blobs.put("a/b", b"first")
        assert not blobs.create("a/b", b"second")
        assert blobs.get("a/b") == b"first"

    def test_create_writes_again_after_a_delete(self, blobs: Blobs) -> None:
        blobs.put("a/b", b"first")
        blobs.delete("a/b")
        assert blobs.create("a/b", b"second")

    def test_one_of_several_threads_creates(self, location: Location) -> None:
        barrier = threading.Barrier(4)

        def create(i: int) -> bool:
            own = location.open()
            own.begin_writing()
            barrier.wait()
            return own.create("locks/race", b"%d" % i)

        with ThreadPoolExecutor(4) as pool:
            won = list(pool.map(create, range(4)))
        assert won.count(True) == 1
        assert location.open().get("locks/race") == b"%d" % won.index(True)

    def test_a_deleted_object_is_gone(self, blobs: Blobs) -> None:
        blobs.put("a/b", b"1")
        blobs.delete("a/b")
        assert blobs.get("a/b") is None
        assert blobs.names("a/") == []

    def test_deleting_nothing_is_no_error(self, blobs: Blobs) -> None:
        blobs.delete("no/such/key")
        blobs.put("a/b", b"1")
        blobs.delete("a/c")
        assert blobs.get("a/b") == b"1"

    def test_names_are_those_directly_in_the_folder(self, blobs: Blobs) -> None:
        for key in ("m/b.seg", "m/a.seg", "m/deep/c.seg", "mm/d.seg", "e.seg"):
            blobs.put(key, b"1")
        assert blobs.names("m/") == ["a.seg", "b.seg", "deep"]
        assert blobs.names("m/deep/") == ["c.seg"]
        assert blobs.names("nothing/") == []
        assert blobs.names("e.seg/") == []

    def test_a_reader_sees_the_old_object_or_the_new_one(self, location: Location) -> None:
        whole = [bytes([i]) * 100_000 for i in range(2)]
        writer = location.open()
        writer.begin_writing()
        writer.put("a/b", whole[0])
        seen: list[bytes | None] = []
        done = threading.Event()

        def read() -> None:
            reader = location.open()
            while not done.is_set():
                seen.append(reader.get("a/b"))

        thread = threading.Thread(target=read)
        thread.start()
        for data in itertools.islice(itertools.cycle(whole), 30):
            writer.put("a/b", data)
        done.set()
        thread.join()
        assert seen
        assert set(seen) <= set(whole)

    def test_ending_and_beginning_leave_the_objects_alone(self, blobs: Blobs) -> None:
        blobs.put("a/b", b"1")
        blobs.end_writing()
        blobs.end_writing()
        blobs.begin_writing()
        blobs.begin_writing()
        blobs.put("a/c", b"2")
        assert blobs.get_many(["a/b", "a/c"]) == [b"1", b"2"]
