"""What a request can say besides params and axes: randomness, conditions, blocks, options."""

from __future__ import annotations

import functools
import pickle
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import swarmgrid
from tests.long import first, pairs


def draw(x: float, s: str, rng: np.random.Generator) -> float:
    return float(rng.normal()) + x * 0


def drawn(store: Any, x: Any, s: Any, **options: Any) -> xr.DataArray:
    return swarmgrid.compute(axes={"x": x, "s": s}, func=draw, store=store, rng="rng", **options)[
        "value"
    ]


def test_random_numbers_belong_to_the_point_alone(tmp_path: Path) -> None:
    whole = drawn(tmp_path / "a", [1, 2, 3], ["a", "b"], executor="sync").load()
    assert len(np.unique(whole)) == 6
    drawn(tmp_path / "b", [3], ["b"], chunks=1, executor="sync")
    drawn(tmp_path / "b", [2, 3], ["b", "a"], executor="threads")
    grown = drawn(tmp_path / "b", [3, 1, 2], ["b", "a"], executor="processes", workers=2)
    xr.testing.assert_equal(grown.sel(whole.coords), whole)
    promoted = drawn(tmp_path / "c", [0.5, 1, 2, 3], ["b", "a"], executor="sync")
    np.testing.assert_array_equal(promoted.sel(x=[1, 2, 3], s=["a", "b"]), whole)


def maybe_random(x: int, rng: np.random.Generator | None = None) -> float:
    return 0.0 if rng is None else float(rng.normal())


def test_a_function_called_otherwise_is_another_grid(tmp_path: Path) -> None:
    for version in (None, "1"):
        call = functools.partial(
            swarmgrid.run, axes={"x": [1]}, func=maybe_random, store=tmp_path, version=version
        )
        assert call()[0]["value"].item() == 0.0
        ds, done = call(rng="rng")
        assert done.points_computed == 1
        assert ds["value"].item() != 0.0
        assert call()[1].points_computed == 0


def double(x: Any) -> Any:
    return x * 2.0


def test_a_block_function_is_another_grid_than_the_same_called_by_point(tmp_path: Path) -> None:
    options: dict[str, Any] = {"axes": {"x": [1, 2]}, "func": double, "store": tmp_path}
    assert swarmgrid.run(**options)[1].points_computed == 2
    assert swarmgrid.run(vectorized=True, **options)[1].points_computed == 2
    grid = swarmgrid.GridFunction(double, store=tmp_path, vectorized=True)
    assert grid.open()["value"].values.tolist() == [2.0, 4.0]


def test_random_numbers_differ_with_the_params(tmp_path: Path) -> None:
    def noisy(scale: float, x: int, gen: Any) -> float:
        return float(gen.normal()) * scale

    one, two = (
        swarmgrid.compute({"scale": scale}, {"x": [1]}, func=noisy, store=tmp_path, rng="gen")
        for scale in (1.0, 2.0)
    )
    assert one["value"].item() * 2 != two["value"].item()


def product(a: int, b: int, counter: Any = None) -> int:
    if counter is not None:
        counter()
    return a * b


CONDITIONS: dict[str, Any] = {
    "of both axes": lambda a, b: a <= b,
    "of anything": lambda **point: point["a"] <= point["b"],
    "an array": xr.DataArray(
        np.arange(4)[:, None] <= np.arange(3),
        dims=("a", "b"),
        coords={"a": range(4), "b": range(3)},
    ),
    "an array of another order": xr.DataArray(
        np.arange(3)[::-1, None] >= np.arange(5),
        dims=("b", "a"),
        coords={"b": [2, 1, 0], "a": range(5)},
    ),
}


DIVIDED: list[tuple[Any, Any]] = [(None, None), (1, None), (2, None), (1, 2)]


@pytest.mark.parametrize(("where", "divided"), first(4, pairs(list(CONDITIONS), DIVIDED)))
def test_points_left_out_are_never_computed_and_read_as_missing(
    tmp_path: Path, counter: Any, where: str, divided: tuple[Any, Any]
) -> None:
    chunks, shards = divided
    func = functools.partial(product, counter=counter)
    options: dict[str, Any] = {"chunks": chunks, "shards": shards}
    call = functools.partial(swarmgrid.run, func=func, version="1", store=tmp_path, **options)
    axes = {"a": range(4), "b": range(3)}
    ds, done = call(axes=axes, where=CONDITIONS[where])
    a, b = np.meshgrid(range(4), range(3), indexing="ij")
    np.testing.assert_array_equal(ds["value"], np.where(a <= b, a * b, np.nan))
    assert (done.points_computed, done.points_skipped) == (6, 6)
    assert call(axes=axes, where=CONDITIONS[where])[1].points_computed == 0
    assert counter.count == 6
    whole, done = call(axes=axes)
    assert (done.points_computed, done.points_cached) == (6, 6)
    np.testing.assert_array_equal(whole["value"], a * b)
    assert whole["value"].dtype == np.int64
    again, done = call(axes=axes, where=CONDITIONS[where])
    np.testing.assert_array_equal(again["value"], np.where(a <= b, a * b, np.nan))
    assert done.points_cached == 6


