"""Any history of a grid against dicts: its points, and those of every snapshot, through it all."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import swarmgrid
from swarmgrid import ArchivedError, Grid, Key
from swarmgrid.codecs import keys
from swarmgrid.leases import lease
from swarmgrid.store import location
from tests.conftest import Killed
from tests.long import examples, first

pytest.importorskip("cryptography")
pytestmark = pytest.mark.filterwarnings("ignore:Combining a `sharding_indexed` codec")

Points = dict[tuple[int, str], float]
XS, NAMES = [4, 1, 3, 9, 2], ["b", "a", "c"]
KEYS = [None, Key(b"1" * 32), Key(b"2" * 32)]
FACTOR = [1.0]
"""What the function multiplies with, so that values that are computed again are others."""
_stores = itertools.count()


def model(x: int, name: str) -> dict[str, Any]:
    value = x * FACTOR[0] + len(NAMES[: NAMES.index(name)])
    return {"number": value, "text": f"{name} {value}", "curve": np.arange(2) * value}


def bound(store: Any, **options: Any) -> Any:
    return swarmgrid.GridFunction(
        model, store=store, executor="sync", version="1", ignore={"FACTOR"}, verbose=0, **options
    )


def points_of(ds: Any) -> Points:
    """The points of a Dataset that have values; all outputs of each say the same."""
    ds = ds.load().transpose("x", "name", ...)
    found = {}
    for i, x in enumerate(ds["x"].values.tolist()):
        for j, name in enumerate(ds["name"].values.tolist()):
            value = ds["number"].values[i, j].item()
            if value == value:
                found[x, name] = value
                assert ds["text"].values[i, j] == f"{name} {value}"
                assert ds["curve"].values[i, j].tolist() == [0, value]
    return found


class Histories(RuleBasedStateMachine):
    """One grid, what it has, and what each of its snapshots has."""

    axes = st.fixed_dictionaries(
        {
            "x": st.lists(st.sampled_from(XS), min_size=1, unique=True),
            "name": st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
        }
    )
    number = st.integers(0, 7)

    def __init__(self) -> None:
        super().__init__()
        self.store = f"memory://histories-{next(_stores)}"
        self.target = f"memory://histories-archive-{next(_stores)}"
        self.f = bound(self.store)
        self.points: Points = {}
        self.taken: dict[str, Points] = {}
        self.is_archived = False
        FACTOR[0] = 1.0
        self.f.compute(axes={"x": [4], "name": ["b"]}, chunks={"x": 2, "name": 2})
        self.points[4, "b"] = 4.0

    @property
    def grid(self) -> Grid:
        return Grid.open(self.store, "model/", key=[key for key in KEYS if key is not None])

    def teardown(self) -> None:
        for url in [url for url in location._memory if url.startswith(("memory://histories-",))]:
            del location._memory[url]
        keys._held.clear()

    def changes(self, change: Callable[[], Any]) -> Any:
        """The result of a change; None where the grid is archived, which nothing changes then."""
        if not self.is_archived:
            return change()
        with pytest.raises(ArchivedError):
            change()
        return None

    @rule(axes=axes, factor=st.sampled_from([1.0, 2.0, 3.0]))
    def compute(self, axes: Any, factor: float) -> None:
        FACTOR[0] = factor
        asked = {*itertools.product(axes["x"], axes["name"])}
        new = asked - self.points.keys()
        if not new and self.is_archived:
            assert self.f.stream(axes=axes).points_computed == 0
            return
        done = self.changes(lambda: self.f.stream(axes=axes))
        if done is not None:
            assert done.points_computed == len(new)
            self.points |= {p: model(*p)["number"] for p in new}

    @rule(axes=axes, factor=st.sampled_from([1.0, 5.0]), spoilt=st.booleans())
    def put_many(self, axes: Any, factor: float, spoilt: bool) -> None:
        FACTOR[0] = factor
        values: dict[Any, Any] = {p: model(*p) for p in itertools.product(axes["x"], axes["name"])}
        new = {p: one["number"] for p, one in values.items() if p not in self.points}
        if spoilt:
            *_, last = values
            values[last] = {**values[last], "number": "no number"}
            if not self.is_archived:
                with pytest.raises(swarmgrid.InputError):
                    self.f.put_many(values)
            return
        n = self.changes(lambda: self.f.put_many(values, on_conflict="keep"))
        if n is not None:
            assert n == len(new)
            self.points |= new

    @rule(x=st.sampled_from(XS), name=st.sampled_from([None, *NAMES]), how=st.booleans())
    def delete(self, x: int, name: str | None, how: bool) -> None:
        gone = {p for p in self.points if p[0] == x and name in (None, p[1])}
        labels = {"x": x} if name is None else {"x": x, "name": [name]}
        act = self.grid.delete if how else self.grid.invalidate
        try:
            n = self.changes(lambda: act(labels))
        except swarmgrid.InputError:  # the axes have no such value
            assert not gone
            return
        if n is not None:
            assert n == len(gone)
            self.points = {p: v for p, v in self.points.items() if p not in gone}

    @rule()
    def snapshot(self) -> None:
        one = self.grid.snapshot(f"number {len(self.taken)}")
        self.taken[one.id] = dict(self.points)

    @precondition(lambda self: self.taken)
    @rule(number=number)
    def restore(self, number: int) -> None:
        name = list(self.taken)[number % len(self.taken)]
        n = self.changes(lambda: self.grid.restore(name))
        if n is not None:
            assert n == len(self.points.keys() - self.taken[name].keys())
            self.points = dict(self.taken[name])

    @precondition(lambda self: self.taken)
    @rule(number=number)
    def forget(self, number: int) -> None:
        name = list(self.taken)[number % len(self.taken)]
        self.grid.delete_snapshot(name)
        del self.taken[name]

    @rule(x=st.integers(1, 4), name=st.integers(1, 3), sort=st.booleans())
    def rechunk(self, x: int, name: int, sort: bool) -> None:
        chunks = {"x": x, "name": name}
        shards = {"x": 2 * x, "name": name} if x == 2 else False
        self.changes(lambda: self.grid.rechunk(chunks=chunks, shards=shards, sort=sort))

    @rule(key=st.sampled_from(KEYS))
    def rotate(self, key: Key | None) -> None:
        self.changes(lambda: self.grid.rotate(key))

    @rule()
    def repair(self) -> None:
        assert self.grid.repair().is_clean

    @rule()
    def archive(self) -> None:
        self.grid.archive(self.target)
        self.is_archived = True

    @precondition(lambda self: self.is_archived)
    @rule()
    def thaw(self) -> None:
        self.grid.thaw()
        self.is_archived = False

    @invariant()
    def the_grid_has_its_points(self) -> None:
        grid = self.grid
        assert grid.state().points_computed == len(self.points)
        status = grid.status().to_series()
        assert {p for p, one in status.items() if one == 1} == self.points.keys()  # type: ignore[comparison-overlap]
        if self.is_archived:
            assert grid.verify(archived=True).is_clean
        else:
            assert points_of(grid.dataset()) == self.points
            assert grid.verify().is_clean, grid.verify()

    @invariant()
    def every_snapshot_has_its_points(self) -> None:
        assert [one.id for one in self.grid.snapshots()] == list(self.taken)
        for name, points in self.taken.items():
            try:
                assert points_of(self.grid.dataset(at=name)) == points
            except ArchivedError:
                assert self.is_archived


Histories.TestCase.settings = settings(max_examples=examples(5), stateful_step_count=8)
test_any_history_is_what_dicts_say = Histories.TestCase


STEPS: dict[str, Callable[[Grid, Path], Any]] = {
    "delete": lambda grid, _: grid.delete(x=[4]),
    "rotate": lambda grid, _: grid.rotate(KEYS[2]),
    "restore": lambda grid, _: grid.restore("one"),
    "rechunk": lambda grid, _: grid.rechunk(chunks={"x": 3}, sort=True),
    "archive": lambda grid, tape: grid.archive(tape),
    "snapshot": lambda grid, _: grid.snapshot("two"),
    "put": lambda grid, _: grid.put_many({(2, "a"): model(2, "a"), (9, "c"): model(9, "c")}),
    "forget": lambda grid, _: grid.delete_snapshot("one"),
}


@pytest.mark.parametrize(
    ("name", "every"), first(1, [(n, 29) for n in STEPS] + [(n, 1) for n in STEPS])
)
def test_a_kill_at_any_step_leaves_the_grid_of_before_or_after_and_its_snapshots(
    tmp_path: Path, kill_at: Callable[[int], None], name: str, every: int
) -> None:
    before, after = expected(name)
    for k in itertools.count(every // 3, every):
        store, tape = tmp_path / str(k), tmp_path / f"tape-{k}"
        grid, one = with_a_past(store)
        kill_at(k)
        try:
            STEPS[name](grid, tape)
            is_done = True
        except Killed:
            is_done = False
        kill_at(-1)
        lease._own.clear()  # as in a process that has ended
        if not grid.state().archive:
            now = points_of(grid.dataset())
            assert now.items() <= {*before.items(), *after.items()}
            if name != "restore":  # which leaves chunks out while it replaces them
                assert before.items() & after.items() <= now.items()
            if grid.snapshots() and name != "forget":
                assert points_of(grid.dataset(at="one")) == one
        assert grid.verify().is_clean, (k, grid.verify())
        if not is_done and not (name == "forget" and not grid.snapshots()):
            STEPS[name](grid, tape)
        if grid.state().archive:
            assert grid.verify(archived=True).is_clean
            grid.thaw()
        assert points_of(grid.dataset()) == after
        if name != "forget":
            assert points_of(grid.dataset(at="one")) == one
        assert grid.verify().is_clean
        if is_done:
            break
    assert k > 3


def with_a_past(store: Path) -> tuple[Grid, Points]:
    """An encrypted grid with a snapshot that needs a copy, and what that has."""
    FACTOR[0] = 1.0
    f = bound(store, chunks={"x": 2, "name": 2}, key=KEYS[1])
    f.stream(axes={"x": [4, 1, 3], "name": ["b"]})
    grid = Grid.open(store, "model/")
    grid.snapshot("one")
    one = points_of(grid.dataset())
    grid.delete(x=[1])
    FACTOR[0] = 2.0
    f.stream(axes={"x": [1], "name": ["a"]})
    return grid, one


def expected(name: str) -> tuple[Points, Points]:
    """What the grid of `with_a_past` has before a step, and after it."""
    before: Points = {(4, "b"): 4.0, (3, "b"): 3.0, (1, "a"): 3.0}
    after = dict(before)
    if name == "delete":
        del after[4, "b"]
    elif name == "restore":
        after = {(4, "b"): 4.0, (1, "b"): 1.0, (3, "b"): 3.0}
    elif name == "put":
        after |= {(2, "a"): 5.0, (9, "c"): 20.0}
    return before, after
