"""The metrics are in the format of Prometheus, whatever functions are called."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.live.feed import row_of
from swarmgrid.live.metrics import metrics
from tests.pictures.looks import ID, row

LINE = re.compile(r'([a-z_]+)(\{function="((?:[^"\\\n]|\\.)*)",grid="([^"]*)"\})? (-?[\d.e+-]+)')


@given(st.text())
def test_every_line_is_a_sample_or_a_comment(function: str) -> None:
    about = row(function=function, points_total=9, points_computed=4, seconds=1.5)
    text = metrics([row_of(about, "working", None)])
    assert text.endswith("\n")
    found = {}
    for line in text[:-1].split("\n"):
        if not line.startswith("# "):
            sample = LINE.fullmatch(line)
            assert sample is not None, line
            found[sample[1]] = float(sample[5])
    assert found["swarmgrid_grids"] == 1
    assert found["swarmgrid_grid_points"] == 9
    assert found["swarmgrid_grid_points_computed"] == 4
    assert found["swarmgrid_grid_is_working"] == 1
    assert f'grid="{ID}"' in text
