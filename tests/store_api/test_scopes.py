"""In a scope, reads fall through to the shared store, and writes stay private until published."""

from __future__ import annotations

import asyncio
import itertools
import pickle
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid import Grid
from swarmgrid.leases import lease
from tests import programs
from tests.conftest import Killed
from tests.long import examples, first
from tests.servers.s3 import S3Server
from tests.waiting import PATIENCE

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0, "version": "1"}
X, Y = [3, 1, 2, 7], [10, 30, 20]
CALLS: list[tuple[int, int]] = []


def product(x: int, y: int) -> int:
    CALLS.append((x, y))
    return x * y


def bound(store: Any, func: Any = product, **options: Any) -> Any:
    return swarmgrid.GridFunction(func, store=store, **{**OPTIONS, **options})


def computed(grid: Grid) -> dict[tuple[int, int], int]:
    """The computed points of a grid, and their values, as every way to ask for them says."""
    try:
        ds = grid.dataset().load()
    except swarmgrid.InputError:
        assert not grid.exists()
        return {}
    names = ds["value"].dims
    exists: Any = grid.exists()
    got = grid.get(default=-1)["value"].transpose(*names).values
    values, is_there = ds["value"].values, exists.transpose(*names).values
    status = grid.status().transpose(*names).values
    assert ((status == 1) == is_there).all()
    assert np.array_equal(np.where(is_there, values, -1), got)
    assert np.isnan(values.astype(float)[~is_there]).all()
    labels = [ds[name].values.tolist() for name in names]
    found = {}
    for at in np.argwhere(is_there):
        point = {name: along[i] for name, along, i in zip(names, labels, at, strict=True)}
        found[point["x"], point["y"]] = int(values[tuple(at)])
    assert grid.state().points_computed == len(found)
    assert grid.plan().points_missing == status.size - len(found)
    return found


class Scopes(RuleBasedStateMachine):
    """Three views of one store, shared and two scopes, against three dicts."""

    axes = st.fixed_dictionaries(
        {
            "x": st.lists(st.sampled_from(X), min_size=1, unique=True),
            "y": st.lists(st.sampled_from(Y), min_size=1, unique=True),
        }
    ).flatmap(lambda axes: st.permutations(list(axes.items())).map(dict))
    view = st.sampled_from(["", "a", "b"])

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.own: dict[str, dict[tuple[int, int], int]] = {"": {}, "a": {}, "b": {}}
        self.taken: dict[str, dict[str, dict[tuple[int, int], int]]] = {"": {}, "a": {}, "b": {}}

    def seen(self, name: str) -> dict[tuple[int, int], int]:
        return self.own[""] | self.own[name]

    def function(self, name: str) -> Any:
        store = swarmgrid.scope(name, self.store) if name else self.store
        return bound(store, chunks={"x": 2, "y": 2})

    @rule(name=view, axes=axes)
    def compute(self, name: str, axes: Any) -> None:
        before, asked = self.seen(name), {*itertools.product(axes["x"], axes["y"])}
        CALLS.clear()
        f = self.function(name)
        assert f.plan({}, axes).points_missing == len(asked - before.keys())
        ds, done = f.run({}, axes)
        assert {*CALLS} == asked - before.keys()
        assert len(CALLS) == len({*CALLS}) == done.points_computed
        assert done.points_cached == len(asked & before.keys())
        self.own[name] |= {(x, y): x * y for x, y in CALLS}
        assert ds["value"].dtype == "int64"
        for x, y in asked:
            assert ds["value"].sel(x=x, y=y).item() == self.seen(name)[x, y]

    @rule(name=view, axes=axes, conflicts=st.booleans())
    def put_many(self, name: str, axes: Any, conflicts: bool) -> None:
        values = {(x, y): x * y for x, y in itertools.product(axes["x"], axes["y"])}
        before = self.seen(name)
        known = [point for point in values if point in before]
        f = self.function(name)
        if conflicts and known:
            values[known[0]] += 1
            with pytest.raises(swarmgrid.ConflictError):
                f.put_many(values)
            n = f.put_many(values, on_conflict="keep")
        else:
            n = f.put_many(values)
        assert n == len(values.keys() - before.keys())
        self.own[name] |= {p: v for p, v in values.items() if p not in before}

    @rule(name=view, x=st.sampled_from(X))
    def delete(self, name: str, x: int) -> None:
        gone = {p for p in self.own[name] if p[0] == x}
        try:
            assert self.function(name).grid().delete(x=x) == len(gone)
        except swarmgrid.InputError:
            assert not gone
        for p in gone:
            del self.own[name][p]

    @rule(name=view)
    def snapshot(self, name: str) -> None:
        try:
            taken = self.function(name).grid(axes=["x", "y"]).snapshot()
        except swarmgrid.InputError:  # of what only the shared store has
            assert not self.own[name]
            return
        self.taken[name][taken.id] = dict(self.own[name])

    @rule(name=view, number=st.integers(0, 5))
    def restore(self, name: str, number: int) -> None:
        if not self.taken[name]:
            return
        chosen = list(self.taken[name])[number % len(self.taken[name])]
        then = self.taken[name][chosen]
        grid = self.function(name).grid(axes=["x", "y"])
        assert grid.restore(chosen) == len(self.own[name].keys() - then.keys())
        self.own[name] = dict(then)

    @rule(name=st.sampled_from(["a", "b"]))
    def publish(self, name: str) -> None:
        mine = swarmgrid.scope(name, self.store)
        news = self.own[name].keys() - self.own[""].keys()
        assert mine.publish(dry_run=True).points_added == len(news)
        assert mine.publish().points_added == len(news)
        assert mine.publish().points_added == 0
        self.own[""] |= self.own[name]

    @rule(name=st.sampled_from(["a", "b"]))
    def discard(self, name: str) -> None:
        swarmgrid.scope(name, self.store).discard()
        self.own[name], self.taken[name] = {}, {}
        assert name not in swarmgrid.scopes(self.store)

    @invariant()
    def every_view_has_its_points(self) -> None:
        for name in self.own:
            grid = self.function(name).grid(axes=["x", "y"])
            assert computed(grid) == self.seen(name)
            if self.seen(name):
                timings = grid.timings()
                assert int((timings["writer"] >= 0).sum()) == len(self.seen(name))
                assert grid.verify().is_clean
            location = swarmgrid.scope(name, self.store).location if name else self.store
            rows = swarmgrid.catalog(location if not name else swarmgrid.scope(name, self.store))
            assert sum(row.points_computed for row in rows.rows) == len(self.seen(name))


