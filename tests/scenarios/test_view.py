"""The Dataset is lazy: what is not asked for is not read, and what is read is checked."""

from __future__ import annotations

import asyncio
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from zarr.storage import MemoryStore, WrapperStore

import swarmgrid
from tests.long import first


class CountingStore(WrapperStore[MemoryStore]):
    """A memory store that notes every key that is read or listed."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.read: list[str] = []
        self.listed: list[str] = []

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        self.read.append(key)
        return await super().get(key, *args, **kwargs)

    def list_dir(self, prefix: str) -> Any:
        self.listed.append(prefix)
        return super().list_dir(prefix)

    def chunks_read(self) -> list[str]:
        """The data chunks among the keys read, without their folders."""
        return [key.rpartition("/")[2] for key in self.read if "/value/c" in key]

    def forget(self) -> None:
        self.read.clear()
        self.listed.clear()


def trace(a: int, b: int) -> np.ndarray:
    return np.array([a, b, a * b], "f8")


CHUNKS = {"a": 2, "b": 5}
DIVIDED: dict[str, dict[str, Any]] = {
    "plain": {"chunks": CHUNKS},
    "sharded": {"chunks": {"a": 1, "b": 5}, "shards": CHUNKS},
}


@pytest.fixture(params=DIVIDED)
def store(request: pytest.FixtureRequest) -> CountingStore:
    """A stored grid; whether its chunks are objects or lie in shards, the objects are the same."""
    store = CountingStore(MemoryStore())
    compute(store, range(6), range(10), **DIVIDED[request.param])
    store.forget()
    return store


def compute(store: Any, a: Any, b: Any, **options: Any) -> xr.Dataset:
    return swarmgrid.compute(axes={"a": a, "b": b}, func=trace, store=store, **options)


def test_what_was_read_is_not_read_again(store: CountingStore) -> None:
    ds = compute(store, range(6), range(10))
    copy = pickle.dumps(ds)
    assert not store.chunks_read()
    first = ds["value"].values
    assert sorted(store.chunks_read()) == [
        "c.0.0.0",
        "c.0.1.0",
        *[f"c.{i}.{j}.0" for i in (1, 2) for j in (0, 1)],
    ]
    store.forget()
    np.testing.assert_array_equal(ds["value"].values, first)
    np.testing.assert_array_equal(ds["value"].isel(a=2).values, first[2])
    assert not store.read
    part = compute(store, range(6), range(10))["value"].isel(a=[0, 1])
    store.forget()
    np.testing.assert_array_equal(part.values, first[:2])
    np.testing.assert_array_equal(part.values, first[:2])
    assert sorted(store.chunks_read()) == ["c.0.0.0", "c.0.1.0"]
    assert len(copy) < 20_000  # nothing was read for it


def test_values_may_be_assigned_to_and_the_store_keeps_its_own(store: CountingStore) -> None:
    ds = compute(store, range(6), range(10))
    expected = np.fromfunction(trace, (6, 10)).transpose(1, 2, 0)
    ds["value"][{"a": 0}] = 5
    ds["value"].loc[{"a": 1, "b": 2}] = -1
    expected[0] = 5
    expected[1, 2] = -1
    np.testing.assert_array_equal(ds["value"].values, expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(ds["value"])).values, expected)
    again = compute(store, range(6), range(10))
    assert float(again["value"][0, 1, 1]) == 1.0


def test_a_warm_compute_reads_metadata_and_one_segment(store: CountingStore) -> None:
    ds = compute(store, range(6), range(10))
    repr(ds)
    names = [key.rpartition("/")[2] for key in store.read]
    assert store.chunks_read() == []
    assert sorted(n if not n.endswith(".seg") else "seg" for n in names) == [
        "c.0",
        "c.0",
        "seg",
        "zarr.json",
    ]
    assert len(store.listed) == 1


@pytest.mark.parametrize(
    ("select", "chunks"),
    [
        pytest.param(lambda v: v.sel(a=0, b=0), ["c.0.0.0"], id="a point"),
        pytest.param(lambda v: v.isel(a=slice(0, 2)), ["c.0.0.0", "c.0.1.0"], id="a row"),
        pytest.param(lambda v: v.sel(a=[5, 0], b=9), ["c.0.1.0", "c.2.1.0"], id="two points"),
        pytest.param(lambda v: v[::3, 1, 0], ["c.0.0.0", "c.1.0.0"], id="a stride"),
        pytest.param(lambda v: v.isel(a=[]), [], id="nothing"),
        pytest.param(
            lambda v: v.isel(a=xr.DataArray([0, 5], dims="p"), b=xr.DataArray([0, 9], dims="p")),
            ["c.0.0.0", "c.0.1.0", "c.2.0.0", "c.2.1.0"],
            id="pointwise, by its bounding product",
        ),
    ],
)
def test_slicing_reads_only_the_chunks_that_it_touches(
    store: CountingStore, select: Any, chunks: list[str]
) -> None:
    value = compute(store, range(6), range(10))["value"]
    expected = np.array([[trace(a, b) for b in range(10)] for a in range(6)])
    whole = xr.DataArray(expected, dims=value.dims, coords=value.coords)
    store.forget()
    np.testing.assert_array_equal(select(value).values, select(whole).values)
    assert sorted(store.chunks_read()) == chunks


def test_other_orders_of_values_and_axes_read_the_same_chunks(store: CountingStore) -> None:
    ds = swarmgrid.compute(axes={"b": [9, 0, 3], "a": [5, 1]}, func=trace, store=store, verbose=0)
    assert ds["value"].dims == ("b", "a", "value_dim_0")
    expected = [[trace(a, b) for a in [5, 1]] for b in [9, 0, 3]]
    np.testing.assert_array_equal(ds["value"].values, expected)
    assert sorted(set(store.chunks_read())) == ["c.0.0.0", "c.0.1.0", "c.2.0.0", "c.2.1.0"]
    assert len(store.chunks_read()) == 4


KEYS = [
    np.s_[...],
    np.s_[2],
    np.s_[-1, 3:1:-1],
    np.s_[::-2, ::3, ::-1],
    np.s_[[3, 0], 1:, 2],
    np.s_[:, [5, 0, 4], [2, 0]],
    np.s_[1:1],
]


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("order", first(1, map(pytest.param, [("a", "b"), ("b", "a")])))
def test_indexing_equals_numpy(store: CountingStore, key: Any, order: tuple[str, str]) -> None:
    values = {"a": [4, 0, 5, 2, 1, 3], "b": [3, 9, 0, 1, 2, 8, 4, 7, 6, 5]}
    axes = {name: values[name] for name in order}
    value = swarmgrid.compute(axes=axes, func=trace, store=store)["value"]
    expected = np.array(
        [
            [trace(**dict(zip(order, (i, j), strict=True))) for j in axes[order[1]]]
            for i in axes[order[0]]
        ]
    )
    whole = xr.DataArray(expected, dims=value.dims)
    np.testing.assert_array_equal(value[key].values, whole[key].values)


def test_views_are_dask_arrays_on_request(store: CountingStore) -> None:
    lazy = compute(store, range(6), range(10))
    assert lazy["value"].chunks is None
    stored = compute(store, range(6), range(10), view_chunks={})
    assert stored["value"].chunks == ((2, 2, 2), (5, 5), (3,))
    whole = compute(store, range(6), range(10), view_chunks="auto")
    assert whole["value"].data.npartitions == 1
    assert store.chunks_read() == []
    xr.testing.assert_equal(stored.compute(), lazy.load())


@pytest.mark.skipif(not hasattr(xr.Dataset, "load_async"), reason="an xarray before load_async")
def test_values_are_loaded_asynchronously(store: CountingStore) -> None:
    ds = compute(store, range(6), range(10))
    expected = np.fromfunction(trace, (6, 10)).transpose(1, 2, 0)

    async def load() -> list[Any]:
        parts = [ds["value"].isel(a=i) for i in range(6)] + [ds["value"].isel(b=[7, 2])]
        return await asyncio.gather(*(part.load_async() for part in parts))

    *rows, columns = asyncio.run(load())
    np.testing.assert_array_equal([row.values for row in rows], expected)
    np.testing.assert_array_equal(columns.values, expected[:, [7, 2]])


def test_a_view_travels_to_other_processes(tmp_path: Path) -> None:
    ds = compute(tmp_path, range(3), range(3), chunks=CHUNKS)
    again = pickle.loads(pickle.dumps(ds))
    xr.testing.assert_identical(again.load(), ds.load())


def test_attrs_are_small_and_the_source_opens_the_grid(tmp_path: Path) -> None:
    def scaled(x: int, scale: Any) -> float:
        return float(x * np.sum(scale))

    ds = swarmgrid.compute(
        {"scale": np.arange(10_000)}, {"x": [1, 2]}, func=scaled, store=tmp_path, version="2"
    )
    attrs = ds.attrs
    assert set(attrs) == {"swarmgrid_function", "swarmgrid_params", "swarmgrid_version"}
    assert attrs["swarmgrid_function"] == "scaled"
    assert attrs["swarmgrid_version"] == "2"
    assert len(json.dumps(attrs)) < 2000
    assert "scale" in json.loads(attrs["swarmgrid_params"])
    opened = xr.open_zarr(ds.encoding["source"])
    assert opened.encoding["source"] == ds.encoding["source"]
    np.testing.assert_array_equal(opened["value"], ds["value"])
    assert opened.attrs["swarmgrid_function"] == "scaled"


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "delete", "old version"])
@pytest.mark.parametrize("divided", DIVIDED)
def test_a_damaged_chunk_is_an_error_that_names_it_and_never_a_value(
    tmp_path: Path, damage: str, divided: str
) -> None:
    ds = compute(tmp_path, range(2), range(5), **DIVIDED[divided])
    (chunk,) = tmp_path.glob("data.zarr/*/*/value/c.0.0.0")
    data = chunk.read_bytes()
    if damage == "old version":  # whole and well-formed, but not what was computed
        other = tmp_path / "other"
        swarmgrid.compute(
            axes={"a": [0, 1], "b": [1, 0, 2, 3, 4]},
            func=trace,
            store=other,
            **DIVIDED[divided],
        )
        data = next(other.glob("data.zarr/*/*/value/c.0.0.0")).read_bytes()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 16]) + data[middle + 1 :]
    content = {"flip": flipped, "truncate": data[:middle], "empty": b"", "old version": data}
    chunk.unlink()
    if damage in content:
        chunk.write_bytes(content[damage])
    with pytest.raises(swarmgrid.DamageError, match=r"value/c\.0\.0\.0 is damaged"):
        ds["value"].values  # noqa: B018


def test_open_shows_what_is_stored_and_computes_nothing(store: CountingStore) -> None:
    everything = swarmgrid.open(func=trace, store=store)
    assert dict(everything.sizes) == {"a": 6, "b": 10, "value_dim_0": 3}
    compute(store, [7], [0])
    everything = swarmgrid.open(func=trace, store=store)
    assert everything.sizes["a"] == 7
    assert int(everything["value"].isel(value_dim_0=0).notnull().sum()) == 61
    part = swarmgrid.open(axes={"b": [0, 77], "a": [7]}, func=trace, store=store)
    np.testing.assert_array_equal(part["value"].sel(b=0, a=7), trace(7, 0))
    assert part["value"].sel(b=77).isnull().all()


def test_open_tells_grids_with_other_axes_apart(tmp_path: Path) -> None:
    def flexible(a: int, b: int = 0) -> int:
        return a + b

    swarmgrid.compute(axes={"a": [1, 2]}, func=flexible, store=tmp_path)
    swarmgrid.compute(axes={"a": [1], "b": [2]}, func=flexible, store=tmp_path)
    with pytest.raises(swarmgrid.InputError, match="2 grids .*pass axes="):
        swarmgrid.open(func=flexible, store=tmp_path)
    assert swarmgrid.open(axes=["a"], func=flexible, store=tmp_path).sizes == {"a": 2}


def test_large_chunks_are_checked_in_whatever_order_they_are_read(tmp_path: Path) -> None:
    def wave(x: int) -> Any:
        return np.sin(np.arange(20_000.0) * x)

    axes = {"x": range(24)}
    ds = swarmgrid.compute(axes=axes, func=wave, store=tmp_path, chunks=2, executor="sync")
    expected = np.sin(np.arange(20_000.0) * np.arange(24)[:, None])
    np.testing.assert_array_equal(ds["value"].values, expected)
    np.testing.assert_array_equal(ds["value"][::-3, 5:9].values, expected[::-3, 5:9])
    (chunk,) = tmp_path.glob("data.zarr/*/*/value/c.7.0")
    chunk.write_bytes(chunk.read_bytes()[:-1])
    ds = swarmgrid.open(func=wave, store=tmp_path)
    with pytest.raises(swarmgrid.DamageError, match=r"c\.7\.0"):
        ds["value"].load()
    again = swarmgrid.compute(axes=axes, func=wave, store=tmp_path, executor="sync")
    np.testing.assert_array_equal(again["value"].values, expected)
