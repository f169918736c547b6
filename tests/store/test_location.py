"""What a store may be given as, and how it is opened."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import LocalStore, MemoryStore, WrapperStore, ZipStore

import swarmgrid
from swarmgrid.errors import InputError, StoreError
from swarmgrid.store.blobs import ZarrBlobs
from swarmgrid.store.directory import FileBlobs
from swarmgrid.store.location import Location, to_location
from swarmgrid.stores.schemes import CLOUD
from tests.stores.grids import PATH

SECRET = {"secret_access_key": "hush", "client_options": {"allow_http": True}}

DIRECTORIES: dict[str, Callable[[Path], Any]] = {
    "path": lambda root: root / "store",
    "text": lambda root: str(root / "store"),
    "with a slash": lambda root: f"{root}/store/",
    "with dots": lambda root: f"{root}/other/../store",
    "file URL": lambda root: f"file://{root}/store",
    "local store of zarr": lambda root: LocalStore(root / "store"),
    "location": lambda root: to_location(root / "store"),
}


@pytest.mark.parametrize("make", DIRECTORIES.values(), ids=DIRECTORIES)
def test_a_directory_may_be_given_as(make: Callable[[Path], Any], tmp_path: Path) -> None:
    location = to_location(make(tmp_path))
    assert location == Location(str(tmp_path / "store"))
    assert location.is_directory
    assert isinstance(location.open(), FileBlobs)
    assert list(tmp_path.iterdir()) == []


def test_a_relative_path_is_of_the_directory_of_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    location = to_location("cache")
    monkeypatch.chdir("/")
    assert location.url == str(tmp_path / "cache")


def test_a_tilde_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert to_location("~/cache").url == str(tmp_path / "cache")


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="is a file; expected a directory, or a new path"):
        to_location(tmp_path / "file")


REFUSED: dict[str, tuple[Any, str]] = {
    "None": (None, "store is None, a NoneType; expected a path, a URL or"),
    "number": (3, "store is 3, a int|an int"),
    "empty text": ("", "store is ''; expected a path"),
    "bytes path": (b"cache", "store is b'cache'"),
    "other scheme": ("http://example.org/p", "has the scheme 'http'; expected a path, memory://"),
    "dict": ({}, "expected a path, a URL"),
}


@pytest.mark.parametrize(("store", "message"), REFUSED.values(), ids=REFUSED)
def test_a_store_is_refused(store: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        to_location(store)


def test_a_bytes_path_of_the_file_system_is_refused() -> None:
    class BytesPath(os.PathLike[bytes]):
        def __fspath__(self) -> bytes:
            return b"cache"

    with pytest.raises(InputError, match="expected a path"):
        to_location(BytesPath())


@pytest.mark.parametrize("make", [Path, str, lambda _: "memory://a", lambda _: MemoryStore()])
def test_options_that_a_store_does_not_take_are_refused(
    make: Callable[[Path], Any], tmp_path: Path
) -> None:
    with pytest.raises(
        InputError, match="storage_options are given, but store is .*s3://"
    ) as info:
        to_location(make(tmp_path), SECRET)
    assert "hush" not in str(info.value)
    assert to_location(tmp_path, {}) == to_location(tmp_path)


# ---- memory


def test_a_memory_url_names_one_store_of_this_process(new_memory_store: Callable[[], str]) -> None:
    url, other = new_memory_store(), new_memory_store()
    location = to_location(url)
    assert not location.is_directory
    location.open().put("a", b"1")
    assert to_location(url).open().get("a") == b"1"
    assert to_location(other).open().get("a") is None


STORES: dict[str, Callable[[Path], Any]] = {
    "memory store": lambda _: MemoryStore(),
    "wrapped memory store": lambda _: WrapperStore(WrapperStore(MemoryStore())),
    "wrapped local store": lambda root: WrapperStore(LocalStore(root)),
    "read-only local store": lambda root: LocalStore(root, read_only=True),
}


@pytest.mark.parametrize("make", STORES.values(), ids=STORES)
def test_a_zarr_store_is_used_as_it_is(make: Callable[[Path], Any], tmp_path: Path) -> None:
    store = make(tmp_path)
    location = to_location(store)
    assert location.store is store
    assert not location.is_directory
    assert isinstance(location.open(), ZarrBlobs)


@pytest.mark.parametrize("mode", ["w", "a"])
def test_a_zip_file_is_not_written(mode: Any, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot delete objects.*a directory and zip that"):
        to_location(ZipStore(tmp_path / "s.zip", mode=mode))
    assert list(tmp_path.iterdir()) == []


def test_a_zip_file_is_read(tmp_path: Path) -> None:
    axes = {"x": [0.0, 1.0, 4.0]}
    options: dict[str, Any] = {"func": lambda x: x * x, "version": "1", "executor": "sync"}
    swarmgrid.stream(axes=axes, store=tmp_path / "s", **options)
    shutil.make_archive(str(tmp_path / "s"), "zip", tmp_path / "s")
    store = ZipStore(tmp_path / "s.zip", mode="r")
    ds, done = swarmgrid.run(axes=axes, store=store, **options)
    assert (done.points_computed, ds["value"].values.tolist()) == (0, [0.0, 1.0, 16.0])
    with pytest.raises(StoreError, match="read-only"):
        swarmgrid.run(axes={"x": [2.0]}, store=store, **options)


@pytest.mark.parametrize("content", [None, b"no zip"])
def test_a_zip_file_that_cannot_be_opened_is_said_to_be_so(
    content: bytes | None, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "s.zip").write_bytes(content)
    with pytest.raises(StoreError, match=r"store 'zip://.*s\.zip' cannot be opened: "):
        to_location(ZipStore(tmp_path / "s.zip", mode="r")).open()


# ---- the cloud


@pytest.mark.parametrize("scheme", CLOUD)
def test_a_cloud_url_is_opened_when_it_is_needed(scheme: str) -> None:
    location = to_location(f"{scheme}://bucket/prefix/", SECRET)
    assert location.url == f"{scheme}://bucket/prefix"
    assert not location.is_directory
    assert dict(location.options) == SECRET


def test_options_are_never_shown() -> None:
    location = to_location("s3://bucket/prefix", SECRET)
    for text in (repr(location), str(location), location.source("f/id")):
        assert "hush" not in text


def test_options_that_obstore_does_not_know_are_named_but_not_shown() -> None:
    location = to_location("s3://bucket/prefix", SECRET | {"colour": "hush"})
    with pytest.raises(
        InputError, match=r"storage options \['client_options', 'colour'"
    ) as caught:
        location.open()
    assert "hush" not in str(caught.value)


def test_http_may_be_allowed_without_client_options() -> None:
    options = {"endpoint": "http://127.0.0.1:9", "allow_http": True, "region": "us-east-1"}
    assert isinstance(to_location("s3://bucket/prefix", options).open(), ZarrBlobs)


def test_a_cloud_store_without_obstore_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("obstore", "obstore.store"):
        monkeypatch.setitem(sys.modules, name, None)
    location = to_location("s3://bucket/prefix")
    with pytest.raises(InputError, match=r"pip install 'swarmgrid-zarr\[cloud\]'"):
        location.open()


# ---- the source of a Dataset


@pytest.mark.parametrize(
    ("store", "start"),
    [
        ("cache", str(Path.cwd() / "cache")),
        ("memory://a/b", "memory://a/b"),
        ("s3://b/c/", "s3://b/c"),
    ],
)
def test_a_source_is_the_path_of_the_group(store: str, start: str) -> None:
    assert to_location(store).source(PATH.group) == f"{start}/data.zarr/{PATH.group}"


def test_the_source_of_a_zarr_store_names_it(tmp_path: Path) -> None:
    location = to_location(STORES["memory store"](tmp_path))
    assert location.source("f/id") == f"{location.store}/data.zarr/f/id"
