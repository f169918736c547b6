"""A map says of each cell what plain masks over the points say."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.errors import InputError
from swarmgrid.format.segment import Row, Rows
from swarmgrid.pictures import chunk_map
from swarmgrid.pictures.chunk_map import COMPUTED, FAILED, MISSING, GridMap, chosen_axes, grid_map
from swarmgrid.records.manifest import Manifest
from swarmgrid.space.axis import to_axis
from swarmgrid.space.points import Points
from tests.pictures.looks import failure, look, many_chunks, stored_grid, whole_rows

NAMES = ("a", "b", "c", "d")


@st.composite
def drawn_grids(draw: Any) -> tuple[Any, Any, Any, Any]:
    """A grid, its rows, its failures, and for each point: missing, computed or failed."""
    n_axes = draw(st.integers(0, 4))
    lengths = [draw(st.integers(1, 6)) for _ in range(n_axes)]
    chunks = [draw(st.integers(1, 4)) for _ in range(n_axes)]
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    values = [rng.permutation(n).tolist() for n in lengths]
    grid = stored_grid(dict(zip(NAMES, values, strict=False)), chunks)
    status = np.zeros(lengths, int)
    rows, failures = [], []
    counts = [range(-(-n // c)) for n, c in zip(lengths, chunks, strict=True)]
    for index in itertools.product(*counts):
        box = (slice(i * c, (i + 1) * c) for i, c in zip(index, chunks, strict=True))
        part = status[(..., *box)]
        for _ in range(rng.integers(0, 3)):
            is_new = (rng.random(part.shape) < rng.choice([0.6, 1.0])) & (part != 1)
            mask = np.zeros(chunks, bool)
            mask[(..., *map(slice, part.shape))] = is_new
            if is_new.any():
                points = Points.from_mask(mask)
                rows.append(Row(bytes(16), index, points, (7,), 0.5 * len(points)))
                part[is_new] = 1
        if part.flat[0] == 0 and rng.random() < 0.3:
            failures.append(failure(index, (0,) * n_axes))
            part.flat[0] = 2
    manifest = Manifest(Rows.from_rows(rows, n_axes, 1), {})
    order = np.ix_(*(np.argsort(v) for v in values)) if values else ()
    return grid, manifest, failures, (status, status[order])


def check_whole(found: GridMap, status: Any) -> None:
    """The sums of a map are those of the points."""
    assert found.total.sum() == status.size
    assert found.computed.sum() == (status == 1).sum()
    assert found.failed.sum() == (status == 2).sum()
    assert math.isclose(found.seconds.sum(), 0.5 * (status == 1).sum(), abs_tol=1e-4)
    shape = tuple(map(len, (found.facet, found.y, found.x)))
    assert found.total.shape == found.computed.shape == shape


@given(drawn_grids())
def test_cells_of_points_are_in_the_order_of_their_values(drawn: Any) -> None:
    grid, manifest, failures, (_, status) = drawn
    found = grid_map(grid, manifest, failures)
    check_whole(found, status)
    facet, y, x = chosen_axes(grid.axes)
    rest = tuple(d for d in range(status.ndim) if d not in {facet, y, x})
    for column, value in ((found.computed, 1), (found.failed, 2)):
        expected = (status == value).sum(axis=rest)
        used = [d for d in range(status.ndim) if d not in rest]
        expected = np.transpose(expected, [used.index(d) for d in (facet, y, x) if d is not None])
        assert column.squeeze().tolist() == expected.squeeze().tolist()


@given(drawn_grids(), st.integers(1, 3))
def test_cells_of_chunks_add_up_what_lies_in_them(drawn: Any, most: int) -> None:
    grid, manifest, failures, (status, _) = drawn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunk_map, "MAX_POINTS", -1)
        patch.setattr(chunk_map, "MAX_CELLS", most)
        patch.setattr(chunk_map, "MAX_FACETS", 2)
        found = grid_map(grid, manifest, failures)
        numbers = chosen_axes(grid.axes)
    check_whole(found, status)
    assert max(found.total.shape[1:]) <= most
    expected = np.zeros(found.total.shape, int)
    totals = np.zeros(found.total.shape, int)
    for place in np.ndindex(status.shape):
        cell = []
        for k, d in enumerate(numbers):
            if d is None or found.total.shape[k] == 1:
                cell.append(0)
                continue
            chunk, n = grid.chunk_shape[d], -(-status.shape[d] // grid.chunk_shape[d])
            edges = [i * n // found.total.shape[k] for i in range(found.total.shape[k] + 1)]
            cell.append(max(i for i, edge in enumerate(edges[:-1]) if edge <= place[d] // chunk))
        totals[tuple(cell)] += 1
        expected[tuple(cell)] += status[place] == 1
    assert found.total.tolist() == totals.tolist()
    assert found.computed.tolist() == expected.tolist()


@given(drawn_grids())
def test_a_coarser_map_has_the_same_sums(drawn: Any) -> None:
    grid, manifest, failures, (_, status) = drawn
    check_whole(grid_map(grid, manifest, failures).coarser(), status)


def test_a_cell_with_a_failure_is_failed_and_a_full_one_computed() -> None:
    grid = stored_grid({"a": range(3)}, (1,))
    rows = whole_rows(np.array([[0]]), (1,))
    found = grid_map(grid, Manifest(rows, {}), [failure((1,), (0,))])
    assert found.states().tolist() == [[[COMPUTED, FAILED, MISSING]]]
    assert found.cost()[0, 0, 0] == 1.0
    assert np.isnan(found.cost()[0, 0, 1:]).all()


def test_a_million_chunks_are_no_more_than_256_by_256_cells() -> None:
    big = many_chunks(10**6)
    found = grid_map(big.state.grid, big.state.manifest, big.failures)
    assert found.total.shape == (1, 250, 250) or max(found.total.shape) <= 256
    assert found.total.sum() == 10**6
    assert found.computed.sum() == 700_000
    assert found.x.labels[0].startswith("0 … ")


def test_the_two_longest_axes_are_chosen_and_a_short_third_one_makes_facets() -> None:
    axes = [to_axis(n, list(range(k))) for n, k in zip(NAMES, (3, 50, 8, 90), strict=True)]
    assert chosen_axes(axes) == (0, 1, 3)
    assert chosen_axes(axes, x="a") == (None, 3, 0)
    assert chosen_axes(axes, x="c", y="b") == (0, 1, 2)
    assert chosen_axes(axes[:1]) == (None, None, 0)
    assert chosen_axes([]) == (None, None, None)


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [("e", None, "x is 'e', which is no axis; the axes are a"), ("a", "a", "expected two axes")],
)
def test_an_axis_that_is_none_is_an_error(x: str, y: str | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        chosen_axes([to_axis("a", [1, 2])], x, y)


def test_no_value_of_a_grid_is_needed() -> None:
    grid = stored_grid({"a": range(4)}, (2,))
    found = look(grid, whole_rows(np.array([[1]]), (2,)))
    assert grid_map(found.state.grid, found.state.manifest).computed.tolist() == [[[0, 0, 1, 1]]]
