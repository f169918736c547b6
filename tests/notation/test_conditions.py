"""A condition of the shell means what the same comparison means."""

from __future__ import annotations

import json
import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.errors import InputError
from swarmgrid.inventory.query import to_condition
from swarmgrid.inventory.row import ROOTS as ALL_ROOTS
from swarmgrid.notation.conditions import to_query

ROOTS = ("params", "tags", "points", "created", "written")
COMPARISONS = {
    "=": operator.eq, "==": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
NUMBERS = st.one_of(st.integers(-5, 5), st.floats(-5, 5))


@given(st.sampled_from(sorted(COMPARISONS)), NUMBERS, NUMBERS)
def test_a_comparison_is_that_of_python(sign: str, stored: float, value: float) -> None:
    holds = to_condition(to_query([f"params.a{sign}{json.dumps(value)}"]), ROOTS)
    assert holds({"params": {"a": stored}}) is COMPARISONS[sign](stored, value)


DOCUMENT: dict[str, Any] = {
    "params": {"a": 0.5, "name": "up", "text": "1"},
    "tags": {"site": "a b", "flag": True},
    "points": {"failed": 2},
    "written": 1_790_000_000,
}


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        (["params.a >= 0.3"], True),
        (["params.a>=0.3", "params.a<0.4"], False),
        (["params.name=up"], True),
        (['params.name="up"'], True),
        (["params.text=1"], False),
        (['params.text="1"'], True),
        (["params.name~^u"], True),
        (["params.name~^x"], False),
        (["tags.site=a b"], True),
        (["tags.flag=true"], True),
        (["tags.flag"], True),
        (["tags.other"], False),
        (["points.failed>0"], True),
        (['{"params.a": {"$in": [0.5, 1]}}'], True),
        (["written>2026-01-01"], True),
        (["written>2100-01-01"], False),
        ([], True),
    ],
)
def test_conditions_hold_all_together(conditions: list[str], holds: bool) -> None:
    assert to_condition(to_query(conditions), ROOTS)(DOCUMENT) is holds


def test_tags_are_conditions_too() -> None:
    assert to_condition(to_query([], ["site=a b", "flag"]), ROOTS)(DOCUMENT)
    assert not to_condition(to_query([], ["site=b"]), ROOTS)(DOCUMENT)


@pytest.mark.parametrize("text", ["", " ", ".", "=x", " =x", "!=x", "site=", "site!=", "site~ "])
def test_a_tag_without_a_name_or_a_value_is_an_error(text: str) -> None:
    with pytest.raises(InputError):
        to_condition(to_query([], [text]), ROOTS)


@pytest.mark.parametrize(
    "text",
    [
        *ALL_ROOTS,
        *("points.failed", "tags.", "tags. ", "tags.!=1", "params..a!=1", "tags.a.>=1", "{}"),
        *(
            "tags.site!=",
            "tags.site>= ",
            "function~",
            "function>=",
            '{"tags.": {"$exists": true}}',
        ),
    ],
)
def test_what_holds_of_every_grid_for_want_of_a_word_is_no_condition(text: str) -> None:
    with pytest.raises(InputError):
        to_condition(to_query([text]), ALL_ROOTS)


def test_an_empty_text_is_written_in_quotes() -> None:
    assert to_query([], ['site=""']) == {"$and": [{"tags.site": {"$eq": ""}}]}


@pytest.mark.parametrize("text", ["", "=3", "<", "{", '{"a"', "[1]=", "a ! b"])
def test_a_text_that_is_no_condition_is_an_error(text: str) -> None:
    with pytest.raises(InputError):
        to_condition(to_query([text]), ROOTS)
