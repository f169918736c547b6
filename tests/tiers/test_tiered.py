"""Tiers: nearer copies of chunks that never give an old or a damaged value."""

from __future__ import annotations

import itertools
import operator
import os
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import example, given
from hypothesis import strategies as st
from zarr.storage import MemoryStore, WrapperStore

import swarmgrid
from swarmgrid import Tiered, TierPolicy
from swarmgrid.tiers.disk import DiskTier
from swarmgrid.tiers.policy import CopyStats
from swarmgrid.tiers.ram import RamTier
from tests import programs
from tests.waiting import PATIENCE, wait_until

OPTIONS: dict[str, Any] = {"executor": "sync", "version": "1", "verbose": 0, "chunks": {"x": 4}}


def product(x: int, y: int) -> int:
    return x * y


def fill(store: Any, n: int = 40, ys: tuple[int, ...] = (1, 2)) -> None:
    swarmgrid.stream({}, {"x": range(n), "y": ys}, func=product, store=store, **OPTIONS)


def opened(store: Any, n: int = 40, ys: tuple[int, ...] = (1, 2)) -> xr.Dataset:
    return swarmgrid.open({}, {"x": range(n), "y": ys}, func=product, store=store, version="1")


class CountingStore(WrapperStore[Any]):
    """Counts the chunks of outputs that are read from it."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.reads: list[str] = []

    def _with_store(self, store: Any) -> CountingStore:
        other = CountingStore(store)
        other.reads = self.reads
        return other

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        if "/value/c" in key:
            self.reads.append(key)
        return await super().get(key, *args, **kwargs)


@pytest.fixture
def home() -> CountingStore:
    return CountingStore(MemoryStore())


@pytest.mark.parametrize("tier", ["ram", "disk"])
def test_what_was_read_once_needs_no_request_home(
    home: CountingStore, tmp_path: Path, tier: str
) -> None:
    fill(home)
    size: dict[str, Any] = {"ram": "1MB"} if tier == "ram" else {"disk": (tmp_path, "1MB")}
    store = Tiered(home, **size)
    expected = np.outer(np.arange(40), [1, 2])
    assert (opened(store)["value"].values == expected).all()
    assert len(home.reads) == 10
    assert (opened(store)["value"].values == expected).all()
    assert (opened(store).sel(x=[3, 17])["value"].values == expected[[3, 17]]).all()
    assert len(home.reads) == 10
    assert store.metrics()[tier].hits == 12
    assert store.metrics()["home"].hits == 10


def test_exactly_the_chunks_that_another_process_filled_are_read_again(
    home: CountingStore, tmp_path: Path
) -> None:
    swarmgrid.stream(
        {}, {"x": range(400), "y": [1]}, func=product, store=home,
        where=lambda x, y: x % 4 != 3, **OPTIONS,
    )  # fmt: skip
    store = Tiered(home, ram="1MB", disk=(tmp_path, "1MB"))
    assert int(opened(store, 400, (1,))["value"].count()) == 300
    home.reads.clear()
    # the last points of ten chunks, computed without the tiers: as by another process
    new = range(3, 403 - 3, 40)
    swarmgrid.stream({}, {"x": new, "y": [1]}, func=product, store=home, **OPTIONS)
    home.reads.clear()
    found = opened(store, 400, (1,))["value"].load()
    assert len(home.reads) == len(new) == 10
    assert int(found.count()) == 310
    assert found.sel(x=list(new)).values.ravel().tolist() == list(new)
    home.reads.clear()
    assert opened(store, 400, (1,))["value"].equals(found)
    assert home.reads == []


def test_an_older_dataset_reads_newer_copies() -> None:
    home = MemoryStore()
    fill(home, 6)
    store = Tiered(home, ram="1MB")
    old = opened(store, 6)
    fill(store, 8)  # the second chunk is fuller now, and its copy, too
    assert (old["value"].values == np.outer(np.arange(6), [1, 2])).all()
    assert store.metrics()["home"].hits == 0 or store.metrics()["ram"].damaged == 0


def test_a_flipped_bit_on_the_disk_is_found_and_the_chunk_read_again(
    home: CountingStore, tmp_path: Path
) -> None:
    fill(home, 8)
    store = Tiered(home, disk=(tmp_path, "1MB"))
    opened(store, 8).load()
    for path in tmp_path.glob("??/*"):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(bytes(data))
    home.reads.clear()
    assert (opened(store, 8)["value"].values == np.outer(np.arange(8), [1, 2])).all()
    assert len(home.reads) == 2
    assert store.metrics()["disk"].damaged == 2
    home.reads.clear()
    opened(store, 8).load()
    assert home.reads == []


def test_a_wrong_copy_with_a_right_checksum_of_its_own_is_no_value(home: CountingStore) -> None:
    fill(home, 8)
    store = Tiered(home, ram="1MB")
    opened(store, 8).load()
    ram = store._tiers._levels.ram
    assert isinstance(ram, RamTier)
    one, two = sorted(key for key in ram._data if "value" in key)
    ram._data[one], ram._data[two] = ram._data[two], ram._data[one]
    assert (opened(store, 8)["value"].values == np.outer(np.arange(8), [1, 2])).all()
    assert store.metrics()["ram"].damaged == 2


def test_damage_at_home_is_found_in_spite_of_the_tiers(tmp_path: Path) -> None:
    store = Tiered(tmp_path / "home", ram="1MB", disk=(tmp_path / "disk", "1MB"))
    fill(store, 8)
    (chunk,) = (tmp_path / "home").rglob("c.0.0")
    chunk.write_bytes(b"x" * 40)
    grid = swarmgrid.Grid.open(store, "product/")
    assert not grid.verify().is_clean
    store.clear_copies()
    with pytest.raises(swarmgrid.DamageError):
        opened(store, 8).load()
    fill(store, 8)
    assert (opened(store, 8)["value"].values == np.outer(np.arange(8), [1, 2])).all()


@pytest.mark.parametrize("executor", ["sync", "processes"])
def test_a_store_with_tiers_computes_as_its_home_does(tmp_path: Path, executor: Any) -> None:
    store = Tiered(tmp_path / "home", ram="1MB", disk=(tmp_path / "disk", "1MB"))
    options = {**OPTIONS, "executor": executor}
    for n in (6, 11):
        ds = swarmgrid.compute(
            {}, {"x": range(n), "y": [1, 2]}, func=product, store=store, **options
        )
        assert (ds["value"].values == np.outer(np.arange(n), [1, 2])).all()
    assert ds.encoding["source"].startswith(str(tmp_path / "home"))
    plain = opened(tmp_path / "home", 11)
    assert plain.equals(ds)
    assert store.metrics()["home"].hits == 0  # the workers left their chunks on the disk
    grid = swarmgrid.Grid.open(store, "product/")
    grid.delete(x=[0, 1])
    assert int(opened(store, 11)["value"].count()) == 18
    assert grid.verify().is_clean


def test_a_plain_zarr_reader_reads_home(home: CountingStore) -> None:
    fill(home, 8)
    store = Tiered(home, ram="1MB")
    opened(store, 8).load()
    home.reads.clear()
    (name,) = zarr.open_group(store, path="data.zarr/product", mode="r").group_keys()
    array = zarr.open_array(store, path=f"data.zarr/product/{name}/value", mode="r")
    assert (array[:] == np.outer(np.arange(8), [1, 2])).all()
    assert len(home.reads) == 2


def test_prefetched_and_pinned_chunks_stay(home: CountingStore) -> None:
    fill(home)
    store = Tiered(home, ram=1000)  # two or three of ten chunks
    part = opened(store).isel(x=slice(0, 4))
    assert store.prefetch(part) > 0
    assert len(home.reads) == 1
    with store.pinned(part):
        opened(store).load()
        home.reads.clear()
        part.copy().load()
        assert home.reads == []
    opened(store).isel(x=slice(4, None)).load()
    opened(store).isel(x=slice(0, 4)).load()
    assert home.reads
    assert store.metrics()["ram"].nbytes <= 1000
    assert store.metrics()["ram"].evictions > 0
    with pytest.raises(swarmgrid.InputError, match="no lazy variable of swarmgrid"):
        store.prefetch(xr.Dataset({"a": ("x", [1])}))


def test_a_store_travels_and_all_its_copies_in_a_process_have_the_same_tiers(
    tmp_path: Path,
) -> None:
    store = Tiered(tmp_path / "home", ram="1MB")
    fill(store, 8)
    opened(store, 8).load()
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    hits = store.metrics()["ram"].hits
    pickle.loads(pickle.dumps(opened(again, 8))).load()
    assert store.metrics()["ram"].hits == hits + 2


def test_functions_of_a_policy_that_cannot_be_pickled_stay(tmp_path: Path) -> None:
    policy = TierPolicy(promote_after=3, clock=lambda: 7.0, should_keep=operator.eq)
    store = Tiered(tmp_path, ram="1MB", policy=policy)
    again = pickle.loads(
        pickle.dumps(store._tiers).replace(store._tiers._token.encode(), b"0" * 16)
    )
    assert again._policy == TierPolicy(promote_after=3, should_keep=operator.eq)
    assert pickle.loads(pickle.dumps(store))._tiers is store._tiers


def test_mistakes_are_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for given_options, match in [
        ({}, "there is no tier; pass ram="),
        ({"ram": "much"}, "ram is 'much'; expected bytes"),
        ({"disk": "/scratch"}, "expected a folder and its size"),
        ({"disk": (home, "1GB")}, "disk is the home store"),
        ({"disk": (home / "data.zarr" / "x", "1GB")}, "disk is the home store, or in it"),
        ({"disk": (None, "1GB")}, "the folder of disk is None; expected a path"),
        ({"disk": (tmp_path, "1GB"), "shared": True}, "shared=True is said of the copies in mem"),
        ({"ram": 0}, "all tiers have 0 bytes"),
        ({"ram": f"{'9' * 400}GB"}, "more than any store"),
        ({"ram": "1GB", "pools": ["a"]}, "pools is .*; expected bytes by name"),
        ({"ram": "1GB", "policy": 3}, "expected a swarmgrid.TierPolicy"),
    ]:
        with pytest.raises(swarmgrid.InputError, match=match):
            Tiered(home, **given_options)  # type: ignore[arg-type]
    store = Tiered(home, ram="1GB")
    with pytest.raises(swarmgrid.InputError, match="has tiers already"):
        Tiered(store, ram="1GB")
    for wrong in ("a", None, 1, []):
        with pytest.raises(swarmgrid.InputError, match="there is no pool .*; expected one of ''"):
            store.pool(wrong)  # type: ignore[arg-type]
    for wrong in ("low", None, 1.0, True):
        with pytest.raises(swarmgrid.InputError, match="priority is .*; expected an integer"):
            store.pool("", priority=wrong)  # type: ignore[arg-type]
    for policy, match in [
        ({"promote_after": 0}, "promote_after is 0"),
        ({"watermark": 2}, "watermark is 2"),
        ({"warm_to_cold": "soon"}, "warm_to_cold is 'soon'"),
        ({"should_keep": True}, "should_keep is True; expected a function"),
        ({"clock": None}, "clock is None; expected a function"),
    ]:
        with pytest.raises(swarmgrid.InputError, match=match):
            TierPolicy(**policy)  # type: ignore[arg-type]


class Clock:
    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "get", "pin", "unpin", "drop"]), st.integers(0, 5),
                  st.integers(1, 60)),
        max_size=40,
    ),
    st.booleans(),
)  # fmt: skip
@example([("pin", 0, 1), ("put", 0, 40), ("put", 1, 40)], True)  # nothing may go, nothing fits
@example([("pin", 0, 1), ("put", 0, 40), ("put", 1, 30), ("put", 2, 61)], False)
def test_memory_stays_within_its_budget_and_evicts_what_was_used_longest_ago(
    steps: list[tuple[str, int, int]], has_pool: bool
) -> None:
    clock = Clock()
    tier = RamTier(100, TierPolicy(watermark=1, clock=clock), {"p": 50} if has_pool else None)
    pins: dict[str, int] = {}
    used: dict[str, float] = {}
    for step, number, size in steps:
        clock.now += 1
        key = str(number)
        if step == "put":
            evicted = [name for name, *_ in tier.put(key, b"x" * size, "p" if has_pool else "")]
            assert not [name for name in evicted if pins.get(name)]
            rest = {k: t for k, t in used.items() if k not in evicted and k != key}
            if not has_pool:
                ages = {k: t for k, t in rest.items() if not pins.get(k)}
                assert all(used[e] <= min(ages.values(), default=clock.now) for e in evicted)
            used = {**rest, **({key: clock.now} if key in tier._data else {})}
        elif step == "get" and tier.get(key) is not None:
            used[key] = clock.now
        elif step == "drop":
            tier.drop(key)
            used.pop(key, None)
        elif step in {"pin", "unpin"} and (step == "pin" or pins.get(key)):
            change = 1 if step == "pin" else -1
            tier.pin([key], change)
            pins[key] = pins.get(key, 0) + change
        found = tier.metrics()
        assert found.nbytes == sum(map(len, tier._data.values())) <= (50 if has_pool else 100)
        assert set(tier._data) == set(used)


def test_the_policy_says_what_is_kept_and_when_it_moves_down(tmp_path: Path) -> None:
    clock = Clock()
    home = MemoryStore()
    fill(home, 12)
    seen: list[CopyStats] = []

    def should_keep(key: str, stats: CopyStats, now: float) -> bool:
        seen.append(stats)
        return key.endswith("c.0.0")

    policy = TierPolicy(
        promote_after=2, warm_to_cold="1h", cold_to_home="2h", should_keep=should_keep, clock=clock
    )
    store = Tiered(home, ram="300B", disk=(tmp_path, "1MB"), policy=policy)
    opened(store, 12).load()
    assert (store.metrics()["ram"].copies, store.metrics()["disk"].copies) == (0, 3)
    opened(store, 12).load()
    assert store.metrics()["ram"].copies
    ram = store._tiers._levels.ram
    assert isinstance(ram, RamTier)
    if seen:
        assert any(key.endswith("c.0.0") for key in ram._data)
    clock.now += 3601
    store.trim()
    assert (store.metrics()["ram"].copies, store.metrics()["disk"].copies) == (0, 3)
    clock.now += 3601
    store.trim()
    assert store.metrics()["disk"].copies == 0
    assert opened(store, 12)["value"].sum() == 66 * 3


def test_copies_of_a_higher_priority_stay_longer() -> None:
    home = MemoryStore()
    fill(home, 40)
    store = Tiered(home, ram=1000, pools={"few": 500})
    with store.pool("few", priority=5):
        opened(store).isel(x=slice(0, 4)).load()
    opened(store).isel(x=slice(4, None)).load()
    ram = store._tiers._levels.ram
    assert isinstance(ram, RamTier)
    assert any(key.endswith("c.0.0") for key in ram._data)
    with store.pool("few"):
        opened(store).load()
    assert sum(s.nbytes for s in ram._stats.values() if s.pool == "few") <= 500


@given(st.lists(st.integers(0, 3), max_size=12))
def test_pools_of_blocks_that_overlap_are_those_of_the_last_that_is_open(turns: list[int]) -> None:
    """Two threads open and close them in any order."""
    store = Tiered(MemoryStore(), ram=1000, pools={"a": 500})
    blocks: dict[int, Any] = {}
    for turn in turns:
        if turn in blocks:
            blocks.pop(turn).__exit__(None, None, None)
        else:
            blocks[turn] = store.pool("a" if turn % 2 else "", priority=turn)
            blocks[turn].__enter__()
        last = next(reversed(blocks), None)
        expected = ("", 0) if last is None else ("a" if last % 2 else "", last)
        assert store._tiers._place() == expected


@pytest.mark.parametrize("form", ["1MB", ("1MB", "decoded"), ("1MB", [])], ids=str)
def test_a_reader_of_the_past_leaves_the_copies_of_the_present(form: Any) -> None:
    home = MemoryStore()
    fill(home, 8, (3,))
    there = swarmgrid.Grid.open(home, "product/")
    before = there.dataset().load()
    there.snapshot("old")
    there.delete(x=[0, 5])
    there.put_many({(0, 3): 77})
    store = Tiered(home, ram=form, policy=TierPolicy(read_ahead=0))
    grid = swarmgrid.Grid.open(store, "product/")
    now = grid.dataset().load()
    assert now["value"].values.ravel()[0] == 77
    counts = store.metrics()
    for _ in range(2):
        assert grid.dataset(at="old").load().equals(before)
        hits = store.metrics()["home"].hits
        assert grid.dataset().load().equals(now)
        assert store.metrics()["home"].hits == hits
    assert store.metrics()["ram"].copies == counts["ram"].copies == 2
    assert store.metrics()["ram"].damaged == 0

    if form == "1MB":  # what is damaged, and not at home, is found by a reader of the past, too
        there.snapshot("new")
        ram = store._tiers._levels.ram
        assert isinstance(ram, RamTier)
        ram._data = {key: data[:-1] + b"?" for key, data in ram._data.items()}
        assert grid.dataset(at="new").load().equals(now)
        assert store.metrics()["ram"].damaged == 2


def test_a_disk_counts_anew_what_it_finds_at_its_start(tmp_path: Path) -> None:
    policy = TierPolicy(watermark=1)
    tier = DiskTier(str(tmp_path), 1000, policy)
    for number in range(8):
        tier.put(str(number), b"x" * 75)  # and a head of 24 bytes, and the key
    assert tier.metrics().nbytes == 800
    (tmp_path / "used").unlink()
    again = DiskTier(str(tmp_path), 500, policy)
    again.put("new", b"y" * 84)
    assert again.metrics().nbytes <= 500
    assert again.get("new") == b"y" * 84
    (tmp_path / "used").write_bytes(b"torn")
    again.put("more", b"y" * 84)
    assert again.metrics().nbytes <= 500


FILLER = """
import sys
from swarmgrid.tiers.disk import DiskTier
from swarmgrid.tiers.policy import TierPolicy
from swarmgrid.view.copies import Recoded

