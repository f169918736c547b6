"""The store fails under a run: a clear error, no process left, nothing lost or invented."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import swarmgrid
from swarmgrid.store.lease_record import LeaseRecord
from tests.long import first
from tests.scenarios import test_processes
from tests.scenarios.test_processes import (
    are_stored,
    of_script,
    record,
    start,
    stored,
    wait_for_calls,
)
from tests.waiting import PATIENCE, is_alive, wait_until

AXES: dict[str, Any] = {"x": range(20), "y": range(10)}
N = 200
calls_of = test_processes.points
OPTIONS: dict[str, Any] = {"chunks": {"x": 2, "y": 5}, "executor": "processes", "workers": 2}
SYNC = {**OPTIONS, "executor": "sync"}


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    file = tmp_path / "calls"
    file.touch()
    return file


def processes_of(process: subprocess.Popen[str]) -> set[int]:
    """All processes that a run has started: workers, and what starts them."""
    return {child.pid for child in psutil.Process(process.pid).children(recursive=True)}


def error_of(process: subprocess.Popen[str], below: set[int]) -> str:
    """The error, on one line, of a run that must fail; nothing of it may be left."""
    assert len(below) >= 2
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, (out, err)
    wait_until(lambda: not any(map(is_alive, below)))
    return next(line for line in reversed(err.splitlines()) if line.startswith("swarmgrid."))


def completed(store: Path, calls: Path, pause: float = 0.001, **options: Any) -> int:
    """How many points a further run computes, which must end complete, and clean."""
    return finished(start(store, calls, AXES, pause, **{**SYNC, **options}), store)


def finished(process: subprocess.Popen[str], store: Path) -> int:
    computed = test_processes.finished(process)
    value, grid = stored(store)
    assert are_stored(value, AXES)
    report = grid.verify(axes=["x", "y"])
    assert (report.problems, report.notes) == ((), ()), report
    return computed


def resumed(store: Path, calls: Path) -> int:
    """How many points are stored; a further run must compute the others, and only them."""
    found: set[str] = set()
    with contextlib.suppress(swarmgrid.InputError):  # nothing is, not even the grid
        found = {f"{x},{y}" for x, y in stored(store)[0].to_series().dropna().index}
    before = calls_of(calls)
    assert completed(store, calls) == N - len(found)
    new = calls_of(calls) - before
    assert not found & set(new), "what was stored has been computed again"
    assert set(new.values()) <= {1}
    return len(found)


# ---- permission


def without_privilege() -> None:
    """Have the file system's permissions hold for root, too, in the program started next."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            if libc.prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
                os._exit(77)


def change_modes(store: Path, mode: int) -> None:
    """Set the permissions of a store's folders, while other threads make and delete some."""
    folders = [Path(folder) for folder, _, _ in os.walk(store)]  # before they are changed
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            folder.chmod(mode)


@pytest.fixture
def is_checked() -> None:
    """Permissions are checked for the programs that a test starts."""
    if subprocess.run(["true"], preexec_fn=without_privilege, check=False).returncode:
        pytest.skip("privileges cannot be given up here")


@pytest.mark.long
@pytest.mark.usefixtures("is_checked")
@pytest.mark.parametrize("n_calls", first(1, [60, 10]))
def test_a_store_that_becomes_read_only_under_a_run_is_a_clear_error(
    tmp_path: Path, calls: Path, n_calls: int
) -> None:
    store = tmp_path / "s"
    process = start(
        store, calls, AXES, pause=0.05, preexec_fn=without_privilege, lease_seconds=2, **OPTIONS
    )
    try:
        wait_for_calls(calls, n_calls)
        below = processes_of(process)
        change_modes(store, 0o555)
        error = error_of(process, below)
    finally:
        change_modes(store, 0o755)
    assert error.startswith("swarmgrid.StoreError: ")
    assert f"store {store} cannot be written" in error
    assert "Permission denied" in error
    if any(store.glob("manifest/*/*.seg")):  # else it happened within the first second
        _, grid = stored(store)
        assert grid.verify(axes=["x", "y"]).is_clean
    assert resumed(store, calls) >= n_calls - 100


