"""The tier on a device, on one that stands in for a GPU; and on a GPU where there is one."""

from __future__ import annotations

import functools
import pickle
import types
import weakref
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid import InputError, Tiered, TierPolicy
from swarmgrid.tiers.cuda import CudaDevice
from tests.long import examples, first
from tests.tiers.stand_in import DeviceArray, StandIn
from tests.tiers.test_tiered import Clock, CountingStore

OPTIONS: dict[str, Any] = {
    "executor": "sync",
    "version": "1",
    "verbose": 0,
    "chunks": {"x": 4, "y": 3},
}
AXES: dict[str, Any] = {"x": range(10), "y": [1, 2, 3, 4, 5]}


def several(x: int, y: int) -> dict[str, Any]:
    return {
        "real": x / 3 + y,
        "small": np.float32(x * y),
        "count": x * y,
        "is_even": x % 2 == 0,
        "wave": complex(x, -y),
        "line": xr.DataArray(np.arange(4.0) * x, dims="t", coords={"t": [0.0, 0.5, 1.0, 1.5]}),
    }


@functools.cache
def filled() -> MemoryStore:
    """A store that no test changes: all points, and another grid with some of them."""
    store = MemoryStore()
    swarmgrid.stream({}, AXES, func=several, store=store, **OPTIONS)
    return store


@pytest.fixture
def home() -> CountingStore:
    return CountingStore(filled())


def opened(store: Any, **axes: Any) -> xr.Dataset:
    return swarmgrid.open({}, {**AXES, **axes}, func=several, store=store, version="1")


def on_host(ds: xr.Dataset) -> xr.Dataset:
    """The values on a device, for a look at them."""
    found = {name: array.variable._data for name, array in ds.data_vars.items()}
    assert all(isinstance(array, DeviceArray) for array in found.values())
    return ds.copy(data={name: np.array(array.on_host) for name, array in found.items()})


def test_outputs_are_on_the_device_and_coordinates_on_the_host() -> None:
    ds = opened(filled())
    moved = ds.swarmgrid.to_device(StandIn())
    assert isinstance(moved["real"].data, DeviceArray)
    assert isinstance(moved["x"].data, np.ndarray)
    assert isinstance(moved["t"].data, np.ndarray)
    xr.testing.assert_identical(on_host(moved), opened(filled()).load())
    assert isinstance((moved["real"] * 2).data, DeviceArray)  # arithmetic stays there
    assert isinstance(moved["real"].isel(x=3).data, DeviceArray)
    assert moved.swarmgrid.grid.id == ds.swarmgrid.grid.id


def test_a_dataset_without_a_store_moves_as_well() -> None:
    ds = xr.Dataset({"a": ("x", [1.0, 2.5])}, {"x": [0, 1]})
    moved = ds.swarmgrid.to_device(StandIn(), dtype="float16")
    assert on_host(moved)["a"].values.tolist() == [1.0, 2.5]
    assert moved["a"].dtype == "float16"


def test_chunks_on_the_device_are_neither_read_nor_moved_again(home: CountingStore) -> None:
    device = StandIn()
    store = Tiered(home, device=(device, "1MB"))
    part = opened(store)[["real", "line"]].isel(x=slice(0, 8))
    first = part.swarmgrid.to_device()
    n_chunks = len([shape for shape in device.uploads if shape[:2] == (4, 3)])
    assert n_chunks == 2 * 4  # two outputs, of two by two chunks
    device.uploads.clear()
    before = store.metrics()["home"].hits
    again = opened(store)[["real", "line"]].isel(x=[1, 6], y=4).swarmgrid.to_device()
    assert device.uploads == []
    assert store.metrics()["home"].hits == before == 8
    xr.testing.assert_identical(
        on_host(again), opened(filled())[["real", "line"]].isel(x=[1, 6], y=4).load()
    )
    assert store.metrics()["device"].hits == 4
    del first


