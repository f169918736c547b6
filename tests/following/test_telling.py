"""`on_event=` tells a run as a watcher sees it, and no error of the callback harms the run."""

from __future__ import annotations

import logging
import threading
from typing import Any

import numpy as np
import pytest

import swarmgrid
from swarmgrid import Event, InputError, PointError, PointsComputed
from tests.following import grids
from tests.following.grids import OPTIONS, kinds, labels, new_store, simulate, stream, told


def test_a_callback_is_told_what_a_watcher_is_told_before_the_call_returns() -> None:
    store, seen, threads = new_store(), list[Event](), set[int]()

    def note(event: Event) -> None:
        seen.append(event)
        threads.add(threading.get_ident())

    stream(store, range(5), on_event=note)
    assert kinds(seen) == kinds(told(store))
    assert [event.token for event in seen] == [event.token for event in told(store)]
    assert threads.isdisjoint({threading.get_ident()})
    assert len(threads) == 1
    stream(store, range(9), on_event=note)
    assert labels(seen) == [*range(9)]
    stream(store, range(9), on_event=note)
    assert labels(told(store, seen[-1].token)) == []
    assert kinds(seen)[-1] == "left"


def test_its_errors_are_told_once_and_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    store, seen = new_store(), list[Event]()

    def fails(event: Event) -> None:
        seen.append(event)
        raise SystemExit("enough") if len(seen) > 2 else ValueError("no")

    with caplog.at_level(logging.WARNING):
        ds = swarmgrid.compute(
            simulate, axes={"x": range(4)}, store=store, on_event=fails, **OPTIONS
        )
    np.testing.assert_array_equal(ds["value"], np.arange(4) * 2.0)
    assert kinds(seen) == kinds(told(store))
    (record,) = [r for r in caplog.records if "on_event" in r.getMessage()]
    assert "ValueError: no" in record.getMessage()


def test_a_run_that_fails_is_told_to_its_end() -> None:
    store, seen = new_store(), list[Event]()
    stream(store, range(2))
    grids.BAD.add(5)
    with pytest.raises(PointError):
        stream(store, range(9), on_event=seen.append, on_error="raise")
    assert kinds(seen)[-1] == "left"
    there = swarmgrid.Grid.open(store, "simulate/").state().points_computed
    assert len(labels(seen)) == there - 2


def test_a_callback_may_compute_other_grids() -> None:
    store, other, seen = new_store(), new_store(), list[Any]()

    def also(event: Event) -> None:
        if isinstance(event, PointsComputed):
            seen.append(swarmgrid.compute(simulate, axes={"x": [1]}, store=other, **OPTIONS))

    stream(store, range(3), on_event=also)
    assert float(seen[0]["value"][0]) == 2.0


def test_what_is_no_function_is_refused_before_anything_is_computed() -> None:
    for wrong in (3, "print", Event):
        with pytest.raises(InputError, match=r"on_event is .*expected a function of one"):
            stream(new_store(), range(2), on_event=wrong)
