"""Servers that fail: nothing is harmed, the error says what to do, and a later run goes on."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

import swarmgrid
from tests.long import first
from tests.servers.google import Answer, GoogleServer, error

pytestmark = pytest.mark.server
AT_ONCE = {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=2)}
FAST: dict[str, Any] = {"version": "1", "executor": "sync", "verbose": 0, "chunks": {"x": 2}}
BUSY = error(503, "ServiceUnavailable", "We encountered an internal error.")
_numbers = itertools.count()


def double(x: int) -> dict[str, Any]:
    return {"number": x * 2.0, "text": f"value {x}"}


def place(gs: GoogleServer, max_retries: int) -> dict[str, Any]:
    url, options = gs.place(f"outage-{next(_numbers)}")
    retrying = {"max_retries": max_retries, "backoff": AT_ONCE}
    return {"store": url, "storage_options": {**options, "retry_config": retrying}}


def fill(call: dict[str, Any]) -> None:
    """Two runs: the second one grows the grid, and replaces what is there."""
    for n in (5, 8):
        swarmgrid.run(axes={"x": range(n)}, func=double, **call, **FAST)


def check(call: dict[str, Any]) -> None:
    """What is stored is right, a further run completes it, and nothing is wrong with it."""
    try:
        found = swarmgrid.open(axes={"x": range(8)}, func=double, version="1", **call)
    except swarmgrid.InputError:
        pass  # nothing is stored yet
    else:
        number = found["number"].values
        np.testing.assert_array_equal(number[~np.isnan(number)], found["x"][~np.isnan(number)] * 2)
    ds = swarmgrid.compute(axes={"x": range(8)}, func=double, **call, **FAST)
    np.testing.assert_array_equal(ds["number"], np.arange(8) * 2.0)
    assert ds["text"].values.tolist() == [f"value {x}" for x in range(8)]
    assert ds.swarmgrid.grid.verify().is_clean


@pytest.mark.parametrize("every", first(1, [50, 1]))
def test_a_server_that_is_gone_from_any_request_on_harms_nothing(
    gs: GoogleServer, every: int
) -> None:
    for k in itertools.count(0, every):
        call = place(gs, max_retries=0)
        left = itertools.count(k, -1)

        def gone(_method: str, _key: str, act: Callable[[], Answer], left: Any = left) -> Answer:
            return act() if next(left) > 0 else BUSY

        with gs.with_between(gone):
            try:
                fill(call)
            except swarmgrid.StoreError as failure:
                text = str(failure)
                assert "the server is busy or failing" in text, k
                assert "\n" not in text
            else:
                break
        check(call)
    assert k > 30


@pytest.mark.parametrize("answer", first(0, ["503", "429"]))
def test_requests_that_are_refused_for_a_while_are_made_again(
    gs: GoogleServer, answer: str
) -> None:
    refusal = error(int(answer), "SlowDown", "Please try again.")
    call = place(gs, max_retries=3)
    numbers = itertools.count()

    def slow(_method: str, _key: str, act: Callable[[], Answer]) -> Answer:
        return act() if next(numbers) % 3 == 2 else refusal

    with gs.with_between(slow):
        fill(call)
    check(call)


@pytest.mark.parametrize("every", first(0, [5, 1]))
def test_a_write_whose_answer_is_lost_counts_once(gs: GoogleServer, every: int) -> None:
    """The server has done it, and obstore asks again: the object that is there is its own."""
    for k in itertools.count(0, every):
        call = place(gs, max_retries=1)
        left = itertools.count(k, -1)

        def lost(method: str, _: str, act: Callable[[], Answer], left: Any = left) -> Answer:
            found = act()
            return BUSY if method in {"PUT", "DELETE"} and next(left) == 0 else found

        with gs.with_between(lost):
            fill(call)
        check(call)
        if next(left) >= 0:
            break
    assert k > 10
