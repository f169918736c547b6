"""Points as a user enumerates them: which are refused, and which chunks the others make."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid import InputError
from swarmgrid.memo.enumerated_points import enumerated

AXES = {"strat": ["a", "b"], "s": [1, 2, 3]}
ONE = {"s": [1, 2, 3]}

REFUSED: dict[str, tuple[Any, list[Any], str]] = {
    "an extra field": (AXES, [("a", 1, 0), ("a", 1, 1)], r"the point \('a', 1, 0\); expected"),
    "an extra key": (AXES, [{"strat": "a", "s": 1, "rep": 0}], "with exactly these keys"),
    "a value missing": (AXES, [("a",)], r"one value per axis, in the order \(strat, s\)"),
    "a key missing": (AXES, [{"s": 1}], "belongs in split_spec as an axis of its own"),
    "a bare value of two axes": (AXES, ["a"], "the point 'a'; expected every point as a tuple"),
    "a list": (AXES, [["a", 1]], r"the point \['a', 1\]"),
    "two forms": (AXES, [("a", 1), {"strat": "a", "s": 2}], "the point {'strat': 'a', 's': 2}"),
    "a tuple after bare values": (ONE, [1, (2,)], r"the point \(2,\)"),
    "a value that no axis has": (AXES, [("a", 4)], "4 is not among the values of axis 's'"),
    "the other order": (
        AXES,
        [(1, "a")],
        "1 is not among the values of axis 'strat'.*axis_order=",
    ),
    "a list as a value": (AXES, [("a", [1])], r"\[1\] is not among the values of axis 's'"),
    "a point twice": (AXES, [("a", 1), ("b", 1), ("a", 1)], r"the point \('a', 1\) twice"),
    "a value twice": (ONE, [1, 2, 2], "the point 2 twice"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_points_that_are_no_cells_of_the_product_are_refused(case: str) -> None:
    axes, points, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        enumerated(points, axes)


@pytest.mark.parametrize(
    ("points", "axes", "form"),
    [
        ([("b", 3), ("a", 1)], AXES, "tuple"),
        ([{"s": 3, "strat": "b"}, {"strat": "a", "s": 1}], AXES, "dict"),
        ([3, 1], ONE, "value"),
        ([(3,), (1,)], ONE, "tuple"),
        (iter([np.int64(3), 1.0]), ONE, "value"),
        ([], AXES, "tuple"),
    ],
)
def test_a_point_may_be_a_tuple_a_dict_or_a_bare_value(points: Any, axes: Any, form: str) -> None:
    found = enumerated(points, axes)
    assert found.form == form
    expected = [[1, 2], [0, 0]] if axes is AXES else [[2], [0]]
    assert found.positions.tolist() == (expected if len(found) else [])


def test_all_points_of_the_product_in_any_order_need_no_mask() -> None:
    product = list(itertools.product(*AXES.values()))
    assert enumerated(product[::-1], AXES).mask() is None
    mask = enumerated(product[1:], AXES).mask()
    assert mask is not None
    assert mask.tolist() == [[False, True, True], [True, True, True]]


@st.composite
def enumerations(draw: st.DrawFn) -> tuple[dict[str, list[int]], list[tuple[int, ...]], list[int]]:
    """Axes, some of their points in some order, and bin lengths."""
    shape = draw(st.lists(st.integers(0, 4), min_size=1, max_size=3))
    axes = {f"x{d}": draw(st.permutations(range(n))) for d, n in enumerate(shape)}
    product = list(itertools.product(*axes.values()))
    points = draw(st.lists(st.sampled_from(product), unique=True)) if product else []
    return (
        axes,
        points,
        draw(st.lists(st.integers(1, 5), min_size=len(shape), max_size=len(shape))),
    )


@given(enumerations())
def test_chunks_are_the_cells_of_bins_in_the_order_of_their_first_points(case: Any) -> None:
    axes, points, lengths = case
    cells: dict[tuple[int, ...], list[int]] = {}
    for number, point in enumerate(points):
        places = [axes[name].index(value) for name, value in zip(axes, point, strict=True)]
        cell = tuple(i // n for i, n in zip(places, lengths, strict=True))
        cells.setdefault(cell, []).append(number)
    found = enumerated(points, axes)
    chunks = found.chunks(lengths)
    assert [(c.bins, c.members.tolist()) for c in chunks] == list(cells.items())
    for chunk in chunks:
        values = dict(found.chunk_index(chunk, lengths))
        for number in chunk.members:
            assert all(v in values[name] for name, v in zip(axes, points[number], strict=True))
            assert tuple(found.point(number).values()) == points[number]
        assert all(len(values[name]) <= n for name, n in zip(axes, lengths, strict=True))
