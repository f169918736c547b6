"""Chunk specs, and the shapes that are chosen."""

from __future__ import annotations

import ast
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarmgrid.errors import ChunksError
from swarmgrid.space.chunks import (
    MAX_NBYTES,
    MAX_POINTS,
    MIN_BINS,
    MIN_POINTS,
    TARGET_NBYTES,
    check_chunk_nbytes,
    chosen_chunk_shape,
    to_chunk_spec,
)

SPECS: dict[str, tuple[Any, dict[str, int]]] = {
    "nothing": (None, {}),
    "empty": ({}, {}),
    "one axis": ({"s": 50}, {"s": 50}),
    "written out": ({"s": {"size": 50}}, {"s": 50}),
    "left open": ({"s": None, "t": {"size": None}}, {}),
    "both": ({"t": 1, "s": {"size": 2}}, {"s": 2, "t": 1}),
    "numpy ints": ({"s": np.int16(3)}, {"s": 3}),
    "one length for all": (7, {"s": 7, "t": 7}),
}


@pytest.mark.parametrize(("chunks", "expected"), SPECS.values(), ids=SPECS)
def test_a_chunk_spec_says_the_lengths_asked_for(chunks: Any, expected: dict[str, int]) -> None:
    spec = to_chunk_spec(chunks, ["s", "t"])
    assert spec == expected
    assert all(type(length) is int for length in spec.values())


REFUSED: dict[str, tuple[Any, str]] = {
    "text": ("auto", "chunks is 'auto'; expected a length for each axis"),
    "sequence": ((1, 2), r"chunks is \(1, 2\)"),
    "bool": (True, "chunks is True"),
    "no axis": ({"u": 1}, "names 'u', which is no axis; the axes are s, t"),
    "zero": ({"s": 0}, "axis 's' is 0; expected at least 1"),
    "zero for all": (0, "axis 's' is 0; expected at least 1"),
    "negative": ({"s": -1}, "is -1; expected at least 1"),
    "float": ({"s": 2.0}, "axis 's' is 2.0; expected an integer"),
    "bool length": ({"s": True}, "axis 's' is True; expected an integer"),
    "numpy bool length": ({"s": np.True_}, "expected an integer"),
    "array length": ({"s": np.array([1, 2])}, "expected an integer"),
    "text length": ({"s": "5"}, "axis 's' is '5'; expected an integer"),
    "other keys": ({"s": {"length": 5}}, r"axis 's' is \{'length': 5\}; expected \{'size': n\}"),
    "no keys": ({"s": {}}, r"expected \{'size': n\}"),
}


@pytest.mark.parametrize(("chunks", "message"), REFUSED.values(), ids=REFUSED)
def test_a_chunk_spec_is_refused(chunks: Any, message: str) -> None:
    with pytest.raises(ChunksError, match=message):
        to_chunk_spec(chunks, ["s", "t"])


@st.composite
def grids(draw: st.DrawFn) -> tuple[dict[str, int], dict[str, int], int]:
    """A spec for some of the axes, the lengths of all, and the size of a point."""
    lengths = draw(st.lists(st.integers(0, 10**6) | st.integers(0, 40), max_size=4))
    named = {f"a{i}": n for i, n in enumerate(lengths)}
    spec = (
        draw(st.dictionaries(st.sampled_from(sorted(named)), st.integers(1, 5000)))
        if named
        else {}
    )
    return spec, named, draw(st.integers(0, 2**22) | st.just(8))


@given(grids())
@example(({}, {}, 8))
@example(({"a0": 100_000}, {"a0": 10, "a1": 10}, 8))
def test_a_chosen_shape_respects_the_spec_and_the_budget(
    grid: tuple[dict[str, int], dict[str, int], int],
) -> None:
    spec, lengths, point_nbytes = grid
    shape = dict(zip(lengths, chosen_chunk_shape(spec, lengths, point_nbytes), strict=True))
    points = math.prod(shape.values())
    budget = max(1, min(MAX_POINTS, TARGET_NBYTES // max(point_nbytes, 1)))
    is_open = shape.keys() - spec.keys()
    assert {name: shape[name] for name in spec} == spec
    assert all(shape[name].bit_count() == 1 for name in is_open)
    if is_open:
        assert points <= budget or all(shape[name] == 1 for name in is_open)
        assert points >= MIN_POINTS or 2 * points > budget


@given(st.lists(st.integers(1, 10**6) | st.integers(1, 40), min_size=1, max_size=4))
@example([10**6, 10])
def test_an_axis_has_several_bins_before_another_has_many(lengths: list[int]) -> None:
    whole = [2 ** math.ceil(math.log2(n)) for n in lengths]
    shape = chosen_chunk_shape({}, {f"a{i}": n for i, n in enumerate(lengths)}, 8)
    bins = [n // chunk for n, chunk in zip(whole, shape, strict=True)]
    if max(bins) > MIN_BINS:
        assert all(k >= min(MIN_BINS, n) for k, n in zip(bins, whole, strict=True))


def test_small_axes_fit_one_chunk_and_long_ones_are_cut() -> None:
    assert chosen_chunk_shape({}, {"a": 3, "b": 1000}, 8) == (4, 1024)
    assert chosen_chunk_shape({}, {"a": 10**6}, 8) == (8192,)
    assert chosen_chunk_shape({}, {"a": 10**6}, 2**20) == (1,)
    assert chosen_chunk_shape({}, {"a": 10**6, "b": 10}, 8) == (2048, 4)


def test_a_chunk_of_two_gigabytes_is_refused() -> None:
    check_chunk_nbytes({"a": 2, "b": 1}, MAX_NBYTES // 2)
    with pytest.raises(ChunksError, match=r"a chunk of 2 points of .* Ask for chunks=\{"):
        check_chunk_nbytes({"a": 2, "b": 1}, MAX_NBYTES // 2 + 1)


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 10**5), min_size=1),
    st.integers(1, 2000),
    st.integers(1, 10**7),
)
def test_the_lengths_that_a_refusal_names_fit(
    shape: dict[str, int], point_nbytes: int, limit: int
) -> None:
    try:
        check_chunk_nbytes(shape, point_nbytes, "chunk", limit)
        assert math.prod(shape.values()) * point_nbytes <= limit
    except ChunksError as error:
        named = re.search(r"chunks=(\{.*\})", str(error))
        if named is None:
            assert point_nbytes > limit
            return
        check_chunk_nbytes(ast.literal_eval(named[1]), point_nbytes, "chunk", limit)
        assert ast.literal_eval(named[1]).keys() == shape.keys()
