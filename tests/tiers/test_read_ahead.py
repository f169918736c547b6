"""Reading ahead: the next steps of a walk, and nothing that a reader would notice."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid import Tiered, TierPolicy
from swarmgrid.space.selection import AxisSelection, Selection
from swarmgrid.tiers.read_ahead import Background, ReadAhead
from tests.tiers.test_tiered import CountingStore
from tests.waiting import wait_until

OPTIONS: dict[str, Any] = {"executor": "sync", "version": "1", "verbose": 0, "chunks": {"x": 4}}
N = 48


def triple(x: int) -> float:
    return 3.0 * x


@functools.cache
def filled() -> MemoryStore:
    """A store that no test changes."""
    store = MemoryStore()
    swarmgrid.stream({}, {"x": range(N)}, func=triple, store=store, **OPTIONS)
    return store


@pytest.fixture
def home() -> CountingStore:
    return CountingStore(filled())


Task = Callable[[], None]


class Later:
    """Runs what is submitted when the test says so."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def __call__(self, task: Task) -> None:
        self.tasks.append(task)

    def run(self) -> None:
        tasks, self.tasks[:] = list(self.tasks), []
        for task in tasks:
            task()


def opened(store: Any) -> xr.Dataset:
    return swarmgrid.open({}, {"x": range(N)}, func=triple, store=store, version="1")


def chunk(ds: xr.Dataset, number: int) -> list[float]:
    return ds["value"].isel(x=slice(4 * number, 4 * number + 4)).values.tolist()


def right(number: int) -> list[float]:
    return [3.0 * x for x in range(4 * number, 4 * number + 4)]


def numbers(home: CountingStore) -> list[int]:
    found = [int(key.rpartition("/c.")[2]) for key in home.reads]
    home.reads.clear()
    return found


@pytest.mark.parametrize("ram", ["1MB", ("1MB", "decoded")], ids=["stored", "decoded"])
@pytest.mark.parametrize("walk", [[0, 1, 2], [1, 4, 7], [11, 9, 7]], ids=["1", "3", "-2"])
def test_a_walk_gets_its_next_chunks_ahead(home: CountingStore, ram: Any, walk: list[int]) -> None:
    later = Later()
    store = Tiered(home, ram=ram, policy=TierPolicy(submit=later, read_ahead=2))
    ds, step = opened(store), walk[1] - walk[0]
    for number in walk:
        assert chunk(ds, number) == right(number)
        assert numbers(home) == [number]
    later.run()
    following = [n for n in (walk[-1] + step, walk[-1] + 2 * step) if 0 <= n < 12]
    assert numbers(home) == following
    for number in following:
        assert chunk(ds, number) == right(number)
    assert numbers(home) == []
    found = store.metrics()["home"]
    assert (found.prefetched, found.prefetched_used) == (len(following), len(following))


def test_rows_within_a_chunk_are_no_steps(home: CountingStore) -> None:
    later = Later()
    store = Tiered(home, ram="1MB", policy=TierPolicy(submit=later))
    ds = opened(store)
    for x in range(12):
        assert ds["value"].isel(x=x).item() == 3.0 * x
    later.run()
    assert numbers(home) == [0, 1, 2, 3, 4]


def test_a_reader_that_is_faster_reads_itself_and_leaves_nothing_to_do(
    home: CountingStore,
) -> None:
    later = Later()
    store = Tiered(home, ram="1MB", policy=TierPolicy(submit=later))
    ds = opened(store)
    for number in range(5):
        assert chunk(ds, number) == right(number)
    assert numbers(home) == [0, 1, 2, 3, 4]
    later.run()
    assert numbers(home) == [5, 6]  # not 3 and 4, which were submitted as well
    assert store.metrics()["home"].prefetched_used == 0


def test_a_reader_that_leaves_its_walk_has_nothing_read_there(home: CountingStore) -> None:
    later = Later()
    ds = opened(Tiered(home, ram="1MB", policy=TierPolicy(submit=later)))
    for number in (0, 1, 2, 9):
        chunk(ds, number)
    assert later.tasks
    later.run()
    assert numbers(home) == [0, 1, 2, 9]


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        ({"ram": "1MB"}, {"read_ahead": 0}),
        ({"ram": 100}, {}),  # a quarter of it has no room for a chunk
        ({"ram": "1MB"}, {"promote_after": 5, "read_ahead": 0}),
    ],
    ids=["off", "no room", "off, and seldom in memory"],
)
def test_nothing_is_read_ahead(home: CountingStore, options: Any, policy: Any) -> None:
    later = Later()
    ds = opened(Tiered(home, **options, policy=TierPolicy(submit=later, **policy)))
    for number in range(6):
        chunk(ds, number)
    assert later.tasks == []
    assert numbers(home) == [0, 1, 2, 3, 4, 5]


