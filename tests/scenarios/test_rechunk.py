"""A stored grid laid out anew: the same values in other chunks, whatever interrupts that."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import swarmgrid
from swarmgrid import Grid
from swarmgrid.leases import lease
from swarmgrid.store.location import to_location
from tests import programs
from tests.conftest import Killed
from tests.long import examples, first
from tests.waiting import PATIENCE


def model(x: float, t: np.datetime64, name: str) -> dict[str, Any]:
    if x == 99:
        raise ValueError("no")
    return {
        "number": x * 1.5 + int(t.astype("datetime64[h]").astype(int)) % 24,
        "count": int(x) * len(name),
        "curve": np.arange(3.0) * x,
        "text": f"{name}{x}",
        "when": t + np.timedelta64(int(x), "s"),
    }


TIMES = [np.datetime64("2026-01-01T00", "ns") + np.timedelta64(h, "h") for h in (3, 1, 2)]
AXES: dict[str, Any] = {"x": [5, 3, 4.5, 1, 2], "t": TIMES, "name": ["b", "a"]}


def compute(store: Any, axes: Any = AXES, **options: Any) -> xr.Dataset:
    options = {"chunks": {"x": 2, "t": 2, "name": 1}, "executor": "sync", **options}
    return swarmgrid.compute(model, axes=axes, store=store, version="1", **options)


def grid_of(store: Any) -> Grid:
    return Grid.open(store, "model/")


def partly(store: Any) -> xr.Dataset:
    """A grid that was grown, with points left out: chunks of several rows, some of none."""
    compute(store, {**AXES, "x": [5, 3]}, where=lambda x, t, name: x == 5 or name == "a")
    compute(store, {**AXES, "x": [4.5, 1], "name": ["b"]})
    return grid_of(store).dataset().load()


LAYOUTS: dict[str, dict[str, Any]] = {
    "one chunk": {"chunks": {"x": 8, "t": 4, "name": 2}},
    "single points": {"chunks": 1},
    "lengths that do not fit": {"chunks": {"x": 3, "t": 1}},
    "shards": {"chunks": {"x": 2, "t": 1, "name": 1}, "shards": {"x": 4, "t": 2, "name": 2}},
    "other codecs": {"codec": "gzip"},
    "in order": {"sort": True},
    "everything": {
        "chunks": {"x": 3, "t": 3, "name": 2},
        "encoding": {"number": {"compressors": "blosc"}, "count": {"dtype": "int16"}},
        "sort": True,
    },
}


@pytest.mark.parametrize("layout", first(2, LAYOUTS.values()))
def test_every_value_is_as_it_was_in_every_layout(tmp_path: Path, layout: dict[str, Any]) -> None:
    before = partly(tmp_path)
    points = grid_of(tmp_path).state().points_computed
    timings = grid_of(tmp_path).timings().load()
    change = grid_of(tmp_path).rechunk(**layout)
    grid = grid_of(tmp_path)
    assert grid.verify().is_clean, grid.verify()
    assert grid.verify().notes == ()
    after = grid.dataset().load()
    xr.testing.assert_identical(after.sel(before.coords), before)
    assert grid.state().points_computed == points
    if layout.get("sort"):
        assert all((np.diff(after[a].values.astype("U30").argsort()) > 0).all() for a in ["t"])
        assert list(after["x"]) == sorted(after["x"].values)
        assert list(after["name"]) == ["a", "b"]
    assert change.chunks_after == sum(
        1 for name in before for _ in tmp_path.glob(f"data.zarr/model/*/{name}/[0-9]*")
    )
    assert change.bytes_before > 0
    assert "->" in repr(change)
    moved = grid.timings().load().sel(before.coords)
    np.testing.assert_allclose(moved["seconds"].sum(), timings["seconds"].sum(), rtol=0.2)

    calls = swarmgrid.stream(
        model, axes={**AXES, "x": [5, 3]}, store=tmp_path, version="1", executor="sync"
    )
    assert calls.points_cached == 9
    whole = compute(tmp_path, {**AXES, "x": [7, 5, 3]}, chunks=None)
    assert whole.equals(compute("memory://rechunk-plain", {**AXES, "x": [7, 5, 3]}))
    assert grid.verify().is_clean


@settings(max_examples=examples(10))
@given(data=st.data())
def test_layouts_after_layouts_keep_every_value(
    data: st.DataObject, new_memory_store: Callable[[], str]
) -> None:
    store = new_memory_store()
    before = partly(store)
    for _ in range(data.draw(st.integers(1, 3))):
        length = st.integers(1, 6)
        chunks = data.draw(st.fixed_dictionaries({"x": length, "t": length, "name": length}))
        factor = data.draw(st.none() | st.integers(1, 3))
        shards = False if factor is None else {name: n * factor for name, n in chunks.items()}
        codec = data.draw(st.sampled_from([None, "gzip", [], "blosc"]))
        grid_of(store).rechunk(chunks, shards, codec=codec, sort=data.draw(st.booleans()))
        after = grid_of(store).dataset().load()
        xr.testing.assert_identical(after.sel(before.coords), before)
    assert grid_of(store).verify().is_clean
    assert swarmgrid.open(model, axes=list(AXES), store=store, version="1").equals(after)


def test_a_kill_at_any_step_leaves_the_old_layout_or_the_new(
    tmp_path: Path, kill_at: Callable[[int], None]
) -> None:
    outcomes = set()
    step = 1 if examples(50) > 50 else 7
    for k in itertools.count(0, step):
        store = tmp_path / str(k)
        axes = {"x": [5, 3, 4.5], "t": TIMES[:1], "name": ["b"]}
        compute(store, {**axes, "x": [5, 3, 4.5, 99]}, on_error="record")
        before = grid_of(store).dataset().load()
        errors = grid_of(store).errors()
        kill_at(k)
        try:
            grid_of(store).rechunk(chunks={"x": 3}, sort=True)
        except Killed:
            is_over = False
        else:
            is_over = True
        finally:
            kill_at(-1)
        lease._own.clear()  # as in a process that has ended
        now = grid_of(store).dataset().load()
        xr.testing.assert_identical(now.sel(before.coords), before)
        assert grid_of(store).verify().is_clean, (k, grid_of(store).verify())
        assert grid_of(store).errors()["x"].tolist() == errors["x"].tolist() == [99]
        outcomes.add(grid_of(store).state().chunks["x"])
        done = swarmgrid.stream(
            model,
            axes={**axes, "x": [5, 3, 4.5, 6]},
            store=store,
            version="1",
            executor="sync",
        )
        assert done.points_computed == 1
        grid_of(store).rechunk(chunks={"x": 4})
        grid_of(store).repair()
        assert grid_of(store).verify().notes == (), k
        again = grid_of(store).dataset().load()
        xr.testing.assert_identical(again.sel(before.coords), before)
        if is_over:
            break
    assert outcomes == {2, 3}


def test_an_open_dataset_says_that_it_is_to_be_opened_again(tmp_path: Path) -> None:
    old = compute(tmp_path)
    also = pickle.loads(pickle.dumps(old))
    assert old["number"].sum() > 0
    grid_of(tmp_path).compress(level=9)
    with pytest.raises(swarmgrid.StoreError, match="laid out anew.*open it again"):
        old["count"].load()
    with pytest.raises(swarmgrid.StoreError, match="laid out anew"):
        also["number"].load()
    assert not list(tmp_path.glob("manifest/*/*.bad"))
    assert grid_of(tmp_path).verify().is_clean


def test_compress_makes_a_grid_smaller_and_says_by_how_much(tmp_path: Path) -> None:
    def curve(x: int) -> Any:
        return np.cumsum(np.arange(4000) % (x + 5)).astype(float)

    store = to_location(tmp_path)
    swarmgrid.stream(curve, axes={"x": range(6)}, store=tmp_path, executor="sync")
    grid = Grid.open(tmp_path, "curve/")
    before = grid.dataset().load()
    files = [*Path(store.url).glob("data.zarr/curve/*/value/c*")]
    size = sum(file.stat().st_size for file in files)
    change = grid.compress(level=19)
    assert (change.bytes_before, change.chunks_before) == (size, len(files))
    assert change.bytes_after < change.bytes_before
    assert "zstd(level=19)" in grid.state().encodings["value"]
    assert grid.dataset().identical(before)
    assert grid.compress(level=1).bytes_after == size
    assert grid.state().encodings["value"] == "float64, zstd(level=1)"


def test_codecs_are_measured_anew(tmp_path: Path) -> None:
    before = compute(tmp_path, encoding={"number": {"dtype": "float32"}}).load()
    grid_of(tmp_path).rechunk(codec="auto", encoding={"number": {"dtype": "float32"}})
    words = grid_of(tmp_path).state().encodings
    assert all("costs least" in text for text in words.values())
    assert "float32" in words["number"]
    assert compute(tmp_path, chunks=None).identical(before)


@pytest.mark.parametrize("codec", ["gzip", "auto"])
def test_other_compressors_leave_the_dtype_the_scale_and_the_filters(
    tmp_path: Path, codec: str
) -> None:
    packed = {"number": {"dtype": "int16", "scale_factor": 0.01}}
    rounded = {"curve": {"filters": numcodecs.BitRound(8)}}
    before = compute(tmp_path, encoding=packed | rounded).load()
    grid_of(tmp_path).rechunk(codec=codec)
    words = grid_of(tmp_path).state().encodings
    assert "int16" in words["number"]
    assert "0.01" in words["number"]
    assert "bitround" in words["curve"].lower()
    assert ("gzip" if codec == "gzip" else "costs least") in words["curve"]
    assert compute(tmp_path, chunks=None).identical(before)


def test_what_cannot_be_is_said_before_anything_is_written(tmp_path: Path) -> None:
    compute(tmp_path, shards={"x": 4, "t": 2, "name": 2})
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()}
    grid = grid_of(tmp_path)
    for message, call in {
        "nothing to change": grid.rechunk,
        "has nothing to change": lambda: grid.rechunk(chunks={}),
        "rechunk has nothing to change": lambda: grid.rechunk(chunks={"x": None}),
        "is no axis": lambda: grid.rechunk(chunks={"y": 3}),
        "does not divide its shard length": lambda: grid.rechunk(chunks={"x": 3}),
        "which is no output": lambda: grid.rechunk(encoding={"numbr": {}}),
        "cannot hold them": lambda: grid.rechunk(encoding={"text": {"dtype": "int8"}}),
        "expected -7": lambda: grid.compress(level=99),
        "an integer from -7": lambda: grid.compress(level="high"),  # type: ignore[arg-type]
    }.items():
        with pytest.raises(swarmgrid.InputError, match=message):
            call()
    found = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()}
    assert found == files


def test_a_value_that_the_new_encoding_cannot_hold_changes_nothing(tmp_path: Path) -> None:
    before = compute(tmp_path).load()
    compute(tmp_path, {**AXES, "x": [300]}, chunks=None)
    with pytest.raises(swarmgrid.InputError, match=r"output 'count' has the value 300.*Nothing"):
        grid_of(tmp_path).rechunk(encoding={"count": {"dtype": "uint8"}}, chunks=1)
    grid_of(tmp_path).repair()
    assert grid_of(tmp_path).verify().is_clean
    assert grid_of(tmp_path).dataset().sel(before.coords).load().equals(before)


def test_damage_stops_it_and_the_old_layout_stays(tmp_path: Path) -> None:
    ds = compute(tmp_path)
    chunk = next(Path(ds.encoding["source"], "count").glob("c.*"))
    chunk.write_bytes(chunk.read_bytes()[:-3])
    with pytest.raises(swarmgrid.DamageError, match="count"):
        grid_of(tmp_path).rechunk(chunks=1)
    grid_of(tmp_path).repair()
    assert compute(tmp_path).equals(compute("memory://rechunk-damage"))


def test_a_disk_without_room_for_both_layouts_is_said_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    from types import SimpleNamespace

    compute(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(swarmgrid.StoreError, match=r"needs about .* has 10 B free"):
        grid_of(tmp_path).rechunk(chunks=1)


def test_a_grid_without_axes_and_one_of_one_row_are_laid_out_anew(tmp_path: Path) -> None:
    def single() -> float:
        return 2.5

    swarmgrid.stream(single, axes={}, store=tmp_path, executor="sync")
    grid = Grid.open(tmp_path, "single/")
    grid.rechunk(codec="gzip", sort=True)
    assert float(grid.dataset()["value"]) == 2.5
    assert grid.verify().is_clean


WORKER = """
import sys
import swarmgrid
from tests.scenarios.test_rechunk import compute, grid_of
store, n = sys.argv[1], int(sys.argv[2])
for i in range(3):
    if n:
        grid_of(store).rechunk(chunks={"x": i + 1}, sort=True)
    else:
        compute(store, {"x": [10.0 + i], "t": __import__("tests.scenarios.test_rechunk")
                .scenarios.test_rechunk.TIMES, "name": ["a", "b"]}, chunks=None)
