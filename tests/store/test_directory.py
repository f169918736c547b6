"""A directory as a store: fencing, and failures in the middle of a write."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarmgrid.errors import LeaseLostError, StoreError
from swarmgrid.store.blobs import writing
from swarmgrid.store.directory import STAGING, FileBlobs
from tests.stores.grids import directory


def writer(root: Path, name: str, group: str = "grid") -> FileBlobs:
    blobs = FileBlobs(str(root), group, name)
    blobs.begin_writing()
    return blobs


def all_files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_fenced_writer_cannot_complete_a_write(tmp_path: Path) -> None:
    old, new = writer(tmp_path, "old"), writer(tmp_path, "new")
    old.put("a/b", b"before")
    new.fence_others()
    with pytest.raises(LeaseLostError, match="another process has taken over"):
        old.put("a/b", b"late")
    with pytest.raises(LeaseLostError, match="another process has taken over"):
        old.create("a/c", b"late")
    with pytest.raises(LeaseLostError, match="another process has taken over"):
        old.delete("a/b")
    assert all_files(tmp_path) == {"a/b"}
    assert new.get("a/b") == b"before"
    new.put("a/b", b"after")
    assert old.get("a/b") == b"after"


def test_an_owner_deletes_files_and_nothing_else(tmp_path: Path) -> None:
    owner = writer(tmp_path, "owner")
    for name in ("a/b", "a/c"):
        owner.put(name, b"1")
        owner.delete(name)
        owner.delete(name)
    owner.put("a/d/e", b"2")
    owner.delete("a/d")
    owner.delete("a/d/e/f")
    assert all_files(tmp_path) == {"a/d/e"}
    owner.end_writing()
    assert [*(tmp_path / STAGING).iterdir()] == []


@pytest.mark.parametrize("call", ["replace", "link"])
def test_a_write_that_is_staged_before_the_fence_is_not_placed_after_it(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = writer(tmp_path, "old"), writer(tmp_path, "new")
    place = getattr(os, call)

    def overtaken(source: str, target: str) -> None:
        new.fence_others()
        place(source, target)

    monkeypatch.setattr(os, call, overtaken)
    with pytest.raises(LeaseLostError):
        (old.put if call == "replace" else old.create)("a/b", b"late")
    assert all_files(tmp_path) == set()


def test_a_write_is_not_placed_in_a_store_that_is_deleted_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs, place = writer(tmp_path / "s", "one"), os.replace
    blobs.put("a/b", b"1")

    def deleted(source: str, target: str) -> None:
        if Path(source).exists():
            shutil.rmtree(tmp_path / "s")
        place(source, target)

    monkeypatch.setattr(os, "replace", deleted)
    with pytest.raises(LeaseLostError, match="the store was deleted"):
        blobs.put("a/b", b"2")
    assert not (tmp_path / "s").exists()


def test_a_fence_leaves_other_groups_and_the_writer_itself(tmp_path: Path) -> None:
    other, new = writer(tmp_path, "old", "grid2"), writer(tmp_path, "new")
    new.fence_others()
    other.put("a", b"1")
    new.put("b", b"2")
    assert all_files(tmp_path) == {"a", "b"}


def test_a_fence_removes_what_a_killed_fence_left(tmp_path: Path) -> None:
    new = writer(tmp_path, "new")
    left = tmp_path / STAGING / "grid-old.gone-1234"
    left.mkdir()
    (left / "half").write_bytes(b"1")
    new.fence_others()
    assert not left.exists()


def test_writing_needs_a_beginning(tmp_path: Path) -> None:
    with pytest.raises(LeaseLostError):
        FileBlobs(str(tmp_path)).put("a", b"1")


def test_nothing_is_left_in_staging(tmp_path: Path) -> None:
    blobs = directory(tmp_path)
    blobs.put("a", b"1")
    blobs.create("a", b"2")
    blobs.create("b", b"3")
    assert all_files(tmp_path) == {"a", "b"}
    blobs.end_writing()
    assert list((tmp_path / STAGING).iterdir()) == []


def test_nothing_is_left_in_staging_where_a_writer_without_a_lease_fails(tmp_path: Path) -> None:
    blobs = FileBlobs(str(tmp_path))
    with pytest.raises(RuntimeError), writing(blobs):
        raise RuntimeError
    assert list((tmp_path / STAGING).iterdir()) == []


def test_opening_and_reading_make_no_directory(tmp_path: Path) -> None:
    blobs = FileBlobs(str(tmp_path / "store"))
    assert (blobs.get("a"), blobs.names("b/")) == (None, [])
    blobs.fence_others()
    blobs.end_writing()
    assert list(tmp_path.iterdir()) == []


def test_files_have_the_permissions_that_the_umask_gives(tmp_path: Path) -> None:
    directory(tmp_path).put("a", b"1")
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


# ---- a disk that fills up

LIMIT = 64 * 1024


@pytest.fixture(params=["full disk", "file too large"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A directory where a file of more than LIMIT bytes cannot be completed."""
    if request.param == "full disk":
        mount = ["mount", "-t", "tmpfs", "-o", f"size={LIMIT}", "tmpfs", str(tmp_path)]
        try:
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("a file system can be mounted by root only")
        yield tmp_path
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
    else:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
        yield tmp_path
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


