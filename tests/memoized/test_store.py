"""What a recording leaves in a store, what a crash leaves, and that damage is never a value."""

# ruff: noqa: PT012 - a memoized block is what raises, and stands by itself

from __future__ import annotations

import itertools
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.storage import MemoryStore

from swarmgrid import DamageError, FormatError, State, StoreError, memoize
from swarmgrid.memoized import recorded_arrays
from swarmgrid.memoized.object_graph import Pending
from swarmgrid.store.location import to_location
from tests.long import first
from tests.scenarios.test_swapped import contents, store_of
from tests.waiting import PATIENCE


def run(store: Any, **options: Any) -> tuple[bool, State]:
    state = State(n=2)
    with memoize(state, store, **options) as mem:
        mem.begin()
        state["field"] = np.arange(12.0).reshape(3, 4) * state["n"]
        state["parts"] = [np.array(["a", "b"]), 1]
        state["n"] += 1
    return mem.is_hit, state


EXPECTED = State(n=3, field=np.arange(12.0).reshape(3, 4) * 2, parts=[np.array(["a", "b"]), 1])


def group(folder: Path) -> Path:
    (found,) = folder.glob("data.zarr/memoized-blocks/*/*/zarr.json")
    return found.parent


@pytest.fixture(params=["directory", "memory", "zarr store", "zarr directory"])
def any_store(
    request: pytest.FixtureRequest, tmp_path: Path, new_memory_store: Callable[[], str]
) -> Any:
    kinds = {
        "directory": lambda: tmp_path,
        "memory": new_memory_store,
        "zarr store": MemoryStore,
        "zarr directory": lambda: zarr.storage.LocalStore(tmp_path),
    }
    return kinds[request.param]()


def test_every_kind_of_store_will_do(any_store: Any) -> None:
    found = [run(any_store), run(any_store)]
    assert [is_hit for is_hit, _ in found] == [False, True]
    assert all(state == EXPECTED for _, state in found)


def test_the_arrays_of_a_block_open_with_xarray_alone(tmp_path: Path) -> None:
    run(tmp_path)
    opened = xr.open_zarr(group(tmp_path), chunks=None)
    np.testing.assert_array_equal(opened["field"].values, EXPECTED["field"])
    assert opened["parts.0"].values.tolist() == ["a", "b"]
    assert opened["field"].dims == ("field.dim_0", "field.dim_1")
    root = zarr.open_group(tmp_path / "data.zarr", mode="r")
    assert [name for name, _ in root.members()] == ["memoized-blocks"]


def test_a_replayed_array_is_read_when_it_is_used(tmp_path: Path) -> None:
    run(tmp_path)
    _, state = run(tmp_path)
    held = state._values
    assert isinstance(held["field"], Pending)
    assert isinstance(held["parts"], Pending)
    assert "..." in repr(state)
    for file in group(tmp_path).glob("parts.0/*"):
        file.unlink()
    assert state["field"].shape == (3, 4)
    assert state["field"] is state["field"]


def test_a_chain_of_skipped_blocks_reads_no_array(tmp_path: Path) -> None:
    def chain() -> list[bool]:
        state, hits = State(), []
        for step in range(3):
            with memoize(state, tmp_path, step) as mem:
                mem.begin()
                state[f"a{step}"] = [np.full(3, step), xr.DataArray([step])]
            hits.append(mem.is_hit)
        return hits

    assert chain() == [False] * 3
    for file in (tmp_path / "data.zarr").rglob("c.*"):
        file.unlink()
    assert chain() == [True] * 3


def test_only_the_chunks_that_are_used_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_arrays, "MAX_CHUNK_BYTES", 32)
    values = np.arange(40.0).reshape(10, 4)
    for _ in range(2):
        ds = xr.Dataset()
        with memoize(ds, tmp_path) as mem:
            mem.begin()
            ds["v"] = ("x", "y"), np.arange(40.0).reshape(10, 4)
    for i in (0, 1, 2, 6, 7, 8, 9):
        (group(tmp_path) / "v" / f"c.{i}.0").unlink()
    for key in [(slice(3, 6), 2), ([5, 3], slice(None, None, -1)), (4, [0, 0])]:
        np.testing.assert_array_equal(ds["v"][key].values, values[key])
    with pytest.raises(DamageError, match=r"c\.0\.0 is damaged: it is missing"):
        ds["v"].values  # noqa: B018


