"""Nothing is missed or out of order while segments are merged, and their writers killed."""

from __future__ import annotations

import ast
import random
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swarmgrid
from swarmgrid import Event, PointsComputed
from swarmgrid.coordinator.commit import Committer
from swarmgrid.format.chunk_io import empty_block, write_points
from swarmgrid.inventory.keeping import recorded
from swarmgrid.leases import lease
from swarmgrid.records.grid_state import read_state
from swarmgrid.space.points import Points
from swarmgrid.store.directory import FileBlobs
from swarmgrid.store.layout import GridPath
from swarmgrid.store.location import to_location
from swarmgrid.transport.messages import TaskResult
from tests import programs
from tests.following import grids
from tests.following.grids import Steady, labels, stream, told
from tests.following.test_changes import check_order
from tests.long import first
from tests.waiting import PATIENCE, wait_until

KILLED = """
import sys, swarmgrid
def simulate(x):
    return x * 2.0
swarmgrid.stream(simulate, axes={"x": range(int(sys.argv[2]))}, store=sys.argv[1], version="1",
    executor="sync", chunks=2, exec_chunk_size=1, flush_interval=1e-3, verbose=0)
"""


def commit_each(
    store: Any, n: int, value: Callable[[int], float] = lambda x: x * 2.0
) -> Iterator[int]:
    """Commit so many points of a grid, each in a segment of its own, merged as in any run."""
    location = to_location(store)
    stream(store, range(n), chunks=1, where=lambda x: x == 0)
    path = GridPath("simulate", told(store)[0].grid)
    with lease.acquire(location, path) as held, recorded(held, path):
        state = read_state(held.blobs, path)
        assert state is not None
        grid = state.grid
        committer = Committer(held, grid, grid, state.manifest, None, keeps_failures=True)
        for x in range(1, n):
            block = {name: np.full_like(b, value(x)) for name, b in empty_block(grid).items()}
            row, nbytes = write_points(held.blobs, grid, (x,), block, Points((1,)), 0.0)
            committer.receive(TaskResult(rows=[row], nbytes=nbytes))
            committer.commit()
            yield x


def commits(events: list[Event]) -> list[tuple[tuple[int, int], ...]]:
    return [e.position.of(e.grid).commits for e in events if isinstance(e, PointsComputed)]


@pytest.mark.parametrize("n", first(1, [60, 1000]))
def test_every_segment_is_told_once_and_in_order_while_others_are_compacted(n: int) -> None:
    store, chance = grids.new_store(), random.Random(n)
    watcher, tokens = Steady(store), list[tuple[int, str]]()

    for x in commit_each(store, n):
        if chance.random() < 0.2:
            watcher.look()
            tokens.append((x, watcher.events[-1].token))
    watcher.look()
    assert labels(watcher.events) == [*range(n)]
    assert commits(watcher.events) == sorted(commits(watcher.events))
    assert labels(told(store)) == [*range(n)]
    for x, token in chance.sample(tokens, 8):
        assert labels(told(store, token)) == [*range(x + 1, n)]


class Torn:
    """A store whose listings take long: what is written or deleted meanwhile may be in them."""

    def __init__(self, blobs: Any, write: Callable[[], object], chance: random.Random) -> None:
        self._blobs, self._write, self._chance = blobs, write, chance

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    def names(self, prefix: str) -> list[str]:
        before = {*self._blobs.names(prefix)}
        for _ in range(self._chance.randrange(4)):
            self._write()
        after = {*self._blobs.names(prefix)}
        unsure = [name for name in before ^ after if self._chance.random() < 0.5]
        return sorted((before & after).union(unsure))


