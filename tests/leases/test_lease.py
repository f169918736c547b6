"""One writer at a time: among threads, among processes, and after one of them is gone."""

from __future__ import annotations

import itertools
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import MemoryStore, WrapperStore

from swarmgrid.errors import LeaseLostError
from swarmgrid.leases import lease as lease_module
from swarmgrid.leases.lease import Lease, acquire
from swarmgrid.store import lease_record as record_module
from swarmgrid.store.lease_record import LEASE_SECONDS, LeaseRecord, highest_record, record_key
from swarmgrid.store.location import Location, to_location
from tests import programs
from tests.stores.grids import PATH, Recorder
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that waits looks often."""
    monkeypatch.setattr(lease_module, "_POLL_SECONDS", 0.002)


@pytest.fixture
def store(tmp_path: Path) -> Location:
    return to_location(tmp_path / "store")


class Clock:
    """Time that goes on by a second at every look, and makes a call then."""

    def __init__(self, on_tick: Callable[[int], None] = lambda _now: None) -> None:
        self.now = 0
        self._on_tick = on_tick

    def __call__(self) -> float:
        self.now += 1
        self._on_tick(self.now)
        return float(self.now)


def never() -> float:
    """A clock that stands still: no owner is silent for long."""
    return 0.0


def leases(location: Location) -> dict[str, LeaseRecord | None]:
    blobs = location.open()
    names = blobs.names(PATH.locks)
    return {name: LeaseRecord.from_bytes(blobs.get(PATH.locks + name)) for name in names}


def leave(location: Location, data: bytes, epoch: int = 0) -> None:
    """Put the lease of another owner there."""
    blobs = location.open()
    blobs.begin_writing()
    blobs.put(f"{PATH.locks}{epoch:012d}.json", data)
    blobs.end_writing()


def record_from_elsewhere(seconds: float = 5.0) -> LeaseRecord:
    return LeaseRecord("somebody", "another machine", 1, "then", seconds)


# ---- taking and giving back


def test_every_store_gives_one_lease_after_the_other(location: Location) -> None:
    for epoch in range(3):
        with acquire(location, PATH) as held:
            assert held.epoch == epoch
            held.check()
            assert list(leases(location)) == [f"{epoch:012d}.json"]
    (record,) = leases(location).values()
    assert record is not None
    assert record.released


def test_a_released_lease_is_followed_at_once(store: Location) -> None:
    acquire(store, PATH).release()
    with acquire(store, PATH, clock=never) as held:
        assert held.epoch == 1


def test_the_owner_writes_through_its_lease(store: Location, tmp_path: Path) -> None:
    with acquire(store, PATH) as held:
        held.blobs.put("a", b"1")
        staging = tmp_path / "store/locks/staging"
        assert [path.name for path in staging.iterdir()] == [f"{PATH.grid}-{held.writer}"]
    assert list(staging.iterdir()) == []
    assert store.open().get("a") == b"1"


def test_the_owner_shows_signs_of_life(store: Location) -> None:
    with acquire(store, PATH, seconds=0.04) as held:
        name = f"{held.epoch:012d}.json"
        wait_until(lambda: (leases(store)[name] or record_from_elsewhere()).beat >= 2)
        held.check()


def test_heartbeats_say_how_long_the_owner_still_needs(store: Location) -> None:
    with acquire(store, PATH, seconds=0.04) as held:
        name = f"{held.epoch:012d}.json"
        assert (leases(store)[name] or record_from_elsewhere()).seconds_left is None
        held.expect(1000.0)
        wait_until(lambda: (leases(store)[name] or record_from_elsewhere()).seconds_left)
        record = leases(store)[name]
        assert record is not None
        assert 900 < (record.seconds_left or 0) <= 1000
    record = leases(store)[name]
    assert record is not None
    assert (record.released, record.seconds_left) == (True, None)


def test_an_error_in_the_body_releases_the_lease(store: Location) -> None:
    with pytest.raises(ZeroDivisionError), acquire(store, PATH):
        raise ZeroDivisionError
    acquire(store, PATH, clock=never).release()


# ---- one at a time


@pytest.mark.parametrize("kind", ["directory", "memory"])
def test_threads_hold_it_one_at_a_time(kind: str, tmp_path: Path) -> None:
    location = to_location(tmp_path if kind == "directory" else MemoryStore())
    inside: list[int] = []
    overlaps: list[list[int]] = []
    epochs: list[int] = []

    def work(i: int) -> None:
        for _ in range(4):
            with acquire(location, PATH, clock=never) as held:
                inside.append(i)
                time.sleep(0.002)
                overlaps.extend([list(inside)] if len(inside) > 1 else [])
                epochs.append(held.epoch)
                held.blobs.put("shared", b"%d" % i)
                inside.remove(i)

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(work, range(5)))
    assert overlaps == []
    assert epochs == sorted(set(epochs))
    assert len(epochs) == 20


WORKER = """
import os, pathlib, sys, time
from swarmgrid.leases import lease
from swarmgrid.store.layout import GridPath
from swarmgrid.store.location import to_location

