"""A grid adopts another as its slice: all its values are there, and nothing is computed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

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

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0}
ALPHAS = [0.4, 0.2, 1, 2.5]
X, S = [3, 1, 2, 7], ["b", "a", "c"]


class Mode(Enum):
    FAST, SLOW = 1, 2


def simulate(x: int, s: str, alpha: float) -> dict[str, Any]:
    if (x, s) == (7, "c"):
        raise ValueError("seven")
    return {
        "v": float(x * alpha + ord(s)),
        "t": xr.DataArray([float(alpha), x], {"k": ["a", "b"]}),
    }


def bound(store: Any, func: Any = simulate, **options: Any) -> Any:
    return swarmgrid.GridFunction(func, store=store, **{**OPTIONS, **options})


def points(grid: Grid) -> dict[tuple[float, int, str], int]:
    """The status of every point, once the values of the computed ones are looked at."""
    status, ds = grid.status().load(), grid.dataset().load()
    found = {}
    for a, x, s in itertools.product(*(ds[n].values.tolist() for n in ("alpha", "x", "s"))):
        at = {"alpha": a, "x": x, "s": s}
        found[a, x, s] = int(status.sel(at))
        if found[a, x, s] == 1:
            assert float(ds["v"].sel(at)) == x * a + ord(s)
            assert ds["t"].sel(at).values.tolist() == [a, x]
    assert grid.verify().is_clean
    return found


SLICES = (
    st.fixed_dictionaries(
        {
            "x": st.lists(st.sampled_from(X), min_size=1, unique=True),
            "s": st.lists(st.sampled_from(S), min_size=1, unique=True),
        }
    )
    .filter(lambda axes: axes != {"x": [7], "s": ["c"]})  # of which every point fails
    .flatmap(lambda axes: st.permutations(list(axes.items())).map(dict))
)
NEW_ALPHAS = st.lists(st.sampled_from(ALPHAS), min_size=1, unique=True)
CHUNKS = st.fixed_dictionaries({"x": st.integers(1, 4), "s": st.integers(1, 3)})


@settings(max_examples=examples(5))
@given(
    st.dictionaries(st.sampled_from(ALPHAS), st.tuples(SLICES, CHUNKS), min_size=1),
    st.none() | st.tuples(SLICES, CHUNKS, NEW_ALPHAS),
)
def test_every_slice_is_there_whatever_the_layouts(old: Any, new: Any) -> None:
    store = MemoryStore()
    f = bound(store, on_error="record")
    expected: dict[tuple[float, int, str], int] = {}
    if new is not None:
        axes, chunks, alphas = new
        f.stream({}, {"alpha": alphas, **axes}, chunks={**chunks, "alpha": 2})
        expected = points(f.grid(axes=["alpha", "x", "s"]))
    for alpha, (axes, chunks) in old.items():
        f.stream({"alpha": alpha}, axes, chunks=chunks)
        slice_ = f.grid({"alpha": alpha}, axes=["x", "s"])
        grid = f.grid(axes=["alpha", "x", "s"])
        seconds = float(slice_.timings()["seconds"].sum())
        before = slice_.dataset().load()
        done = grid.adopt(slice_, alpha=alpha)
        there = {
            (alpha, x, s): 2 if (x, s) == (7, "c") else 1
            for x, s in itertools.product(axes["x"], axes["s"])
        }
        is_first = not any(n == 1 for point, n in expected.items() if point[0] == alpha)
        news = {point for point in there if expected.get(point, 0) == 0}
        assert done.added == sum(there[point] == 1 for point in news)
        assert done.alike == sum(expected.get(point) == 1 for point in there)
        expected |= there
        found = points(grid)
        assert {p: n for p, n in found.items() if n} == {p: n for p, n in expected.items() if n}
        if is_first:
            mine = grid.timings().sel(alpha=alpha)["seconds"]
            assert float(mine.sum()) == pytest.approx(seconds, rel=1e-4)
        xr.testing.assert_identical(slice_.dataset().load(), before)
        assert grid.adopt(slice_, alpha=alpha).added == 0
    missing = f.plan({}, {"alpha": list(old), "x": X, "s": S}).points_missing
    computed = {p for p, n in expected.items() if n == 1 and p[0] in old}
    assert missing == len(old) * len(X) * len(S) - len(computed)


def test_what_was_said_is_kept_as_a_tag_once() -> None:
    store = MemoryStore()
    f = bound(store)
    f.stream({"alpha": 0.4}, {"x": [1], "s": ["a"]})
    old, grid = f.grid({"alpha": 0.4}), f.grid(axes=["alpha", "x", "s"])
    for _ in range(2):
        grid.adopt(old, alpha=0.4)
    (text,) = grid.tags["adopted"]
    assert text.startswith(f"simulate/{old.id[:12]} of version code-")
    assert ", alpha=0.4, 20" in text
    (row,) = swarmgrid.catalog(store).query({"tags.adopted": {"$exists": True}}).rows
    assert (row.grid, row.points_computed) == (grid.id, 1)


def test_a_new_version_takes_over_what_the_old_one_has() -> None:
    store = MemoryStore()
    axes = {"x": [1, 2], "s": ["a"]}
    bound(store, version="1").stream({"alpha": 1}, axes)
    old = Grid.open(store, "simulate/")
    new = bound(store, version="2")
    assert repr(new.grid({"alpha": 1}, ["x", "s"]).adopt(old.id[:12])).startswith(
        "2 points of simu"
    )
    assert new.plan({"alpha": 1}, axes).points_missing == 0
    with pytest.raises(swarmgrid.InputError, match="'alpha' of the old grid is 1, but 1.0 here"):
        new.grid({"alpha": 1.0}, ["x", "s"]).adopt(old)


def test_an_axis_is_renamed_with_the_parameter() -> None:
    def model(strat: str, x: int, alpha: float) -> dict[str, Any]:
        return simulate(x, strat, alpha)

    store = MemoryStore()
    bound(store).stream({"alpha": 1}, {"x": [1, 2], "s": ["a", "b"]})
    (old,) = swarmgrid.catalog(store)
    f = bound(store, model)
    grid = f.grid({"alpha": 1}, axes=["x", "strat"])
    with pytest.raises(swarmgrid.InputError, match=r"'simulate'.*ignore={'function'}"):
        grid.adopt(old, renamed={"s": "strat"})
    assert grid.adopt(old, renamed={"s": "strat"}, ignore={"function"}).added == 4
    ds = f.open({"alpha": 1}, ["strat", "x"])
    assert (ds.sizes["strat"], ds["v"].sel(strat="b", x=2).item()) == (2, 2 + ord("b"))


def renameable(**point: Any) -> float:
    return float(sum(point.values()))


def test_rename_axis_gives_the_grid_that_the_function_looks_for() -> None:
    f = bound(MemoryStore(), renameable, version="1")
    f.stream({"a": 1}, {"x": [1, 2], "y": [0, 10]})
    old = f.grid({"a": 1})
    new = old.rename_axis(x="z")
    assert new.id != old.id
    assert f.plan({"a": 1}, {"y": [0, 10], "z": [1, 2]}).points_missing == 0
    assert new.dataset()["value"].sel(z=2, y=10).item() == 13
    assert old.state().points_computed == 4
    with pytest.raises(swarmgrid.InputError, match="names that it has already"):
        new.rename_axis({"z": "y", "y": "z"})
    f = bound(MemoryStore())
    f.stream({"alpha": 1}, {"x": [1], "s": ["a"]})
    other = f.grid({"alpha": 1})
    with pytest.raises(swarmgrid.SignatureError, match="'z' is no parameter"):
        other.rename_axis(s="z")


def test_a_handle_without_a_function_renames_too() -> None:
    store = MemoryStore()
    bound(store).stream({"alpha": 1}, {"x": [1, 2], "s": ["a"]})
    (old,) = swarmgrid.catalog(store)
    new = old.rename_axis(s="strat")
    assert new.id == old.rename_axis(s="strat").id
    assert new.dataset()["v"].dims == ("x", "strat")
    assert len(swarmgrid.catalog(store)) == 2
    assert new.verify().is_clean


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({}, "no axis is renamed"),
        ({"q": "r"}, "'q' is no axis of the grid; its axes are x, s"),
        ({"x": "s"}, "two axes would have the name 's'"),
        ({"x": "a b"}, "'a b' is not a name"),
        ({"x": "v"}, "both an axis and an output"),
        ({"x": 3}, "3 is not a name"),
    ],
)
def test_names_that_cannot_be_are_refused(names: Any, message: str) -> None:
    store = MemoryStore()
    bound(store).stream({"alpha": 1}, {"x": [1], "s": ["a"]})
    (old,) = swarmgrid.catalog(store)
    with pytest.raises(swarmgrid.InputError, match=message):
        old.rename_axis(names)
    assert len(swarmgrid.catalog(store)) == 1


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"alpha": 0.5}, {}, r"'alpha' of the old grid is 0\.4, but 0\.5 as given"),
    ({}, {}, r"constants are x, s\. This handle is of a grid with others"),
    ({"alpha": 0.4, "x": 1}, {}, "'x' is an axis of the old grid already"),
    ({"alpha": float("nan")}, {}, "NaN"),
    ({"alpha": None}, {}, r"0\.4, but null as given"),
    ({"alpha": {"a": 0.4, "b": 1}}, {}, "2 labels; expected one"),
    ({"alpha": 0.4}, {"renamed": {"q": "x"}}, "'q' is no axis"),
    ({"alpha": 0.4}, {"renamed": ["s"]}, "expected a mapping"),
    ({"alpha": 0.4}, {"ignore": "alpha"}, "expected a set of names"),
    ({"alpha": 0.4}, {"on_conflict": "replace"}, "expected 'keep' or 'raise'"),
]


@pytest.mark.parametrize(("labels", "options", "message"), REFUSED, ids=itertools.count())
def test_what_does_not_fit_is_refused_and_nothing_written(
    labels: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    store = MemoryStore()
    f = bound(store)
    f.stream({"alpha": 0.4}, {"x": [1, 2], "s": ["a"]})
    old, grid = f.grid({"alpha": 0.4}), f.grid(axes=["alpha", "x", "s"])
    with pytest.raises(swarmgrid.InputError, match=message):
        grid.adopt(old, labels, **options)
    assert len(swarmgrid.catalog(store)) == 1


def with_beta(x: int, alpha: float = 0.4, beta: Any = None) -> float:
    return x * alpha


def test_other_params_are_refused_unless_they_are_said_not_to_matter() -> None:
    store = MemoryStore()
    f = bound(store, with_beta)
    f.stream({"alpha": 0.4, "beta": "old"}, {"x": [1, 2]})
    (old,) = swarmgrid.catalog(store)
    for params in ({}, {"beta": "new"}):
        grid = f.grid(params, axes=["alpha", "x"])
        with pytest.raises(swarmgrid.InputError, match="'beta' of the old grid is \"old\""):
            grid.adopt(old, alpha=0.4)
        assert grid.adopt(old, alpha=0.4, ignore={"beta"}).added == 2
        (text,) = grid.tags["adopted"]
        assert "ignoring beta" in text


def test_defaults_members_and_labels_become_axes() -> None:
    store = MemoryStore()
    f = bound(store, with_beta)
    f.stream({}, {"x": [1, 2]})
    (old,) = swarmgrid.catalog(store)
    assert f.grid(axes=["alpha", "x"]).adopt(old, alpha=0.4).added == 2
    assert f.plan({}, {"alpha": [0.4], "x": [1, 2]}).points_missing == 0
    labels: list[tuple[Any, Any]] = [(Mode.FAST, Mode.FAST), (None, {"no": None})]
    for value, label in [*labels, ({"a": 1}, {"one": {"a": 1}})]:
        f.stream({"beta": value}, {"x": [1, 2]})
        grid = f.grid(axes=["beta", "x"])
        grid.adopt(f.grid({"beta": value}, axes=["x"]), beta=label)
        axis = label if isinstance(label, dict) else [label]
        assert f.plan({}, {"beta": axis, "x": [1, 2]}).points_missing == 0
        grid.drop()


def test_a_conflict_is_an_error_before_anything_is_written() -> None:
    wrong = []

    def drifting(x: int, a: int = 0) -> float:
        return x + 100.0 * len(wrong)

    f = bound(MemoryStore(), drifting, version="1", ignore={"wrong"})
    f.stream({}, {"a": [0], "x": [1]})
    wrong.append(1)
    f.stream({"a": 0}, {"x": [1, 2]})
    old, grid = f.grid({"a": 0}, ["x"]), f.grid({}, ["a", "x"])
    with pytest.raises(swarmgrid.ConflictError, match=r"drifting\(a=0, x=1\): value is 1.0, not"):
        grid.adopt(old, a=0)
    assert (grid.state().points_total, grid.tags) == (1, {})
    done = grid.adopt(old, a=0, on_conflict="keep")
    assert (done.added, done.conflicting, len(done.conflicts)) == (1, 1, 1)
    assert grid.dataset()["value"].values.tolist() == [[1.0, 102.0]]
    with pytest.raises(swarmgrid.InputError, match="cannot adopt itself"):
        grid.adopt(grid)
    with pytest.raises(swarmgrid.InputError, match="nothing is stored"):
        Grid(type(grid._ref)(grid._ref.location, f.grid({"a": 9}, ["x"])._ref.path)).adopt(old)


def test_a_conflict_that_comes_before_the_lease_is_an_error_too() -> None:
    wrong, store = [], OvertakenStore()

    def drifting(x: int, a: int = 0) -> float:
        return x + 100.0 * len(wrong)

    f = bound(store, drifting, version="1", ignore={"wrong"})
    f.stream({"a": 0}, {"x": [1, 2]})
    old, grid = f.grid({"a": 0}, ["x"]), f.grid({}, ["a", "x"])

    def compute_another() -> None:
        wrong.append(1)
        f.stream({}, {"a": [0], "x": [1]})

    store.grid, store.then = grid.id, compute_another
    with pytest.raises(swarmgrid.ConflictError, match=r"\(a=0, x=1\): value is 101.0, not"):
        grid.adopt(old, a=0)
    assert (grid.state().points_computed, grid.state().points_total, grid.tags) == (1, 1, {})


def test_grids_of_two_stores_and_of_no_function() -> None:
    here, there = MemoryStore(), MemoryStore()
    bound(there).stream({"alpha": 0.4}, {"x": [1], "s": ["a"]})
    bound(here).stream({}, {"x": [2], "s": ["b"], "alpha": [1.5]})
    (old,), (grid,) = swarmgrid.catalog(there), swarmgrid.catalog(here)
    assert grid.adopt(old, alpha=0.4).added == 1
    assert points(grid)[0.4, 1, "a"] == 1
    with pytest.raises(swarmgrid.InputError, match="this grid has the axes alpha, s, x"):
        grid.adopt(old)


@pytest.mark.long
@pytest.mark.parametrize("every", first(1, [9, 1]))
def test_a_kill_at_any_step_leaves_right_points_and_the_call_again_adds_the_rest(
    tmp_path: Path, kill_at: Callable[[int], None], every: int
) -> None:
    for k in itertools.count(every // 2, every):
        f = bound(tmp_path / str(k))
        f.stream({"alpha": 0.4}, {"x": [1, 2, 3], "s": ["a", "b"]}, chunks={"x": 2, "s": 1})
        f.stream({}, {"s": ["b"], "x": [3], "alpha": [2.5]}, chunks={"x": 2, "s": 2})
        old, grid = f.grid({"alpha": 0.4}), f.grid(axes=["alpha", "x", "s"])
        kill_at(k)
        try:
            grid.adopt(old, alpha=0.4)
            is_done = True
        except Killed:
            is_done = False
        kill_at(-1)
        lease._own.clear()  # as in a process that has ended
        left = {point for point, status in points(grid).items() if status == 1}
        assert (2.5, 3, "b") in left
        if len(left) > 1:
            assert grid.tags["adopted"]
        done = grid.adopt(old, alpha=0.4)
        assert sum(points(grid).values()) == 7
        assert not is_done or done.added == 0
        if is_done:
            break
    assert k > 10
