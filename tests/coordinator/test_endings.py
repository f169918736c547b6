"""What ends a run says how much of it is stored, and what to do next."""

from __future__ import annotations

import linecache
import logging
from typing import Any

import pytest

from swarmgrid.coordinator.endings import explain, with_code
from swarmgrid.errors import PointError, StoreError
from swarmgrid.observe.diagnostics import Diagnostics
from swarmgrid.transport.messages import TerminatedError


def done(**counts: int) -> Diagnostics:
    names = ("total", "cached", "computed", "failed", "skipped")
    found: dict[str, Any] = {f"points_{name}": counts.get(name, 0) for name in names}
    fields = dict.fromkeys(Diagnostics.__dataclass_fields__, 0) | {"changed": ()}
    return Diagnostics(**fields | found)


DONE = done(total=12_000, skipped=2_000, cached=1_000, computed=234)


def test_ctrl_c_has_a_text_and_no_other_error_behind_it() -> None:
    error = KeyboardInterrupt()
    error.__cause__ = ValueError("of a worker")
    explain(error, DONE, is_recording=False)
    assert str(error) == "1,234 of 10,000 points are stored; call again to go on"
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_sigterm_shows_nothing_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "swarmgrid"):
        explain(TerminatedError(), DONE, is_recording=False)
    (message,) = caplog.messages
    assert message == "ended by SIGTERM: 1,234 of 10,000 points are stored; call again to go on"


@pytest.mark.parametrize(
    ("is_recording", "next_step"), [(False, 'on_error="record"'), (True, "declare outputs=")]
)
def test_a_point_that_fails_names_the_next_step(is_recording: bool, next_step: str) -> None:
    error = PointError("simulate", {"x": 3}, "ValueError: no")
    error.__cause__ = ValueError("no")
    explain(error, DONE, is_recording=is_recording)
    (note,) = error.__notes__
    assert note.startswith("1,234 of 10,000 points are stored (this one is x=3). Correct simulate")
    assert next_step in note
    assert error.__cause__.__notes__ == ["at x=3"]


def test_an_error_of_the_store_speaks_for_itself() -> None:
    error = StoreError("the disk is full")
    explain(error, DONE, is_recording=False)
    assert (str(error), getattr(error, "__notes__", [])) == ("the disk is full", [])


def test_a_traceback_gets_the_lines_that_only_this_process_can_see() -> None:
    source = "def f():\n    return 1 / 0\n"
    linecache.cache["<cell 1>"] = (len(source), None, source.splitlines(keepends=True), "<cell 1>")
    text = (
        "Traceback (most recent call last):\n"
        '  File "<cell 1>", line 2, in f\n'
        '  File "/there.py", line 7, in g\n    is_shown()\n'
        '  File "<gone>", line 1, in h\n'
        "ZeroDivisionError\n"
    )
    try:
        assert with_code(text) == text.replace("in f\n", "in f\n    return 1 / 0\n")
    finally:
        del linecache.cache["<cell 1>"]
