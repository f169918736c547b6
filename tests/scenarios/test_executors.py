"""Every executor computes the same, stores the same, and fails the same."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dask
import dask.threaded
import numpy as np
import pytest

import swarmgrid
from swarmgrid.coordinator import dispatch
from tests.conftest import CallCounter
from tests.waiting import PATIENCE, meet, wait_until

Options = dict[str, Any]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A real dask cluster of two worker processes."""
    import distributed

    with dask.config.set({"distributed.worker.memory.terminate": False}):
        cluster = distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        )
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        yield client


@contextmanager
def with_options(**options: Any) -> Iterator[Options]:
    yield options


@contextmanager
def with_dask_config(**config: Any) -> Iterator[Options]:
    with dask.config.set(**config):
        yield {}


def counting_get(graph: Any, keys: list[Any], **_: Any) -> list[Any]:
    """A dask scheduler of the user's own, which knows no callbacks."""
    return [graph[key][0](*graph[key][1:]) for key in keys]


@pytest.fixture(
    params=["sync", "threads", "processes", "distributed", "dask threads", "dask own", "default"]
)
def executor(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """A context that makes compute use one executor, and gives the options to pass."""
    if request.param == "distributed":
        return functools.partial(with_options, client=request.getfixturevalue("cluster"))
    if request.param == "dask threads":
        return functools.partial(with_dask_config, scheduler="threads")
    if request.param == "dask own":
        return functools.partial(with_dask_config, scheduler=counting_get)
    if request.param == "default":
        return with_options
    return functools.partial(with_options, executor=request.param, workers=2)


def table(a: int, b: float, scale: float) -> dict[str, Any]:
    return {"sum": a + b * scale, "row": np.arange(3) * a, "name": f"{a}-{b}"}


FACTOR = 1.0


def by_factor(x: float) -> float:
    return x * FACTOR


def test_every_executor_computes_with_what_was_set_since_the_module_was_imported(
    executor: Any, new_memory_store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for factor in (2.0, 3.0, 2.0):
        monkeypatch.setitem(globals(), "FACTOR", factor)
        with executor() as options:
            store = tmp_path / f"{factor}" if "client" in options else new_memory_store()
            ds = swarmgrid.compute(
                axes={"x": np.arange(3.0)}, func=by_factor, store=store, version="1", **options
            )
        assert ds["value"].values.tolist() == [0.0, factor, 2 * factor]


def test_a_grid_is_the_same_with_every_executor(executor: Any, tmp_path: Any) -> None:
    axes = {"a": range(7), "b": [0.5, -1.0, 3.25, 8.0, 9.0]}
    with executor() as options:
        ds, done = swarmgrid.run(
            {"scale": 2.0},
            axes,
            func=table,
            store=tmp_path / "s",
            chunks={"a": 2, "b": 3},
            exec_chunk_size=4,
            **options,
        )
        again, reused = swarmgrid.run(
            {"scale": 2.0}, axes, func=table, store=tmp_path / "s", **options
        )
    assert done.points_computed == 35
    assert reused.points_computed == 0
    a, b = np.meshgrid(np.arange(7), axes["b"], indexing="ij")
    np.testing.assert_array_equal(ds["sum"], a + b * 2.0)
    np.testing.assert_array_equal(ds["row"], a[..., None] * np.arange(3))
    assert again["name"].sel(a=3, b=8.0).item() == "3-8.0"
    assert ds.identical(again)


def closed_over(offset: int) -> Callable[..., float]:
    return lambda x, extra=0.0: x + offset + extra


@pytest.mark.parametrize(
    ("func", "expected"),
    [
        pytest.param(lambda x: x * 2.0, [0.0, 2.0, 4.0], id="lambda"),
        pytest.param(closed_over(10), [10.0, 11.0, 12.0], id="closure"),
        pytest.param(
            functools.partial(closed_over(1), extra=0.5),
            [1.5, 2.5, 3.5],
            id="partial of a closure",
        ),
    ],
)
def test_functions_that_pickle_cannot_name_reach_every_executor(
    executor: Any, tmp_path: Any, func: Any, expected: list[float]
) -> None:
    with executor() as options:
        ds = swarmgrid.compute(axes={"x": range(3)}, func=func, store=tmp_path / "s", **options)
    np.testing.assert_array_equal(ds["value"], expected)


def fails_at_five(x: int, counter: CallCounter | None = None) -> float:
    if counter is not None:
        counter()
    if x == 5:
        raise KeyError("five")
    return float(x)


def test_a_failing_point_is_named_and_what_was_finished_is_kept(
    executor: Any, tmp_path: Any, counter: CallCounter
) -> None:
    func = functools.partial(fails_at_five, counter=counter)
    call = functools.partial(swarmgrid.compute, func=func, version="1", store=tmp_path / "s")
    with executor() as options:
        with pytest.raises(
            swarmgrid.PointError, match=r"\(x=5\) failed: KeyError: 'five'"
        ) as info:
            call(axes={"x": range(12)}, **options)
        kept = counter.count - 1
        stored = swarmgrid.open(axes=["x"], func=func, version="1", store=tmp_path / "s")
        assert int(stored["value"].notnull().sum()) == kept
        rest = [x for x in range(12) if x != 5]
        np.testing.assert_array_equal(call(axes={"x": rest}, **options)["value"], rest)
    assert info.value.point == {"x": 5}
    assert "fails_at_five" in info.value.details
    assert isinstance(info.value.__cause__, KeyError)
    assert counter.count == 12


def test_the_first_points_may_fail(executor: Any, tmp_path: Any) -> None:
    with executor() as options, pytest.raises(swarmgrid.PointError, match="x=5"):
        swarmgrid.compute(axes={"x": [5]}, func=fails_at_five, store=tmp_path / "s", **options)


def test_a_memory_store_is_filled_by_other_processes(new_memory_store: Any) -> None:
    store = new_memory_store()
    call = functools.partial(
        swarmgrid.run, {"scale": 1.0}, func=table, store=store, executor="processes", workers=2
    )
    ds, done = call({"a": range(5), "b": [1.0, 2.0]}, chunks=2)
    assert done.points_computed == 10
    np.testing.assert_array_equal(ds["sum"], np.arange(5)[:, None] + [1.0, 2.0])
    assert call({"a": range(6), "b": [1.0]})[1].points_computed == 1


def test_a_memory_store_is_refused_with_a_distributed_client(
    cluster: Any, new_memory_store: Any
) -> None:
    with pytest.raises(swarmgrid.InputError, match="this process' memory"):
        swarmgrid.compute(
            axes={"x": range(3)}, func=fails_at_five, store=new_memory_store(), client=cluster
        )


def process_id(x: int) -> int:
    return os.getpid()


def test_an_active_client_is_used_by_default(cluster: Any, tmp_path: Any) -> None:
    with cluster.as_current():
        ds = swarmgrid.compute(axes={"x": range(8)}, func=process_id, store=tmp_path / "s")
    pids = set(cluster.run(os.getpid).values())
    assert set(ds["value"].values.tolist()) <= pids


def test_workers_are_other_processes(tmp_path: Any) -> None:
    ds = swarmgrid.compute(
        axes={"x": range(64)},
        func=process_id,
        store=tmp_path / "s",
        executor="processes",
        workers=2,
        exec_chunk_size=1,
    )
    assert os.getpid() not in set(ds["value"].values.tolist())


def thread_name(x: int) -> str:
    return threading.current_thread().name


def test_a_tiny_grid_needs_no_workers(tmp_path: Any) -> None:
    ds = swarmgrid.compute(axes={"x": range(3)}, func=thread_name, store=tmp_path / "s")
    assert set(ds["value"].values) == {threading.current_thread().name}


def dies(x: int) -> float:
    if x == 3:
        os._exit(7)
    return float(x)


def test_a_point_that_ends_its_worker_is_named_and_the_rest_is_kept(tmp_path: Any) -> None:
    options: Options = {"func": dies, "store": tmp_path / "s", "executor": "processes"}
    with pytest.raises(swarmgrid.WorkerLostError, match=r"dies\(x=3\).*ended with exit code 7"):
        swarmgrid.compute(axes={"x": range(6)}, workers=1, exec_chunk_size=1, **options)
    ds, done = swarmgrid.run(axes={"x": [0, 1, 2]}, **options)
    assert done.points_computed == 0
    np.testing.assert_array_equal(ds["value"], [0, 1, 2])


SCRIPT = """
import swarmgrid, sys

class Scale:
    factor = 3

def simulate(x):
    return x * Scale.factor

ds = swarmgrid.compute(axes={"x": range(5)}, func=simulate, store=sys.argv[1],
                       executor="processes", workers=2)
print(ds["value"].values.tolist())
"""


def test_a_script_without_a_main_guard_works(tmp_path: Any) -> None:
    import subprocess
    import sys

    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(tmp_path / "s")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stdout == "[0, 3, 6, 9, 12]\n", done.stderr
    assert done.stderr == ""


def test_a_slow_first_point_keeps_no_other_from_being_stored(tmp_path: Any) -> None:
    others_are_stored = tmp_path / "stored"

    def slow_at_first(x: int) -> float:
        if x == 0:
            wait_until(others_are_stored.exists)
        return x * 2.0

    options: Options = {"func": slow_at_first, "store": tmp_path / "s", "verbose": 0}
    options["version"] = "1"
    run = threading.Thread(
        target=lambda: swarmgrid.stream(
            axes={"x": range(100)},
            executor="processes",
            workers=2,
            flush_interval=0.5,
            **options,
        )
    )
    run.start()
    grid = swarmgrid.GridFunction(**options)

    def n_kept() -> int:
        with contextlib.suppress(swarmgrid.InputError):
            return int(grid.open(axes=["x"])["value"].notnull().sum())
        return 0

    try:
        wait_until(lambda: n_kept() == 99)
    finally:
        others_are_stored.touch()
        run.join()
    np.testing.assert_array_equal(grid.open(axes=["x"])["value"], np.arange(100) * 2.0)


@pytest.mark.long
def test_workers_of_a_cluster_that_die_cost_no_other_point(tmp_path: Any) -> None:
    import distributed

    config = {
        "distributed.scheduler.allowed-failures": 1,
        "distributed.admin.low-level-log-length": 0,
    }
    with (
        dask.config.set(config),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        ds, done = swarmgrid.run(
            axes={"x": range(8)},
            func=dies,
            store=tmp_path / "s",
            client=client,
            on_error="record",
            exec_chunk_size=2,
        )
    assert np.flatnonzero(ds["value"].isnull()).tolist() == [3]
    assert (done.points_computed, done.points_failed) == (7, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"rate": "5/s"},
        {"memory_limit": "1GB"},
        {"timeout": 3.0},
        {"pause_at": 0.5},
        {"kill_at": 0.95},
    ],
)
def test_an_active_client_refuses_what_only_our_own_workers_keep(
    cluster: Any, tmp_path: Any, options: Options
) -> None:
    with cluster.as_current(), pytest.raises(swarmgrid.InputError, match="client"):
        swarmgrid.compute(axes={"x": range(80)}, func=process_id, store=tmp_path / "s", **options)


def test_a_grid_may_carry_its_client(cluster: Any, tmp_path: Any) -> None:
    grid = swarmgrid.GridFunction(closed_over(1), client=cluster, store=tmp_path / "s")
    assert grid.compute(axes={"x": [1, 2]})["value"].values.tolist() == [2.0, 3.0]


def test_workers_help_when_the_first_point_takes_long(tmp_path: Any) -> None:
    caller, here = os.getpid(), tmp_path / "here"
    here.mkdir()

    def slow_process_id(x: int) -> int:
        meet(here, 2, caller)  # the first point takes until there are workers
        return os.getpid()

    ds = swarmgrid.compute(
        axes={"x": range(12)},
        func=slow_process_id,
        version="1",
        store=tmp_path / "s",
        workers=2,
        verbose=0,
    )
    by_process = Counter(ds["value"].values.tolist())
    assert by_process.pop(os.getpid()) == 1
    assert len(by_process) == 2


def test_a_large_grid_of_cheap_points_needs_no_workers(tmp_path: Any) -> None:
    ds = swarmgrid.compute(
        axes={"x": range(3000)}, func=process_id, store=tmp_path, workers=2, verbose=0
    )
    assert set(ds["value"].values.tolist()) == {os.getpid()}


def test_what_may_end_its_process_is_not_tried_in_this_one(tmp_path: Any) -> None:
    ds = swarmgrid.compute(
        axes={"x": range(10)}, func=process_id, store=tmp_path, on_error="record", verbose=0
    )
    assert os.getpid() not in ds["value"].values.tolist()


def test_a_worker_with_nothing_to_do_gets_half_of_what_another_has_not_begun(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "LIMIT", 10**6)  # no task gives back points for being late
    begun, cheap, late = tmp_path / "begun", 2010, 30
    begun.touch()

    @swarmgrid.grid(store=tmp_path / "s", version="1", executor="processes", workers=2, chunks=64)
    def process(x: int) -> int:
        if x >= cheap:
            with begun.open("a") as file:
                file.write(f"{os.getpid()}\n")
            # each waits a little longer for the other worker, and 46 s together
            end = time.monotonic() + 0.1 * (x - cheap + 1)
            while len(set(begun.read_text().split())) < 2 and time.monotonic() < end:
                time.sleep(0.01)
        return os.getpid()

    process.compute(axes={"x": range(40)})
    # the late ones are in one task, by what the others cost
    ds = process.compute(axes={"x": range(40, cheap + late)}, log=tmp_path / "log")
    assert len(set(ds["value"].values[-late:].tolist())) == 2
    events = map(json.loads, (tmp_path / "log").read_text().splitlines())
    sizes = [event["n_points"] for event in events if event["event"] == "task done"]
    last = np.flatnonzero(np.cumsum(sizes[::-1]) >= late)[0] + 1
    assert last < 12  # half each time: they do not pass single points to and fro


def test_dask_sees_one_node_for_each_task_by_the_name_of_the_function(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dask.diagnostics import Profiler

    from swarmgrid.executors import dask_nodes

    @swarmgrid.grid(store=tmp_path / "s", version="1", workers=2, executor="threads")
    def double(x: int) -> int:
        return 2 * x

    monkeypatch.setattr(dask_nodes, "SPARE_NODES", 0)
    double.compute(axes={"x": [0]})
    log = tmp_path / "log"
    with Profiler() as seen:
        ds = double.compute(axes={"x": range(40)}, exec_chunk_size=3, log=log)
    assert ds["value"].values.tolist() == list(range(0, 80, 2))
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events.count("task done") == 13
    names = [result.key for result in seen.results]
    assert names == list(dict.fromkeys(names))
    assert {name for name, _ in names} == {"double"}
    assert len(names) == 13


@pytest.mark.parametrize("n_nodes", [1, 3])
def test_graphs_of_few_nodes_compute_everything(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, n_nodes: int
) -> None:
    from swarmgrid.executors import dask_nodes

    sizes: list[int] = []

    def get(made: Any, keys: list[Any], **options: Any) -> list[Any]:
        sizes.append(len(keys))
        return list(dask.threaded.get(made, keys, **options))

    @swarmgrid.grid(store=tmp_path, version="1", workers=2)
    def double(x: int) -> int:
        return 2 * x

    monkeypatch.setattr(dask_nodes, "MAX_NODES", n_nodes)
    with dask.config.set(scheduler=get):
        ds = double.compute(axes={"x": range(40)}, exec_chunk_size=1)
    assert ds["value"].values.tolist() == list(range(0, 80, 2))
    assert set(sizes) == {n_nodes}
