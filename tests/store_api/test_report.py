"""A report is one file about all grids of a store; it is made without reading a value."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swarmgrid
from swarmgrid import InputError
from swarmgrid.store.directory import FileBlobs
from tests.browser import DESKTOP, PHONE, Browser
from tests.pictures.pages import Page

DRAWN = """
new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))
"""


def partly(x: int, y: int, alpha: float = 0.0) -> float:
    if x == y == 2:
        raise ZeroDivisionError("x is y & <both> are two")
    return x * y


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three grids, one of them with failures."""
    store = tmp_path_factory.mktemp("report") / "cache"
    options: dict[str, Any] = {"store": store, "executor": "sync", "verbose": 0}
    axes = {"x": range(6), "y": range(4)}
    swarmgrid.stream(partly, {"alpha": 0.5}, axes, on_error="record", chunks={"x": 2}, **options)
    swarmgrid.stream(partly, {"alpha": 1.5}, {"x": [1], "y": [2]}, tags={"site": "a"}, **options)
    swarmgrid.stream(lambda s: s, {}, {"s": range(2000)}, version="1", **options)
    return store


def test_a_report_says_all_of_each_grid_and_loads_nothing(filled: Path, tmp_path: Path) -> None:
    path = swarmgrid.report(filled, tmp_path / "r.html")
    html = path.read_text()
    page = Page(html)
    text = " ".join(page.text.split())
    for said in ("23 of 24", "alpha=0.5", "x is y & <both> are two", "site=a", "x=2, y=2"):
        assert said in text
    for grid in swarmgrid.catalog(filled):
        assert f"#grid-{grid.id}" in page.links
        assert f"grid-{grid.id}" in page.ids
    assert {tag for tag, _ in page.elements} & {"script", "link", "iframe", "form"} == set()
    assert all(url.startswith("data:image/png;base64,") for url in page.loaded)
    assert not re.search(r"https?://", html)
    assert not any(name.startswith("on") for _, names in page.elements for name in names)
    assert len(html) < 60_000


def test_no_value_is_read(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {"value"}
    keys: list[str] = []
    plain = FileBlobs.get_many

    def counted(self: Any, many: Any, *args: Any) -> Any:
        keys.extend(many)
        return plain(self, many, *args)

    monkeypatch.setattr(FileBlobs, "get_many", counted)
    swarmgrid.report(filled, tmp_path / "r.html")
    assert len(keys) > 6
    assert [key for key in keys if {*key.split("/")} & outputs] == []


def test_a_query_chooses_grids(filled: Path, tmp_path: Path) -> None:
    path = swarmgrid.report(filled, tmp_path / "r.html", query={"tags.site": "a"})
    assert path.read_text().count("<section") == 1


def test_a_report_replaces_a_report_and_nothing_else(filled: Path, tmp_path: Path) -> None:
    path = swarmgrid.report(filled, tmp_path / "r.html")
    assert swarmgrid.report(filled, path) == path
    other = tmp_path / "thesis.html"
    other.write_text("three years of work")
    with pytest.raises(InputError, match="a file that is no report; pass overwrite=True"):
        swarmgrid.report(filled, other)
    assert other.read_text() == "three years of work"
    swarmgrid.report(filled, other, overwrite=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["r.html", "thesis.html"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"path": "no/such/r.html"}, "is no folder"),
        ({"path": "."}, "which is a folder"),
        ({"path": ""}, "expected the path of a file"),
        ({"path": 3}, "expected the path of a file"),
        ({"path": "a\0b"}, "without a null character"),
        ({"tracebacks": 1}, "expected True or False"),
        ({"overwrite": "yes"}, "expected True or False"),
        ({"query": {"nothing": 1}}, "nothing"),
    ],
    ids=str,
)
def test_a_wrong_call_is_an_error_that_says_why(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Any, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said):
        swarmgrid.report(filled, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_grid_is_said_to_be_and_the_others_are_shown(
    filled: Path, tmp_path: Path
) -> None:
    store = tmp_path / "cache"
    shutil.copytree(filled, store)
    grid = swarmgrid.catalog(store).query({"tags.site": "a"}).rows[0]
    document = store / "data.zarr" / "partly" / grid.grid / "zarr.json"
    document.write_text(document.read_text().replace('"x"', '"z"'))
    html = swarmgrid.report(store, tmp_path / "r.html").read_text()
    assert html.count("<section") == 3
    assert "It cannot be read: " in html


def test_a_store_without_grids_has_a_report(tmp_path: Path) -> None:
    path = swarmgrid.report(tmp_path / "none", tmp_path / "r.html")
    assert "The store holds no grid" in path.read_text()


def test_no_storage_option_is_in_a_report(tmp_path: Path) -> None:
    from swarmgrid.pictures.report_page import report_page
    from swarmgrid.store.location import Location

    location = Location("memory://options", {"secret_access_key": "hunter2"})
    assert "hunter2" not in report_page(location, [], 0.0)


@pytest.mark.long
def test_a_report_is_drawn_at_once_at_any_width(
    filled: Path, tmp_path: Path, browser: Browser
) -> None:
    path = swarmgrid.report(filled, tmp_path / "r.html")
    for size in (PHONE, DESKTOP):
        for is_dark in (False, True):
            browser.show(size, is_dark=is_dark)
            browser.open(path.as_uri())
            wide = browser.value("document.documentElement.scrollWidth")
            assert wide <= size[0], "the page scrolls to the side"
            ground = browser.value("getComputedStyle(document.body).backgroundColor")
            channels = [int(part) for part in re.findall(r"\d+", ground)[:3]]
            assert (max(channels) < 128) == is_dark
            drawn = browser.value("[...document.images].every(i => i.complete && i.naturalWidth)")
            assert drawn
    assert browser.complaints() == []
    assert [u for u in browser.requested() if not u.startswith(("data:", "file:"))] == []
    assert (
        json.loads(browser.value("JSON.stringify(document.querySelectorAll('section').length)"))
        == 3
    )


@pytest.mark.long
def test_a_large_report_is_drawn_within_a_second(tmp_path: Path, browser: Browser) -> None:
    """The page of a hundred grids: its sections, one of them of a million chunks, many times."""
    from swarmgrid.pictures import report_page
    from tests.pictures.looks import ID, many_chunks, row

    looks = [many_chunks(10**4, part) for part in np.linspace(0.1, 1, 9)]
    rows = [row(grid=f"{i:04d}{ID[4:]}", points_total=9, checksum="1") for i in range(100)]
    found = {one.grid: looks[i % 9] for i, one in enumerate(rows)} | {rows[0].grid: many_chunks()}

    class Here:
        url = "/data/cache"

        def open(self) -> None:
            return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_page, "read_look", lambda _, path: found[path.grid])
        html = report_page.report_page(Here(), rows, 0.0)
    assert len(html.encode()) < 2_000_000
    path = tmp_path / "r.html"
    path.write_text(html)
    browser.show(DESKTOP)
    browser.open(path.as_uri())
    milliseconds = browser.value(DRAWN)
    print(f"{len(html):,} characters, drawn after {milliseconds:.0f} ms")
    assert browser.value("document.querySelectorAll('section').length") == 100
