"""A Dataset is changed by a replay as it was by the block."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from swarmgrid import InputError, State, memoize


def dataset() -> xr.Dataset:
    return xr.Dataset(
        {"u": (("t", "x"), np.arange(6.0).reshape(2, 3), {"unit": "m"}), "n": 4},
        {"t": pd.date_range("2020", periods=2), "x": ["a", "b", "c"], "lat": ("x", [1, 2, 3])},
        {"title": "test"},
    )


def add_variable(ds: xr.Dataset) -> None:
    ds["v"] = ds["u"] * 2 + 1


def write_in_place(ds: xr.Dataset) -> None:
    ds["u"][0, 1:] = -1
    ds["u"].values[1] *= 2


def add_in_place(ds: xr.Dataset) -> None:
    ds["u"] += 10
    ds["u"].loc[{"x": "b"}] = 0


def replace_variable(ds: xr.Dataset) -> None:
    ds["u"] = ds["u"].mean("t")


def remove(ds: xr.Dataset) -> None:
    del ds["n"], ds["lat"], ds.attrs["title"]


def change_attributes(ds: xr.Dataset) -> None:
    ds.attrs["history"] = ["one", {"k": 2}]
    ds.attrs["array"] = np.arange(2)
    ds["u"].attrs["unit"] = "km"
    ds["x"].attrs["long_name"] = "place"
    ds["n"].attrs = {"new": True}


def replace_attributes(ds: xr.Dataset) -> None:
    ds.attrs = {"other": 1}


def change_coordinates(ds: xr.Dataset) -> None:
    ds.coords["x"] = [3, 4, 5]
    ds.coords["height"] = 2.0
    ds.coords["lon"] = "x", [5.0, 6.0, 7.0]


def change_sizes(ds: xr.Dataset) -> None:
    del ds["u"], ds["lat"], ds["x"]
    ds["w"] = "x", ["long", "er"] * 4
    ds.coords["x"] = np.arange(8)


def swap(ds: xr.Dataset) -> None:
    lat = ds["lat"].variable
    del ds["lat"]
    ds["lat"] = lat * 2
    ds.coords["n"] = ds["n"]


def share(ds: xr.Dataset) -> None:
    ds["v"] = ds["u"]
    ds["v"][0, 0] = 99


def clear(ds: xr.Dataset) -> None:
    for name in list(ds.variables):
        del ds[name]


def strings_and_times(ds: xr.Dataset) -> None:
    ds["s"] = "x", np.array(["ä", "", "long"])
    ds["when"] = "x", np.array(["2020-01-01", "NaT", "1960-01-01"], "M8[us]")
    ds["long"] = "x", np.array([1, 2, 3], "m8[s]")
    ds["flag"] = "x", [True, False, True]


def change_and_add(ds: xr.Dataset) -> None:
    ds["u"][0] = 77
    ds["p"] = ds["u"] ** 2
    ds["coord x"] = "x", [1, 2, 3]  # looks like a name of ours


def change_the_order(ds: xr.Dataset) -> None:
    n = ds["n"].variable
    del ds["n"]
    ds["new"] = 1
    ds.coords["above"] = 2
    ds["n"] = n


def nothing(ds: xr.Dataset) -> None:
    pass


CHANGES = [
    *(add_variable, write_in_place, add_in_place, replace_variable, remove, change_attributes),
    *(replace_attributes, change_coordinates, change_sizes, swap, share, clear),
    *(strings_and_times, change_and_add, change_the_order, nothing),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_replay_does_what_the_block_did(change: Callable[[Any], None], store: str) -> None:
    expected = dataset()
    change(expected)
    for is_hit in (False, True):
        ds = dataset()
        with memoize(ds, store) as mem:
            mem.begin()
            change(ds)
        assert mem.is_hit is is_hit
        assert [*ds.variables] == [*expected.variables]
        assert ([*ds], [*ds.coords]) == ([*expected], [*expected.coords])
        xr.testing.assert_identical(ds, expected)
        assert {n: v.dtype for n, v in ds.variables.items()} == {
            n: v.dtype for n, v in expected.variables.items()
        }


def test_what_others_hold_of_it_is_changed_too(store: str) -> None:
    for is_hit in (False, True):
        ds = dataset()
        held, values, view = ds["u"], ds["u"].values, ds["u"][0]
        with memoize(ds, store) as mem:
            mem.begin()
            write_in_place(ds)
            change_attributes(ds)
        assert mem.is_hit is is_hit
        assert values[0].tolist() == held[0].values.tolist() == [0, -1, -1]
        assert view.values.tolist() == [0, -1, -1]
        assert held.attrs == {"unit": "km"}


def test_replayed_variables_are_lazy_and_can_be_written(store: str) -> None:
    for is_hit in (False, True):
        ds = dataset()
        with memoize(ds, store) as mem:
            mem.begin()
            add_variable(ds)
        assert mem.is_hit is is_hit
        assert ds["v"].variable._in_memory is not is_hit
        ds["v"][0, 0] = 5
        ds["v"] += 1
        assert ds["v"].values[0].tolist() == [6, 4, 6]


def test_a_block_may_change_what_an_earlier_one_has_replayed(store: str) -> None:
    def run(salt: int) -> tuple[list[bool], xr.Dataset]:
        ds, hits = dataset(), []
        for block_salt in (1, salt):
            with memoize(ds, store, block_salt) as mem:
                mem.begin()
                if "v" in ds:
                    ds["v"][0] = 7
                else:
                    ds["v"] = ds["u"] * 2
            hits.append(mem.is_hit)
        return hits, ds

    found = [run(2), run(2), run(3), run(3)]
    assert [hits for hits, _ in found] == [[False] * 2, [True] * 2, [True, False], [True] * 2]
    for _, ds in found:
        xr.testing.assert_identical(ds, found[0][1])


@pytest.mark.long
def test_a_second_process_replays_what_the_first_did(tmp_path: Path) -> None:
    code = """
