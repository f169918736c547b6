"""No object is taken into memory that is larger than it can be."""

from __future__ import annotations

import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zarr.abc.store import Store
from zarr.storage import LocalStore, WrapperStore, ZipStore

from swarmgrid.store.blobs import UNREADABLE, ZarrBlobs
from swarmgrid.store.bounded import MAX_RATIO
from swarmgrid.store.directory import FileBlobs
from swarmgrid.store.location import to_location

BIG = 2**26


def peak(call: Callable[[], Any]) -> tuple[Any, int]:
    """The result of a call, and the most memory that it takes.

    The least of three calls: other threads of this process, such as one that still ends a request
    of an earlier test, are counted, too.
    """
    found, peaks = None, []
    for _ in range(3):
        tracemalloc.start()
        try:
            found = call()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return found, min(peaks)


class Wrapped(WrapperStore[LocalStore]):
    """A store that a user has wrapped."""


def a_directory(root: Path) -> Any:
    return FileBlobs(str(root))


def a_wrapped_store(root: Path) -> Any:
    return to_location(Wrapped(LocalStore(root))).open()


@pytest.mark.parametrize("make", [a_directory, a_wrapped_store])
def test_a_large_file_is_not_read(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    (tmp_path / "a").write_bytes(bytes(BIG))
    found, nbytes = peak(lambda: make(tmp_path).get("a", BIG - 1))
    assert found == UNREADABLE
    assert nbytes < BIG / 8


@pytest.mark.parametrize("make", [a_directory, a_wrapped_store])
def test_a_fifo_is_not_waited_for(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    os.mkfifo(tmp_path / "a")
    assert make(tmp_path).get("a") == UNREADABLE


def put_parts(path: Path, nbytes: int, starts: list[int], part: bytes) -> None:
    with path.open("wb") as file:
        file.truncate(nbytes)
        for start in starts:
            file.seek(start)
            file.write(part)


@pytest.mark.parametrize("make", [a_directory, a_wrapped_store])
@pytest.mark.parametrize("starts", [[], [0], [2**25], [BIG - 4096], [0, 2**20, BIG - 4096]])
def test_a_file_of_holes_is_not_read(
    tmp_path: Path, starts: list[int], make: Callable[[Path], Any]
) -> None:
    put_parts(tmp_path / "a", BIG, starts, b"x" * 4096)
    if (tmp_path / "a").stat().st_blocks * 512 > BIG // 2:
        pytest.skip("this file system has no holes")
    found, nbytes = peak(lambda: make(tmp_path).get("a", BIG))
    assert found == UNREADABLE
    assert nbytes < BIG / 8


def test_a_file_with_some_holes_is_read_whole(tmp_path: Path) -> None:
    n, part = 2**24, 4 * 2**24 // MAX_RATIO
    put_parts(tmp_path / "a", n, [0, n // 2], os.urandom(part))
    assert FileBlobs(str(tmp_path)).get("a") == (tmp_path / "a").read_bytes()
    put_parts(tmp_path / "small", 2**20, [], b"")
    assert FileBlobs(str(tmp_path)).get("small") == bytes(2**20)


def test_values_that_leave_holes_where_a_tool_copies_them_are_read(tmp_path: Path) -> None:
    """Zeros are stored uncompressed in zstd frames, and as they are in shards: see `MAX_RATIO`."""
    from swarmgrid.format.codec import decoded, encoded
    from swarmgrid.format.shard import decoded_shard, encoded_shard

    zeros = np.zeros((2**17, 64))
    for name, data in (
        ("chunk", encoded(zeros, "float64")),
        ("shard", encoded_shard(zeros, "float64", (1, 16))),
    ):
        parts = [data[i : i + 4096] for i in range(0, len(data), 4096)]
        with (tmp_path / name).open("wb") as file:  # as `cp --sparse=always` does
            for part in parts:
                if any(part):
                    file.write(part)
                else:
                    file.seek(len(part), os.SEEK_CUR)
            file.truncate(len(data))
        assert FileBlobs(str(tmp_path)).get(name) == data
    assert not decoded(encoded(zeros, "float64"), "float64", zeros.shape).any()
    shard = encoded_shard(zeros, "float64", (1, 16))
    assert not decoded_shard(shard, "float64", zeros.shape, (1, 16)).any()


def test_an_entry_of_an_archive_is_not_expanded(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(BIG))
        archive.writestr("b", b"small")
    blobs = to_location(ZipStore(tmp_path / "a.zip", mode="r")).open()
    found, nbytes = peak(lambda: blobs.get_many(["a", "b", "c"], BIG - 1))
    assert found == [UNREADABLE, b"small", None]
    assert nbytes < BIG / 8


def test_the_body_of_a_large_object_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    obstore = pytest.importorskip("obstore")
    from obstore.store import MemoryStore
    from zarr.storage import ObjectStore

    store: Store = ObjectStore(MemoryStore())
    blobs = ZarrBlobs(store)
    blobs.put("a", b"x" * 100)
    blobs.put("none", b"")
    fetched: list[int] = []
    get = obstore.get_async

    class Answer:
        """One that notes that its body is asked for."""

        def __init__(self, real: Any) -> None:
            self.meta = real.meta
            self._real = real

        async def bytes_async(self) -> Any:
            fetched.append(self.meta["size"])
            return await self._real.bytes_async()

    async def noted(*args: Any, **kwargs: Any) -> Any:
        return Answer(await get(*args, **kwargs))

    monkeypatch.setattr(obstore, "get_async", noted)
    assert blobs.get_many(["a", "none", "gone"], 99) == [UNREADABLE, b"", None]
    assert fetched == [0]
    assert blobs.get("a", 100) == b"x" * 100


def test_no_more_of_an_object_is_fetched_by_fsspec_than_it_can_have(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
    from zarr.storage import FsspecStore

    files = AsyncFileSystemWrapper(
        fsspec.filesystem("memory", skip_instance_cache=True), asynchronous=True
    )
    blobs = ZarrBlobs(FsspecStore(files, path=f"/{tmp_path.name}"))
    blobs.put("a", bytes(BIG))
    found, nbytes = peak(lambda: blobs.get("a", 1000))
    assert (found, nbytes < BIG / 8) == (UNREADABLE, True)
    assert blobs.get("a", BIG) == bytes(BIG)
    assert blobs.get("gone", 10) is None


def test_a_folder_in_an_objects_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").write_text("a file of the user's")
    for make in (a_directory, a_wrapped_store):
        make(tmp_path).delete("a")
        assert make(tmp_path).get("a") is None
    assert (tmp_path / "a" / "mine").exists()
