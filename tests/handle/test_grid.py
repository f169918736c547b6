"""The handle of a stored grid: everything about it, without its function."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid import Grid
from swarmgrid.format.grid import OWN_ATTRIBUTES
from swarmgrid.store.location import to_location

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0}
AXES = {"x": [3, 1, 2], "s": ["a", "b"]}


def simulate(x: int, s: str, scale: float = 1.0) -> float:
    if x == 9:
        raise ValueError("nine")
    return x * scale + len(s)


def stored(store: Any, **options: Any) -> xr.Dataset:
    return swarmgrid.compute(
        {"scale": 2.0}, AXES, func=simulate, store=store, **{**OPTIONS, **options}
    )


def only_grid(store: Any) -> Grid:
    return Grid.open(store, "simulate/")


def test_a_grid_is_found_by_its_id_and_by_the_first_digits_of_it() -> None:
    store = MemoryStore()
    stored(store)
    grid = only_grid(store)
    assert re.fullmatch("[0-9a-f]{32}", grid.id)
    for name in (grid.id, grid.id[:6], f"simulate/{grid.id[:1]}", f"simulate/{grid.id}", ""):
        assert (Grid.open(store, name).function, Grid.open(store, name).id) == (
            "simulate",
            grid.id,
        )
    assert repr(grid) == f"<swarmgrid.Grid simulate/{grid.id} in {to_location(store).url!r}>"


def test_the_handle_of_a_function_is_that_of_the_store() -> None:
    store = MemoryStore()
    stored(store)
    func = swarmgrid.GridFunction(simulate, store=store)
    assert func.grid({"scale": 2.0}).id == only_grid(store).id
    assert func.grid({"scale": 2.0}, ["s", "x"]).id == only_grid(store).id
    other = func.grid({"scale": 3.0}, ["s", "x"])
    assert other.id != only_grid(store).id
    for read in (other.state, other.dataset, other.verify, other.repair):
        with pytest.raises(swarmgrid.InputError, match="nothing is stored of simulate"):
            read()
    assert other.errors().empty


def test_no_grid_and_several_grids_are_errors_that_list_what_is_there() -> None:
    store = MemoryStore()
    with pytest.raises(
        swarmgrid.InputError, match=r"no grid in .* begins with 'ab'; nothing is stored there"
    ):
        Grid.open(store, "ab")
    stored(store)
    swarmgrid.compute({}, AXES, func=simulate, store=store, **OPTIONS)
    with pytest.raises(swarmgrid.InputError, match=r"2 grids .* stored: simulate/.*pass more dig"):
        Grid.open(store, "simulate/")
    ids = [str(name) for name in to_location(store).open().names("data.zarr/simulate/")]
    other = next(d for d in "0123456789abcdef" if not any(name.startswith(d) for name in ids))
    with pytest.raises(swarmgrid.InputError, match=r"no grid .* stored: simulate/"):
        Grid.open(store, other)
    with pytest.raises(swarmgrid.InputError, match="of 'other'; stored: simulate/"):
        Grid.open(store, "other/")
    for wrong in (7, None, "no digits", "A" * 32, "0" * 33):
        with pytest.raises(swarmgrid.InputError, match="expected a grid id, 32 hex digits"):
            Grid.open(store, wrong)  # type: ignore[arg-type]
    with pytest.raises(swarmgrid.InputError, match="there is no store"):
        Grid.open(None, "ab")


def test_a_recorded_block_is_no_grid() -> None:
    store = MemoryStore()
    state = swarmgrid.State({"n": 3})
    with swarmgrid.memoize(state, store=store, salt="x", hash_by=["salt"]) as it:
        it.begin()
        state["squares"] = np.arange(state["n"])
    assert any("memoized-blocks" in key for key in store._store_dict)
    with pytest.raises(swarmgrid.InputError, match="no grid"):
        Grid.open(store, "")


def test_the_state_says_what_is_stored() -> None:
    store = MemoryStore()
    stored(store, where=lambda x: x != 2, version="7")
    more = {"x": [9], "s": ["a"]}
    func = swarmgrid.GridFunction(simulate, store=store, version="7", **OPTIONS)
    func.run({"scale": 2.0}, more, on_error="record")
    state = only_grid(store).state()
    assert (state.function, state.grid, state.version) == ("simulate", only_grid(store).id, "7")
    assert json.loads(state.params) == {"scale": 2.0}
    assert state.lengths == {"x": 4, "s": 2}
    assert (state.points_total, state.points_computed, state.points_failed) == (8, 4, 1)
    assert state.shards is None
    assert set(state.chunks) == {"x", "s"}
    assert state.outputs["value"].dtype == "float64"
    errors = only_grid(store).errors()
    assert errors["reason"].tolist() == ["ValueError: nine"]
    assert errors["x"].tolist() == [9]


def test_the_dataset_is_that_of_open(tmp_path: Path) -> None:
    computed = stored(tmp_path)
    grid = only_grid(tmp_path)
    xr.testing.assert_identical(grid.dataset(), computed)
    turned = grid.dataset(["s", "x"])
    xr.testing.assert_identical(turned["value"], computed["value"].transpose("s", "x"))
    func = swarmgrid.GridFunction(simulate, store=tmp_path)
    xr.testing.assert_identical(func.open({"scale": 2.0}, ["s", "x"]), turned)
    assert grid.dataset(view_chunks={"x": 1})["value"].chunks == ((1, 1, 1), (2,))
    with pytest.raises(swarmgrid.InputError, match=r"axes is \['x'\]; expected the grid's axes"):
        grid.dataset(["x"])
    with pytest.raises(swarmgrid.InputError, match="view_chunks"):
        grid.dataset(view_chunks={"z": 1})


def test_the_handle_repairs_what_the_function_would(tmp_path: Path) -> None:
    stored(tmp_path, version="7", depends={"seed": 3})
    grid = only_grid(tmp_path)
    (document,) = tmp_path.glob("data.zarr/simulate/*/zarr.json")
    before = document.read_bytes()
    for damaged in (b"", b"{}", before.replace(b'"7"', b'"8"'), None):
        document.unlink() if damaged is None else document.write_bytes(damaged)
        report = grid.repair()
        assert [problem.key for problem in report.problems] == [
            document.relative_to(tmp_path).as_posix()
        ]
        assert document.read_bytes() == before, damaged
        assert grid.verify().is_clean
    assert {k for k in json.loads(before)["attributes"] if k in OWN_ATTRIBUTES} >= {
        "swarmgrid_function", "swarmgrid_params", "swarmgrid_version", "swarmgrid_depends",
    }  # fmt: skip


def test_compacted_segments_still_say_what_the_group_says(tmp_path: Path) -> None:
    func = swarmgrid.GridFunction(simulate, store=tmp_path, version="7", **OPTIONS)
    for x in range(9):  # nine commits are more than stay apart
        func.stream({"scale": 2.0}, {"x": [x if x < 9 else 10], "s": ["a"]})
    (document,) = tmp_path.glob("data.zarr/simulate/*/zarr.json")
    before = document.read_bytes()
    document.unlink()
    only_grid(tmp_path).repair()
    assert document.read_bytes() == before


def test_params_that_are_very_long_are_not_in_every_segment(tmp_path: Path) -> None:
    params = {"scale": 2.0, "s": "a" * 10_000}
    swarmgrid.compute(params, {"x": [1, 2]}, func=simulate, store=tmp_path, **OPTIONS)
    (segment,) = tmp_path.glob("manifest/*/*.seg")
    assert len(segment.read_bytes()) < 2000
    (document,) = tmp_path.glob("data.zarr/simulate/*/zarr.json")
    document.unlink()
    grid = only_grid(tmp_path)
    grid.repair()
    assert grid.verify().is_clean
    state = grid.state()
    assert (state.function, state.params, state.points_computed) == ("simulate", "", 2)
    assert state.version.startswith("code-")


def test_the_dims_are_any_order_of_all_axes_and_nothing_else() -> None:
    store = MemoryStore()
    stored(store)
    for n in range(4):
        for names in map(list, itertools.product(["x", "s", "t"], repeat=n)):
            if sorted(names) == ["s", "x"]:
                assert only_grid(store).dataset(names)["value"].dims == tuple(names)
            else:
                with pytest.raises(swarmgrid.InputError, match="axes is"):
                    only_grid(store).dataset(names)
