"""Points that fail, hang or kill: what a run does about them, and what it keeps."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zarr.storage import MemoryStore

import swarmgrid
from tests.long import first, pairs


def flaky(x: int, bad: tuple[int, ...], calls: str) -> float:
    with Path(calls).open("a") as file:
        file.write(f"{x}\n")
    if x in bad and not Path(calls + ".corrected").exists():
        raise ValueError(f"no {x}")
    return x * 1.5


@pytest.fixture
def grid(tmp_path: Path) -> swarmgrid.GridFunction:
    calls = tmp_path / "calls"
    calls.touch()
    func = functools.partial(flaky, bad=(0, 3, 7), calls=str(calls))
    return swarmgrid.GridFunction(func, version="1", store=tmp_path / "s", verbose=0)


def calls(tmp_path: Path) -> list[int]:
    return sorted(map(int, (tmp_path / "calls").read_text().split()))


EXECUTORS = ["sync", "threads", "processes"]


@pytest.mark.parametrize(("executor", "chunks"), first(3, pairs(EXECUTORS, [None, 1, 4])))
def test_recorded_failures_read_as_missing_and_are_listed(
    grid: swarmgrid.GridFunction, tmp_path: Path, executor: str, chunks: Any
) -> None:
    options: dict[str, Any] = {"executor": executor, "workers": 2, "chunks": chunks}
    ds, done = grid.run(axes={"x": range(10)}, on_error="record", **options)
    assert (done.points_computed, done.points_failed) == (7, 3)
    assert np.flatnonzero(ds["value"].isnull()).tolist() == [0, 3, 7]
    assert ds["value"].sel(x=9).item() == 13.5
    table = grid.errors()
    assert table["x"].tolist() == [0, 3, 7]
    assert table["exception"].tolist() == ["ValueError"] * 3
    assert table["reason"].tolist() == ["ValueError: no 0", "ValueError: no 3", "ValueError: no 7"]
    assert table["attempt"].tolist() == [1, 1, 1]
    assert all("in flaky" in text for text in table["traceback"])
    assert calls(tmp_path) == list(range(10))


def test_failed_points_are_tried_again_unless_that_is_declined(
    grid: swarmgrid.GridFunction, tmp_path: Path
) -> None:
    run = functools.partial(grid.run, axes={"x": range(10)}, on_error="record", executor="sync")
    run()
    _, declined = run(retry_failed=False)
    assert (declined.points_computed, declined.points_failed, declined.points_cached) == (0, 3, 7)
    assert len(calls(tmp_path)) == 10
    run()
    assert grid.errors()["attempt"].tolist() == [2, 2, 2]
    (tmp_path / "calls.corrected").touch()
    ds, done = run()
    assert (done.points_computed, done.points_failed) == (3, 0)
    assert grid.errors().empty
    np.testing.assert_array_equal(ds["value"], np.arange(10) * 1.5)


def test_records_of_failures_do_not_pile_up(grid: swarmgrid.GridFunction, tmp_path: Path) -> None:
    def records() -> list[Path]:
        return sorted(tmp_path.glob("s/manifest/*/*.err"))

    run = functools.partial(grid.run, axes={"x": range(10)}, on_error="record", executor="sync")
    for attempt in range(1, 31):
        run()
        assert len(records()) <= 9 + 1
        assert grid.errors()["attempt"].tolist() == [attempt] * 3
    (tmp_path / "calls.corrected").touch()
    run()
    for _ in range(12):  # nothing is missing: nothing is written
        run()
    assert grid.errors().empty


def test_records_of_points_computed_since_are_left_out_of_a_compaction(
    grid: swarmgrid.GridFunction, tmp_path: Path
) -> None:
    run = functools.partial(grid.run, axes={"x": range(10)}, on_error="record", executor="sync")
    for _ in range(9):
        run()
    (tmp_path / "calls.corrected").touch()
    run()
    assert len(list(tmp_path.glob("s/manifest/*/*.err"))) == 1  # merged before it was computed
    (record,) = tmp_path.glob("s/manifest/*/*.err")
    for number in range(9):
        record.with_name(f"{record.name[:12]}-9999999{number}.err").write_bytes(
            record.read_bytes()
        )
    grid.run(axes={"x": range(11)}, executor="sync")
    assert list(tmp_path.glob("s/manifest/*/*.err")) == []


def test_a_point_that_every_try_fails_is_an_error_that_names_it(tmp_path: Path) -> None:
    def never(x: int) -> float:
        raise ValueError("never")

    with pytest.raises(swarmgrid.PointError, match="never"):
        swarmgrid.compute(axes={"x": [1, 2]}, func=never, store=tmp_path, on_error="record")


def needs_tries(x: int, folder: str) -> int:
    tries = Path(folder) / str(x)
    n = int(tries.read_text()) + 1 if tries.exists() else 1
    tries.write_text(str(n))
    if n < 3:
        raise ConnectionError("busy")
    return n


def test_a_flaky_function_is_called_again_after_a_pause(tmp_path: Path) -> None:
    (tmp_path / "tries").mkdir()
    func = functools.partial(needs_tries, folder=str(tmp_path / "tries"))
    options: dict[str, Any] = {"func": func, "version": "1", "store": tmp_path / "s"}
    start = time.monotonic()
    ds, done = swarmgrid.run(axes={"x": [1, 2]}, retries=2, executor="sync", **options)
    assert time.monotonic() - start >= 2 * (0.1 + 0.2)
    assert ds["value"].values.tolist() == [3, 3]
    assert done.retries == 4
    with pytest.raises(swarmgrid.PointError, match="busy"):
        swarmgrid.run(axes={"x": [9]}, retries=1, executor="sync", **options)


def deadly(x: int, how: str, at: tuple[int, ...] = (4,)) -> float:
    if x in at:
        if how == "exit":
            os._exit(3)
        elif how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif how == "segfault":
            ctypes.string_at(0)
        elif how == "hang":
            time.sleep(600)
    return x * 2.0


ENDS = {
    "exit": "its worker ended with exit code 3",
    "kill": "its worker was killed by SIGKILL",
    "segfault": "its worker was killed by SIGSEGV",
    "hang": "TimeoutError: it took longer than 1 s",
}


@pytest.mark.parametrize(("how", "size"), first(4, pairs(list(ENDS), [None, 1, 100])))
def test_a_deadly_point_is_isolated_and_the_rest_is_computed(
    tmp_path: Path, how: str, size: int | None
) -> None:
    reason = ENDS[how]
    func = functools.partial(deadly, how=how)
    options: dict[str, Any] = {"func": func, "version": how, "store": tmp_path / "s"}
    options |= {"executor": "processes", "workers": 2, "exec_chunk_size": size, "chunks": 6}
    if how == "hang":
        options["timeout"] = 1.0
    ds, done = swarmgrid.run(axes={"x": range(20)}, on_error="record", **options)
    assert np.flatnonzero(ds["value"].isnull()).tolist() == [4]
    assert (done.points_computed, done.points_failed) == (19, 1)
    assert done.workers_lost == (1 if how == "hang" else 2)
    table = swarmgrid.GridFunction(**options).errors()
    assert table["x"].tolist() == [4]
    assert reason in table["reason"][0]
    np.testing.assert_array_equal(ds["value"].dropna("x"), [2.0 * x for x in range(20) if x != 4])


def test_a_deadly_point_among_whole_chunks_leaves_its_chunk_to_one_writer(tmp_path: Path) -> None:
    func = functools.partial(deadly, how="exit", at=(23, 40))
    options: dict[str, Any] = {"func": func, "version": "1", "store": tmp_path / "s"}
    for axes in ({"x": range(10)}, {"x": range(60)}):  # the second time nothing is explored
        ds, done = swarmgrid.run(
            axes=axes,
            on_error="record",
            executor="processes",
            workers=2,
            chunks=5,
            exec_chunk_size=5,
            **options,
        )
    assert (done.points_computed, done.points_failed, done.workers_lost) == (48, 2, 4)
    np.testing.assert_array_equal(
        ds["value"], [np.nan if x in (23, 40) else 2.0 * x for x in range(60)]
    )
    assert swarmgrid.GridFunction(**options).verify().is_clean


def test_the_first_points_may_be_deadly(tmp_path: Path) -> None:
    func = functools.partial(deadly, how="exit", at=(0, 1))
    options: dict[str, Any] = {"func": func, "version": "1", "store": tmp_path / "s"}
    ds, done = swarmgrid.run(
        axes={"x": range(5)}, on_error="record", executor="processes", workers=2, **options
    )
    assert np.flatnonzero(ds["value"].isnull()).tolist() == [0, 1]
    assert (done.points_computed, done.points_failed) == (3, 2)


def test_a_hanging_point_takes_no_other_worker_with_it(tmp_path: Path) -> None:
    def slow_or_hanging(x: int) -> int:
        time.sleep(600 if x == 0 else 0.1)
        return os.getpid()

    options: dict[str, Any] = {"executor": "processes", "workers": 2, "exec_chunk_size": 1}
    outputs = {"value": swarmgrid.Output(dtype="i8")}
    ds, done = swarmgrid.run(
        axes={"x": range(30)},  # some are computed when the first is given up
        func=slow_or_hanging,
        store=tmp_path,
        timeout=2.0,
        on_error="record",
        outputs=outputs,
        **options,
    )
    assert (done.workers_lost, done.points_computed, done.points_failed) == (1, 29, 1)
    assert ds["value"].sel(x=range(1, 30)).notnull().all()


def test_a_hanging_point_is_an_error_by_default(tmp_path: Path) -> None:
    func = functools.partial(deadly, how="hang")
    with pytest.raises(swarmgrid.PointError, match=r"deadly\(x=4\) failed: TimeoutError"):
        swarmgrid.compute(
            axes={"x": range(6)}, func=func, version="1", store=tmp_path, timeout=1.0, chunks=2
        )


def test_block_functions_may_be_deadly_too(tmp_path: Path) -> None:
    def block(x: np.ndarray) -> np.ndarray:
        if 4 in x:
            os._exit(3)
        return x * 2.0

    ds, done = swarmgrid.run(
        axes={"x": range(9)},
        func=block,
        store=tmp_path,
        vectorized=True,
        chunks=3,
        on_error="record",
        executor="processes",
        workers=2,
    )
    assert np.flatnonzero(ds["value"].isnull()).tolist() == [3, 4, 5]
    assert (done.points_computed, done.points_failed) == (6, 3)


@pytest.mark.parametrize(("executor", "known"), first(2, pairs(EXECUTORS[::2], [False, True])))
def test_a_failed_block_is_left_out_as_a_whole(tmp_path: Path, executor: str, known: bool) -> None:
    calls = tmp_path / "calls"
    calls.touch()

    def block(x: np.ndarray) -> np.ndarray:
        with calls.open("a") as file:
            file.write(f"{len(x)}\n")
        if 4 in x and not (tmp_path / "corrected").exists():
            raise ValueError("four")
        return x * 2.0

    grid = swarmgrid.GridFunction(
        block, version="1", store=tmp_path / "s", vectorized=True, chunks=3, verbose=0
    )
    if known:
        grid.compute(axes={"x": [0, 1, 2]})
    options: dict[str, Any] = {"on_error": "record", "executor": executor, "workers": 2}
    _, done = grid.run(axes={"x": range(9)}, **options)
    assert (done.points_cached, done.points_failed) == (3 * known, 3)
    assert grid.errors()["reason"].tolist() == ["ValueError: four"]
    n = len(calls.read_text().split())
    _, done = grid.run(axes={"x": range(9)}, retry_failed=False, **options)
    assert (done.points_cached, done.points_failed, done.points_computed) == (6, 3, 0)
    assert len(calls.read_text().split()) == n
    (tmp_path / "corrected").touch()
    ds, done = grid.run(axes={"x": range(9)}, **options)
    assert (done.points_cached, done.points_failed, done.points_computed) == (6, 0, 3)
    np.testing.assert_array_equal(ds["value"], np.arange(9) * 2.0)
    assert grid.errors().empty


def test_the_log_has_a_line_for_every_event(tmp_path: Path) -> None:
    func = functools.partial(deadly, how="exit")
    log = tmp_path / "run.jsonl"
    options: dict[str, Any] = {"func": func, "version": "1", "store": tmp_path / "s", "log": log}
    swarmgrid.stream(
        axes={"x": range(20)},
        on_error="record",
        executor="processes",
        workers=2,
        chunks=5,
        **options,
    )
    events = [json.loads(line) for line in log.read_text().splitlines()]
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-3:]) == ("run started", ["run ended", "run finished", "left"])
    assert kinds.count("worker lost") == 2
    for kind in ("task done", "points computed"):
        assert sum(event["n_points"] for event in events if event["event"] == kind) == 19
    done = [event for event in events if event["event"] == "task done"]
    assert all(event["peak_memory"] > 10**6 and event["worker"] for event in done)
    (failed,) = [event for event in events if event["event"] == "failed"]
    assert failed["point"] == {"x": 4}
    assert events[-3]["points_computed"] == 19
    assert events[-3]["outcome"] == "finished"
    for _ in range(2):
        swarmgrid.stream(axes={"x": [50]}, executor="sync", **options)
    more = [json.loads(line) for line in log.read_text().splitlines()][len(events) :]
    assert [event["event"] for event in more] == [
        *("joined", "run started", "task done", "grid grown", "points computed"),
        *("run ended", "run finished", "left"),
        *("run started", "run ended"),  # nothing to compute
    ]
    assert [event["n_cached"] for event in more if event["event"] == "run started"] == [0, 1]


def test_the_log_names_every_retry(tmp_path: Path) -> None:
    log, tries = tmp_path / "run.jsonl", tmp_path / "tries"
    tries.mkdir()
    swarmgrid.stream(
        axes={"x": [1, 2]},
        func=functools.partial(needs_tries, folder=str(tries)),
        version="1",
        store=tmp_path / "s",
        log=log,
        retries=3,
        executor="sync",
    )
    events = [json.loads(line) for line in log.read_text().splitlines()]
    retried = [(e["point"], e["attempt"]) for e in events if e["event"] == "retried"]
    assert retried == [({"x": x}, attempt) for x in (1, 2) for attempt in (1, 2)]
    assert all("Error" in e["reason"] for e in events if e["event"] == "retried")


@pytest.mark.parametrize("executor", ["sync", "threads", "processes"])
def test_calls_are_spaced_by_the_rate(tmp_path: Path, executor: str) -> None:
    def func(x: int) -> int:
        return x

    start = time.monotonic()
    done = swarmgrid.stream(
        axes={"x": range(9)}, func=func, store=tmp_path, rate="20/s", executor=executor, workers=2
    )
    # When calls begin depends on the machine; that the last is not let through earlier does not.
    assert time.monotonic() - start >= 8 / 20
    assert done.points_computed == 9


@pytest.mark.parametrize("option", [{"max_tasks_per_child": 2}, {"isolate": True}])
def test_workers_are_replaced_after_so_many_tasks(tmp_path: Path, option: dict[str, Any]) -> None:
    ds = swarmgrid.compute(
        axes={"x": range(8)},
        func=lambda x: os.getpid(),
        store=tmp_path,
        workers=1,
        exec_chunk_size=1,
        gc="task",
        **option,
    )
    pids, counts = np.unique(ds["value"].values, return_counts=True)
    most = 1 if "isolate" in option else 2
    assert counts.max() <= most
    assert os.getpid() not in pids


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 1, "executor": "sync"}, "need worker processes; leave out executor='sync'"),
        ({"memory_limit": "1GB", "executor": "threads"}, "need worker processes"),
        ({"timeout": 0}, "timeout is 0; expected seconds above 0"),
        ({"timeout": "2"}, "timeout is '2'; expected seconds above 0"),
        ({"flush_interval": "10"}, "flush_interval is '10'; expected seconds above 0"),
        ({"lease_seconds": True}, "lease_seconds is True; expected seconds above 0"),
        ({"memory_limit": "much"}, "memory_limit is 'much'; expected bytes"),
        ({"memory_limit": "-2GB"}, "memory_limit is '-2GB'; expected bytes"),
        ({"memory_limit": 0}, "memory_limit is 0; expected bytes"),
        ({"log": "/"}, "log is '/'; expected a file in a folder that exists"),
        ({"on_error": "ignore"}, "on_error is 'ignore'; expected one of 'raise', 'record'"),
        ({"retries": -1}, "retries is -1; expected an integer, at least 0"),
        ({"rate": "fast"}, "rate is 'fast'; expected calls per time"),
        ({"pause_at": 0.9, "kill_at": 0.5}, "pause_at is 0.9 and kill_at is 0.5"),
        ({"pause_at": "0.5"}, "pause_at is '0.5'; expected a part of the machine's memory"),
        ({"durability": "eternal"}, "durability is 'eternal'; expected one of"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(swarmgrid.InputError, match=message):
        swarmgrid.compute(axes={"x": [1]}, func=deadly, store=tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(("executor", "vectorized"), first(2, pairs(EXECUTORS[1:], [False, True])))
def test_all_of_the_first_points_may_fail(tmp_path: Path, executor: str, vectorized: bool) -> None:
    calls = tmp_path / "calls"
    calls.touch()

    def fails_at_first(x: Any) -> Any:
        with calls.open("a") as file:
            file.write(f"{np.min(x)}\n")
        if np.min(x) < 9:
            raise ValueError("at first")
        return x * 0.5

    grid = swarmgrid.GridFunction(
        fails_at_first, version="1", store=tmp_path / "s", verbose=0, vectorized=vectorized
    )
    ds, done = grid.run(
        axes={"x": range(20)},
        on_error="record",
        executor=executor,
        workers=1,
        chunks=1 if vectorized else 10,
        exec_chunk_size=3,
    )
    assert (done.points_computed, done.points_failed) == (11, 9)
    assert sorted(map(int, calls.read_text().split())) == list(range(20))
    assert np.flatnonzero(ds["value"].isnull()).tolist() == list(range(9))
    assert grid.verify().is_clean


ERRORS = [KeyboardInterrupt, GeneratorExit, SystemExit]


@pytest.mark.parametrize(("error", "executor"), first(3, pairs(ERRORS, EXECUTORS[1:])))
def test_whatever_the_function_raises_is_its_failure(
    tmp_path: Path, executor: str, error: type[BaseException]
) -> None:
    def raises(x: int) -> float:
        if x == 13:
            raise error
        return x * 0.5

    grid = swarmgrid.GridFunction(raises, version="1", store=tmp_path / "s", verbose=0)
    options: dict[str, Any] = {"executor": executor, "workers": 2}
    with pytest.raises(swarmgrid.PointError, match=rf"x=13\) failed: {error.__name__}"):
        grid.compute(axes={"x": range(20)}, **options)
    _, done = grid.run(axes={"x": range(20)}, on_error="record", **options)
    assert (done.points_cached + done.points_computed, done.points_failed) == (19, 1)
    assert done.workers_lost == 0
    assert grid.errors()["exception"].tolist() == [error.__name__]


@pytest.mark.parametrize("chunks", first(1, [2, 1, 3]))
def test_the_rate_holds_however_the_points_are_divided(tmp_path: Path, chunks: int) -> None:
    start = time.monotonic()
    swarmgrid.stream(
        axes={"x": range(12)},
        func=functools.partial(deadly, how="", at=()),
        version="1",
        store=tmp_path / "s",
        chunks=chunks,
        executor="threads",
        rate="8/s",
    )
    assert time.monotonic() - start > 11 / 8


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_failed_run_does_not_wait_for_its_rate(tmp_path: Path, executor: str) -> None:
    with pytest.raises(swarmgrid.PointError):
        swarmgrid.compute(
            axes={"x": range(20)},
            func=functools.partial(flaky, bad=(0, 1, 2, 3), calls=str(tmp_path / "calls")),
            version="1",
            store=tmp_path / "s",
            executor=executor,
            workers=4,
            rate="2/h",
        )


def uses_a_pool(x: int) -> float:
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(2) as pool:
        return float(sum(pool.map(abs, [x, -x])))


def test_a_function_may_use_processes_of_its_own(tmp_path: Path) -> None:
    ds = swarmgrid.compute(
        axes={"x": range(3)}, func=uses_a_pool, store=tmp_path, executor="processes", workers=2
    )
    assert ds["value"].values.tolist() == [0.0, 2.0, 4.0]


@pytest.mark.parametrize("name", ["OutputError", "WorkerLostError", "TimeoutError"])
def test_a_failure_is_told_by_its_kind_and_not_by_the_name_of_an_exception(name: str) -> None:
    own = type(name, (Exception,), {})

    def func(x: int) -> float:
        raise own(f"no {x}")

    with pytest.raises(swarmgrid.PointError, match=f"{name}: no 0") as caught:
        swarmgrid.compute(
            axes={"x": range(3)}, func=func, store=MemoryStore(), version="1", executor="sync"
        )
    assert type(caught.value) is swarmgrid.PointError
