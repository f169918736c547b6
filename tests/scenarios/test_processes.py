"""Several processes on one grid: each point once, whatever happens to one of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest
import zarr

import swarmgrid
from swarmgrid.leases.sharing import new_probe, probe
from swarmgrid.store.location import Location, to_location
from tests import programs
from tests.long import first
from tests.waiting import PATIENCE, is_alive, wait_until

SCRIPT = """
import json, os, sys, time, swarmgrid

store, calls, axes, pause, options = sys.argv[1], sys.argv[2], *map(json.loads, sys.argv[3:6])

def record(x, y):
    with open(calls, "a") as file:
        file.write(f"{x},{y}\\n")
    while pause < 0 and not os.path.exists(calls + ".go"):
        time.sleep(0.01)
    time.sleep(max(0.0, pause))
    return x * 100.0 + y

# without a dataset no xarray is imported: a third of the time that a program takes
options |= {"func": record, "version": "1", "store": store, "verbose": 0}
if sys.argv[6:] == ["read"]:
    ds, done = swarmgrid.run(axes=axes, **options)
    assert float(ds["value"].sum()) == sum(100.0 * x + y for x in axes["x"] for y in axes["y"])
else:
    done = swarmgrid.stream(axes=axes, **options)
print(done.points_computed)
"""


def record(x: int, y: int) -> float:
    """Stands for the function of the script, where results are only read."""
    return 0.0


def slow(x: int) -> float:
    """The same for the script that is interrupted."""
    return 0.0


def of_script(func: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    """The function as if it were that of the script in a folder, which is part of its identity."""
    space = {"__name__": "script", "__file__": str(folder / "script.py"), "Any": Any}
    return FunctionType(func.__code__, space, func.__name__)


def start(
    store: Any,
    calls: Path,
    axes: dict[str, Any],
    pause: float = 0.001,
    preexec_fn: Callable[[], None] | None = None,
    *,
    reads: bool = False,
    **options: Any,
) -> subprocess.Popen[str]:
    """Start a program that computes, and that reads the results as well if it is to.

    With a ``pause`` below 0 each call waits for the file ``calls`` with ``.go`` after its name.
    """
    script = calls.with_name("script.py")
    if not script.exists():  # another process may be reading it
        script.write_text(SCRIPT)
    values = {name: list(v) for name, v in axes.items()}
    arguments = [str(store), str(calls), *map(json.dumps, (values, pause, options))]
    return programs.start(
        [sys.executable, str(script), *arguments, *(["read"] if reads else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=preexec_fn,  # only where there is one thread
    )


def finished(process: subprocess.Popen[str]) -> int:
    """The number of points that a program has computed."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    return int(out)


def points(calls: Path) -> Counter[str]:
    return Counter(calls.read_text().split())


def stored(store: Any, **options: Any) -> Any:
    func = of_script(record, Path(store).parent)
    grid = swarmgrid.GridFunction(func, version="1", store=store, **options)
    return grid.open(axes=["x", "y"])["value"], grid


def are_stored(value: Any, axes: dict[str, Any]) -> bool:
    """Whether all values of a request are there, and right."""
    found = value.sel({name: list(labels) for name, labels in axes.items()})
    return bool((found == 100.0 * found["x"] + found["y"]).all())


REQUESTS: list[dict[str, Any]] = [
    {"x": range(20), "y": range(5)},
    {"x": range(10, 30), "y": range(3, 8)},
    {"x": range(0, 30, 3), "y": range(8)},
    {"x": [29, 0, 15], "y": [7, 2]},
]


@pytest.mark.parametrize("executor", first(1, ["sync", "processes"]))
def test_four_processes_compute_each_point_once(tmp_path: Path, executor: str) -> None:
    store, calls = tmp_path / "s", tmp_path / "calls"
    calls.touch()
    running = [
        start(store, calls, axes, chunks=4, executor=executor, reads=axes is REQUESTS[1])
        for axes in REQUESTS
    ]
    results = [finished(process) for process in running]
    requested = {f"{x},{y}" for axes in REQUESTS for x in axes["x"] for y in axes["y"]}
    assert points(calls) == Counter(requested)
    assert sum(results) == len(requested)
    value, grid = stored(store)
    assert int(value.notnull().sum()) == len(requested)
    assert all(are_stored(value, axes) for axes in REQUESTS)
    assert grid.verify(axes=["x", "y"]).is_clean