Scopes.TestCase.settings = settings(max_examples=examples(5), stateful_step_count=8)
test_any_sequence_of_steps_is_what_dicts_say = Scopes.TestCase


def test_a_with_block_reaches_every_call_and_leaves_the_shared_store_alone(tmp_path: Path) -> None:
    f = bound(tmp_path / "s")
    f.stream({}, {"x": [1, 2], "y": [10]})
    before = sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*") if p.is_file())
    with swarmgrid.scope("alice") as mine:
        ds = f.compute({}, {"x": [2, 3], "y": [10]})
        assert f.put_many({(9, 9): 81}) == 1
        assert f.open({}, {"x": [1, 3], "y": [10]})["value"].values.tolist() == [[10], [30]]
        assert sorted(f.open()["x"].values.tolist()) == [1, 2, 3, 9]
        assert len(swarmgrid.catalog(tmp_path / "s")) == 1
        assert swarmgrid.catalog(tmp_path / "s").rows[0].points_computed == 4
        (row,) = mine.catalog().rows
        assert row.points_computed == 2
        assert Grid.open(tmp_path / "s", f.grid().id[:9]).exists(x=9, y=9) is True
        assert ds.swarmgrid.grid.exists(x=1, y=10) is True
    private = tmp_path / "s" / "scopes" / "alice"
    after = sorted(
        (p, p.stat().st_mtime_ns)
        for p in tmp_path.rglob("*")
        if p.is_file() and not p.is_relative_to(private)
    )
    assert after == before
    assert f.grid().state().points_computed == 2
    assert ds["value"].values.tolist() == [[20], [30]]  # also after the block
    assert swarmgrid.scopes(tmp_path / "s") == ["alice"]
    assert len(swarmgrid.catalog(tmp_path / "s")) == 1
    group = zarr.open_group(private / "data.zarr" / f.grid()._ref.path.group, mode="r")
    assert group["value"].shape == (3, 2)  # type: ignore[union-attr]
    assert bound(private).grid().state().points_computed == 2  # a store as any other
    assert mine.publish().points_added == 2
    assert mine.discard() == 1
    assert not private.exists()
    assert f.grid().verify().is_clean
    assert f.grid().state().points_computed == 4


