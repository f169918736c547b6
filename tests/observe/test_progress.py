"""A progress bar is shown to whom it helps: in long runs, and to somebody who watches."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import swarmgrid
from swarmgrid.observe import progress


class Terminal(io.StringIO):
    """What a terminal shows."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Makes standard error a terminal; called in the test itself, or pytest would take it back."""

    def watch() -> Terminal:
        shown = Terminal()
        monkeypatch.setattr(sys, "stderr", shown)
        return shown

    return watch


def doubled(x: int) -> float:
    time.sleep(0.02)
    if x == 7:
        raise ValueError("seven")
    return x * 2.0


def run(store: Path, n: int, **options: Any) -> None:
    swarmgrid.stream(
        axes={"x": range(n)},
        func=doubled,
        store=store,
        executor="sync",
        on_error="record",
        exec_chunk_size=1,
        **options,
    )


def test_a_long_run_shows_what_is_done_cached_and_failed(
    tmp_path: Path, watched: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = watched()
    monkeypatch.setattr(progress, "DELAY_SECONDS", 0.1)
    run(tmp_path, 20)
    run(tmp_path, 40)
    last = terminal.getvalue().split("\r")[-1]
    assert last.startswith("doubled: ")
    assert "39/40" in last
    assert "cached=19, failed=1" in last
    assert "point/s" in last


def test_a_short_run_shows_nothing(tmp_path: Path, watched: Callable[[], Terminal]) -> None:
    terminal = watched()
    run(tmp_path, 5)
    assert terminal.getvalue() == ""


def test_verbosity_decides_who_sees_a_bar(
    tmp_path: Path, watched: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = watched()
    monkeypatch.setattr(progress, "DELAY_SECONDS", 0.0)
    run(tmp_path / "0", 5, verbose=0)
    assert terminal.getvalue() == ""
    monkeypatch.setattr(terminal, "isatty", lambda: False)
    run(tmp_path / "1", 5, verbose=1)
    assert terminal.getvalue() == ""
    run(tmp_path / "2", 5, verbose=2)
    assert "5/5" in terminal.getvalue()
