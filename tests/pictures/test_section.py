"""What users name, tag and raise stands in the page as text, whatever it is."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarmgrid.format.writers import WriterId
from swarmgrid.pictures.report_page import SECTIONS_NBYTES, fitted_section
from swarmgrid.pictures.section import broken_section, section
from tests.pictures.looks import failure, look, many_chunks, row, stored_grid, whole_rows
from tests.pictures.pages import Page

NASTY = '</pre></section><script>alert(1)</script><img src=x onerror=alert(1)>"\' style="x:1" &lt;'
TEXTS = st.one_of(
    st.text(min_size=1, max_size=12),
    st.sampled_from(["<script>", '"', "'>", "<!--", "]]>", "\x00", "\ud800", "\u202e", NASTY]),
)


def shown(text: str, *, tracebacks: bool = True) -> Page:
    """The section about a grid in which all that a user may choose is one text."""
    label = "b" + text.encode(errors="replace").decode()
    grid = stored_grid({"x": ["a", label], "y": [1, 2]}, (1, 1))
    rows = whole_rows(np.array([[0, 0], [1, 1]]), (1, 1), writers=(WriterId(text, 7, text),))
    failed = failure(
        (0, 1), (0, 0), exception=text, reason=text, traceback=text, time=text, point={text: text}
    )
    params = json.dumps({text: text})
    about = row(
        function=text, folder=text, params_text=params, tags_text=params, version=text,
        axes_text=json.dumps({text: ["str", 2, text, text], "x": ["str", 2, text, text]}),
        points_total=4, points_computed=2, checksum="1", written=1,
    )  # fmt: skip
    html = section(about, look(grid, rows, [failed]), text, 9999, tracebacks=tracebacks)
    return Page(html + broken_section(about, text))


@given(TEXTS)
@example(NASTY)
def test_the_elements_of_a_section_do_not_depend_on_its_texts(text: str) -> None:
    found = shown(text)
    assert found.elements == shown("plain").elements
    if text.isascii() and text.isprintable():
        assert found.text.count(text) >= 10
    assert all(url.startswith("data:image/png;base64,") for url in found.loaded)


def test_tracebacks_are_left_out_where_they_may_be_secret() -> None:
    assert "password" in shown("password").text
    grid = stored_grid({"x": [1]}, (1,))
    failed = failure((0,), (0,), traceback="the password is hunter2")
    html = section(
        row(), look(grid, whole_rows(np.zeros((0, 1)), (1,)), [failed]), "s", 99, tracebacks=False
    )
    assert "ValueError: no" in html
    assert "hunter2" not in html


def test_failures_that_differ_in_numbers_are_one_kind() -> None:
    grid = stored_grid({"x": range(9)}, (1,))
    failures = [failure((i,), (0,), reason=f"ValueError: at {i}.5e-3") for i in range(8)]
    failures.append(failure((8,), (0,), exception="KeyError", reason="KeyError: 'a'"))
    html = section(row(), look(grid, whole_rows(np.zeros((0, 1)), (1,)), failures), "s", 99,
        tracebacks=True)  # fmt: skip
    text = Page(html).text
    assert "9 points, 2 kinds" in text
    assert "8 times at x=1; x=1; x=1 and 5 more" in text


def test_a_hundredth_of_a_page_holds_any_grid_one_of_a_million_chunks_too() -> None:
    """The worst map there is: of every cell another state than of the next."""
    rng = np.random.default_rng(1)
    grid = stored_grid({"x": range(300), "y": range(300)}, (1, 1))
    index = np.argwhere(rng.random((300, 300)) < 0.5)
    seconds = rng.lognormal(0, 2, len(index)).astype("<f4")
    times = rng.integers(1, 10**6, len(index)).astype("<u4")
    writers = tuple(WriterId(f"node-{i}.cluster", i + 1, "job 1234567") for i in range(40))
    rows = whole_rows(
        index, (1, 1), seconds=seconds, time=times, writers=writers,
        writer=rng.integers(0, 40, len(index)).astype("<u4"),
    )  # fmt: skip
    failures = [
        failure((i, 0), (0, 0), reason="x" * 5000 + "abcdefghijklmnop"[i], traceback="y" * 10**6)
        for i in range(16)
    ]
    share = SECTIONS_NBYTES // 100
    for one in (look(grid, rows, failures), many_chunks(10**6)):
        html = fitted_section(row(), one, "s3://bucket/cache", share, tracebacks=True)
        assert 3000 < len(html.encode()) <= share
        assert html.count('class="map"') == 2
    assert SECTIONS_NBYTES < 1_800_000


def test_a_grid_without_anything_has_a_section() -> None:
    grid = stored_grid({}, ())
    html = section(row(), look(grid, whole_rows(np.zeros((0, 0)), ())), "s", 99, tracebacks=True)
    assert "0 of 1 points computed, 1 missing" in Page(html).text


@pytest.mark.parametrize("url", ["/a/b'c", 's3://x/"y"'])
def test_how_to_open_is_python_that_says_the_same(url: str) -> None:
    grid = stored_grid({"x": [1]}, (1,))
    html = section(row(), look(grid, whole_rows(np.array([[0]]), (1,))), url, 99, tracebacks=True)
    (line,) = re.findall(r"Grid\.open\((.*)\)\.dataset", Page(html).text)
    assert eval(f"({line})") == (url, f"simulate/{row().grid}")
