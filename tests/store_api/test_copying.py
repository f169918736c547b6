"""A copy is the same grid in another store, whole or without points; nothing is overwritten."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.leases import lease
from tests.conftest import Killed
from tests.long import first

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


def test_a_failure_of_the_copy_is_newer_than_those_that_were_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(x: int) -> float:
        if x:
            raise ValueError(os.environ["REASON"])
        return 0.0

    monkeypatch.setenv("REASON", "first")
    one, two = MemoryStore(), MemoryStore()
    call: dict[str, Any] = {"func": fails, "on_error": "record", **OPTIONS}
    for _ in range(3):  # the epochs of the source are ahead of the target's
        swarmgrid.stream({}, {"x": [0, 1]}, store=one, **call)
    swarmgrid.copy(one, two)
    monkeypatch.setenv("REASON", "last")
    swarmgrid.stream({}, {"x": [0, 1]}, store=two, **call)
    (grid,) = swarmgrid.catalog(two)
    (before,) = swarmgrid.catalog(one)
    errors = grid.errors()
    assert errors["reason"].tolist() == ["ValueError: last"]
    assert errors["attempt"].tolist() == [before.errors()["attempt"][0] + 1]


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


FACTOR = [1]


def scaled(x: int) -> float:
    return x * FACTOR[0]


def with_past(store: Any) -> tuple[swarmgrid.Grid, dict[str, xr.Dataset]]:
    """A grid with snapshots, of which some chunks are kept, and what the snapshots hold."""
    FACTOR[0] = 1
    call: dict[str, Any] = {"func": scaled, "store": store, "chunks": 2, **OPTIONS}
    swarmgrid.stream({}, {"x": range(6)}, **call)
    (grid,) = swarmgrid.catalog(store)
    moments = {}
    for number, change in enumerate(
        (
            lambda: grid.invalidate(x=[1]),
            lambda: grid.delete(x=[3]),
            lambda: grid.rechunk(chunks=3),
            lambda: grid.delete(x=[0]),
        )
    ):
        moments[grid.snapshot(f"{number}", tags={"n": number}).message] = grid.dataset().load()
        change()
        FACTOR[0] = number + 2
        if number != 1:
            swarmgrid.stream({}, {"x": range(7)}, **call | {"chunks": None})
    return grid, moments


@pytest.mark.parametrize("kind", ["directory", "memory"])
def test_snapshots_come_with_their_grid(tmp_path: Path, kind: str) -> None:
    source, moments = with_past(tmp_path / "from")
    target = tmp_path / "to" if kind == "directory" else MemoryStore()
    done = swarmgrid.copy(tmp_path / "from", target)
    assert done.snapshots == 4
    assert "with 4 snapshots" in repr(done)
    assert_same(tmp_path / "from", target)
    (grid,) = swarmgrid.catalog(target)
    assert grid.snapshots() == source.snapshots()
    shutil.rmtree(tmp_path / "from")
    for message, values in moments.items():
        assert grid.dataset(at=message).identical(values)
    grid.restore("0")
    assert grid.dataset()["value"].sel(x=range(6)).values.tolist() == list(range(6))


def test_snapshots_stay_behind_where_that_is_asked_for_and_damage_is_told(tmp_path: Path) -> None:
    source, _ = with_past(tmp_path / "from")
    taken = source.snapshots()[1]
    (tmp_path / "from" / "snapshots" / source.id / f"{taken.id}.json").write_bytes(b"torn")
    for target in ("one", "two"):
        with pytest.raises(swarmgrid.DamageError, match=r"delete_snapshot.*snapshots=False"):
            swarmgrid.copy(tmp_path / "from", tmp_path / target)
        assert [row.points_computed for row in swarmgrid.catalog(tmp_path / target).rows] == [0]
    assert swarmgrid.copy(tmp_path / "from", tmp_path / "one", snapshots=False).snapshots == 0
    assert_same(tmp_path / "from", tmp_path / "one")
    assert next(iter(swarmgrid.catalog(tmp_path / "one"))).snapshots() == []
    source.delete_snapshot(taken.id)
    assert swarmgrid.merge(tmp_path / "from", tmp_path / "two").points_added == 7
    assert len(next(iter(swarmgrid.catalog(tmp_path / "two"))).snapshots()) == 3
    with pytest.raises(swarmgrid.InputError, match="snapshots is 1; expected True or False"):
        swarmgrid.copy(tmp_path / "from", tmp_path / "three", snapshots=1)  # type: ignore[arg-type]


def test_a_store_is_not_copied_to_itself(tmp_path: Path) -> None:
    fill(tmp_path)
    with pytest.raises(swarmgrid.InputError, match="the same store"):
        swarmgrid.copy(tmp_path, str(tmp_path))


@pytest.mark.parametrize(("has_past", "every"), first(1, [(False, 5), (False, 1), (True, 1)]))
def test_a_kill_at_any_step_leaves_no_wrong_point_and_the_call_again_completes_it(
    tmp_path: Path, kill_at: Callable[[int], None], has_past: bool, every: int
) -> None:
    source = tmp_path / "from"
    call: dict[str, Any] = {"func": simulate, "store": source, **OPTIONS}
    swarmgrid.stream({"alpha": 0.5}, {"x": [1, 2], "s": ["a"]}, chunks=1, tags={"a": 1}, **call)
    (grid,) = swarmgrid.catalog(source)
    before = grid.dataset().load()
    if has_past:
        grid.snapshot("before")
        grid.delete(x=[1])
    n = grid.state().points_computed
    for k in itertools.count(every // 2, every):
        target = tmp_path / str(k)
        kill_at(k)
        try:
            swarmgrid.copy(source, target)
            is_done = True
        except Killed:
            is_done = False
        kill_at(-1)
        lease._own.clear()  # as in a process that has ended
        assert all(row.points_computed in {0, n} for row in swarmgrid.catalog(target).rows)
        swarmgrid.copy(source, target)
        assert_same(source, target)
        (copied,) = swarmgrid.catalog(target)
        assert not has_past or copied.dataset(at="before").identical(before)
        if is_done:
            break
    assert k > 10
