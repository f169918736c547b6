"""Zarr's own suite of tests, run on a store with tiers: over a folder, and over SQLite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from zarr.core.buffer import Buffer, cpu
from zarr.storage import LocalStore, MemoryStore
from zarr.testing.store import StoreTests

from swarmgrid import Tiered
from swarmgrid.store.location import to_location
from swarmgrid.stores import SQLite
from tests.long import first


class TestTiered(StoreTests[Tiered, cpu.Buffer]):
    """The tests that zarr has for its own stores."""

    store_cls = Tiered
    buffer_cls = cpu.Buffer

    @pytest.fixture(params=first(1, ["folder", "sqlite", "memory"]))
    def store_kwargs(self, request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
        folder = tmp_path / "home"
        folder.mkdir()  # what is only read is not made
        homes = {
            "folder": lambda: LocalStore(folder),
            "sqlite": lambda: SQLite(tmp_path / "home.db"),
            "memory": MemoryStore,
        }
        return {"home": homes[request.param](), "ram": "1MB", "disk": (tmp_path / "disk", "1MB")}

    @pytest.fixture
    def store(self, store_kwargs: dict[str, Any]) -> Tiered:
        return Tiered(**store_kwargs)

    @pytest.fixture
    def store_not_open(self, store_kwargs: dict[str, Any]) -> Tiered:
        return Tiered(**store_kwargs)

    async def set(self, store: Tiered, key: str, value: Buffer) -> None:
        blobs = to_location(store._store).open()
        if isinstance(store._store, MemoryStore):
            store._store._store_dict[key] = value
        elif isinstance(store._store, LocalStore):
            path = store._store.root / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(value.to_bytes())
        else:
            blobs.put(key, value.to_bytes())

    async def get(self, store: Tiered, key: str) -> Buffer:
        if isinstance(store._store, MemoryStore):
            return store._store._store_dict[key]
        if isinstance(store._store, LocalStore):
            return self.buffer_cls.from_bytes((store._store.root / key).read_bytes())
        data = to_location(store._store).open().get(key)
        assert data is not None
        return self.buffer_cls.from_bytes(data)

    def test_store_repr(self, store: Tiered) -> None:
        assert repr(store).startswith("<swarmgrid.Tiered ")
        assert str(store) == store.location.url

    def test_store_supports_writes(self, store: Tiered) -> None:
        assert store.supports_writes
        assert store.supports_deletes

    def test_store_supports_listing(self, store: Tiered) -> None:
        assert store.supports_listing


def test_zarr_reads_what_zarr_wrote_through_the_tiers(tmp_path: Path) -> None:
    import numpy as np
    import zarr

    data = np.arange(1000.0).reshape(20, 50)
    store = Tiered(tmp_path / "home", ram="1MB")
    # shards are read by ranges, and written by zarr's pipelines as each version has them
    array = zarr.create_array(store, data=data, chunks=(3, 7), shards=(6, 14), name="a/b")
    np.testing.assert_array_equal(array[5:11, ::3], data[5:11, ::3])
    array[2:4] = 0
    assert not zarr.open_array(tmp_path / "home", path="a/b", mode="r")[2:4].any()
    data[2:4] = 0
    again = zarr.open_group(Tiered(tmp_path / "home", ram="1MB"), mode="r")["a/b"]
    np.testing.assert_array_equal(again[...], data)
