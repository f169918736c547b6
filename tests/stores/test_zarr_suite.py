"""Zarr's own suites of tests, run on every store of ours."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from zarr.core.buffer import Buffer, cpu
from zarr.testing.store import StoreTests

from swarmgrid.stores import KeyValueStore, from_url
from tests.long import first


class Suite(StoreTests[KeyValueStore, cpu.Buffer]):
    """The tests that zarr has for its own stores."""

    buffer_cls = cpu.Buffer

    @pytest.fixture(autouse=True)
    def _class(self, place: tuple[str, dict[str, Any]]) -> None:
        type(self).store_cls = type(from_url(*place))

    @pytest.fixture
    def store_kwargs(self, place: tuple[str, dict[str, Any]]) -> dict[str, Any]:
        return dict(from_url(*place)._settings)

    @pytest.fixture
    def store(self, place: tuple[str, dict[str, Any]]) -> KeyValueStore:
        return from_url(*place)

    @pytest.fixture
    def store_not_open(self, place: tuple[str, dict[str, Any]]) -> KeyValueStore:
        return from_url(*place)

    async def set(self, store: KeyValueStore, key: str, value: Buffer) -> None:
        store.write_if(key, value.to_bytes())

    async def get(self, store: KeyValueStore, key: str) -> Buffer:
        (data,) = store.read_many([key])
        assert data is not None
        return self.buffer_cls.from_bytes(data)

    def test_store_repr(self, store: KeyValueStore) -> None:
        assert repr(store) == f"{type(store).__name__}({str(store)!r})"
        assert "://" in str(store)

    def test_store_supports_writes(self, store: KeyValueStore) -> None:
        assert store.supports_writes
        assert store.supports_deletes

    def test_store_supports_listing(self, store: KeyValueStore) -> None:
        assert store.supports_listing


class TestKeyValueStores(Suite):
    """All of them."""


@pytest.mark.server
class TestCloudStores(Suite):
    """Those of the cloud, on the server of each."""

    @pytest.fixture(params=["gs", *first(0, ["s3", "az"])])
    def place(self, request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
        url, options = request.getfixturevalue(request.param).place(uuid.uuid4().hex)
        return url, options

    async def set(self, store: Any, key: str, value: Buffer) -> None:
        await store.store.put_async(key, value.to_bytes())

    async def get(self, store: Any, key: str) -> Buffer:
        found = await store.store.get_async(key)
        return self.buffer_cls.from_bytes(bytes(await found.bytes_async()))


@pytest.mark.long
def test_any_sequence_of_calls_does_what_a_dict_would(place: tuple[str, dict[str, Any]]) -> None:
    from hypothesis import settings
    from hypothesis.stateful import run_state_machine_as_test
    from zarr.testing.stateful import ZarrStoreStateMachine

    def machine() -> Any:
        import zarr

        store = from_url(*place)
        zarr.core.sync.sync(store.clear())
        return ZarrStoreStateMachine(store)

    run_state_machine_as_test(machine, settings=settings(max_examples=10, stateful_step_count=30))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")  # of its dtypes
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_any_hierarchy_reads_as_it_would_from_memory(place: tuple[str, dict[str, Any]]) -> None:
    from hypothesis import settings
    from hypothesis.stateful import run_state_machine_as_test
    from zarr.testing.stateful import ZarrHierarchyStateMachine

    def machine() -> Any:
        import zarr

        store = from_url(*place)
        zarr.core.sync.sync(store.clear())
        return ZarrHierarchyStateMachine(store)

    run_state_machine_as_test(machine, settings=settings(max_examples=5, stateful_step_count=15))


def test_an_array_of_zarr_is_read_by_another_store_object(
    place: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    import numpy as np
    import zarr

    data = np.arange(1000.0).reshape(20, 50)
    zarr.create_array(from_url(*place), data=data, chunks=(3, 7), shards=(6, 14), name="a/b")
    root = zarr.open_group(from_url(*place), mode="r")
    np.testing.assert_array_equal(root["a/b"][5:11, ::3], data[5:11, ::3])
    assert dict(root.members(max_depth=None)).keys() == {"a", "a/b"}
