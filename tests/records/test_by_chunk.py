"""The rows of each chunk, of any number of dims and of any size."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.records import by_chunk
from swarmgrid.records.by_chunk import ByChunk


@given(
    st.integers(0, 3).flatmap(
        lambda d: st.tuples(
            st.just(d),
            st.sampled_from([1, 2**30]),  # three such axes have more chunks than an int64 counts
            st.lists(st.tuples(*[st.integers(0, 3)] * d), max_size=20),
        )
    ),
    st.booleans(),
)
def test_the_rows_of_each_chunk_are_found(
    drawn: tuple[int, int, list[tuple[int, ...]]], is_listed: bool
) -> None:
    d, scale, small = drawn
    chunks = [tuple(i * scale // 2 for i in one) for one in small]
    expected: dict[tuple[int, ...], list[int]] = {}
    for number, chunk in enumerate(chunks):
        expected.setdefault(chunk, []).append(number)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(by_chunk, "MAX_LISTED", 2**14 if is_listed else 0)
        found = ByChunk(np.array(chunks, np.int32).reshape(len(chunks), d))
        assert {chunk: found.of(chunk).tolist() for chunk in expected} == expected
        for absent in (*[(2**31,) * d, (-1,) * d, (scale // 2 + 1,) * d],):
            assert found.of(absent).tolist() == expected.get(absent, [])
        everything = [(chunk, numbers.tolist()) for chunk, numbers in found.all()]
    assert everything == sorted(expected.items())


@pytest.mark.parametrize("is_sorted", [True, False])
def test_many_rows_take_a_few_bytes_each(is_sorted: bool) -> None:
    n = 100_000
    index = np.stack(np.unravel_index(np.arange(n), (100, n // 100)), 1).astype(np.int32)
    tracemalloc.start()
    try:
        found = ByChunk(index if is_sorted else index[::-1])
        assert found.of((50, 500)).tolist() == [50_500 if is_sorted else n - 1 - 50_500]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * n, "450 for a dict of lists"
