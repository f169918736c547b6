"""Lanes say when each process was at work, with long pauses cut."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.format.segment import Rows
from swarmgrid.format.writers import WriterId
from swarmgrid.pictures.lanes import BINS, MAX_LANES, timeline
from tests.pictures.looks import whole_rows

DRAWN = st.tuples(st.integers(1, 10**6), st.floats(0, 5000, width=32), st.integers(0, 20))


def rows_of(drawn: list[tuple[int, float, int]]) -> Rows:
    n = len(drawn)
    times, seconds, writers = zip(*drawn, strict=True)
    columns: dict[str, Any] = {
        "time": np.array(times, "<u4"),
        "seconds": np.array(seconds, "<f4"),
        "writer": np.array(writers, "<u4"),
        "writers": tuple(WriterId(f"node-{i}", i + 1) for i in range(21)),
    }
    return whole_rows(np.arange(n).reshape(n, 1), (3,), **columns)


@given(st.lists(DRAWN, min_size=1, max_size=40))
def test_lanes_keep_all_points_and_lie_within_the_picture(drawn: list[Any]) -> None:
    found = timeline(rows_of(drawn))
    assert found is not None
    writers = {writer for _, _, writer in drawn}
    assert len(found.lanes) == min(len(writers), MAX_LANES)
    assert found.n_left_out == len(writers) - len(found.lanes)
    if not found.n_left_out:
        assert sum(lane.points for lane in found.lanes) == 3 * len(drawn)
    for lane in found.lanes:
        flat = [at for span in lane.spans for at in span]
        assert flat == sorted(flat)
        assert 0 <= flat[0] <= flat[-1] <= 1
    assert len(found.rate) == BINS
    assert max(found.rate) == 1
    places = [at for at, _ in found.cuts]
    assert places == sorted(places)
    assert all(pause > 0 for _, pause in found.cuts)


def test_a_long_pause_is_cut_and_a_short_one_is_not() -> None:
    found = timeline(rows_of([(1000, 100, 0), (1300, 100, 0), (900_000, 100, 1)]))
    assert found is not None
    assert len(found.cuts) == 1
    first, second = found.lanes
    assert len(first.spans) == 2  # the pause of 200 s is seen
    assert second.spans[0][0] > first.spans[-1][1]
    assert 0.1 < second.spans[0][1] - second.spans[0][0] < 0.3


def test_rows_without_a_time_have_no_lanes() -> None:
    rows = rows_of([(1, 1.0, 0)])
    assert timeline(whole_rows(rows.index, (3,), time=np.zeros(1, "<u4"))) is None