@pytest.mark.long
@pytest.mark.usefixtures("is_checked")
@pytest.mark.parametrize("what", first(1, ["folders", "file"]))
def test_a_store_that_becomes_unreadable_is_a_clear_error(tmp_path: Path, what: str) -> None:
    script = """
import sys, swarmgrid

def double(x):
    return x * 2

try:
    swarmgrid.stream(axes={"x": [1]}, func=double, version="1", store=sys.argv[1])
except swarmgrid.StoreError as error:
    print(error)
"""
    store = tmp_path / "s"
    command = [sys.executable, "-c", script, str(store)]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b""
    if what == "folders":
        change_modes(store, 0o000)
    else:
        next(store.glob("data.zarr/*/*/zarr.json")).chmod(0o000)
    try:
        run = subprocess.run(
            command, capture_output=True, check=True, text=True, preexec_fn=without_privilege
        )
    finally:
        change_modes(store, 0o755)
    assert f"store {store} cannot be read: " in run.stdout
    assert "Permission denied" in run.stdout


# ---- the store is deleted


def deleted(store: Path) -> None:
    """Delete a store as ``rm -r`` does, again while other threads write into it."""
    while store.exists():
        shutil.rmtree(store, ignore_errors=True)


@pytest.mark.long
@pytest.mark.parametrize("seed", first(1, range(2)))
def test_a_store_deleted_under_worker_processes_is_a_clear_error(
    tmp_path: Path, calls: Path, seed: int
) -> None:
    store = tmp_path / "s"
    process = start(store, calls, AXES, pause=0.05, **OPTIONS)
    wait_for_calls(calls, 20)
    time.sleep(random.Random(seed).uniform(0, 1))
    below = processes_of(process)
    deleted(store)
    error = error_of(process, below)
    assert error.startswith(("swarmgrid.StoreError", "swarmgrid.LeaseLostError"))
    assert "deleted" in error
    assert str(store) in error
    assert not store.exists(), "the run has begun the store anew"
    calls.write_text("")
    assert completed(store, calls) == N
    assert set(calls_of(calls).values()) == {1}


@pytest.mark.long
@pytest.mark.parametrize("part", first(1, ["data.zarr", "manifest"]))
def test_a_part_of_a_store_deleted_under_a_run_is_never_taken_for_something_valid(
    tmp_path: Path, calls: Path, part: str
) -> None:
    store = tmp_path / "s"
    process = start(store, calls, AXES, pause=0.01, **OPTIONS)
    wait_for_calls(calls, 60)
    shutil.rmtree(store / part, ignore_errors=True)
    process.communicate(timeout=PATIENCE)
    again = start(store, calls, AXES, **SYNC)
    _, err = again.communicate(timeout=PATIENCE)
    if again.returncode:
        assert "DamageError" in err
    grid = swarmgrid.GridFunction(of_script(record, tmp_path), version="1", store=store)
    grid.repair(axes=["x", "y"])
    completed(store, calls)


@pytest.mark.long
def test_a_run_whose_rows_are_deleted_does_not_call_itself_done(tmp_path: Path) -> None:
    def slow(x: int) -> float:
        time.sleep(0.05)
        if x == 30:
            (tmp_path / "manifest").rename(tmp_path / "elsewhere")
        return float(x)

    options: dict[str, Any] = {"func": slow, "store": tmp_path, "version": "1", "verbose": 0}
    options |= {"chunks": 5, "flush_interval": 0.2, "executor": "sync"}
    with pytest.raises(swarmgrid.StoreError, match="points were computed, but .* does not say so"):
        swarmgrid.compute(axes={"x": range(60)}, **options)
    ds = swarmgrid.compute(axes={"x": range(60)}, **options)
    assert ds["value"].values.tolist() == list(range(60))


# ---- the lease is damaged


def change_lease(store: Path, change: Callable[[bytes], bytes] | None) -> Path:
    """Damage the one lease of a store, or delete it: its file."""
    (file,) = store.glob("locks/*/*.json")
    if change is None:
        before = file.read_bytes()
        wait_until(lambda: file.read_bytes() != before)  # else the next one may put it back
        file.unlink()
        return file
    half = file.with_name("half")  # in one write, as a failing disk would have it
    half.write_bytes(change(file.read_bytes()))
    half.replace(file)
    return file