def test_the_shared_store_may_grow_and_lose_points_while_a_scope_is_open() -> None:
    store = MemoryStore()
    f, g = bound(store, chunks=2), bound(swarmgrid.scope("a", store))
    f.stream({}, {"x": [1], "y": [10]})
    g.stream({}, {"x": [2], "y": [10]})
    f.stream({}, {"x": [3, 4], "y": [20, 10]})  # the same chunk, other places
    CALLS.clear()
    ds = g.compute({}, {"x": [4, 3, 2, 1], "y": [10]})
    assert CALLS == []
    assert ds["value"].values.tolist() == [[40], [30], [20], [10]]
    f.grid().delete(x=1)
    assert g.plan({}, {"x": [1, 2], "y": [10]}).points_missing == 1
    assert g.compute({}, {"x": [1, 2], "y": [10]})["value"].values.tolist() == [[10], [20]]
    assert g.grid().verify().is_clean
    assert f.grid().verify().is_clean


def test_each_layer_may_have_its_axes_in_an_order_of_its_own() -> None:
    store = MemoryStore()
    mine = swarmgrid.scope("a", store)
    bound(mine).stream({}, {"y": [10, 30], "x": [3, 7, 2]})
    bound(store).stream({}, {"x": [3, 1], "y": [30, 20, 10]})
    expected = {*itertools.product([3, 7, 2], [10, 30]), *itertools.product([3, 1], [30, 20, 10])}
    assert computed(bound(mine).grid()) == {(x, y): x * y for x, y in expected}
    assert mine.publish().points_added == 4


def test_conflicts_are_told_before_anything_is_published() -> None:
    store = MemoryStore()
    f, mine = bound(store), swarmgrid.scope("a", store)
    g = bound(mine)
    g.put_many({(1, 1): 5, (2, 2): 4})
    f.stream({}, {"x": [1], "y": [1]})
    assert computed(g.grid())[1, 1] == 5  # the scope's own goes before
    with pytest.raises(swarmgrid.ConflictError, match=r"value is 1, not 5"):
        mine.publish()
    assert computed(f.grid()) == {(1, 1): 1}
    done = mine.publish(on_conflict="keep")
    assert (done.points_added, done.points_conflicting) == (1, 1)
    assert computed(f.grid()) == {(1, 1): 1, (2, 2): 4}


def halves(x: int) -> float:
    return x / 2


def test_the_grid_of_a_scope_is_laid_out_as_the_shared_one() -> None:
    store = MemoryStore()
    key = swarmgrid.Key(b"k" * 32)
    encoding = {"value": {"dtype": "float32"}}
    f = bound(store, halves, chunks={"x": 3}, encoding=encoding, key=key)
    f.stream({}, {"x": [1, 2]})
    mine = swarmgrid.scope("a", store)
    g = bound(mine, halves)
    assert g.compute({}, {"x": [1, 5]})["value"].values.tolist() == [0.5, 2.5]
    state = mine.catalog()[f.grid().id].state()
    assert (state.chunks, state.encodings) == (f.grid().state().chunks, f.grid().state().encodings)
    with pytest.raises(swarmgrid.ChunksError):
        bound(mine, halves, chunks={"x": 4}).plan({}, {"x": [1]})
    assert mine.publish().points_added == 1
    assert f.open()["value"].values.tolist() == [0.5, 1.0, 2.5]
    other = swarmgrid.scope("b", store)  # a handle puts points beside a grid that is shared alone
    assert bound(other, halves).grid().put_many({7: 3.5, 1: 0.5}) == 1
    assert bound(other, halves).open()["value"].values.tolist()[-1] == 3.5
    assert f.grid().exists(x=7) is False
    assert other.catalog()[f.grid().id].state().encodings == state.encodings
    assert other.publish().points_added == 1


def mixed(x: int) -> Any:
    return x if x < 3 else x / 2


def test_ints_of_one_layer_and_floats_of_the_other_are_floats() -> None:
    store = MemoryStore()
    mine = swarmgrid.scope("a", store)
    bound(mine, mixed).stream({}, {"x": [1, 2]})
    bound(store, mixed).stream({}, {"x": [3, 5]})
    ds = bound(mine, mixed).open()
    assert (ds["value"].dtype, ds["value"].values.tolist()) == ("float64", [1.0, 2.0, 1.5, 2.5])


def outer(n: int) -> int:
    return int(bound(STORE[0]).compute({}, {"x": [n], "y": [10]})["value"].item())


STORE: list[Any] = []


