"""Slow points among fast ones: what is finished is safe, and what is given up ends quickly."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swarmgrid
from tests import programs
from tests.long import first
from tests.waiting import PATIENCE, is_alive, wait_until

SLOW_AT = 7

COORDINATOR = """
import sys, swarmgrid
sys.path.insert(0, {tests!r})
from tests.scenarios.test_slow_points import slow_at_seven
swarmgrid.compute({{"calls": sys.argv[2]}}, {{"x": range(20)}}, func=slow_at_seven, version="1",
    store=sys.argv[1], verbose=0, flush_interval=0.5, **{options!r})
"""


def slow_at_seven(x: int, calls: str) -> float:
    with Path(calls).open("a") as file:
        file.write(f"{x} {os.getpid()}\n")
    if x == SLOW_AT and not Path(calls + ".fast").exists():
        time.sleep(600)
    return x * 0.5


def called(calls: Path) -> Counter[int]:
    return Counter(int(line.split()[0]) for line in calls.read_text().splitlines())


def stored_of(store: Path, calls: Path) -> set[int]:
    """The points of `slow_at_seven` that are stored."""
    grid = swarmgrid.GridFunction(slow_at_seven, version="1", store=store)
    try:
        found = grid.open({"calls": str(calls)}, axes=["x"])["value"]
    except swarmgrid.InputError:  # nothing is stored yet, nor is there a grid
        return set()
    return set(found["x"].values[found.notnull().values].tolist())


@pytest.mark.parametrize(
    ("executor", "chunks"),
    first(
        1, [("processes", 20), ("sync", 5), ("processes", 1), ("processes", 5), ("threads", 20)]
    ),
)
def test_a_kill_during_a_slow_point_costs_no_earlier_one(
    tmp_path: Path, executor: str, chunks: int
) -> None:
    calls, store = tmp_path / "calls", tmp_path / "s"
    calls.touch()
    options = {"executor": executor, "workers": 1, "exec_chunk_size": 100, "chunks": chunks}
    script = COORDINATOR.format(tests=str(Path(__file__).parents[2]), options=options)
    process = programs.start([sys.executable, "-c", script, str(store), str(calls)])
    wait_until(lambda: called(calls)[SLOW_AT])
    # it goes on for ten minutes: what is stored before that was reported beside it
    wait_until(lambda: stored_of(store, calls) == set(called(calls)) - {SLOW_AT})
    assert called(calls)[SLOW_AT] == 1
    process.kill()
    process.wait()
    before = called(calls)
    assert {SLOW_AT} < set(before) <= set(range(SLOW_AT + 1))
    Path(f"{calls}.fast").touch()
    ds = swarmgrid.compute(
        {"calls": str(calls)}, {"x": range(20)}, func=slow_at_seven, version="1", store=store
    )
    np.testing.assert_array_equal(ds["value"], np.arange(20) * 0.5)
    again = called(calls) - before
    assert set(again) == set(range(20)) - (set(before) - {SLOW_AT})
    assert set(again.values()) == {1}
    assert (
        swarmgrid.GridFunction(slow_at_seven, version="1", store=store)
        .verify({"calls": str(calls)}, ["x"])
        .is_clean
    )


@pytest.mark.parametrize("chunks", first(1, [20, 1, 5]))
def test_a_worker_that_dies_late_costs_no_point_that_it_reported(
    tmp_path: Path, chunks: int
) -> None:
    calls = tmp_path / "calls"
    calls.touch()

    def dies_late(x: int) -> float:
        with calls.open("a") as file:
            file.write(f"{x} {os.getpid()}\n")
        if x == SLOW_AT:
            wait_until(are_stored.exists)
            os._exit(3)
        return x * 0.5

    def watch() -> None:
        wait_until(lambda: n_stored() == n_called_before())
        are_stored.touch()

    def n_called_before() -> int | None:
        """The calls before the slow one: chunks are begun in either order."""
        points = [int(line.split()[0]) for line in calls.read_text().splitlines()]
        return points.index(SLOW_AT) if SLOW_AT in points else None

    def n_stored() -> int:
        try:
            return int(grid.open(axes=["x"])["value"].notnull().sum())
        except swarmgrid.InputError:  # there is no grid yet
            return 0

    are_stored = tmp_path / "are stored"
    grid = swarmgrid.GridFunction(dies_late, version="1", store=tmp_path / "s", verbose=0)
    watcher = threading.Thread(target=watch)
    watcher.start()
    ds, done = grid.run(
        axes={"x": range(20)},
        executor="processes",
        workers=1,
        exec_chunk_size=100,
        chunks=chunks,
        flush_interval=1.0,
        on_error="record",
    )
    expected = np.where(np.arange(20) == SLOW_AT, np.nan, np.arange(20) * 0.5)
    np.testing.assert_array_equal(ds["value"], expected)
    watcher.join()
    assert (done.points_computed, done.points_failed, done.workers_lost) == (19, 1, 2)
    assert called(calls) == Counter({x: 1 + (x == SLOW_AT) for x in range(20)})
    assert grid.verify(axes=["x"]).is_clean


def test_a_point_that_killed_its_worker_gets_one_to_itself(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    calls.touch()

    def deadly(x: int) -> float:
        with calls.open("a") as file:
            file.write(f"{x} {os.getpid()}\n")
        if x in {5, 11}:
            os._exit(3)
        return x * 0.5

    swarmgrid.stream(
        axes={"x": range(20)},
        func=deadly,
        version="1",
        store=tmp_path / "s",
        executor="processes",
        workers=2,
        exec_chunk_size=4,
        on_error="record",
    )
    by_worker: dict[str, list[int]] = {}
    for line in calls.read_text().splitlines():
        x, pid = line.split()
        by_worker.setdefault(pid, []).append(int(x))
    for x in (5, 11):
        *_, last = [points for points in by_worker.values() if x in points]
        assert last == [x]


@pytest.mark.long
def test_the_first_failure_does_not_wait_for_a_point_that_never_ends(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    calls.touch()

    def fails_beside_a_slow_one(x: int) -> float:
        with calls.open("a") as file:
            file.write(f"{x} {os.getpid()}\n")
        if x == 0:
            time.sleep(600)
        time.sleep(0.2)
        if x > 10:
            raise ValueError(f"no {x}")
        return x * 0.5

    options: dict[str, Any] = {"func": fails_beside_a_slow_one, "version": "1", "verbose": 0}
    with pytest.raises(swarmgrid.PointError, match="no 1"):
        swarmgrid.compute(
            axes={"x": range(20)},
            store=tmp_path / "s",
            executor="processes",
            workers=2,
            flush_interval=1.0,
            **options,
        )
    ds = swarmgrid.GridFunction(store=tmp_path / "s", **options).open(axes=["x"])
    kept = set(np.flatnonzero(ds["value"].notnull()).tolist())
    finished = {x for x in called(calls) if 0 < x <= 10}
    assert finished - kept <= {max(finished)}  # the last one may have been given up
    assert kept <= finished


STARTS_A_PROGRAM = """
import subprocess, sys, time, swarmgrid

