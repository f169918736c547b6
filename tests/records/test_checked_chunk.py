"""A chunk counts only where it holds the values of all its rows."""

from __future__ import annotations

import numpy as np
import pytest

from swarmgrid.errors import DamageError
from swarmgrid.format.chunk_io import chunk_key, encoded_chunk, write_points
from swarmgrid.format.segment import Rows
from swarmgrid.outputs.outputs import Output, Schema
from swarmgrid.records.checked_chunk import DIFFERS, computed_chunk, wrong_rows
from swarmgrid.records.manifest import Manifest
from swarmgrid.space.points import Points
from swarmgrid.store.directory import FileBlobs
from tests.stores.grids import new_grid

INDEX = (1, 0)
GRID = new_grid(
    {"s": [1, 2, 3, 4], "k": ["a", "b"]},
    {"s": 2, "k": 2},
    Schema({"n": Output(dtype="int64"), "x": Output(("t",), (3,))}),
)
VALUES = {"n": np.arange(4).reshape(2, 2), "x": np.arange(12.0).reshape(2, 2, 3)}
MASK = np.array([[True, True], [False, True]])


def manifest_of(files: FileBlobs, *points: Points) -> Manifest:
    """The rows that a run has committed for parts of the chunk, or all of it."""
    rows = [write_points(files, GRID, INDEX, dict(VALUES), one, 0.5)[0] for one in points]
    return Manifest(Rows.from_rows(rows, 2, 2), {})


@pytest.mark.parametrize(
    ("points", "changed", "expected"),
    [
        pytest.param([Points((2, 2))], None, [], id="all as computed"),
        pytest.param([Points((2, 2))], (1, 0), [0], id="one value of a whole chunk"),
        pytest.param([Points.from_mask(MASK)], (1, 0), [], id="a point that no row has"),
        pytest.param([Points.from_mask(MASK)], (1, 1), [0], id="a point of a part"),
        pytest.param([Points((1, 2)), Points((2, 2))], (0, 1), [0, 1], id="a point of two rows"),
        pytest.param([Points((1, 2)), Points((2, 2))], (1, 1), [1], id="a point of the second"),
        pytest.param([], (0, 0), [], id="no rows at all"),
    ],
)
def test_the_rows_are_told_whose_values_a_chunk_does_not_hold(
    files: FileBlobs,
    points: list[Points],
    changed: tuple[int, int] | None,
    expected: list[int],
) -> None:
    manifest, block = manifest_of(files, *points), VALUES["x"].copy()
    if changed is not None:
        block[(*changed, 2)] += 1.0
    assert [*wrong_rows(GRID, manifest, "x", INDEX, block)] == expected
    assert [*wrong_rows(GRID, manifest, "n", INDEX, VALUES["n"])] == []  # of the other output
    data, key = encoded_chunk(GRID, "x", block), chunk_key(GRID, "x", INDEX)
    if expected:
        with pytest.raises(DamageError) as caught:
            computed_chunk(data, key, GRID, manifest, "x", INDEX)
        assert (caught.value.key, caught.value.reason) == (key, DIFFERS)
    else:
        found = computed_chunk(data, key, GRID, manifest, "x", INDEX)
        np.testing.assert_array_equal(found, block)


@pytest.mark.parametrize("data", [None, b"", b"no chunk"])
def test_a_chunk_that_is_gone_or_broken_is_damage(files: FileBlobs, data: bytes | None) -> None:
    with pytest.raises(DamageError, match=r"c\.1\.0"):
        computed_chunk(data, "x/c.1.0", GRID, manifest_of(files, Points((2, 2))), "x", INDEX)
