"""What notebooks show: HTML that stands alone, escaped, in numbers as people write them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swarmgrid
from swarmgrid import Diagnostics, Plan, Problem, Report
from swarmgrid.maintenance.report import Note
from swarmgrid.readable import MAX_ROWS, bar, count, nbytes, page, short_duration, table

NASTY = '<script>alert("x")</script>&\'<!--'


TAGS = {*("code", "details", "div", "img", "span", "style", "summary", "table", "td", "th", "tr")}


class Tags(HTMLParser):
    """Sees that tags are closed in order, and gathers the text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)
        if tag == "img":  # a picture that stands in the page
            assert dict(attrs)["src"].startswith("data:image/png;base64,")
            assert {name for name, _ in attrs} <= {"class", "style", "alt", "src"}
            return
        self.open.append(tag)
        assert {name for name, _ in attrs} <= {"class", "style"}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data + "\n"


def shown(value: Any) -> Tags:
    html = value if isinstance(value, str) else value._repr_html_()
    assert not re.search(r"https?:|url\(|@import|<script|<link|<img(?! class)", html)
    tags = Tags(html)
    assert tags.seen <= TAGS
    return tags


def simulate(alpha: float, s: int, mode: str = NASTY) -> Any:
    """Return <b>one</b> point & more."""
    if s == 3:
        raise ValueError(NASTY)
    return {"end": alpha * s, "path": np.arange(3.0) * s}


def test_everything_that_is_shown_stands_alone_and_is_escaped(tmp_path: Path) -> None:
    func = swarmgrid.grid(simulate, store=tmp_path, executor="sync", on_error="record")
    axes = {"s": range(2000), "mode": {NASTY: NASTY}}
    plan = func.plan({"alpha": 0.5}, axes, explain=True, depends={NASTY: 1})
    assert "2,000 of 2,000 points to compute" in shown(plan).text
    assert NASTY in shown(plan).text
    ds, done = func.run({"alpha": 0.5}, axes, chunks={"s": 100})
    assert "1,999" in shown(done).text
    assert "<script>" in shown(func).text
    assert "Return <b>one</b> point & more." in shown(func).text
    assert "2,000 points: 1,999 computed" in shown(func).text
    grid = func.grid({"alpha": 0.5}, ["s", "mode"])
    text = shown(grid).text
    for part in (grid.id, str(tmp_path), "1,999 of 2,000 computed, 1 failed", "path_dim_0: 3"):
        assert part in text
    assert "→ s: 0 … 1999" in text
    assert "img" in shown(grid).seen
    assert len(grid._repr_html_()) < 9000
    assert "1,999 of 2,000" in shown(grid.state()).text
    assert "nothing is wrong" in shown(grid.verify()).text
    chunk = next(Path(ds.encoding["source"]).glob("path/c.*"))
    chunk.write_bytes(b"")
    assert f"path/{chunk.name}" in shown(grid.verify()).text


def test_what_is_not_stored_is_shown_as_that() -> None:
    func = swarmgrid.grid(simulate, store="memory://nothing-yet", storage_options=None)
    assert "nothing is stored of simulate" in shown(func.grid({"alpha": 1.0}, ["s"])).text
    assert "last run" not in shown(func).text


def test_secrets_of_a_store_are_not_shown() -> None:
    secret = {"secret_access_key": "hush"}
    func = swarmgrid.grid(simulate, store="s3://bucket/x", storage_options=secret)
    assert "hush" not in func._repr_html_()


@pytest.mark.parametrize("func", [min, np.sin, lambda x: x, type("C", (), {"__call__": len})()])
def test_any_function_is_shown(func: Any) -> None:
    assert shown(swarmgrid.grid(func)).text


@given(st.text(), st.text(), st.lists(st.tuples(st.text(), st.text()), max_size=4))
def test_any_text_comes_through(kind: str, name: str, rows: list[tuple[str, str]]) -> None:
    html = page(kind, name, table(rows), table(rows, head=("a", "b")))
    without = Tags(html).text
    for word in (kind, name, *sum(rows, ())):
        plain = word.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
        assert plain.strip() in without.replace("\0", "\ufffd") or "\r" in word or "\0" in word


def test_a_report_of_many_problems_is_cut() -> None:
    problems = tuple(Problem(f"key{n}", NASTY, 1234) for n in range(1000))
    text = shown(Report(problems, 1234, 56789, (Note(NASTY, NASTY),))).text
    for part in ("1,000 problems", "and 950 more", "56,789 points in 1,234 chunks", "1 notes"):
        assert part in text
    assert text.count("1,234\n") == MAX_ROWS + text.count("in 1,234\n")


def test_numbers_are_as_people_write_them() -> None:
    assert (count(1234), nbytes(4_520_000), nbytes(999.7)) == ("1,234", "4.52 MB", "1 kB")
    found = [short_duration(s) for s in (0, 3e-6, 0.0999, 2.3, 720, 7512)]
    assert found == ["0 s", "3 µs", "0.1 s", "2.3 s", "12 min 00 s", "2 h 05 min"]
    done = Diagnostics(12345, 1000, 11000, 345, seconds=725.0, bytes_written=4_500_000)
    assert str(done) == "12,345 points: 11,000 computed, 1,000 reused, 345 failed; 12 min 05 s"
    assert "4.5 MB" in shown(done).text
    assert str(Diagnostics(3, 1, 2, seconds=0.004)) == "3 points: 2 computed, 1 reused; 0.00 s"
    assert bar(0) == ""
    assert "width:25%" in bar(4, good=1)
    assert isinstance(Plan.__doc__, str)


@given(st.floats(0, 1e8))
def test_a_time_is_near_what_it_says(seconds: float) -> None:
    units = {"µs": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400}
    text = short_duration(seconds)
    parts = re.findall(r"([\d.,]+(?:e[-+]\d+)?) (\w+)", text)
    back = sum(float(n.replace(",", "")) * units[unit] for n, unit in parts)
    near = 0.051 if 0.0995 <= seconds < 9.95 else 0.07 * seconds + 1e-12
    assert abs(back - seconds) <= near, text


def test_rules_for_tables_win_over_those_of_jupyter_with_two_classes() -> None:
    style = page("Plan", "").partition("<style>")[2].partition("</style>")[0]
    rules = re.findall(r"([^{}]+)\{", style)
    selectors = [one for rule in rules for one in rule.split(",") if re.search(r" t[hdr]", one)]
    assert len(selectors) > 4
    assert all(one.split(" ")[0].count(".swarmgrid") > 2 for one in selectors)
