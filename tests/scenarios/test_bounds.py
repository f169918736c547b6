"""Runs that cannot end well end: damage that comes back, signals, a run that waits for itself."""

from __future__ import annotations

import datetime as dt
import enum
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import LocalStore, MemoryStore, WrapperStore

import swarmgrid
from swarmgrid.errors import DamageError
from swarmgrid.executors.dask_local import DaskInProcess
from swarmgrid.executors.interrupt import ended_by_sigterm, interrupted_between_calls
from swarmgrid.leases.sharing import try_sharing
from swarmgrid.planning.shown import shown_params
from swarmgrid.store.location import Location
from swarmgrid.transport.messages import TerminatedError
from swarmgrid.worker.heartbeat import Heartbeat
from tests.waiting import PATIENCE

SYNC: dict[str, Any] = {"executor": "sync", "verbose": 0, "version": "1"}


def double(x: float) -> float:
    return 2.0 * x


# ---- damage that comes back


class Stubborn(WrapperStore[MemoryStore]):
    """A store that may keep what is deleted."""

    is_stubborn = False

    async def delete(self, key: str) -> None:
        if not (self.is_stubborn and key.endswith(".seg")):
            await super().delete(key)


def without_chunks(n_chunks: int) -> Stubborn:
    """A store in which many half-filled chunks are gone."""
    store = with_chunks(n_chunks)
    assert delete_chunks(store) == n_chunks
    return store


def with_chunks(n_chunks: int) -> Stubborn:
    store = Stubborn(MemoryStore())
    axes = {"x": np.arange(n_chunks), "y": [0]}
    swarmgrid.compute(axes=axes, func=total, store=store, chunks={"x": 1, "y": 2}, **SYNC)
    return store


def delete_chunks(store: Stubborn) -> int:
    chunks = [key for key in store._store._store_dict if "/value/c." in key]
    for key in chunks:
        del store._store._store_dict[key]
    return len(chunks)


def total(x: int, y: int) -> float:
    return 10.0 * x + y


