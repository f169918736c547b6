"""Grids that happen to a watcher: a function, its store, and what was told."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import swarmgrid
from swarmgrid import Event, PointsComputed, PointsFailed
from swarmgrid.following.store import StoreFollower
from swarmgrid.following.token import Position
from swarmgrid.store.location import to_location

OPTIONS: dict[str, Any] = {
    "executor": "sync",
    "verbose": 0,
    "on_error": "record",
    "version": "1",
    "chunks": 2,
}
_numbers = itertools.count()
BAD: set[int] = set()
"""The values at which `simulate` fails."""


def simulate(x: int) -> float:
    if x in BAD:
        raise ValueError("no")
    return x * 2.0


def new_store() -> str:
    return f"memory://following-{next(_numbers)}"


def stream(store: Any, values: Any, **options: Any) -> None:
    swarmgrid.stream(simulate, axes={"x": list(values)}, store=store, **{**OPTIONS, **options})


def told(store: Any, since: str | None = None, **options: Any) -> list[Event]:
    """All that a watcher is told without waiting."""
    return list(swarmgrid.watch(store, since=since, timeout=0, **options))


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def labels(events: list[Event], kind: type[Event] = PointsComputed) -> list[int]:
    """The points of the events of one kind."""
    assert kind in {PointsComputed, PointsFailed}
    found = [event.points["x"] for event in events if isinstance(event, kind)]
    return [int(x) for x in np.concatenate(found)] if found else []


class Steady:
    """A watcher that looks when it is asked to."""

    def __init__(self, store: str, position: Position | None = None) -> None:
        self.follower = StoreFollower(to_location(store), lambda _: True, position or Position())
        self.events: list[Event] = []

    def look(self) -> list[Event]:
        """Look, and return what is new."""
        self.follower.look()
        new = [*self.follower.ready]
        self.follower.ready.clear()
        self.events += new
        return new