def starts_a_program(x):
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open(sys.argv[2], "a") as file:
        file.write(f"{x} {program.pid}\\n")
    program.wait()
    return x * 0.5

swarmgrid.compute(axes={"x": range(2)}, func=starts_a_program, version="1", store=sys.argv[1],
                  executor="processes", workers=2, verbose=0, on_error="record",
                  timeout=2.0 if sys.argv[3] == "timeout" else None)
"""


@pytest.mark.long
@pytest.mark.parametrize("how", first(2, ["SIGKILL", "timeout", "SIGINT", "SIGTERM"]))
def test_programs_that_the_function_started_end_with_its_worker(tmp_path: Path, how: str) -> None:
    script, calls = tmp_path / "script.py", tmp_path / "calls"
    script.write_text(STARTS_A_PROGRAM)
    calls.touch()
    arguments = [sys.executable, str(script), str(tmp_path / "s"), str(calls), how]
    process = programs.start(arguments, stderr=subprocess.PIPE)
    wait_until(lambda: len(calls.read_text().splitlines()) == 2)
    if how != "timeout":
        process.send_signal(getattr(signal, how))
    process.communicate(timeout=PATIENCE)
    begun = [int(line.split()[1]) for line in calls.read_text().splitlines()]
    wait_until(lambda: not any(map(is_alive, begun)))


def test_a_worker_that_dies_while_its_child_lives_on_holds_up_no_thread(
    tmp_path: Path,
) -> None:
    children = tmp_path / "children"
    children.touch()

    def leaves_a_child(x: int) -> float:
        if x == 3:
            pid = os.fork()
            if pid == 0:  # it has the worker's pipes, and is in another process group
                os.setsid()
                time.sleep(600)
                os._exit(0)
            with children.open("a") as file:
                file.write(f"{pid}\n")
            time.sleep(0.5)
            os._exit(3)
        return x * 0.5

    try:
        done = swarmgrid.stream(
            axes={"x": range(12)},
            func=leaves_a_child,
            version="1",
            store=tmp_path / "s",
            executor="processes",
            workers=2,
            on_error="record",
            verbose=0,
        )
        assert (done.points_computed, done.points_failed) == (11, 1)
        assert any(is_alive(int(pid)) for pid in children.read_text().split())
    finally:
        for pid in children.read_text().split():
            os.kill(int(pid), signal.SIGKILL)


@pytest.mark.long
def test_a_time_limit_holds_for_each_try_and_not_for_the_pauses(tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    tries.touch()

    def slow_and_flaky(x: int) -> float:
        with tries.open("a") as file:
            file.write(f"{time.monotonic()}\n")
        time.sleep(1.6)
        if len(tries.read_text().split()) < 4:
            raise ValueError("not yet")
        return x * 0.5

    done = swarmgrid.stream(
        axes={"x": [1]},
        func=slow_and_flaky,
        version="1",
        store=tmp_path / "s",
        timeout=6.0,
        retries=3,
        executor="processes",
    )
    assert (done.points_computed, done.retries, done.workers_lost) == (1, 3, 0)
    times = [float(line) for line in tries.read_text().split()]
    assert times[-1] + 1.6 - times[0] > 6.0


@pytest.mark.long
@pytest.mark.parametrize("executor", first(1, ["processes", "sync", "threads"]))
def test_retries_wait_for_their_turn_too(tmp_path: Path, executor: str) -> None:
    calls = tmp_path / "calls"
    calls.touch()

    def fails_twice(x: int) -> float:
        with calls.open("a") as file:
            file.write(f"{x} {time.monotonic()}\n")
        if called(calls)[x] < 3:
            raise ValueError("not yet")
        return x * 0.5

    done = swarmgrid.stream(
        axes={"x": range(4)},
        func=fails_twice,
        version="1",
        store=tmp_path / "s",
        executor=executor,
        workers=2,
        retries=3,
        rate="4/s",
    )
    assert (done.points_computed, done.retries) == (4, 8)
    times = sorted(float(line.split()[1]) for line in calls.read_text().splitlines())
    assert len(times) == 12
    assert times[-1] - times[0] > 2.2  # the first may be late, while its worker starts


@pytest.mark.parametrize("executor", first(1, [None, "processes"]))
def test_no_worker_waits_for_a_slow_first_point(tmp_path: Path, executor: str | None) -> None:
    calls = tmp_path / "calls"
    calls.touch()

    def slow_at_first(x: int) -> float:
        if x == 0:
            wait_until(lambda: len(called(calls)) == 59)  # all others
        with calls.open("a") as file:
            file.write(f"{x} {time.monotonic()}\n")
        return x * 0.5

    ds = swarmgrid.compute(
        axes={"x": range(60)},
        func=slow_at_first,
        version="1",
        store=tmp_path / "s",
        workers=3,
        executor=executor,
        verbose=0,
    )
    np.testing.assert_array_equal(ds["value"], np.arange(60) * 0.5)
    assert called(calls) == Counter(range(60))
    *_, last = calls.read_text().splitlines()
    assert last.startswith("0 ")


class FailingChannel:
    """The way home to a store that cannot be written."""

    def report(self, result: Any) -> None:
        raise OSError("no way")

    def wait_for_turn(self) -> None: ...

    def may_write(self) -> bool:
        return False


def a_job_and_its_task(func: Any, store: Path, n: int) -> tuple[Any, Any]:
    from swarmgrid.outputs.outputs import Output, Schema
    from swarmgrid.space.axis import to_axes
    from swarmgrid.space.function import PointFunction
    from swarmgrid.space.points import ChunkPart, Points
    from swarmgrid.store.grid_ref import GridRef
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import to_location
    from swarmgrid.transport.messages import Job, Task

    axes, schema = to_axes({"x": range(n)}), Schema({"value": Output((), (), "float64")})
    job = Job(PointFunction(func), GridRef(to_location(store), GridPath("f", "0")), axes, "w")
    parts = (ChunkPart((0,), Points((n,)), is_fresh=True),)
    return job, Task(parts, (n,), schema, writes=True, limit_seconds=60, report_seconds=0.1)


def test_a_report_that_fails_ends_the_task_soon(tmp_path: Path) -> None:
    from swarmgrid.worker.evaluate import run_task

    calls: list[int] = []

    def slow(x: int) -> float:
        calls.append(x)
        time.sleep(0.5)
        return x * 0.5

    job, task = a_job_and_its_task(slow, tmp_path / "s", 30)
    with pytest.raises(OSError, match="no way"):
        run_task(job, task, channel=FailingChannel())
    assert len(calls) < 15


def test_what_a_run_that_is_over_finds_is_not_written(tmp_path: Path) -> None:
    from swarmgrid.worker.evaluate import run_task

    job, task = a_job_and_its_task(lambda x: x * 0.5, tmp_path / "s", 3)
    result = run_task(job, task, channel=FailingChannel())
    assert not result.rows
    assert [values.arrays["value"].tolist() for values in result.values] == [[0.0, 0.5, 1.0]]
    assert not (tmp_path / "s").exists()


INTERRUPTED = """
import os, signal, sys, threading, time, swarmgrid

