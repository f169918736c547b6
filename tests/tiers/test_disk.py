"""The disk tier: what it never touches, and what a kill, a full disk or another process leaves."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid import InputError, Tiered, TierPolicy
from swarmgrid.tiers.disk import DiskTier
from swarmgrid.tiers.policy import CopyStats
from swarmgrid.tiers.ram import RamTier
from tests.tiers.test_tiered import Clock, CountingStore, fill, opened

HEAD = 24
"""Bytes of a copy's file besides its data and its key."""


def disk(folder: Path | str, budget: int = 1000, **policy: Any) -> DiskTier:
    return DiskTier(str(folder), budget, TierPolicy(watermark=1, **policy))


def taken(folder: Path | str) -> int:
    """The bytes of all files but the lock and the counter."""
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files if path.name not in {"lock", "used"})


def test_what_others_have_in_the_folder_is_left_alone(tmp_path: Path) -> None:
    name = "ab" + "0" * 30
    others = ["v1/big.bin", "ab/notes", "down/a.part", "ab/x.part"]
    others += [f"ab/{name}", f"cd/{name}.copy"]  # of another cache
    for other in others:
        path = tmp_path / other
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 5000)
    tier = disk(tmp_path)
    for number in range(30):
        tier.put(str(number), b"y" * 100)
    assert tier.metrics().copies > 5
    tier.clear()
    assert tier.metrics().copies == 0
    assert all((tmp_path / other).stat().st_size == 5000 for other in others)


class Killed(BaseException):
    """As the end of a process: nothing is tidied up."""


def test_a_kill_at_any_step_leaves_it_within_its_budget_for_other_processes(
    tmp_path: Path,
) -> None:
    at = 0
    while is_killed_at(at, tmp_path / str(at)):
        at += 1
    assert at > 25


