"""Sets of points within a chunk, against their masks."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from swarmgrid.space.points import Points, boxes

masks = hnp.arrays(
    bool,
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=5),
    elements=st.booleans(),
    fill=st.nothing(),
)
SCALARS = [np.array(True), np.array(False)]


def in_c_order(mask: np.ndarray) -> list[list[int]]:
    return [list(index) for index in np.ndindex(mask.shape) if mask[index]]


@given(masks)
@example(SCALARS[0])
@example(SCALARS[1])
@example(np.zeros((2, 3), bool))
@example(np.ones((2, 3), bool))
def test_a_mask_survives_being_packed(mask: np.ndarray) -> None:
    points = Points.from_mask(mask)
    assert len(points) == mask.sum()
    np.testing.assert_array_equal(points.mask(mask.shape), mask)
    assert points.indices().tolist() == in_c_order(mask)
    assert points.indices().shape == (mask.sum(), mask.ndim)


@given(masks)
def test_the_extent_is_the_smallest_box_from_the_origin(mask: np.ndarray) -> None:
    indices = in_c_order(mask)
    expected = [max((i[d] + 1 for i in indices), default=0) for d in range(mask.ndim)]
    assert list(Points.from_mask(mask).extent) == expected


@given(masks)
def test_a_whole_box_needs_no_bitmap(mask: np.ndarray) -> None:
    points = Points.from_mask(mask)
    if mask.ndim or mask:
        assert (points.bits is None) == (len(points) == math.prod(points.extent))


@pytest.mark.parametrize("index", [(), (0,), (3,), (0, 0), (2, 1), (1, 0, 2)], ids=str)
def test_one_point_is_its_index(index: tuple[int, ...]) -> None:
    points = Points.at(index)
    assert len(points) == 1
    assert points.indices().tolist() == [list(index)]


@given(masks, st.integers(-1, 130))
def test_a_divided_set_has_its_first_points_in_the_first_part(mask: np.ndarray, n: int) -> None:
    points = Points.from_mask(mask)
    first, rest = points.divided_at(n)
    everything = in_c_order(mask)
    n = max(n, 0)
    for part, expected in ((first, everything[:n]), (rest, everything[n:])):
        if part is None:
            assert expected == []
        else:
            assert part.indices().tolist() == expected
    assert first is not None or rest is not None


@given(masks, st.data())
def test_a_subset_has_the_points_kept(mask: np.ndarray, data: st.DataObject) -> None:
    everything = in_c_order(mask)
    keep = data.draw(st.lists(st.booleans(), min_size=len(everything), max_size=len(everything)))
    part = Points.from_mask(mask).subset(np.array(keep, bool))
    expected = [index for index, is_kept in zip(everything, keep, strict=True) if is_kept]
    assert ([] if part is None else part.indices().tolist()) == expected


@given(masks)
@example(SCALARS[0])
def test_boxes_are_disjoint_and_cover_exactly_the_mask(mask: np.ndarray) -> None:
    covered = np.zeros(mask.shape, int)
    found = boxes(mask)
    for box in found:
        assert len(box) == mask.ndim
        covered[box] += 1
    np.testing.assert_array_equal(covered, mask.astype(int))
    assert found == sorted(found, key=lambda box: [edge.start for edge in box])
    assert len(found) <= min((n_runs(mask, d) for d in range(mask.ndim)), default=1)


def n_runs(mask: np.ndarray, axis: int) -> int:
    """How many times the points along one axis begin."""
    lines = np.moveaxis(mask, axis, -1).reshape(-1, mask.shape[axis])
    return sum(
        bool(line[i]) and not (i and line[i - 1]) for line in lines for i in range(len(line))
    )


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3)), min_size=1, max_size=4))
def test_a_box_that_grew_lacks_one_box_per_axis_that_grew(growth: list[tuple[int, int]]) -> None:
    mask = np.ones([old + new for old, new in growth], bool)
    mask[tuple(slice(old) for old, _ in growth)] = False
    assert len(boxes(mask)) == sum(new > 0 for _, new in growth)


@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=6))
def test_one_box_anywhere_is_found_as_one(data: st.DataObject, shape: tuple[int, ...]) -> None:
    mask = np.zeros(shape, bool)
    corner = [data.draw(st.integers(0, n - 1)) for n in shape]
    box = tuple(
        slice(i, data.draw(st.integers(i + 1, n))) for i, n in zip(corner, shape, strict=True)
    )
    mask[box] = True
    assert boxes(mask) == [box]


def test_finding_boxes_takes_as_many_steps_for_many_points_as_for_few() -> None:
    steps = []
    for n in (10, 10, 10_000):  # the first time, numpy makes ready what it needs
        mask = np.zeros((n, 11), bool)
        mask[:, 10] = mask[n // 2 :, 0] = True
        n_steps = 0

        def count(*_: object) -> None:
            nonlocal n_steps
            n_steps += 1

        sys.setprofile(count)
        try:
            found = boxes(mask)
        finally:
            sys.setprofile(None)
        assert len(found) == 2
        steps.append(n_steps)
    assert steps[2] == steps[1]


@pytest.mark.parametrize("shape", [(), (4,), (3, 4), (2, 3, 4)], ids=str)
def test_a_full_mask_is_one_box(shape: tuple[int, ...]) -> None:
    assert boxes(np.ones(shape, bool)) == [tuple(slice(0, n) for n in shape)]


def test_finding_boxes_leaves_the_mask_alone() -> None:
    mask = np.eye(3, dtype=bool)
    boxes(mask)
    np.testing.assert_array_equal(mask, np.eye(3, dtype=bool))
