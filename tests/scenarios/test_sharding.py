"""Tiny chunks are put into shards: by itself, or as asked for, and visibly so."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

import swarmgrid
from swarmgrid.space.shards import MANY_CHUNKS
from tests.long import first

MANY = 3 * MANY_CHUNKS + 4


def half(x: int) -> float:
    return x / 2


def everything(i: int, x: float) -> dict[str, Any]:
    return {
        "float": float(x) * i,
        "word": "ab" * (i % 3),
        "when": np.datetime64(i, "ns"),
        "is": i % 2 == 0,
        "row": np.arange(3) * i,
    }


def values(ds: xr.Dataset, axes: dict[str, Any]) -> None:
    """Hold a Dataset of `everything` against the function."""
    for i, x in itertools.product(axes["i"], axes["x"]):
        at = ds.sel(i=i, x=x)
        for name, value in everything(i, x).items():
            np.testing.assert_array_equal(at[name].values, value)


def arrays(ds: xr.Dataset) -> dict[str, Any]:
    group = zarr.open_group(ds.encoding["source"], mode="r")
    return {str(name): group[str(name)] for name in ds.data_vars}


def data_files(store: Path) -> list[Path]:
    return list(store.glob("data.zarr/*/*/*/c.*"))


@pytest.mark.long
def test_many_tiny_chunks_are_sharded_by_themselves(tmp_path: Path) -> None:
    axes = {"x": range(MANY)}
    call: dict[str, Any] = {"axes": axes, "func": half, "store": tmp_path, "chunks": 3}
    before = swarmgrid.plan(**call)
    assert (before.chunks, before.shards) == ({"x": 3}, {"x": 3006})
    assert (before.chunks_total, before.chunks_missing) == (1, 1)
    reason = "sharded, because 1,002 chunks of 3 points would be as many files: 1,002 chunks a"
    assert reason in before.reason
    assert reason in str(before)
    assert reason in before._repr_html_()
    assert f"in 1 of 1 shards (x: 3,006 (all {MANY:,} now)) of chunks (x: 3); " in str(before)
    ds, done = swarmgrid.run(**call)
    np.testing.assert_array_equal(ds["value"], np.arange(MANY) / 2)
    assert (done.chunks_total, done.chunks_written) == (1, 1)
    array = arrays(ds)["value"]
    assert (array.chunks, array.shards) == ((3,), (3006,))
    encoding = ds["value"].encoding
    assert encoding.pop("preferred_chunks") == {"x": 3006}
    assert encoding.pop("own_dims") == ()
    assert encoding == {"chunks": (3,), "shards": (3006,)}
    np.testing.assert_array_equal(array[...], ds["value"].values)
    foreign = xr.open_zarr(ds.encoding["source"])["value"]
    assert {k: foreign.encoding[k] for k in ("chunks", "shards")} == encoding
    np.testing.assert_array_equal(foreign, ds["value"])
    after = swarmgrid.plan(**call)
    assert (after.chunks, after.shards, after.reason) == (
        before.chunks,
        before.shards,
        "as stored",
    )
    assert len(list(tmp_path.rglob("*"))) < 25


KEPT: dict[str, dict[str, Any]] = {
    "as asked for": {"chunks": 3, "shards": False},
    "few": {"chunks": 3, "axes": {"x": range(MANY - 10)}},
    "not tiny": {"chunks": 1024, "axes": {"x": range(MANY)}},
    "left open": {},
}


@pytest.mark.parametrize("options", KEPT.values(), ids=KEPT)
def test_other_chunks_are_objects_of_their_own(tmp_path: Path, options: dict[str, Any]) -> None:
    call: dict[str, Any] = {"axes": {"x": range(MANY)}, "func": half, "store": tmp_path} | options
    plan = swarmgrid.plan(**call)
    assert plan.shards is None
    ds = swarmgrid.compute(**call, executor="sync")
    assert arrays(ds)["value"].shards is None
    assert len(data_files(tmp_path)) - 1 == plan.chunks_total >= 1


@pytest.mark.long
def test_block_functions_are_called_with_the_chunks_asked_for(tmp_path: Path) -> None:
    seen = []

    def block(x: np.ndarray) -> np.ndarray:
        seen.append(len(x))
        return x / 2

    call: dict[str, Any] = {"func": block, "version": "1", "executor": "sync", "vectorized": True}
    axes = {"x": range(MANY)}
    ds = swarmgrid.compute(axes=axes, store=tmp_path / "a", chunks=3, **call)
    assert arrays(ds)["value"].shards is None
    assert set(seen) == {3, 1}
    seen.clear()
    ds = swarmgrid.compute(axes=axes, store=tmp_path / "b", chunks=3, shards=1500, **call)
    assert arrays(ds)["value"].shards == (1500,)
    assert seen == [1500, 1500, 4]
    np.testing.assert_array_equal(ds["value"], np.arange(MANY) / 2)


@pytest.mark.parametrize("executor", first(1, ["sync", "threads", "processes"]))
def test_shards_grow_in_every_direction(tmp_path: Path, executor: str) -> None:
    grid = swarmgrid.GridFunction(
        everything, version="1", store=tmp_path, executor=executor, workers=2, verbose=0
    )
    grid.compute(axes={"i": [5, 3], "x": [1.0]}, chunks={"i": 2, "x": 1}, shards={"i": 4, "x": 3})
    for axes in (
        {"i": [5, 3, 7], "x": [1.0]},
        {"i": [0, 5, 3, 7, 8, 9], "x": [1.0, 2.5]},
        {"x": [4.0, 3.0, 2.5, 1.0], "i": [9, 1, 5]},
    ):
        ds, done = grid.run(axes=axes)
        assert ds["float"].dims == tuple(axes)
        values(ds, axes)
        assert grid.run(axes=axes)[1].points_computed == 0
        assert done.points_computed > 0
    for array in arrays(ds).values():
        assert array.chunks[:2] == (2, 1)
        assert array.shards[:2] == (4, 3)
    assert len(data_files(tmp_path)) == 5 * 2 * 2 + 2
    assert grid.verify().is_clean
    values(grid.compute(axes=axes, where=lambda i: i != 1).sel(i=[9, 5]), {**axes, "i": [9, 5]})


def test_no_axes_have_no_shards_and_ten_have(tmp_path: Path) -> None:
    ds = swarmgrid.compute(func=lambda: 42, store=tmp_path, chunks=1, shards=5)
    assert arrays(ds)["value"].shards is None
    axes = {f"x{i}": [0, 1] for i in range(10)}
    ds = swarmgrid.compute(
        axes=axes, func=lambda **point: sum(point.values()), store=tmp_path, chunks=1
    )
    assert arrays(ds)["value"].chunks == (1,) * 10
    assert arrays(ds)["value"].shards == (2,) * 10
    np.testing.assert_array_equal(ds["value"], np.indices((2,) * 10).sum(0))
    np.testing.assert_array_equal(arrays(ds)["value"][...], np.indices((2,) * 10).sum(0))


def test_a_view_of_shards_has_them_as_dask_chunks(tmp_path: Path) -> None:
    call: dict[str, Any] = {"axes": {"x": range(10)}, "func": half, "store": tmp_path}
    ds = swarmgrid.compute(**call, chunks=2, shards=4, view_chunks={})
    assert ds["value"].chunks == ((4, 4, 2),)
    np.testing.assert_array_equal(ds["value"], np.arange(10) / 2)
    ds.drop_attrs().to_zarr(tmp_path / "copy", consolidated=False)
    copy: Any = zarr.open_array(tmp_path / "copy" / "value")
    assert (copy.chunks, copy.shards) == ((2,), (4,))


def test_the_option_is_everywhere_that_chunks_is(tmp_path: Path) -> None:
    @swarmgrid.grid(store=tmp_path / "a", chunks=2, shards={"x": 6})
    def bound(x: int) -> float:
        return x / 2

    assert bound.plan(axes={"x": range(9)}).shards == {"x": 6}
    bound.stream(axes={"x": range(9)})
    assert bound.plan(axes={"x": range(9)}).reason == "as stored"
    assert bound.open().sizes == {"x": 9}
    with swarmgrid.set_options(
        func=half, store=tmp_path / "b", chunks=2, shards={"x": {"size": 4}}
    ):
        ds, _ = swarmgrid.run(axes={"x": range(9)})
    assert arrays(ds)["value"].shards == (4,)


# ---- the cost of the first points


def costly(x: int, seconds: float, first: str = "") -> float:
    if first:  # once per process
        costly.__dict__.setdefault("done", set())
        if first not in costly.__dict__["done"]:
            costly.__dict__["done"].add(first)
            time.sleep(seconds)
        return x / 2
    time.sleep(seconds)
    return x / 2


@pytest.mark.parametrize("executor", first(1, ["threads", "processes", "sync"]))
def test_chunks_of_costly_points_hold_a_minute_of_work(tmp_path: Path, executor: str) -> None:
    ds = swarmgrid.compute(
        {"seconds": 0.15},
        {"x": range(6)},
        func=costly,
        version="1",
        store=tmp_path,
        executor=executor,
        workers=2,
        flush_interval=60,  # the chunks are decided when all are known, however long that takes
    )
    (chunk,) = arrays(ds)["value"].chunks
    assert chunk in {128, 256}  # on a busy machine points take longer
    np.testing.assert_array_equal(ds["value"], np.arange(6) / 2)


@pytest.mark.parametrize(
    ("executor", "n"),
    first(
        2,
        [
            *[("processes", 30), ("sync", 1)],
            *[("processes", 1), ("sync", 30), ("threads", 1), ("threads", 30)],
        ],
    ),
)
def test_a_first_call_that_takes_long_has_no_say_in_the_chunks(
    tmp_path: Path, executor: str, n: int
) -> None:
    ds = swarmgrid.compute(
        {"seconds": 0.5, "first": str(tmp_path)},
        {"x": range(n)},
        func=costly,
        version="1",
        store=tmp_path,
        executor=executor,
        workers=2,
    )
    assert arrays(ds)["value"].chunks == (1024,)
