"""Writers come, commit, compact, and are killed at any step: watchers miss and mix nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmgrid.coordinator.commit import Committer
from swarmgrid.following.token import Position
from swarmgrid.format.chunk_io import empty_block, write_points
from swarmgrid.inventory import objects
from swarmgrid.inventory.keeping import recorded
from swarmgrid.leases import lease
from swarmgrid.records.grid_state import read_state
from swarmgrid.space.points import Points
from swarmgrid.store.layout import GridPath
from swarmgrid.store.location import to_location
from swarmgrid.transport.messages import TaskResult
from tests.following.grids import Steady, labels, new_store, stream, told
from tests.long import examples

N = 200
"""The points of the grid; a few of them are computed."""
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.integers(1, 12)),
        st.tuples(st.just("die"), st.integers(1, 9)),
        st.tuples(st.just("look"), st.integers(0, 1)),
        st.tuples(st.just("look_slowly"), st.integers(0, 1)),
        st.tuples(st.just("resume"), st.integers(0, 1)),
        st.tuples(st.sampled_from(["release", "kill"]), st.none()),
    ),
    min_size=4,
    max_size=24,
)


class KilledError(Exception):
    """The process of a writer is killed here."""


class Dying:
    """A store as a writer sees it that is killed at its n-th change."""

    def __init__(self, blobs: Any, n: int) -> None:
        self._blobs, self._left = blobs, n

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._blobs, name)
        if name not in {"put", "delete", "create"}:
            return found

        def change(*args: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                raise KilledError
            return found(*args)

        return change


class Slow:
    """A store that lists in the order of the names, while something else is written."""

    def __init__(self, blobs: Any, write: Callable[[], object], chance: random.Random) -> None:
        self._blobs, self._write, self._chance = blobs, write, chance

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    def names(self, prefix: str) -> list[str]:
        before = self._blobs.names(prefix)
        self._write()
        after = self._blobs.names(prefix)
        turn = self._chance.choice([*before, *after, ""])
        return [name for name in before if name < turn] + [n for n in after if n >= turn]


class Writers:
    """The processes that fill a grid, one after the other, as threads of none."""

    def __init__(self) -> None:
        self.store = new_store()
        stream(self.store, range(N), chunks=1, where=lambda x: x == 0)
        self.location = to_location(self.store)
        self.path = GridPath("simulate", told(self.store)[0].grid)
        self.n = 1
        self._held: Any = None
        self._committer: Any = None

    def commit(self, dies_after: int | None = None) -> None:
        """Commit a point in a chunk of its own, and compact segments when that is due."""
        if self.n == N:
            return
        if self._held is None:
            self._begin()
        x, self.n = self.n, self.n + 1
        plain = self._held.blobs
        if dies_after is not None:
            self._held.blobs = Dying(plain, dies_after)
        try:
            grid = self._grid
            block = {name: np.full_like(b, 2.0 * x) for name, b in empty_block(grid).items()}
            row, nbytes = write_points(self._held.blobs, grid, (x,), block, Points((1,)), 0.0)
            self._committer.receive(TaskResult(rows=[row], nbytes=nbytes))
            self._committer.commit()
            self._held.blobs = plain
        except KilledError:
            self.kill()

    def _begin(self) -> None:
        self._held = lease.acquire(self.location, self.path)
        objects.write_mark(self._held.blobs, self.path, self._held.writer)  # as `recorded` does
        state = read_state(self._held.blobs, self.path)
        assert state is not None
        self._grid = state.grid
        self._committer = Committer(
            self._held, state.grid, state.grid, state.manifest, None, keeps_failures=True
        )

    def release(self) -> None:
        """End as a run does."""
        if self._held is not None:
            with self._held, recorded(self._held, self.path):
                pass
            self._held = None

    def kill(self) -> None:
        """End as a process that is killed: its lease and its mark stay."""
        if self._held is not None:
            self._held._ended.set()
            self._held._thread.join()
            lease._own.discard(self._held.writer)
            self._held = None

    def stored(self) -> list[int]:
        state = read_state(self.location.open(), self.path)
        assert state is not None
        return sorted({*state.manifest.rows.index[:, 0].tolist()})


class World:
    """Writers, and two watchers."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.writers = Writers()
        self.watchers = [Steady(self.writers.store) for _ in range(2)]

    def commit(self, n: int) -> None:
        for _ in range(n):
            self.writers.commit()

    def die(self, n_changes: int) -> None:
        self.writers.commit(n_changes)

    def look(self, number: int, *, is_slow: bool = False) -> None:
        watcher = self.watchers[number]
        for reader in watcher.follower._readers.values():
            plain = getattr(reader._blobs, "_blobs", reader._blobs)
            write = lambda: self.commit(self.chance.randrange(12))  # noqa: E731
            slow: Any = Slow(plain, write, self.chance)
            reader._blobs = slow if is_slow else plain
        watcher.look()

    def look_slowly(self, number: int) -> None:
        self.look(number, is_slow=True)

    def resume(self, number: int) -> None:
        """Go on from the token of some event, in a process that knows no more."""
        events = self.watchers[number].events
        if events:
            n = self.chance.randint(1, len(events))
            position = Position.from_text(events[n - 1].token)
            self.watchers[number] = Steady(self.writers.store, position)
            self.watchers[number].events = events[:n]

    def release(self, _: None) -> None:
        self.writers.release()

    def kill(self, _: None) -> None:
        self.writers.kill()


@settings(max_examples=examples(20))
@given(STEPS, st.integers(0, 2**16))
def test_each_point_is_told_once_and_in_order_to_watchers_that_come_and_go(
    steps: list[Any], seed: int
) -> None:
    world = World(seed)
    try:
        for name, what in steps:
            getattr(world, name)(what)
    finally:
        world.writers.release()
    stored = world.writers.stored()
    for number, watcher in enumerate(world.watchers):
        world.look(number)
        world.look(number)
        assert labels(watcher.events) == stored
    assert labels(told(world.writers.store)) == stored
