"""A copy is the same grid in another store, whole or without points; nothing is overwritten."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.store import lease
from tests.conftest import Killed

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0, "version": "1"}


def simulate(x: float, s: str, alpha: float) -> xr.Dataset:
    if x == 9:
        raise ValueError("nine")
    return xr.Dataset({"v": x * alpha, "t": ("k", [x, 2.0])}, coords={"k": ["a", "b"]})


def fill(store: Any) -> None:
    """Two grids: promoted, grown, with a failure, points left out and tags; and converted."""
    call: dict[str, Any] = {"func": simulate, "store": store, "on_error": "record", **OPTIONS}
    swarmgrid.stream({"alpha": 0.5}, {"x": [1, 2, 9], "s": ["a"]}, chunks={"x": 2, "s": 1}, **call)
    swarmgrid.stream({"alpha": 0.5}, {"x": [1, 0.5], "s": ["a", "b"]}, tags={"site": "n"},
        where=lambda x, s: (x, s) != (1, "b"), **call)  # fmt: skip
    swarmgrid.stream({}, {"x": range(20)}, func=lambda x: x, store=store, chunks=2,
        shards={"x": 8}, **OPTIONS)  # fmt: skip
    (grid,) = swarmgrid.catalog(store).query({"axes.x.size": 20})
    grid.convert("value", "float64")


def assert_same(one: Any, two: Any) -> None:
    first, second = swarmgrid.catalog(one), swarmgrid.catalog(two)
    assert [r._replace(time_ns=0) for r in sorted(first.rows)] == [
        r._replace(time_ns=0) for r in sorted(second.rows)
    ]
    for grid in first:
        other = second[grid.id]
        xr.testing.assert_identical(grid.dataset().load(), other.dataset().load())
        xr.testing.assert_identical(grid.status().load(), other.status().load())
        assert other.errors().equals(grid.errors())
        assert other.tags == grid.tags
        assert other.verify().is_clean


@pytest.mark.parametrize("kind", ["directory", "memory"])
def test_a_copy_is_the_same(tmp_path: Path, kind: str) -> None:
    fill(tmp_path / "from")
    target = tmp_path / "to" if kind == "directory" else MemoryStore()
    done = swarmgrid.copy(tmp_path / "from", target)
    assert (len(done.copied), done.left) == (2, ())
    assert_same(tmp_path / "from", target)
    again = swarmgrid.copy(tmp_path / "from", target)
    assert (again.copied, len(again.left), again.nbytes) == ((), 2, 0)
    assert str(again) == "0 grids copied, 0 B; 2 are there already"
    back = MemoryStore()
    swarmgrid.copy(target, back, query={"tags.site": "n"})
    assert len(swarmgrid.catalog(back)) == 1


def test_points_that_the_target_has_are_not_touched(tmp_path: Path) -> None:
    fill(tmp_path / "from")
    call: dict[str, Any] = {"func": simulate, "store": tmp_path / "to", **OPTIONS}
    swarmgrid.stream({"alpha": 0.5}, {"x": [77], "s": ["a"]}, **call)
    done = swarmgrid.copy(tmp_path / "from", tmp_path / "to")
    assert [row.params for row in done.left] == [{"alpha": 0.5}]
    grid = swarmgrid.catalog(tmp_path / "to")["simulate", {"alpha": 0.5}]
    assert grid.dataset()["x"].values.tolist() == [77]


def test_a_damaged_value_is_not_copied(tmp_path: Path) -> None:
    call: dict[str, Any] = {"func": lambda x: x, "chunks": 1, **OPTIONS}
    swarmgrid.stream({}, {"x": [1, 2]}, store=tmp_path / "from", **call)
    (grid,) = swarmgrid.catalog(tmp_path / "from")
    (folder,) = (tmp_path / "from" / "data.zarr").glob(f"*/{grid.id}/value")
    (folder / "c.1").write_bytes((folder / "c.0").read_bytes())
    with pytest.raises(swarmgrid.DamageError, match=r"c\.1"):
        swarmgrid.copy(tmp_path / "from", tmp_path / "to")
    assert [row.points_computed for row in swarmgrid.catalog(tmp_path / "to").rows] == [0]
    grid.repair()
    swarmgrid.copy(tmp_path / "from", tmp_path / "to")
    assert [row.points_computed for row in swarmgrid.catalog(tmp_path / "to").rows] == [1]


def test_a_store_is_not_copied_to_itself(tmp_path: Path) -> None:
    fill(tmp_path)
    with pytest.raises(swarmgrid.InputError, match="the same store"):
        swarmgrid.copy(tmp_path, str(tmp_path))


def test_a_kill_at_any_step_leaves_no_wrong_point_and_the_call_again_completes_it(
    tmp_path: Path, kill_at: Callable[[int], None]
) -> None:
    source = tmp_path / "from"
    call: dict[str, Any] = {"func": simulate, "store": source, **OPTIONS}
    swarmgrid.stream({"alpha": 0.5}, {"x": [1, 2], "s": ["a"]}, chunks=1, tags={"a": 1}, **call)
    for k in itertools.count():
        target = tmp_path / str(k)
        kill_at(k)
        try:
            swarmgrid.copy(source, target)
            is_done = True
        except Killed:
            is_done = False
        kill_at(-1)
        lease._own.clear()  # as in a process that has ended
        assert all(row.points_computed in {0, 2} for row in swarmgrid.catalog(target).rows)
        swarmgrid.copy(source, target)
        assert_same(source, target)
        if is_done:
            break
    assert k > 10
