"""exists, get, delete and invalidate take the same labels, and mean the same points."""

from __future__ import annotations

import datetime as dt
import itertools
from enum import Enum
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.view.dataset import GridArray
from swarmgrid.view.defaults import filled
from tests.long import examples


class Mode(Enum):
    FAST, SLOW = 1, 2


OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0, "version": "1"}
S, R = [0.5, 0.1, 2.5], [3, 1, 2]


def model(s: float, r: int) -> dict[str, Any]:
    return {"v": s * r, "n": r}


def stored(**options: Any) -> tuple[Any, swarmgrid.Grid]:
    f = swarmgrid.GridFunction(model, store=MemoryStore(), **OPTIONS, **options)
    f.stream({}, {"s": S, "r": R}, where=lambda s, r: (s, r) != (2.5, 2))
    return f, f.grid()


LABELS = {
    "s": st.sampled_from([*S, 9.5])
    | st.lists(st.sampled_from([*S, 9.5]), max_size=4)
    | st.tuples(st.sampled_from(S), st.sampled_from(S)).map(lambda ends: slice(*sorted(ends))),
    "r": st.sampled_from([*R, 7]) | st.lists(st.sampled_from([*R, 7]), max_size=4),
}


@settings(max_examples=examples(25))
@given(st.fixed_dictionaries({}, optional=LABELS))
def test_what_exists_is_what_get_reads_and_delete_deletes(chosen: dict[str, Any]) -> None:
    _, grid = stored()
    exists: Any = grid.exists(chosen)
    found = exists if isinstance(exists, xr.DataArray) else xr.DataArray(exists)
    scalars = {name for name, one in chosen.items() if not isinstance(one, (list, slice))}
    assert {*found.dims} == {"s", "r"} - scalars
    assert isinstance(exists, bool) == (scalars == {"s", "r"})

    def values(name: str, stored: list[Any]) -> list[Any]:
        one = chosen.get(name, slice(None))
        if isinstance(one, slice):
            inside = (one.start is None or one.start <= v <= one.stop for v in stored)
            kept = [v for v, keep in zip(stored, inside, strict=True) if keep]
            return kept if one.start is None else sorted(kept)
        return one if isinstance(one, list) else [one]

    points = list(itertools.product(values("s", S), values("r", R)))
    computed = {p for p in itertools.product(S, R) if p != (2.5, 2)}
    assert found.values.reshape(-1).tolist() == [p in computed for p in points]
    ds = grid.get(chosen, default=-1)
    flat = ds["v"].values.reshape(-1).tolist()
    assert flat == [s * r if (s, r) in computed else -1 for s, r in points]
    if all(p in computed for p in points):
        assert ds["n"].dtype == "int64"
        xr.testing.assert_identical(ds, grid.get(**chosen))
    else:
        with pytest.raises(swarmgrid.InputError, match=r"not computed"):
            grid.get(chosen)
    if chosen and {*values("s", S)} <= {*S} and {*values("r", R)} <= {*R}:
        assert grid.delete(chosen) == len({*points} & computed)
        assert not np.asarray(grid.exists(chosen)).any()
    assert grid.verify().is_clean


def test_exists_reads_no_chunk_and_get_those_of_its_points(monkeypatch: Any) -> None:
    read: list[Any] = []
    plain = GridArray.blocks

    def counted(self: Any, indices: Any) -> Any:
        read.extend(indices)
        return plain(self, indices)

    monkeypatch.setattr(GridArray, "blocks", counted)
    _, grid = stored(chunks=1)
    assert grid.exists(s=0.1, r=[1, 3]).values.all()  # type: ignore[union-attr]
    assert read == []
    assert grid.get(s=0.1, r=3)["v"].item() == pytest.approx(0.3)
    assert read == [(1, 0)] * 2  # one chunk of each output


def swept(mode: Any, t: Any) -> int:
    return 1


def test_members_dates_and_labels_are_selected_by_what_the_user_has() -> None:
    f = swarmgrid.GridFunction(swept, store=MemoryStore(), **OPTIONS)
    days = [np.datetime64(f"2026-01-0{n}") for n in (1, 2)]
    f.stream({}, {"mode": [Mode.FAST, Mode.SLOW], "t": days})
    grid = f.grid()
    assert grid.exists(mode=Mode.FAST, t=days[0]) is True
    assert grid.exists(mode="SLOW", t="2026-01-02") is True
    assert grid.exists(mode=[Mode.FAST, "SLOW", "NO"], t=days[1]).values.tolist() == [  # type: ignore[union-attr]
        True,
        True,
        False,
    ]
    assert grid.exists(mode="FAST", t=np.datetime64("2027-01-01")) is False
    assert grid.get(mode=Mode.FAST, t=days)["value"].values.tolist() == [1, 1]
    assert grid.delete(mode=Mode.FAST) == 2