def test_a_condition_of_one_axis_holds_for_all_the_others(tmp_path: Path) -> None:
    one_axis = xr.DataArray([True, False], dims="a")
    for where in (one_axis, lambda a: a == 1):
        ds = swarmgrid.compute(
            axes={"b": [5, 6], "a": [1, 2]}, func=product, store=tmp_path, where=where
        )
        np.testing.assert_array_equal(ds["value"], [[5, np.nan], [6, np.nan]])


def test_a_request_of_nothing_has_an_empty_answer(tmp_path: Path) -> None:
    ds, done = swarmgrid.run(
        axes={"a": [1, 2], "b": [3]}, func=product, store=tmp_path / "s", where=lambda: False
    )
    assert dict(ds.sizes) == {"a": 2, "b": 1}
    assert (done.points_computed, done.points_skipped) == (0, 2)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("where", [None, lambda a: False])
def test_an_empty_axis_gives_an_empty_dataset_of_the_right_shape(
    tmp_path: Path, where: Any
) -> None:
    outputs = {"value": swarmgrid.Output(("t",), (4,), "f4")}
    options: dict[str, Any] = {"func": lambda a, b: np.zeros(4, "f4"), "store": tmp_path / "s"}
    ds = swarmgrid.compute(axes={"a": [], "b": [1, 2]}, outputs=outputs, **options)
    assert ds["value"].dims == ("a", "b", "t")
    assert ds["value"].shape == (0, 2, 4)
    assert not (tmp_path / "s").exists()
    swarmgrid.compute(axes={"a": [1], "b": [1]}, **options)
    ds = swarmgrid.compute(axes={"b": [1, 2], "a": []}, **options)
    assert ds["value"].shape == (2, 0, 4)
    assert ds["value"].dtype == np.float32


def test_a_grid_is_opened_in_the_order_asked_for(tmp_path: Path) -> None:
    options: dict[str, Any] = {"func": lambda a, b: 10 * a + b, "store": tmp_path}
    swarmgrid.compute(axes={"a": [1, 2], "b": [3, 4, 5]}, **options)
    for axes in (["b", "a"], ("b", "a"), {"b": [3, 4, 5], "a": [1, 2]}):
        value = swarmgrid.open(axes=axes, **options)["value"]
        assert value.dims == ("b", "a")
        assert value.values.tolist() == [[13, 23], [14, 24], [15, 25]]
    assert swarmgrid.open(axes=["a", "b"], **options)["value"].dims == ("a", "b")
    assert swarmgrid.open(**options)["value"].dims == ("a", "b")


def test_no_axes_are_one_point_and_ten_are_many(tmp_path: Path) -> None:
    assert swarmgrid.compute(func=lambda: 42, store=tmp_path)["value"].item() == 42
    axes = {f"x{i}": [0, 1] for i in range(10)}
    ds = swarmgrid.compute(axes=axes, func=lambda **point: sum(point.values()), store=tmp_path)
    np.testing.assert_array_equal(ds["value"], np.indices((2,) * 10).sum(0))


def block(a: np.ndarray, b: np.ndarray, scale: float, counter: Any = None) -> dict[str, Any]:
    if counter is not None:
        counter()
    assert a.ndim == b.ndim == 2
    return {"sum": a * scale + b, "row": np.stack([a + 0 * b, 0 * a + b], -1)}