def slow_at_first(x):
    with open(sys.argv[2], "a") as file:
        file.write(f"{x} {os.getpid()}\\n")
    time.sleep(600 if x == 0 else 0.1)
    return x * 0.5

try:
    swarmgrid.compute(axes={"x": range(2000)}, func=slow_at_first, version="1",
                      store=sys.argv[1], workers=2, verbose=0)
except KeyboardInterrupt:
    end, left = time.monotonic() + 60, ["?"]
    while left and time.monotonic() < end:
        time.sleep(0.1)
        left = [t.name for t in threading.enumerate() if t.name.startswith("swarmgrid")]
    print("left:", left)
"""


@pytest.mark.long
def test_ctrl_c_in_a_slow_first_point_ends_what_goes_on_beside_it(tmp_path: Path) -> None:
    script, calls = tmp_path / "script.py", tmp_path / "calls"
    script.write_text(INTERRUPTED)
    calls.touch()
    process = programs.start(
        [sys.executable, str(script), str(tmp_path / "s"), str(calls)],
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: len(called(calls)) > 40)  # workers have gone on to the rest of the grid
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE)
    assert out.strip() == "left: []"
    pids = {int(line.split()[1]) for line in calls.read_text().splitlines()}
    wait_until(lambda: not any(map(is_alive, pids)))


WAITING = """
import os, signal, sys, threading, time, swarmgrid

