"""Every file of a store, damaged in every way: right values, or an error that names the file."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import swarmgrid
from swarmgrid.leases import lease
from swarmgrid.maintenance.report import Report
from tests.long import first

AXES: dict[str, Any] = {"x": [0.5, 1, 2, 3], "s": ["a", "b"]}


def simulate(x: float, s: str) -> xr.Dataset:
    if x == 9:
        raise ValueError("nine")
    t = np.arange(40) / 2
    return xr.Dataset(
        {"mean": float(x) * len(s), "trace": ("t", x * t), "name": s * int(x)}, coords={"t": t}
    )


def noisy(x: float, s: str) -> dict[str, Any]:
    return {"value": float(np.random.default_rng().normal())}


def run(store: Path, axes: dict[str, Any] = AXES, **options: Any) -> Any:
    return swarmgrid.run(axes=axes, func=simulate, store=store, version="1", verbose=0, **options)


OUTPUTS = ("mean", "trace", "name")
GRID = swarmgrid.GridFunction(simulate, version="1", verbose=0)


DIVIDED: dict[str, dict[str, Any]] = {
    "plain": {"chunks": {"x": 2, "s": 1}},
    "sharded": {"chunks": {"x": 2, "s": 1}, "shards": {"x": 4, "s": 1}},
}


@pytest.fixture(scope="module", params=first(1, DIVIDED))
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store that grew, was promoted, and has several segments and a failure.

    Of the sharded one, chunks of the output `trace` are compressed, those of the others are not.
    """
    store = tmp_path_factory.mktemp("sound") / "s"
    run(store, {"x": [1, 2], "s": ["a"]}, executor="sync", **DIVIDED[request.param])
    run(store, AXES, executor="sync")
    run(store, {"x": [9], "s": ["a"]}, executor="sync", on_error="record")
    return store


@pytest.fixture(scope="module")
def oracle(sound: Path) -> xr.Dataset:
    return run(sound)[0].load()


def files(store: Path) -> list[str]:
    return sorted(str(p.relative_to(store)) for p in store.rglob("*") if p.is_file())


def damage(file: Path, how: str) -> None:
    data = file.read_bytes()
    middle = len(data) // 2
    if how == "delete":
        file.unlink()
    elif how == "truncate":
        file.write_bytes(data[:middle])
    elif how == "empty":
        file.write_bytes(b"")
    else:
        place = {"flip first": 0, "flip middle": middle, "flip last": len(data) - 1}[how]
        file.write_bytes(data[:place] + bytes([data[place] ^ 0x21]) + data[place + 1 :])


HOW = ["delete", "truncate", "empty", "flip first", "flip middle", "flip last"]
TURNS = first(1, range(2 * len(HOW)))
"""In each turn every second file is damaged in one way; after all turns, each in every way."""


