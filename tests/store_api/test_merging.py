"""Merging two stores gives the union of their points; a conflict is listed, never overwritten."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid import Grid
from swarmgrid.leases import lease
from tests.conftest import Killed
from tests.long import examples, first
from tests.overtaken import OvertakenStore
from tests.servers.s3 import S3Server

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0, "version": "1"}
X: list[float] = [3, 1, 2, 0.5, 7, 4]
S = ["b", "a", "c"]
_wrong: set[tuple[float, str]] = set()
"""Points at which the function returns something else, as if another machine did."""


def simulate(x: float, s: str) -> dict[str, Any]:
    number = 10.0 * x + ord(s) + ((x, s) in _wrong)
    return {"number": number, "word": s * int(x), "pair": np.array([x, np.nan])}


def fill(store: Any, requests: list[dict[str, Any]], wrong: Any = (), **options: Any) -> None:
    _wrong.update(wrong)
    try:
        for request in requests:
            call = {"func": simulate, "store": store, **OPTIONS, **options, **request}
            swarmgrid.stream({}, call.pop("axes"), **call)
    finally:
        _wrong.clear()


def computed(store: Any) -> dict[tuple[float, str], float]:
    """The values of the one grid's computed points; of the others nothing counts."""
    grid = Grid.open(store, "simulate/")
    assert grid.verify().is_clean
    ds, status = grid.dataset().load(), grid.status().load()
    found = {}
    for x, s in itertools.product(ds["x"].values.tolist(), ds["s"].values.tolist()):
        at = {"x": x, "s": s}
        if int(status.sel(at)) == 1:
            point = ds.sel(at)
            assert str(point["word"].item()) == s * int(x)
            np.testing.assert_array_equal(point["pair"].values, [x, np.nan])
            found[x, s] = float(point["number"])
    return found


def true_value(x: float, s: str, wrong: Any = ()) -> float:
    return 10.0 * x + ord(s) + ((x, s) in wrong)


def times(store: Any) -> dict[tuple[float, str], tuple[Any, ...]]:
    """The cost, time and writer of every computed point."""
    found = Grid.open(store, "simulate/").timings().load()
    writers = found.attrs["writers"]
    return {
        (x, s): (
            round(float(found["seconds"].sel(x=x, s=s)), 4),
            found["time"].sel(x=x, s=s).values.item(),
            str(writers[int(found["writer"].sel(x=x, s=s))]),
        )
        for x in found["x"].values.tolist()
        for s in found["s"].values.tolist()
        if int(found["writer"].sel(x=x, s=s)) >= 0
    }


AXES = st.fixed_dictionaries(
    {
        "x": st.lists(st.sampled_from(X), min_size=1, max_size=4, unique=True),
        "s": st.lists(st.sampled_from(S), min_size=1, unique=True),
    }
).flatmap(lambda axes: st.permutations(list(axes.items())).map(dict))
LAYOUTS = st.sampled_from(
    [
        {"chunks": {"x": 1, "s": 1}},
        {"chunks": {"x": 2, "s": 3}},
        {"chunks": {"x": 4, "s": 1}},
        {"chunks": {"x": 1, "s": 1}, "shards": {"x": 4, "s": 2}},
    ]
)
REQUESTS = st.lists(st.fixed_dictionaries({"axes": AXES}), min_size=1, max_size=3)