INDEX = st.one_of(
    st.integers(0, 4),
    st.slices(5).filter(lambda s: all(len(range(n)[s]) for n in (5, 10, 12))),
    st.lists(st.integers(-5, 4), min_size=1, max_size=6),
)


@settings(max_examples=examples(20))
@given(x=INDEX, y=INDEX, more=st.booleans(), is_turned=st.booleans())
def test_any_part_has_the_values_that_the_host_reads(
    x: Any, y: Any, more: bool, is_turned: bool
) -> None:
    store = Tiered(filled(), device=(StandIn(), "1MB"))
    # of values that are not computed, those of integers and bools become floats and objects
    axes: dict[str, Any] = {"x": range(12)} if more else {}
    names = ["real", "small", "wave", "line"] if more else ["real", "count", "is_even", "line"]
    for source in (opened(store, **axes), opened(store, **axes)):
        part = source[names].isel(x=x, y=y)
        part = part.transpose("y", ...) if is_turned and "y" in part.dims else part
        expected = opened(filled(), **axes)[names].isel(x=x, y=y)
        expected = expected.transpose(*part["line"].dims, missing_dims="ignore").load()
        found = on_host(part.swarmgrid.to_device())
        xr.testing.assert_identical(found.transpose(*part["line"].dims), expected)


def test_points_of_several_dims_at_once_are_read_on_the_host() -> None:
    store = Tiered(filled(), device=(StandIn(), "1MB"))
    where = {"x": xr.DataArray([0, 9, 4], dims="p"), "y": xr.DataArray([4, 0, 2], dims="p")}
    found = opened(store)[["real"]].isel(where).swarmgrid.to_device()
    xr.testing.assert_identical(on_host(found), opened(filled())[["real"]].isel(where).load())


def test_integers_with_missing_points_become_floats_as_on_the_host() -> None:
    store = Tiered(filled(), device=(StandIn(), "1MB"))
    found = opened(store, x=range(12))[["count"]].swarmgrid.to_device()
    expected = opened(filled(), x=range(12))[["count"]].load()
    xr.testing.assert_identical(on_host(found), expected)
    with pytest.raises(InputError, match="'is_even' has dtype object.*drop_vars"):
        opened(store, x=range(12)).swarmgrid.to_device()


def test_a_precision_is_for_real_numbers_and_never_the_exact_chunk(home: CountingStore) -> None:
    device = StandIn()
    store = Tiered(home, ram="1MB", device=(device, "1MB", "float16"))
    half = on_host(opened(store).swarmgrid.to_device())
    assert {name: str(a.dtype) for name, a in half.data_vars.items()} == {
        "real": "float16",
        "small": "float16",
        "count": "int64",
        "is_even": "bool",
        "wave": "complex128",
        "line": "float16",
    }
    exact = opened(filled()).load()
    assert (half["real"].values == exact["real"].values.astype("float16")).all()
    assert not (half["real"].values == exact["real"].values).all()
    # other readers, and another precision, have the exact values
    xr.testing.assert_identical(opened(store).load(), exact)
    plain = Tiered(home, device=(device, "1MB"))
    for dtype in ("float16", None):
        last = on_host(opened(plain).swarmgrid.to_device(dtype=dtype))
    xr.testing.assert_identical(last, exact)
    double = on_host(opened(store).swarmgrid.to_device(dtype="float64"))
    xr.testing.assert_identical(double.drop_vars("small"), exact.drop_vars("small"))
    assert swarmgrid.Grid.open(store, "several/").verify().is_clean


def itself(x: float) -> float:
    return x