def damages(store: Path, turn: int) -> Iterator[tuple[str, str]]:
    names = files(store)
    for i in range(turn % 2, len(names), 2):
        yield names[i], HOW[(i + turn) // 2 % len(HOW)]


GROWN = {"x": [4, 0.5, 1, 2, 3], "s": ["a", "b", "c"]}


@pytest.mark.long
@pytest.mark.parametrize("turn", TURNS)
def test_whatever_file_is_damaged_values_are_right_or_an_error_names_the_file(
    sound: Path, oracle: xr.Dataset, tmp_path: Path, turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.2)  # a broken lease is waited for so long
    seen: set[str] = set()
    for name, how in damages(sound, turn):
        store = tmp_path / "s"
        shutil.copytree(sound, store)
        damage(store / name, how)
        for axes in (AXES, AXES, GROWN, AXES):
            try:
                ds = run(store, axes, executor="sync")[0].load()
            except swarmgrid.StoreError as error:
                assert name in str(error), f"{name}, {how}: {error}"  # noqa: PT017
                assert name not in seen, f"{name}, {how}: the next compute has not repaired it"
                seen.add(name)
            else:
                part = ds.sel(x=oracle["x"], s=oracle["s"])
                xr.testing.assert_equal(part.drop_attrs(), oracle.drop_attrs())
        shutil.rmtree(store)


@pytest.mark.parametrize("turn", TURNS)
def test_verify_names_every_file_and_repair_restores_it(
    sound: Path, oracle: xr.Dataset, tmp_path: Path, turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.2)  # a broken lease is waited for so long
    n_objects = sum(len(list(sound.glob(f"data.zarr/*/*/{name}/c.*"))) for name in OUTPUTS)
    assert GRID.verify(store=sound) == Report((), n_objects, 8)
    for name, how in damages(sound, turn):
        store = tmp_path / "s"
        shutil.copytree(sound, store)
        damage(store / name, how)
        report = GRID.verify(axes=["x", "s"], store=store)
        assert_named(report, name, how)
        GRID.repair(axes=["x", "s"], store=store)
        after = GRID.verify(axes=["x", "s"], store=store)
        assert after.is_clean, f"{name}, {how}: {after}"
        ds, done = run(store, executor="sync")
        xr.testing.assert_equal(ds.load().drop_attrs(), oracle.drop_attrs())
        if "/mean/c" not in name and "/trace/c" not in name and "/name/c" not in name:
            assert done.points_computed == 0 or name.endswith(".seg"), f"{name}, {how}"
        after = GRID.verify(store=store)
        assert (after.problems, after.notes) == ((), ()), f"{name}, {how}: {after}"
        assert is_error_kept(store) or name.endswith(".err"), f"{name}, {how}"
        shutil.rmtree(store)


def assert_named(report: Report, name: str, how: str) -> None:
    """A report names one damaged file, and no other as a problem."""
    problems, notes = [p.key for p in report.problems], [n.key for n in report.notes]
    what = f"{name}, {how}: {report}"
    if how == "delete" and name.endswith(".seg"):  # its points are just not computed
        assert problems == [], what
        assert "values that have no row in any segment" in report.notes[0].reason, what
    elif name.startswith("manifest/catalog/"):  # of the store: the grid is whole without it
        assert (problems, notes) == ([], []), what
    elif how == "delete" and (name.startswith("locks/") or name.endswith(".err")):
        assert (problems, notes) == ([], []), what  # no process holds the grid; messages are gone
    elif how == "delete" and name.endswith(("/x/c.0", "copy-x-c.0")):
        assert (problems, notes) == ([], [name]), what  # x became a float axis: they are unused
    else:
        assert problems == [name], what


def is_error_kept(store: Path) -> bool:
    grid = swarmgrid.GridFunction(simulate, version="1", store=store)
    return bool(grid.errors(axes=["x", "s"])["reason"].tolist() == ["ValueError: nine"])


@pytest.mark.parametrize("how", ["delete", "truncate", "flip first", "flip middle"])
@pytest.mark.parametrize("shards", [None, {"x": 2, "s": 1}], ids=["plain", "sharded"])
def test_a_damaged_chunk_is_computed_again_by_the_next_compute(
    tmp_path: Path, how: str, shards: Any
) -> None:
    chunks = {"x": 1 if shards else 2, "s": 1}
    grid = swarmgrid.GridFunction(noisy, store=tmp_path, chunks=chunks, shards=shards, verbose=0)
    before = grid.compute(axes=AXES).load()
    (chunk,) = tmp_path.glob("data.zarr/*/*/value/c.1.0")
    damage(chunk, how)
    with pytest.raises(swarmgrid.DamageError, match=r"value/c\.1\.0 is damaged.*Call compute"):
        grid.compute(axes=AXES).load()
    again, done = grid.run(axes=AXES)
    again = again.load()
    assert done.points_computed == 2
    is_same = (again == before)["value"]
    assert is_same.sum() == 6
    assert not is_same.sel(x=[2, 3], s="a").any()
    assert grid.run(axes=AXES)[1].points_computed == 0
    assert grid.verify().is_clean


def test_files_left_by_killed_writers_of_other_tools_are_reported_and_removed(
    sound: Path, tmp_path: Path
) -> None:
    store = tmp_path / "s"
    shutil.copytree(sound, store)
    folder = next(store.glob("data.zarr/*/*/mean"))
    left = folder / "c.0.0.5a1e.partial"
    left.write_bytes(b"half")
    (problem,) = GRID.verify(store=store).problems
    assert problem.key == str(left.relative_to(store))
    GRID.repair(store=store)
    assert not left.exists()
    assert GRID.verify(store=store).is_clean


def test_a_report_says_what_it_read(sound: Path) -> None:
    report = GRID.verify(store=sound)
    chunks = sum("/mean/c." in name for name in files(sound)) * 3
    assert (report.points, report.chunks) == (8, chunks)
    assert str(report) == f"8 points in {chunks} chunks read: nothing is wrong"


def fill_up(x: int) -> np.ndarray:
    return np.random.default_rng(x).normal(size=20_000)


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("executor", ["sync", "processes"])
def test_a_full_disk_is_a_clear_error_and_loses_nothing(small_disk: Path, executor: str) -> None:
    grid = swarmgrid.GridFunction(
        fill_up, store=small_disk / "s", chunks=1, executor=executor, workers=2, verbose=0
    )
    with pytest.raises(swarmgrid.StoreError, match="No space left on device"):
        grid.compute(axes={"x": range(40)})
    stored = grid.open(axes=["x"])
    done = stored["value"].isel(value_dim_0=0).notnull().values
    written = list(small_disk.glob("s/data.zarr/*/*/value/c.*"))
    assert len(written) - 2 <= done.sum() < 40  # but for what was on its way from each worker
    assert done.sum() > 8
    for x in stored["x"].values[done]:
        expected = np.random.default_rng(x).normal(size=20_000)
        np.testing.assert_array_equal(stored["value"].sel(x=x), expected)
    assert not list(small_disk.rglob("*staging/*/*"))


def test_a_store_deleted_under_a_run_is_a_clear_error(tmp_path: Path) -> None:
    store = tmp_path / "s"

    def deletes(x: int) -> float:
        while x == 5 and store.exists():  # the writer may put something there meanwhile
            shutil.rmtree(store, ignore_errors=True)
        return float(x)

    with pytest.raises(swarmgrid.StoreError, match="the store was deleted"):
        swarmgrid.compute(
            axes={"x": range(10)},
            func=deletes,
            version="1",
            store=store,
            chunks=1,
            executor="sync",
        )


@pytest.mark.parametrize("shards", [None, {"x": 4}], ids=["plain", "sharded"])
def test_a_damaged_chunk_that_is_only_partly_filled_is_computed_again_when_it_grows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, shards: Any
) -> None:
    chunks = {"x": 1 if shards else 4, "s": 1}
    grid = swarmgrid.GridFunction(
        simulate, version="1", store=tmp_path, chunks=chunks, shards=shards, verbose=0
    )
    grid.compute(axes={"x": [0.5, 1], "s": ["a"]})
    (chunk,) = tmp_path.glob("data.zarr/*/*/mean/c.0.0")
    damage(chunk, "flip middle")
    ds, done = grid.run(axes={"x": [0.5, 1, 2], "s": ["a"]})
    assert ds["mean"].values.ravel().tolist() == [0.5, 1.0, 2.0]
    assert done.points_computed >= 1
    assert "mean/c.0.0 is damaged" in caplog.text
    ds, done = grid.run(axes={"x": [0.5, 1, 2], "s": ["a"]})
    assert done.points_computed == 0
    assert grid.verify().is_clean


