"""What people see of a run: soon, every second, where they look, and nowhere else."""

from __future__ import annotations

import logging
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import swarmgrid
from swarmgrid import readable
from swarmgrid.coordinator import moments
from swarmgrid.observe import console, progress, words
from swarmgrid.observe.events import Event, Moment, RunEnded, RunStarted
from tests.long import first
from tests.observe.screen import Terminal, session
from tests.waiting import PATIENCE

STARTED = RunStarted("simulate", "0", 60, 20)
ENDED = RunEnded("finished", swarmgrid.Diagnostics(60, 20, 40, seconds=185.0))


def at(seconds: float, **changes: Any) -> Moment:
    known = {"settled": 32, "computed": 12, "failed": 0, "begun": 36, "workers": 4}
    return Moment(seconds, **{**known, "seconds_left": 11.0, **changes})


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Terminal]]:
    """Makes standard error a terminal; called in the test itself, or pytest would take it back."""

    def watch() -> Terminal:
        shown = Terminal()
        monkeypatch.setattr(sys, "stderr", shown)
        return shown

    yield watch
    assert not console._bars
    assert not isinstance(sys.stdout, console.Guarded)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moments come a hundred times as fast."""
    monkeypatch.setattr(moments, "FIRST_SECONDS", 0.005)
    monkeypatch.setattr(moments, "EVERY_SECONDS", 0.01)


def sleepy(x: int) -> int:
    time.sleep(0.02)
    return x


def run(func: Callable[..., Any], n: int, **options: Any) -> Any:
    options = {"store": f"memory://{uuid.uuid4()}", "executor": "sync", "version": "1", **options}
    return swarmgrid.stream(axes={"x": range(n)}, func=func, **options)


@pytest.mark.usefixtures("hasty")
def test_a_bar_is_there_and_moves_while_the_first_point_goes_on(
    terminal: Callable[[], Terminal],
) -> None:
    shown = terminal()

    def slow(x: int) -> float:
        until = time.monotonic() + PATIENCE
        while x == 0 and shown.getvalue().count("begun") < 5 and time.monotonic() < until:
            time.sleep(0.01)
        return x * 2.0

    run(slow, 3)
    assert "0/3, 1 begun [0 s, 1 worker]" in shown.getvalue()
    assert shown.getvalue().count("begun") >= 5
    (line,) = shown.screen()  # the bar is gone, and one line says what was done
    assert line.startswith("slow: 3 points: 3 computed")


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("vectorized", [False, True])
def test_the_bar_counts_points_that_are_stored_begun_and_failed(
    terminal: Callable[[], Terminal], tmp_path: Path, vectorized: bool
) -> None:
    shown = terminal()

    def half(x: Any) -> Any:
        n = shown.getvalue().count("begun")
        until = time.monotonic() + PATIENCE
        last = int(x) if not vectorized else int(x[0])
        while last >= 5 and shown.getvalue().count("begun") < n + 2 and time.monotonic() < until:
            time.sleep(0.01)
        if last == 5:
            raise ValueError("five")
        return x * 0.5

    options = {"store": tmp_path, "on_error": "record", "chunks": 5, "vectorized": vectorized}
    options |= {"exec_chunk_size": None if vectorized else 1}
    run(half, 5, **options)
    run(half, 15, **options)
    text = shown.getvalue()
    first, second = ("10 begun", "15 begun") if vectorized else ("6 begun", "7 begun")
    failed = 5 if vectorized else 1
    assert f"5/15, {first} [" in text
    assert f", {second}, {failed} failed [" in text
    assert shown.screen()[-1].startswith(f"half: 15 points: {10 - failed} computed, 5 reused")


def test_a_short_run_shows_nothing(terminal: Callable[[], Terminal]) -> None:
    shown = terminal()
    run(lambda x: x, 5)
    assert shown.getvalue() == ""


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("verbose", "is_terminal", "is_shown"),
    [(0, True, False), (1, True, True), (1, False, False), (2, True, True), (2, False, True)],
)
def test_verbose_and_the_terminal_decide_whether_there_is_a_bar(
    terminal: Callable[[], Terminal],
    monkeypatch: pytest.MonkeyPatch,
    verbose: int,
    is_terminal: bool,
    is_shown: bool,
) -> None:
    shown = terminal()
    monkeypatch.setattr(shown, "isatty", lambda: is_terminal)
    run(sleepy, 5, verbose=verbose)
    assert ("5 computed" in shown.getvalue()) == is_shown


class GoneTerminal(Terminal):
    """A terminal whose window was closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