finished = sys.argv[1] + ".finished"

def slow(x):
    if x in (0, 2, 3):
        time.sleep(600)
    elif x == 1:
        open(finished, "w").close()
    return x * 0.5

def interrupt():
    while not os.path.exists(finished):
        time.sleep(0.05)
    time.sleep(1.0)  # it comes back meanwhile, or in the moment that Ctrl-C leaves to what runs
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
try:
    swarmgrid.compute(axes={"x": range(100)}, func=slow, store=sys.argv[1], version="1",
                      workers=2, verbose=0, flush_interval=60)
except KeyboardInterrupt:
    time.sleep(1.0)
    ds = swarmgrid.open(func=slow, store=sys.argv[1], version="1")
    print(ds["value"].sel(x=1).item())
"""


@pytest.mark.long
def test_a_first_point_that_waits_for_a_slower_one_is_kept_by_ctrl_c(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(WAITING)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "s")],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == "0.5\n"


def test_the_thread_that_looks_at_tasks_ends_when_there_are_none(tmp_path: Path) -> None:
    def looking() -> int:
        return sum(thread.name == "swarmgrid-watchdog" for thread in threading.enumerate())

    wait_until(lambda: looking() == 0)
    for n in range(1, 4):
        swarmgrid.compute(axes={"x": range(n)}, func=abs_of, store=tmp_path, verbose=0)
    assert looking() > 0
    wait_until(lambda: looking() == 0)


def abs_of(x: int) -> int:
    return abs(x)


def test_a_turn_is_taken_by_a_worker_that_is_there(tmp_path: Path) -> None:
    from swarmgrid.executors.select import pickled_job
    from swarmgrid.process_pool.pool import WorkerPool
    from swarmgrid.process_pool.process_main import pickled
    from swarmgrid.run_options import Limits

    job, task = a_job_and_its_task(lambda x: x * 0.5, tmp_path / "s", 1)
    pool = WorkerPool(pickled_job(dataclasses.replace(job, is_rate_limited=True)), 1, Limits())
    there: list[int] = []

    def wait_for_turn() -> None:
        there.append(len(pool._busy))

    try:
        packed = pickled(dataclasses.replace(task, writes=False))
        results = [pool.run(packed, 1, lambda _: None, wait_for_turn) for _ in range(3)]
    finally:
        pool.close()
    assert [result.points for result in results if result is not None] == [1] * 3
    assert there == [1] * 3  # who waits while its worker starts would call with the next
