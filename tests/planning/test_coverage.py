"""Which requested points are computed: the same as with sets of points."""

from __future__ import annotations

import itertools
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swarmgrid
from swarmgrid.format.segment import Row
from swarmgrid.planning.coverage import Coverage
from swarmgrid.space.chunks import MAX_CHUNKS, check_n_chunks
from swarmgrid.space.points import Points
from swarmgrid.space.selection import AxisSelection, Selection
from tests.records.test_manifest import Point, computed_points, manifest, scenes


def coverage_of(
    chunk_shape: Point, rows: list[Row], requested: list[list[int]], chosen: Any
) -> Coverage:
    axes = zip(requested, chunk_shape, strict=True)
    selection = Selection(tuple(AxisSelection(np.array(p, np.intp), n) for p, n in axes))
    complete, partial = manifest(rows, len(chunk_shape)).coverage(selection)
    return Coverage(cast("Any", None), selection, chosen, complete, partial)


@given(scenes(), st.data())
def test_counts_and_masks_are_those_of_sets_of_points(
    scene: tuple[Point, list[Row], list[list[int]]], data: st.DataObject
) -> None:
    chunk_shape, rows, requested = scene
    shape = tuple(map(len, requested))
    chosen = None
    if data.draw(st.booleans()):
        n = int(np.prod(shape))
        chosen = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
        chosen = chosen.reshape(shape)
    coverage = coverage_of(chunk_shape, rows, requested, chosen)
    computed = computed_points(chunk_shape, rows)
    places = [data.draw(st.lists(st.integers(0, n - 1)) if n else st.just([])) for n in shape]

    def is_chosen(at: Point) -> bool:
        return chosen is None or bool(chosen[at])

    def expected(at: Point) -> bool:
        return (
            is_chosen(at) and tuple(r[i] for r, i in zip(requested, at, strict=True)) in computed
        )

    every = list(itertools.product(*map(range, shape)))
    assert coverage.n_missing() == sum(is_chosen(at) and not expected(at) for at in every)
    assert coverage.has_missing() == (chosen is not None or not all(map(expected, every)))
    assert coverage.is_computed().ravel().tolist() == list(map(expected, every))
    part = coverage.is_computed([np.array(along, np.intp) for along in places])
    assert part.ravel().tolist() == [expected(at) for at in itertools.product(*places)]


@given(
    st.lists(st.integers(0, 4), max_size=3).flatmap(
        lambda shape: st.tuples(
            st.just(tuple(shape)), st.lists(st.booleans(), min_size=64, max_size=64)
        )
    ),
    st.lists(st.integers(0, 5), min_size=3, max_size=3),
)
def test_points_are_the_same_by_a_mask_and_by_themselves(
    case: tuple[Point, list[bool]], to: list[int]
) -> None:
    shape, bits = case
    mask = np.array(bits[: int(np.prod(shape))], bool).reshape(shape)
    points = Points.from_mask(mask)
    block = np.arange(mask.size * 2).reshape(*shape, 2)
    np.testing.assert_array_equal(points.of(block), block[mask])
    assert [at for at in np.ndindex(*shape) if at in points] == [
        at for at in np.ndindex(*shape) if mask[at]
    ]
    other = tuple(to[: len(shape)])  # larger, or smaller than the points are
    both = tuple(map(slice, map(min, shape, other)))
    clipped = np.zeros(other, bool)
    clipped[both] = mask[both]
    np.testing.assert_array_equal(points.mask(other), clipped)


def test_a_request_of_more_chunks_than_can_be_counted_is_refused() -> None:
    check_n_chunks((MAX_CHUNKS,))
    with pytest.raises(swarmgrid.ChunksError, match=r"\(8192 x 8193\).*fewer values at once"):
        check_n_chunks((8192, 8193))


def test_chunks_that_are_not_asked_for_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = np.zeros((300, 200), bool)
    chosen[7, 8] = chosen[299, 199] = True
    coverage = coverage_of((1, 2), [], [list(range(300)), list(range(200))], chosen)
    looked = []
    plain = Coverage.missing_mask

    def noted(self: Coverage, touched: Point) -> Any:
        looked.append(touched)
        return plain(self, touched)

    monkeypatch.setattr(Coverage, "missing_mask", noted)
    assert coverage.n_missing() == 2
    assert [part.index for part in coverage.parts()] == [(7, 4), (299, 99)]
    assert len(looked) == 4