FULL = r"No space left.*Free some space|File too large.*ulimit -f"


def test_a_write_that_fails_keeps_the_old_object_and_leaves_no_file(small_disk: Path) -> None:
    blobs = directory(small_disk)
    blobs.put("a", b"old")
    with pytest.raises(OSError, match=FULL):
        blobs.put("a", b"x" * (LIMIT + 1))
    with pytest.raises(OSError, match=FULL):
        blobs.create("b", b"x" * (LIMIT + 1))
    assert all_files(small_disk) == {"a"}
    assert blobs.get("a") == b"old"
    blobs.put("a", b"new")
    assert blobs.get("a") == b"new"


def no_links(source: str, target: str) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def test_create_is_exclusive_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", no_links)
    blobs = directory(tmp_path)
    blobs.put("a/other", b"0")
    assert blobs.create("a/b", b"first")
    assert not blobs.create("a/b", b"second")
    assert blobs.get("a/b") == b"first"


def test_a_create_that_fails_without_hard_links_leaves_no_file(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = directory(small_disk)
    data = b"x" * (LIMIT * 3 // 4)

    def no_links_and_no_room(source: str, target: str) -> None:
        Path(source).write_bytes(b"")  # the staged copy must not be what fills the disk
        (small_disk / "filler").write_bytes(data)
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT // 2, resource.RLIM_INFINITY))
        no_links(source, target)

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr(os, "link", no_links_and_no_room)
    try:
        with pytest.raises(OSError, match=FULL):
            blobs.create("b", data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert all_files(small_disk) == {"filler"}


def test_another_failure_of_a_link_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_disk(source: str, target: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", no_disk)
    with pytest.raises(OSError, match="Input/output error"):
        directory(tmp_path).create("a", b"1")
    assert all_files(tmp_path) == set()


CAUSES = {
    errno.EACCES: "Permission denied.*Have its owner change the permissions, or pass another",
    errno.EROFS: "mounted read-only; mount it for writing",
    errno.EDQUOT: "Free some space and call compute again; what was committed is kept",
    errno.EFBIG: "limit of the size of files .ulimit -f., or choose smaller chunks",
    errno.EMFILE: "limit of open files .ulimit -n. and call compute again",
    errno.ENAMETOOLONG: "Correct the path",
    errno.EIO: "Input/output error.*Check the file system and call compute again",
    errno.ESTALE: "Check the file system and call compute again; what was committed is kept",
}


@pytest.mark.parametrize("number", CAUSES, ids=errno.errorcode.get)
def test_every_refusal_of_a_file_system_says_what_to_do(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(tmp_path))

    blobs = writer(tmp_path, "one")
    blobs.put("a", b"1")
    for name, call in {
        "replace": lambda: blobs.put("a", b"2"),
        "link": lambda: blobs.create("b", b"2"),
        "unlink": lambda: blobs.delete("a"),
        "listdir": lambda: blobs.names(""),
        "makedirs": lambda: writer(tmp_path, "two"),
        "open": lambda: blobs.get("a"),
    }.items():
        with monkeypatch.context() as patched:
            patched.setattr(os, name, refuse)
            with pytest.raises(StoreError, match=CAUSES[number]):
                call()


def test_a_file_is_written_and_read_with_no_more_system_calls_than_that_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    blobs = writer(tmp_path, "one")
    blobs.put("a/b", b"1")  # its folders are there now

    def noted(name: str) -> None:
        call = getattr(os, name)

        def note(*args: Any, **options: Any) -> Any:
            made.append(name)
            return call(*args, **options)

        monkeypatch.setattr(os, name, note)

    for name in (
        *("open", "read", "write", "close", "fstat", "lseek", "fsync", "replace", "rename"),
        *("link", "unlink", "stat", "lstat", "listdir", "scandir", "mkdir", "utime", "access"),
    ):
        noted(name)
    blobs.put("a/b", b"2")
    assert made == ["open", "write", "close", "replace"]
    made.clear()
    assert blobs.get("a/b") == b"2"
    assert made == ["open", "fstat", "read", "close"]
    made.clear()
    assert blobs.get("a/c") is None
    assert made == ["open"]


@pytest.mark.parametrize("most", [1, 3, 10, 11])
def test_a_file_that_comes_in_parts_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    blobs, read = writer(tmp_path, "one"), os.read
    blobs.put("a", b"0123456789")
    monkeypatch.setattr(os, "read", lambda number, n: read(number, min(n, most)))
    assert blobs.get("a") == b"0123456789"


def test_a_file_that_becomes_larger_or_smaller_while_it_is_read_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs, look = writer(tmp_path, "one"), os.fstat

    def changed(data: bytes) -> None:
        def late(number: int) -> os.stat_result:
            status = look(number)
            (tmp_path / "a").write_bytes(data)
            return status

        monkeypatch.setattr(os, "fstat", late)

    for data in (b"0123456789", b"012", b""):
        monkeypatch.undo()
        blobs.put("a", b"01234")
        changed(data)
        assert blobs.get("a") == data
