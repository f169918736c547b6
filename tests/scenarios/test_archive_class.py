"""Archives of a storage class that is not read at once, on S3 as moto has it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import swarmgrid
from swarmgrid import ArchivedError, Grid
from tests.servers.dynamodb import CREDENTIALS, DynamoDBServer

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
    restore(chunks(client, name)[4:])
    grid.thaw(storage_options=options)
    xr.testing.assert_identical(grid.dataset().load(), before)
    assert grid.verify().is_clean
    assert grid.verify().notes == ()
    assert "Contents" not in client.list_objects_v2(Bucket=name)


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
