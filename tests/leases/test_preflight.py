"""Whether a store may be written: its format, and whether its create is exclusive."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import LocalStore, MemoryStore, WrapperStore

from swarmgrid.errors import FormatError, StoreError, UnsafeStoreError
from swarmgrid.format import zarr_metadata
from swarmgrid.leases.preflight import check_writable
from swarmgrid.store import checked_json
from swarmgrid.store.layout import LOCKS
from swarmgrid.store.location import Location, to_location
from tests.servers.s3 import S3Server


class Counting(WrapperStore[Any]):
    """Counts the creates, which may be exclusive or not."""

    n_creates = 0
    is_exclusive = True

    async def set_if_not_exists(self, key: str, value: Any) -> None:
        self.n_creates += 1
        if self.is_exclusive:
            await self._store.set_if_not_exists(key, value)
        else:
            await self._store.set(key, value)


def test_every_store_with_an_exclusive_create_may_be_written(location: Location) -> None:
    check_writable(location)
    assert [name for name in location.open().names(f"{LOCKS}/") if "probe" in name] == []


@pytest.mark.server
def test_a_server_that_ignores_conditions_is_refused(s3_without_conditions: S3Server) -> None:
    server = s3_without_conditions
    location = to_location(server.url(uuid.uuid4().hex), server.storage_options())
    for _ in range(2):
        with pytest.raises(UnsafeStoreError, match="does not keep two writers apart"):
            check_writable(location)
    assert location.open().names(f"{LOCKS}/") == []


def test_a_create_that_replaces_is_refused() -> None:
    store = Counting(MemoryStore())
    store.is_exclusive = False
    with pytest.raises(UnsafeStoreError, match="does not keep two writers apart"):
        check_writable(Location("loose", store=store))


def test_a_store_is_probed_once() -> None:
    location = Location("counted", store=Counting(MemoryStore()))
    check_writable(location)
    probes = location.store.n_creates
    check_writable(location)
    assert location.store.n_creates == probes > 0


def test_a_read_only_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    location = to_location(LocalStore(tmp_path / "store", read_only=True))
    with pytest.raises(StoreError, match="it was opened read-only"):
        check_writable(location)


def test_a_directory_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError):
        check_writable(Location(str(tmp_path / "file/store")))


def root(version: Any) -> bytes:
    return checked_json.to_bytes(zarr_metadata.group_document({"swarmgrid_format": version}))


ROOTS = {
    "a newer format": (root(2), FormatError, "format version 2"),
    "no format": (root("one"), FormatError, "format version one"),
    "no number": (root([1]), FormatError, "format version a list"),
}


@pytest.mark.parametrize(("data", "error", "message"), ROOTS.values(), ids=ROOTS)
def test_the_root_says_whether_the_format_is_known(
    data: bytes, error: type[Exception], message: str
) -> None:
    location = to_location(MemoryStore())
    location.open().put("data.zarr/zarr.json", data)
    with pytest.raises(error, match=message):
        check_writable(location)


@pytest.mark.parametrize("data", [b"{", b"{}"])
def test_a_damaged_root_keeps_no_process_from_writing(data: bytes) -> None:
    location = to_location(MemoryStore())
    location.open().put("data.zarr/zarr.json", data)
    check_writable(location)


def test_a_root_of_this_format_is_accepted() -> None:
    location = to_location(MemoryStore())
    location.open().put("data.zarr/zarr.json", root(1))
    check_writable(location)