lease._POLL_SECONDS = 0.002
root, rounds, end = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
for i in range(rounds):
    held = lease.acquire(to_location(root / "store"), GridPath("f", "grid"), 1000.0)
    try:
        os.close(os.open(root / "inside", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        (root / f"overlap-{os.getpid()}-{i}").touch()
    time.sleep(0.002)
    with open(root / "epochs", "a") as file:
        file.write(f"{held.epoch}\\n")
    held.blobs.put("shared", b"1")
    if end == "die":
        os._exit(3)
    if end == "stay":
        print("held", flush=True)
        time.sleep(60)
    os.unlink(root / "inside")
    held.release()
"""
GRID_OF_WORKER = replace(PATH, function="f", grid="grid")


def started(root: Path, rounds: int, end: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", WORKER, str(root), str(rounds), end]
    return programs.start(command, stdout=subprocess.PIPE, text=True)


def test_processes_hold_it_one_at_a_time(tmp_path: Path) -> None:
    processes = [started(tmp_path, 6, "release") for _ in range(4)]
    assert [process.wait(PATIENCE) for process in processes] == [0] * 4
    for process in processes:
        assert process.stdout is not None
        process.stdout.close()
    assert list(tmp_path.glob("overlap-*")) == []
    epochs = [int(line) for line in (tmp_path / "epochs").read_text().split()]
    assert epochs == sorted(set(epochs))
    assert len(epochs) == 24


@pytest.mark.parametrize("end", ["die", "stay"])
def test_a_process_that_is_gone_is_followed_at_once(end: str, tmp_path: Path) -> None:
    with started(tmp_path, 1, end) as process:
        if end == "stay":
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            process.kill()
        wait_until(lambda: os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT) is not None)
        store = to_location(tmp_path / "store")
        with acquire(store, GRID_OF_WORKER, clock=never) as held:  # a zombie is gone, too
            assert held.epoch == 1
            staging = tmp_path / "store/locks/staging"
            assert [path.name for path in staging.iterdir()] == [f"grid-{held.writer}"]


def test_a_living_process_is_waited_for(store: Location, caplog: pytest.LogCaptureFixture) -> None:
    first = acquire(store, PATH)
    got: list[Lease] = []
    thread = threading.Thread(target=lambda: got.append(acquire(store, PATH, clock=never)))
    with caplog.at_level(logging.WARNING, "swarmgrid"):
        thread.start()
        wait_until(lambda: bool(caplog.records))
        time.sleep(0.02)
        assert got == []
        first.release()
        thread.join(PATIENCE)
    assert got[0].epoch == 1
    got[0].release()
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == [
        "waiting for another thread of this process"
    ]


def test_it_is_said_which_process_is_waited_for(
    store: Location, caplog: pytest.LogCaptureFixture
) -> None:
    other = replace(LeaseRecord.of_this_process(1e-9), host="elsewhere", pid=7)
    blobs = store.open()
    blobs.begin_writing()
    blobs.put(record_key(PATH.grid, 0), other.to_bytes())
    blobs.end_writing()
    with caplog.at_level(logging.WARNING, "swarmgrid"):
        acquire(store, PATH).release()
    assert caplog.messages[0].startswith("waiting for process 7 on elsewhere, which is computing")


def test_leases_of_two_grids_do_not_wait_for_each_other(store: Location) -> None:
    other = replace(PATH, grid="fedcba9876543210")
    with acquire(store, PATH) as one, acquire(store, other, clock=never) as two:
        one.blobs.put("a", b"1")
        two.blobs.put("b", b"2")


# ---- owners that say nothing


@pytest.mark.parametrize("seconds", [2.0, 20.0])
def test_a_silent_owner_is_followed_after_its_seconds(seconds: float, store: Location) -> None:
    leave(store, record_from_elsewhere(seconds).to_bytes())
    clock = Clock()
    with acquire(store, PATH, clock=clock) as held:
        assert held.epoch == 1
    assert seconds < clock.now < seconds + 5


def test_an_owner_that_shows_signs_of_life_is_not_followed(store: Location) -> None:
    record = record_from_elsewhere(5.0)

    def beat(now: int) -> None:
        if now <= 50:
            leave(store, replace(record, beat=now).to_bytes())

    clock = Clock(beat)
    leave(store, record.to_bytes())
    acquire(store, PATH, clock=clock).release()
    assert 55 < clock.now < 60


DAMAGED = {
    "empty": b"",
    "cut off": record_from_elsewhere().to_bytes()[:-1],
    "no object": b"[1, 2]",
    "null": b"null",
    "other keys": b'{"owner": "me"}',
    "no text": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_lease_is_followed_after_the_usual_time(data: bytes, store: Location) -> None:
    assert LeaseRecord.from_bytes(data) is None
    leave(store, data)
    clock = Clock()
    with acquire(store, PATH, clock=clock) as held:
        assert held.epoch == 1
    assert LEASE_SECONDS < clock.now < LEASE_SECONDS + 5


def test_the_highest_number_holds_and_other_files_say_nothing(store: Location) -> None:
    released = replace(record_from_elsewhere(), released=True)
    for epoch in (3, 11):
        leave(store, released.to_bytes(), epoch)
    blobs = store.open()
    blobs.begin_writing()
    for name in ("99.json", "000000000099.json.partial", "notes.txt"):
        blobs.put(PATH.locks + name, b"?")
    with acquire(store, PATH, clock=never) as held:
        assert held.epoch == 12
    names = [name for name in leases(store) if len(name) == 17]
    assert names == ["000000000012.json"]


def test_a_lease_that_is_followed_between_two_requests_is_not_taken_for_damage(
    store: Location,
) -> None:
    """A writer that read nothing of it would go on after others have taken the grid."""
    leave(store, record_from_elsewhere().to_bytes(), 1)
    blobs = Recorder(store.open())
    other = replace(record_from_elsewhere(), writer="the next owner")

    def follow(key: str) -> None:
        blobs.before_read = lambda _key: None
        leave(store, other.to_bytes(), 2)
        assert key == record_key(PATH.grid, 1)
        store.open().delete(key)

    blobs.before_read = follow
    assert highest_record(blobs, PATH.grid) == (2, other)


def test_a_lease_that_cannot_be_read_ends_the_looking(store: Location) -> None:
    leave(store, record_from_elsewhere().to_bytes(), 1)
    blobs = Recorder(store.open())
    blobs.get = lambda key, limit: None  # a listing that is older than the objects
    assert highest_record(blobs, PATH.grid) == (1, None)


def test_a_lease_record_survives_being_stored() -> None:
    record = replace(LeaseRecord.of_this_process(2.5), beat=3)
    assert LeaseRecord.from_bytes(record.to_bytes()) == record
    attributes = json.loads(record.to_bytes())["attributes"]
    assert set(attributes) >= {"writer", "host", "pid", "seconds"}
    assert LeaseRecord.of_this_process(1).writer != record.writer


def test_a_lease_record_of_which_any_bit_was_changed_says_nothing() -> None:
    data = LeaseRecord.of_this_process(2.5).to_bytes()
    for place, bit in itertools.product(range(len(data)), (0, 5)):
        flipped = data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]
        assert LeaseRecord.from_bytes(flipped) is None, flipped


def test_only_this_machine_can_say_that_a_process_is_gone() -> None:
    own = LeaseRecord.of_this_process(1.0)
    assert not own.is_dead()
    reused = replace(own, started=f"1{own.started}")
    assert reused.is_dead()
    assert not replace(reused, host="another machine").is_dead()
    assert not replace(reused, started="1 another-boot").is_dead()


@pytest.fixture
def hidepid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc that shows this process alone, as ``hidepid`` makes it for other users' ones."""
    proc = tmp_path / "proc"
    for name in ("sys/kernel/random", "self/ns", str(os.getpid())):
        (proc / name).mkdir(parents=True)
    (proc / "sys/kernel/random/boot_id").write_text("boot")
    (proc / "self/ns/pid").symlink_to("pid:[1]")
    stat = Path(f"/proc/{os.getpid()}/stat").read_text()
    (proc / str(os.getpid()) / "stat").write_text(stat)
    monkeypatch.setattr(record_module, "_PROC", proc)
    return proc


def test_a_process_that_proc_hides_is_not_taken_for_dead(hidepid: Path) -> None:
    own = LeaseRecord.of_this_process(1.0)
    assert not own.is_dead()
    living = replace(own, pid=os.getppid())
    assert not living.is_dead()
    file = hidepid / str(os.getpid()) / "stat"
    file.unlink()
    assert not own.is_dead()
    gone = programs.start([sys.executable, "-c", ""])
    assert not replace(own, pid=gone.pid).is_dead()
    gone.wait()
    assert replace(own, pid=gone.pid).is_dead()
    assert not replace(own, pid=2**70).is_dead()


def test_another_users_process_is_not_taken_for_dead(
    hidepid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError(pid, number)

    monkeypatch.setattr(os, "kill", refuse)
    assert hidepid.is_dir()
    assert not replace(LeaseRecord.of_this_process(1.0), pid=1).is_dead()


def test_where_the_system_says_nothing_no_owner_counts_as_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_module, "_PROC", tmp_path)
    own = LeaseRecord.of_this_process(1.0)
    assert not own.is_dead()
    assert not replace(own, pid=2**22 - 1, started="").is_dead()
    assert not replace(own, pid=2**22 - 1, started="1 unknown").is_dead()


# ---- losing it


@pytest.fixture
def overtaken(store: Location) -> Iterator[tuple[Lease, Lease]]:
    """A lease, and the one that followed because its owner seemed to be silent."""
    old = acquire(store, PATH, seconds=0.04)
    ticks = itertools.count(0, 1000)
    new = acquire(store, PATH, clock=lambda: float(next(ticks)))
    yield old, new
    new.release()
    old.release()


def test_a_lease_that_was_taken_over_is_lost(overtaken: tuple[Lease, Lease]) -> None:
    old, new = overtaken

    def is_lost() -> bool:
        try:
            old.check()
        except LeaseLostError as error:
            assert "no sign of life for 0.04 s" in str(error)  # noqa: PT017 - polled
            return True
        return False

    wait_until(is_lost)
    new.check()


def test_writes_through_a_lost_lease_fail_at_once(overtaken: tuple[Lease, Lease]) -> None:
    old, new = overtaken
    new.blobs.put("a", b"new")
    with pytest.raises(LeaseLostError):
        old.blobs.put("a", b"old")
    assert new.blobs.get("a") == b"new"


def test_releasing_a_lost_lease_leaves_the_new_one(
    overtaken: tuple[Lease, Lease], store: Location
) -> None:
    old, new = overtaken
    old.release()
    (record,) = leases(store).values()
    assert record is not None
    assert (record.writer, record.released) == (new.writer, False)
    new.blobs.put("a", b"1")


def test_a_lease_that_was_deleted_is_lost(location: Location) -> None:
    held = acquire(location, PATH, seconds=0.04)
    (name,) = leases(location)

    def is_lost_once_deleted() -> bool:  # a sign of life that was under way may put it back
        held.blobs.delete(PATH.locks + name)
        return is_lost(held)

    wait_until(is_lost_once_deleted)
    with pytest.raises(LeaseLostError, match="the lease of grid .* was deleted"):
        held.check()
    held.release()
    assert leases(location) == {}


def test_a_deleted_lease_that_another_has_taken_is_lost_and_not_released(
    location: Location,
) -> None:
    held = acquire(location, PATH, seconds=0.04)
    (name,) = leases(location)
    other = record_from_elsewhere()

    def is_lost_once_taken() -> bool:  # a sign of life that was under way may overwrite it
        held.blobs.put(PATH.locks + name, other.to_bytes())  # of the same number
        return is_lost(held)

    wait_until(is_lost_once_taken)
    with pytest.raises(LeaseLostError, match="another process has taken over"):
        held.check()
    held.release()
    assert leases(location) == {name: other}


def test_a_lease_that_was_deleted_a_moment_ago_is_not_released(location: Location) -> None:
    held = acquire(location, PATH)
    (name,) = leases(location)
    held.blobs.delete(PATH.locks + name)
    held.release()
    assert leases(location) == {}


def is_lost(held: Lease) -> bool:
    try:
        held.check()
    except LeaseLostError:
        return True
    return False


def test_a_lease_that_could_not_be_released_is_followed_at_once_in_the_same_process(
    store: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = acquire(store, PATH)
    monkeypatch.setattr(held, "_write", lambda _record: 1 / 0)
    held.release()
    (record,) = leases(store).values()
    assert record is not None
    assert not record.released
    with acquire(store, PATH, clock=never) as second:
        assert second.epoch == 1


def test_a_lease_on_a_store_without_fences_is_lost_too() -> None:
    store = to_location(MemoryStore())
    old = acquire(store, PATH, seconds=0.04)
    leave(store, record_from_elsewhere().to_bytes(), old.epoch + 1)

    def is_lost() -> bool:
        try:
            old.check()
        except LeaseLostError:
            return True
        return False

    wait_until(is_lost)
    store.open().delete(f"{PATH.locks}{old.epoch:012d}.json")
    old.release()
    assert list(leases(store)) == [f"{old.epoch + 1:012d}.json"]


class Unreliable(WrapperStore[Any]):
    """A store that answers with errors while it is down."""

    is_down = False
    n_failed = 0

    async def list_dir(self, prefix: str) -> Any:
        if self.is_down:
            self.n_failed += 1
            raise RuntimeError("the network is down")
        async for name in self._store.list_dir(prefix):
            yield name

    async def set(self, key: str, value: Any) -> None:
        if self.is_down:
            self.n_failed += 1
            raise RuntimeError("the network is down")
        await self._store.set(key, value)


def test_a_lease_outlives_a_store_that_is_down_for_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Unreliable(MemoryStore())
    location = Location("unreliable", store=store)
    with acquire(location, PATH, seconds=0.04) as held:
        store.is_down = True
        wait_until(lambda: store.n_failed > 1)
        store.is_down = False
        name = f"{held.epoch:012d}.json"
        before = leases(location)[name]
        wait_until(lambda: leases(location)[name] != before)
        held.check()
        wait_until(lambda: len(caplog.records) > 1)
        said = [record.getMessage() for record in caplog.records]
        assert "cannot be renewed: " in said[0]
        assert "the network is down" in said[0]
        assert said[1].endswith("is renewed again")
        store.is_down = True
    store.is_down = False
    assert list(leases(location)) == [name]
