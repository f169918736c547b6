"""What the inventory counts of a grid is what plain masks say."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.format.segment import Row, Rows
from swarmgrid.inventory.brief import axis_brief, measured
from swarmgrid.inventory.row import AxisBrief
from swarmgrid.records.manifest import Manifest
from swarmgrid.space.axis import to_axis
from swarmgrid.space.points import Points

SHAPE = (2, 3)
MASKS = st.lists(st.booleans(), min_size=6, max_size=6).filter(any)
LARGE = 2**31 - 1
DRAWN = st.tuples(
    st.tuples(st.sampled_from([0, 1, LARGE]), st.sampled_from([0, 2, LARGE])),
    st.one_of(MASKS, st.just([True] * 6)),
    st.integers(0, 100),
)


@given(st.lists(DRAWN, max_size=8))
def test_points_chunks_and_bytes_are_counted_once(
    drawn: list[tuple[tuple[int, int], list[bool], int]],
) -> None:
    rows, masks, sizes = [], {}, {}
    for index, bits, nbytes in drawn:
        mask = np.array(bits).reshape(SHAPE)
        rows.append(Row(bytes(16), index, Points.from_mask(mask), (7,), 0.5, chunk_bytes=nbytes))
        masks[index] = masks.get(index, False) | mask
        sizes[index] = max(sizes.get(index, 0), nbytes)
    found = measured(Manifest(Rows.from_rows(rows, 2, 1), {}), SHAPE)
    assert found == (sum(int(m.sum()) for m in masks.values()), len(masks), sum(sizes.values()))


def test_a_grid_without_axes_has_one_chunk() -> None:
    rows = Rows.from_rows([Row(bytes(16), (), Points(()), (7,), 0.5, chunk_bytes=9)] * 2, 0, 1)
    assert measured(Manifest(rows, {}), ()) == (1, 1, 9)


def test_more_axes_than_a_number_has_room_for_are_counted_too() -> None:
    indices = [(LARGE, LARGE, LARGE), (LARGE, LARGE, 0), (LARGE, LARGE, LARGE)]
    rows = [
        Row(bytes(16), index, Points((1, 1, 1)), (7,), 0.5, chunk_bytes=1) for index in indices
    ]
    assert measured(Manifest(Rows.from_rows(rows, 3, 1), {}), (1, 1, 1)) == (2, 2, 2)


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 1, 2], AxisBrief("int", 3, 1, 3)),
        ([0.5, -1.0], AxisBrief("float", 2, -1.0, 0.5)),
        ([0.5, np.inf], AxisBrief("float", 2, 0.5, "inf")),
        ([True, False], AxisBrief("bool", 2, False, True)),
        (["b", "a", "x" * 99], AxisBrief("str", 3, "a", "x" * 80)),
        (
            np.array(["2000-01-02", "1999-12-31T01"], "M8[ns]"),
            AxisBrief("datetime", 2, "1999-12-31T01:00:00", "2000-01-02T00:00:00"),
        ),
        (np.array([90, 3600], "m8[s]"), AxisBrief("timedelta", 2, "90 s", "3600 s")),
        ([Colour.RED], AxisBrief("enum", 1)),
        ([], AxisBrief("float", 0)),
    ],
    ids=str,
)
def test_an_axis_says_its_length_and_ends(values: Any, expected: AxisBrief) -> None:
    assert axis_brief(to_axis("x", values)) == expected
