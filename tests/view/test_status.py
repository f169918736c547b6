"""Status and timings over the axes are what plain masks say, and are read in part."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
import pytest
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid import Grid
from swarmgrid.records.row_values import row_values
from swarmgrid.space.selection import Selection

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0}


def partly(x: int, s: str) -> int:
    if x == 2:
        raise ValueError("two")
    return x


@pytest.fixture
def grid() -> Grid:
    store = MemoryStore()
    call: dict[str, Any] = {"func": partly, "store": store, "on_error": "record", **OPTIONS}
    swarmgrid.stream(axes={"x": [3, 1, 2], "s": ["a", "b"]}, where=lambda x, s: (x, s) != (1, "b"),
        chunks={"x": 2, "s": 2}, **call)  # fmt: skip
    return Grid.open(store, "")


def test_the_status_says_missing_computed_and_failed_over_the_axes(grid: Grid) -> None:
    status = grid.status()
    assert (status.dims, status.name, status.dtype) == (("x", "s"), "status", np.int8)
    assert status.sel(x=[1, 2, 3]).values.tolist() == [[1, 0], [2, 2], [1, 1]]
    assert status.sel(x=2, s="b").item() == 2
    assert status.transpose("s", "x").values.tolist() == [[1, 1, 2], [1, 0, 2]]
    assert status.attrs["flag_meanings"].split()[status.attrs["flag_values"][2]] == "failed"
    assert grid.missing().to_dict("records") == [{"x": 1, "s": "b"}]
    state = grid.state()
    counts = [int((status.values == value).sum()) for value in range(3)]
    assert counts == [1, state.points_computed, state.points_failed]


def test_timings_say_the_cost_the_time_and_the_writer(grid: Grid) -> None:
    timings = grid.timings()
    is_computed = grid.status().values == 1
    assert (np.isfinite(timings["seconds"].values) == is_computed).all()
    assert (~np.isnat(timings["time"].values) == is_computed).all()
    assert ((timings["writer"].values >= 0) == is_computed).all()
    assert f"process {os.getpid()} on " in timings.attrs["writers"][0]
    now = np.datetime64(int(time.time()), "s")
    assert (np.abs(timings["time"].values[is_computed] - now) < np.timedelta64(1, "h")).all()
    total = float(np.nansum(timings["seconds"].values))
    assert 0 <= total < 60


def test_a_corner_is_read_without_the_rest(monkeypatch: pytest.MonkeyPatch, grid: Grid) -> None:
    shapes = []

    def counted(manifest: Any, selection: Selection, *args: Any) -> Any:
        shapes.append(selection.shape)
        return row_values(manifest, selection, *args)

    monkeypatch.setattr("swarmgrid.view.status.row_values", counted)
    status, timings = grid.status(), grid.timings()
    assert shapes == []
    assert status.isel(x=0, s=[1]).values.tolist() == [1]
    assert np.isfinite(timings["seconds"].isel(x=slice(1)).values).all()
    assert shapes == [(1, 1), (1, 2)]


def test_nothing_stored_is_an_error(tmp_path: Any) -> None:
    handle = swarmgrid.GridFunction(partly, store=tmp_path).grid({}, ["x", "s"])
    for read in (handle.status, handle.missing, handle.timings):
        with pytest.raises(swarmgrid.InputError, match="nothing is stored"):
            read()
