"""A stored grid as a part of another one: numpy says what its values are there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.errors import DamageError, InputError
from swarmgrid.format.chunk_io import chunk_key, empty_block, write_points
from swarmgrid.format.segment import Rows
from swarmgrid.outputs.outputs import Output, Schema
from swarmgrid.records.grid_state import GridState
from swarmgrid.records.manifest import Manifest
from swarmgrid.space.axis import to_axis
from swarmgrid.space.points import Points
from swarmgrid.store.directory import FileBlobs
from swarmgrid.transfer.source import to_source
from tests.stores.grids import new_grid

GRID = new_grid(
    {"s": [1, 2, 3], "k": ["a", "b", "c", "d"]},
    {"s": 2, "k": 2},
    Schema({"v": Output(("t",), (2,), "int64")}),
)
VALUES = np.arange(24).reshape(3, 4, 2)
COMPUTED = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1]], bool)
"""Of four chunks one is computed in part, one as a whole, and two are not computed."""
CONSTANT = to_axis("q", [7])


def stored(files: FileBlobs) -> GridState:
    """The grid, with one row for each chunk that has computed points."""
    rows = []
    for index in np.ndindex(2, 2):
        box = tuple(slice(2 * i, 2 * i + 2) for i in index)
        block, mask = empty_block(GRID), np.zeros((2, 2), bool)
        inside = tuple(slice(n) for n in COMPUTED[box].shape)
        block["v"][inside], mask[inside] = VALUES[box], COMPUTED[box]
        if mask.any():
            rows.append(write_points(files, GRID, index, block, Points.from_mask(mask), 0.5)[0])
    return GridState(GRID, Manifest(Rows.from_rows(rows, 2, 1), {}))


@given(
    st.permutations(["s", "k", "q"]),
    st.lists(st.integers(0, 2), min_size=1, max_size=4),
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
)
def test_values_and_rows_stand_where_numpy_would_put_them(
    files: FileBlobs, order: list[str], s: list[int], k: list[int]
) -> None:
    source = to_source(files, stored(files), order=order, constants=[CONSTANT])
    assert source.names == tuple(order)
    asked = {"s": np.array(s), "k": np.array(k), "q": np.zeros(1, np.intp)}
    places, reader = [asked[name] for name in order], source.reader()
    turn = [["s", "k", "q"].index(name) for name in order]
    is_computed = COMPUTED[np.ix_(s, k)][..., None].transpose(turn)
    np.testing.assert_array_equal(reader.rows_at(places) >= 0, is_computed)
    expected = VALUES[np.ix_(s, k)][:, :, None].transpose([*turn, 3])
    found = reader.values_at(places)["v"]
    np.testing.assert_array_equal(found[is_computed], expected[is_computed])


def test_axes_get_new_names_and_constants_are_chunks_of_one(files: FileBlobs) -> None:
    source = to_source(files, stored(files), renamed={"s": "seed"}, constants=[CONSTANT])
    assert source.names == ("q", "seed", "k")
    assert source.own_names == {"s": "seed", "k": "k"}
    assert source.chunk_lengths(GRID.chunk_shape) == (1, 2, 2)


@pytest.mark.parametrize(
    "given_",
    [
        pytest.param({"order": ["s"]}, id="an axis is missing"),
        pytest.param({"order": ["s", "k", "z"]}, id="an axis of no name that it has"),
        pytest.param({"renamed": {"s": "k"}}, id="two axes of one name"),
    ],
)
def test_other_axes_than_the_grid_has_are_refused(files: FileBlobs, given_: Any) -> None:
    with pytest.raises(InputError, match="the grid has the axes"):
        to_source(files, stored(files), **given_)


def test_a_value_that_changed_since_is_damage_and_not_taken(files: FileBlobs) -> None:
    source = to_source(files, stored(files))
    files.delete(chunk_key(GRID, "v", (1, 1)))
    reader = source.reader()
    reader.values_at([np.array([0]), np.array([0])])  # of a sound chunk
    with pytest.raises(DamageError, match=r"c\.1\.1"):
        reader.values_at([np.array([2]), np.array([2])])