@pytest.mark.parametrize("executor", ["sync", "threads"])
def test_what_a_function_computes_itself_stays_in_the_scope_of_its_run(executor: str) -> None:
    STORE[:] = [MemoryStore()]
    with swarmgrid.scope("a"):
        bound(STORE[0], outer, executor=executor, workers=2).stream({}, {"n": [1, 2, 3]})
        assert len(swarmgrid.catalog(STORE[0])) == 2
    assert len(swarmgrid.catalog(STORE[0])) == 0


def test_threads_and_tasks_have_scopes_of_their_own() -> None:
    store = MemoryStore()
    barrier = threading.Barrier(2, timeout=PATIENCE)

    def in_thread(name: str) -> None:
        with swarmgrid.scope(name):
            barrier.wait()
            bound(store).stream({}, {"x": [len(name)], "y": [10]})
            barrier.wait()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(in_thread, ["a", "bb"]))

    async def task(name: str, other: asyncio.Event, mine: asyncio.Event) -> None:
        with swarmgrid.scope(name):
            mine.set()
            await other.wait()
            axes = {"x": [len(name)], "y": [20]}
            await asyncio.to_thread(lambda: bound(store).stream({}, axes))

    async def main() -> None:
        one, two = asyncio.Event(), asyncio.Event()
        await asyncio.gather(task("a", one, two), task("bb", two, one))

    asyncio.run(main())
    assert len(swarmgrid.catalog(store)) == 0
    for name in ("a", "bb"):
        grid = bound(swarmgrid.scope(name, store)).grid()
        assert computed(grid) == {(len(name), y): len(name) * y for y in (10, 20)}


def test_a_scope_is_of_one_store_or_of_every_store_that_is_used() -> None:
    one, two = MemoryStore(), MemoryStore()
    axes = {"x": [1], "y": [1]}
    with swarmgrid.scope("a", one):
        bound(one).stream({}, axes)
        bound(two).stream({}, axes)
    assert (len(swarmgrid.catalog(one)), len(swarmgrid.catalog(two))) == (0, 1)
    with swarmgrid.scope("b") as mine:
        bound(one).stream({}, axes)
        bound(two).stream({}, {"x": [2], "y": [1]})
        with pytest.raises(swarmgrid.InputError, match="scopes do not nest"), swarmgrid.scope("c"):
            pass
    with pytest.raises(swarmgrid.InputError, match="storage_options are given without store"):
        swarmgrid.scope("c", storage_options={"region": "eu"})
    with pytest.raises(swarmgrid.InputError, match="is of no one store"):
        mine.catalog()
    assert mine.publish().points_added == 2
    assert mine.discard() == 2
    with pytest.raises(swarmgrid.InputError, match=r"used here: none\); name it"):
        swarmgrid.scope("b").publish()
    with swarmgrid.set_options(store=one):
        assert swarmgrid.scope("a").publish().points_alike == 1
    assert pickle.loads(pickle.dumps(swarmgrid.scope("a", "somewhere"))).name == "a"


@pytest.mark.parametrize(
    "name", ["", "Alice", "a/b", "..", ".a", "a.", "a b", "é", "a" * 65, None, 3, "a\n"]
)
def test_names_that_are_no_folders_everywhere_are_refused(name: Any) -> None:
    with pytest.raises(swarmgrid.InputError, match="the name of the scope"):
        swarmgrid.scope(name)