@pytest.mark.parametrize("method", ["exists", "get", "delete", "invalidate"])
@pytest.mark.parametrize(
    ("selection", "labels", "message"),
    [
        ({"q": 1}, {}, "'q', which is no axis; the axes are s, r"),
        ([1], {}, "expected a mapping from axes to labels"),
        ({"s": 0.1}, {"s": 0.5}, "axis 's' is given twice"),
        ({"s": "a"}, {}, "'s'"),
        ({"s": ["a"]}, {}, "'s'"),
        ({"s": [[0.1]]}, {}, "'s'"),
        ({"r": None}, {}, "'r'"),
        ({"s": 0.5, "method": "nearest"}, {}, r"'method', which is no axis.*Dataset\.sel\("),
    ],
)
def test_what_selects_no_points_is_refused_by_all_alike(
    method: str, selection: Any, labels: Any, message: str
) -> None:
    _, grid = stored()
    with pytest.raises(swarmgrid.InputError, match=message):
        getattr(grid, method)(selection, **labels)
    assert grid.state().points_computed == 8


def test_labels_may_be_any_collection_and_those_that_an_axis_lacks_are_said_so() -> None:
    _, grid = stored()
    for labels in ({1, 3}, frozenset({1, 3}), {1: "a", 3: "b"}.keys(), {"a": 1, "b": 3}.values()):
        assert sorted(grid.get(s=0.1, r=labels)["n"].values.tolist()) == [1, 3]
    assert grid.get(s=0.1, r=(n for n in (1, 3)))["n"].values.tolist() == [1, 3]
    with pytest.raises(swarmgrid.InputError, match=r"r=7 is no value that axis 'r' has; its .*3"):
        grid.delete(r=7)
    with pytest.raises(
        swarmgrid.InputError, match=r"r=\[1, 7\] has values that axis 'r' lacks; i"
    ):
        grid.delete(r=[1, 7])
    assert grid.delete(r={1, 3}, s=0.1) == 2


def test_a_grid_that_is_not_stored_has_no_points() -> None:
    grid = swarmgrid.GridFunction(model, store=MemoryStore(), **OPTIONS).grid()
    assert grid.exists(s=0.1, r=1) is False
    assert grid.exists(s=[0.1, 2], r=1).values.tolist() == [False, False]  # type: ignore[union-attr]
    with pytest.raises(swarmgrid.InputError, match="nothing is stored"):
        grid.get(s=0.1, r=1)


def single() -> float:
    return 3.0


def test_a_grid_without_axes_has_one_point() -> None:
    f = swarmgrid.GridFunction(single, store=MemoryStore(), **OPTIONS)
    assert f.put_many({(): 4.0}) == 1
    assert f.grid().exists() is True
    assert f.grid().get()["value"].item() == 4.0


def test_no_points_have_the_dtypes_of_the_outputs_and_slices_are_of_labels() -> None:
    _, grid = stored()
    for chosen in ({"r": []}, {"s": slice(100.0, 200.0)}, {"r": [], "s": 0.5}):
        found = grid.get(chosen)
        assert found.sizes["r" if "r" in chosen else "s"] == 0
        assert {name: str(one.dtype) for name, one in found.items()} == {
            "v": "float64",
            "n": "int64",
        }
    for act in (grid.exists, grid.get, grid.delete):
        with pytest.raises(swarmgrid.InputError, match="is no label of axis 's', which holds flo"):
            act(s=slice("a", "b"))
    assert grid.delete(s=slice(None, None), r=3) == 3


DAYS = [np.datetime64(f"2026-01-0{n}", "ns") for n in (2, 1, 3)]
KINDS: dict[
    str, tuple[list[Any], list[Any]]
] = {  # values in no order, and some that are not there
    "int": ([3, 2**53 + 1, -1, 2**53], [0, 2**53 + 2, 2**70, 0.5, -1.5]),
    "float": ([2.5, 0.1, 2.0**53], [0.2, 2**53 + 1, 7, float("nan")]),
    "bool": ([True, False], []),
    "one bool": ([False], [True]),
    "str": (["b", "a", "a ", "1"], ["c", "a\0", "True"]),
    "datetime": (DAYS, [np.datetime64("2027-01-01"), "2026-01-09", np.datetime64("9999-01-01")]),
    "timedelta": ([np.timedelta64(n, "D") for n in (2, 1)], ["9 days", np.timedelta64(3, "h")]),
}