@settings(max_examples=examples(5))
@given(REQUESTS, REQUESTS, LAYOUTS, LAYOUTS, st.sets(st.sampled_from([*itertools.product(X, S)])))
def test_the_target_has_the_union_and_keeps_its_own_values(
    ours: Any, theirs: Any, layout: Any, other: Any, wrong: set[tuple[float, str]]
) -> None:
    source, target = MemoryStore(), MemoryStore()
    fill(target, ours[:1], **layout)
    fill(target, ours[1:])
    fill(source, theirs[:1], wrong, **other)
    fill(source, theirs[1:], wrong)
    before, added = computed(target), computed(source)
    clash = {point for point in before.keys() & added.keys() if before[point] != added[point]}
    assert clash == before.keys() & added.keys() & wrong
    plan = swarmgrid.merge(source, target, dry_run=True)
    assert computed(target) == before
    costs = times(source) | times(target)
    done = swarmgrid.merge(source, target)
    assert done.points_added == plan.points_added == len(added.keys() - before.keys())
    assert done.points_conflicting == plan.points_conflicting == len(clash)
    assert done.points_alike == len(before.keys() & added.keys()) - len(clash)
    assert {(c.point["x"], c.point["s"]) for c in done.conflicts} == clash
    for conflict in done.conflicts:
        x, s = conflict.point["x"], conflict.point["s"]
        assert conflict.values == {"number": (true_value(x, s), true_value(x, s, wrong))}
    assert computed(target) == added | before
    assert times(target) == costs
    assert computed(source) == added
    again = swarmgrid.merge(source, target)
    assert (again.points_added, again.nbytes) == (0, 0)
    assert again.points_conflicting == len(clash)


