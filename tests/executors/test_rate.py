"""The rate of calls, by a clock of the tests' own."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.executors.rate import RateLimiter


class Clock:
    """Time that passes while a caller waits."""

    def __init__(self) -> None:
        self.now = 100.0

    def pause(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


@given(
    interval=st.floats(0.01, 10),
    work=st.lists(st.floats(0, 30), min_size=1, max_size=20),
)
def test_calls_begin_an_interval_apart_at_least_and_never_later_than_they_must(
    interval: float, work: list[float]
) -> None:
    clock = Clock()
    limiter = RateLimiter(interval, now=lambda: clock.now, pause=clock.pause)
    begun = []
    for seconds in work:
        asked = clock.now
        limiter.wait()
        earliest = max(asked, begun[-1] + interval) if begun else asked
        assert abs(clock.now - earliest) < 1e-6  # a pause earns no burst
        begun.append(clock.now)
        clock.now += seconds
    assert all(b - a > interval - 1e-6 for a, b in itertools.pairwise(begun))


def test_callers_that_ask_at_once_have_turns_an_interval_apart() -> None:
    pauses: list[float] = []
    limiter = RateLimiter(0.5, now=lambda: 7.0, pause=pauses.append)
    for _ in range(4):
        limiter.wait()
    assert pauses == [0, 0.5, 1.0, 1.5]


def test_without_an_interval_or_once_it_is_stopped_no_caller_waits() -> None:
    pauses: list[float] = []
    for limiter in (RateLimiter(0, pause=pauses.append), RateLimiter(9, pause=pauses.append)):
        limiter.stop()
        limiter.wait()
    assert pauses == []