import sys, numpy as np, swarmgrid, xarray as xr
ds = xr.Dataset({"u": ("x", np.arange(3.0))})
with swarmgrid.memoize(ds, sys.argv[1]) as mem:
    mem.begin()
    ds["v"] = ds["u"] + 1
    ds.attrs["a"] = 1
print(mem.is_hit, ds["v"].values.tolist(), ds.attrs)
"""
    (tmp_path / "script.py").write_text(code)
    command = [sys.executable, "-W", "error", str(tmp_path / "script.py"), str(tmp_path / "store")]
    printed = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in "ab"
    ]
    assert printed == [f"{hit} [1.0, 2.0, 3.0] {{'a': 1}}\n" for hit in (False, True)]


def test_the_group_of_a_dataset_has_its_dims_and_coordinates(tmp_path: Path) -> None:
    ds = dataset()
    with memoize(ds, tmp_path) as mem:
        mem.begin()
        add_variable(ds)
        change_coordinates(ds)
        strings_and_times(ds)
    (file,) = (tmp_path / "data.zarr" / "memoized-blocks" / mem.key).glob("*/zarr.json")
    opened = xr.open_zarr(file.parent, chunks=None, decode_timedelta=True)
    xr.testing.assert_equal(opened["v"], ds["v"].drop_vars("lat"))
    assert {"x", "lon", "height"} <= set(opened.coords)
    assert opened["when"].values[0] == np.datetime64("2020-01-01")
    assert opened["long"].values[1] == np.timedelta64(2, "s")


def test_lazy_and_dask_variables_of_the_user_are_recorded_by_value(
    tmp_path: Path, store: str
) -> None:
    dataset().drop_vars("x").to_zarr(tmp_path / "in.zarr", consolidated=False)
    for chunks in (None, {"x": 3}):
        for is_hit in (chunks is not None, True):
            ds = xr.open_zarr(tmp_path / "in.zarr", chunks=chunks, consolidated=False)
            with memoize(ds, store) as mem:
                mem.begin()
                ds["v"] = ds["u"] * 2
            assert mem.is_hit is is_hit
            np.testing.assert_array_equal(ds["v"], dataset()["u"] * 2)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: dataset().stack(z=("t", "x")), "index of the type PandasMultiIndex"),
        (lambda: dataset().rename(u=5), "name or dim 5"),
        (lambda: dataset().assign(v=dataset()["u"][0]).assign_attrs(a={1}), "type set"),
        (lambda: dataset().assign_attrs({"a": object()}), "type object"),
    ],
)
def test_what_cannot_be_recorded_is_refused(make: Any, match: str, store: str) -> None:
    with pytest.raises(InputError, match=match), memoize(make(), store) as mem:
        mem.begin()


def test_a_state_and_a_dataset_of_the_same_content_are_different(store: str) -> None:
    for state in (State(attrs={}), xr.Dataset()):
        with memoize(state, store, hash_by=("state", "salt")) as mem:
            mem.begin()
        assert not mem.is_hit


def test_a_data_array_in_a_state_is_changed_in_place(store: str) -> None:
    for is_hit in (False, True):
        state = State(a=xr.DataArray([1.0, 2.0], {"x": ["p", "q"]}, ("x",), "old"))
        held = state["a"]
        with memoize(state, store) as mem:
            mem.begin()
            state["a"].loc["p"] = 7
            state["a"].name = "new"
            state["a"].coords["y"] = ("x", [1, 2])
            state["a"].attrs["unit"] = "m"
            state["b"] = state["a"].copy()
        assert mem.is_hit is is_hit
        expected = xr.DataArray(
            [7.0, 2.0], {"x": ["p", "q"], "y": ("x", [1, 2])}, ("x",), "new", {"unit": "m"}
        )
        xr.testing.assert_identical(held, expected)
        xr.testing.assert_identical(state["b"], expected)


def test_variables_that_share_their_data_still_do_after_a_replay(store: str) -> None:
    for is_hit in (False, True):
        ds = xr.Dataset()
        with memoize(ds, store) as mem:
            mem.begin()
            ds["v"] = "x", np.arange(3.0)
            ds["w"] = ds["v"]
        assert mem.is_hit is is_hit
        ds["v"][0] = 9
        assert ds["w"].values.tolist() == [9, 1, 2]
