"""Ids of grids, keys of chunks and seeds of points."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from swarmgrid.identity import AXES_DIGITS, axes_id, chunk_digest, grid_id, keys, point_seed

GRID = "0123456789abcdef0123456789abcdef"
FIXED = {"alpha": "1", "model": "2"}


def test_neither_the_order_of_params_nor_of_axes_nor_of_ways_to_call_counts() -> None:
    turned = dict(reversed(FIXED.items()))
    one = grid_id("f", "c", FIXED, ["s", "x"], how={"rng": None, "vectorized": True})
    assert one == grid_id("f", "c", turned, ["x", "s"], how={"vectorized": True, "rng": None})


def test_ids_are_pinned() -> None:
    assert grid_id("sim.f", "c", FIXED, ["s", "x"]) == "324fd638d0139c7c3a8da06615496c5f"
    assert chunk_digest(GRID, [b"a", b"bc"]).hex() == "eaa845f8155d408d72abcb8d804cae2d"
    assert point_seed(GRID, {"s": 3, "x": "a"}) == 316931937950524606141780496063974666958


TEXT = st.text("ab =", max_size=3)
IDENTITIES = st.fixed_dictionaries(
    {
        "name": TEXT,
        "code": st.tuples(st.sampled_from(["version", "code"]), TEXT, st.lists(TEXT, max_size=2)),
        "fixed": st.dictionaries(TEXT, TEXT, max_size=2),
        "axes": st.sets(TEXT, max_size=2),
        "how": st.fixed_dictionaries({"rng": st.none() | TEXT, "vectorized": st.booleans()}),
        "depends": st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=2),
    }
)


@given(IDENTITIES, IDENTITIES, st.sets(st.sampled_from(["name", "code", "fixed", "axes", "how"])))
@example(
    {
        "name": "f",
        "code": ("version", "1 rng=x", []),
        "fixed": {},
        "axes": set(),
        "how": {},
        "depends": [],
    },
    {
        "name": "f",
        "code": ("version", "1", []),
        "fixed": {},
        "axes": set(),
        "how": {"rng": "x"},
        "depends": [],
    },
    set(),
)
def test_two_grids_have_one_id_exactly_when_all_parts_are_equal(
    one: dict[str, Any], other: dict[str, Any], shared: set[str]
) -> None:
    other = {**other, **{name: one[name] for name in shared}}
    assert (grid_id(**one) == grid_id(**other)) == (one == other)
    assert (grid_id(**one)[:AXES_DIGITS] == axes_id(other["axes"])) == (
        one["axes"] == other["axes"]
    )


@given(st.lists(st.binary(max_size=3), max_size=3), st.lists(st.binary(max_size=3), max_size=3))
def test_chunk_digests_are_equal_exactly_when_the_bins_are(
    one: list[bytes], other: list[bytes]
) -> None:
    assert (chunk_digest(GRID, one) == chunk_digest(GRID, other)) == (one == other)
    assert len(chunk_digest(GRID, one)) == 16


def test_a_point_has_a_seed_of_its_own_in_each_grid() -> None:
    points = [{"s": s, "x": x} for s in range(10) for x in "ab"]
    seeds = {point_seed(grid, point) for grid in (GRID, GRID[::-1]) for point in points}
    assert len(seeds) == 40
    assert all(0 <= seed < 2**128 for seed in seeds)
    assert np.random.default_rng(next(iter(seeds))).random() < 1


def test_no_two_points_share_a_seed_by_what_their_names_and_values_run_together_to() -> None:
    points = [
        {"a": "bc"},
        {"ab": "c"},
        {"a": "b", "c": ""},
        {"a": "b", "c": "c"},
        {"a": 1, "b": 2},
    ]
    points += [{"a": 2, "b": 1}, {"a": "1"}, {"a": 1}, {"b": 1}, {"a": True}, {"a": 1.5}, {}]
    assert len({point_seed(GRID, point) for point in points}) == len(points)


def test_a_seed_costs_few_steps_where_other_points_have_the_same_values() -> None:
    n_steps = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal n_steps
        n_steps += event == "call"

    for s in range(10):
        point_seed(GRID, {"s": s, "x": s / 4, "name": "aaa"})
    sys.setprofile(count)
    try:
        point_seed(GRID, {"s": 3, "x": 1.5, "name": "aaa"})
    finally:
        sys.setprofile(None)
    assert n_steps <= 5


AXIS_VALUES = st.one_of(
    st.integers(-3, 3), st.sampled_from([-0.0, 0.0, 1.0, 0.5]), st.booleans(), st.text(max_size=2)
)


@given(st.lists(st.dictionaries(st.sampled_from("ab"), AXIS_VALUES), max_size=8))
def test_a_seed_does_not_depend_on_the_points_before_it(points: list[dict[str, Any]]) -> None:
    seeds = [point_seed(GRID, point) for point in points]
    for point, seed in zip(points, seeds, strict=True):
        keys._known_axis_bytes.cache_clear()
        assert point_seed(GRID, point) == seed


def test_the_order_of_axes_does_not_change_a_seed() -> None:
    assert point_seed(GRID, {"s": np.int64(3), "x": "a"}) == point_seed(GRID, {"x": "a", "s": 3})
