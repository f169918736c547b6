"""Finished work is written soon, unless flushes cost too much of the run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.policies.pace import (
    LATEST_SECONDS,
    LOOKS,
    MAX_PART,
    SOON_SECONDS,
    Pace,
    reporting_seconds,
)


@pytest.mark.parametrize(
    ("interval", "flushes", "now", "is_due"),
    [
        pytest.param(None, [], 0.9, False, id="too soon"),
        pytest.param(None, [], 1.0, True, id="after a second"),
        pytest.param(None, [(1.0, 1.01)], 1.9, False, id="a second after the last flush"),
        pytest.param(None, [(1.0, 1.01)], 2.05, True, id="a cheap flush"),
        pytest.param(None, [(1.0, 2.0)], 5.0, False, id="a flush of a second makes them rare"),
        pytest.param(None, [(1.0, 2.0)], 12.0, True, id="but never rarer than every 10 s"),
        pytest.param(None, [(100, 104), (200, 200.1)], 202, False, id="dear flushes add up"),
        pytest.param(None, [(500, 503), (504, 504.1)], 506, True, id="one hiccup tells nothing"),
        pytest.param(5.0, [], 3.7, False, id="an interval of one's own"),
        pytest.param(5.0, [], 3.75, True, id="less the time between two looks"),
        pytest.param(5.0, [(4.0, 9.0)], 12.0, False, id="it counts from the end of a flush"),
        pytest.param(5.0, [(4.0, 9.0)], 13.0, True, id="whatever that cost"),
    ],
)
def test_a_flush_is_due(
    interval: float | None, flushes: list[tuple[float, float]], now: float, is_due: bool
) -> None:
    pace = Pace(interval, 0.0)
    for begun, ended in flushes:
        pace.add_flush(begun, ended)
    assert pace.is_due(now) == is_due


@given(costs=st.lists(st.floats(1e-4, 20), min_size=1, max_size=60))
def test_work_waits_ten_seconds_at_most_and_flushes_take_a_small_part_where_they_are_alike(
    costs: list[float],
) -> None:
    now, pace = 0.0, Pace(None, 0.0)
    last = 0.0
    for cost in costs:
        while not pace.is_due(now):
            now += pace.look_seconds
        assert SOON_SECONDS <= now - last <= LATEST_SECONDS + pace.look_seconds + 1e-9
        pace.add_flush(now, now + cost)
        last = now = now + cost


@given(cost=st.floats(1e-4, 0.19))
def test_flushes_of_one_cost_take_no_more_than_their_part_of_the_run(cost: float) -> None:
    now, spent, pace = 0.0, 0.0, Pace(None, 0.0)
    while now < 100:
        if pace.is_due(now):
            pace.add_flush(now, now + cost)
            spent, now = spent + cost, now + cost
        else:
            now += pace.look_seconds
        assert spent <= MAX_PART * now + 2 * cost


@pytest.mark.parametrize(
    ("interval", "look", "report"),
    [(None, SOON_SECONDS / LOOKS, 0.5), (8.0, 2.0, 1.0), (0.4, 0.1, 0.1)],
)
def test_looks_and_reports_come_several_times_within_the_interval(
    interval: float | None, look: float, report: float
) -> None:
    assert Pace(interval, 0.0).look_seconds == pytest.approx(look)
    assert reporting_seconds(interval) == pytest.approx(report)
