"""Object stores: a real S3 server, two worker processes writing, and servers that lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import swarmgrid
from tests.servers.gcs import GcsServer
from tests.servers.google import Answer, GoogleServer
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.server


def simulate(a: int, b: int) -> dict[str, Any]:
    return {"sum": a + b, "row": np.arange(100) * a}


def test_two_processes_fill_a_grid_on_s3(s3: S3Server) -> None:
    options: dict[str, Any] = {
        "func": simulate,
        "store": s3.url("two-processes"),
        "storage_options": s3.storage_options(),
        "executor": "processes",
        "workers": 2,
    }
    axes = {"a": range(20), "b": range(5)}
    ds, done = swarmgrid.run(axes=axes, chunks={"a": 1, "b": 5}, exec_chunk_size=5, **options)
    assert done.points_computed == 100
    assert done.chunks_written >= 40  # one that a slow machine writes in parts counts twice
    np.testing.assert_array_equal(ds["sum"], np.arange(20)[:, None] + np.arange(5))
    np.testing.assert_array_equal(ds["row"].sel(a=7, b=3), np.arange(100) * 7)
    more, done = swarmgrid.run(axes={"a": [25, 3], "b": range(6)}, **options)
    assert done.points_computed == 12 - 5
    np.testing.assert_array_equal(more["sum"], np.array([[25], [3]]) + np.arange(6))


def test_a_grid_on_s3_opens_elsewhere(s3: S3Server) -> None:
    import obstore.store
    from zarr.storage import ObjectStore

    ds = swarmgrid.compute(
        axes={"a": range(3), "b": [1]},
        func=simulate,
        store=s3.url("elsewhere"),
        storage_options=s3.storage_options(),
        executor="sync",
    )
    path = ds.encoding["source"]
    store = ObjectStore(obstore.store.from_url(path, **s3.storage_options()))
    foreign = xr.open_zarr(store)
    np.testing.assert_array_equal(foreign["sum"], ds["sum"])
    assert s3.secret_key not in str(ds.attrs) + repr(ds)


def test_a_zarr_store_object_may_be_given(s3: S3Server) -> None:
    import obstore.store
    from zarr.storage import ObjectStore

    store = ObjectStore(obstore.store.from_url(s3.url("object"), **s3.storage_options()))
    options: dict[str, Any] = {"func": simulate, "store": store, "workers": 2}
    axes = {"a": range(4), "b": [1]}
    ds = swarmgrid.compute(axes=axes, executor="processes", chunks=1, **options)
    np.testing.assert_array_equal(ds["sum"].squeeze(), np.arange(4) + 1)
    assert swarmgrid.run(axes=axes, **options)[1].points_computed == 0


@pytest.mark.long
@pytest.mark.parametrize("kind", ["az", "gs", "gcsfs"])
def test_two_processes_fill_a_grid(kind: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(kind)
    if kind == "gcsfs":
        call: dict[str, Any] = {"func": simulate, "store": server.fsspec_store("two-processes")}
    else:
        url, options = server.place("two-processes")
        call = {"func": simulate, "store": url, "storage_options": options}
    axes = {"a": range(6), "b": range(2)}
    ds, done = swarmgrid.run(axes=axes, chunks=2, executor="processes", workers=2, **call)
    assert done.points_computed == 12
    np.testing.assert_array_equal(ds["sum"], np.arange(6)[:, None] + np.arange(2))
    assert swarmgrid.run(axes=axes, **call)[1].points_computed == 0
    assert ds.swarmgrid.grid.verify().is_clean


def test_a_grid_on_google_grows_and_a_warm_call_costs_few_requests(gs: GoogleServer) -> None:
    url, options = gs.place("growing")
    call: dict[str, Any] = {"store": url, "storage_options": options, "executor": "sync"}
    counts = []
    for chunks in (20, 1):
        more: dict[str, Any] = {"func": simulate, "version": str(chunks), **call}
        ds = swarmgrid.compute(axes={"a": range(20), "b": [1]}, chunks=chunks, **more)
        # what is there is replaced on the condition that it is of the generation that was read
        ds, done = swarmgrid.run(axes={"a": range(22), "b": [1, 2]}, **more)
        assert done.points_computed == 24
        np.testing.assert_array_equal(ds["sum"], np.arange(22)[:, None] + [1, 2])
        assert ds.swarmgrid.grid.verify().is_clean
        asked: list[str] = []

        def note(
            method: str, _: str, act: Callable[[], Answer], asked: list[str] = asked
        ) -> Answer:
            asked.append(method)
            return act()

        with gs.with_between(note):
            again = swarmgrid.run(axes={"a": range(22), "b": [1, 2]}, **more)[1]
        assert again.points_computed == 0
        assert set(asked) == {"GET"}
        counts.append(len(asked))
    assert counts[1] <= counts[0] + 1 < 20


@pytest.mark.long
def test_fake_gcs_server_is_read_by_obstore_and_written_by_gcsfs(gcsfs: GcsServer) -> None:
    # it refuses obstore's PUT (400, "invalid uploadType"), which Google accepts
    options: dict[str, Any] = {"func": simulate, "version": "1", "executor": "sync"}
    axes = {"a": range(3), "b": [1]}
    done = swarmgrid.run(axes=axes, store=gcsfs.fsspec_store("lab"), **options)[1]
    assert done.points_computed == 3
    url, keys = gcsfs.place("lab")
    ds, done = swarmgrid.run(axes=axes, store=url, storage_options=keys, **options)
    assert done.points_computed == 0
    np.testing.assert_array_equal(ds["sum"].squeeze(), np.arange(3) + 1)
    assert len(swarmgrid.catalog(url, storage_options=keys)) == 1
    with pytest.raises(swarmgrid.StoreError, match=r"store gs://grid/lab: .*400 Bad Request"):
        swarmgrid.compute(axes={"a": [9], "b": [1]}, store=url, storage_options=keys, **options)


@pytest.mark.long
def test_a_reader_by_gcsfs_sees_what_others_have_written_since(gcsfs: GcsServer) -> None:
    """gcsfs keeps each listing for ever, unless it is told to forget it."""
    options: dict[str, Any] = {"func": simulate, "version": "1", "executor": "sync"}
    mine, other = gcsfs.fsspec_store("shared"), gcsfs.fsspec_store("shared", is_shared=False)
    for n in (1, 2, 3):
        assert swarmgrid.plan(axes={"a": range(n), "b": [1]}, store=mine, **options)
        done = swarmgrid.run(axes={"a": range(n), "b": [1]}, store=other, **options)[1]
        assert done.points_computed == 1
        again = swarmgrid.plan(axes={"a": range(n), "b": [1]}, store=mine, **options)
        assert again.points_missing == 0


def test_a_store_whose_conditional_create_does_not_hold_is_refused(
    s3_without_conditions: S3Server,
) -> None:
    with pytest.raises(swarmgrid.UnsafeStoreError, match="does not keep two writers apart"):
        swarmgrid.compute(
            axes={"a": range(4), "b": [1]},
            func=simulate,
            store=s3_without_conditions.url("unsafe"),
            storage_options=s3_without_conditions.storage_options(),
        )


def test_a_store_without_an_atomic_create_is_refused() -> None:
    from zarr.storage import MemoryStore

    class Naive(MemoryStore):
        """Looks whether a key is there, and writes then: zarr's default."""

        async def set_if_not_exists(self, key: str, value: Any) -> None:
            if not await self.exists(key):
                await self.set(key, value)

    Naive.set_if_not_exists = zarr_default()
    with pytest.raises(swarmgrid.UnsafeStoreError, match="class, Naive, has no exclusive create"):
        swarmgrid.compute(axes={"a": [1], "b": [1]}, func=simulate, store=Naive())


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_a_store_of_fsspec_is_written_only_where_its_server_excludes_others(
    scheme: str, tmp_path: Path
) -> None:
    from zarr.storage import FsspecStore

    store = FsspecStore.from_url(f"{scheme}://{tmp_path}/a")
    options: dict[str, Any] = {"func": simulate, "store": store, "executor": "sync"}
    with pytest.raises(swarmgrid.UnsafeStoreError, match="FsspecStore, has no.*pass the URL"):
        swarmgrid.compute(axes={"a": [1], "b": [1]}, **options)
    assert swarmgrid.plan(axes={"a": [1], "b": [1]}, **options).points_missing == 1


def zarr_default() -> Any:
    from zarr.abc.store import Store

    return Store.set_if_not_exists


def test_wrong_credentials_are_a_clear_error(s3: S3Server) -> None:
    options = s3.storage_options() | {"secret_access_key": "wrong"}
    with pytest.raises(swarmgrid.StoreError, match="grid/denied"):
        swarmgrid.compute(
            axes={"a": [1], "b": [1]},
            func=simulate,
            store=s3.url("denied"),
            storage_options=options,
        )