def test_a_merge_that_adds_nothing_reads_no_chunk_and_takes_no_lease(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fill(tmp_path / name, [{"axes": {"x": X, "s": S}}], chunks={"x": 2, "s": 2})
    for chunk in (tmp_path / "a" / "data.zarr").rglob("c.*"):
        if chunk.parent.name in {"number", "word", "pair"}:
            chunk.unlink()  # who would read it would find it missing
    done = swarmgrid.merge(tmp_path / "a", tmp_path / "b")
    assert (done.points_added, done.points_alike) == (0, len(X) * len(S))
    assert "0 points added" in str(done)
    assert [p.name for p in (tmp_path / "b" / "locks").glob("*/*.json")] == ["000000000000.json"]


def failing(x: int) -> int:
    if x % 3 == 0:
        raise ValueError(f"no {x}")
    return x


def test_failures_and_tags_come_along_and_the_target_keeps_its_own() -> None:
    source, target = MemoryStore(), MemoryStore()
    call: dict[str, Any] = {"func": failing, "on_error": "record", **OPTIONS}
    swarmgrid.stream({}, {"x": [5, 6, 1, 3]}, store=source, tags={"a": 1, "b": 1}, **call)
    swarmgrid.stream({}, {"x": [3, 2]}, store=target, chunks=1, tags={"b": 2}, **call)
    grid = Grid.open(target, "")
    own = grid.errors()
    done = swarmgrid.merge(source, target)
    assert (done.points_added, done.grids[0].failures) == (2, 1)
    errors = grid.errors()
    assert sorted(errors["x"]) == [3, 6]
    assert errors[errors["x"] == 3]["time"].item() == own["time"].item()
    assert "no 6" in errors[errors["x"] == 6]["reason"].item()
    assert grid.tags == {"a": 1, "b": 2}
    assert grid.status().values.tolist() == [2, 1, 1, 2, 1]
    (row,) = swarmgrid.catalog(target).rows
    assert (row.points_computed, row.points_failed, row.tags) == (3, 2, {"a": 1, "b": 2})
    again = swarmgrid.merge(source, target)
    assert (again.points_added, again.grids[0].failures) == (0, 0)


def block(x: Any, y: Any) -> Any:
    if (x == 2).any():
        raise ValueError("two")
    return x + y


def test_the_failure_of_a_block_goes_to_every_chunk_that_its_points_are_in() -> None:
    source, target = MemoryStore(), MemoryStore()
    call: dict[str, Any] = {"func": block, "vectorized": True, "on_error": "record", **OPTIONS}
    swarmgrid.stream({}, {"x": [1, 2], "y": range(4)}, store=source, chunks={"x": 1}, **call)
    swarmgrid.stream({}, {"y": [9], "x": [1]}, store=target, chunks={"x": 1, "y": 2}, **call)
    swarmgrid.merge(source, target)
    status = Grid.open(target, "").status().load()
    assert status.sel(x=2, y=range(4)).values.tolist() == [2, 2, 2, 2]
    assert status.sel(x=1).values.tolist() == [1] * 5
    assert int(status.sel(x=2, y=9)) == 0


def test_conflicts_can_be_an_error_before_anything_is_written() -> None:
    source, target = MemoryStore(), MemoryStore()
    fill(target, [{"axes": {"x": [1], "s": ["a"]}}])
    fill(source, [{"axes": {"x": [1, 2], "s": ["a"]}}], {(1, "a")})
    swarmgrid.stream({}, {"x": [1]}, func=failing, store=source, **OPTIONS)
    with pytest.raises(swarmgrid.ConflictError, match=r"1 point has .*\n.*number is") as caught:
        swarmgrid.merge(source, target, on_conflict="raise")
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.count, error.conflicts) == (1, caught.value.conflicts)
    assert len(swarmgrid.catalog(target)) == 1
    assert computed(target).keys() == {(1, "a")}
    Grid.open(target, "").invalidate(x=1)
    assert swarmgrid.merge(source, target, on_conflict="raise").points_added == 3


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (lambda x: 1.5, lambda x: "text", "is of string; the target has float64"),
        (lambda x: 1, lambda x: 1.5, r"grid\.convert\('value', 'float64'\)"),
        (lambda x: 1.5, lambda x: {"other": 1.5}, "the outputs are other; the target has value"),
        (lambda x: np.zeros(2), lambda x: np.zeros(3), "the target has"),
        (
            lambda x: xr.DataArray([0.0], {"k": ["a"]}),
            lambda x: xr.DataArray([0.0], {"k": ["b"]}),
            "coordinate 'k'",
        ),
    ],
    ids=["text", "wider", "names", "shape", "coordinate"],
)
def test_grids_that_do_not_go_together_are_named_before_anything_is_written(
    first: Any, second: Any, message: str
) -> None:
    source, target = MemoryStore(), MemoryStore()
    for func, store in ((first, target), (second, source)):
        func.__name__ = func.__qualname__ = "same"
        swarmgrid.stream({}, {"x": [1]}, func=func, store=store, **OPTIONS)
    swarmgrid.stream({}, {"x": [1]}, func=failing, store=source, **OPTIONS)
    with pytest.raises(swarmgrid.InputError, match=message) as caught:
        swarmgrid.merge(source, target)
    assert "1 grid cannot be merged; nothing was written" in str(caught.value)
    assert len(swarmgrid.catalog(target)) == 1
    assert swarmgrid.merge(source, target, function="failing").points_added == 1


def test_ints_join_floats_and_axes_of_ints_become_floats() -> None:
    source, target = MemoryStore(), MemoryStore()
    swarmgrid.stream({}, {"x": [0.5]}, func=lambda x: x, store=target, **OPTIONS)
    swarmgrid.stream({}, {"x": [1, 2]}, func=lambda x: x, store=source, **OPTIONS)
    swarmgrid.merge(source, target)
    ds = Grid.open(target, "").dataset()
    assert (ds["x"].values.tolist(), ds["value"].values.tolist()) == ([0.5, 1, 2], [0.5, 1, 2])
    assert Grid.open(target, "").verify().is_clean


def test_axes_of_other_kinds_do_not_join() -> None:
    source, target = MemoryStore(), MemoryStore()
    swarmgrid.stream({}, {"x": ["a"]}, func=lambda x: 1, store=target, **OPTIONS)
    swarmgrid.stream({}, {"x": [1]}, func=lambda x: 1, store=source, **OPTIONS)
    with pytest.raises(swarmgrid.InputError, match="'x' holds int values here"):
        swarmgrid.merge(source, target)


