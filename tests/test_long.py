"""The short run has all that it should of the tables of tests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.long import first, pairs

entries = st.lists(st.integers(), min_size=1, max_size=6, unique=True)


@given(entries, entries)
def test_the_first_pairs_have_every_entry_of_both(one: list[int], other: list[int]) -> None:
    longer, shorter = sorted([one, other], key=len, reverse=True)
    found = pairs(longer, shorter)
    assert len(found) == len({*found}) == len(one) * len(other)
    begun = found[: len(longer)]
    assert {a for a, _ in begun} == {*longer}
    assert {b for _, b in begun} == {*shorter}


def test_what_is_not_among_the_first_is_marked_and_kept() -> None:
    short, *rest = first(1, [1, (2, 3), pytest.param(4, id="four")])
    assert short == 1
    assert [one.values for one in rest] == [(2, 3), (4,)]
    assert [[mark.name for mark in one.marks] for one in rest] == [["long"], ["long"]]