@pytest.mark.parametrize("seed", first(2, range(40)))
def test_a_listing_that_is_no_instant_hides_nothing(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    store, chance = grids.new_store(), random.Random(seed)
    watcher, writer = Steady(store), commit_each(store, 80)
    watcher.look()
    while next(writer, None) is not None:
        for reader in watcher.follower._readers.values():
            if not isinstance(reader._blobs, Torn):
                torn = Torn(reader._blobs, lambda: next(writer, None), chance)
                reader._blobs = torn  # type: ignore[assignment]
        watcher.look()
    watcher.look()
    assert sorted(labels(watcher.events)) == [*range(80)]
    assert caplog.records == []  # what was merged meanwhile is not damaged
    assert commits(watcher.events) == sorted(commits(watcher.events))


def test_equal_values_are_told_though_their_commits_count_as_their_chunks_do() -> None:
    store = grids.new_store()
    for _ in commit_each(store, 40, lambda _: 0.0):
        pass
    assert labels(told(store)) == [*range(40)]


def test_a_token_of_fewer_points_than_its_commits_have_tells_them_again() -> None:
    """Two listings in a row may have hidden a row: the token has the commits after it, too."""
    store = grids.new_store()
    for _ in commit_each(store, 6):
        pass
    *_, last = told(store)
    mark = last.position.of(last.grid)
    assert labels(told(store, last.token)) == []
    short = last.position.with_mark(last.grid, replace(mark, points=mark.points - 1))
    assert labels(told(store, short.to_text())) == [*range(6)]


@pytest.mark.long
@pytest.mark.parametrize("n_kills", first(1, [2, 25]))
def test_killed_writers_leave_nothing_untold(tmp_path: Path, n_kills: int) -> None:
    store, chance = tmp_path / "cache", random.Random(n_kills)
    watch, seen = swarmgrid.watch(store, interval=0.01), list[Event]()
    thread = threading.Thread(target=lambda: seen.extend(watch))
    thread.start()
    program = tmp_path / "writer.py"
    program.write_text(KILLED)
    for _ in range(n_kills):
        before = len(seen)
        writer = programs.start([sys.executable, program, store, "100000"])
        wait_until(lambda before=before: len(seen) > before + chance.randint(2, 12))
        writer.kill()
        writer.wait()
    stored = swarmgrid.Grid.open(store, "simulate/").dataset()["value"]
    there = {int(x) for x in stored["x"].values[~np.isnan(stored.values)]}
    wait_until(lambda: there <= {*labels([*seen])})
    wait_until(lambda: getattr(seen[-1], "how", "") == "killed")
    watch.close()
    thread.join(PATIENCE)
    assert {*labels(seen)} == there
    check_order(seen)
    middle = chance.choice(seen)
    late = told(store, middle.token)
    assert {*labels(seen[seen.index(middle) + 1 :])} <= {*labels(late)}


def test_where_no_process_listens_nothing_is_asked(tmp_path: Path, monkeypatch: Any) -> None:
    """A watcher changes nothing for a writer, and asks nothing but while it waits."""
    asked: list[tuple[str, str]] = []

    def note(name: str) -> None:
        real = getattr(FileBlobs, name)

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            asked.append((name, str(args[0]).partition("/")[0]))
            return real(self, *args, **kwargs)

        monkeypatch.setattr(FileBlobs, name, call)

    for name in ("get", "names", "put", "create", "delete"):
        note(name)

    def written(store: Path) -> set[tuple[str, str]]:
        asked.clear()
        stream(store, range(6), flush_interval=100.0)
        return {*asked}

    alone = written(tmp_path / "a")
    watch = swarmgrid.watch(tmp_path / "b", timeout=0)
    assert written(tmp_path / "b") == alone
    assert labels(list(watch)) == [*range(6)]
    watch.close()
    asked.clear()
    assert list(watch) == []
    assert asked == []


def test_whatever_writes_rows_of_a_grid_numbers_those_that_are_new() -> None:
    package = Path(swarmgrid.__file__).parent
    calls = [
        (path.name, len(node.args))
        for path in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "write_segments"
    ]
    assert len(calls) > 8
    # a snapshot has the rows of its grid, with their numbers
    assert [name for name, n in calls if n < 6] == ["snapshot.py"]


def test_a_writer_without_a_fence_that_comes_late_is_told() -> None:
    """A process that wakes up after its successor has written, in a store that cannot stop it."""
    store = grids.new_store()
    stream(store, range(4), chunks=1, where=lambda x: x < 2)
    watcher = Steady(store)
    watcher.look()
    location = to_location(store)
    path = GridPath("simulate", watcher.events[0].grid)
    state = read_state(location.open(), path)
    assert state is not None
    late = lease.acquire(location, path)
    block = {name: np.full_like(b, 6.0) for name, b in empty_block(state.grid).items()}
    row, nbytes = write_points(late.blobs, state.grid, (3,), block, Points((1,)), 0.0)
    committer = Committer(late, state.grid, state.grid, state.manifest, None, keeps_failures=True)
    committer.receive(TaskResult(rows=[row], nbytes=nbytes))
    number = late.new_commit()
    late.release()
    stream(store, range(3), chunks=1)
    watcher.look()
    token = watcher.events[-1].token
    late.check = lambda: None  # type: ignore[method-assign]  # it has not noticed
    late.new_commit = lambda: number  # type: ignore[method-assign]
    committer.commit()
    watcher.follower._swept -= 100
    assert labels(watcher.look()) == [3]
    assert labels(told(store, token)) == [3]
