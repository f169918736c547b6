"""Every stored label can be named alone in `--select`, and means the points that have it."""

from __future__ import annotations

import enum
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import swarmgrid
from swarmgrid.inventory.brief import axis_brief
from swarmgrid.notation.labels import to_selection
from swarmgrid.space.axis import Axis, to_axis
from swarmgrid.view.selecting import positions
from tests.long import examples

Colour = enum.Enum("Colour", ["red", "blue"])
TRICKY = st.text('.,"[]{}@=:\\ ~/ab1\n', min_size=0, max_size=6)
TEXTS = st.lists(st.one_of(TRICKY, st.text(max_size=4)), min_size=1, max_size=6, unique=True)
TIMES = st.integers(-(2**62), 2**62)
WRITTEN = {
    "int": str,
    "float": repr,
    "bool": lambda one: str(one).lower(),
    "datetime": str,
    "timedelta": lambda one: f"{one.astype('int64')} ns",
}
"""By the kind of an axis, a label as a user writes it; a text as JSON has it."""
AXES = st.one_of(
    st.lists(st.integers(-(2**53), 2**53), min_size=1, max_size=6, unique=True),
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=6, unique=True),
    st.just([True, False]),
    st.lists(TIMES, min_size=1, max_size=4, unique=True).map(lambda n: np.array(n, "M8[ns]")),
    st.lists(TIMES, min_size=1, max_size=4, unique=True).map(lambda n: np.array(n, "m8[ns]")),
    TEXTS,
    TEXTS.map(lambda names: {name: i for i, name in enumerate(names)}),
    st.just([Colour["red"], Colour["blue"]]),
)


def selected(axis: Axis, values: str) -> list[int]:
    texts = {axis.name: axis.labels().tolist()} if axis.kind not in WRITTEN else {}
    chosen = to_selection([f"{axis.name}={values}"], {axis.name: axis_brief(axis)}, texts)
    return [int(i) for i in positions([axis], chosen)[0]]


@settings(max_examples=examples(40))
@given(AXES)
@example(["../x", "b", "..", "bad", "a"])
def test_every_label_can_be_named_alone(values: Any) -> None:
    axis = to_axis("x", values)
    has_times = axis.kind in {"datetime", "timedelta"}
    for i, label in enumerate(axis.labels() if has_times else axis.labels().tolist()):
        if axis.kind in WRITTEN:
            assert selected(axis, WRITTEN[axis.kind](label)) == [i]
            continue
        assert selected(axis, json.dumps(label)) == [i]
        assert selected(axis, json.dumps([label])) == [i]
        if ".." in label and label[0] not in '"[{@':
            assert selected(axis, label) == [i]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("a..c", [0, 1, 2]),
        ('"a".."b"', [0, 1]),
        (' "a" .. b ', [0, 1]),
        ("c..", [2, 3, 4]),
        ('.."a"', [0, 5]),
        ("c..d", [3]),
        ('"c".."d"', [2, 3, 4]),
        ("d,..", [4, 5]),
    ],
)
def test_dots_are_a_range_unless_they_are_those_of_a_label(
    values: str, expected: list[int]
) -> None:
    assert selected(to_axis("x", ["a", "b", "c", "c..d", "d", ".."]), values) == expected


@pytest.mark.parametrize("values", ["..", " .. ", '""', "a,b..c", '"a..c', "@a..c", "[..", "{..}"])
def test_what_is_no_range_and_no_label_is_refused(values: str) -> None:
    with pytest.raises(swarmgrid.InputError):
        selected(to_axis("x", ["a", "b", "c"]), values)