REFUSED: dict[str, Callable[[Any], Any]] = {
    "copy": lambda store: swarmgrid.copy(store, MemoryStore()),
    "merge": lambda store: swarmgrid.merge(MemoryStore(), store),
    "prune": lambda store: swarmgrid.prune(store, max_bytes=0, dry_run=False),
    "report": swarmgrid.report,
    "memoize": lambda store: swarmgrid.memoize({}, store=store),
    "tiers": lambda store: swarmgrid.Tiered(swarmgrid.scope("a", store), ram="1MB"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_knows_nothing_of_scopes_is_refused_in_one(what: str) -> None:
    store = MemoryStore()
    bound(store).stream({}, {"x": [1], "y": [1]})
    with swarmgrid.scope("a"), pytest.raises(swarmgrid.InputError, match="scope"):
        REFUSED[what](store)
    assert len(swarmgrid.catalog(store)) == 1


def test_failures_of_the_scope_and_of_the_shared_store_are_told_together() -> None:
    store = MemoryStore()

    def fragile(x: int) -> float:
        if x in FRAGILE:
            raise ValueError("fragile")
        return float(x)

    f = bound(store, fragile, on_error="record", ignore={"FRAGILE"})
    g = bound(swarmgrid.scope("a", store), fragile, on_error="record", ignore={"FRAGILE"})
    FRAGILE[:] = [1, 2, 3]
    f.stream({}, {"x": [1, 2, 4]})
    FRAGILE.remove(1)
    g.stream({}, {"x": [1, 3, 4]})
    assert sorted(g.grid().errors()["x"]) == [2, 3]
    assert g.grid().status().sortby("x").values.tolist() == [1, 2, 2, 1]
    assert g.grid().state().points_failed == 2
    assert sorted(f.grid().errors()["x"]) == [1, 2]


FRAGILE: list[int] = []


@pytest.mark.parametrize(
    ("what", "every"), first(1, [("publish", 40), ("discard", 9), ("publish", 1), ("discard", 1)])
)
def test_a_kill_at_any_step_harms_nothing_and_the_call_again_completes_it(
    tmp_path: Path, kill_at: Callable[[int], None], what: str, every: int
) -> None:
    for k in itertools.count(every // 2, every):
        store = tmp_path / str(k)
        f, mine = bound(store, chunks=2), swarmgrid.scope("a", store)
        f.stream({}, {"x": [1, 3], "y": [10]})
        bound(mine).stream({}, {"x": [1, 2], "y": [20, 10]})
        bound(mine, halves).stream({}, {"x": [1]})
        shared, whole = {(1, 10): 10, (3, 10): 30}, computed(bound(mine).grid())
        kill_at(k)
        try:
            getattr(mine, what)()
            is_done = True
        except Killed:
            is_done = False
        kill_at(-1)
        lease._own.clear()  # as in a process that has ended
        left = computed(f.grid())
        assert shared.items() <= left.items() <= whole.items()
        assert f.grid().verify().is_clean
        again = computed(bound(mine).grid())
        assert shared.items() <= again.items() <= whole.items()
        getattr(mine, what)()
        assert computed(f.grid()) == (whole if what == "publish" else shared)
        if what == "discard":
            assert computed(bound(mine).grid()) == shared
            assert swarmgrid.scopes(store) == []
        else:
            assert bound(store, halves).grid().exists(x=1) is True
            assert again == whole
        if is_done:
            break
    assert k > 8


PROGRAM = """
import sys
import swarmgrid

def counted(x, y):
    with open(sys.argv[2], "a") as file:
        file.write(f"{x},{y}\\n")
    return x * y

f = swarmgrid.GridFunction(counted, store=sys.argv[1], version="1", executor="sync", verbose=0)
with swarmgrid.scope("a"):
    ds = f.compute({}, {"x": list(range(20)), "y": [10]})
    assert ds["value"].values[:, 0].tolist() == [10 * x for x in range(20)]
"""


@pytest.mark.long
def test_two_processes_in_one_scope_compute_no_point_twice(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "s"), str(tmp_path / "calls")]
    running = [programs.start(command) for _ in range(2)]
    assert [one.wait() for one in running] == [0, 0]
    assert len((tmp_path / "calls").read_text().split()) == 20
    assert len(swarmgrid.catalog(tmp_path / "s")) == 0
    assert swarmgrid.scopes(tmp_path / "s") == ["a"]


def doubled(x: int) -> int:
    return 2 * x


def test_earlier_code_and_conditions_are_seen_through_a_scope() -> None:
    store = MemoryStore()
    f = bound(store, doubled, version=None)
    f.stream({}, {"x": [1, 2, 3]}, where=lambda x: x != 2)
    version = f.grid().state().version
    with swarmgrid.scope("a"):
        assert f.open({}, version=version[:12]).sizes["x"] == 3
        done = f.run({}, {"x": [1, 2, 4, 5]}, where=lambda x: x != 5)[1]
        assert (done.points_computed, done.points_cached, done.points_skipped) == (2, 1, 1)
        ds = f.open({}, {"x": [4, 3, 2, 1]})
        assert ds["value"].dtype == "int64"
        assert ds["value"].values.tolist() == [8, 6, 4, 2]
        assert f.stream({}, {"x": [1, 2]}).points_cached == 2


KINDS: dict[str, Callable[[Path], Any]] = {
    "memory": lambda _: "memory://test-scopes",
    "directory": lambda path: path / "s",
    "sqlite": lambda path: f"sqlite:///{path}/a.db",
}


def _wrapped(path: Path) -> Any:
    from zarr.storage import LocalStore, WrapperStore

    class Wrapped(WrapperStore[LocalStore]):
        pass

    return Wrapped(LocalStore(path / "w"))


def _object_store(_: Path) -> Any:
    from obstore.store import MemoryStore as Objects
    from zarr.storage import ObjectStore

    return ObjectStore(Objects())


KINDS |= {"wrapper": _wrapped, "objects": _object_store}


@pytest.mark.parametrize("kind", first(2, KINDS))
def test_every_kind_of_store_has_scopes(kind: str, tmp_path: Path) -> None:
    check_scopes_of(KINDS[kind](tmp_path))


@pytest.mark.server
@pytest.mark.long
def test_a_bucket_has_scopes(s3: S3Server) -> None:
    check_scopes_of(s3.url("scopes"), storage_options=s3.storage_options())


@pytest.mark.server
@pytest.mark.long
def test_a_service_of_keys_and_values_has_scopes(place: tuple[str, dict[str, Any]]) -> None:
    check_scopes_of(f"{place[0]}-scopes", storage_options=place[1])


def check_scopes_of(store: Any, **options: Any) -> None:
    f, mine = bound(store, **options), swarmgrid.scope("a-1.b", store, **options)
    other = swarmgrid.scope("other", store, **options)
    f.stream({}, {"x": [1], "y": [10]})
    bound(mine).stream({}, {"x": [1, 2], "y": [10]})
    bound(other).stream({}, {"x": [5], "y": [10]})
    assert swarmgrid.scopes(store, **options) == ["a-1.b", "other"]
    assert computed(f.grid()) == {(1, 10): 10}
    assert computed(bound(mine).grid()) == {(1, 10): 10, (2, 10): 20}
    assert mine.publish().points_added == 1
    assert mine.discard() == 1
    assert swarmgrid.scopes(store, **options) == ["other"]
    assert computed(f.grid()) == {(1, 10): 10, (2, 10): 20}
    assert other.discard() == 1
    assert swarmgrid.scopes(store, **options) == []


def test_a_scope_is_discarded_with_its_snapshots() -> None:
    store = MemoryStore()
    mine = swarmgrid.scope("a", store)
    swarmgrid.stream({}, {"x": [1]}, func=lambda x: x, store=mine, version="1", executor="sync")
    (grid,) = mine.catalog()
    grid.snapshot("kept")
    assert mine.discard() == 1


def test_what_only_reads_tells_of_the_scope_and_of_the_shared_store_together() -> None:
    store = MemoryStore()
    f, mine = bound(store, chunks=2), swarmgrid.scope("a", store)
    g = bound(mine)
    f.stream({}, {"x": [3, 1], "y": [10]})
    g.stream({}, {"y": [20, 10], "x": [1, 2]})
    grid, shared = g.grid(), f.grid()

    timings = grid.timings().transpose("x", "y")
    assert (timings["writer"].values >= 0).tolist() == (grid.status() == 1).transpose(
        "x", "y"
    ).values.tolist()
    assert timings["seconds"].notnull().values.sum() == grid.state().points_computed == 5
    assert set(timings["writer"].values.reshape(-1).tolist()) == {-1, 0, 1}
    assert len(timings.attrs["writers"]) == 2
    one = {"x": 3, "y": 10}
    for name in ("seconds", "time"):
        assert timings[name].sel(one) == shared.timings()[name].sel(one)
    f.stream({}, {"x": [2], "y": [10]})  # which the scope has, too, and first
    assert grid.timings()["writer"].sel(x=2, y=10) == 0
    assert grid.timings()["time"].sel(x=2, y=10) == mine.catalog()[grid.id].timings()["time"].sel(
        x=2, y=10
    )
    shared.delete(x=2)
    cells = grid._map_of(grid._stored_layers())
    assert (cells.computed.sum(), cells.total.sum()) == (5, 6)
    assert "5 of 6 computed" in grid._repr_html_()

    assert grid.verify().points == shared.verify().points + 3 == 5
    key = f"data.zarr/product/{grid.id}/value/c.0.0"
    for prefix in ("", "scopes/a/"):
        data = store._store_dict.pop(f"{prefix}{key}")
        assert [p.key for p in grid.verify().problems] == [f"{prefix}{key}"]
        store._store_dict[f"{prefix}{key}"] = data
    data = store._store_dict.pop(key)
    assert grid.repair().is_clean  # of the scope's part, which alone is written
    assert not grid.verify().is_clean
    store._store_dict[key] = data
    del store._store_dict[f"scopes/a/{key}"]
    assert not grid.repair().is_clean
    assert computed(grid).items() >= computed(shared).items()


def test_the_past_of_a_scope_is_read_through_it_and_changed_where_it_is() -> None:
    store = MemoryStore()
    f, mine = bound(store, chunks=2), swarmgrid.scope("a", store)
    g = bound(mine)
    f.stream({}, {"x": [1, 3], "y": [10]})
    shared = f.grid()
    shared.snapshot("shared")
    with pytest.raises(swarmgrid.InputError, match="has no part of its own"):
        g.grid().snapshot("none")
    g.stream({}, {"x": [2], "y": [10]})
    grid = g.grid()
    taken = grid.snapshot("own")
    then = grid.dataset().load()
    assert [one.message for one in grid.snapshots()] == ["shared", "own"]
    assert [one.message for one in shared.snapshots()] == ["shared"]
    soon = "2100-01-01"
    assert grid.dataset(at=soon).load().identical(then)
    assert grid.dataset(at="1999-01-01")["value"].isnull().all()
    assert grid.dataset(at="shared").load().identical(shared.dataset(at="shared").load())
    for name in (taken, "own", taken.id[:6]):
        assert computed_at(grid, name) == {1: 10, 2: 20, 3: 30}
    g.stream({}, {"x": [7], "y": [10]})
    assert len(grid.diff("own")) == 1
    assert len(grid.diff("shared")) == 0  # among the shared points
    assert len(grid.diff("own", "own")) == 0
    with pytest.raises(swarmgrid.InputError, match="is no snapshot of"):
        grid.diff("own", "shared")
    for change in (grid.restore, grid.delete_snapshot):
        with pytest.raises(swarmgrid.InputError, match="snapshot of the shared store"):
            change("shared")
    with pytest.raises(swarmgrid.InputError, match=r"'nothing' is no .*'own', .*'shared'"):
        grid.dataset(at="nothing")
    assert grid.restore("own") == 1
    assert computed(grid) == {(1, 10): 10, (2, 10): 20, (3, 10): 30}
    catalog = swarmgrid.catalog(mine)
    bound(store, halves).stream({}, {"x": [1]})
    assert len(swarmgrid.catalog(mine)) == 2
    assert [*swarmgrid.catalog(mine).snapshot("all")] == [grid.id]
    assert catalog.restore("all") == {grid.id: 0}
    with pytest.raises(swarmgrid.InputError, match="no grid of this catalog has a snapshot"):
        catalog.restore("shared")
    with pytest.raises(swarmgrid.InputError, match="those of the shared store are deleted there"):
        grid.delete(x=3)
    held = [grid.dataset(at=at) for at in ("own", "shared", soon)]
    shared.delete(x=3)  # what the shared store keeps for its snapshot serves readers of the past
    assert [ds["value"].sel(x=3, y=10).item() for ds in held] == [30, 30, 30]
    assert not [key for key in store._store_dict if key.endswith(".bad")]
    mine.discard()
    assert [one.message for one in grid.snapshots()] == ["shared"]
    assert grid.diff("shared").count("removed") == len(grid.diff("shared")) == 1


def computed_at(grid: Grid, moment: Any) -> dict[int, int]:
    """The values at y=10 of a moment, by x."""
    found = grid.dataset(at=moment)["value"].sel(y=10).load()
    return {int(x): int(v) for x, v in zip(found["x"], found.values, strict=True) if v == v}


def test_a_handle_that_is_older_than_the_block_is_in_the_scope_too(tmp_path: Path) -> None:
    store = tmp_path / "s"
    f = bound(store, chunks=2)
    ds = f.compute({}, {"x": [1, 3], "y": [10]})
    grid, catalog = f.grid(), swarmgrid.catalog(store)
    grid.snapshot("shared")

    def shared() -> dict[str, bytes]:
        kept = (p for p in store.rglob("*") if p.is_file() and "locks" not in p.parts)
        return {str(p): p.read_bytes() for p in kept if "scopes" not in p.relative_to(store).parts}

    before = shared()
    with swarmgrid.scope("a") as mine:
        handles = [grid, catalog[grid.id], ds.swarmgrid.grid, pickle.loads(pickle.dumps(grid))]
        changes: list[Callable[[Grid], Any]] = [
            lambda g: g.delete(x=1),
            lambda g: g.restore("shared"),
            lambda g: g.delete_snapshot("shared"),
            lambda g: g.rechunk(chunks=1),
            lambda g: g.tag(a=1),
            lambda g: g.drop(snapshots=True),
            lambda g: g.archive(tmp_path / "archive"),
        ]
        for change, handle in itertools.product(changes, handles):
            with pytest.raises(swarmgrid.InputError):
                change(handle)
        for n, handle in enumerate(handles):
            assert handle.put_many({(4 + n, 10): n}) == 1
        assert computed(grid) == {(1, 10): 10, (3, 10): 30} | {(4 + n, 10): n for n in range(4)}
        assert [*catalog.snapshot("own").values()] == [grid.snapshots()[-1]]
        assert repr(grid.snapshots()[-1]).endswith("of scope 'a' alone>")
        assert grid.delete(x=4) == 1
        assert catalog.restore("own") == {grid.id: 0}
        assert catalog.delete_snapshot("own") == 1
        assert shared() == before
    assert computed(grid) == {(1, 10): 10, (3, 10): 30}
    assert grid.delete(x=1) == 1
    assert mine.discard() == 1


def test_a_function_runs_in_a_scope_in_any_thread() -> None:
    store = MemoryStore()
    mine = swarmgrid.scope("a", store)

    def work(x: int) -> str:
        bound(store).stream({}, {"x": [x], "y": [10]})
        return f"did {x}"

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(mine.run, work, x) for x in (1, 2)]
        assert [one.result() for one in futures] == ["did 1", "did 2"]
    thread = threading.Thread(target=mine.run, args=(work, 3))
    with swarmgrid.scope("b"):  # a plain thread begins outside of it
        thread.start()
        thread.join()
        with pytest.raises(swarmgrid.InputError, match="scopes do not nest"):
            mine.run(work, 4)
    with pytest.raises(swarmgrid.InputError, match="func is 3; expected a function"):
        mine.run(3)  # type: ignore[arg-type]
    with mine:
        assert mine.run(work, 5) == "did 5"
    assert pickle.loads(pickle.dumps(swarmgrid.scope("a", "somewhere").run)).__name__ == "run"
    assert len(swarmgrid.catalog(store)) == 0
    assert swarmgrid.scopes(store) == ["a"]
    assert sorted(bound(mine).open()["x"].values.tolist()) == [1, 2, 3, 5]


def test_encrypted_points_are_published_in_plain_only_if_that_is_said(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    store, key = tmp_path / "s", swarmgrid.Key.generate()
    mine = swarmgrid.scope("a", store)
    bound(mine, key=key).stream({}, {"x": [1], "y": [10]})
    f = bound(store)
    f.stream({}, {"x": [2], "y": [10]})
    for dry_run in (True, False):
        with pytest.raises(swarmgrid.InputError, match=rf"key {key.id}.*decrypt=True"):
            mine.publish(dry_run=dry_run)
    assert computed(f.grid()) == {(2, 10): 20}
    with pytest.raises(swarmgrid.InputError, match="decrypt is 1; expected True or False"):
        mine.publish(decrypt=1)  # type: ignore[arg-type]
    with pytest.raises(swarmgrid.InputError, match="key is a str; expected a swarmgrid.Key"):
        mine.publish(key=key.reveal())  # type: ignore[arg-type]
    assert mine.publish(decrypt=True, key=key).points_added == 1
    assert computed(f.grid()) == {(1, 10): 10, (2, 10): 20}


class Phase(Enum):
    SOLID, LIQUID = 1, 2


def test_failures_are_of_points_that_no_store_has_computed_and_select_them() -> None:
    bad = {Phase.SOLID, Phase.LIQUID}

    def melt(phase: Phase, day: Any) -> float:
        if phase in bad:
            raise ValueError("bad")
        return 1.0

    days = np.array(["2026-01-01", "2026-01-02"], "M8[ns]")
    options: dict[str, Any] = {"on_error": "record", "executor": "sync", "ignore": {"bad"}}
    options["outputs"] = {"value": swarmgrid.Output()}
    f = swarmgrid.GridFunction(melt, store=MemoryStore(), version="1", verbose=0, **options)
    bad = {Phase.LIQUID}
    f.compute(axes={"phase": list(Phase), "day": days[:1]})  # the shared store has one failure
    with swarmgrid.scope("al"):
        bad = {*Phase}
        f.compute(axes={"phase": list(Phase), "day": days})
    bad = {Phase.SOLID}
    f.compute(axes={"phase": list(Phase), "day": days})
    with swarmgrid.scope("al"):
        grid = f.grid()
        table = grid.errors()
        assert len(table) == grid.state().points_failed == int((grid.status() == 2).sum()) == 1
        (row,) = table.to_dict("records")
        assert (row["phase"], row["day"]) == ("SOLID", days[1])
        assert grid.exists(phase=row["phase"], day=row["day"]) is False
    assert f.grid().delete(phase=["SOLID"], day=days[1]) == 0
