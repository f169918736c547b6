"""Rows spread over points, and added up for chunks, are what plain masks say."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.format.segment import Row, Rows
from swarmgrid.records.manifest import Manifest
from swarmgrid.records.row_values import chunk_totals, n_points, row_values
from swarmgrid.space.points import Points
from swarmgrid.space.selection import AxisSelection, Selection

LENGTHS, CHUNK = (7, 5), (3, 2)
DRAWN = st.tuples(
    st.integers(0, 2),
    st.integers(0, 2),
    st.lists(st.booleans(), min_size=6, max_size=6).filter(any),
)
INDEX = [st.lists(st.integers(0, n - 1), max_size=6) for n in LENGTHS]


@given(st.lists(DRAWN, max_size=6), *INDEX)
def test_each_point_has_the_value_of_its_row(
    drawn: list[tuple[int, int, list[bool]]], first: list[int], second: list[int]
) -> None:
    rows, values = [], np.arange(1.0, len(drawn) + 1)
    whole = np.zeros((9, 6))
    taken = np.zeros((9, 6), bool)
    for (i, j, bits), value in zip(drawn, values, strict=True):
        box = (slice(3 * i, 3 * i + 3), slice(2 * j, 2 * j + 2))
        mask = np.array(bits).reshape(CHUNK) & ~taken[box]  # a point is computed once
        if not mask.any():
            mask = np.zeros(CHUNK, bool)
            continue
        rows.append((Row(bytes(16), (i, j), Points.from_mask(mask), (7,), 0.5), value))
        whole[box][mask] = value
        taken[box] |= mask
    manifest = Manifest(Rows.from_rows([row for row, _ in rows], 2, 1), {})
    at = [np.array(p, np.intp) for p in (first, second)]
    selection = Selection(tuple(AxisSelection(p, n) for p, n in zip(at, CHUNK, strict=True)))
    found = row_values(manifest, selection, np.array([v for _, v in rows]), 0.0)
    np.testing.assert_array_equal(found, whole[np.ix_(*at)])


@given(st.lists(DRAWN, max_size=8), st.sampled_from([1, 10**9 // 3]))
def test_the_totals_of_a_chunk_count_each_point_once(
    drawn: list[tuple[int, int, list[bool]]], far: int
) -> None:
    rows, masks, seconds = [], {}, {}
    for number, (i, j, bits) in enumerate(drawn):
        mask, index = np.array(bits).reshape(CHUNK), (i * far, j * far)
        rows.append(Row(bytes(16), index, Points.from_mask(mask), (7,), 0.25 * number))
        masks[index] = masks.get(index, False) | mask
        seconds[index] = seconds.get(index, 0.0) + 0.25 * number
    columns = Rows.from_rows(rows, 2, 1)
    assert n_points(columns).tolist() == [len(row.points) for row in rows]
    found = chunk_totals(columns, CHUNK)
    by_chunk = list(map(tuple, found.index.tolist()))
    assert dict(zip(by_chunk, found.points.tolist(), strict=True)) == {
        index: mask.sum() for index, mask in masks.items()
    }
    assert dict(zip(by_chunk, found.seconds.tolist(), strict=True)) == seconds
