"""The pace follows from the rows of the last minute, with a band that holds the true one."""

from __future__ import annotations

import numpy as np
import pytest

from swarmgrid.live.pace import pace
from tests.pictures.looks import whole_rows

NOW = 1_700_000_000.0


def rows_at(times: list[float], points: int = 4):
    n = len(times)
    return whole_rows(np.arange(n).reshape(n, 1), (points,), time=np.array(times, "<u4"))


@pytest.mark.parametrize("each", [0.1, 1.0, 5.0, 30.0, 300.0])
def test_an_even_pace_is_found_at_any_speed(each: float) -> None:
    times = (NOW - np.arange(0, 200 * each, each)).tolist()
    found = pace(rows_at(times), NOW)
    assert found is not None
    assert found.mean == pytest.approx(4 / each, rel=0.15)
    assert found.low <= 4 / each * 1.1
    assert found.high >= 4 / each * 0.9
    middle, least, most = found.seconds_left(400)
    assert least <= middle <= most
    assert middle == pytest.approx(100 * each, rel=0.2)


def test_an_uneven_pace_has_a_wider_band() -> None:
    even = pace(rows_at((NOW - np.arange(0, 60, 1)).tolist()), NOW)
    seconds = [2] * 40 + [50] * 10 + [30] * 5 + [20, 10]
    uneven = pace(rows_at([NOW - second for second in seconds]), NOW)
    assert even is not None
    assert uneven is not None
    assert uneven.high / uneven.low > 1.5 * even.high / even.low


def test_a_pace_falls_when_no_more_points_come() -> None:
    times = (NOW - np.arange(0, 60, 1)).tolist()
    paces = [pace(rows_at(times), NOW + late) for late in (0, 20, 50)]
    means = [found.mean for found in paces if found is not None]
    assert means == sorted(means, reverse=True)
    assert means[0] > 2 * means[-1]
    assert pace(rows_at(times), NOW + 10**6) is None
    assert pace(rows_at([]), NOW) is None
