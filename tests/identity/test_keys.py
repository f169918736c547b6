"""Ids of grids, keys of chunks and seeds of points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.errors import IdentityError
from swarmgrid.identity import chunk_key, grid_id, point_seed

PARAMS = {"alpha": 0.4, "model": "fast"}
GRID = "0123456789abcdef0123456789abcdef"

OTHERS = [
    pytest.param("other.f", "c", PARAMS, ["s", "x"], id="another function"),
    pytest.param("sim.f", "d", PARAMS, ["s", "x"], id="other code"),
    pytest.param("sim.f", "c", {"alpha": 0.4}, ["s", "x"], id="a parameter less"),
    pytest.param("sim.f", "c", PARAMS | {"alpha": 1}, ["s", "x"], id="another value"),
    pytest.param("sim.f", "c", PARAMS, ["s"], id="an axis less"),
    pytest.param("sim.f", "c", PARAMS, ["s", "y"], id="another axis"),
    pytest.param("sim.fc", "", PARAMS, ["s", "x"], id="a name that ends in the code"),
]


@pytest.mark.parametrize(("name", "code", "params", "axes"), OTHERS)
def test_a_grid_is_told_by_function_code_params_and_axes(
    name: str, code: str, params: dict[str, Any], axes: list[str]
) -> None:
    assert grid_id(name, code, params, axes) != grid_id("sim.f", "c", PARAMS, ["s", "x"])


def test_neither_the_order_of_params_nor_of_axes_counts() -> None:
    turned = dict(reversed(PARAMS.items()))
    assert grid_id("f", "c", turned, ["x", "s"]) == grid_id("f", "c", PARAMS, iter(["s", "x"]))


def test_the_place_of_a_value_that_is_not_understood_begins_with_params() -> None:
    with pytest.raises(IdentityError, match=r"^params\['model'\]\[1\] cannot be part"):
        grid_id("f", "c", {"model": [0, (x for x in "ab")]}, [])


def test_ids_are_pinned() -> None:
    assert grid_id("sim.f", "c", PARAMS, ["s", "x"]) == "54813977807092ae8dc7c20c73a859c8"
    assert chunk_key(GRID, [b"a", b"bc"]).hex() == "eaa845f8155d408d72abcb8d804cae2d"
    assert point_seed(GRID, {"s": 3, "x": "a"}) == 103939578017614123968208429459682279152


@given(st.lists(st.binary(max_size=3), max_size=3), st.lists(st.binary(max_size=3), max_size=3))
def test_chunk_keys_are_equal_exactly_when_the_bins_are(
    one: list[bytes], other: list[bytes]
) -> None:
    assert (chunk_key(GRID, one) == chunk_key(GRID, other)) == (one == other)
    assert len(chunk_key(GRID, one)) == 16


def test_a_point_has_a_seed_of_its_own_in_each_grid() -> None:
    points = [{"s": s, "x": x} for s in range(10) for x in "ab"]
    seeds = {point_seed(grid, point) for grid in (GRID, GRID[::-1]) for point in points}
    assert len(seeds) == 40
    assert all(0 <= seed < 2**128 for seed in seeds)
    assert np.random.default_rng(next(iter(seeds))).random() < 1


def test_the_order_of_axes_does_not_change_a_seed() -> None:
    assert point_seed(GRID, {"s": np.int64(3), "x": "a"}) == point_seed(GRID, {"x": "a", "s": 3})