def test_a_block_function_is_called_once_per_chunk(tmp_path: Path, counter: Any) -> None:
    func = functools.partial(block, counter=counter)
    options: dict[str, Any] = {"func": func, "version": "1", "store": tmp_path, "vectorized": True}
    a, b = np.arange(10), np.linspace(0, 1, 7)
    call = functools.partial(swarmgrid.run, {"scale": 2.0}, chunks={"a": 5, "b": 7}, **options)
    ds, done = call({"a": a, "b": b})
    assert counter.count == 2
    assert done.points_computed == 70
    np.testing.assert_array_equal(ds["sum"], a[:, None] * 2.0 + b)
    np.testing.assert_array_equal(ds["row"].isel(row_dim_0=1), np.broadcast_to(b, (10, 7)))
    ds, done = call({"b": [*b, 2.0], "a": [*a, 11]})
    assert done.points_computed == 8 + 10
    np.testing.assert_array_equal(ds["sum"].sel(a=11), 22 + np.array([*b, 2.0]))
    np.testing.assert_array_equal(ds["sum"].sel(b=2.0), np.array([*a, 11]) * 2.0 + 2)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        pytest.param(lambda a, b: a * 2.0, r"shape \(3, 1\); expected \(3, 2\)", id="broadcast"),
        pytest.param(lambda a, b: 1.0, r"shape \(\); expected \(3, 2\)", id="scalar"),
        pytest.param(
            lambda a, b: (a + b).T, r"shape \(2, 3\); expected \(3, 2\)", id="transposed"
        ),
    ],
)
def test_a_block_function_must_return_the_block(tmp_path: Path, result: Any, message: str) -> None:
    axes = {"a": [1, 2, 3], "b": [1, 2]}
    with pytest.raises(swarmgrid.OutputError, match=message):
        swarmgrid.compute(axes=axes, func=result, store=tmp_path, vectorized=True)


@pytest.mark.parametrize(
    "values",
    [
        [1, 2],
        (1, 2),
        range(1, 3),
        np.array([1, 2], "u1"),
        pd.Index([1, 2]),
        pd.Series([1, 2]),
        xr.DataArray([1, 2], dims="a"),
        xr.DataArray([0, 0], dims="a", coords={"a": [1, 2]})["a"],
    ],
    ids=lambda v: type(v).__name__,
)
def test_an_axis_may_come_in_any_form(tmp_path: Path, values: Any) -> None:
    swarmgrid.compute(axes={"a": [2, 1], "b": [1]}, func=product, store=tmp_path)
    ds, done = swarmgrid.run(axes={"a": values, "b": [1]}, func=product, store=tmp_path)
    assert done.points_computed == 0
    assert ds["value"].values.ravel().tolist() == [1, 2]


def test_floats_match_within_the_tolerance_that_is_asked_for(tmp_path: Path) -> None:
    def double(x: float) -> float:
        return x * 2

    swarmgrid.compute(axes={"x": [0.3, 1.0]}, func=double, store=tmp_path)
    near = [0.1 + 0.2, 1.0, 2.0]
    assert 0.1 + 0.2 != 0.3
    call = functools.partial(swarmgrid.run, axes={"x": near}, func=double, store=tmp_path)
    ds, done = call(tolerance={"x": 1e-12})
    assert (done.points_computed, done.points_cached) == (1, 2)
    assert ds["value"].values.tolist() == [0.6, 2.0, 4.0]
    assert ds["x"].values.tolist() == near
    with pytest.warns(RuntimeWarning, match="count as new"):
        assert call()[1].points_computed == 1
    with pytest.raises(swarmgrid.AxisError, match="two values of axis 'x' lie within"):
        call(axes={"x": [1.0, 1.01]}, tolerance={"x": 0.1})


def test_a_plan_tells_what_compute_does_and_calls_nothing(tmp_path: Path, counter: Any) -> None:
    func = functools.partial(product, counter=counter)
    options: dict[str, Any] = {"func": func, "version": "1", "store": tmp_path / "s"}
    axes = {"a": range(10), "b": range(4)}
    before = swarmgrid.plan(axes=axes, **options)
    assert (before.points_missing, before.nbytes, before.seconds) == (40, None, None)
    assert "in 1 of 1 chunks (a: 32 (all 10 now), b: 32 (all 4 now)); " in str(before)
    assert counter.count == 0
    assert not (tmp_path / "s").exists()
    swarmgrid.compute(axes=axes, chunks={"a": 3, "b": 4}, **options)
    more = swarmgrid.plan(axes={"b": range(4), "a": range(11)}, where=lambda b: b < 3, **options)
    assert (more.points_total, more.points_cached, more.points_skipped) == (44, 30, 11)
    assert (more.points_missing, more.chunks_missing, more.chunks_total) == (3, 1, 4)
    assert (more.chunks, more.nbytes) == ({"a": 3, "b": 4}, 24)
    assert more.lengths == {"a": 11, "b": 4}
    assert "(a: 3, b: 4)" in str(more)
    assert more.seconds is not None
    assert 0 < more.seconds < 1
    assert str(more).startswith("3 of 44 points to compute (30 cached, 11 left out), in 1 of 4")
    assert "<table>" in more._repr_html_()
    assert counter.count == 40


