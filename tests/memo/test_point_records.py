"""What a function returns comes back as it was, whatever its fields are called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarmgrid.memo.point_records import field_names, stored_names, to_plain

NAMES = st.sampled_from(["s", "s_", "s__", "value", "value_", "strat", "mean", "_", "s_x"])


@given(st.lists(NAMES, unique=True, min_size=1, max_size=5))
@example(["value"])
@example(["value_"])
@example(["s", "s_"])
def test_the_names_of_fields_survive_and_never_are_those_of_axes(fields: list[str]) -> None:
    axes = ("strat", "s")
    stored = stored_names(tuple(fields), axes)
    assert field_names(stored, axes) == tuple(fields)
    assert len(set(stored)) == len(fields)
    assert not set(stored) & set(axes)


def test_a_field_keeps_its_name_where_that_is_free() -> None:
    assert stored_names(("strat", "value", "n_"), ("strat",)) == ("strat_", "value", "n_")
    assert field_names(("value",), ("strat",)) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([1, 2], "i2"), [1, 2]),
        (np.array([0.5], "f4"), [0.5]),
        (np.array([True]), [True]),
        (np.array([1j]), [1j]),
        (np.array(["a", "b\0"], object), ["a", "b\0"]),
        (np.array(["2020-01-01"], "M8[ns]"), [np.datetime64("2020-01-01", "ns")]),
    ],
)
def test_scalars_come_back_as_pythons_own(values: Any, expected: list[Any]) -> None:
    found = to_plain(values)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


def test_arrays_of_strings_come_back_as_numpy_has_them_unless_that_loses_something() -> None:
    fixed, kept = to_plain(np.array([["a", "bcd"], ["a\0", "b"]], object))
    assert fixed.dtype == np.dtype("U3")
    assert kept.tolist() == ["a\0", "b"]