@pytest.mark.parametrize("has_tier", first(1, [True, False]))
def test_what_overflows_is_an_error_and_what_vanishes_a_warning(has_tier: bool) -> None:
    home, device = MemoryStore(), StandIn()
    swarmgrid.stream(
        {}, {"x": [1.0, 7e4, 1e-9, float("inf")]}, func=itself, store=home,
        **{**OPTIONS, "chunks": {"x": 4}},
    )  # fmt: skip
    store = Tiered(home, device=(device, "1MB")) if has_tier else home

    def moved(*xs: float) -> Any:
        ds = swarmgrid.open({}, {"x": list(xs)}, func=itself, store=store, version="1")
        return on_host(ds.swarmgrid.to_device(device, dtype="float16"))["value"].values.tolist()

    # points that are not asked for do no harm, though they are in the same chunk
    assert moved(1.0, float("inf")) == [1.0, float("inf")]
    with pytest.raises(
        InputError, match=r"1 values of output 'value' would be infinite as float16"
    ):
        moved(1.0, 7e4)
    with pytest.warns(RuntimeWarning, match="1 values of output 'value' are zero as float16"):
        assert moved(1e-9, 1.0) == [0.0, 1.0]


def test_the_tier_stays_within_its_bytes_and_honours_pins_and_spans(home: CountingStore) -> None:
    device, clock = StandIn(), Clock()
    chunk = 4 * 3 * 8
    policy = TierPolicy(hot_to_warm="1h", watermark=1, clock=clock)
    store = Tiered(home, device=(device, 3 * chunk), policy=policy)
    ds = opened(store)[["real"]]
    first = ds.isel(x=slice(0, 4), y=slice(0, 3))
    with store.pinned(first):
        first.swarmgrid.to_device()
        ds.swarmgrid.to_device()
        assert store.metrics()["device"].nbytes <= 3 * chunk
        device.uploads.clear()
        first.swarmgrid.to_device()
        assert device.uploads == []
    clock.now += 3601
    store.trim()
    assert store.metrics()["device"].copies == 0
    assert store.metrics()["device"].evictions > 0


@pytest.mark.parametrize("ram", ["1MB", ("1MB", "decoded")], ids=["stored", "decoded"])
def test_what_leaves_the_device_was_in_use_until_then(home: CountingStore, ram: Any) -> None:
    clock = Clock()
    policy = TierPolicy(hot_to_warm="24h", warm_to_cold="72h", clock=clock)
    store = Tiered(home, ram=ram, device=(StandIn(), "1MB"), policy=policy)

    def copies() -> tuple[int, int]:
        return store.metrics()["device"].copies, store.metrics()["ram"].copies

    for _ in range(10):
        opened(store)[["real"]].swarmgrid.to_device()
        clock.now += 12 * 3600
    assert copies() == (6, 6)
    other = opened(store)[["small"]]
    for hours, there in ((13, (0, 12)), (46, (0, 12)), (4, (0, 6))):  # 6 are of the other output
        clock.now += hours * 3600
        other.copy().load()
        assert copies() == there
    home.reads.clear()
    opened(store)[["small"]].load()
    assert home.reads == []


def test_without_a_size_it_is_half_of_what_is_free() -> None:
    store = Tiered(filled(), device=StandIn(free=2000))
    opened(store)[["real"]].swarmgrid.to_device()
    assert store.metrics()["device"].budget == 1000


def test_new_rows_of_a_chunk_are_seen_on_the_device() -> None:
    home, device = MemoryStore(), StandIn()

    def fill(n: int) -> None:
        swarmgrid.stream({}, {"x": range(n), "y": [1]}, func=several, store=home, **OPTIONS)

    store = Tiered(home, ram="1MB", device=(device, "1MB"))

    def asked() -> xr.Dataset:
        axes = {"x": range(8), "y": [1]}
        return swarmgrid.open({}, axes, func=several, store=store, version="1")[["real"]]

    def there(ds: xr.Dataset) -> list[float]:
        found = on_host(ds.swarmgrid.to_device())["real"].values.ravel()
        assert np.isnan(found[4:]).all()  # of a chunk that there is not
        return found[:4].tolist()

    fill(2)
    old = asked()
    assert np.isnan(there(old)).tolist() == [False, False, True, True]
    fill(4)  # as by another process: not through the tiers
    assert there(asked()) == [x / 3 + 1 for x in range(4)]
    store.clear_copies()  # the chunk of today has more points than the Dataset of before
    assert np.isnan(there(old)).tolist() == [False, False, True, True]