def test_a_damaged_value_is_not_merged(tmp_path: Path) -> None:
    fill(tmp_path / "a", [{"axes": {"x": [1, 2], "s": S}}], chunks=1)
    fill(tmp_path / "b", [{"axes": {"x": [1], "s": ["a"]}}])
    (folder,) = (tmp_path / "a" / "data.zarr").glob("*/*/number")
    (folder / "c.1.1").write_bytes((folder / "c.0.0").read_bytes())
    with pytest.raises(swarmgrid.DamageError, match=r"c\.1\.1"):
        swarmgrid.merge(tmp_path / "a", tmp_path / "b")
    found = computed(tmp_path / "b")
    assert all(value == true_value(*point) for point, value in found.items())
    Grid.open(tmp_path / "a", "").repair()
    swarmgrid.merge(tmp_path / "a", tmp_path / "b")
    assert len(computed(tmp_path / "b")) == 5


@pytest.mark.parametrize("on_conflict", ["raise", "keep"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_conflict_that_comes_before_the_lease_is_seen_too(
    on_conflict: str, is_there: bool
) -> None:
    source, target = MemoryStore(), OvertakenStore()
    fill(source, [{"axes": {"x": [1, 2], "s": ["a"]}}])
    if is_there:
        fill(target, [{"axes": {"x": [3], "s": ["a"]}}])
    (row,) = swarmgrid.catalog(source)
    target.grid = row.id
    target.then = lambda: fill(target, [{"axes": {"x": [2], "s": ["a"]}}], wrong={(2, "a")})
    if on_conflict == "raise":
        with pytest.raises(swarmgrid.ConflictError, match=r"x=2"):
            swarmgrid.merge(source, target, on_conflict="raise")
    else:
        assert swarmgrid.merge(source, target).points_conflicting == 1
    found = computed(target)
    assert found[2, "a"] == 20.0 + ord("a") + 1
    assert ((1, "a") in found) == (on_conflict == "keep")


@pytest.mark.parametrize("given_", [{"on_conflict": "replace"}, {"dry_run": "yes"}])
def test_what_makes_no_sense_is_refused(given_: Any) -> None:
    with pytest.raises(swarmgrid.InputError, match="expected"):
        swarmgrid.merge(MemoryStore(), MemoryStore(), **given_)


def constant() -> float:
    return 1.0 + bool(_wrong)


def test_a_grid_without_axes_is_merged() -> None:
    source, target, third = MemoryStore(), MemoryStore(), MemoryStore()
    for store, wrong in ((source, {}), (target, {}), (third, {(0.0, "")})):
        _wrong.update(wrong)
        swarmgrid.stream({}, {}, func=constant, store=store, **OPTIONS)
    _wrong.clear()
    assert swarmgrid.merge(source, target).points_alike == 1
    done = swarmgrid.merge(third, target)
    assert done.conflicts[0].values == {"value": (1.0, 2.0)}
    Grid.open(target, "").drop()
    assert swarmgrid.merge(third, target).points_added == 1


@pytest.mark.parametrize("every", first(1, [9, 1]))
def test_a_kill_at_any_step_leaves_right_points_and_the_call_again_adds_the_rest(
    tmp_path: Path, kill_at: Callable[[int], None], every: int
) -> None:
    source = tmp_path / "from"
    fill(source, [{"axes": {"x": [1, 0.5, 2], "s": ["a", "c"]}}], chunks={"x": 1, "s": 2})
    swarmgrid.stream({}, {"x": [1]}, func=lambda x: x, store=source, tags={"a": 1}, **OPTIONS)
    for k in itertools.count(every // 2, every):
        target = tmp_path / str(k)
        fill(target, [{"axes": {"s": ["b", "a"], "x": [1, 2]}, "where": lambda x, s: x == 1}],
            chunks={"x": 2, "s": 2}, tags={"b": 1})  # fmt: skip
        before = computed(target)
        kill_at(k)
        try:
            swarmgrid.merge(source, target)
            is_done = True
        except Killed:
            is_done = False
        kill_at(-1)
        lease._own.clear()  # as in a process that has ended
        left = computed(target)
        assert before.items() <= left.items()
        assert all(value == true_value(*point) for point, value in left.items())
        again = swarmgrid.merge(source, target)
        assert len(computed(target)) == 2 + 5
        assert not is_done or again.points_added == 0
        assert {row.points_computed for row in swarmgrid.catalog(target).rows} == {1, 7}
        if is_done:
            break
    assert k > 15


@pytest.mark.long
@pytest.mark.server
def test_a_directory_and_s3_are_merged_and_copied_both_ways(s3: S3Server, tmp_path: Path) -> None:
    here, there, url = tmp_path / "here", tmp_path / "there", s3.url("merged")
    options = s3.storage_options()
    cloud: dict[str, Any] = {"store": url, "storage_options": options, **OPTIONS}
    fill(here, [{"axes": {"x": [1, 2, 3], "s": ["a", "b"]}}], {(2, "a")}, chunks={"x": 2, "s": 1})
    swarmgrid.stream(
        {}, {"s": ["a", "c"], "x": [2, 4]}, func=simulate, chunks={"x": 1, "s": 2}, **cloud
    )
    done = swarmgrid.merge(here, url, target_options=options)
    assert (done.points_added, done.points_conflicting) == (5, 1)
    assert swarmgrid.merge(here, url, target_options=options).points_added == 0
    swarmgrid.copy(url, there, source_options=options)
    assert len(computed(there)) == 9
    back = swarmgrid.merge(url, here, source_options=options)
    assert (back.points_added, back.points_conflicting) == (3, 1)
    assert computed(here) == computed(there) | {(2, "a"): true_value(2, "a", {(2, "a")})}
    again = s3.url("copied")
    swarmgrid.copy(there, again, target_options=options)
    assert swarmgrid.merge(again, there, source_options=options).points_alike == 9


def rough(x: int) -> float:
    return x / 3


@pytest.mark.parametrize("lossy", ["source", "target", "both"])
def test_what_an_encoding_makes_of_a_value_is_no_conflict(lossy: str) -> None:
    stores = {"source": MemoryStore(), "target": MemoryStore()}
    packed = {"encoding": {"value": {"dtype": "int16", "scale_factor": 0.01}}}
    for x, (name, store) in zip(([1, 2, 4], [2, 5]), stores.items(), strict=True):
        options = packed if lossy in {name, "both"} else {}
        swarmgrid.stream({}, {"x": x}, func=rough, store=store, chunks=4, **OPTIONS, **options)
    source, target = stores.values()
    done = swarmgrid.merge(source, target)
    assert (done.points_added, done.points_alike, done.points_conflicting) == (2, 1, 0)
    again = swarmgrid.merge(source, target)
    assert (again.points_added, again.points_alike) == (0, 3)
    grid = Grid.open(target, "")
    assert grid.verify().is_clean
    ds = grid.dataset()
    np.testing.assert_allclose(ds["value"], ds["x"] / 3, atol=0.005)


def test_a_value_that_the_encoding_cannot_hold_is_an_error() -> None:
    source, target = MemoryStore(), MemoryStore()
    packed: dict[str, Any] = {"encoding": {"value": {"dtype": "int8", "scale_factor": 0.1}}}
    swarmgrid.stream({}, {"x": [1]}, func=rough, store=target, **OPTIONS, **packed)
    swarmgrid.stream({}, {"x": [1, 2000]}, func=rough, store=source, **OPTIONS)
    with pytest.raises(swarmgrid.InputError, match="cannot hold a value"):
        swarmgrid.merge(source, target)
    assert Grid.open(target, "").verify().is_clean
    assert Grid.open(target, "").state().points_computed == 1
