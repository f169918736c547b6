"""The past of a grid: snapshots read the same for ever, and lead back."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid import Grid
from swarmgrid.leases import lease
from swarmgrid.store import checked_json
from swarmgrid.store.location import to_location
from tests.conftest import Killed
from tests.long import first

FACTOR = [1]
"""What the function multiplies with: a change that its declared version does not tell."""


def product(x: int, y: int) -> dict[str, Any]:
    return {"whole": x * y * FACTOR[0], "text": f"{x * FACTOR[0]}", "pair": np.full(2, x / 2)}


def fill(store: Any, n: int = 10, ys: tuple[int, ...] = (1, 2)) -> None:
    is_new = not to_location(store).open().names("data.zarr/")  # else it may have another layout
    swarmgrid.stream(
        {}, {"x": range(n), "y": ys}, func=product, store=store, version="1", executor="sync",
        verbose=0, chunks={"x": 4} if is_new else None,
    )  # fmt: skip


def filled(store: Any, n: int = 10, ys: tuple[int, ...] = (1, 2)) -> Grid:
    fill(store, n, ys)
    return Grid.open(store, "product/")


@pytest.fixture(autouse=True)
def _factor() -> Any:
    FACTOR[0] = 1
    yield
    FACTOR[0] = 1


def test_a_snapshot_reads_what_it_was_whatever_is_done_to_the_grid() -> None:
    store = MemoryStore()
    grid = filled(store)
    taken = grid.snapshot("before", tags={"by": "test"})
    before = grid.dataset().load()
    FACTOR[0] = 7
    grid.delete(x=[0, 1], y=2)
    grid.invalidate(x=slice(5, 9))
    grid.convert("whole", "float64")
    filled(store, 14, (1, 2, 3))
    for name in (taken, taken.id, taken.id[:6], "before"):
        assert grid.dataset(at=name).identical(before)
    assert grid.dataset(at="before")["whole"].dtype == "int64"
    assert grid.dataset()["whole"].sel(x=1, y=2) == 14
    assert grid.verify().is_clean
    assert (taken.points, dict(taken.tags)) == (20, {"by": "test"})
    assert grid.snapshots() == [taken]


def test_taking_a_snapshot_copies_no_chunk_and_a_change_copies_only_what_it_changes(
    tmp_path: Path,
) -> None:
    grid = filled(tmp_path)
    grid.snapshot()
    kept = tmp_path / "snapshots" / grid.id / "kept"
    assert not kept.exists()
    filled(tmp_path, 14)  # adds to a chunk that is there: what it holds stays
    assert not kept.exists()
    grid.invalidate(x=[0])
    assert {p.parent.name for p in kept.rglob("*") if p.is_file()} == {
        *("c.0.0", "c.0.0.0"),
    }


def test_a_time_leaves_out_what_was_computed_later() -> None:
    store = MemoryStore()
    grid = filled(store)
    timings = grid.timings()["time"].max().values
    filled(store, 12)
    assert grid.dataset(at="1999-12-31")["whole"].isnull().all()
    later = timings + np.timedelta64(1, "D")
    assert grid.dataset(at=later).identical(grid.dataset())
    as_text = str(later.astype("M8[s]"))
    assert grid.dataset(at=as_text).identical(grid.dataset())
    today = dt.date.fromisoformat(as_text[:10])
    assert grid.dataset(at=today + dt.timedelta(days=1)).identical(grid.dataset())
    assert grid.dataset(at=today - dt.timedelta(days=2))["whole"].isnull().all()
    zoned = dt.datetime.fromisoformat(as_text).replace(tzinfo=dt.timezone(dt.timedelta(hours=5)))
    assert grid.dataset(at=zoned).identical(grid.dataset())


def test_a_diff_tells_every_point_that_was_added_removed_or_changed() -> None:
    store = MemoryStore()
    grid = filled(store, 4)
    grid.snapshot("one")
    assert len(grid.diff("one")) == 0
    FACTOR[0] = 3
    grid.invalidate(x=[1], y=[2])
    filled(store, 5)
    grid.delete(x=[0])
    found = grid.diff("one")
    assert [found.count(kind) for kind in ("added", "removed", "changed")] == [2, 2, 1]
    assert found.changed.to_dict("records") == [{"x": 1, "y": 2}]
    assert found.removed.to_dict("list") == {"x": [0, 0], "y": [1, 2]}
    assert found.added["x"].tolist() == [4, 4]
    with pytest.raises(swarmgrid.InputError, match="change is 'new'; expected one of added, rem"):
        found.count("new")
    back = grid.snapshot("two")
    assert grid.diff(back, "one").count("removed") == 2


def test_restoring_gives_the_values_and_the_missing_points_of_the_snapshot() -> None:
    store = MemoryStore()
    grid = filled(store)
    grid.snapshot("one")
    before = grid.dataset().load()
    FACTOR[0] = 7
    grid.delete(x=[0, 1], y=2)
    filled(store, 14, (1, 2, 3))
    grid.snapshot("two")
    after = grid.dataset().load()
    assert grid.restore("one") == 14 * 3 - 20
    now = grid.dataset()
    assert now.sizes["x"] == 14
    assert now.sel(x=before.x, y=before.y)["whole"].equals(before["whole"].astype(float))
    assert now["whole"].count() == 20
    assert len(grid.diff("one")) == 0
    assert grid.verify().is_clean
    assert grid.dataset(at="two").identical(after)
    assert grid.restore("two") == 0
    assert grid.dataset().identical(after)


LAYOUTS: dict[str, Any] = {
    "chunks": lambda grid: grid.rechunk(chunks={"x": 3, "y": 1}),
    "twice": lambda grid: [grid.rechunk(chunks=5), grid.rechunk(chunks={"x": 4, "y": 2})],
    "codecs": lambda grid: [grid.compress(level=level) for level in (5, 9)],
    "dtype": lambda grid: grid.convert("whole", "float64"),
    "order": lambda grid: grid.rechunk(sort=True, shards={"x": 4}, chunks={"x": 2, "y": 1}),
}
"""What is done to the layout of a grid between a snapshot of it and the way back."""


@pytest.mark.parametrize("name", first(3, LAYOUTS))
def test_a_grid_that_was_laid_out_anew_is_restored_in_the_layout_that_it_has(name: str) -> None:
    store = MemoryStore()
    fill(store, ys=(2, 1))
    grid = Grid.open(store, "product/")
    grid.delete(x=[3], y=[1])
    grid.snapshot("one")
    before = grid.dataset().load()
    FACTOR[0] = 7
    grid.invalidate(x=[1, 2])
    fill(store, 12, (2, 3, 1))
    LAYOUTS[name](grid)
    grid.snapshot("two")
    layout, after = grid.state().chunks, grid.dataset().load()
    found = grid.diff("one")  # by labels: no chunk is what it was
    changed = {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert {*map(tuple, found.points.query("change == 'changed'")[["x", "y"]].values)} == changed
    assert (found.count("added"), found.count("removed")) == (12 * 3 - 19, 0)
    back = grid.diff(None, "one")
    assert (back.count("added"), back.count("removed")) == (0, 12 * 3 - 19)
    assert grid.restore("one") == 12 * 3 - 19
    assert len(grid.diff("one")) == 0
    now = grid.dataset()
    assert (now.sizes["x"], grid.state().chunks) == (12, layout)
    assert now["whole"].count() == 19
    check_restored(now.load(), before)
    assert grid.restore("one") == 0
    for moment, then in (("one", before), ("two", after)):
        assert grid.dataset(at=moment).identical(then)
    assert grid.verify().is_clean
    assert grid.restore("two") == 0
    assert grid.dataset().identical(after)
    FACTOR[0] = 1
    fill(store, 14, (1, 2, 3))
    assert grid.dataset()["whole"].notnull().all()


def test_a_snapshot_is_not_restored_where_its_values_would_change() -> None:
    store = MemoryStore()
    swarmgrid.stream({}, {"x": [0.3, 0.7]}, func=lambda x: x, store=store, executor="sync")
    (grid,) = swarmgrid.catalog(store)
    grid.snapshot("exact")
    grid.rechunk(encoding={"value": {"dtype": "int8", "scale_factor": 0.5}})
    rounded = grid.snapshot("rounded")
    with pytest.raises(swarmgrid.InputError, match=r"lossy encoding now .*rechunk\(encoding="):
        grid.restore("exact")
    grid.rechunk(chunks=1)
    assert grid.restore(rounded) == 0
    assert grid.dataset()["value"].values.tolist() == [0.5, 0.5]
    grid.rechunk(encoding={"value": {}})
    assert grid.restore("exact") == 0
    assert grid.dataset()["value"].values.tolist() == [0.3, 0.7]


CHANGES: dict[str, Any] = {
    "take": lambda grid: grid.snapshot("two"),
    "restore": lambda grid: grid.restore("one"),
    "restore anew": lambda grid: grid.restore("one"),
    "delete": lambda grid: grid.delete(x=[0, 4], y=2),
    "invalidate": lambda grid: grid.invalidate(x=[0, 4], y=2),
    "convert": lambda grid: grid.convert("whole", "float64"),
    "restore earlier": lambda grid: grid.restore("none"),
    "rechunk": lambda grid: grid.rechunk(chunks={"x": 3}, sort=True),
    "compress": lambda grid: grid.compress(9),
    "put": lambda grid: grid.put_many({(n, 2): product(n, 2) for n in (7, 6)}, ["x", "y"]),
    "torn and repaired": lambda grid: grid.repair(),
    "torn": lambda grid: grid.put_many({(0, 2): product(0, 2)}, on_conflict="keep"),
    "forget another": lambda grid: [grid.delete_snapshot(s) for s in grid.snapshots()[2:]],
}


def ready(store: Path, name: str) -> tuple[Grid, xr.Dataset]:
    """A grid with a snapshot, and what this holds."""
    FACTOR[0] = 1
    if name == "restore earlier":
        filled(store, 2).snapshot("none")
    grid = filled(store, 6)
    grid.snapshot("one")
    before = grid.dataset().load()
    FACTOR[0] = 7
    if "torn" in name:
        for segment in (store / "manifest" / grid.id).glob("*.seg"):
            segment.write_bytes(b"torn")
    if name == "forget another":
        grid.snapshot()
        grid.delete(x=[0])
        grid.snapshot()
    if name in {"restore", "restore anew"}:
        grid.delete(x=[0, 1], y=2)
        filled(store, 6)
    if name == "restore anew":
        grid.rechunk(chunks={"x": 3})
    return grid, before


@pytest.mark.parametrize(("name", "every"), first(1, [("take", 3), *((n, 1) for n in CHANGES)]))
def test_a_kill_at_any_step_harms_no_snapshot(
    tmp_path: Path, kill_at: Any, name: str, every: int
) -> None:
    for k in itertools.count(every // 2, every):
        store = tmp_path / str(k)
        grid, before = ready(store, name)
        kill_at(k)
        try:
            CHANGES[name](grid)
            is_done = True
        except Killed:
            is_done = False
        kill_at(-1)
        lease._own.clear()  # as in a process that has ended
        assert grid.dataset(at="one").identical(before)
        if "torn" not in name:
            assert not [p for p in grid.verify().problems if "left over" not in p.reason]
        if not is_done:
            CHANGES[name](grid)
        filled(store, 6)
        assert grid.dataset(at="one").identical(before)
        if name in {"restore", "restore anew"}:
            assert grid.restore("one") == 0
            assert grid.dataset().identical(before)
        if name == "take":
            left = {p.name for p in (store / "snapshots" / grid.id).iterdir()}
            ids = {snapshot.id for snapshot in grid.snapshots()}
            assert left == ids | {f"{each}.json" for each in ids}
        if is_done:
            break
    assert k > 5


def check_restored(now: xr.Dataset, then: xr.Dataset) -> None:
    """Hold a restored grid against what the snapshot had."""
    for name, old in then.data_vars.items():
        inside = now[name].sel(x=then.x, y=then.y)
        assert (inside.isnull() == old.isnull()).all()
        assert ((inside == old) | old.isnull()).all()


def test_a_lost_value_of_a_snapshot_is_found_and_told(tmp_path: Path) -> None:
    grid = filled(tmp_path)
    grid.snapshot("one")
    FACTOR[0] = 7
    grid.invalidate(x=[1])
    filled(tmp_path)
    (copy,) = (tmp_path / "snapshots" / grid.id / "kept" / "whole" / "c.0.0").iterdir()
    copy.write_bytes(b"x" + copy.read_bytes()[1:])
    with pytest.raises(swarmgrid.DamageError, match="a copy that was kept"):
        grid.dataset(at="one")["whole"].load()
    (problem,) = grid.verify().problems
    assert "snapshot" in problem.reason
    now = grid.dataset().load()
    with pytest.raises(swarmgrid.DamageError):
        grid.restore("one")
    assert grid.dataset().identical(now)


def test_a_damaged_snapshot_stops_no_repair_and_loses_no_copy(tmp_path: Path) -> None:
    grid = filled(tmp_path)
    damaged, sound = grid.snapshot("damaged"), grid.snapshot("sound")
    before = grid.dataset().load()
    (segment,) = (tmp_path / "snapshots" / grid.id / damaged.id / "manifest").glob("*.seg")
    segment.write_bytes(b"torn")
    with pytest.raises(swarmgrid.DamageError):
        grid.dataset(at="damaged")
    FACTOR[0] = 7
    grid.invalidate(x=[1])
    filled(tmp_path)
    assert grid.dataset(at=sound).identical(before)
    with pytest.raises(swarmgrid.DamageError):
        grid.convert("whole", "float64")
    grid.delete_snapshot("damaged")
    assert grid.dataset(at=sound).identical(before)
    assert grid.verify().is_clean


@pytest.mark.parametrize("torn", ["torn", "", "{}", "newer"])
def test_a_damaged_record_concerns_its_own_snapshot_alone(torn: str) -> None:
    store = MemoryStore()
    grid = filled(store)
    sound, damaged = grid.snapshot("sound"), grid.snapshot("damaged")
    before = grid.dataset().load()
    blobs, key = to_location(store).open(), f"snapshots/{grid.id}/{damaged.id}.json"
    if torn == "newer":
        record = checked_json.from_bytes(blobs.get(key) or b"")
        record["attributes"]["swarmgrid_format"] = 99
        torn = json.dumps(checked_json.with_checksum(record))
    blobs.put(key, torn.encode())
    first, second = grid.snapshots()
    assert (first.id, bool(first.damage), second) == (damaged.id, True, sound)
    assert [p.key for p in grid.verify().problems] == [key]
    for read in (lambda name: grid.dataset(at=name), grid.restore, grid.diff):
        with pytest.raises(swarmgrid.DamageError, match=rf"delete_snapshot\('{damaged.id}'\)"):
            read(damaged.id)
    with pytest.raises(swarmgrid.InputError, match=rf"{damaged.id} \(damaged\), {sound.id}"):
        grid.dataset(at="damaged")
    assert swarmgrid.prune(store, max_bytes=0, dry_run=False).grids == ()
    FACTOR[0] = 7
    grid.invalidate(x=[1])
    filled(store)
    assert grid.dataset(at="sound").identical(before)
    grid.delete_snapshot(grid.snapshot("third"))
    grid.delete_snapshot(damaged.id)
    assert grid.snapshots() == [sound]
    assert grid.dataset(at="sound").identical(before)
    assert grid.restore("sound") == 0
    assert grid.verify().is_clean


def test_expired_snapshots_are_deleted_and_others_keep_their_grid() -> None:
    store = MemoryStore()
    grid = filled(store)
    grid.snapshot("short", expires=0)
    kept = grid.snapshot("long", expires="30d")
    assert grid.snapshots() == [kept]
    assert kept.expires == kept.time + dt.timedelta(days=30)
    assert swarmgrid.prune(store, max_bytes=0, dry_run=False).grids == ()
    grid.delete_snapshot("long")
    grid.snapshot(expires=0)
    assert len(swarmgrid.prune(store, max_bytes=0, dry_run=False).grids) == 1
    assert not to_location(store).open().names("snapshots/")


def test_a_catalog_takes_and_restores_the_snapshots_of_all_its_grids() -> None:
    store = MemoryStore()
    grid = filled(store)
    other = swarmgrid.GridFunction(product, store=store, version="2", executor="sync", verbose=0)
    other.compute({}, {"x": [1], "y": [1]})
    taken = swarmgrid.catalog(store).snapshot("all", tags={"n": 1})
    assert taken.keys() == {grid.id, other.grid({}, ["x", "y"]).id}
    third = swarmgrid.GridFunction(product, store=store, version="3", executor="sync", verbose=0)
    third.compute({}, {"x": [1], "y": [1]})
    fill(store, 12)
    found = swarmgrid.catalog(store).restore("all")
    assert found == {name: 4 if name == grid.id else 0 for name in taken}
    with pytest.raises(swarmgrid.InputError, match="no grid of this catalog has a snapshot 'al'"):
        swarmgrid.catalog(store).restore("al")


def test_a_grid_with_snapshots_is_dropped_only_with_them(tmp_path: Path) -> None:
    grid = filled(tmp_path)
    grid.snapshot()
    with pytest.raises(swarmgrid.InputError, match="1 snapshot, .* snapshots=True"):
        grid.drop()
    grid.invalidate(x=[0])
    grid.drop(snapshots=True)
    assert not (tmp_path / "snapshots" / grid.id).exists()


def test_a_snapshot_that_comes_while_a_grid_is_being_dropped_keeps_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryStore()
    grid = filled(store)
    acquire = lease.acquire

    def later(location: Any, path: Any) -> Any:
        monkeypatch.setattr(lease, "acquire", acquire)
        grid.snapshot("just now")
        return acquire(location, path)

    for drop in (grid.drop, lambda: swarmgrid.prune(store, max_bytes=0, dry_run=False)):
        monkeypatch.setattr(lease, "acquire", later)
        try:
            assert drop().grids == ()
        except swarmgrid.InputError as error:
            assert "new snapshots" in str(error)  # noqa: PT017  # of drop alone
        assert grid.dataset(at="just now")["whole"].notnull().all()
        grid.delete_snapshot("just now")


def test_names_alone_are_tags_and_a_snapshot_reads_as_one_line() -> None:
    grid = filled(MemoryStore())
    for tags in (["b", "a"], ("b", "a"), {"b", "a"}, {"a": True, "b": True}):
        assert dict(grid.snapshot(tags=tags).tags) == {"a": True, "b": True}
    soon = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=9)
    for expires in (soon, soon.isoformat(), np.datetime64(soon.replace(tzinfo=None))):
        taken = grid.snapshot(message="fig. 3", tags="paper", expires=expires)
        assert (dict(taken.tags), taken.expires) == ({"paper": True}, soon)
        assert repr(taken) == (
            f"<swarmgrid.Snapshot {taken.id} 'fig. 3': 20 points, {taken.time:%Y-%m-%d %H:%M:%S} "
            f"UTC, paper=True, expires {soon:%Y-%m-%d %H:%M:%S}>"
        )
    for past in ("2020-01-01", dt.date(2020, 1, 1)):
        with pytest.raises(swarmgrid.InputError, match="expected a time that is to come"):
            grid.snapshot(expires=past)
    for tags in (["a", 1], 3, [["a"]]):
        with pytest.raises(swarmgrid.InputError, match="or a list of names"):
            grid.snapshot(tags=tags)  # type: ignore[arg-type]


def test_only_a_snapshot_is_restored_and_deleted_and_no_time() -> None:
    grid = filled(MemoryStore())
    for change in (grid.restore, grid.delete_snapshot):
        for moment in ("2026-11-20T12:00", dt.date(2026, 11, 20), np.datetime64("2026-11-20")):
            with pytest.raises(
                swarmgrid.InputError, match="is a time, and expected is a snapshot"
            ):
                change(moment)  # type: ignore[operator]
    for nothing in (np.datetime64("NaT", "s"), pd.NaT, "", 1.5):
        with pytest.raises(swarmgrid.InputError, match="is no snapshot of"):
            grid.dataset(at=nothing)


def test_mistakes_say_what_there_is() -> None:
    store = MemoryStore()
    grid = filled(store)
    with pytest.raises(swarmgrid.InputError, match=r"'befor' is no snapshot .*; it has none"):
        grid.dataset(at="befor")
    one, two = grid.snapshot("same"), grid.snapshot("same")
    with pytest.raises(swarmgrid.InputError, match=f"2 snapshots of .* fit .*{one.id}, {two.id}"):
        grid.restore("same")
    with pytest.raises(swarmgrid.InputError, match=f"no snapshot .* it has {one.id} 'same'"):
        grid.diff("other")
    for wrong in (3, b"x", "two\nlines"):
        with pytest.raises(swarmgrid.InputError, match="expected one line of text"):
            grid.snapshot(wrong)  # type: ignore[arg-type]
    with pytest.raises(swarmgrid.InputError, match="expires is 'soon'; expected a span"):
        grid.snapshot(expires="soon")
    for far in ("9999999d", 1e18, "9999-12-31", dt.timedelta.max):
        with pytest.raises(swarmgrid.InputError, match="is after the year 9999; expected '30d'"):
            grid.snapshot(expires=far)
    there = grid._ref.location.open().names(grid._ref.path.snapshots)
    ids = {snapshot.id for snapshot in {*grid.snapshots()}}
    assert {name.partition(".")[0].strip("/") for name in there} - {"kept"} == ids
    with pytest.raises(swarmgrid.InputError, match="is no snapshot"):
        grid.dataset(at=3)  # type: ignore[arg-type]
    empty = swarmgrid.GridFunction(product, store=store, version="2").grid({}, ["x", "y"])
    for call in (
        *(empty.snapshot, lambda: empty.dataset(at="2026-01-01"), lambda: empty.diff(one)),
        *(lambda: empty.dataset(at="a"), lambda: empty.diff("a"), lambda: empty.restore("a")),
        lambda: empty.delete_snapshot("a"),
    ):
        with pytest.raises(swarmgrid.InputError, match="nothing is stored"):
            call()
