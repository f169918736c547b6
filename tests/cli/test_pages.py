"""`report` writes one page about the grids that are asked for."""

from __future__ import annotations

from pathlib import Path

from tests.cli.shell import shell


def test_a_report_is_written(store: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = shell("report", store, "-o", page, "--json")
    assert done.code == 0
    assert done.document["grids"] == 3
    assert done.document["bytes"] == page.stat().st_size
    assert "seven" in page.read_text()
    few = shell("report", store, "-o", page, "--where", "params.alpha=0.2")
    assert (few.code, few.out) == (0, f"1 grids in {page}\n")
    assert "seven" not in page.read_text()
    without = shell("report", store, "-o", page, "--no-tracebacks")
    assert without.code == 0
    assert "Traceback" not in page.read_text()


def test_what_is_no_report_is_not_replaced(store: str, tmp_path: Path) -> None:
    page = tmp_path / "mine.html"
    page.write_text("mine")
    assert shell("report", store, "-o", page).code == 2
    assert page.read_text() == "mine"
    assert shell("report", store, "-o", page, "--where", "params.alpha>9").code == 3
    assert shell("report", store, "more", "-o", page).code == 2