class CrashError(Exception):
    """The end of the process, as far as a store can tell."""


class CrashingStore(MemoryStore):
    """A store whose process ends before its n-th write."""

    writes_left = 10**9

    async def set(self, key: str, value: Any, byte_range: Any = None) -> None:
        self._count()
        await super().set(key, value)

    async def set_if_not_exists(self, key: str, value: Any) -> None:
        self._count()
        await super().set_if_not_exists(key, value)

    def _count(self) -> None:
        type(self).writes_left -= 1
        if type(self).writes_left < 0:
            raise CrashError


def test_a_crash_at_any_write_leaves_a_miss_or_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = []
    for allowed in range(30):
        store = CrashingStore()
        monkeypatch.setattr(CrashingStore, "writes_left", allowed)
        try:
            run(store)
            done = True
        except StoreError:
            done = False
        monkeypatch.setattr(CrashingStore, "writes_left", 10**9)
        is_hit, state = run(store)
        assert state == EXPECTED
        assert is_hit is done
        assert run(store) == (True, EXPECTED)
        outcomes.append(done)
    assert outcomes == sorted(outcomes)
    assert (outcomes[0], outcomes[-1], outcomes.count(False)) == (False, True, 9)


def damages(data: bytes) -> Iterator[tuple[str, bytes | None]]:
    middle = bytearray(data)
    middle[len(data) // 2] ^= 0xFF
    edited = data.replace(b"3", b"4")
    kinds = {"gone": None, "empty": b"", "torn": data[:-5], "flipped": bytes(middle)}
    yield from {**kinds, "edited": edited}.items()


@pytest.mark.parametrize("what", ["gone", "empty", "torn", "flipped", "edited"])
def test_a_damaged_commit_is_a_miss_and_is_replaced(
    what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path)
    (commit,) = (tmp_path / "manifest" / "memoized-blocks").iterdir()
    damaged = dict(damages(commit.read_bytes()))[what]
    commit.unlink()
    if damaged is not None:
        commit.write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        assert run(tmp_path) == (False, EXPECTED)
    assert (commit.name in caplog.text) is (damaged is not None)
    assert run(tmp_path) == (True, EXPECTED)


@pytest.mark.parametrize("what", ["gone", "empty", "torn", "flipped"])
@pytest.mark.parametrize("name", ["field/c.0.0", "parts.0/c.0"])
def test_a_damaged_array_is_an_error_that_names_it(name: str, what: str, tmp_path: Path) -> None:
    run(tmp_path)
    file = group(tmp_path) / name
    damaged = dict(damages(file.read_bytes()))[what]
    file.unlink()
    if damaged is not None:
        file.write_bytes(damaged)
    is_hit, state = run(tmp_path)
    assert is_hit
    with pytest.raises(DamageError, match="mode='rewrite'") as caught:
        dict(state)
    assert caught.value.key.endswith(name)
    assert run(tmp_path, mode="rewrite") == (False, EXPECTED)
    assert run(tmp_path) == (True, EXPECTED)


def test_a_damaged_array_that_is_read_at_once_is_a_miss(tmp_path: Path) -> None:
    def change() -> tuple[bool, State]:
        state = State(a=np.zeros(3))
        with memoize(state, tmp_path) as mem:
            mem.begin()
            state["a"] += 1
        return mem.is_hit, state

    expected = State(a=np.ones(3))
    assert change() == (False, expected)
    (group(tmp_path) / "a" / "c.0").unlink()
    assert change() == (False, expected)
    assert change() == (True, expected)


def test_another_array_in_the_place_of_one_is_found_out(tmp_path: Path) -> None:
    run(tmp_path)
    group_1 = group(tmp_path)
    run(tmp_path / "other", salt=1)
    file = group_1 / "field" / "c.0.0"
    opened = zarr.open_array(group_1 / "field", mode="r+")
    opened[0, 0] = 7
    assert file.exists()
    with pytest.raises(DamageError, match="not those that were recorded"):
        run(tmp_path)[1]["field"]


def block(store: Any, n: int, **options: Any) -> tuple[bool, State]:
    state = State(n=n)
    with memoize(state, store, **options) as mem:
        mem.begin()
        state["field"] = np.arange(6.0) * state["n"]
        state["parts"] = [np.array(["a" * state["n"]]), state["n"]]
    return mem.is_hit, state


def swaps() -> list[tuple[dict[str, bytes], str, str]]:
    """The objects of two blocks, and each pair of which one may lie in the place of the other."""
    store = MemoryStore()
    for n in (2, 5):
        block(store, n)
    objects = contents(store)
    pairs = itertools.permutations(sorted(objects), 2)
    return [(objects, a, b) for a, b in pairs if objects[a] != objects[b]]


@pytest.mark.long
@pytest.mark.parametrize("turn", first(1, range(3)))
def test_an_object_in_the_place_of_another_one_is_never_a_value(turn: int) -> None:
    def of(n: int) -> State:
        return State(n=n, field=np.arange(6.0) * n, parts=[np.array(["a" * n]), n])

    every = swaps()
    assert len(every) > 60
    found = set()
    for objects, key, other in every[turn::3]:
        store = store_of({**objects, key: objects[other]})
        for n in (2, 5):
            try:
                _, state = block(store, n)
                assert State(**dict(state)) == of(n), f"{key} is now {other}"  # all is read
            except DamageError as error:
                found.add(error.key)
                assert block(store, n, mode="rewrite") == (False, of(n)), f"{key} is now {other}"
            assert block(store, n) == (True, of(n)), f"{key} is now {other}"
    assert len(found) == 4, "the chunks of both blocks; of a commit, the block is run again"


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    (commit,) = (tmp_path / "manifest" / "memoized-blocks").iterdir()
    document = json.loads(commit.read_text())
    document["attributes"]["swarmgrid_format"] = 99
    commit.write_text(json.dumps(document))
    with pytest.raises(FormatError):
        run(tmp_path)


def test_a_store_that_cannot_be_written_is_told_before_the_block_runs() -> None:
    store = MemoryStore()
    run(store)
    reader = store.with_read_only(True)
    assert run(reader) == (True, EXPECTED)
    ran = []
    with pytest.raises(StoreError, match="read-only"), memoize(State(), reader) as mem:
        mem.begin()
        ran.append(1)
    assert ran == []


def test_two_that_record_the_same_block_at_a_time_agree(tmp_path: Path) -> None:
    values = iter([1.0, 2.0])

    def block(inside: Callable[[], None]) -> State:
        state = State()
        with memoize(state, tmp_path, hash_by="salt") as mem:
            mem.begin()
            inside()
            state["a"] = np.array([next(values)])
        return state

    block(lambda: [block(lambda: None)])  # the inner one is written first, and stays
    assert block(lambda: None)["a"].tolist() == [1.0]


def test_nothing_is_left_of_the_writing_but_what_is_committed(tmp_path: Path) -> None:
    run(tmp_path)
    assert list((tmp_path / "locks" / "staging").iterdir()) == []
    location = to_location(tmp_path)
    assert location.open().names("") == ["data.zarr", "locks", "manifest"]


KILLED = """
import os, signal, sys, numpy as np, swarmgrid
from swarmgrid.store.directory import FileBlobs

left = int(sys.argv[2])

def counted(call):
    def wrapper(*arguments):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments)
    return wrapper

os.replace, os.link = counted(os.replace), counted(os.link)
state = swarmgrid.State()
with swarmgrid.memoize(state, sys.argv[1]) as mem:
    mem.begin()
    state["a"] = np.arange(3.0)
print(mem.is_hit, state["a"].tolist())
"""


@pytest.mark.parametrize("kills", first(1, [[1, 5, 7], [0, 1, 3, 4, 5, 6, 7]]), ids=len)
def test_a_killed_process_leaves_a_miss_and_the_next_one_finishes(
    tmp_path: Path, kills: list[int]
) -> None:
    (tmp_path / "script.py").write_text(KILLED)
    printed = []
    for writes in (*kills, 100):
        done = subprocess.run(
            [sys.executable, "script.py", "store", str(writes)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        printed.append((done.returncode, done.stdout.strip()))
    killed = printed.count((-9, ""))
    # Groups above that an earlier process left are created once more: each counts as a write.
    assert killed == len(kills)
    assert printed[killed:] == [(0, "False [0.0, 1.0, 2.0]")]
    xr.open_zarr(group(tmp_path / "store"), chunks=None).close()
    done = subprocess.run(
        [sys.executable, "script.py", "store", "0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "True [0.0, 1.0, 2.0]"