"""


@pytest.mark.parametrize("rounds", first(0, [3]))
def test_two_processes_compute_and_rechunk_at_once(tmp_path: Path, rounds: int) -> None:
    import sys

    for n in range(rounds):
        store = tmp_path / str(n)
        before = compute(store).load()
        root = Path(__file__).parents[2]
        both = [
            programs.start([sys.executable, "-c", WORKER, str(store), str(k)], cwd=root)
            for k in (0, 1)
        ]
        assert [one.wait(PATIENCE) for one in both] == [0, 0]
        assert grid_of(store).verify().is_clean
        assert grid_of(store).state().points_computed == before["number"].size + 3 * 6
        now = grid_of(store).dataset().sel(before.coords).load()
        xr.testing.assert_identical(now, before)


@pytest.mark.parametrize("change", ["rechunk", "rotate"])
def test_a_snapshot_outlives_another_layout(tmp_path: Path, change: str) -> None:
    before = compute(tmp_path).load()
    snapshot = grid_of(tmp_path).snapshot("as it was")
    if change == "rechunk":
        grid_of(tmp_path).rechunk(chunks={"x": 3}, sort=True)
        grid_of(tmp_path).rechunk(chunks={"x": 2}, sort=True)  # under the old keys again
    else:
        grid_of(tmp_path).rotate(swarmgrid.Key.generate())
    past = grid_of(tmp_path).dataset(at=snapshot).load()
    assert past.equals(before)
    assert grid_of(tmp_path).verify().is_clean
    key_ids = grid_of(tmp_path).state().encodings
    assert grid_of(tmp_path).restore(snapshot) == 0
    assert grid_of(tmp_path).dataset().sel(before.coords).load().equals(before)
    assert grid_of(tmp_path).state().encodings == key_ids


def fails_at_two(x: int) -> float:
    if x == 2:
        raise ValueError(f"no {x}")
    return x * 1.0


def some_failed(store: Any, xs: Any) -> Grid:
    options: dict[str, Any] = {"store": store, "version": "1", "executor": "sync"}
    swarmgrid.stream(fails_at_two, axes={"x": xs}, on_error="record", verbose=0, **options)
    return Grid.open(store, "fails_at_two/")


@pytest.mark.parametrize("laid_out", ["source", "target"])
def test_failures_are_told_and_taken_over_in_any_layout(
    tmp_path: Path, laid_out: str, new_memory_store: Callable[[], str]
) -> None:
    source, target = new_memory_store(), new_memory_store()
    grids = {"source": some_failed(source, [0, 1, 2]), "target": some_failed(target, [0])}
    grids[laid_out].rechunk(chunks=2)
    assert grids["source"].errors()["reason"].tolist() == ["ValueError: no 2"]
    page = swarmgrid.report(source, tmp_path / "report.html").read_text()
    assert "ValueError: no 2" in page
    swarmgrid.merge(source, target)
    assert grids["target"].errors()["x"].tolist() == [2]
    assert grids["target"].state().points_failed == 1
    assert grids["target"].verify().notes == ()