def at(x: Any) -> float:
    return 1.0


def of_kind(kind: str) -> swarmgrid.Grid:
    f = swarmgrid.GridFunction(at, store=MemoryStore(), **OPTIONS)
    values = KINDS[kind][0]
    f.put_many(xr.DataArray(np.arange(float(len(values))), {"x": values}, ["x"], "value"))
    return f.grid()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=examples(4))
@given(st.data())
def test_a_list_means_the_points_of_its_labels_on_axes_of_every_kind(kind: str, data: Any) -> None:
    have, lacked = KINDS[kind]
    grid = of_kind(kind)
    labels = data.draw(st.lists(st.sampled_from([*have, *lacked]), max_size=4))
    kept = [one for one in labels if any(one is value for value in have)]
    places = [have.index(one) for one in kept]
    form = data.draw(st.sampled_from([list, tuple, lambda one: xr.DataArray(one, dims="q")]))
    exists: Any = grid.exists(x=labels)
    assert exists.values.tolist() == [any(one is value for value in have) for one in labels]
    assert grid.get(x=labels, default=-1)["value"].values.tolist() == [
        have.index(one) if any(one is value for value in have) else -1 for one in labels
    ]
    assert grid.get({"x": form(kept)})["value"].values.tolist() == places
    if len(kept) < len(labels):
        with pytest.raises(swarmgrid.InputError, match=r"lacks|is no label"):
            grid.delete(x=labels)
    remove = data.draw(st.sampled_from([grid.delete, grid.invalidate]))
    assert remove({"x": form(kept)}) == len({*places})
    left: Any = grid.exists()
    assert left.values.tolist() == [i not in places for i in range(len(have))]


WRONG: dict[str, list[Any]] = {
    "int": [[True, False, True, False], np.array([True] * 4), True, slice(True, None)],
    "float": [np.array([True, False, True], object), "0.1"],
    "bool": [[0, 1], slice(0, 1)],
    "str": [[1], [True, False, True, False]],
    "datetime": [
        *("nonsense", ["2026-01-01", "nonsense"], slice("nonsense", None), 5, 2.5),
        *([True, False, True], dt.datetime(2026, 1, 1, tzinfo=dt.UTC), np.timedelta64(1, "D")),
    ],
    "timedelta": ["nonsense", 5, np.datetime64("2026-01-01")],
}


@pytest.mark.parametrize("kind", WRONG)
def test_masks_and_what_is_of_another_kind_are_no_labels(kind: str) -> None:
    grid = of_kind(kind)
    for labels in WRONG[kind]:
        for act in (grid.exists, grid.get, grid.delete, grid.invalidate):
            with pytest.raises(swarmgrid.InputError, match="label of axis 'x', which holds"):
                act(x=labels)
    assert grid.state().points_computed == len(KINDS[kind][0])


def test_times_are_selected_by_texts_dates_and_spans() -> None:
    grid = of_kind("datetime")
    assert grid.get(x="2026-01-01")["value"].item() == 1
    assert grid.get(x="2026-01")["value"].size == 3  # all that lies in it, as for Dataset.sel
    assert grid.exists(x=dt.date(2026, 1, 3)) is True
    assert grid.exists(x=["2026-01-03", DAYS[0], dt.date(2026, 1, 4)]).values.tolist() == [  # type: ignore[union-attr]
        True,
        True,
        False,
    ]
    assert grid.get(x=slice("2026-01-02", None))["value"].values.tolist() == [0, 2]
    spans = of_kind("timedelta")
    assert spans.exists(x="1 days") is True
    assert spans.exists(x="9 days") is False
    assert spans.exists(x=dt.timedelta(days=2)) is True
    assert of_kind("bool").get(x=slice(False, True))["value"].values.tolist() == [1, 0]