def test_however_many_chunks_are_gone_two_repairs_are_enough(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = without_chunks(12)
    axes = {"x": np.arange(12), "y": [0, 1]}
    ds = swarmgrid.compute(axes=axes, func=total, store=store, **SYNC)
    np.testing.assert_array_equal(ds["value"], np.add.outer(10.0 * np.arange(12), [0, 1]))
    assert len([r for r in caplog.records if "computed again now" in r.getMessage()]) == 2
    assert swarmgrid.run(axes=axes, func=total, store=store, **SYNC)[1].points_computed == 0


def test_damage_that_comes_back_ends_the_run(caplog: pytest.LogCaptureFixture) -> None:
    store = without_chunks(12)
    store.is_stubborn = True
    axes = {"x": np.arange(12), "y": [0, 1]}
    with pytest.raises(swarmgrid.StoreError, match="does not keep what is written.*value/c.0.0"):
        swarmgrid.compute(axes=axes, func=total, store=store, **SYNC)
    assert len([r for r in caplog.records if "computed again now" in r.getMessage()]) == 2


# ---- signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_error_beside_a_signal_does_not_swallow_it(number: int) -> None:
    heartbeat = Heartbeat()
    heartbeat.pause_before(1)

    def failing() -> None:
        with ended_by_sigterm(), interrupted_between_calls(heartbeat):
            os.kill(os.getpid(), number)
            raise DamageError("key", "reason")

    expected = KeyboardInterrupt if number == signal.SIGINT else TerminatedError
    with pytest.raises(expected):
        failing()


class Scene:
    """What a function and its test share: with a closure, it would name another grid."""

    store: ClassVar[Stubborn]
    has_begun: ClassVar[threading.Event]
    is_closing: ClassVar[threading.Event]
    waited: ClassVar[list[bool]]


def test_the_first_signal_while_a_run_closes_for_damage_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Scene.store, Scene.waited = with_chunks(1), []
    Scene.has_begun, Scene.is_closing = threading.Event(), threading.Event()
    stop = DaskInProcess.stop

    def seen(executor: DaskInProcess) -> None:
        stop(executor)
        Scene.is_closing.set()

    def slow(x: int, y: int) -> float:
        if x == 0:
            Scene.waited.append(Scene.has_begun.wait(PATIENCE))
        elif not Scene.has_begun.is_set():
            delete_chunks(Scene.store)  # which the point at x=0 is about to be written into
            Scene.has_begun.set()
            Scene.waited.append(Scene.is_closing.wait(PATIENCE))
            os.kill(os.getpid(), signal.SIGINT)
        return 10.0 * x + y

    slow.__module__, slow.__qualname__ = total.__module__, "total"
    monkeypatch.setattr(DaskInProcess, "stop", seen)
    options: dict[str, Any] = {**SYNC, "executor": "threads", "workers": 2, "exec_chunk_size": 1}
    axes = {"x": [0, 1], "y": [0, 1]}
    with pytest.raises(KeyboardInterrupt):
        swarmgrid.compute(axes=axes, func=slow, store=Scene.store, **options)
    assert Scene.waited == [True, True]


# ---- stores that are not shared


class Shelf(MemoryStore):
    """A store that every process has for itself, and that a copy in the same process shares."""

    shelf: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__(self.shelf)

    def __reduce__(self) -> Any:
        return Shelf, ()


class DictStore(MemoryStore):
    """A store that takes its objects along when it is pickled."""

    def __reduce__(self) -> Any:
        return DictStore, (dict(self._store_dict),)


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    yield Shelf()
    Shelf.shelf.clear()


def test_a_store_is_shared_if_a_copy_sees_what_is_written_later(
    tmp_path: Path, shelf: Shelf
) -> None:
    class Unpicklable(MemoryStore):
        def __reduce__(self) -> Any:
            raise TypeError("it stays")

    found = {
        store: try_sharing(Location("store", store=made))
        for store, made in {
            "memory": MemoryStore(),
            "content": DictStore(),
            "wrapped": WrapperStore(WrapperStore(DictStore())),
            "directory": WrapperStore(LocalStore(tmp_path)),
            "shelf": shelf,
            "unpicklable": Unpicklable(),
        }.items()
    }
    assert [name for name, is_so in found.items() if is_so] == ["directory", "shelf"]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not try_sharing(Location("memory://here"))
    assert try_sharing(Location(str(tmp_path)))


def test_a_store_is_tried_once() -> None:
    store = DictStore()
    try_sharing(Location("store", store=store))
    store.set = None  # type: ignore[method-assign, assignment]
    assert not try_sharing(Location("store", store=store))


@pytest.mark.parametrize("kind", ["content", "shelf"])
def test_what_workers_compute_for_a_store_of_their_own_is_kept(
    kind: str, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    store = DictStore() if kind == "content" else shelf
    options = {"func": total, "store": store, "version": "1", "verbose": 0, "chunks": 4}
    axes = {"x": range(40), "y": range(5)}
    # so that the grid is there, and workers write chunks from their first task on
    swarmgrid.run(axes={"x": [0], "y": range(5)}, executor="sync", **options)
    ds, done = swarmgrid.run(axes=axes, executor="processes", workers=2, **options)
    assert done.points_computed == 195
    np.testing.assert_array_equal(ds["value"], np.add.outer(10.0 * np.arange(40), range(5)))
    assert not [key for key in store._store_dict if "probe" in key]
    assert swarmgrid.run(axes=axes, executor="sync", **options)[1].points_computed == 0
    warned = {record.name for record in caplog.records}
    assert warned == ({"swarmgrid.worker.evaluate"} if kind == "shelf" else set())


# ---- a run that waits for itself


def recursive(x: int, store: str) -> float:
    if x == 0:
        return 1.0
    before = swarmgrid.compute(
        {"store": store}, {"x": [x - 1]}, func=recursive, store=store, version="1", verbose=0
    )
    return 2.0 * float(before["value"].item())


@pytest.mark.parametrize("executor", ["sync", "threads", "processes"])
def test_a_grid_that_computes_itself_is_an_error(executor: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"func": recursive, "store": str(tmp_path), "version": "1"}
    options |= {"verbose": 0, "executor": executor, "workers": 1}
    params = {"store": str(tmp_path)}
    with pytest.raises(swarmgrid.PointError, match="the run would wait for itself for ever"):
        swarmgrid.compute(params, {"x": [5]}, **options)
    options["executor"] = "sync"
    swarmgrid.compute(params, {"x": [0]}, **options)
    ds = swarmgrid.compute(params, {"x": [1]}, **options)  # what is computed may be asked for
    assert ds["value"].item() == 2.0


def test_programs_that_the_function_starts_know_of_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_OF_THE_TEST", str(tmp_path))

    def nested(x: int) -> float:  # it holds nothing, as the function of the program does not
        code = (
            "import os; from tests.scenarios.test_bounds import started\n"
            "started(os.environ['STORE_OF_THE_TEST'])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "would wait for itself" in done.stderr, done.stderr
        return float(x)

    options: dict[str, Any] = {"version": "1", "verbose": 0, "executor": "processes", "workers": 1}
    nested.__module__, nested.__qualname__ = double.__module__, "double"
    swarmgrid.compute(axes={"x": [1]}, func=nested, store=tmp_path, **options)


def started(store: str) -> None:
    """What a program does that a function starts: ask for the function's own grid."""
    swarmgrid.compute(axes={"x": [2]}, func=double, store=store, **SYNC)


# ---- params that JSON does not know


class Colour(enum.Enum):
    RED = 1


class Fails:
    def __repr__(self) -> str:
        raise RuntimeError


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(max_size=5),
    st.complex_numbers(),
    st.dates(),
    st.timedeltas(),
    st.sampled_from([Colour.RED, Path("a"), np.float32(1), np.int8(1), np.datetime64("nat", "s")]),
    st.sampled_from([np.arange(3), np.arange(99), np.array(["a"]), np.array(dt.date(2000, 1, 1))]),
    st.sampled_from([np.longdouble(1), np.bool_(True), frozenset({1}), double]),
    st.builds(pow, st.just(10), st.just(5000)),  # too long for Python to show
    st.builds(Fails),
)
KEYS = st.one_of(
    st.text(max_size=3),
    st.integers(),
    st.booleans(),
    st.none(),
    st.dates(),
    st.just(Colour.RED),
    st.tuples(st.integers(), st.text(max_size=2)),
)


def containers(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(values, max_size=3),
        st.tuples(values, values),
        st.dictionaries(KEYS, values, max_size=3),
    )


@given(st.recursive(LEAVES, containers, max_leaves=8))
def test_every_value_of_a_param_can_be_shown(value: Any) -> None:
    shown = json.loads(shown_params({"a": value}))
    assert list(shown) == ["a"]
    if isinstance(value, dict):
        assert len(shown["a"]) == len(value)


def test_params_are_shown_as_json_where_json_knows_them() -> None:
    params = {"b": [1, 2.5, None], "a": {"k": (True, "text")}, "c": np.arange(2), "d": np.int8(3)}
    assert shown_params(params) == (
        '{"a": {"k": [true, "text"]}, "b": [1, 2.5, null], "c": [0, 1], "d": 3}'
    )
    keys = {(1, 2): 1, Colour.RED: 2, dt.date(2000, 1, 1): 3}
    assert json.loads(shown_params({"a": keys}))["a"] == {
        "(1, 2)": 1,
        "<Colour.RED: 1>": 2,
        "datetime.date(2000, 1, 1)": 3,
    }
    deep: Any = []
    for _ in range(140):
        deep = [deep]
    assert len(shown_params({"a": deep})) < 500


@pytest.mark.parametrize("key", [(1, 2), Colour.RED, dt.date(2000, 1, 1), 5], ids=str)
def test_a_param_with_keys_of_any_kind_is_computed_with(key: Any) -> None:
    def value_at(x: int, table: dict[Any, float]) -> float:
        return x * table[key]

    ds = swarmgrid.compute(
        {"table": {key: 3.0}}, {"x": [1, 2]}, func=value_at, store=MemoryStore(), **SYNC
    )
    assert ds["value"].values.tolist() == [3.0, 6.0]


# ---- compute inside workers of others


def computed(store: str, version: str, **options: Any) -> float:
    ds = swarmgrid.compute(
        axes={"x": range(4)}, func=double, store=store, version=version, verbose=0, **options
    )
    return float(ds["value"].sum())


@pytest.mark.long
def test_a_daemonic_process_computes_with_workers(tmp_path: Path) -> None:
    options = {"executor": "processes", "workers": 1}
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply_async(computed, (str(tmp_path), "1"), options)
        assert found.get(timeout=PATIENCE) == 12.0


def test_a_start_method_that_workers_do_not_know_is_not_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Joblibs(type(multiprocessing.get_context("spawn"))):  # type: ignore[misc]
        """The default context in a worker of joblib."""

        _name = "loky"

    default = multiprocessing.context._default_context
    monkeypatch.setattr(default, "_actual_context", ours := Joblibs())
    assert computed(str(tmp_path), "1", executor="processes", workers=1) == 12.0
    assert default._actual_context is ours  # type: ignore[attr-defined]


@pytest.fixture
def small_cluster() -> Iterator[Any]:
    """A cluster of one thread, which a task that waits for another one would block."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_a_task_of_a_cluster_computes_by_itself_or_on_the_cluster(
    small_cluster: Any, tmp_path: Path
) -> None:
    def on_the_cluster(store: str) -> float:
        from distributed import get_client, worker_client

        first = computed(store, "2", client=get_client())
        with worker_client() as client:
            return first + computed(store, "3", client=client)

    alone = small_cluster.submit(computed, str(tmp_path), "1", pure=False)
    assert alone.result(timeout=PATIENCE) == 12.0
    shared = small_cluster.submit(on_the_cluster, str(tmp_path), pure=False)
    assert shared.result(timeout=PATIENCE) == 24.0