def test_damage_is_no_value_on_the_device(tmp_path: Any) -> None:
    swarmgrid.stream({}, AXES, func=several, store=tmp_path, **OPTIONS)
    store = Tiered(tmp_path, device=(StandIn(), "1MB"))
    (chunk,) = tmp_path.rglob("real/c.0.0")
    data = bytearray(chunk.read_bytes())
    data[-6] ^= 1
    chunk.write_bytes(bytes(data))
    with pytest.raises(swarmgrid.DamageError):
        opened(store)[["real"]].swarmgrid.to_device()


@pytest.mark.parametrize(
    ("device", "match"),
    [
        ("gpu", "device is 'gpu'; expected a name, such as 'cuda:0' or 'cpu'"),
        ("cuda:x", "device is 'cuda:x'"),
        (3, "device is 3; expected a name"),
        ((StandIn(), "much"), "the size of device is 'much'"),
        ((StandIn(), 1, "int8"), "dtype is 'int8'; expected one of float16"),
        ((StandIn(), 1, "float16", 1), "expected a device, its bytes and a precision"),
    ],
)  # fmt: skip
def test_mistakes_are_told(device: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        Tiered(MemoryStore(), device=device)


def test_the_memory_of_the_process_holds_fewer_digits_on_request(home: CountingStore) -> None:
    store = Tiered(home, ram="1MB", device=("cpu", "1MB", "float16"))
    exact = opened(filled()).load()
    for _ in range(2):
        half = opened(store)[["real"]].swarmgrid.to_device()["real"].data
        assert isinstance(half, np.ndarray)
        assert half.dtype == "float16"
        assert (half == exact["real"].values.astype("float16")).all()
    found = store.metrics()["device"]
    assert (found.hits, found.nbytes) == (6, 6 * 4 * 3 * 2)
    xr.testing.assert_identical(opened(store).load(), exact)  # who asks for none has exact values
    half[:] = 0  # what was given is the caller's own
    assert opened(store)[["real"]].swarmgrid.to_device()["real"].data.any()
    single = exact.swarmgrid.to_device("cpu", dtype="float32")["real"]
    assert (single.values == exact["real"].values.astype("float32")).all()
    assert Tiered(home, device="cpu")._tiers.device.device.free_bytes() > 0


class Small(StandIn):
    """A device with room for some bytes, that are taken until their array is gone."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def asarray(self, values: Any) -> DeviceArray:
        return self.counted(super().asarray(values))

    def empty(self, shape: Any, dtype: Any) -> DeviceArray:
        return self.counted(super().empty(shape, dtype))

    def counted(self, array: DeviceArray) -> DeviceArray:
        if array.nbytes > self.room:
            raise MemoryError(f"out of memory allocating {array.nbytes} bytes")  # as cupy's is one
        self.room -= array.nbytes

        def release() -> None:
            self.room += array_nbytes

        array_nbytes = array.nbytes
        weakref.finalize(array, release)
        return array


def test_a_device_without_room_gives_up_its_copies_and_then_tells(home: CountingStore) -> None:
    device = Small(10 * 5 * 8 + 6 * 4 * 3 * 8)
    store = Tiered(home, device=(device, "1MB"))
    part = opened(store)[["real"]]
    part.swarmgrid.to_device()  # what it gave is gone; its chunks are there
    assert store.metrics()["device"].copies == 6
    again = on_host(opened(store)[["count"]].swarmgrid.to_device())  # for which copies had to go
    assert again.equals(opened(filled())[["count"]].load())
    with pytest.raises(InputError, match=r"has no room for this Dataset.*ds.isel\(...\)"):
        opened(store).drop_vars("is_even").swarmgrid.to_device()


def test_a_gpu_is_used_in_its_default_stream_and_has_done_its_work_after_that() -> None:
    told: list[str] = []

    class Told:
        def __init__(self, name: str) -> None:
            self.name = name

        def __enter__(self) -> None:
            told.append(f"in {self.name}")

        def __exit__(self, *_: object) -> None:
            told.append(f"out {self.name}")

        def synchronize(self) -> None:
            told.append("whole")

    cupy = types.SimpleNamespace(
        cuda=types.SimpleNamespace(
            Device=lambda number: Told(f"device {number}"),
            Stream=types.SimpleNamespace(null=Told("stream")),
            runtime=types.SimpleNamespace(memGetInfo=lambda: (600, 1000)),
        ),
        get_default_memory_pool=lambda: types.SimpleNamespace(free_bytes=lambda: 50),
    )
    device = CudaDevice(1, cupy)
    assert device.free_bytes() == 650
    told.clear()
    with device.use():
        told.append("work")
    assert told == ["in device 1", "in stream", "work", "whole", "out stream", "out device 1"]


def test_a_gpu_that_is_not_here_is_told_at_once() -> None:
    try:
        import cupy

        n = cupy.cuda.runtime.getDeviceCount()
    except Exception:  # noqa: BLE001  # cupy, or the driver, is missing
        n = 0
    with pytest.raises(
        InputError, match=rf"device 'cuda:{n}' .*(swarmgrid-zarr\[gpu\]|not there)"
    ):
        Tiered(MemoryStore(), device=f"cuda:{n}")
    with pytest.raises(InputError, match=rf"device 'cuda:{n}' "):
        opened(filled()).swarmgrid.to_device(f"cuda:{n}")


def test_a_store_travels_to_where_the_device_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Tiered(filled(), ram="1MB", device=StandIn())
    again = pickle.loads(pickle.dumps(store).replace(store._tiers._token.encode(), b"0" * 16))
    assert again._tiers is not store._tiers
    assert again._tiers.device._device is None  # it is opened when it is first used
    assert opened(again)["real"].sum() == opened(filled())["real"].sum()


def test_a_real_gpu_gives_the_same_values() -> None:
    cupy = pytest.importorskip("cupy", reason="needs the extra gpu")
    try:
        cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # noqa: BLE001
        pytest.skip(f"needs a GPU: {error}")
    store = Tiered(filled(), device=("cuda:0", "100MB"))
    for index in ({}, {"x": [7, 0, 3], "y": slice(1, 4)}, {"x": 2}):
        expected = opened(filled()).isel(index).load()
        for _ in range(2):
            moved = opened(store).isel(index).swarmgrid.to_device()
            for name, array in moved.data_vars.items():
                assert isinstance(array.data, cupy.ndarray)
                assert (cupy.asnumpy(array.data) == expected[name].values).all()
    assert store.metrics()["device"].hits > 0
    more = opened(store, x=range(12))[["real"]].swarmgrid.to_device(dtype="float16")
    found = cupy.asnumpy(more["real"].data)
    expected = opened(filled(), x=range(12))["real"].values.astype("float16")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("has_tier", first(1, [True, False]))
def test_a_scope_over_a_tiered_store_has_the_values_of_both(has_tier: bool) -> None:
    shared, device = MemoryStore(), StandIn()
    store = Tiered(shared, ram=("1MB", "decoded"), device=(device, "1MB")) if has_tier else shared
    axes: dict[str, Any] = {"x": range(6), "y": [1]}
    swarmgrid.stream({}, axes, func=several, store=store, **OPTIONS)
    more = {**axes, "x": range(9)}
    with swarmgrid.scope("alice", store):
        swarmgrid.stream({}, more, func=several, store=store, **OPTIONS)
        ds = swarmgrid.open({}, more, func=several, store=store, version="1")[["real"]]
        if has_tier:
            store.prefetch(ds)
            with store.pinned(ds):
                assert store.metrics()["ram"].copies == 2  # of the shared grid
        moved = on_host(ds.swarmgrid.to_device(None if has_tier else device))
        assert moved["real"].values.ravel().tolist() == [x / 3 + 1 for x in range(9)]