def is_killed_at(at: int, folder: Path) -> bool:
    """Whether a process had a step of that number, and died at it; another goes on."""
    n_steps = 0

    def dying(real: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal n_steps
            n_steps += 1
            if n_steps == at + 1:
                raise Killed
            return real(*args, **options)

        return call

    tier, other = disk(folder), disk(folder)
    assert tier.get("0") is other.get("0") is None  # both have counted what is there
    right: dict[str, list[bytes | None]] = {}
    is_killed = False
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in [(os, "utime"), (os, "pwrite"), (Path, "replace"), (Path, "unlink")]:
            patch.setattr(owner, name, dying(getattr(owner, name)))
        # of 1,000 bytes: replaced where both have no room, evicted, dropped, and more after that
        for key, size in [("0", 500), ("1", 300), ("0", 550), ("2", 400), ("1", 0), ("3", 600),
                          ("4", 300), ("5", 250), ("0", 400), ("2", 200)]:  # fmt: skip
            data = bytes([n_steps % 251]) * size
            try:
                if size:
                    tier.put(key, data)
                else:
                    tier.drop(key)
                right[key] = [data]
            except Killed:
                is_killed, tier = True, other
                right.setdefault(key, []).append(data)  # the old copy, or the new one, whole
            assert taken(folder) <= 1000
            for each, known in right.items():
                assert tier.get(each) in (None, *known)
    return is_killed


def test_a_full_disk_keeps_no_part_of_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tier = disk(tmp_path)
    tier.put("old", b"x" * 100)
    before = taken(tmp_path)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("swarmgrid.tiers.disk.os.utime", full)
        tier.put("new", b"y" * 100)
    assert (tier.get("new"), taken(tmp_path)) == (None, before)
    assert tier._used() == before
    tier.put("new", b"y" * 100)
    assert tier.get("new") == b"y" * 100


@pytest.mark.parametrize("bit", [0, 9, 40, 63, 70])  # 9: it seems to have 512 bytes less
def test_a_flipped_bit_in_the_counter_does_not_break_the_budget(tmp_path: Path, bit: int) -> None:
    tier = disk(tmp_path)
    for number in range(7):
        tier.put(str(number), b"x" * 100)
    data = bytearray((tmp_path / "used").read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    (tmp_path / "used").write_bytes(bytes(data))
    tier.drop("0")
    for number in range(10, 20):
        tier.put(str(number), b"x" * 100)
        assert taken(tmp_path) <= 1000


def test_a_folder_that_is_deleted_comes_again(tmp_path: Path) -> None:
    tier = disk(tmp_path / "near")
    tier.put("a", b"x")
    for path in sorted((tmp_path / "near").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tmp_path / "near").rmdir()
    tier.put("a", b"x")  # finds that it is gone
    tier.put("a", b"x")
    assert tier.get("a") == b"x"
    assert (tmp_path / "near").stat().st_mode & 0o777 == 0o700  # values are for their owner


def test_a_folder_that_cannot_be_made_is_told_and_costs_no_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Tiered(tmp_path / "home", disk=(tmp_path / "file" / "near", "1MB"))
    with pytest.warns(RuntimeWarning, match="no copies are kept in .*Not a directory") as told:
        fill(store, 8)
    assert len(told) == 1
    assert opened(store, 8)["value"].sum() == 28 * 3
    assert store.metrics()["disk"].copies == 0


def test_a_process_that_only_reads_finds_the_tier_within_its_budget(tmp_path: Path) -> None:
    for number in range(8):
        disk(tmp_path).put(str(number), b"x" * 75)  # with head and key 100 bytes
    smaller = disk(tmp_path, 300)
    assert sum(smaller.get(str(number)) is not None for number in range(8)) == 3
    assert taken(tmp_path) <= 300


def test_the_policy_is_asked_about_chunks_by_their_keys(tmp_path: Path) -> None:
    home = MemoryStore()
    fill(home)
    asked: set[str] = set()

    def should_keep(key: str, stats: CopyStats, now: float) -> bool:
        asked.add(key)
        return key.endswith("c.3.0")

    policy = TierPolicy(should_keep=should_keep)
    store = Tiered(home, disk=(tmp_path, 3000), policy=policy)
    for _ in range(2):
        opened(store).load()
    assert asked
    assert all(key.startswith("data.zarr/product/") for key in asked)
    found = [path.read_bytes() for path in tmp_path.rglob("*.copy")]
    assert len(found) < 10
    assert any(b"c.3.0" in data for data in found)


def test_what_was_in_use_in_memory_is_not_old_on_the_disk(tmp_path: Path) -> None:
    home, clock = CountingStore(MemoryStore()), Clock()
    fill(home)
    policy = TierPolicy(warm_to_cold="24h", cold_to_home="72h", clock=clock)
    store = Tiered(home, ram="1MB", disk=(tmp_path, "1MB"), policy=policy)
    for _ in range(10):
        opened(store).load()
        clock.now += 12 * 3600
    clock.now += 13 * 3600
    store.trim()
    assert (store.metrics()["ram"].copies, store.metrics()["disk"].copies) == (0, 10)
    home.reads.clear()
    opened(store).load()
    assert home.reads == []
    other = opened(store, 40).isel(x=[39])  # a read of another chunk is enough
    for hours, in_memory, on_disk in ((23, 10, 10), (5, 1, 10), (43, 1, 10), (5, 1, 1)):
        clock.now += hours * 3600
        other.copy().load()
        found = store.metrics()
        assert (found["ram"].copies, found["disk"].copies) == (in_memory, on_disk)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs /dev/shm")
def test_shared_memory_is_of_one_user_and_moves_down_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shm"
    shared.mkdir()
    monkeypatch.setattr("swarmgrid.tiers.sizes._SHARED", shared)
    clock, home = Clock(), MemoryStore()
    fill(home, 8)
    policy = TierPolicy(warm_to_cold="1h", clock=clock)
    store = Tiered(home, ram=("1MB", []), disk=(tmp_path / "d", "1MB"), shared=True, policy=policy)
    opened(store, 8).load()
    (folder,) = shared.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert store.metrics()["ram"].copies == 2
    store._tiers._levels.disk.clear()
    clock.now += 3601
    store.trim()
    assert store.metrics()["ram"].copies == 0
    assert store.metrics()["disk"].copies == 2
    assert opened(store, 8)["value"].sum() == 28 * 3
    # a folder at this name that is none, or another user's, could hold forged values
    store.clear_copies()
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    again = Tiered(home, ram="1MB", shared=True)
    with pytest.warns(RuntimeWarning, match="no copies are kept in .*belongs to another user"):
        opened(again, 8).load()
    opened(again, 8).load()  # told once
    assert again.metrics()["ram"].copies == 0
    assert not list(tmp_path.glob("??/*.copy"))


@pytest.mark.parametrize("is_put_back", [False, True])
def test_a_copy_that_others_drop_or_put_back_meanwhile_is_no_damage(
    monkeypatch: pytest.MonkeyPatch, is_put_back: bool
) -> None:
    home = MemoryStore()
    fill(home, 6)
    store = Tiered(home, ram="1MB")
    opened(store, 6).load()
    fill(home, 8)  # by another process: the copy of the second chunk is old
    ram = store._tiers._levels.ram
    assert isinstance(ram, RamTier)
    if is_put_back:
        monkeypatch.setattr(ram, "drop", lambda *_, **__: True)
    else:
        get = ram.get

        def get_and_drop(key: str) -> Any:
            found = get(key)
            ram.drop(key)
            return found

        monkeypatch.setattr(ram, "get", get_and_drop)
    assert opened(store, 8)["value"].sum() == 28 * 3
    assert swarmgrid.Grid.open(home, "product/").verify().is_clean


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"disk": ("home/../link", "1GB")}, "disk is the home store"),
        ({"disk": ("d", "1GB"), "pools": {"a": 1}}, "pools are parts of the memory"),
        ({"ram": "1GB", "shared": True, "pools": {"a": 1}}, "pools are parts of the memory"),
        ({"ram": "1GB", "pools": {"a": "2GB"}}, "more than the 1000000000 of ram"),
    ],
)
def test_tiers_that_cannot_be_are_told(tmp_path: Path, options: Any, match: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "link").symlink_to(home)
    if "disk" in options:
        folder, size = options["disk"]
        options = {**options, "disk": (tmp_path / folder, size)}
    with pytest.raises(InputError, match=match):
        Tiered(home, **options)


def test_a_process_that_is_forked_in_the_middle_keeps_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tier, inherited = disk(tmp_path), []
    real = fcntl.flock

    def forking(file: Any, how: int) -> None:
        real(file, how)
        inherited.append(os.dup(file.fileno()))  # as a child has it, until that ends

    with monkeypatch.context() as patch:
        patch.setattr("swarmgrid.tiers.disk.fcntl.flock", forking)
        tier.put("a", b"x")
    with (tmp_path / "lock").open("ab") as file:
        real(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    for number in inherited:
        os.close(number)


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def read_only(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        if path.name == "lock":
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, mode, *args, **options)

    monkeypatch.setattr(Path, "open", read_only)
    tier = disk(tmp_path)
    with pytest.warns(RuntimeWarning, match="no copies are kept in .*Read-only") as told:
        tier.put("a", b"x")
    assert len(told) == 1
    assert tier.get("a") is None  # and is told once