def flipped(data: bytes) -> bytes:
    place = data.index(b'"writer": "') + 12
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    "change",
    first(0, [flipped, lambda data: data[: len(data) // 2], lambda _data: b""]),
    ids=["flipped", "truncated", "emptied"],
)
def test_a_lease_damaged_under_a_run_is_restored_by_its_owner(
    tmp_path: Path, calls: Path, change: Callable[[bytes], bytes]
) -> None:
    store, options = tmp_path / "s", {**SYNC, "lease_seconds": 10}
    first = start(store, calls, AXES, pause=0.03, **options)
    wait_for_calls(calls, 20)
    file = change_lease(store, change)
    second = start(store, calls, AXES, pause=0.02, **options)
    wait_until(lambda: LeaseRecord.from_bytes(file.read_bytes()) is not None)
    record = LeaseRecord.from_bytes(file.read_bytes())
    assert record is not None
    assert record.pid == first.pid
    assert not record.released
    assert test_processes.finished(first) == N
    assert finished(second, store) == 0
    assert set(calls_of(calls).values()) == {1}


@pytest.mark.long
def test_a_run_whose_lease_is_deleted_ends_and_another_goes_on(
    tmp_path: Path, calls: Path
) -> None:
    store, options = tmp_path / "s", {**OPTIONS, "lease_seconds": 4}
    first = start(store, calls, AXES, pause=0.1, **options)
    wait_for_calls(calls, 80)  # in four seconds: rows follow once a second
    below = processes_of(first)
    change_lease(store, None)
    assert "LeaseLostError" in (error := error_of(first, below))
    assert "deleted" in error
    assert resumed(store, calls) > 0


@pytest.mark.long
def test_two_owners_after_a_lease_was_deleted_do_not_mix(tmp_path: Path, calls: Path) -> None:
    store, options = tmp_path / "s", {**OPTIONS, "lease_seconds": 4}
    first = start(store, calls, AXES, pause=0.1, **options)
    wait_for_calls(calls, 20)
    below = processes_of(first)
    change_lease(store, None)
    second = start(store, calls, AXES, pause=0.02, **options)
    assert "LeaseLostError" in error_of(first, below)
    assert finished(second, store) > 0


# ---- and afterwards, in the same process


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fills_the_disk(x: int, filler: str) -> np.ndarray:
    if x == 8 and not Path(filler + ".removed").exists():
        with contextlib.suppress(OSError), Path(filler).open("ab", buffering=0) as file:
            while True:
                file.write(b"0" * 512)
    return np.random.default_rng(x).normal(size=1000)


@pytest.mark.parametrize("executor", ["sync", "processes"])
def test_a_process_goes_on_at_once_when_there_is_room_again(
    small_disk: Path, executor: str, caplog: pytest.LogCaptureFixture
) -> None:
    filler = small_disk / "filler"
    options: dict[str, Any] = {"executor": executor, "workers": 2, "verbose": 0, "chunks": 1}
    grid = swarmgrid.GridFunction(fills_the_disk, store=small_disk / "s", **options)
    params, axes = {"filler": str(filler)}, {"x": range(40)}
    with pytest.raises(swarmgrid.StoreError, match="No space left on device"):
        grid.compute(params, axes)
    (file,) = small_disk.glob("s/locks/*/*.json")
    record = LeaseRecord.from_bytes(file.read_bytes())
    assert record is not None
    filler.rename(f"{filler}.removed")
    Path(f"{filler}.removed").write_bytes(b"")
    if record.released:  # a file that could not be completed made room for it when it was removed
        file.write_bytes(replace(record, released=False).to_bytes())
    ds = grid.compute(params, axes)
    assert "waiting for process" not in caplog.text
    expected = np.random.default_rng(39).normal(size=1000)
    np.testing.assert_array_equal(ds["value"].sel(x=39), expected)
    report = grid.verify(params)
    assert (report.problems, report.notes) == ((), ())
