"""Stores of every released format, as they were written then, are read by the code of today.

Values are held against formulas. Grids are found by their folders, so that nothing here depends on
how a grid's id is made up: that it is the same as then is a test of its own.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

import swarmgrid
from swarmgrid.maintenance.verify import verify_grid
from swarmgrid.records.grid_state import read_state
from swarmgrid.store.directory import FileBlobs
from swarmgrid.store.layout import GridPath
from swarmgrid.store.location import to_location
from tests.golden import content, make

FORMATS = sorted(p.name for p in make.PLACE.iterdir() if p.name.startswith("format-"))


@pytest.fixture(scope="module", params=FORMATS)
def golden(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: marks and leases must not change what is committed."""
    copy = tmp_path_factory.mktemp("golden") / "store"
    shutil.copytree(make.PLACE / request.param, copy)
    return copy


def group_of(golden: Path, function: str) -> Path:
    (group,) = golden.glob(f"data.zarr/{function}/*/zarr.json")
    return group.parent


def test_there_is_a_store_of_the_format_of_today() -> None:
    assert content.FORMAT in FORMATS


def test_plain_xarray_reads_the_values(golden: Path) -> None:
    ds = xr.open_zarr(group_of(golden, "grown")).sel(x=content.GROWN["x"], s=content.GROWN["s"])
    x, s = np.array(content.GROWN["x"], float), np.array(content.GROWN["s"])
    np.testing.assert_array_equal(ds["mean"], x[:, None] * [len(one) for one in s])
    np.testing.assert_array_equal(
        ds["trace"], np.broadcast_to(x[:, None, None] + np.arange(3.0), (4, 2, 3))
    )
    assert ds["name"].values.tolist() == [["aa", "bbbb"]] * 4
    assert ds["t"].attrs["units"] == "m"
    assert (ds["label"].item(), ds.attrs["title"]) == ("golden", "golden")
    kinds = xr.open_zarr(group_of(golden, "kinds"))
    assert kinds["colour"].values.tolist() == ["BLUE", "RED"]
    np.testing.assert_array_equal(kinds["when"], content.KINDS["when"])
    np.testing.assert_array_equal(kinds["flag"], [True, False])
    seconds = kinds["later"].values.astype("M8[ns]") - content.BASE
    assert (seconds == content.KINDS["wait"]).all()
    assert (kinds["off"].values == ~kinds["flag"].values[:, None]).all()
    assert kinds["small"].dtype == np.uint8
    assert (kinds["small"].values == np.array([2, 1])[:, None, None, None]).all()


def test_plain_zarr_reads_shards(golden: Path) -> None:
    array = zarr.open_array(group_of(golden, "sharded") / "number", mode="r")
    i, j = np.indices((12, 4))
    expected = np.where((i + j) % 3 > 0, 100 * i + j, np.iinfo("i8").min)
    np.testing.assert_array_equal(array[...], expected)
    assert array.shards is not None


@pytest.mark.parametrize("function", ["grown", "sharded", "kinds", "memo_value"])
def test_nothing_is_wrong_with_it(golden: Path, function: str) -> None:
    path = GridPath(function, group_of(golden, function).name)
    report = verify_grid(FileBlobs(str(golden)), path)
    assert (report.problems, report.notes) == ((), ())
    state = read_state(to_location(golden).open(), path)
    assert state is not None
    points = {"grown": 8, "sharded": 32, "kinds": 16, "memo_value": 6}
    assert report.points == points[function]


def test_the_same_calls_find_their_grids(golden: Path) -> None:
    """With a version pinned, a grid's id is a promise as well."""
    options: dict[str, Any] = {"store": golden, "version": "1", "verbose": 0, "executor": "sync"}
    for func, axes in (
        (content.grown, content.GROWN),
        (content.kinds, content.KINDS),
    ):
        done = swarmgrid.run(axes=axes, func=func, **options)[1]
        assert done.points_computed == 0
    errors = swarmgrid.GridFunction(content.grown, store=golden, version="1").errors(
        axes=["x", "s"]
    )
    assert errors["reason"].tolist() == ["ValueError: nine"]
    output, diagnostics = make.memo(golden).run({"scale": 10}, content.MEMO)
    assert output == [30, 30, 60, 60]
    assert diagnostics.executed_chunks == 0


def test_a_recorded_block_is_replayed(golden: Path) -> None:
    state, is_hit = make.block(golden, {"n": 7})
    assert is_hit
    assert state["squares"].tolist() == [0, 1, 4, 9, 16, 25, 36]
    assert state["words"] == ["a", ("b", 2.5), {"c": None}]
