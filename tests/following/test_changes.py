"""Whatever is done to a grid, a watcher is told of all that is there, in order, from any token."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import swarmgrid
from swarmgrid import Event, PointsComputed, PointsFailed
from swarmgrid.following.token import KEPT_EPOCHS, Mark, Position
from swarmgrid.store.lease_record import epoch_of, to_commit
from tests.following import grids
from tests.following.grids import Steady, labels, new_store, stream, told
from tests.long import examples

VALUES = st.integers(0, 9)
STEPS = st.one_of(
    st.tuples(st.just("compute"), st.lists(VALUES, min_size=1, max_size=6, unique=True)),
    st.tuples(st.just("fail"), st.lists(VALUES, min_size=1, max_size=4, unique=True)),
    st.tuples(st.just("delete"), st.lists(VALUES, min_size=1, max_size=3, unique=True)),
    st.tuples(st.just("rechunk"), st.integers(1, 4)),
    st.tuples(st.sampled_from(["look", "snapshot", "restore", "drop", "repair"]), st.none()),
)


class World:
    """A grid, what of it is there, and since which step."""

    def __init__(self) -> None:
        self.store = new_store()
        self.computed: dict[int, int] = {}
        """By value that is stored the number of the step that has put it there last."""
        self.failed: dict[int, int] = {}
        self.snapshot: tuple[Any, set[int]] | None = None
        self.n = 0
        self.exists = False

    def do(self, name: str, what: Any) -> None:
        self.n += 1
        getattr(self, f"_{name}")(what)

    @property
    def grid(self) -> Any:
        return swarmgrid.Grid.open(self.store, "simulate/")

    def _compute(self, values: list[int]) -> None:
        grids.BAD.clear()
        stream(self.store, values, chunks=None if self.exists else 2)
        self.exists = True
        self._note(values)

    def _fail(self, values: list[int]) -> None:
        if not self.computed:  # no grid without an output
            return
        grids.BAD.clear()
        grids.BAD.update(values)
        stream(self.store, values, chunks=None if self.exists else 2)
        self.failed |= {x: self.n for x in values if x not in self.computed}

    def _note(self, values: Any) -> None:
        self.computed |= {x: self.n for x in values if x not in self.computed}
        self.failed = {x: n for x, n in self.failed.items() if x not in self.computed}

    def _delete(self, values: list[int]) -> None:
        if self.computed and (there := {*values} & {*self.computed, *self.failed}):
            self.grid.delete(x=sorted(there))
            for found in (self.computed, self.failed):
                for x in there & found.keys():
                    del found[x]

    def _rechunk(self, length: int) -> None:
        if self.computed and self.grid.state().chunks != {"x": length}:
            self.grid.rechunk({"x": length})
            self.snapshot = None

    def _repair(self, _: None) -> None:
        if self.computed:
            self.grid.repair()

    def _snapshot(self, _: None) -> None:
        if self.computed:
            self.snapshot = self.grid.snapshot("s"), {*self.computed}

    def _restore(self, _: None) -> None:
        if self.computed and self.snapshot is not None:
            self.grid.restore(self.snapshot[0])
            self.computed = {x: n for x, n in self.computed.items() if x in self.snapshot[1]}
            self._note(self.snapshot[1])

    def _drop(self, _: None) -> None:
        if self.computed:
            self.grid.drop()
            self.computed, self.failed, self.snapshot = {}, {}, None
            self.exists = False

    def check(self, events: list[Event], since: int) -> None:
        """All that was put there after a step, and is still there, is among the events."""
        assert {x for x, n in self.computed.items() if n > since} <= {*labels(events)}
        assert {x for x, n in self.failed.items() if n > since} <= {*labels(events, PointsFailed)}


def check_order(events: list[Event]) -> None:
    """Of each writer, later commits are told later."""
    last: dict[tuple[str, int], int] = {}
    for event in events:
        if isinstance(event, PointsComputed | PointsFailed):
            for epoch, commit in event.position.of(event.grid).commits:
                assert epoch_of(commit) == epoch
                assert last.get((event.grid, epoch), 0) <= commit
                last[event.grid, epoch] = commit


@settings(max_examples=examples(20))
@given(st.lists(STEPS, min_size=2, max_size=9))
def test_a_watcher_is_told_of_all_that_is_there(steps: list[tuple[str, Any]]) -> None:
    world = World()
    watcher, looked, tokens = Steady(world.store), 0, [("", 0)]
    for name, what in steps:
        if name != "look":
            world.do(name, what)
            continue
        world.check(watcher.look(), looked)
        looked = world.n
        tokens += [(event.token, looked) for event in watcher.events[-1:]]
    world.check(watcher.look(), looked)
    check_order(watcher.events)
    assert watcher.look() == []
    for token, since in tokens:
        late = told(world.store, token or None)
        world.check(late, since)
        check_order(late)
    # in the middle of a look, too: a token stands for the events up to its own
    all_events = told(world.store)
    for number, event in list(enumerate(all_events))[::3]:
        rest = labels(told(world.store, event.token))
        assert sorted(labels(all_events[number + 1 :])) == sorted(rest)
    assert len({*labels(all_events)}) == len(labels(all_events)) == len(world.computed)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40)), max_size=30))
def test_a_position_knows_what_it_was_told_and_its_token_does(pairs: list[Any]) -> None:
    mark = Mark()
    commits = sorted(to_commit(*pair) for pair in pairs)
    for commit in commits:
        mark = replace(mark, commits=mark.told(commit))
        assert mark.knows(commit)
        assert not mark.knows(commit + 1)
    assert all(map(mark.knows, commits))
    assert len(mark.commits) <= KEPT_EPOCHS
    position = Position({"0" * 32: mark})
    assert Position.from_text(position.to_text()) == position
