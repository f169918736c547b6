"""Queries say of every document what plain Python says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import swarmgrid
from swarmgrid.inventory.query import MAX_DEPTH, MISSING, member, to_condition
from tests.long import examples

ROOTS = ("params", "tags", "points")
SCALARS = st.one_of(
    st.integers(-2, 2), st.sampled_from([0.5, -1.0, 2.0, float("inf")]), st.booleans(), st.none(),
    st.sampled_from(["", "a", "ab", "b.c", "1"]),
)  # fmt: skip
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=2))
KEYS = st.sampled_from(["a", "b", "a.b", "c"])
MEMBERS = st.dictionaries(KEYS, st.one_of(VALUES, st.dictionaries(KEYS, VALUES, max_size=2)))
DOCUMENTS = st.fixed_dictionaries({}, optional=dict.fromkeys(ROOTS, MEMBERS))
PATHS = st.builds(
    lambda root, keys: ".".join([root, *keys]),
    st.sampled_from(ROOTS),
    st.lists(st.sampled_from(["a", "b", "c"]), max_size=3),
)
COMPARE = st.tuples(st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), VALUES)
OTHERS = st.one_of(
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(VALUES, max_size=3)),
    st.tuples(st.just("$exists"), st.booleans()),
    st.tuples(st.just("$regex"), st.sampled_from(["^a", "b", "", r"\d", "c$"])),
)
OPERATORS = st.recursive(
    st.lists(st.one_of(COMPARE, OTHERS), min_size=1, max_size=3).map(dict),
    lambda inner: inner.map(lambda operators: {"$not": operators}),
    max_leaves=3,
)
FIELDS = st.dictionaries(PATHS, st.one_of(SCALARS, OPERATORS), max_size=3)
QUERIES = st.recursive(
    FIELDS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"$and": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"$or": parts}),
        inner.map(lambda part: {"$not": part}),
        st.tuples(FIELDS, inner).map(lambda two: {**two[0], "$not": two[1]}),
    ),
    max_leaves=5,
)
PYTHON = {"$eq": "==", "$ne": "!=", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


def to_source(query: Any) -> str:
    """The query as an expression of Python over ``get(path)``."""
    parts = []
    for key, value in query.items():
        if key in {"$and", "$or"}:
            word = " and " if key == "$and" else " or "
            parts.append("(" + word.join(f"({to_source(part)})" for part in value) + ")")
        elif key == "$not":
            parts.append(f"(not ({to_source(value)}))")
        elif isinstance(value, dict):
            parts += [to_comparison(key, name, operand) for name, operand in value.items()]
        else:
            parts.append(to_comparison(key, "$eq", value))
    return " and ".join(parts) or "True"


def to_comparison(path: str, name: str, operand: Any) -> str:
    found = f"get({path!r})"
    if name == "$not":
        inner = " and ".join(to_comparison(path, *item) for item in operand.items())
        return f"(not ({inner}))"
    if name == "$exists":
        return f"(({found} != 'missing') is {operand})"
    if name == "$regex":
        is_text = f"type({found}) is str and {found} != 'missing'"
        return f"({is_text} and bool(re.search({operand!r}, {found})))"
    if name in {"$in", "$nin"}:
        inside = f"({found} in {operand!r})"
        return inside if name == "$in" else f"(not {inside})"
    if name in {"$eq", "$ne"}:
        return f"({found} {PYTHON[name]} {operand!r})"
    return f"tried(lambda: {found} != 'missing' and {found} {PYTHON[name]} {operand!r})"


def tried(compare: Any) -> bool:
    try:
        return bool(compare())
    except TypeError:
        return False


def plain_get(document: Any, path: str) -> Any:
    """Every way to read the path with dots in keys, the longest keys first."""
    if path == "":
        return document
    if not isinstance(document, dict):
        return "missing"
    starts = [path, *(path[: m.start()] for m in reversed(list(re.finditer(r"\.", path))))]
    for key in starts:
        if key in document:
            found = plain_get(document[key], path[len(key) + 1 :])
            if not (isinstance(found, str) and found == "missing"):
                return found
    return "missing"


@settings(max_examples=examples(500))
@given(DOCUMENTS, QUERIES)
def test_a_query_holds_where_the_same_expression_of_python_does(document: Any, query: Any) -> None:
    names = {
        "get": lambda path: plain_get(document, path),
        "tried": tried,
        "re": re,
        "inf": float("inf"),
    }
    expected = eval(to_source(query), names)
    assert to_condition(query, ROOTS)(document) is bool(expected)


def test_a_missing_member_meets_only_conditions_on_its_absence() -> None:
    for operators, holds in [
        ({"$exists": False}, True), ({"$ne": 1}, True), ({"$nin": [1]}, True),
        ({"$not": {"$gt": 1}}, True), ({"$eq": None}, False), (None, False),
        ({"$in": [None]}, False), ({"$lt": 1}, False), ({"$regex": ""}, False),
    ]:  # fmt: skip
        assert to_condition({"params.a": operators}, ROOTS)({"params": {}}) is holds, operators
    assert member({"params": {}}, "params.a") is MISSING
    assert member({"params": {"a": 1}}, "params.") is MISSING


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"param.a": 1}, "Did you mean 'params'"),
        ({"params.a": {"$get": 1}}, r"Did you mean '\$gte?'"),
        ({"$an": []}, r"Did you mean '\$and'"),
        ({"$and": {}}, "list of queries"),
        ({"$or": []}, "list of queries"),
        ({"$not": 3}, "expected a mapping"),
        ({"params.a": {"$in": "abc"}}, "list of values"),
        ({"params.a": {"$nin": 3}}, "list of values"),
        ({"params.a": {"$exists": 1}}, "True or False"),
        ({"params.a": {"$regex": "("}}, "no pattern"),
        ({"params.a": {"$regex": 3}}, "no pattern"),
        ({"params.a": {"$regex": b"a"}}, "pattern of texts"),
        ({"params.a": {"$gt": 1, "max": 2}}, "'max' stands among the operators"),
        ({"params.a": {"$not": 1}}, "expected operators"),
        ([1], "expected a mapping"),
        ({3: 1}, "where a path is expected"),
        ({"params.": {"$exists": True}}, "a name is empty"),
        ({"tags..a": {"$ne": 1}}, "a name is empty"),
        ({"$not": {"tags. ": 1}}, "a name is empty"),
    ],
)
def test_a_query_that_means_nothing_is_refused(query: Any, message: str) -> None:
    with pytest.raises(swarmgrid.InputError, match=message):
        to_condition(query, ROOTS)


@pytest.mark.parametrize("word", ["$not", "$and"])
def test_a_query_that_is_nested_for_ever_is_refused(word: str) -> None:
    query: Any = {}
    for _ in range(MAX_DEPTH + 2):
        query = {word: query if word == "$not" else [query]}
    with pytest.raises(swarmgrid.InputError, match="nested"):
        to_condition(query, ROOTS)
