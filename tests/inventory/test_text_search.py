"""Text search ranks grids as the formula says, whatever the texts are."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import swarmgrid
from swarmgrid.inventory.row import GridRow
from swarmgrid.inventory.text_search import (
    MIN_PREFIX,
    PREFIX_WEIGHT,
    ranked,
    row_words,
    to_scores,
    words,
)


def row(number: int, function: str = "f", **members: Any) -> GridRow:
    texts = {f"{name}_text": json.dumps(value) for name, value in members.items()}
    return GridRow(f"{number:032x}", function, function, **texts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("low_temperature", ["low", "temperature"]),
        ("lowTemperature HTTPServer", ["low", "temperature", "http", "server"]),
        ("Kühlung der STRASSE, straße", ["kuhlung", "der", "strasse", "strasse"]),
        ("\uff21\uff22\uff23 \ufb01t", ["abc", "fit"]),
        ("T=0.40, 1e3 and 007", ["t", "0.4", "1000", "and", "7"]),
        ("低温磁化", ["低", "温", "磁", "化"]),
        ("e\u0301tude étude", ["etude", "etude"]),
        ("модель Ising-2D", ["модель", "ising", "2", "d"]),
        ("a--b\tc\n\0d", ["a", "b", "c", "d"]),
        ("1e999", ["1e999"]),
        ("", []),
    ],
)
def test_the_words_of_a_text(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_a_grid_is_found_by_everything_that_it_is_named_by() -> None:
    one = row(
        1,
        "ising_model",
        params={"coupling": 0.4, "site": "north"},
        tags={"description": "cold start", "nested": ["deep", 3]},
        axes={"temperature": ["float", 2, 1.0, 2.0], "kind": ["str", 2, "anti", "ferro"]},
        outputs={"magnetisation": ["float64", "lag"]},
    )
    expected = (
        "ising model coupling 0.4 site north description cold start nested deep 3 temperature "
        "kind anti ferro magnetisation lag"
    )
    assert row_words(one) == expected.split()


def test_rows_with_more_and_rarer_words_come_first() -> None:
    rows = [
        row(1, tags={"about": "magnetisation at high temperature"}),
        row(2, tags={"about": "magnetisation at low temperature"}),
        row(3, tags={"about": "spectra of oscillators"}),
        row(4, tags={"about": "low noise"}),
    ]
    found = ranked(rows, "Magnetisation LOW temperature")
    assert [one.grid[-1] for _, one in found] == ["2", "1", "4"]
    assert [score for score, _ in found] == sorted((s for s, _ in found), reverse=True)
    assert [one.grid[-1] for _, one in ranked(rows, "magnet")] == ["1", "2"]
    assert [one.grid[-1] for _, one in ranked(rows, "Temperatures, oscillator")] == ["3", "1", "2"]
    assert ranked(rows, "nothing else") == []


def test_equally_relevant_rows_keep_their_order() -> None:
    rows = [row(i, tags={"about": "the same"}) for i in (5, 3, 9, 1)]
    assert [one for _, one in ranked(rows, "same")] == rows


def plain_score(documents: list[list[str]], i: int, asked: set[str]) -> float:
    """BM25 of one document, as anyone would write it."""
    mean = sum(len(d) for d in documents) / len(documents)
    total = 0.0
    for word in asked:

        def tf(document: list[str], word: str = word) -> float:
            is_long = len(word) >= MIN_PREFIX and not word[0].isdecimal()
            forms = [one for one in document if word in {one + end for end in ("s", "es", "ed")}]
            return sum(
                1.0 if one == word else PREFIX_WEIGHT if is_long and one.startswith(word) else 0
                for one in document
            ) + PREFIX_WEIGHT * sum(1 for one in forms if len(one) >= 3 and is_long)

        n = sum(1 for d in documents if tf(d) > 0)
        idf = math.log((len(documents) - n + 0.5) / (n + 0.5) + 1)
        f = tf(documents[i])
        total += idf * f * 2.2 / (f + 1.2 * (0.25 + 0.75 * len(documents[i]) / mean))
    return total


TEXTS = st.lists(
    st.sampled_from(["ab", "abc", "abcd", "abcs", "temp", "temps", "x", "12", "123"]), max_size=8
)


@given(documents=st.lists(TEXTS, min_size=1, max_size=6), asked=TEXTS)
def test_scores_are_those_of_the_formula(documents: list[list[str]], asked: list[str]) -> None:
    if not any(documents):
        documents = [["x"], *documents]
    found = to_scores(documents, asked)
    expected = [plain_score(documents, i, {*asked}) for i in range(len(documents))]
    assert found == pytest.approx(expected)
    assert to_scores(documents, asked[::-1]) == found


SIGNS = "aZ09._-é\u0301ßİǅﬁΣς低\u304cが\U0001d400\u0661²\0 \n\u200b💡\u0915\u094d"


@given(st.text(st.sampled_from(SIGNS)))
def test_any_text_has_words_that_are_found(text: str) -> None:
    found = words(text)
    assert words(" ".join(found)) == found
    if found:
        assert len(ranked([row(1), row(2, tags={"about": text})], text)) >= 1


def test_a_grid_is_found_by_what_its_attributes_say() -> None:
    def lattice(size: int) -> xr.Dataset:
        spins = xr.DataArray(1.0, attrs={"long_name": "mean magnetisation", "valid_min": -1})
        return xr.Dataset({"spins": spins}, attrs={"title": "Ising model, cold start"})

    def other(size: int) -> int:
        return size

    store = "memory://about-search"
    for func in (lattice, other):
        swarmgrid.stream(func, axes={"size": [1, 2]}, store=store, executor="sync", verbose=0)
    for text in ("ISING", "Magnetisation", "start cold"):
        for catalog in (swarmgrid.catalog(store), swarmgrid.catalog(store, check=True)):
            assert [row.function for row in catalog.search(text).rows] == ["lattice"]


def test_the_catalog_is_searched_and_can_be_asked_further() -> None:
    def ising(temperature: float, field: float) -> dict[str, float]:
        return {"magnetisation": field / temperature}

    store = "memory://text-search"
    for field, about in ((1.0, "low temperature"), (2.0, "high temperature"), (3.0, "")):
        swarmgrid.stream(
            {"field": field}, {"temperature": [1.0, 2.0]}, func=ising, store=store,
            executor="sync", tags={"about": about}, version="1", verbose=0,
        )  # fmt: skip
    catalog = swarmgrid.catalog(store)
    found = catalog.search("low temperature")
    assert found.rows[0].params["field"] == 1.0
    assert len(found) == 3
    assert len(found.scores) == 3
    table = found.to_dataframe()
    assert table["score"].is_monotonic_decreasing
    few = found.query({"params.field": {"$gt": 1.5}})
    assert len(few.scores) == len(few.rows) == 2
    assert "score" not in catalog.to_dataframe()
    assert next(iter(found)).tags["about"] == "low temperature"
    for wrong in ("", "  ...", 3, None):
        with pytest.raises(swarmgrid.InputError, match="expected some words"):
            catalog.search(wrong)