NUMBERS = [0, 1, -1, 255, 2**31, 2**53 + 1, 2**63, 2**70, 0.5, 0.1, -1.0, 1e300, float("inf")]
DEFAULTS = [
    *(*NUMBERS, float("nan"), 1j, True, None, "", "none", np.uint8(3), np.float32(0.1)),
    *(np.datetime64("2027-01-01"), np.datetime64("NaT", "ns"), np.timedelta64(1, "h")),
]
VALUES = [
    np.array([2**53 + 1, -(2**62), 5]),
    np.array([2**64 - 1, 0, 1], "u8"),
    np.array([-128, 127, 0], "i1"),
    np.array([0, 255, 1], "u1"),
    np.array([0.1, np.nan, -np.inf]),
    np.array([0.1, 2.5, np.nan], "f4"),
    np.array([1j, 0.1, np.nan]),
    np.array([True, False, True]),
    np.array(["b", "", "nan"]),
    np.array(["2026-01-01T00:00:00.000000001", "NaT", "1970-01-01"], "M8[ns]"),
    np.array([1, 2, 3], "m8[s]").astype("m8[ns]"),
]


def same(one: Any, other: Any) -> bool:
    """Whether two values are one: also NaN and NaN, and exactly."""
    if isinstance(other, (np.datetime64, np.timedelta64)) or isinstance(one, np.datetime64):
        return bool(np.isnat(one) and np.isnat(other)) or one == other
    one, other = (v.item() if isinstance(v, np.generic) else v for v in (one, other))
    return bool(one == other) or (one != one and other != other)


@pytest.mark.parametrize("stored", VALUES, ids=lambda v: str(v.dtype))
def test_a_default_leaves_the_stored_values_as_they_are(stored: Any) -> None:
    stored = stored.astype(object) if stored.dtype.kind == "U" else stored
    is_computed = np.array([True, False, True])
    for default in DEFAULTS:
        found = filled("value", stored.copy(), is_computed, default)
        assert same(found[0], stored[0])
        assert same(found[2], stored[2])
        is_missing = default is None or default != default
        if stored.dtype.kind in "mM" and is_missing:
            assert np.isnat(found[1])
        else:
            assert same(found[1], default)


@pytest.mark.parametrize(
    ("default", "dtype"), [(-1, "int64"), (-1.0, "int64"), (0.5, "object"), (None, "object")]
)
def test_large_integers_stay_exact_beside_a_default_on_the_axis_and_off_it(
    default: Any, dtype: str
) -> None:
    f = swarmgrid.GridFunction(at, store=MemoryStore(), **OPTIONS)
    f.put_many({1: 2**53 + 1, 2: 0, 3: -(2**60) - 1})
    grid = f.grid()
    grid.delete(x=2)
    for labels in ([1, 2, 3], [1, 9, 3]):
        found = grid.get(x=labels, default=default)["value"]
        assert found.dtype == dtype
        assert found.values.tolist() == [2**53 + 1, default, -(2**60) - 1]


def several(x: Any) -> dict[str, Any]:
    return {"n": 2**53 + x, "t": DAYS[0], "v": np.arange(3) / 2}


def test_a_default_is_one_for_all_outputs_or_one_for_each() -> None:
    f = swarmgrid.GridFunction(several, store=MemoryStore(), **OPTIONS)
    f.stream({}, {"x": [1]})
    grid = f.grid()
    each = {"n": -1.0, "t": None, "v": [0.0, 1.0, 2.0]}
    found = grid.get(x=[1, 9], default=each)
    assert {name: str(one.dtype) for name, one in found.items()} == {
        "n": "int64",
        "t": "datetime64[ns]",
        "v": "float64",
    }
    assert found["n"].values.tolist() == [2**53 + 1, -1]
    assert found["v"].values.tolist() == [[0.0, 0.5, 1.0], [0.0, 1.0, 2.0]]
    for wrong, message in (
        ({**each, "m": 0}, r"a mapping with 'm'; expected a value for each output: n, t, v"),
        ({"n": 0}, r"a mapping with no 't'"),
        ([1, 2], r"of shape \(2,\); expected a value.*output 'n'"),
    ):
        with pytest.raises(swarmgrid.InputError, match=message):
            grid.get(x=[1, 9], default=wrong)


def test_the_only_point_of_a_grid_without_axes_is_deleted_and_invalidated() -> None:
    f = swarmgrid.GridFunction(single, store=MemoryStore(), **OPTIONS)
    for act in ("delete", "invalidate"):
        f.compute()
        assert getattr(f.grid(), act)() == 1
        assert f.grid().exists() is False
    with pytest.raises(swarmgrid.InputError, match="nothing is selected"):
        stored()[1].delete()
