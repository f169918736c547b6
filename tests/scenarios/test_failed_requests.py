"""A request that fails leaves the grid as it was, and what was finished is in the store soon."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.policies.pace import LATEST_SECONDS, MAX_PART, Pace
from tests import programs
from tests.long import examples

SYNC: dict[str, Any] = {"executor": "sync", "verbose": 0, "version": "1"}


def picky(x: float, y: int = 0) -> float:
    """A function of ints below a hundred."""
    if isinstance(x, float) or x >= 100:
        raise ValueError(f"not {x}")
    return 10.0 * x + y


def objects(store: MemoryStore) -> dict[str, bytes]:
    """What is stored but for leases, and for the catalog, which follows what is stored."""
    aside, found = ("locks/", "manifest/catalog/"), store._store_dict.items()
    return {key: data.to_bytes() for key, data in found if not key.startswith(aside)}


def grid_of(store: Any, **options: Any) -> swarmgrid.GridFunction:
    return swarmgrid.GridFunction(picky, store=store, **{**SYNC, **options})


# ---- what a failed request leaves


FAILING: dict[str, dict[str, list[Any]]] = {
    "a float": {"x": [0.5], "y": [0]},
    "a float beside stored values": {"x": [1, 2, 0.5], "y": [0]},
    "large": {"x": [1000], "y": [0]},
    "many": {"x": list(range(1000, 1050)), "y": [0]},
    "with a new value of another axis": {"x": [1000], "y": [7]},
}


OPTIONS: list[dict[str, Any]] = [{}, {"chunks": 1}, {"outputs": {"value": swarmgrid.Output()}}]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("axes", FAILING.values(), ids=FAILING)
def test_a_request_that_fails_leaves_every_object_as_it_was(
    axes: dict[str, list[Any]], options: dict[str, Any]
) -> None:
    store = MemoryStore()
    grid = grid_of(store, **options)
    grid.compute(axes={"x": [1, 2, 3], "y": [0]})
    before = objects(store)
    with pytest.raises(swarmgrid.PointError):
        grid.compute(axes=axes)
    assert objects(store) == before
    ds = grid.compute(axes={"x": [4, 5], "y": [0]})
    assert ds["value"].values.ravel().tolist() == [40.0, 50.0]
    assert ds["x"].dtype == np.int64


@pytest.mark.parametrize("options", [{}, {"outputs": {"value": swarmgrid.Output()}}])
def test_a_new_grid_that_fails_everywhere_is_not_made(options: dict[str, Any]) -> None:
    store = MemoryStore()
    with pytest.raises(swarmgrid.PointError):
        grid_of(store, **options).compute(axes={"x": [100, 200], "y": [0]})
    assert objects(store) == {}


@pytest.mark.parametrize("executor", ["sync", "threads", "processes"])
def test_only_values_with_a_point_stay_of_a_request_that_fails(
    executor: str, tmp_path: Path
) -> None:
    grid = grid_of(tmp_path, executor=executor, workers=1)
    grid.compute(axes={"x": [1], "y": [0]}, executor="sync")
    with pytest.raises(swarmgrid.PointError):
        grid.compute(axes={"x": [1, 4, 5, 1000, 0.5], "y": [0]})
    stored = grid.open(axes=["x", "y"])
    assert stored["x"].values.tolist() == [1, 4, 5]
    assert stored["x"].dtype == np.int64
    assert stored["value"].values.ravel().tolist() == [10.0, 40.0, 50.0]
    assert grid.verify(axes=["x", "y"]).is_clean


def test_recorded_failures_keep_their_places() -> None:
    store = MemoryStore()
    grid = grid_of(store)
    grid.compute(axes={"x": [1], "y": [0]})
    axes = {"x": [1, 200, 4], "y": [0]}
    grid.compute(axes=axes, on_error="record")
    assert grid.errors(axes=["x", "y"])["x"].tolist() == [200]
    grid.compute(axes={"x": [300], "y": [0]}, on_error="record")
    assert grid.errors(axes=["x", "y"])["x"].tolist() == [200, 300]
    assert grid.open(axes=["x", "y"])["x"].values.tolist() == [1, 200, 4, 300]


@settings(max_examples=examples(30))
@given(
    st.lists(
        st.tuples(
            st.lists(
                st.one_of(st.integers(0, 140), st.integers(0, 6).map(lambda n: n / 2)),
                min_size=1,
                max_size=6,
                unique=True,
            ),
            st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True),
            st.sampled_from([None, 1, 2]),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_after_any_failures_the_axes_hold_values_with_points_alone(
    requests: list[tuple[list[float], list[int], int | None]],
) -> None:
    store = MemoryStore()
    computed: dict[tuple[float, int], float] = {}
    chunks = requests[0][2]
    grid = grid_of(store, chunks=chunks)
    for x, y, _ in requests:
        try:
            ds = grid.compute(axes={"x": x, "y": y})
        except swarmgrid.PointError:
            continue
        for one in x:
            for other in y:
                value = ds["value"].sel(x=one, y=other).item()
                assert value == 10.0 * one + other
                computed[one, other] = value
    if computed:
        stored = grid.open(axes=["x", "y"])
        values = stored["value"]
        if chunks is None:  # in one chunk: no value stays on an axis for nothing
            assert values.notnull().any("y").all()
            assert values.notnull().any("x").all()
        assert (stored["x"].dtype == np.int64) == all(
            type(v) is int for v in stored.x.values.tolist()
        )
        for (one, other), value in computed.items():
            assert values.sel(x=one, y=other).item() == value
        assert grid.verify(axes=["x", "y"]).is_clean


# ---- when finished work is written


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def run(self, pace: Pace, seconds: float, cost: Callable[[float], float]) -> list[float]:
        """Let some time go by: when flushes began."""
        begun, start = [], self.now
        while self.now < start + seconds:
            self.now += pace.look_seconds
            if pace.is_due(self.now):
                begun.append(self.now - start)
                before = self.now
                self.now += cost(self.now - start)
                pace.add_flush(before, self.now)
        return begun


def test_cheap_flushes_come_every_second() -> None:
    clock = Clock()
    begun = clock.run(Pace(None, clock.now), 100, lambda _: 0.005)
    assert len(begun) >= 75
    assert begun[0] == 1.0


@pytest.mark.parametrize("cost", [0.03, 0.1, 0.19])
def test_dear_flushes_take_two_percent_of_the_run_and_no_more(cost: float) -> None:
    clock = Clock()
    begun = clock.run(Pace(None, clock.now), 1000, lambda _: cost)
    assert 0.9 * MAX_PART * 1000 <= len(begun) * cost <= 1.1 * MAX_PART * 1000 + cost


def test_work_never_waits_longer_than_ten_seconds() -> None:
    clock = Clock()
    begun = clock.run(Pace(None, clock.now), 200, lambda _: 2.0)
    assert np.diff(begun).max() <= LATEST_SECONDS + 2.0 + 0.25
    assert len(begun) >= 15


def test_one_hiccup_does_not_change_the_pace() -> None:
    clock = Clock()
    begun = clock.run(Pace(None, clock.now), 400, lambda t: 1.0 if 100 < t < 101.5 else 0.001)
    assert np.diff(begun).max() < 3


@pytest.mark.parametrize("interval", [0.2, 1.0, 60.0])
def test_a_given_interval_is_kept_whatever_it_costs(interval: float) -> None:
    clock = Clock()
    begun = clock.run(Pace(interval, clock.now), 100 * interval, lambda _: interval / 10)
    assert np.diff([0, *begun]).max() <= interval * 1.1 + 1e-9


KILLED = """
import sys, time, swarmgrid
def slow(x):
    time.sleep(0.2)
    print(x, flush=True)
    return 2.0 * x
swarmgrid.compute(axes={"x": range(50)}, func=slow, version="1", store=sys.argv[1], verbose=0,
                  executor="sync")
"""


def test_what_is_finished_survives_a_kill_a_moment_later(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with programs.start(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        done = 0
        for line in process.stdout:
            done = int(line) + 1
            if any(tmp_path.glob("manifest/*/*.seg")):
                break
        process.send_signal(signal.SIGKILL)
    assert done < 25, "nothing was stored in five seconds of work"