tier = DiskTier(sys.argv[1], 20_000, TierPolicy())
copy = sys.argv[2].encode() * 900
copy = copy if sys.argv[2] == "a" else Recoded("{}", copy)
number = 0
while True:
    number += 1
    tier.put(f"{sys.argv[2]}-{number % 60}", copy)
    data = tier.get(f"{sys.argv[2]}-{number // 2 % 60}")
    assert data is None or data == copy
    if number == 20:
        open(sys.argv[1] + f"-{sys.argv[2]}", "w").close()
"""


@pytest.mark.long
def test_processes_share_a_disk_within_its_budget_though_one_is_killed(tmp_path: Path) -> None:
    script, folder = tmp_path / "filler.py", tmp_path / "disk"
    script.write_text(FILLER)
    processes = [programs.start([sys.executable, str(script), str(folder), name]) for name in "ab"]
    try:
        for name in "ab":
            wait_until(lambda name=name: Path(f"{folder}-{name}").exists())
        tier = DiskTier(str(folder), 20_000, TierPolicy())
        for _ in range(50):
            with tier._locked():  # all files of one moment
                assert sum(path.stat().st_size for path in folder.glob("??/*")) <= 20_000
        processes[0].kill()
        processes[0].wait(PATIENCE)
        for number in range(30):
            tier.put(f"c-{number}", b"c" * 900)
        assert processes[1].poll() is None
    finally:
        for process in processes:
            process.kill()
            process.wait(PATIENCE)
    for number in range(60):
        assert tier.get(f"a-{number}") in (None, b"a" * 900)
    assert sum(path.stat().st_size for path in folder.glob("??/*")) <= 20_000


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs /dev/shm")
def test_processes_may_share_the_copies_in_memory(home: CountingStore, tmp_path: Path) -> None:
    fill(tmp_path, 8)
    one = Tiered(tmp_path, ram="1MB", shared=True)
    two = Tiered(tmp_path, ram="1MB", shared=True)  # as another process makes it
    try:
        opened(one, 8).load()
        opened(two, 8).load()
        assert two.metrics()["home"].hits == 0
    finally:
        folder = Path(one._tiers._sizes.shared_ram)
        one.clear_copies()
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()


def test_threads_read_through_the_tiers_at_once(home: CountingStore, tmp_path: Path) -> None:
    fill(home, 80)
    store = Tiered(home, ram=1500, disk=(tmp_path, 3000))
    wrong: list[int] = []

    def read(start: int) -> None:
        for k in itertools.islice(itertools.count(start), 20):
            x = 7 * k % 80
            if opened(store, 80).isel(x=x, y=1)["value"].item() != 2 * x:
                wrong.append(x)

    threads = [threading.Thread(target=read, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert wrong == []
    assert store.metrics()["ram"].nbytes <= 1500
    assert store.metrics()["disk"].nbytes <= 3000


FORKED = """
import os, sys, threading, warnings

