"""Floats that are new for their last digits are told of; so are results of another point."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import example, given
from hypothesis import strategies as st
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.space.axis import to_axis
from swarmgrid.space.match import NEAR, near_misses


def square(x: float) -> float:
    return x * x


def test_floats_that_differ_in_their_last_digits_are_told_of(tmp_path: Path) -> None:
    options: dict[str, Any] = {"func": square, "store": tmp_path, "executor": "sync"}
    swarmgrid.compute({}, {"x": [0.1, 0.3, 5]}, **options)
    axes = {"x": [0.1 + 0.2, 5, 7.0]}
    message = r"'x': 1 of 3 values, such as 0.30000000000000004, .*pass tolerance=\{'x': 3e-10\}"
    for call in (swarmgrid.plan, swarmgrid.compute):
        with pytest.warns(RuntimeWarning, match=message) as caught:
            call({}, axes, **options)
        assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        swarmgrid.compute({}, axes, **options)  # now it is stored
        swarmgrid.compute({}, {"x": [0.1 + 1e-12]}, tolerance={"x": 1e-9}, **options)
        swarmgrid.compute({}, {"x": [0.1 + 1e-6]}, **options)


def test_a_stored_grid_tells_of_near_values_that_are_put_into_it() -> None:
    f = swarmgrid.GridFunction(square, store=MemoryStore(), executor="sync", version="1")
    f.put_many({0.3: 0.09})
    near = {0.1 + 0.2: 0.09}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert f.grid().put_many(near, tolerance={"x": 1e-9}) == 0
    with pytest.warns(RuntimeWarning, match=r"'x': 1 of 1 values.*pass tolerance=") as caught:
        assert f.grid().put_many(near) == 1
    assert caught[0].filename == __file__
    for wrong in (1e-9, {"y": 1e-9}, {"x": -1.0}):
        with pytest.raises(swarmgrid.InputError, match="tolerance"):
            f.grid().put_many(near, tolerance=wrong)  # type: ignore[arg-type]


finite = st.floats(allow_nan=False, allow_infinity=True)


@given(st.lists(finite, unique=True), st.lists(finite, unique=True), st.booleans())
@example(
    stored=[-1.7e308], requested=[1.7e308], is_shifted=False
)  # no number is as large as their distance
def test_near_misses_are_those_that_a_search_finds(
    stored: list[float], requested: list[float], is_shifted: bool
) -> None:
    if is_shifted:
        requested = sorted({float(np.nextafter(value, 0)) for value in stored})
    have, want = to_axis("x", stored), to_axis("x", requested)
    with np.errstate(invalid="ignore"):
        expected = [
            w
            for w in want.values.tolist()
            if np.isfinite(w)
            and w not in have.values
            and any(abs(w - h) <= NEAR * abs(w) for h in have.values.tolist())
        ]
    assert near_misses(have, want).tolist() == expected


def shifted(x: float, by: float = 0.0) -> xr.DataArray:
    return xr.DataArray(2 * x, coords={"x": x + by})


def test_a_result_that_says_another_point_is_refused(tmp_path: Path) -> None:
    options: dict[str, Any] = {"func": shifted, "store": tmp_path, "executor": "sync"}
    ds = swarmgrid.compute({"by": 0.0}, {"x": [1, 2.5]}, **options)
    np.testing.assert_array_equal(ds["value"], [2, 5])
    with pytest.raises(swarmgrid.OutputError, match=r"coordinate 'x' is .*2.* at the point x=1"):
        swarmgrid.compute({"by": 1.0}, {"x": [1]}, **options)


@pytest.mark.parametrize("value", [np.float32(0.1), "a", True, np.datetime64("2020-01-01"), 3])
def test_a_result_may_say_its_own_point(value: Any, new_memory_store: Any) -> None:
    def placed(x: Any) -> xr.Dataset:
        return xr.Dataset({"y": 1.0}, coords={"x": value})

    options: Any = {"func": placed, "version": "1", "store": new_memory_store()}
    ds = swarmgrid.compute({}, {"x": [value]}, executor="sync", **options)
    assert ds["y"].item() == 1
