"""Where requested values stand on a stored axis, against a dict."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarmgrid.errors import AxisError
from swarmgrid.space.axis import to_axis
from swarmgrid.space.match import positions, reconciled

UNIQUE: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-20, 20),
    "large int": st.integers(-(2**63), 2**63 - 1),
    "float": st.sampled_from([-np.inf, np.inf, 0.1, 0.2, 0.30000000000000004, 0.3, 1e300, 0.0]),
    "bool": st.booleans(),
    "str": st.text("ab", max_size=2),
    "datetime": st.integers(0, 12).map(lambda n: np.datetime64(n, "ns")),
}


def lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, unique=True, min_size=1, max_size=9)


@pytest.mark.parametrize("kind", UNIQUE)
@given(st.data())
def test_exact_positions_are_those_of_a_dict(kind: str, data: st.DataObject) -> None:
    have = data.draw(lists(UNIQUE[kind]))
    want = data.draw(lists(UNIQUE[kind]))
    if data.draw(st.booleans(), "wants the stored values first"):
        want = [*have, *(value for value in want if value not in have)]
    place = {value: i for i, value in enumerate(have)}
    found = positions(to_axis("x", have), to_axis("x", want))
    assert found.dtype == np.intp
    assert found.tolist() == [place.get(value, -1) for value in want]


def nearest(have: list[float], want: float, tolerance: float) -> set[int]:
    """Where `want` may be found: itself, or any of the nearest stored values."""
    if want in have:
        return {have.index(want)}
    gaps = [abs(value - want) for value in have]
    if min(gaps) > tolerance:
        return {-1}
    return {i for i, gap in enumerate(gaps) if gap == min(gaps)}


close = st.integers(-12, 12).map(lambda n: n / 8) | st.sampled_from([np.inf, -np.inf, 0.3])


@given(lists(close), lists(close), st.sampled_from([1e-12, 0.125, 0.2, 1.0]))
@example([0.0, 1.0], [0.0, 1.0, 1.1], 0.2)
@example([np.inf], [-np.inf, 0.0], 1.0)
def test_a_float_stands_for_the_nearest_stored_one_within_the_tolerance(
    have: list[float], want: list[float], tolerance: float
) -> None:
    found = positions(to_axis("x", have), to_axis("x", want), tolerance)
    for value, place in zip(want, found.tolist(), strict=True):
        assert place in nearest(have, value, tolerance)


@pytest.mark.parametrize("want", [[0, 1, 2], [2, 0, 1]], ids=["appended", "inserted"])
def test_a_tolerance_never_lets_one_int_stand_for_another(want: list[int]) -> None:
    found = positions(to_axis("x", [0, 1]), to_axis("x", want), tolerance=1.0)
    assert found[want.index(2)] == -1


def test_nothing_is_found_on_an_empty_axis() -> None:
    empty = to_axis("x", [])
    assert positions(empty, to_axis("x", [1.0]), 0.5).tolist() == [-1]
    assert positions(to_axis("x", [1.0]), empty, 0.5).tolist() == []


# ---- one kind for both


class Colour(enum.Enum):
    RED = 1


class Flavour(enum.Enum):
    RED = 1


def test_stored_ints_become_floats_when_floats_are_asked_for() -> None:
    stored, requested = reconciled(to_axis("x", [1, 2]), to_axis("x", [2.0, 2.5]))
    assert (stored.kind, requested.kind) == ("float", "float")
    assert positions(stored, requested).tolist() == [1, -1]


def test_requested_ints_become_floats_on_an_axis_of_floats() -> None:
    stored, requested = reconciled(to_axis("x", [0.5, 2.0]), to_axis("x", [2]))
    assert requested.kind == "float"
    assert positions(stored, requested).tolist() == [1]


def test_an_empty_request_has_the_stored_kind() -> None:
    stored, requested = reconciled(to_axis("x", ["a"]), to_axis("x", []))
    assert (requested.kind, len(requested)) == (stored.kind, 0)


REFUSED = {
    "strings for ints": ([1], ["1"], "str values here and int values in the stored grid"),
    "bools for ints": ([1], [True], "bool values here and int"),
    "strings for enum members": ([Colour.RED], ["RED"], "str values here and enum"),
    "members of another enum": ([Colour.RED], [Flavour.RED], "members of Flavour here and of"),
    "floats for large ints": ([2**53 + 1], [0.5], "no exact float64"),
}


@pytest.mark.parametrize(("have", "want", "message"), REFUSED.values(), ids=REFUSED)
def test_kinds_that_do_not_mix_are_refused(have: Any, want: Any, message: str) -> None:
    with pytest.raises(AxisError, match=message):
        reconciled(to_axis("x", have), to_axis("x", want))


def test_members_of_the_stored_enum_are_found_by_name() -> None:
    stored, requested = reconciled(to_axis("x", Colour), to_axis("x", Colour))
    assert requested.arguments() == [Colour.RED]
    assert positions(stored, requested).tolist() == [0]
