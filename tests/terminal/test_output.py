"""Tables fit the terminal and lose nothing elsewhere; texts of others steer no terminal."""

from __future__ import annotations

import datetime as dt
import json
import math
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.terminal.output import columns_of, is_coloured, plain, shortened, table, to_json

CELLS = st.text("ab\n\x1b日é", max_size=40)
HEADINGS = ("grid", "params", "bytes", "tags")


@given(
    st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), min_size=1, max_size=5), st.integers(40, 120)
)
def test_a_table_fits_the_width_and_keeps_what_must_stay(rows: Any, width: int) -> None:
    rows = [("0" * 12, *row[1:]) for row in rows]
    text = table(
        HEADINGS, rows, flexible=("params", "tags", "bytes"), optional=("tags",), width=width
    )
    lines = plain_lines(text)
    assert all(columns_of(line) <= width for line in lines)
    assert all(line.startswith("0" * 12) for line in lines[1:])
    assert len(lines) == len(rows) + 1


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5))
def test_without_a_width_nothing_is_lost(rows: Any) -> None:
    text = table(("a", "b"), rows, right=("b",))
    for row in rows:
        for cell in row:
            assert plain(cell).strip() in text


def plain_lines(text: str) -> list[str]:
    import click

    return click.unstyle(text).split("\n")


@given(st.text(max_size=30), st.integers(1, 20))
def test_a_shortened_text_takes_no_more_than_its_columns(text: str, width: int) -> None:
    found = shortened(plain(text), width)
    assert columns_of(found) <= width
    assert found == plain(text) or found.endswith("…")


def test_wide_letters_take_two_columns() -> None:
    assert columns_of("ab") == 2
    assert columns_of("日本") == 4
    assert shortened("日本語", 5) == "日本…"


@given(st.text())
def test_no_text_steers_the_terminal(text: str) -> None:
    assert plain(text).isprintable()
    assert all(line.isprintable() for line in plain(text, lines=True).split("\n"))
    assert plain("\x1b[31mred") == "?[31mred"


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON)
def test_every_document_is_valid_json(value: Any) -> None:
    text = json.dumps(to_json(value), allow_nan=False)
    assert text.isascii()
    assert json.loads(text) == to_json(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.array([1, 2]), [1, 2]),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (math.inf, "inf"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        ({1: (2, np.bool_(True))}, {"1": [2, True]}),
        (object, str(object)),
    ],
)
def test_other_values_are_as_json_has_them(value: Any, expected: Any) -> None:
    assert to_json(value) == expected


class Terminal:
    def isatty(self) -> bool:
        return True


def test_colours_are_for_a_terminal_that_may_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert not is_coloured()
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert is_coloured()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not is_coloured()
    monkeypatch.setenv("NO_COLOR", "")
    assert is_coloured()
    monkeypatch.setenv("TERM", "dumb")
    assert not is_coloured()