def test_jumps_and_whole_reads_are_no_walk(home: CountingStore) -> None:
    later = Later()
    ds = opened(Tiered(home, ram="1MB", policy=TierPolicy(submit=later)))
    for number in (3, 9, 1, 5, 0, 11, 2):
        chunk(ds, number)
    for _ in range(3):
        opened(Tiered(home, ram="1MB", policy=TierPolicy(submit=later))).load()
    assert later.tasks == []


def test_what_fails_behind_is_told_only_to_a_reader_that_asks(tmp_path: Any) -> None:
    swarmgrid.stream({}, {"x": range(N)}, func=triple, store=tmp_path, **OPTIONS)
    (broken,) = tmp_path.rglob("value/c.3")
    broken.write_bytes(b"x" * 30)
    later = Later()
    ds = opened(Tiered(tmp_path, ram="1MB", policy=TierPolicy(submit=later)))
    for number in range(3):
        assert chunk(ds, number) == right(number)
    later.run()
    with pytest.raises(swarmgrid.DamageError):
        chunk(ds, 3)
    assert chunk(ds, 4) == right(4)


def test_a_submit_that_fails_is_no_failure_of_the_read(home: CountingStore) -> None:
    def no_threads(_: Task) -> None:
        raise RuntimeError("cannot start a thread at the end of the interpreter")

    ds = opened(Tiered(home, ram="1MB", policy=TierPolicy(submit=no_threads)))
    for number in range(6):
        assert chunk(ds, number) == right(number)


def test_what_is_read_ahead_goes_before_what_was_used(home: CountingStore) -> None:
    later = Later()
    chunk_nbytes = 4 * 8
    policy = TierPolicy(submit=later, watermark=1, read_ahead=1)
    store = Tiered(home, ram=(4 * chunk_nbytes, "decoded"), policy=policy)
    ds = opened(store)
    for number in (0, 1, 2):
        chunk(ds, number)
    later.run()  # 3: memory is full
    numbers(home)
    chunk(ds, 8)
    for number in (0, 1, 2):  # 3 went for 8
        chunk(ds, number)
    assert numbers(home) == [8]


def test_the_thread_ends_and_leaves_copies(home: CountingStore) -> None:
    store = Tiered(home, ram="1MB")
    ds = opened(store)
    for number in (0, 1, 2):
        chunk(ds, number)
    wait_until(lambda: store.metrics()["home"].prefetched == 2)
    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "swarmgrid-ahead"])
    numbers(home)
    assert chunk(ds, 3) == right(3)
    assert numbers(home) == []


def test_the_background_runs_every_task_in_order_and_survives_a_failure() -> None:
    background, seen, gate = Background(), [], threading.Event()

    def fail() -> None:
        gate.wait()
        raise ValueError

    background.submit(fail)
    for number in range(5):
        background.submit(lambda number=number: seen.append(number))
    gate.set()
    wait_until(lambda: seen == [0, 1, 2, 3, 4])


class Strip:
    """An array of chunks along two axes, of which the reads are noted."""

    def __init__(self) -> None:
        self.fetched: list[tuple[int, ...]] = []

    def place(self) -> str:
        return "strip"

    def fetch(self, indices: list[tuple[int, ...]]) -> None:
        self.fetched += indices


def bins(*along: list[int]) -> Selection:
    return Selection(tuple(AxisSelection(np.array(one, np.intp), 1) for one in along))


@given(
    axis=st.integers(0, 1),
    step=st.integers(-9, 9).filter(bool),
    start=st.integers(0, 200),
    width=st.integers(1, 3),
    steps=st.integers(1, 4),
    n_reads=st.integers(3, 8),
)
def test_any_stride_along_any_axis_is_followed(
    axis: int, step: int, start: int, width: int, steps: int, n_reads: int
) -> None:
    later, strip = Later(), Strip()
    ahead = ReadAhead(steps, later)

    def at(k: int) -> list[list[int]]:
        own = [start + 100 + k * step + i for i in range(width)]
        return [own, [7]] if axis == 0 else [[7], own]

    asked: list[tuple[int, ...]] = []
    for k in range(n_reads):
        asked += [(a, b) for a in at(k)[0] for b in at(k)[1]]
        ahead.saw(strip, bins(*at(k)), lambda task: task, 1000)
        later.run()
    expected = {(a, b) for k in range(3, n_reads + steps) for a in at(k)[0] for b in at(k)[1]}
    assert set(strip.fetched) == expected
    overlap = abs(step) < width
    assert overlap or len(strip.fetched) == len(expected)  # each once


@given(st.lists(st.tuples(st.integers(0, 11), st.booleans()), max_size=30))
def test_any_reads_give_the_right_values(reads: list[tuple[int, bool]]) -> None:
    later = Later()
    ds = opened(Tiered(filled(), ram=400, policy=TierPolicy(submit=later)))
    for number, is_run in reads:
        assert chunk(ds, number) == right(number)
        if is_run:
            later.run()