def test_a_lost_group_document_is_repaired_and_nothing_is_started_anew(
    sound: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = tmp_path / "s"
    shutil.copytree(sound, store)
    next(store.glob("data.zarr/*/*/zarr.json")).unlink()
    for look in (GRID.plan, GRID.open):
        with pytest.raises(swarmgrid.DamageError, match="missing, but its manifest is there"):
            look(axes=AXES, store=store)
    assert run(store)[1].points_computed == 0
    assert "zarr.json was damaged" in caplog.text
    assert GRID.verify(axes=["x", "s"], store=store).is_clean


@pytest.mark.parametrize("how", ["truncate", "flip middle", "empty", "delete"])
def test_a_damaged_coordinate_is_repaired_by_the_next_run(
    sound: Path, tmp_path: Path, how: str
) -> None:
    store = tmp_path / "s"
    shutil.copytree(sound, store)
    (chunk,) = store.glob("data.zarr/*/*/x/c/0")
    damage(chunk, how)
    ds, done = run(store)
    assert done.points_computed == 0
    assert ds["x"].values.tolist() == list(AXES["x"])
    assert GRID.verify(axes=["x", "s"], store=store).is_clean


def test_axes_that_are_gone_in_both_copies_are_an_error_until_they_are_forgotten(
    sound: Path, tmp_path: Path
) -> None:
    store = tmp_path / "s"
    shutil.copytree(sound, store)
    for chunk in (*store.glob("data.zarr/*/*/x/c/0"), *store.glob("manifest/*/copy-x-c-0")):
        chunk.unlink()
    for _ in range(2):
        with pytest.raises(swarmgrid.DamageError, match=r"/x/c/0 is damaged"):
            run(store)
    GRID.repair(axes=["x", "s"], store=store)
    ds, done = run(store)
    assert done.points_computed == ds["mean"].size
