"""exists, get, delete and invalidate take the same labels, and mean the same points."""

from __future__ import annotations

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
