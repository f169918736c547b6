"""A grid does not bring its machine down: caps, watchdogs, and a parent that stays small."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swarmgrid
from swarmgrid.process_pool.memory import Use, group_uses
from swarmgrid.process_pool.pool import WorkerPool
from swarmgrid.run_options import Limits
from tests.long import first
from tests.waiting import PATIENCE, wait_until

MB = 10**6


def hungry(x: int, at: int = 3) -> float:
    if x == at:
        held = []
        while True:
            held.append(np.ones(8 * MB))
    return x * 2.0


def sly(x: int, at: int = 3) -> float:
    """Lifts the cap on its address space first, so that only the watchdog sees it."""
    if x == at:
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        return hungry(at, at)
    return x * 2.0


@pytest.mark.parametrize(
    ("func", "reason"),
    first(1, [(sly, "MemoryError: it took more than 400000000 bytes"), (hungry, "MemoryError")]),
)
def test_a_worker_that_allocates_without_end_is_stopped_and_the_rest_is_computed(
    tmp_path: Path, func: Any, reason: str
) -> None:
    grid = swarmgrid.GridFunction(func, store=tmp_path, memory_limit="400MB", workers=2, verbose=0)
    ds, done = grid.run(axes={"x": range(12)}, on_error="record")
    assert np.flatnonzero(ds["value"].isnull()).tolist() == [3]
    assert (done.points_computed, done.points_failed) == (11, 1)
    assert reason in grid.errors()["reason"][0]


def test_a_worker_may_use_what_the_limit_allows(tmp_path: Path) -> None:
    def modest(x: int) -> float:
        return float(np.ones(20 * MB).sum())

    ds = swarmgrid.compute(axes={"x": [1, 2]}, func=modest, store=tmp_path, memory_limit="400MB")
    assert ds["value"].values.tolist() == [20.0 * MB] * 2


def test_limits_are_refused_with_a_client_whose_own_rule(tmp_path: Path) -> None:
    class Client:
        def scatter(self) -> None: ...
        def map(self) -> None: ...

    with pytest.raises(swarmgrid.InputError, match="with a client its own limits rule"):
        swarmgrid.compute(
            axes={"x": [1]}, func=hungry, store=tmp_path, memory_limit="1GB", client=Client()
        )


LONG = 50
"""From this point on they sleep until a second worker has surely been started."""


class Machine:
    """A machine whose memory in use a test decides."""

    def __init__(self) -> None:
        self.used = 0.1
        self.total = 2**20

    def __call__(self) -> Use:
        return Use(self.used, self.total)


def sleeper(x: int) -> int:
    time.sleep(1.0 if x < LONG else 4.0)
    return x


def job() -> bytes:
    from swarmgrid.executors.select import pickled_job
    from swarmgrid.space.axis import to_axes
    from swarmgrid.space.function import PointFunction
    from swarmgrid.store.grid_ref import GridRef
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import Location
    from swarmgrid.transport.messages import Job

    axes = to_axes({"x": range(100)})
    ref = GridRef(Location("/nowhere"), GridPath("sleeper", "0"))
    return pickled_job(Job(PointFunction(sleeper), ref, axes, "w"))


def task(x: int) -> bytes:
    from swarmgrid.process_pool.process_main import pickled
    from swarmgrid.space.points import ChunkPart, Points
    from swarmgrid.transport.messages import Task

    return pickled(
        Task((ChunkPart((0,), Points.at((x,)), is_fresh=True),), None, None, writes=False)
    )


def test_many_small_objects_are_a_memory_error_too(tmp_path: Path, capfd: Any) -> None:
    def leaking(x: int) -> int:
        kept = []
        while x == 3:
            kept.append(bytearray(1000))
        return x

    grid = swarmgrid.GridFunction(leaking, store=tmp_path, version="1", verbose=0, workers=2)
    _, done = grid.run(axes={"x": range(6)}, on_error="record", memory_limit="400MB")
    assert done.points_failed == 1
    assert grid.errors()["exception"].tolist() == ["MemoryError"]
    assert capfd.readouterr().err == ""


@pytest.mark.long
def test_memory_that_is_short_beside_a_call_costs_no_run(tmp_path: Path) -> None:
    has_happened = tmp_path / "happened"

    def without_memory(x: int) -> int:
        from swarmgrid.worker.task_report import TaskReport

        def look(_: Any) -> None:  # as where another thread of the function takes the last of it
            has_happened.touch()
            raise MemoryError

        if x == 3 and not has_happened.exists():
            TaskReport.look = look  # type: ignore[method-assign]
            wait_until(has_happened.exists)
        return x

    grid = swarmgrid.GridFunction(without_memory, version="1", store=tmp_path / "s", verbose=0)
    options = {"workers": 2, "memory_limit": "1GB", "on_error": "record"}
    grid.run(axes={"x": range(3)}, **options)  # nothing looks at the first points of a grid
    ds, done = grid.run(axes={"x": range(6)}, **options)
    assert grid.errors()["reason"].tolist() == []
    assert ds["value"].values.tolist() == list(range(6))
    assert (done.points_computed, done.points_failed, done.workers_lost) == (3, 0, 1)


def run(pool: WorkerPool, x: int) -> Any:
    return pool.run(task(x), 1, lambda _: None, lambda: None)


def n_busy(pool: WorkerPool) -> int:
    return len(pool._busy)


def in_threads(
    pool: WorkerPool, n: int, begin: int = 0
) -> tuple[list[Any], list[threading.Thread]]:
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda x=x: found.append(run(pool, x)))
        for x in range(begin, begin + n)
    ]
    for thread in threads:
        thread.start()
    return found, threads


def test_work_is_handed_out_one_by_one_while_memory_is_short(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine()
    machine.used = 0.85
    pool = WorkerPool(job(), 3, Limits(), machine)
    try:
        wait_until(lambda: pool._is_paused)
        found, threads = in_threads(pool, 3)
        wait_until(lambda: n_busy(pool))
        time.sleep(0.2)
        assert n_busy(pool) == 1
        machine.used = 0.1
        for thread in threads:
            thread.join(PATIENCE)
        assert len(found) == 3
        assert all(result.points == 1 for result in found)
    finally:
        pool.close()
    assert "work goes on one task at a time" in caplog.text


@pytest.mark.long
def test_the_largest_worker_is_ended_before_the_machine_runs_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine()
    pool = WorkerPool(job(), 2, Limits(), machine)
    try:
        run(pool, 0)
        found, threads = in_threads(pool, 2, LONG)
        wait_until(lambda: n_busy(pool) == 2)
        machine.used = 0.95
        wait_until(lambda: any(result.crash for result in found))
        machine.used = 0.1
        for thread in threads:
            thread.join(PATIENCE)
        crashes = [result.crash for result in found if result.crash]
        assert len(crashes) == 1
        assert not crashes[0].is_at_fault
        assert "95% of the machine's memory" in crashes[0].reason
        in_threads(pool, 2)
        wait_until(lambda: n_busy(pool))
        time.sleep(0.3)
        assert n_busy(pool) == 1  # fewer workers from then on
    finally:
        pool.close()
    assert "tried again with 1 workers" in caplog.text


def test_the_last_worker_is_spared_where_other_programs_take_the_memory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine()
    machine.used, machine.total = 0.99, 2**60
    pool = WorkerPool(job(), 1, Limits(), machine)
    try:
        result = run(pool, 1)
    finally:
        pool.close()
    assert result.crash is None
    assert result.points == 1
    assert "ended worker" not in caplog.text


def group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


def test_the_limits_of_control_groups_are_seen(tmp_path: Path) -> None:
    mount, membership = tmp_path / "mount", tmp_path / "cgroup"
    membership.write_text("12:cpu,memory:/jobs/7\n0::/jobs/job 8\n")
    stat = "inactive_file 100\ntotal_inactive_file 200"
    group(mount / "jobs", memory__max=1000, memory__current=600, memory__stat=stat)
    group(mount / "jobs/job 8", memory__max="max", memory__current=600, memory__stat=stat)
    group(
        mount / "memory/jobs/7",
        memory__limit_in_bytes=2000,
        memory__usage_in_bytes=1200,
        memory__stat=stat,
    )
    group(
        mount / "memory",
        memory__limit_in_bytes=2**63 - 1,
        memory__usage_in_bytes=9000,
        memory__stat=stat,
    )
    assert sorted(group_uses(10**4, mount, membership)) == [(0.5, 1000), (0.5, 2000)]
    assert list(group_uses(500, mount, membership)) == []
    assert list(group_uses(10**4, mount, tmp_path / "nothing")) == []


PARENT = """
import resource, sys, swarmgrid

