"""An output that began with integers is converted, and nothing is computed again.

A kill leaves what the writes before it made, each of which is atomic. So every state between two
writes is a store of its own here, and must be one that reads right, and from which all goes on.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore, WrapperStore

import swarmgrid
from tests import programs
from tests.long import examples, first
from tests.scenarios.test_swapped import contents, store_of
from tests.waiting import PATIENCE

AXES: dict[str, Any] = {"x": [1, 2, 3], "y": [0, 5]}
MORE: dict[str, Any] = {"x": [1, 2, 3, 4], "y": [0, 5, 6]}
FLOATS: dict[str, Any] = {"x": [1, 2, 3, 100], "y": [0, 5, 6]}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"chunks": {"x": 2, "y": 1}},
    "sharded": {"chunks": {"x": 1, "y": 1}, "shards": {"x": 2, "y": 2}},
}
calls: list[tuple[int, int]] = []


def simulate(x: int, y: int) -> dict[str, Any]:
    calls.append((x, y))
    if y == 9:
        raise ValueError("nine")
    return {"n": x * 10 + y if x < 100 else x / 8, "w": "a" * x, "t": np.arange(2) * x}


GRID = swarmgrid.grid(simulate, version="1", executor="sync", verbose=0)


def assert_right(ds: xr.Dataset, axes: dict[str, Any]) -> None:
    got = ds.sel({name: axes[name] for name in ("x", "y")}).transpose("x", "y", ...).load()
    n, w, t = (got[name].values.tolist() for name in ("n", "w", "t"))
    x, y = axes["x"], axes["y"]
    assert n == [[a * 10 + b if a < 100 else a / 8 for b in y] for a in x]
    assert w == [["a" * a for _ in y] for a in x]
    assert t == [[[0, a] for _ in y] for a in x]


def assert_clean(store: Any) -> None:
    report = GRID.verify(store=store)
    assert report.is_clean, report


class States(WrapperStore[MemoryStore]):
    """A store in memory that keeps all that was in it after every change."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.states: list[dict[str, bytes]] = []

    def _keep(self) -> None:
        self.states.append({k: v.to_bytes() for k, v in self._store._store_dict.items()})

    async def set(self, key: str, value: Any) -> None:
        await super().set(key, value)
        self._keep()

    async def set_if_not_exists(self, key: str, value: Any) -> None:
        await super().set_if_not_exists(key, value)
        self._keep()

    async def delete(self, key: str) -> None:
        await super().delete(key)
        self._keep()


@pytest.fixture(scope="module", params=first(1, KINDS))
def states(request: pytest.FixtureRequest) -> list[dict[str, bytes]]:
    """Of a grid of ints, a point of which failed: all states of its conversion."""
    store = MemoryStore()
    options = KINDS[request.param]
    GRID.stream(axes={"x": [1], "y": [0]}, store=store, **options)  # a chunk with two rows
    GRID.stream(axes=AXES, store=store, **options)
    GRID.stream(axes={"x": [1], "y": [9]}, store=store, on_error="record", **options)
    mortal = States(MemoryStore(store._store_dict))
    GRID.convert("n", "float64", store=mortal)
    assert len(mortal.states) > 10
    return [contents(store_of(mortal.states[0])), *mortal.states]


def test_a_point_that_returns_a_float_says_how_to_go_on_and_nothing_is_computed_again(
    states: list[dict[str, bytes]],
) -> None:
    store = store_of(states[0])
    with pytest.raises(
        swarmgrid.OutputError, match=r"stored need be computed again.*convert\('n', 'float64'\)"
    ):
        GRID.compute(axes=FLOATS, store=store)
    lazy = GRID.open(store=store)
    calls.clear()
    GRID.convert("n", "float64", store=store)
    assert calls == []
    converted = GRID.open(store=store)
    assert (lazy["n"].encoding["chunks"], converted["n"].dtype) == (
        converted["n"].encoding["chunks"],
        np.float64,
    )
    assert_clean(store)
    ds, done = GRID.run(axes=FLOATS, store=store)
    assert done.points_computed == len(calls)
    assert not {*calls} & {(x, y) for x in AXES["x"] for y in AXES["y"]}
    assert_right(ds, FLOATS)
    assert_right(lazy, AXES)  # it reads the chunks of before
    assert_clean(store)
    assert GRID.errors(store=store)["reason"].tolist() == ["ValueError: nine"]