@pytest.mark.usefixtures("hasty")
def test_a_terminal_that_goes_away_ends_the_bar_and_not_the_run(
    terminal: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal()
    monkeypatch.setattr(sys, "stderr", GoneTerminal())
    assert run(sleepy, 5).points_computed == 5


def told(*events: Event) -> None:
    shown = progress.Progress(1)
    for event in events:
        shown(event)


def test_a_log_gets_a_line_a_minute_and_one_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "swarmgrid")
    told(STARTED, *(at(float(s)) for s in range(186)), ENDED)
    lines = [record.getMessage() for record in caplog.records]
    assert [record.name for record in caplog.records] == ["swarmgrid"] * 4
    assert lines[0] == (
        "simulate: 53% of the points (32/60, 36 begun) after 1 min 00 s, 11 s left, 5.0 s/point, "
        "4 workers"
    )
    assert [line.split("after ")[1].split(",")[0] for line in lines[:3]] == [
        "1 min 00 s",
        "2 min 00 s",
        "3 min 00 s",
    ]
    assert lines[3].startswith("simulate: 60 points: 40 computed, 20 reused")


def test_a_run_of_less_than_a_minute_says_nothing_in_a_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "swarmgrid")
    told(STARTED, *(at(s / 2) for s in range(119)), ENDED)
    assert caplog.records == []


LOGGING = {
    "nothing is set up": (lambda log: None, True),
    "the logger is to say warnings only": (lambda log: log.setLevel(logging.WARNING), False),
    "all logging is off": (lambda log: logging.disable(), False),
}


@pytest.mark.parametrize("case", LOGGING)
def test_without_handlers_the_lines_go_to_standard_error_unless_that_is_turned_off(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up, is_shown = LOGGING[case]
    log = logging.getLogger("swarmgrid")
    monkeypatch.setattr(logging.root, "handlers", [])
    try:
        set_up(log)
        told(STARTED, at(60.0))
    finally:
        log.setLevel(logging.NOTSET)
        logging.disable(logging.NOTSET)
    assert ("simulate: 53%" in capsys.readouterr().err) == is_shown


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (at(3.9), "32/60, 36 begun [3 s, 11 s left, 3.1 points/s, 4 workers]"),
        (at(12.0, computed=0, seconds_left=None), "32/60, 36 begun [12 s, 4 workers]"),
        (
            at(12.0, failed=2, begun=32),
            "32/60, 2 failed [12 s, 11 s left, 1.0 points/s, 4 workers]",
        ),
        (
            at(7200.0, seconds_left=90_000),
            "[2 h 00 min, 1 d 01 h left, 10.0 min/point, 4 workers]",
        ),
        (at(9.0, stage="storing"), "[9 s, storing, 1.3 points/s, 4 workers]"),
    ],
)
def test_a_bar_says_what_is_known(
    terminal: Callable[[], Terminal], moment: Moment, text: str
) -> None:
    shown = terminal()
    told = progress.Progress(1)
    told(STARTED)
    told(moment)
    (line,) = shown.screen()
    told(ENDED)
    assert text in line


@given(st.floats(0, 1e9))
def test_a_duration_is_near_what_it_says(seconds: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600, "d": 86400}
    parts = readable.duration(seconds).replace(",", "").split()
    sizes = [units[unit] for unit in parts[1::2]]
    said = sum(float(n) * size for n, size in zip(parts[::2], sizes, strict=True))
    assert abs(said - seconds) <= max(0.05, sizes[-1]) if seconds >= 9.95 else 0.0501
    assert len(parts) <= 4


@given(st.integers(1, 10**7), st.floats(1e-3, 1e7))
def test_a_rate_is_near_what_it_says_and_never_a_small_fraction(n: int, seconds: float) -> None:
    number, unit = words.rate(n, seconds).split()
    value = float(number.replace(",", ""))
    assert value >= 0.99
    per = {"points/s": 1, "s/point": 1, "min/point": 60, "h/point": 3600, "d/point": 86400}[unit]
    said = value if unit == "points/s" else 1 / (value * per)
    assert said == pytest.approx(n / seconds, rel=0.06)


SCRIPT = """
import logging, os, sys, time
import swarmgrid

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)

def simulate(x):
    print("point", x, "of", end=" ")
    print("a line")
    logging.info("logged %d", x)
    time.sleep(0.3)
    return x

swarmgrid.stream(axes={"x": range(8)}, func=simulate, store=sys.argv[1], executor=sys.argv[2],
                 version="1", workers=1)
print("over")
"""


@pytest.mark.long
@pytest.mark.parametrize("executor", first(1, ["processes", "sync"]))
def test_what_a_function_prints_and_logs_stands_above_the_bar(
    tmp_path: Path, executor: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with session(script, tmp_path / "store", executor) as shown:
        shown.wait_for(r"simulate +\d+%\|.*worker")
        assert shown.end() == 0
        lines = shown.screen.text()
    # workers may begin the points in any order
    expected = [(f"point {x} of a line", f"INFO logged {x}") for x in range(8)]
    assert sorted(zip(lines[:-2:2], lines[1:-2:2], strict=True)) == expected
    assert lines[-2].startswith("simulate: 8 points: 8 computed, 0 reused")
    assert lines[-1] == "over"
