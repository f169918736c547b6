"""Points that are deleted are gone, and no others, wherever a kill cuts the deletion short."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore, StorePath

import swarmgrid
from swarmgrid import Grid
from swarmgrid.format.chunk_io import read_block
from swarmgrid.leases import lease
from swarmgrid.store.location import to_location
from tests.conftest import Killed
from tests.long import examples, first

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0, "version": "1"}
X, S = [5, 3, 4, 9, 0, 1, 2], ["b", "a", "c"]


def simulate(x: int, s: str) -> dict[str, Any]:
    return {"number": 10.0 * x + ord(s), "word": s * x, "pair": np.array([x, -x])}


def true_values(x: Any, s: Any) -> dict[str, Any]:
    points = [[simulate(int(a), str(b)) for b in s] for a in x]
    return {
        name: np.array(
            [[p[name] for p in row] for row in points], None if name != "word" else object
        )
        for name in ("number", "word", "pair")
    }


def filled(store: Any, **options: Any) -> Grid:
    """A grid with chunks that are filled in one go, in two, and in part."""
    call = {"func": simulate, "store": store, **OPTIONS, **options}
    swarmgrid.stream(axes={"x": X[:3], "s": S[:2]}, chunks={"x": 3, "s": 2}, **call)
    swarmgrid.stream(axes={"x": X, "s": S}, where=lambda x, s: (x, s) != (0, "c"), **call)
    return Grid.open(store, "")


def computed(grid: Grid) -> set[tuple[int, str]]:
    """The points that count as computed, once their values are held against the function."""
    status, ds = grid.status(), grid.dataset()
    mask = status.values == 1
    for name, values in true_values(ds["x"].values, ds["s"].values).items():
        np.testing.assert_array_equal(ds[name].values[mask], values[mask], name)
    assert grid.state().points_computed == int(mask.sum())
    at = np.argwhere(mask)
    return {(int(ds["x"].values[i]), str(ds["s"].values[j])) for i, j in at.tolist()}


def on_disk(store: Any, grid: Grid) -> set[tuple[int, str]]:
    """The points whose values a reader without swarmgrid finds."""
    path = f"data.zarr/simulate/{grid.id}"
    place = store / path if isinstance(store, Path) else StorePath(store, path)
    ds = xr.open_zarr(place, consolidated=True, chunks=None)
    is_there = ~np.isnan(ds["number"].values) | (ds["word"].values != "")
    is_there |= (ds["pair"].values != np.iinfo("int64").min).any(axis=-1)
    return {(int(ds["x"].values[i]), str(ds["s"].values[j])) for i, j in np.argwhere(is_there)}


EVERY = set(itertools.product(X, S)) - {(0, "c")}
LABELS = {
    "x": st.one_of(
        st.sampled_from(X),
        st.lists(st.sampled_from(X), min_size=1, max_size=4, unique=True),
        st.tuples(st.integers(-1, 9), st.integers(-1, 9)).map(lambda ends: slice(*sorted(ends))),
    ),
    "s": st.one_of(st.sampled_from(S), st.lists(st.sampled_from(S), min_size=1, unique=True)),
}
SELECTIONS = st.fixed_dictionaries({}, optional=LABELS).filter(bool)


def is_selected(selection: dict[str, Any], x: int, s: str) -> bool:
    for name, value in (("x", x), ("s", s)):
        labels = selection.get(name)
        if isinstance(labels, slice):
            if not labels.start <= value <= labels.stop:
                return False
        elif labels is not None and value not in (
            labels if isinstance(labels, list) else [labels]
        ):
            return False
    return True


@settings(max_examples=examples(15))
@given(
    st.lists(st.tuples(SELECTIONS, st.booleans()), min_size=1, max_size=3),
    st.sampled_from([{}, {"shards": {"x": 6, "s": 2}}]),
)
def test_what_is_selected_is_gone_and_everything_else_is_there(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[dict[str, Any], bool]],
    options: dict[str, Any],
) -> None:
    store = tmp_path_factory.mktemp("store")
    grid = filled(store, **options)
    model, disk = set(EVERY), set(EVERY)
    for selection, from_disk in steps:
        chosen = {point for point in itertools.product(X, S) if is_selected(selection, *point)}
        remove = grid.delete if from_disk else grid.invalidate
        assert remove(selection) == len(model & chosen)
        model -= chosen
        disk -= chosen if from_disk else set()
        assert computed(grid) == model
        assert model <= on_disk(store, grid) <= disk
        assert grid.verify().is_clean
        table = grid.missing()
        assert {*zip(table["x"], table["s"], strict=True)} == {*itertools.product(X, S)} - model
    done = swarmgrid.run(axes={"x": X, "s": S}, func=simulate, store=store, **OPTIONS)[1]
    assert done.points_computed == len(X) * len(S) - len(model)
    assert len(computed(grid)) == len(X) * len(S)


OPERATIONS: dict[str, Callable[[Grid], Any]] = {
    "delete": lambda grid: grid.delete(x=slice(0, 4), s=["a", "c"]),
    "invalidate": lambda grid: grid.invalidate(x=slice(0, 4), s=["a", "c"]),
    "drop": lambda grid: grid.drop(),
}


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "every"), first(1, [("delete", 4), ("drop", 3), *((name, 1) for name in OPERATIONS)])
)
def test_a_kill_at_any_step_leaves_right_values_and_the_call_again_completes_it(
    tmp_path: Path, kill_at: Any, name: str, every: int
) -> None:
    chosen = {p for p in EVERY if p[0] <= 4 and p[1] in {"a", "c"}}
    filled(tmp_path / "filled")
    for k in itertools.count(every // 2, every):
        store = shutil.copytree(tmp_path / "filled", tmp_path / str(k))
        grid = Grid.open(store, "")
        kill_at(k)
        try:
            OPERATIONS[name](grid)
            is_done = True
        except Killed:
            is_done = False
        kill_at(-1)
        lease._own.clear()  # as in a process that has ended
        stored = (store / "data.zarr" / "simulate" / grid.id / "zarr.json").exists()
        if stored:
            left = computed(grid)
            assert EVERY - chosen <= left <= EVERY if name != "drop" else left <= EVERY
            assert not [p for p in grid.verify().problems if "left over" not in p.reason]
        if not is_done and (stored or name == "drop"):
            OPERATIONS[name](grid)
        if name == "drop":
            assert len(swarmgrid.catalog(store)) == 0
            assert not (store / "manifest" / grid.id).exists()
            assert not (store / "data.zarr" / "simulate" / grid.id).exists()
        else:
            assert computed(grid) == EVERY - chosen
            (row,) = swarmgrid.catalog(store).rows
            assert row.points_computed == len(EVERY - chosen)
        if name == "delete":
            assert on_disk(store, grid) == EVERY - chosen
        if is_done:
            break
    assert k > 8


def test_a_damaged_neighbour_stops_a_deletion_before_anything_is_changed(tmp_path: Path) -> None:
    grid = filled(tmp_path)
    chunk = tmp_path / "data.zarr" / "simulate" / grid.id / "number" / "c.0.0"
    whole = chunk.read_bytes()
    chunk.write_bytes((chunk.parent / "c.1.0").read_bytes())
    with pytest.raises(swarmgrid.DamageError, match=r"c\.0\.0"):
        grid.delete(x=3, s="b")
    chunk.write_bytes(whole)
    assert computed(grid) == EVERY


def in_two_rows() -> tuple[MemoryStore, Grid]:
    """A chunk of two rows, and a second one of one row."""
    store = MemoryStore()
    call: dict[str, Any] = {"func": simulate, "store": store, "chunks": {"x": 4}, **OPTIONS}
    for x in ([1, 2], [1, 2, 3, 4, 5]):
        swarmgrid.stream(axes={"x": x, "s": ["a"]}, **call)
    return store, Grid.open(store, "")


@pytest.mark.parametrize(
    ("name", "damage"), [("number", "cut"), ("word", "other"), ("pair", "gone")]
)
def test_a_damaged_neighbour_of_another_row_stops_a_deletion_too(name: str, damage: str) -> None:
    store, grid = in_two_rows()
    blobs = to_location(store).open()
    tail = ".0.0" if name == "pair" else ".0"
    key, other = (f"data.zarr/simulate/{grid.id}/{name}/c.{i}{tail}" for i in (0, 1))
    whole = blobs.get(key)
    assert whole is not None
    if damage == "gone":
        blobs.delete(key)
    else:
        blobs.put(key, whole[:-1] if damage == "cut" else blobs.get(other) or b"")

    def objects() -> dict[str, bytes]:
        own = (f"data.zarr/simulate/{grid.id}/", f"manifest/{grid.id}/")
        return {k: v.to_bytes() for k, v in store._store_dict.items() if k.startswith(own)}

    before = objects()
    with pytest.raises(swarmgrid.DamageError, match=re.escape(key)):
        grid.delete(x=[1, 2])
    assert objects() == before
    blobs.put(key, whole)
    assert grid.delete(x=[1, 2]) == 2
    assert computed(grid) == {(3, "a"), (4, "a"), (5, "a")}


def test_a_deletion_reads_each_chunk_once_before_and_once_after_its_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, grid = in_two_rows()
    read = []

    def counted(blobs: Any, stored: Any, index: tuple[int, ...]) -> Any:
        read.append((index, grid.state().points_computed))
        return read_block(blobs, stored, index)

    monkeypatch.setattr("swarmgrid.maintenance.removal.read_block", counted)
    assert grid.delete(x=[1, 5]) == 2  # nothing else is in the chunk of 5
    assert read == [((0, 0), 5), ((0, 0), 3)]
    assert computed(grid) == {(2, "a"), (3, "a"), (4, "a")}


def test_failures_of_deleted_points_are_gone_and_of_others_not() -> None:
    def fails(x: int) -> int:
        if x:
            raise ValueError(str(x))
        return x

    store = MemoryStore()
    swarmgrid.stream(axes={"x": range(4)}, func=fails, store=store, on_error="record", **OPTIONS)
    grid = Grid.open(store, "")
    for remove, label in ((grid.delete, 1), (grid.invalidate, 2)):
        assert remove(x=label) == 0
    assert grid.errors()["x"].tolist() == [3]
    assert grid.missing()["x"].tolist() == [1, 2]
    assert swarmgrid.catalog(store).rows[0].points_failed == 1


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({}, "nothing is selected"),
        (3, "expected a mapping"),
        ({"y": 1}, "'y', which is no axis; the axes are x, s"),
        ({"x": 77}, "x=77 is no value that axis 'x' has"),
        ({"x": [3, 77]}, "77"),
        ({"s": "z"}, "its values are"),
        ({"x": "three"}, "three"),
        ({"s": slice("b", "zz", "x")}, "slice"),
    ],
)
def test_a_selection_of_what_is_not_there_changes_nothing(selection: Any, message: str) -> None:
    grid = filled(MemoryStore())
    with pytest.raises(swarmgrid.InputError, match=message):
        grid.delete(selection)
    assert computed(grid) == EVERY


def test_axes_of_every_kind_are_selected_by_what_the_dataset_shows() -> None:
    store = MemoryStore()
    axes = {
        "when": np.array(["2001-01-01", "2000-01-01"], "M8[ns]"),
        "wait": np.array([2, 1], "m8[s]"), "flag": [True, False],
        "model": {"none": None, "four": 4}, "f": [0.5, -1.0],
    }  # fmt: skip
    swarmgrid.stream(axes=axes, func=lambda **_: 1, store=store, **OPTIONS)
    (grid,) = swarmgrid.catalog(store)
    assert grid.delete(when="2000-01-01", flag=False) == 8
    assert grid.delete(when=slice("2000-06", "2002"), wait=np.timedelta64(1, "s")) == 8
    assert grid.delete(model=["none"], f=slice(-2, 0)) == 4
    assert grid.state().points_computed == 32 - 20
    grid.drop()
    with pytest.raises(swarmgrid.InputError, match="nothing is stored"):
        grid.drop()


def test_a_grid_without_axes_is_dropped_and_computed_again() -> None:
    store = MemoryStore()
    call: dict[str, Any] = {"func": lambda: 1, "store": store, **OPTIONS}
    swarmgrid.stream({}, {}, **call)
    (grid,) = swarmgrid.catalog(store)
    assert grid.status().item() == 1
    grid.drop()
    assert not [key for key in store._store_dict if key.startswith(f"manifest/{grid.id}/")]
    assert swarmgrid.run({}, {}, **call)[1].points_computed == 1