@pytest.mark.parametrize("kind", KINDS)
def test_plain_readers_agree_before_and_after(kind: str, tmp_path: Any) -> None:
    store = tmp_path / "s"
    ds = GRID.compute(axes=AXES, store=store, **KINDS[kind])
    folder = ds.encoding["source"]
    before = xr.open_zarr(folder)
    GRID.convert("n", "float64", store=store)
    assert_right(before, AXES)
    assert_right(xr.open_zarr(folder), AXES)
    assert_right(xr.open_zarr(folder, consolidated=False), AXES)
    assert xr.open_zarr(folder)["n"].dtype == np.float64
    GRID.convert("t", "complex128", store=store)
    GRID.convert("n", "complex128", store=store)
    ds = GRID.compute(axes=FLOATS, store=store)
    assert_right(ds, FLOATS)
    assert_right(xr.open_zarr(folder), FLOATS)
    assert (ds["n"].dtype, ds["t"].dtype) == (np.complex128, np.complex128)
    assert GRID.verify(store=store).notes
    GRID.repair(store=store)
    report = GRID.verify(store=store)
    assert (report.problems, report.notes) == ((), ())
    assert_right(GRID.compute(axes=FLOATS, store=store), FLOATS)


EVERY = first(1, [3, 1])
"""Which of the states are tried: the first, each third or each one after it, and the last."""


@pytest.mark.parametrize("every", EVERY)
def test_a_kill_between_any_two_writes_loses_nothing(
    states: list[dict[str, bytes]], every: int
) -> None:
    is_float = []
    for k, objects in enumerate([*states[:-1:every], states[-1]]):
        store = store_of(objects)
        assert_clean(store)
        assert_right(GRID.open(store=store), AXES)
        ds = GRID.compute(axes=AXES, store=store)
        is_float.append(ds["n"].dtype == np.float64)
        assert_right(ds, AXES)
        calls.clear()
        GRID.convert("n", "float64", store=store)
        ds = GRID.compute(axes=FLOATS, store=store)
        assert not {*calls} & {(x, y) for x in AXES["x"] for y in AXES["y"]}, k
        assert_right(ds, FLOATS)
        assert_clean(store)
        assert GRID.errors(store=store)["reason"].tolist() == ["ValueError: nine"]
    assert is_float == sorted(is_float), "one write makes the converted grid count"
    assert (is_float[0], is_float[-1]) == (False, True)


@pytest.mark.long
@pytest.mark.parametrize("every", EVERY)
def test_after_a_kill_others_may_go_on_before_the_next_conversion(
    states: list[dict[str, bytes]], every: int
) -> None:
    for k, objects in enumerate([*states[:-1:every], states[-1]]):
        store = store_of(objects)
        calls.clear()
        assert_right(GRID.compute(axes=MORE, store=store), MORE)
        assert len(calls) == 6, k
        left = [note for note in GRID.verify(store=store).notes if "/n/" not in note.key]
        assert [note for note in left if not note.key.startswith("locks/")] == [], k
        GRID.repair(store=store)
        report = GRID.verify(store=store)
        assert (report.problems, report.notes) == ((), ()), k
        GRID.convert("n", "float64", store=store)
        assert_right(GRID.compute(axes=FLOATS | MORE, store=store), MORE)
        assert len(calls) == 6, k