from swarmgrid import Tiered
from tests.tiers.test_tiered import fill, opened

store = Tiered(sys.argv[1], ram="1MB", disk=(sys.argv[2], "1MB"))
fill(store, 8)
ds = opened(store, 8)
tiers = store._tiers
held, done = threading.Event(), threading.Event()


def read():  # as in the middle of a read
    with tiers._lock, tiers._levels._lock, tiers._levels.ram._lock, tiers._levels.disk._lock:
        with tiers._levels.disk._locked():
            held.set()
            done.wait()


threading.Thread(target=read, daemon=True).start()
held.wait()
warnings.simplefilter("ignore", DeprecationWarning)  # this is what it warns of
child = os.fork()
done.set()
if child == 0:
    os._exit(0 if int(ds["value"].sum()) == 28 * 3 else 1)
assert os.waitpid(child, 0)[1] == 0
assert tiers._levels.ram.metrics().copies == 2
"""


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_process_does_not_wait_for_threads_that_it_does_not_have(tmp_path: Path) -> None:
    places = [str(tmp_path / "home"), str(tmp_path / "disk")]
    process = programs.start([sys.executable, "-W", "error", "-c", FORKED, *places])
    try:
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait(PATIENCE)


def test_a_hook_may_ask_for_the_metrics_and_may_fail() -> None:
    asked: list[float] = []

    def should_keep(key: str, stats: CopyStats, now: float) -> bool:
        asked.append(store.metrics()["ram"].percent_used)
        raise LookupError(key)

    store = Tiered(MemoryStore(), ram=1000, policy=TierPolicy(should_keep=should_keep))
    with pytest.warns(RuntimeWarning, match="should_keep failed for 'data.zarr/product/.*Lookup"):
        fill(store)
    asked.clear()
    with pytest.warns(RuntimeWarning, match="should_keep failed"):
        opened(store).load()
    assert asked
    assert store.metrics()["ram"].nbytes <= 1000


def test_a_dataset_of_another_store_is_no_part_of_this_one(tmp_path: Path) -> None:
    fill(tmp_path, 8)
    store = Tiered(tmp_path, ram="1MB")
    for other in (tmp_path, Tiered(tmp_path, ram="1MB")):
        ds = opened(other, 8)
        with pytest.raises(swarmgrid.InputError, match="is not read through this store; open"):
            store.prefetch(ds)
        with pytest.raises(swarmgrid.InputError, match="is not read through"), store.pinned(ds):
            pass
    ds = opened(store, 8)
    assert store.prefetch(ds["value"].isel(x=slice(0, 2))) > 0  # an output serves as well
    assert store.metrics()["home"].hits == 1
    with store.pinned(ds["value"]):
        assert store.prefetch(ds) > 0
    with pytest.raises(swarmgrid.InputError, match="3 is no Dataset"):
        store.prefetch(3)  # type: ignore[arg-type]
