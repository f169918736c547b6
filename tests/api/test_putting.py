"""Known results count as computed: all of them or none, once they are seen to fit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.leases import lease
from swarmgrid.transfer import writing
from tests.conftest import Killed
from tests.long import examples, first

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0, "version": "1"}
X, Y = [3, 1, 2, 7], ["b", "a", "c"]


class Mode(Enum):
    FAST, SLOW = 1, 2


def model(x: int, y: str) -> dict[str, Any]:
    return {"v": x + ord(y) / 2, "word": y * x, "t": xr.DataArray([x, 0.5], {"k": ["a", "b"]})}


def never(x: int, y: str) -> dict[str, Any]:
    raise AssertionError("what was put is not computed")


def bound(store: Any, func: Any = model, **options: Any) -> Any:
    return swarmgrid.GridFunction(func, store=store, **{**OPTIONS, **options})


POINTS = st.sets(st.tuples(st.sampled_from(X), st.sampled_from(Y)))
CHUNKS = st.fixed_dictionaries({"x": st.integers(1, 4), "y": st.integers(1, 3)})


@settings(max_examples=examples(9))
@given(st.lists(st.tuples(st.booleans(), POINTS), min_size=1, max_size=3), CHUNKS)
def test_whatever_is_put_and_computed_is_there(steps: Any, chunks: Any) -> None:
    f = bound(MemoryStore())
    known: set[tuple[int, str]] = set()
    for is_put, points in steps:
        if is_put:
            ordered = sorted(points)
            n = f.put_many({p: model(*p) for p in ordered}, chunks=None if known else chunks)
            assert n == len(points - known)
            known |= points
        elif points:
            axes = {"x": sorted({x for x, _ in points}), "y": sorted({y for _, y in points})}
            done = f.run({}, axes, chunks=None if known else chunks)[1]
            asked = {*itertools.product(*axes.values())}
            assert done.points_cached == len(asked & known)
            known |= asked
    if known:
        grid = f.grid()
        assert grid.verify().is_clean
        assert grid.state().points_computed == len(known)
        (row,) = swarmgrid.catalog(f.__swarmgrid_options__["store"]).rows
        assert row.points_computed == len(known)
        for x, y in known:
            one = grid.get(x=x, y=y)
            expected = model(x, y)
            assert one["v"].item() == expected["v"]
            assert one["word"].item() == expected["word"]
            assert one["t"].values.tolist() == [x, 0.5]


def test_a_dataset_of_another_store_goes_in_and_nothing_is_computed() -> None:
    ds = bound(MemoryStore()).compute({}, {"y": Y, "x": X})
    f = bound(MemoryStore(), never)
    assert f.put_many(ds) == 12
    again = f.compute({}, {"x": X, "y": Y}).load()
    xr.testing.assert_equal(again, ds.load().transpose("x", "y", "k"))
    assert again.attrs["swarmgrid_function"] == "never"
    assert f.put_many(ds) == 0


def small(x: int) -> dict[str, Any]:
    return {"n": x, "is_odd": bool(x % 2), "word": "w" * x}


def test_points_that_read_as_missing_are_an_error_left_out_or_put() -> None:
    f = bound(MemoryStore(), small)
    ds = f.compute({}, {"x": [1, 2, 3]}, where=lambda x: x != 2)
    other = bound(MemoryStore(), small)
    with pytest.raises(swarmgrid.InputError, match=r"1 points have no value .* x=2"):
        other.put_many(ds)
    assert len(swarmgrid.catalog(other.__swarmgrid_options__["store"])) == 0
    other.stream({}, {"x": [5]})
    assert other.put_many(ds, missing="skip") == 2
    found = other.grid().get(x=[1, 3])
    assert (found["n"].dtype, found["is_odd"].dtype) == ("int64", "bool")
    assert found["word"].values.tolist() == ["w", "www"]
    assert other.grid().exists(x=2) is False
    new = bound(MemoryStore(), small)
    assert new.put_many(ds[["word", "is_odd"]], missing="skip") == 2
    assert new.grid().get(x=3)["is_odd"].item() is True

    def plain(x: int) -> float:
        return 1.0

    g = bound(MemoryStore(), plain)
    with_nan = xr.DataArray([1.0, np.nan, 2.0], {"x": [1, 2, 3]})
    assert g.put_many(with_nan, missing="put") == 3
    assert np.isnan(g.grid().get(x=2)["value"].item())
    where = xr.DataArray([True, False, True], {"x": [1, 2, 3]})
    assert bound(MemoryStore(), plain).put_many(with_nan, where=where) == 2


def scalar(x: float, y: float = 1.0, *, alpha: float = 2.0) -> float:
    return x * y * alpha


def test_params_orders_and_defaults_are_those_of_the_function() -> None:
    f = bound(MemoryStore(), scalar)
    assert f.put_many({1.0: 2, 2: 4.5}) == 2
    assert f.open()["value"].dtype == "float64"
    assert f.put_many({(3.0, 0.5): 1.0}, {"alpha": 9.0}, ["y", "x"]) == 1
    assert f.grid({"alpha": 9.0}, ["x", "y"]).exists(x=0.5, y=3.0) is True
    ds = xr.Dataset({"value": (("y", "x"), [[1.0, 2.0]])}, {"y": [4.0], "x": [1.0, 2.0]})
    assert f.put_many(ds, {"alpha": 9.0}) == 2
    assert f.grid({"alpha": 9.0}, ["x", "y"]).get(x=2.0, y=4.0)["value"].item() == 2.0


def test_the_function_may_stand_first() -> None:
    options: dict[str, Any] = {"store": MemoryStore(), "executor": "sync", "version": "1"}
    assert swarmgrid.put_many(scalar, {1.0: 2.0}, **options) == 1
    assert swarmgrid.put_many(scalar, values={2.0: 4.0}, **options) == 1
    assert swarmgrid.put_many({3.0: 6.0}, func=scalar, **options) == 1
    assert (
        swarmgrid.put_many(scalar, {(1.0, 3.0): 9.0}, {"alpha": 3.0}, ["y", "x"], **options) == 1
    )
    f = bound(options["store"], scalar)
    assert f.open()["x"].values.tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(swarmgrid.SignatureError, match="put_many has no values; expected a dict"):
        swarmgrid.put_many(scalar, **options)
    twice: Any = {"func": small}
    with pytest.raises(swarmgrid.SignatureError, match="two functions"):
        swarmgrid.put_many(scalar, {4.0: 1.0}, **twice, **options)


def test_what_sel_leaves_of_an_axis_is_its_one_value() -> None:
    f = bound(MemoryStore(), small_product)
    ds = xr.Dataset({"value": (("x", "y"), [[3.0, 4.0], [6.0, 8.0]])}, {"x": [1, 2], "y": [3, 4]})
    assert f.put_many(ds.sel(y=4)) == 2
    assert f.put_many(ds.sel(x=2, y=3)) == 1
    assert f.grid().put_many(ds.isel(x=0)) == 1
    assert f.open()["value"].sel(x=ds.x, y=ds.y).load().equals(ds["value"].load())


def small_product(x: int, y: int) -> float:
    return float(x * y)


def with_mode(mode: Any, x: int) -> float:
    return 1.0


def test_labels_and_members_go_in_by_name_or_as_they_are() -> None:
    f = bound(MemoryStore(), with_mode)
    assert f.put_many({(Mode.FAST, 1): 1.0}) == 1
    ds = xr.Dataset(
        {"value": (("mode", "x"), [[1.0], [3.0]])}, {"mode": ["FAST", "SLOW"], "x": [1]}
    )
    assert f.put_many(ds, axes={"mode": Mode, "x": None}) == 1
    assert f.grid().put_many({("SLOW", 2): 5.0}) == 1
    with pytest.raises(swarmgrid.InputError, match="has no enum 'NEW'"):
        f.grid().put_many({("NEW", 2): 5.0})
    g = bound(MemoryStore(), with_mode)
    labels = {"mode": {"none": None, "four": [4]}, "x": None}
    assert g.put_many({("none", 1): 1.0, ("four", 1): 2.0}, axes=labels) == 2
    assert g.plan({}, {"mode": {"none": None, "four": [4]}, "x": [1]}).points_missing == 0
    with pytest.raises(swarmgrid.AxisError, match="stands for another value"):
        g.put_many({("four", 2): 1.0}, axes={"mode": {"four": 4}, "x": None})


def test_the_manifest_says_that_points_were_put_and_costs_come_from_the_others() -> None:
    f = bound(MemoryStore())
    f.put_many({(1, "a"): model(1, "a")}, tags={"site": "lab"})
    timings = f.grid().timings()
    assert timings["seconds"].values.tolist() == [[0.0]]
    (writer,) = timings.attrs["writers"]
    assert ", job put_many" in writer
    assert f.grid().plan().seconds is None
    f.stream({}, {"x": [2], "y": ["a"]})
    mine = f.grid().timings()["seconds"].sel(x=2, y="a").item()
    plan = f.plan({}, {"x": [2, 3], "y": ["a"]})
    assert plan.seconds == pytest.approx(mine, rel=1e-3)
    assert f.grid().tags == {"site": "lab"}


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    ({(1,): 1.0}, {}, r"the point \(1,\) has 1 value; expected one for each axis, \(x, y\)"),
    ([((1, "a"), 2)], {}, "expected a dict from points to results"),
    ({(1, "a"): None}, {}, r"the result at {'x': 1, 'y': 'a'} cannot be stored"),
    ({(1, "a"): {"v": 1.0}}, {}, "returned the outputs"),
    ({(1, "a"): {**model(1, "a"), "v": "text"}}, {}, "output 'v' has the dtype"),
    ({(1, "a"): {**model(1, "a"), "t": [1.0]}}, {}, "is a list"),
    ({(1, "a"): {**model(1, "a"), "t": np.ones(3)}}, {}, r"shape \(3,\); expected \(2,\)"),
    ({("a", 1): model(1, "a")}, {}, "axis"),
    ({(float("nan"), "a"): model(1, "a")}, {}, "NaN"),
    ({(1, "a"): model(1, "a")}, {"params": {"x": 1}}, "expected one for each axis"),
    ({(1, "a"): model(1, "a")}, {"axes": ["x", "z"]}, "'z'"),
    ({(1, "a"): model(1, "a")}, {"on_conflict": "replace"}, "expected 'keep' or 'raise'"),
    ({(1, "a"): model(1, "a")}, {"missing": "no"}, "expected one of raise, skip, put"),
    (xr.Dataset({"v": ("x", [1.0])}, {"x": [1]}), {}, "'y', which is neither"),
    (xr.Dataset({"v": (("x", "y"), [[1.0]])}, {"x": [1]}), {}, "no coordinate 'y'"),
    (pd.Series([1.0]), {}, r"pandas Series.*\.to_xarray\(\)"),
]


@pytest.mark.parametrize(("values", "given", "message"), REFUSED, ids=itertools.count())
def test_what_does_not_fit_is_refused_before_anything_is_written(
    values: Any, given: dict[str, Any], message: str
) -> None:
    f = bound(MemoryStore())
    f.stream({}, {"x": [9], "y": ["z"]})
    before = dict(f.__swarmgrid_options__["store"]._store_dict)
    with pytest.raises(swarmgrid.InputError, match=message):
        f.put_many(values, **given)
    assert dict(f.__swarmgrid_options__["store"]._store_dict) == before


def test_values_within_the_tolerance_are_the_stored_ones() -> None:
    f = bound(MemoryStore(), scalar)
    f.stream({}, {"x": [0.3, 1.0]})
    with pytest.raises(swarmgrid.ConflictError):
        f.put_many({0.1 + 0.2: 5.0}, tolerance={"x": 1e-9})
    assert f.put_many({0.1 + 0.2: 0.6, 2.0: 4.0}, tolerance={"x": 1e-9}) == 1
    assert f.open()["x"].values.tolist() == [0.3, 1.0, 2.0]


def test_points_far_apart_are_no_grid() -> None:
    f = bound(MemoryStore(), scalar)
    with pytest.raises(swarmgrid.InputError, match="Put them in several calls"):
        f.put_many({(float(n), n + 0.5): 1.0 for n in range(2**14)}, axes=["x", "y"])


def test_another_value_is_a_conflict_and_the_grid_keeps_its_own() -> None:
    f = bound(MemoryStore(), scalar)
    f.stream({}, {"x": [1.0]})
    with pytest.raises(
        swarmgrid.ConflictError, match=r"scalar\(x=1\.0\): value is 2\.0, not 5\.0"
    ):
        f.put_many({1.0: 5.0, 2.0: 4.0})
    assert f.grid().exists(x=[1.0, 2.0]).values.tolist() == [True, False]
    assert f.put_many({1.0: 5.0, 2.0: 4.0}, on_conflict="keep") == 1
    assert f.open()["value"].values.tolist() == [2.0, 4.0]
    assert f.grid().invalidate(x=1.0) == 1
    assert f.put_many({1.0: 5.0}) == 1
    assert f.open()["value"].values.tolist() == [5.0, 4.0]


def test_encodings_and_layouts_of_a_new_grid_are_those_of_compute() -> None:
    encoding = {"value": {"dtype": "float32"}}
    f = bound(MemoryStore(), scalar, encoding=encoding, chunks={"x": 2}, codec="auto")
    assert f.put_many({float(n): n / 3 for n in range(5)}) == 5
    state = f.grid().state()
    assert (state.chunks, state.encodings["value"][:7]) == ({"x": 2}, "float32")
    assert f.put_many({float(n): n / 3 for n in range(5)}) == 0  # alike, as stored
    assert f.grid().verify().is_clean
    key = swarmgrid.Key(b"k" * 32)
    g = bound(MemoryStore(), scalar, key=key)
    assert g.put_many({1.0: 2.0}) == 1
    assert "encrypted" in g.grid().state().encodings["value"]


@pytest.mark.parametrize("every", first(1, [20, 1]))
def test_a_kill_at_any_step_leaves_none_of_the_points_or_all(
    tmp_path: Path,
    kill_at: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    every: int,
) -> None:
    monkeypatch.setattr(writing, "_ROWS", 1)  # each chunk would be a commit of its own
    known = {(x, y): model(x, y) for x, y in itertools.product(X, Y)}
    for k in itertools.count(every // 2, every):
        f = bound(tmp_path / str(k), chunks={"x": 2, "y": 1})
        f.stream({}, {"x": [1], "y": ["a"]})
        kill_at(k)
        try:
            is_done = f.put_many(known) > 0
        except Killed:
            is_done = False
        kill_at(-1)
        lease._own.clear()  # as in a process that has ended
        grid = f.grid()
        left = grid.state().points_computed
        assert left in (1, 12)
        assert grid.verify().is_clean
        assert grid.get(x=1, y="a")["word"].item() == "a"
        assert f.put_many(known) == 12 - left
        assert grid.verify().is_clean
        xr.testing.assert_equal(
            f.compute({}, {"x": X, "y": Y}).load(),
            bound(MemoryStore()).compute({}, {"x": X, "y": Y}).load(),
        )
        if is_done:
            break
    assert k > 8