def older(states: list[dict[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Every object that the conversion replaced or deleted, as it was before."""
    last = states[-1]
    for key, data in states[0].items():
        if last.get(key) != data and not key.startswith("locks/"):
            yield key, data


def test_an_object_of_before_that_comes_back_changes_nothing(
    states: list[dict[str, bytes]],
) -> None:
    keys = []
    for key, data in older(states):
        keys.append(key)
        store = store_of({**states[-1], key: data})
        calls.clear()
        try:
            assert_right(GRID.open(store=store), AXES)
        except swarmgrid.DamageError:
            assert not GRID.verify(store=store).is_clean
        assert_right(GRID.compute(axes=FLOATS, store=store), FLOATS)
        assert not {*calls} & {(x, y) for x in AXES["x"] for y in AXES["y"]}, key
        GRID.repair(store=store)
        report = GRID.verify(store=store)
        assert (report.problems, report.notes) == ((), ()), key
        assert GRID.open(store=store)["n"].dtype == np.float64
    kinds = {re.sub(r"^.*/(n/)?", r"\1", key).rpartition(".")[2] for key in keys}
    assert kinds == {"json", "seg"}


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        ("int64", 2**53 + 1, "float64"),
        ("int64", 2**63 - 1, "float64"),
        ("int64", -(2**63) + 1, "complex128"),
        ("uint64", 2**64 - 1, "float64"),
    ],
)
def test_a_value_that_would_change_is_named_and_nothing_else_is_changed(
    old: str, value: int, new: str
) -> None:
    store = MemoryStore()
    grid = swarmgrid.grid(
        lambda x: np.dtype(old).type(value if x == 4 else x),
        version="1", executor="sync", verbose=0, store=store, chunks={"x": 2},
    )  # fmt: skip
    grid.stream(axes={"x": range(6)})
    before = data_of(store)
    with pytest.raises(swarmgrid.InputError, match=rf"its value {value} at x=4 would not be"):
        grid.convert("value", new)
    assert data_of(store) == before
    assert grid.verify().notes == ()


def data_of(store: MemoryStore) -> dict[str, bytes]:
    """What is stored but for leases, and for the catalog, which follows what is stored."""
    aside = ("locks/", "manifest/catalog/")
    return {key: data for key, data in contents(store).items() if not key.startswith(aside)}


@pytest.mark.parametrize(
    ("output", "dtype", "message"),
    [
        ("m", "float64", "no output 'm'; its outputs are 'n', 'w', 't'"),
        ("n", "int32", "'n' of int64 cannot be converted to int32"),
        ("n", "uint64", "cannot be converted to uint64"),
        ("n", "bool", "cannot be converted to bool"),
        ("n", "M8[ns]", "cannot be converted to datetime64"),
        ("w", "float64", "'w' of string cannot be converted"),
        ("n", "nonsense", "is no dtype"),
    ],
)
def test_what_cannot_be_converted_is_refused_before_any_write(
    output: str, dtype: str, message: str, states: list[dict[str, bytes]]
) -> None:
    store = store_of(states[0])
    before = contents(store)
    with pytest.raises(swarmgrid.InputError, match=re.escape(message)):
        GRID.convert(output, dtype, store=store)
    assert contents(store) == before


def test_nothing_is_converted_twice_and_nothing_where_nothing_is_stored(
    states: list[dict[str, bytes]],
) -> None:
    store = store_of(states[-1])
    before = data_of(store)
    GRID.convert("n", "float64", store=store)
    assert data_of(store) == before
    with pytest.raises(swarmgrid.InputError, match="nothing is stored"):
        GRID.convert("n", "float64", axes=["x", "y"], store=MemoryStore())


@pytest.mark.parametrize("is_marked", [False, True])
def test_a_damaged_chunk_stops_a_conversion_unless_it_is_known(
    is_marked: bool, states: list[dict[str, bytes]]
) -> None:
    store = store_of(states[0])
    key = next(key for key in states[0] if re.search(r"/n/c\.0\.0$", key))
    store._store_dict[key] = default_buffer_prototype().buffer.from_bytes(b"damaged")
    if is_marked:
        with pytest.raises(swarmgrid.DamageError):
            GRID.open(store=store).load()
    else:
        before = data_of(store)
        with pytest.raises(swarmgrid.DamageError, match=r"n/c\.0\.0 is damaged.*Grid\.repair"):
            GRID.convert("n", "float64", store=store)
        assert data_of(store) == before
        GRID.repair(store=store)
    GRID.convert("n", "float64", store=store)
    assert_clean(store)
    assert_right(GRID.compute(axes=FLOATS, store=store), FLOATS)


PAIRS = [
    (old, new)
    for old in ("int8", "uint8", "int32", "int64", "uint64", "float16", "float32", "float64")
    for new in ("int16", "int64", "float64", "complex64", "complex128")
    if old != new and np.can_cast(old, new)
]


@st.composite
def conversions(draw: st.DrawFn) -> tuple[np.ndarray, str]:
    old, new = draw(st.sampled_from(PAIRS))
    known = np.dtype(old)
    if known.kind == "f":
        numbers: Any = st.floats(width=known.itemsize * 8)  # type: ignore[arg-type]
    else:
        limits = np.iinfo(known)
        edge = [n for n in (2**53, -(2**53)) if limits.min <= n <= limits.max] or [0]
        near = st.builds(lambda a, b: min(max(a + b, limits.min), limits.max),
                         st.sampled_from(edge), st.integers(-3, 3))  # fmt: skip
        numbers = st.integers(limits.min, limits.max) | near | st.integers(0, 100)
    values = draw(st.lists(numbers, min_size=6, max_size=6))
    return np.array(values, known).reshape(3, 2), new


@settings(max_examples=examples(60))
@given(conversions(), st.sampled_from([None, {"x": 4}]))
def test_values_are_the_same_or_nothing_is_changed(
    case: tuple[np.ndarray, str], shards: dict[str, int] | None
) -> None:
    values, new = case
    store = MemoryStore()
    grid = swarmgrid.grid(
        lambda x: values[x], version="1", executor="sync", verbose=0, store=store,
        chunks={"x": 2}, shards=shards,
    )  # fmt: skip
    grid.stream(axes={"x": range(3)})
    before = data_of(store)
    numbers = [n.item() for n in values.flat]
    is_exact = values.dtype.kind == "f" or all(
        int(complex(float(n)).real) == n for n in numbers if np.dtype(new).kind in "fc"
    )
    if is_exact:
        grid.convert("value", new)
        found = grid.compute(axes={"x": range(3)})["value"]
        assert found.dtype == new
        np.testing.assert_array_equal(found.values, values.astype(new))
        if values.dtype.kind != "f":
            assert [int(n.real) for n in found.values.flat] == numbers
        assert grid.verify().is_clean
    else:
        with pytest.raises(swarmgrid.InputError, match="would not be the same"):
            grid.convert("value", new)
        assert data_of(store) == before


def test_a_grid_of_one_point_is_converted() -> None:
    store = MemoryStore()
    grid = swarmgrid.grid(lambda: 7, version="1", executor="sync", verbose=0, store=store)
    grid.stream(axes={})
    grid.convert("value", "float64", axes=[])
    ds = grid.compute(axes={})
    assert (ds["value"].item(), ds["value"].dtype) == (7.0, np.float64)
    assert grid.verify(axes=[]).is_clean


PROGRAM = """
import sys
import swarmgrid
from tests.long import first
from tests.scenarios.test_convert import GRID, MORE, assert_right

def read(store):
    for _ in range(20):
        assert_right(GRID.open(axes=["x", "y"], store=store), AXES)

AXES = {"x": [1, 2, 3], "y": [0, 5]}
actions = {
    "n": lambda store: GRID.convert("n", "float64", store=store),
    "t": lambda store: GRID.convert("t", "float64", store=store),
    "more": lambda store: GRID.compute(axes=MORE, store=store),
    "read": read,
}
print("ready", flush=True)
sys.stdin.readline()
actions[sys.argv[1]](sys.argv[2])
"""


@pytest.mark.long
@pytest.mark.parametrize(
    "named", first(1, ["n more read", "n n t more read", "n n n", "n more more read"])
)
def test_processes_that_convert_at_once_agree(named: str, tmp_path: Path) -> None:
    actions, store = named.split(), str(tmp_path / "s")
    GRID.stream(axes=AXES, store=store, **KINDS["plain"])
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    processes = [
        programs.start([sys.executable, "-c", PROGRAM, action, store], text=True, **pipes)
        for action in actions
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:  # from here on all are at work
        process.stdin.write("go\n")
        process.stdin.flush()
    for action, process in zip(actions, processes, strict=True):
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, f"{action}: {errors}"
    ds = GRID.compute(axes=MORE, store=store)
    assert ds["n"].dtype == np.float64
    assert (ds["t"].dtype == np.float64) == ("t" in actions)
    assert_right(ds, MORE)
    GRID.repair(store=store)
    report = GRID.verify(store=store)
    assert (report.problems, report.notes) == ((), ())


def test_threads_that_convert_at_once_agree(states: list[dict[str, bytes]]) -> None:
    store = store_of(states[0])
    barrier = threading.Barrier(3)

    def convert(output: str) -> None:
        barrier.wait()
        GRID.convert(output, "float64", store=store)

    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(convert, output) for output in ("n", "n", "t")]:
            future.result()
    ds = GRID.compute(axes=AXES, store=store)
    assert (ds["n"].dtype, ds["t"].dtype) == (np.float64, np.float64)
    assert_right(ds, AXES)
    assert_clean(store)
