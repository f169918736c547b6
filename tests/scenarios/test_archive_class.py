"""Archives of a storage class that is not read at once: S3 as moto has it, Azure as Azurite."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import swarmgrid
from swarmgrid import ArchivedError, Grid
from swarmgrid.leases import lease
from swarmgrid.store.archive import NAME, read_record
from tests.conftest import Killed
from tests.servers.azurite import AzureServer
from tests.servers.dynamodb import CREDENTIALS, DynamoDBServer
from tests.servers.google import GoogleServer

pytest.importorskip("obstore", minversion="0.10", reason="no storage classes before that")
pytestmark = pytest.mark.server
_numbers = itertools.count()


def model(x: int) -> dict[str, Any]:
    return {"number": x * 1.5, "text": f"value {x}"}


@pytest.fixture
def bucket(dynamodb: DynamoDBServer) -> Iterator[Any]:
    """A bucket of the same server, and a client of it."""
    import boto3

    client = boto3.client(
        "s3", endpoint_url=dynamodb.endpoint, region_name="us-east-1", **CREDENTIALS
    )
    name = f"glacier-{next(_numbers)}"
    client.create_bucket(Bucket=name)
    options = {
        "endpoint": dynamodb.endpoint,
        "access_key_id": "tests",
        "secret_access_key": "tests",
        "region": "us-east-1",
        "client_options": {"allow_http": True},
        "virtual_hosted_style_request": False,
    }
    yield client, name, options
    client.close()


def chunks(client: Any, bucket: str) -> list[dict[str, Any]]:
    found = client.list_objects_v2(Bucket=bucket)["Contents"]
    return [one for one in found if "/c." in one["Key"] and "/x/" not in one["Key"]]


@pytest.mark.long
def test_an_archive_in_glacier_is_thawed_as_its_objects_are_restored(
    tmp_path: Path, bucket: Any
) -> None:
    client, name, options = bucket
    before = swarmgrid.compute(
        model, axes={"x": range(6)}, store=tmp_path, chunks={"x": 2}, executor="sync"
    ).load()
    grid = Grid.open(tmp_path, "model/")
    change = grid.archive(
        f"s3://{name}/lab", storage_class="DEEP_ARCHIVE", storage_options=options
    )
    assert change.chunks == 6
    assert change.archive.startswith(f"s3://{name}/lab/model-")
    assert [one["StorageClass"] for one in chunks(client, name)] == ["DEEP_ARCHIVE"] * 6
    others = client.list_objects_v2(Bucket=name)["Contents"]
    assert {one["StorageClass"] for one in others if one["Key"].endswith("zarr.json")} == {
        "STANDARD"
    }
    assert not list(tmp_path.glob("data.zarr/model/*/number/c.*"))

    with pytest.raises(ArchivedError, match="6 chunks cannot be read yet") as error:
        grid.thaw(storage_options=options)
    assert f"aws s3api restore-object --bucket {name}" in str(error.value)
    assert "StorageClass=='DEEP_ARCHIVE'" in str(error.value)
    assert grid.verify().is_clean
    found = grid.verify(archived=True, storage_options=options)
    assert (found.is_clean, found.chunks, found.unread, len(found.notes)) == (True, 0, 6, 1)
    assert "5 more chunks are there, and cannot be read" in found.notes[0].reason
    with pytest.raises(swarmgrid.StoreError, match="archival storage class"):
        Grid.open(change.archive, "model/", storage_options=options).dataset().load()

    def restore(some: list[dict[str, Any]]) -> None:
        for one in some:
            request = {"Days": 7, "GlacierJobParameters": {"Tier": "Bulk"}}
            client.restore_object(Bucket=name, Key=one["Key"], RestoreRequest=request)

    restore(chunks(client, name)[:4])
    with pytest.raises(ArchivedError, match="2 chunks cannot be read yet.*the 4 that were read"):
        grid.thaw(storage_options=options)
    with pytest.raises(ArchivedError):
        grid.dataset().load()
    found = grid.verify(archived=True, storage_options=options)
    assert (found.is_clean, found.chunks > 0, len(found.notes)) == (True, True, 2)
    assert "are still, or again, here" in found.notes[0].reason
    restore(chunks(client, name)[4:])
    grid.thaw(storage_options=options)
    xr.testing.assert_identical(grid.dataset().load(), before)
    assert grid.verify().is_clean
    assert grid.verify().notes == ()
    assert "Contents" not in client.list_objects_v2(Bucket=name)


@pytest.mark.long
def test_an_archiving_that_was_cut_short_goes_on_over_objects_that_cannot_be_read(
    tmp_path: Path, bucket: Any, kill_at: Callable[[int], None]
) -> None:
    import obstore

    client, name, options = bucket
    grid, before = cut_short(tmp_path, kill_at, f"s3://{name}/lab", "GLACIER", options)
    place = Place(*grid_place(grid), options)
    assert len(chunks(client, name)) == 6
    obstore.delete(place.store, place.segments())  # as a kill leaves it before the first row
    grid.archive(f"s3://{name}/lab", storage_class="GLACIER", storage_options=options)
    assert [one["StorageClass"] for one in chunks(client, name)] == ["GLACIER"] * 6
    for one in chunks(client, name):
        request = {"Days": 7, "GlacierJobParameters": {"Tier": "Bulk"}}
        client.restore_object(Bucket=name, Key=one["Key"], RestoreRequest=request)
    grid.thaw(storage_options=options)
    xr.testing.assert_identical(grid.dataset().load(), before)


@pytest.mark.long  # with which Azurite is installed
def test_an_archive_in_azures_archive_tier(
    tmp_path: Path, az: AzureServer, kill_at: Callable[[int], None]
) -> None:
    import obstore

    url, options = az.place("cold")
    grid, before = cut_short(tmp_path, kill_at, url, "Archive", options)
    place = Place(*grid_place(grid), options)
    obstore.delete(place.store, place.segments())
    grid.archive(url, storage_class="Archive", storage_options=options)
    assert len(place.chunks()) == 6
    for key in place.chunks():
        with pytest.raises(Exception, match="BlobArchived"):
            obstore.get(place.store, key)
    with pytest.raises(ArchivedError, match="6 chunks cannot be read yet") as error:
        grid.thaw(storage_options=options)
    listed = f"az storage blob list --container-name grid --prefix {place.prefix}/data.zarr/"
    assert listed in str(error.value)
    assert "az storage blob set-tier --container-name grid --name KEY" in str(error.value)
    found = grid.verify(archived=True, storage_options=options)
    assert (found.is_clean, found.chunks, len(found.notes)) == (True, 0, 1)
    for key in place.chunks():
        az.set_tier(f"{place.prefix}/{key}", "Hot")
    assert grid.verify(archived=True, storage_options=options).chunks == 6
    grid.thaw(storage_options=options)
    xr.testing.assert_identical(grid.dataset().load(), before)
    assert list(place.keys()) == []


def cut_short(
    store: Path, kill_at: Callable[[int], None], target: str, storage_class: str, options: Any
) -> tuple[Grid, Any]:
    """A grid whose archiving was killed before its last steps, and its values."""
    before = swarmgrid.compute(
        model, axes={"x": range(6)}, store=store, chunks={"x": 2}, executor="sync"
    ).load()
    grid = Grid.open(store, "model/")
    for k in itertools.count(3):  # writes at home: all but the last ones come before the copy
        kill_at(k)
        try:
            grid.archive(target, storage_class=storage_class, storage_options=options)
        except Killed:
            pass
        finally:
            kill_at(-1)
            lease._own.clear()
        if NAME in {p.name for p in store.glob(f"manifest/{grid.id}/*")}:
            break
    assert not grid.state().archive
    return grid, before


def grid_place(grid: Grid) -> tuple[Grid, str]:
    record = read_record(grid._ref.location.open(), grid._ref.path)
    assert record is not None
    return grid, record.archive.store


class Place:
    """The objects of an archive in a bucket, by their keys."""

    def __init__(self, grid: Grid, url: str, options: Any) -> None:
        from obstore.store import from_url

        self.store: Any = from_url(url, **options)
        self.prefix = url.partition("://")[2].partition("/")[2]
        self._grid = grid

    def keys(self) -> list[str]:
        return [one["path"] for part in self.store.list() for one in part]

    def chunks(self) -> list[str]:
        names = ("/number/c.", "/text/c.")
        return [key for key in self.keys() if any(name in key for name in names)]

    def segments(self) -> list[str]:
        return [key for key in self.keys() if key.endswith(".seg")]


def test_an_archive_in_a_class_of_google(tmp_path: Path, gs: GoogleServer) -> None:
    before = swarmgrid.compute(
        model, axes={"x": range(6)}, store=tmp_path, chunks={"x": 2}, executor="sync"
    ).load()
    grid = Grid.open(tmp_path, "model/")
    url, options = gs.place("cold")
    change = grid.archive(url, storage_class="ARCHIVE", storage_options=options)
    place = Place(grid, change.archive, options)
    found = list(place.keys())
    classes = {key: gs.objects[f"{place.prefix}/{key}"].storage_class for key in found}
    assert {classes.pop(key) for key in place.chunks()} == {"ARCHIVE"}
    assert set(classes.values()) == {"STANDARD"}
    assert grid.verify(archived=True, storage_options=options).chunks == 6  # Google's are read
    grid.thaw(storage_options=options)
    xr.testing.assert_identical(grid.dataset().load(), before)
    assert list(place.keys()) == []


@pytest.mark.long
def test_an_object_store_is_archived_in_another(tmp_path: Path, bucket: Any) -> None:
    client, name, options = bucket
    call: dict[str, Any] = {"store": f"s3://{name}/cache", "storage_options": options}
    before = swarmgrid.compute(model, axes={"x": range(3)}, executor="sync", **call).load()
    grid = Grid.open(f"s3://{name}/cache", "model/", storage_options=options)
    grid.archive(f"s3://{name}/cold", storage_class="STANDARD_IA", storage_options=options)
    found = chunks(client, name)
    assert {one["StorageClass"] for one in found} == {"STANDARD_IA"}
    assert all(one["Key"].startswith("cold/model-") for one in found)
    grid.archive(f"s3://{name}/cold", storage_options=options)
    grid.thaw(storage_options=options)
    xr.testing.assert_identical(grid.dataset().load(), before)
    grid.archive(tmp_path)
    grid.thaw()
    xr.testing.assert_identical(grid.dataset().load(), before)