def test_different_grids_do_not_wait_for_each_other(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    other_process = start(tmp_path / "s", calls, {"x": [1], "y": [1]}, pause=600, executor="sync")
    wait_until(calls.exists)

    def other(x: int) -> float:
        return x * 2.0

    ds = swarmgrid.compute(axes={"x": [1, 2]}, func=other, store=tmp_path / "s")
    assert ds["value"].values.tolist() == [2.0, 4.0]
    assert other_process.poll() is None
    other_process.kill()
    other_process.communicate()


def test_the_second_process_says_that_it_waits(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    axes = {"x": [1], "y": [0]}
    first = start(tmp_path / "s", calls, axes, pause=-1, executor="sync")
    wait_until(calls.exists)
    second = start(tmp_path / "s", calls, axes, executor="sync")
    assert second.stderr is not None
    assert f"waiting for process {first.pid}" in second.stderr.readline()
    Path(f"{calls}.go").touch()
    assert finished(first) == 1
    assert finished(second) == 0


@pytest.mark.long
def test_readers_never_wait_and_never_see_half_a_state(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    calls.touch()
    axes = {"x": range(20), "y": range(10)}
    options = {"chunks": {"x": 3, "y": 10}, "executor": "sync"}
    writer = start(tmp_path / "s", calls, axes, pause=0.01, **options)
    seen = set()
    is_over = False
    while not is_over:
        is_over = writer.poll() is not None  # before the last look
        try:
            value, _ = stored(tmp_path / "s")
        except swarmgrid.InputError:
            continue
        found = value.values
        x, y = np.meshgrid(value["x"], value["y"], indexing="ij")
        done = ~np.isnan(found)
        np.testing.assert_array_equal(found[done], (100.0 * x + y)[done])
        seen.add(int(done.sum()))
    assert finished(writer) == 200
    assert len(seen) > 1


@pytest.mark.long
@pytest.mark.server
@pytest.mark.parametrize("kind", ["s3", "gs", "az"])
def test_processes_on_an_object_store_survive_one_killed_and_one_paused_beyond_its_lease(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url, options = request.getfixturevalue(kind).place("survivors")
    survive(url, tmp_path, storage_options=options, executor="sync", lease_seconds=10)


@pytest.mark.long
@pytest.mark.timeout(900)  # each write waits for the disk, which others use
def test_processes_on_a_key_value_store_survive_one_killed_and_one_paused_beyond_its_lease(
    place: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    options = {"storage_options": place[1] or None, "lease_seconds": 10}
    survive(place[0], tmp_path, executor="sync", **options)


@pytest.mark.long
@pytest.mark.parametrize("executor", first(1, ["sync", "processes"]))
def test_processes_survive_one_killed_and_one_paused_beyond_its_lease(
    tmp_path: Path, executor: str
) -> None:
    survive(tmp_path / "s", tmp_path, executor=executor)


def survive(store: Any, tmp_path: Path, **options: Any) -> None:
    calls = tmp_path / "calls"
    calls.touch()
    axes = {"x": range(24), "y": range(10)}
    options = {"chunks": {"x": 2, "y": 10}, "lease_seconds": 2} | options
    # slow: neither comes to its end before the signal does, however late that is
    killed = start(store, calls, axes, pause=0.05, **options)
    wait_for_calls(calls, 20)
    killed.kill()
    killed.communicate()
    paused = start(store, calls, axes, pause=0.05, **options)
    before = len(points(calls))
    wait_for_calls(calls, before + 20)
    pause_outside_a_write(paused, to_location(store, options.get("storage_options")))
    third = start(store, calls, axes, pause=0.01, **options)
    fourth = start(store, calls, {"x": range(30), "y": range(4)}, pause=0.01, **options)
    finished(third)
    paused.send_signal(signal.SIGCONT)
    finished(fourth)
    _, err = paused.communicate(timeout=PATIENCE)
    assert paused.returncode == 0, err
    assert "has overtaken the run" in err
    again = start(store, calls, axes, **options)
    assert finished(again) == 0
    func, more = of_script(record, calls.parent), options.get("storage_options")
    grid = swarmgrid.GridFunction(func, version="1", store=store, storage_options=more)
    report = grid.verify(axes=["x", "y"])
    assert report.is_clean, report
    value = grid.open(axes=["x", "y"])["value"]
    assert are_stored(value, axes)
    x, y = np.meshgrid(value["x"], value["y"], indexing="ij")
    found = value.values
    np.testing.assert_array_equal(found[~np.isnan(found)], (100.0 * x + y)[~np.isnan(found)])


def pause_outside_a_write(process: Any, location: Location) -> None:
    """Stop a process, though not within a write of SQLite or LMDB, which all others wait for."""

    def write() -> None:
        with probe(location, new_probe()):
            pass

    while True:
        process.send_signal(signal.SIGSTOP)
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(5.0)
        if not thread.is_alive():
            return
        process.send_signal(signal.SIGCONT)
        thread.join()


def wait_for_calls(calls: Path, n: int) -> None:
    wait_until(lambda: len(points(calls)) >= n)


INTERRUPTED = """
import sys, time, os, swarmgrid

def slow(x):
    with open(sys.argv[2], "a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(float(sys.argv[3]))
    return x * 2.0

swarmgrid.stream(axes={"x": range(1000)}, func=slow, version="1", store=sys.argv[1],
                 executor="processes", workers=2, verbose=0, chunks=100)
"""


CARELESS = """
import sys, time, dask, swarmgrid

def careless(x):
    with open(sys.argv[2], "a") as file:
        file.write(".")
    try:
        time.sleep(0.5)
        return float(x)
    except:
        if sys.argv[3] == "raises":
            raise ValueError("a disguise")
        return -1.0

def block(x):
    return careless(x[0]) + 0 * x

options = {"executor": "sync"} if sys.argv[4] == "sync" else {}
with dask.config.set(scheduler=None if options else "synchronous"):
    swarmgrid.stream(axes={"x": range(60)}, func=block if sys.argv[5] == "block" else careless,
                     store=sys.argv[1], version="1", verbose=0, vectorized=sys.argv[5] == "block",
                     chunks=5, **options)
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("scheduler", "how", "what"),
    first(
        1,
        [
            *[("dask", "raises", "block"), ("sync", "returns", "point")],
            *[("sync", "returns", "block"), ("sync", "raises", "point")],
            *[("sync", "raises", "block"), ("dask", "returns", "point")],
            *[("dask", "returns", "block"), ("dask", "raises", "point")],
        ],
    ),
)
def test_what_a_function_makes_of_an_interruption_is_not_stored(
    tmp_path: Path, scheduler: str, how: str, what: str
) -> None:
    script, calls, store = tmp_path / "script.py", tmp_path / "calls", tmp_path / "s"
    script.write_text(CARELESS)
    calls.touch()
    process = programs.start(
        [sys.executable, str(script), str(store), str(calls), how, scheduler, what],
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: calls.stat().st_size >= 4)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode in (-signal.SIGINT, 130), err.decode()
    assert calls.stat().st_size < 50
    name = "block" if what == "block" else "careless"
    (values,) = store.glob(f"data.zarr/{name}/*/value")
    stored = zarr.open_array(values, mode="r")[:]
    stored = stored[np.isfinite(stored)]
    assert stored.size
    assert stored.min() >= 0


@pytest.mark.long
def test_a_second_ctrl_c_keeps_what_has_come_back(tmp_path: Path) -> None:
    script, calls, store = tmp_path / "script.py", tmp_path / "calls", tmp_path / "s"
    script.write_text(MIXED)
    calls.touch()
    process = programs.start(
        [sys.executable, str(script), str(store), str(calls)], stderr=subprocess.DEVNULL
    )
    wait_until(lambda: calls.stat().st_size > 100)
    time.sleep(3.0)  # what was computed comes back
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    process.communicate(timeout=PATIENCE)
    (values,) = store.glob("data.zarr/mixed/*/value")
    assert np.isfinite(zarr.open_array(values, mode="r")[:]).sum() > 10


MIXED = """
import os, sys, time, swarmgrid

def mixed(x):
    with open(sys.argv[2], "a") as file:
        file.write(".")
    time.sleep(600 if os.path.getsize(sys.argv[2]) > 100 else 0.01)
    return float(x)

swarmgrid.stream(axes={"x": range(4000)}, func=mixed, store=sys.argv[1], version="1", verbose=0,
                 executor="processes", workers=2)
"""


@pytest.mark.parametrize(
    ("name", "executor"),
    first(
        1,
        [
            *[("SIGINT", "threads"), ("SIGTERM", "sync")],
            *[("SIGINT", "sync"), ("SIGTERM", "threads")],
        ],
    ),
)
def test_a_run_without_worker_processes_is_interrupted_all_the_same(
    tmp_path: Path, name: str, executor: str
) -> None:
    calls = tmp_path / "calls"
    calls.touch()
    source = INTERRUPTED.replace("processes", executor).replace("chunks=100", 'on_error="record"')
    (tmp_path / "script.py").write_text(source)
    script = [sys.executable, "script.py", str(tmp_path / "s"), str(calls), "0.02"]
    process = programs.start(script, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(calls.read_text().split()) >= 60)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode in {"SIGINT": (-2, 130), "SIGTERM": (143,)}[name], err
    n_calls = len(calls.read_text().split())
    grid = swarmgrid.GridFunction(of_script(slow, tmp_path), version="1", store=tmp_path / "s")
    kept = int(grid.open(axes=["x"])["value"].notnull().sum())
    n_running = 1 if executor == "sync" else 2
    assert n_calls - n_running <= kept <= n_calls
    assert grid.errors(axes=["x"]).empty


@pytest.mark.parametrize(
    ("name", "pause"),
    first(
        1,
        [
            *[("SIGINT", 0.02), ("SIGTERM", 600.0), ("SIGKILL", 0.02)],
            *[("SIGINT", 600.0), ("SIGTERM", 0.02), ("SIGKILL", 600.0)],
        ],
    ),
)
def test_an_interrupted_run_keeps_what_is_done_and_leaves_no_process(
    tmp_path: Path, name: str, pause: float
) -> None:
    calls = tmp_path / "calls"
    calls.touch()
    (tmp_path / "script.py").write_text(INTERRUPTED)
    script = [sys.executable, "script.py", str(tmp_path / "s"), str(calls), str(pause)]
    process = programs.start(script, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    must_keep = name == "SIGKILL" and pause < 1  # then what was flushed before: wait for that
    while len(calls.read_text().split()) < (60 if pause < 1 else 2) or (
        must_keep and not any(tmp_path.glob("s/manifest/*/*.seg"))
    ):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=PATIENCE)  # the points that take long are given up
    expected = {"SIGINT": (-2, 130), "SIGTERM": (143,), "SIGKILL": (-9,)}[name]
    assert process.returncode in expected
    assert err.count("Traceback") <= (1 if name == "SIGINT" else 0), err
    workers = {int(pid) for pid in calls.read_text().split()}
    assert len(workers) == 2
    wait_until(lambda: not any(map(is_alive, workers)))
    if pause < 1:
        n_calls = len(calls.read_text().split())
        value = swarmgrid.GridFunction(
            of_script(slow, tmp_path), version="1", store=tmp_path / "s"
        ).open(axes=["x"])["value"]
        kept = int(value.notnull().sum())
        if name == "SIGKILL":  # all but what came in the last seconds
            assert 0 < kept <= n_calls
        else:
            assert n_calls - 2 <= kept <= n_calls


@pytest.mark.long
def test_a_worker_in_a_long_call_that_holds_the_interpreter_ends_with_its_coordinator(
    tmp_path: Path,
) -> None:
    script = """
import ctypes, os, sys, swarmgrid

def stuck(x):
    with open(sys.argv[2], "a") as file:
        file.write(f"{os.getpid()}\\n")
    ctypes.PyDLL(None).sleep(600)  # a PyDLL call keeps the interpreter lock
    return x

swarmgrid.stream(axes={"x": [1, 2]}, func=stuck, store=sys.argv[1], executor="processes")
"""
    calls = tmp_path / "calls"
    calls.touch()
    process = programs.start([sys.executable, "-c", script, str(tmp_path / "s"), str(calls)])
    wait_until(lambda: len(calls.read_text().split()) >= min(2, os.cpu_count() or 1))
    process.kill()
    process.wait()
    workers = {int(pid) for pid in calls.read_text().split()}
    wait_until(lambda: not any(map(is_alive, workers)))
