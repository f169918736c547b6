"""`report` writes one page about the grids that are asked for; `serve` shows it until Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests import programs
from tests.cli.shell import shell
from tests.waiting import PATIENCE


def test_a_report_is_written(store: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = shell("report", store, "-o", page, "--json")
    assert done.code == 0
    assert done.document["grids"] == 3
    assert done.document["bytes"] == page.stat().st_size
    assert "seven" in page.read_text()
    few = shell("report", store, "-o", page, "--where", "params.alpha=0.2")
    assert (few.code, few.out) == (0, f"1 grid in {page}\n")
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


def test_a_page_is_served_until_ctrl_c(tmp_path: Path) -> None:
    pytest.importorskip("starlette")
    process = programs.start(
        [sys.executable, "-m", "swarmgrid", "serve", str(tmp_path), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    found = json.loads(process.stdout.readline())
    with urllib.request.urlopen(found["url"], timeout=PATIENCE) as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode in {0, 130}
    assert "Traceback" not in said


def test_a_wrong_port_or_store_is_an_error(store: str, tmp_path: Path) -> None:
    assert shell("serve", store, "--port", "99999999").code == 2
    assert shell("serve", tmp_path / "missing").code == 2
    assert shell("serve", store, "more").code == 2
