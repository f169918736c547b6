"""The chunks that a request touches, against numpy's indexing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarmgrid.space.selection import AxisSelection, Selection, outer_index


@st.composite
def selections(draw: st.DrawFn) -> Selection:
    axes = []
    for _ in range(draw(st.integers(0, 3))):
        positions = draw(st.lists(st.integers(0, 11), unique=True, max_size=6))
        axes.append(AxisSelection(np.array(positions, np.intp), draw(st.integers(1, 5))))
    return Selection(tuple(axes))


def stored_array(selection: Selection) -> np.ndarray:
    """A grid of whole chunks, every element different."""
    shape = tuple(12 + 5 for _ in selection.axes)
    return np.arange(np.prod(shape, dtype=int)).reshape(shape)


@given(selections())
@example(Selection(()))
def test_reading_chunk_by_chunk_gives_what_numpy_takes(selection: Selection) -> None:
    stored = stored_array(selection)
    out = np.full(selection.shape, -1)
    for touched in selection.touched():
        index = selection.chunk_index(touched)
        chunk = stored[
            tuple(
                slice(i * n, (i + 1) * n)
                for i, n in zip(index, selection.chunk_shape, strict=True)
            )
        ]
        out[np.ix_(*selection.request_block(touched))] = chunk[
            np.ix_(*selection.chunk_block(touched))
        ]
    expected = stored[np.ix_(*(axis.positions for axis in selection.axes))]
    np.testing.assert_array_equal(out, expected)
    assert selection.size == expected.size


@given(selections())
def test_every_touched_chunk_holds_a_requested_point_and_no_other_does(
    selection: Selection,
) -> None:
    touched = [selection.chunk_index(t) for t in selection.touched()]
    points = itertools.product(*(axis.positions.tolist() for axis in selection.axes))
    chunks = {
        tuple(p // n for p, n in zip(point, selection.chunk_shape, strict=True))
        for point in points
    }
    assert touched == sorted(chunks)
    assert len(touched) == np.prod(selection.grid_shape, dtype=int)


@given(selections())
def test_the_requested_mask_holds_each_requested_point_of_the_chunk(selection: Selection) -> None:
    total = 0
    for touched in selection.touched():
        mask = selection.requested_mask(touched)
        origin = np.multiply(selection.chunk_index(touched), selection.chunk_shape)
        for within in np.argwhere(mask):
            assert all(
                p in axis.positions
                for p, axis in zip(origin + within, selection.axes, strict=True)
            )
        total += int(mask.sum())
    assert total == selection.size


@given(selections())
def test_needed_says_how_long_a_prefix_of_each_bin_covers_the_request(
    selection: Selection,
) -> None:
    for axis in selection.axes:
        for place, number in enumerate(axis.bins.tolist()):
            within = [
                p % axis.length for p in axis.positions.tolist() if p // axis.length == number
            ]
            assert axis.needed[place] == max(within) + 1


blocks = st.lists(
    st.lists(st.integers(0, 6), unique=True, max_size=5).map(lambda i: np.array(i, np.intp))
    | st.integers(0, 3).map(lambda n: np.arange(n, n + 3)),
    min_size=1,
    max_size=3,
).map(tuple)


@given(blocks)
@example((np.array([2, 1, 0]),))
@example((np.array([0, 2, 1, 3]),))
def test_an_orthogonal_index_takes_what_numpy_takes(block: tuple[np.ndarray, ...]) -> None:
    values = np.arange(7 ** len(block)).reshape((7,) * len(block))
    np.testing.assert_array_equal(values[outer_index(block)], values[np.ix_(*block)])


@pytest.mark.parametrize(
    ("indices", "is_sliced"),
    [([3], True), ([1, 2, 3], True), ([1, 3], False), ([2, 1], False), ([0, 2, 1, 3], False)],
    ids=str,
)
def test_only_consecutive_indices_become_slices(indices: list[int], is_sliced: bool) -> None:
    (index,) = outer_index((np.array(indices),))
    assert isinstance(index, slice) == is_sliced