@swarmgrid.grid(chunks={"s": 2})
def decorated(alpha: float, s: int, strat: str = "a") -> float:
    """Returns a number."""
    return alpha * s + len(strat)


def test_a_decorated_function_is_still_the_function(tmp_path: Path) -> None:
    assert decorated(alpha=0.5, strat="bb", s=3) == 3.5
    assert decorated.__name__ == "decorated"  # type: ignore[attr-defined]
    assert decorated.__doc__ == "Returns a number."
    assert "decorated" in repr(decorated)
    for module in (pickle, cloudpickle):
        assert module.loads(module.dumps(decorated))(alpha=1, s=1) == 2


@pytest.mark.parametrize("executor", ["sync", "processes"])
def test_a_decorated_function_has_everything_at_hand(tmp_path: Path, executor: str) -> None:
    where = {"store": tmp_path, "executor": executor, "workers": 2}
    plan = decorated.plan({"alpha": 1.0}, {"s": [1, 2, 3]}, **where)
    assert plan.points_missing == 3
    ds = decorated.compute({"alpha": 1.0}, {"s": [1, 2, 3]}, **where)
    np.testing.assert_array_equal(ds["value"], [2, 3, 4])
    ds, done = decorated.run({"alpha": 1.0}, {"s": [3, 4]}, **where)
    assert done.points_computed == 1
    assert decorated.stream({"alpha": 1.0}, {"s": [4, 5]}, **where).points_computed == 1
    assert decorated.open({"alpha": 1.0}, **where).sizes == {"s": 5}


def test_the_same_function_with_and_without_decorator_shares_a_grid(tmp_path: Path) -> None:
    axes: dict[str, Any] = {"s": [1, 2]}
    decorated.compute({"alpha": 1.0}, axes, store=tmp_path)
    for func in (decorated, decorated.__wrapped__):  # type: ignore[attr-defined]
        _, done = swarmgrid.run({"alpha": 1.0}, axes, func=func, store=tmp_path)
        assert done.points_computed == 0


def test_options_can_be_set_globally_and_for_a_block(tmp_path: Path) -> None:
    with swarmgrid.set_options(func=product, store=tmp_path / "a"):
        swarmgrid.compute(axes={"a": [1], "b": [2]})
        with swarmgrid.set_options(store=tmp_path / "b"):
            assert swarmgrid.run(axes={"a": [1], "b": [2]})[1].points_computed == 1
        assert swarmgrid.run({}, {"a": [1], "b": [2]})[1].points_computed == 0
    with pytest.raises(swarmgrid.InputError, match="no function"):
        swarmgrid.compute(axes={"a": [1]})
    swarmgrid.set_options(func=product)
    try:
        swarmgrid.compute(axes={"a": [1], "b": [2]}, store=tmp_path / "c")
    finally:
        swarmgrid.set_options(func=None)
    with pytest.raises(swarmgrid.InputError, match="no option 'stor'; did you mean 'store'"):
        swarmgrid.set_options(stor=tmp_path)


def test_streaming_returns_what_was_done(tmp_path: Path) -> None:
    done = swarmgrid.stream(axes={"a": range(3), "b": range(5)}, func=product, store=tmp_path)
    assert isinstance(done, swarmgrid.Diagnostics)
    assert (done.points_total, done.points_computed, done.points_cached) == (15, 15, 0)
    assert done.bytes_written > 0
    assert str(done).startswith("15 points: 15 computed, 0 reused")
    assert "<table>" in done._repr_html_()


def test_an_edited_function_is_a_new_grid_and_undoing_the_edit_finds_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib
    import sys

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = tmp_path / "edited_model.py"

    def computed(source: str) -> int:
        file.write_text(source)
        sys.modules.pop("edited_model", None)
        importlib.invalidate_caches()
        import linecache

        linecache.clearcache()
        module = importlib.import_module("edited_model")
        _, done = swarmgrid.run(axes={"x": [1, 2]}, func=module.f, store=tmp_path / "s")
        return done.points_computed

    first = "def helper(x):\n    return x\ndef f(x):\n    return helper(x) + 1\n"
    assert computed(first) == 2
    assert computed(first.replace("def f(x):\n", "def f(x):\n    '''Doc.'''\n    # why\n\n")) == 0
    assert computed(first.replace("+ 1", "+ 2")) == 2
    assert computed(first.replace("return x", "return -x")) == 2
    assert computed(first) == 0