def point(x):
    return float(x)

n = int(sys.argv[2])
outputs = {"value": swarmgrid.Output()}
done = swarmgrid.stream(axes={"x": range(n)}, func=point, store=sys.argv[1], chunks=1,
                        shards=False, workers=1, executor="processes", outputs=outputs,
                        exec_chunk_size=500, verbose=0)
assert done.points_computed == n
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def parent_peak_mb(store: Path, n: int) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PARENT, str(store), str(n)],
        capture_output=True,
        text=True,
        check=True,
        timeout=3 * PATIENCE,
    )
    return int(done.stdout)


@pytest.mark.timeout(700)
@pytest.mark.parametrize("n", first(0, [4_000, 100_000]))
def test_the_parents_memory_does_not_grow_with_the_number_of_chunks(
    tmp_path: Path, n: int
) -> None:
    few, many = parent_peak_mb(tmp_path / "few", 500), parent_peak_mb(tmp_path / "many", n)
    assert many - few < min(50, n / 400), (few, many)  # MB: not 2.5 kB a chunk


RESULT = """
import resource, sys, numpy as np, swarmgrid

def big(x):
    return np.full(250_000, x, "f8")

n = int(sys.argv[2])
swarmgrid.stream(axes={"x": range(n)}, func=big, store=sys.argv[1], workers=1,
                 executor="processes", verbose=0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.long
def test_the_parents_memory_does_not_grow_with_the_size_of_the_result(tmp_path: Path) -> None:
    peaks = []
    for n in (5, 50):  # of 2 MB
        command = [sys.executable, "-c", RESULT, str(tmp_path / str(n)), str(n)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=PATIENCE
        )
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 40, peaks
