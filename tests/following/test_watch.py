"""The events of grids are told to every process that asks, whenever it asks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import shutil
import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swarmgrid
from swarmgrid import (
    Event,
    GridCreated,
    GridDamaged,
    GridDeleted,
    GridGrown,
    InputError,
    MemberJoined,
    MemberLeft,
    PointsComputed,
    PointsFailed,
    PointsRemoved,
    RunFinished,
)
from swarmgrid.inventory.keeping import recorded
from swarmgrid.inventory.objects import write_mark
from swarmgrid.leases import lease
from swarmgrid.store.blobs import ZarrBlobs
from swarmgrid.store.layout import GridPath
from swarmgrid.store.lease_record import LeaseRecord, record_key
from swarmgrid.store.location import to_location
from tests.following import grids
from tests.following.grids import Steady, kinds, labels, new_store, stream, told
from tests.waiting import PATIENCE, wait_until

WHOLE_RUN = ["grid created", "joined", "points computed", "run finished", "left"]


def only(events: list[Event], kind: type[Event]) -> Any:
    (found,) = [event for event in events if isinstance(event, kind)]
    return found


def test_a_late_watcher_is_told_all_of_a_run() -> None:
    store = new_store()
    grids.BAD.add(3)
    stream(store, range(5))
    events = told(store)
    assert kinds(events) == [*WHOLE_RUN[:2], "failed", *WHOLE_RUN[2:]]
    assert sorted(labels(events)) == [0, 1, 2, 4]
    failed = only(events, PointsFailed)
    assert (failed.exception, failed.point, failed.attempt) == ("ValueError", {"x": 3}, 1)
    assert failed.points["x"].tolist() == [3]
    done = only(events, RunFinished)
    assert (done.computed, done.failed, done.missing, done.how) == (4, 1, 0, "released")
    assert only(events, GridCreated).lengths == {"x": 5}
    assert {event.function for event in events} == {"simulate"}
    assert len({event.writer for event in events}) == 1
    assert all(event.time.tzinfo is not None for event in events)


def test_a_token_goes_on_where_it_was_made() -> None:
    store = new_store()
    stream(store, range(3))
    first = told(store)
    for number, event in enumerate(first):
        assert kinds(told(store, event.token)) == kinds(first[number + 1 :])
    stream(store, range(6))
    after = told(store, first[-1].token)
    assert kinds(after) == ["grid grown", *WHOLE_RUN[1:]]
    grown = only(after, GridGrown)
    assert (grown.before, grown.lengths) == ({"x": 3}, {"x": 6})
    assert grown.added["x"].tolist() == [3, 4, 5]
    assert sorted(labels(after)) == [3, 4, 5]
    assert told(store, after[-1].token) == []


def test_now_is_only_what_comes() -> None:
    store = new_store()
    stream(store, range(3))
    watch = swarmgrid.watch(store, since="now", timeout=0)
    stream(store, range(4))
    assert labels(list(watch)) == [3]


def test_numbers_of_numpy_are_numbers() -> None:
    store = new_store()
    stream(store, range(3))
    for number in (np.int64(0), np.float32(0), Fraction(0)):
        assert (
            kinds(list(swarmgrid.watch(store, timeout=number, interval=np.int32(1)))) == WHOLE_RUN
        )
    for wrong in (np.True_, True, np.float64("nan"), np.int64(-1)):
        with pytest.raises(InputError, match="timeout is .*expected seconds, 0 or more"):
            swarmgrid.watch(store, timeout=wrong)


@pytest.mark.long
def test_a_token_is_short_however_much_it_stands_for() -> None:
    store = new_store()
    for n in range(1, 30):
        stream(store, range(n))
    assert len(told(store)[-1].token) < 200


def test_only_the_grids_that_are_meant() -> None:
    store = new_store()

    def other(x: int) -> int:
        return x

    stream(store, range(2))
    swarmgrid.stream(other, axes={"x": [1]}, store=store, **grids.OPTIONS)
    assert {event.function for event in told(store)} == {"simulate", "other"}
    assert {event.function for event in told(store, grids=other)} == {"other"}
    assert {event.function for event in told(store, grids="simulate/")} == {"simulate"}
    grid = swarmgrid.Grid.open(store, "other/")
    assert {event.grid for event in told(store, grids=grid)} == {grid.id}
    assert {event.grid for event in told(store, grids=grid.id[:9])} == {grid.id}
    bound = swarmgrid.grid(store=store)(other)
    assert {event.function for event in told(None, grids=bound)} == {"other"}


def test_what_counts_no_more_is_told_with_its_number() -> None:
    store = new_store()
    stream(store, range(9))
    watcher = Steady(store)
    watcher.look()
    grid = swarmgrid.Grid.open(store, "simulate/")
    grid.delete(x=[1, 2, 3])
    new = watcher.look()
    assert only(new, PointsRemoved).n_points == 3
    assert labels(new) == []  # what is left of a row is not told again
    stream(store, range(9))
    assert sorted(labels(watcher.look())) == [1, 2, 3]
    grid.invalidate(x=[4])
    assert only(watcher.look(), PointsRemoved).n_points == 1
    grid.drop()
    assert only(watcher.look(), GridDeleted)
    stream(store, range(2))
    new = watcher.look()
    assert only(new, GridCreated).lengths == {"x": 2}
    assert labels(new) == [0, 1]


def test_rows_that_are_written_again_are_not_told_again() -> None:
    store = new_store()
    stream(store, range(4))
    stream(store, range(11))
    watcher = Steady(store)
    seen = watcher.look()
    grid = swarmgrid.Grid.open(store, "simulate/")
    snapshot = grid.snapshot("before")
    grid.rechunk({"x": 4})
    grid.repair()
    assert {*kinds(watcher.look())} <= {"joined", "left"}
    late = told(store, seen[-1].token)
    assert {*kinds(late)} <= {"joined", "left"}
    grid.rechunk({"x": 2})
    grid.delete(x=[5])
    watcher.look()
    assert snapshot.points == 11
    assert sorted(labels(told(store))) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]


def test_a_token_of_after_another_layout_is_one_of_the_same_store() -> None:
    store = new_store()
    stream(store, range(4), chunks=4)
    stream(store, range(11), chunks=4)  # in other chunks than the first one
    token = told(store)[-1].token
    grid = swarmgrid.Grid.open(store, "simulate/")
    for change in (lambda: grid.rechunk({"x": 1}), lambda: grid.compress(3), lambda: None):
        change()
        new = told(store, token)
        assert kinds(new) in (["joined", "left"], [])
        token = new[-1].token if new else token
    stream(store, range(12), chunks=None)
    assert labels(told(store, token)) == [11]


def test_what_a_snapshot_brings_back_is_told() -> None:
    store = new_store()
    stream(store, range(8))
    watcher = Steady(store)
    watcher.look()
    grid = swarmgrid.Grid.open(store, "simulate/")
    snapshot = grid.snapshot("before")
    grid.delete(x=[2, 3, 5])
    watcher.look()
    grid.restore(snapshot)
    assert {2, 3, 5} <= {*labels(watcher.look())}


def test_what_is_left_of_a_row_is_told_from_tokens_before_it() -> None:
    store = new_store()
    stream(store, range(4))
    token = told(store)[-1].token
    stream(store, range(8))
    swarmgrid.Grid.open(store, "simulate/").delete(x=[5])
    assert sorted(labels(told(store, token))) == [4, 6, 7]


@pytest.mark.long
def test_failures_keep_their_place_when_their_records_are_compacted() -> None:
    store, tokens = new_store(), list[str]()
    stream(store, [0])
    grids.BAD.update(range(1, 15))
    for x in range(1, 15):
        tokens.append(told(store)[-1].token)
        stream(store, [x])
    for x, token in enumerate(tokens, 1):
        assert labels(told(store, token), PointsFailed) == [*range(x, 15)]


def test_a_copy_in_another_store_is_told_by_its_own_numbers(tmp_path: Path) -> None:
    store = new_store()
    grids.BAD.add(7)
    for n in range(1, 9):
        stream(store, range(n))
    swarmgrid.copy(store, tmp_path / "copy")
    watcher = Steady(str(tmp_path / "copy"))
    seen = watcher.look()
    assert sorted(labels(seen)) == [*range(7)]
    assert labels(seen, PointsFailed) == [7]
    grids.BAD.clear()
    stream(tmp_path / "copy", range(9))
    assert sorted(labels(watcher.look())) == [7, 8]


def test_damage_is_told_once_and_again_after_its_repair(tmp_path: Path) -> None:
    stream(tmp_path, range(4))
    watcher = Steady(str(tmp_path))
    watcher.look()
    for _ in range(2):
        chunk = next(tmp_path.glob("data.zarr/simulate/*/value/c.0"))
        chunk.write_bytes(b"torn" + chunk.read_bytes()[4:])
        with pytest.raises(swarmgrid.DamageError):
            swarmgrid.Grid.open(tmp_path, "simulate/").dataset()["value"].load()
        damaged = only(watcher.look(), GridDamaged)
        assert damaged.key.endswith("/*/c.0")
        assert watcher.look() == []
        stream(tmp_path, range(4))
        assert sorted(labels(watcher.look())) == [0, 1]


def test_a_document_that_cannot_be_read_is_told_once(tmp_path: Path) -> None:
    stream(tmp_path, range(4))
    document = next(tmp_path.glob("data.zarr/simulate/*/zarr.json"))
    sound = document.read_bytes()
    document.write_bytes(sound[:-20])
    watcher = Steady(str(tmp_path))
    assert only(watcher.look(), GridDamaged).key.endswith("zarr.json")
    watcher.follower._swept -= 100
    assert watcher.look() == []
    document.write_bytes(sound)
    watcher.follower._swept -= 100
    assert sorted(labels(watcher.look())) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("record", "how"),
    [
        (LeaseRecord("w", "elsewhere", 12, "then", 30.0), None),
        (LeaseRecord("w", "elsewhere", 12, "then", 30.0, released=True), "released"),
    ],
)
def test_a_process_that_holds_a_grid_is_a_member(record: LeaseRecord, how: str | None) -> None:
    store = new_store()
    stream(store, range(2))
    watcher = Steady(store)
    grid = watcher.look()[0].grid
    blobs = to_location(store).open()
    blobs.put(record_key(grid, 7), record.to_bytes())
    watcher.follower._swept -= 100
    events = watcher.look()
    joined = only(events, MemberJoined)
    assert (joined.writer, joined.epoch) == ("elsewhere:12", 7)
    assert [e.how for e in events if isinstance(e, MemberLeft)] == ([] if how is None else [how])
    if how is None:
        blobs.put(record_key(grid, 8), LeaseRecord("v", "there", 3, "then", 30.0).to_bytes())
        watcher.follower._swept -= 100
        new = watcher.look()
        assert only(new, MemberLeft).how == "followed"
        assert only(new, MemberJoined).epoch == 8


def test_a_process_that_has_written_its_row_is_followed_until_it_leaves() -> None:
    store = new_store()
    stream(store, range(2))
    watcher = Steady(store)
    watcher.look()
    path = GridPath("simulate", watcher.events[0].grid)
    with lease.acquire(to_location(store), path) as held:
        with recorded(held, path):
            assert kinds(watcher.look()) == ["joined"]
        assert watcher.look() == []  # the inventory knows of no process any more
    assert only(watcher.look(), MemberLeft).how == "released"


def test_an_event_is_plain_and_json_and_travels() -> None:
    store = new_store()
    grids.BAD.add(1)
    stream(store, range(3))
    for event in told(store):
        document = json.loads(event.to_json())
        assert document["event"] == event.kind
        assert document["token"] == event.token
        assert document["grid"] == event.grid
        assert repr(event) == f"<swarmgrid.{type(event).__name__} {event}>"
        assert pickle.loads(pickle.dumps(event)) == event
    event = only(told(store), PointsComputed)
    assert json.loads(event.to_json())["points"] == {"x": [0, 2]}
    match event:
        case PointsComputed(n_points=n, function="simulate"):
            assert n == 2


def test_the_values_of_an_event_are_a_dataset() -> None:
    store = new_store()
    stream(store, range(5))
    event = only(told(store), PointsComputed)
    stream(store, [9, 7])
    found = event.dataset()
    assert found["value"].dims == ("point",)
    assert found["x"].values.tolist() == event.points["x"].tolist()
    np.testing.assert_array_equal(found["value"], found["x"] * 2.0)


def test_labels_of_every_kind_are_told() -> None:
    store = new_store()

    def kind(name: str, when: Any, on: bool) -> str:
        return f"{name} {when} {on}"

    axes = {"name": ["a", "é"], "when": np.array(["2020-01-01"], "M8[ns]"), "on": [True]}
    swarmgrid.stream(kind, axes=axes, store=store, **grids.OPTIONS)
    event = only(told(store), PointsComputed)
    assert event.points["name"].tolist() == ["a", "é"]
    assert event.points["when"].dtype == "M8[ns]"
    assert json.loads(event.to_json())["points"]["on"] == [True, True]
    swarmgrid.stream(lambda: 1, axes={}, store=store, **grids.OPTIONS)
    assert [e.n_points for e in told(store) if isinstance(e, PointsComputed)] == [2, 1]


def test_it_ends_by_until_and_by_close() -> None:
    store = new_store()
    stream(store, range(3))
    found = list(swarmgrid.watch(store, until=PointsComputed))
    assert kinds(found) == WHOLE_RUN[:3]
    found = list(swarmgrid.watch(store, until=lambda event: event.kind == "left"))
    assert kinds(found) == WHOLE_RUN
    with swarmgrid.watch(store) as watch:
        next(watch)
    assert list(watch) == []
    assert watch.token == found[0].token
    assert repr(watch) == "<swarmgrid.Watch closed>"


def test_a_watcher_that_waits_is_ended_from_another_thread(tmp_path: Path) -> None:
    for store in (new_store(), tmp_path / "cache"):
        stream(store, range(2))
        watch, seen = swarmgrid.watch(store, since="now"), list[Event]()
        thread = threading.Thread(target=lambda watch=watch, seen=seen: seen.extend(watch))
        thread.start()
        stream(store, range(3))
        wait_until(lambda seen=seen: seen and isinstance(seen[-1], MemberLeft))
        watch.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert labels(seen) == [2]


def test_async_for_yields_the_same_and_loses_nothing_when_it_is_cancelled() -> None:
    store = new_store()
    stream(store, range(3))

    async def followed() -> tuple[list[Event], list[Event]]:
        first, rest = [], []
        async with asyncio.timeout(PATIENCE):
            watch = swarmgrid.watch(store)
            async for event in watch:
                first.append(event)
                if len(first) == 5:
                    break
            waiting = asyncio.create_task(anext(watch))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await asyncio.to_thread(stream, store, range(5))
            async for event in watch:
                rest.append(event)
                if isinstance(event, MemberLeft):
                    watch.close()
        return first, rest

    first, rest = asyncio.run(followed())
    assert kinds(first) == WHOLE_RUN
    assert kinds(rest) == ["grid grown", *WHOLE_RUN[1:]]


def test_a_block_closes_it_also_in_an_event_loop() -> None:
    store = new_store()
    stream(store, range(3))

    async def followed() -> list[list[str]]:
        found = []
        async with swarmgrid.watch(store) as watch:
            found.append([(await anext(watch)).kind])
        found.append([event.kind async for event in watch])
        async with contextlib.aclosing(swarmgrid.watch(store)) as watch:
            found.append([(await anext(watch)).kind])
        found.append([event.kind async for event in watch])
        return found

    assert asyncio.run(followed()) == [["grid created"], [], ["grid created"], []]


def test_many_that_take_from_one_watch_get_each_event_once() -> None:
    store = new_store()
    stream(store, range(3))

    async def taken() -> list[Event]:
        watch = swarmgrid.watch(store)
        events = await asyncio.gather(*(anext(watch) for _ in range(5)))
        await watch.aclose()
        return events

    events = asyncio.run(taken())
    assert sorted(kinds(events)) == sorted(WHOLE_RUN)
    watch = swarmgrid.watch(store, timeout=0)
    seen: list[list[Event]] = [[], [], []]
    threads = [threading.Thread(target=lambda one=one: one.extend(watch)) for one in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(kinds([*seen[0], *seen[1], *seen[2]])) == sorted(WHOLE_RUN)


def test_an_event_of_which_until_fails_is_told_again() -> None:
    store, errors = new_store(), [ValueError("once")]
    stream(store, range(3))

    def until(event: Event) -> bool:
        if isinstance(event, PointsComputed) and errors:
            raise errors.pop()
        return False

    watch = swarmgrid.watch(store, until=until, timeout=0)
    found = [next(watch), next(watch)]
    with pytest.raises(ValueError, match="once"):
        next(watch)
    assert kinds(found) == WHOLE_RUN[:2]
    assert watch.token == found[-1].token
    assert kinds(list(watch)) == WHOLE_RUN[2:]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"since": "nonsense"}, "since is 'nonsense'; expected the token of an event"),
        ({"since": 3}, "since is 3"),
        ({"since": [b"a"]}, "since is "),
        ({"since": np.zeros(2)}, "since is "),
        ({"since": b"now"}, "since is "),
        ({"timeout": -1}, "timeout is -1; expected seconds, 0 or more"),
        ({"interval": 0}, "interval is 0; expected seconds, more than 0"),
        ({"until": int}, "until is <class 'int'>; expected a class of events"),
        ({"grids": "no such grid"}, "grids is 'no such grid'; expected a function"),
        ({"grids": 3}, "grids is 3"),
    ],
)
def test_what_is_wrong_is_said_at_once(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text.replace("(", r"\(")):
        swarmgrid.watch("memory://wrong", **options)


def test_a_token_that_was_cut_or_changed_is_none() -> None:
    store = new_store()
    stream(store, range(3))
    token = told(store)[-1].token
    for wrong in (token[:-5], token[3:], token.swapcase(), "", "e" + token):
        with pytest.raises(InputError, match="since is"):
            swarmgrid.watch(store, since=wrong)


def test_a_store_that_is_made_anew_is_told_anew(tmp_path: Path) -> None:
    store = tmp_path / "cache"
    for n in (1, 2, 3):
        stream(store, range(n))
    token = told(store)[-1].token
    watcher = Steady(str(store))
    watcher.look()
    store.rename(tmp_path / "gone")
    assert kinds(watcher.look()) == ["grid deleted"]
    assert watcher.look() == []
    assert kinds(told(store, token)) == []
    stream(store, range(2))
    assert labels(told(store, token)) == [0, 1]


def test_a_watcher_writes_nothing_and_asks_nothing_when_it_is_closed(tmp_path: Path) -> None:
    stream(tmp_path / "cache", range(3))
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    threads = {*threading.enumerate()}
    with swarmgrid.watch(tmp_path / "cache", timeout=0) as watch:
        assert len(list(watch)) == 5
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
    assert {*threading.enumerate()} <= threads


def test_the_token_of_another_store_or_of_before_a_backup_hides_nothing(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    stream(one, range(4))
    shutil.copytree(one, tmp_path / "backup")
    stream(one, range(6))
    token = told(one)[-1].token
    stream(other, [7, 8])
    stream(other, [7, 8, 9])
    assert {*labels(told(other, token))} == {7, 8, 9}
    shutil.rmtree(one)
    (tmp_path / "backup").rename(one)
    stream(one, [0, 1, 2, 3, 30, 31, 32, 33])
    assert {*labels(told(one, token))} >= {30, 31, 32, 33}


def test_equal_numbers_of_another_store_are_told_from_those_of_a_token() -> None:
    one, other = new_store(), new_store()
    stream(one, range(8), where=lambda x: x < 4)
    stream(other, range(8), where=lambda x: x >= 4)
    first, second = told(one), told(other)
    marks = [events[-1].position.of(first[0].grid) for events in (first, second)]
    assert marks[0].commits == marks[1].commits
    assert labels(told(other, first[-1].token)) == [4, 5, 6, 7]
    assert told(one, first[-1].token) == told(other, second[-1].token) == []


def test_a_quiet_store_is_looked_at_by_one_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if a process was killed there, whose mark stays."""
    store = new_store()
    stream(store, range(4))
    watcher = Steady(store)
    grid = watcher.look()[0].grid
    blobs = to_location(store).open()
    here = LeaseRecord.of_this_process(30.0)
    dead = replace(here, pid=2**22 + 1, started=f"1 {here.started.partition(' ')[2]}")
    write_mark(blobs, GridPath("simulate", grid), dead.writer)
    blobs.put(record_key(grid, 9), dead.to_bytes())
    assert kinds(watcher.look()) == ["joined", "left"]
    calls: list[str] = []
    for name in ("names", "get", "get_many"):
        real = getattr(ZarrBlobs, name)

        def call(self: Any, key: Any, *args: Any, real: Any = real) -> Any:
            calls.append(key)
            return real(self, key, *args)

        monkeypatch.setattr(ZarrBlobs, name, call)
    for _ in range(5):
        assert watcher.look() == []
    assert calls == ["manifest/catalog/"] * 5


def test_a_writer_whose_clock_is_behind_is_told_and_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = new_store()
    stream(store, range(3))
    watcher = Steady(store)
    watcher.look()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3600 * 10**9)
    stream(store, range(5))
    assert sorted(labels(watcher.look())) == [3, 4]
    assert swarmgrid.catalog(store).rows[0].points_computed == 5
    swarmgrid.Grid.open(store, "simulate/").tag(site="north")
    assert swarmgrid.catalog(store).rows[0].tags == {"site": "north"}
