"""A grid as a file of another format: whole or not at all, and only what was computed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import swarmgrid
from swarmgrid import Grid

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0}


def simulate(x: int, s: str) -> dict[str, Any]:
    return {"number": x / 2, "flag": x > 1, "name": s * x, "n": x}


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    store = tmp_path / "store"
    swarmgrid.stream(axes={"x": [1, 2], "s": ["a", "b"]}, func=simulate, store=store,
        where=lambda x, s: (x, s) != (2, "b"), **OPTIONS)  # fmt: skip
    return Grid.open(store, "")


def test_a_table_has_a_row_for_each_computed_point(grid: Grid, tmp_path: Path) -> None:
    path = grid.export(tmp_path / "out.csv")
    assert path == tmp_path / "out.csv"
    table = pd.read_csv(path)
    assert table["x"].tolist() == [1, 1, 2]
    assert table["s"].tolist() == ["a", "b", "a"]
    assert table["number"].tolist() == [0.5, 0.5, 1.0]
    assert table["name"].tolist() == ["a", "b", "aa"]


def test_a_zarr_group_and_a_netcdf_file_hold_the_dataset(grid: Grid, tmp_path: Path) -> None:
    found = [xr.open_zarr(grid.export(tmp_path / "out.zarr"), chunks=None, consolidated=False)]
    found.append(xr.load_dataset(grid.export(tmp_path / "out.nc"), engine="h5netcdf"))
    for ds in found:
        np.testing.assert_array_equal(ds["number"], [[0.5, 0.5], [1, np.nan]])
        np.testing.assert_array_equal(ds["flag"], [[0, 0], [1, np.nan]])
        assert ds["s"].values.tolist() == ["a", "b"]
        assert str(tmp_path) not in str(ds.attrs)


def everything(when: Any, wait: Any, s: str, b: bool) -> dict[str, Any]:
    values = {"f": 0.5, "i": 2**60, "flag": b, "text": s * 2, "later": when, "span": wait}
    return {**values, "row": np.array([1.5, np.nan])}


@pytest.fixture
def varied(tmp_path: Path) -> Grid:
    """A grid with axes and outputs of many kinds, all of it computed."""
    axes = {
        "when": np.array(["2001-01-01T00:00:00.5", "1999-12-31"], "M8[ns]"),
        "wait": np.array([3, 1], "m8[s]"), "s": ["ö", ""], "b": [True, False],
    }  # fmt: skip
    swarmgrid.stream(axes=axes, func=everything, store=tmp_path / "varied", **OPTIONS)
    return Grid.open(tmp_path / "varied", "")


def test_netcdf_holds_what_the_grid_does_whatever_the_kinds(varied: Grid, tmp_path: Path) -> None:
    found = xr.load_dataset(varied.export(tmp_path / "out.nc"), engine="h5netcdf")
    expected = varied.dataset().load()
    for name, array in expected.variables.items():
        np.testing.assert_array_equal(found[name].values, array.values, str(name))
        assert found[name].dims == array.dims


def test_parquet_holds_a_row_for_each_computed_point(
    grid: Grid, varied: Grid, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow", reason="large; CI installs it")
    table = pd.read_parquet(grid.export(tmp_path / "out.parquet"))
    pd.testing.assert_frame_equal(table, pd.read_csv(grid.export(tmp_path / "out.csv")))
    found = pd.read_parquet(varied.export(tmp_path / "varied.parquet"))
    assert len(found) == 16 * 2
    assert found["when"].tolist() == [
        t for t in varied.dataset()["when"].values for _ in range(16)
    ]


def test_outputs_with_dims_and_grids_without_axes_are_tables_too(tmp_path: Path) -> None:
    swarmgrid.stream(axes={"x": [1, 2]}, func=lambda x: np.arange(2) * x, store=tmp_path / "a",
        version="1", **OPTIONS)  # fmt: skip
    swarmgrid.stream({}, {}, func=lambda: {"a": 1, "b": 2}, store=tmp_path / "b", version="1",
        **OPTIONS)  # fmt: skip
    table = pd.read_csv(Grid.open(tmp_path / "a", "").export(tmp_path / "a.csv"))
    assert table["value"].tolist() == [0, 1, 0, 2]
    table = pd.read_csv(Grid.open(tmp_path / "b", "").export(tmp_path / "b.csv"))
    assert table.to_dict("records") == [{"a": 1, "b": 2}]


def test_a_file_that_is_there_is_replaced_only_where_that_is_said(
    grid: Grid, tmp_path: Path
) -> None:
    for name in ("out.csv", "out.zarr"):
        grid.export(tmp_path / name)
        with pytest.raises(swarmgrid.InputError, match="is there already; pass overwrite=True"):
            grid.export(tmp_path / name)
        grid.export(tmp_path / name, overwrite=True)
    (tmp_path / "mine.zarr").mkdir()
    with pytest.raises(swarmgrid.InputError, match="a folder that no export has made"):
        grid.export(tmp_path / "mine.zarr", overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "mine.zarr",
        "out.csv",
        "out.zarr",
        "store",
    ]


def test_a_write_that_fails_leaves_the_file_of_before(
    grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = grid.export(tmp_path / "out.csv")
    before = path.read_bytes()

    def full(self: Any, target: Any, **_: Any) -> None:
        Path(target).write_text("half of")
        raise OSError("no space left")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(swarmgrid.StoreError, match="no space left"):
        grid.export(path, overwrite=True)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.csv", "store"]


@pytest.mark.parametrize(("suffix", "package"), [(".nc", "netCDF4"), (".parquet", "pyarrow")])
def test_a_package_that_is_not_installed_is_named(
    grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, package: str
) -> None:
    for name in ("netCDF4", "h5netcdf", "pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(swarmgrid.InputError, match=f"need {package}: pip install {package}"):
        grid.export(tmp_path / f"out{suffix}")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["store"]


@pytest.mark.parametrize(
    ("target", "message"),
    [("out.xlsx", "one of .nc"), (3, "one of .nc"), ("s3://b/o.csv", "one of .nc"),
     ("no/such/folder/out.csv", "is no folder")],
)  # fmt: skip
def test_a_target_that_cannot_be_is_refused(grid: Grid, target: Any, message: str) -> None:
    with pytest.raises(swarmgrid.InputError, match=message):
        grid.export(target)


def test_complex_numbers_are_no_netcdf(tmp_path: Path) -> None:
    swarmgrid.stream(axes={"x": [1]}, func=lambda x: 1j * x, store=tmp_path / "s", version="1",
        **OPTIONS)  # fmt: skip
    with pytest.raises(swarmgrid.InputError, match="complex numbers"):
        Grid.open(tmp_path / "s", "").export(tmp_path / "out.nc")
