"""Each event of a run is one line of its log."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from swarmgrid.observe import events
from swarmgrid.observe.diagnostics import Diagnostics
from swarmgrid.observe.log import LogFile, RunLog

DONE = Diagnostics(
    points_total=9,
    points_cached=4,
    points_computed=5,
    points_skipped=0,
    chunks_total=3,
    chunks_written=2,
    bytes_written=80,
    seconds=1.23456789,
    seconds_in_function=1.0,
)
OF_F = {"function": "f", "grid": "00ff", "writer": f"{socket.gethostname()}:{os.getpid()}"}
CASES: dict[str, tuple[events.Event, dict[str, Any] | None]] = {
    "a run begins": (
        events.RunStarted("f", "00ff", 9, 4),
        {"event": "run started", **OF_F, "n_points": 9, "n_cached": 4},
    ),
    "a call is repeated": (
        events.CallRetried({"x": 1.5}, "ValueError: no", 2, 77),
        {
            "event": "retried",
            "point": {"x": 1.5},
            "reason": "ValueError: no",
            "attempt": 2,
            "worker": 77,
        },
    ),
    "a task comes back": (
        events.TaskDone(3, 0.12345678, 0.2, 77, 1024, is_first=False),
        {
            "event": "task done",
            "n_points": 3,
            "seconds": 0.123457,
            "worker": 77,
            "peak_memory": 1024,
        },
    ),
    "a point fails": (
        events.PointFailed(
            {"when": dt.date(2026, 1, 2), "x": float("inf")},
            "KeyError",
            "KeyError: 'a'",
            1,
            2,
            is_recorded=False,
        ),
        {
            "event": "failed",
            "n_points": 2,
            "point": {"when": "2026-01-02", "x": "inf"},
            "exception": "KeyError",
            "reason": "KeyError: 'a'",
            "attempt": 1,
        },
    ),
    "a point fails, of which the store tells": (
        events.PointFailed({"x": 1}, "KeyError", "KeyError: 'a'", 1, 1, is_recorded=True),
        None,
    ),
    "a worker crashes": (
        events.WorkerCrashed(77, "SIGKILL", None),
        {"event": "worker lost", "worker": 77, "reason": "SIGKILL", "point": None},
    ),
    "values are stored": (events.ValuesStored(0.1, 3), None),
    "points do not fit": (events.PointsRejected(2), None),
    "a second passes": (events.Moment(1.0, 5, 1, 0, 6, 2, None), None),
    "a run ends": (
        events.RunEnded("finished", DONE),
        {
            "event": "run ended",
            "outcome": "finished",
            **{name: getattr(DONE, name) for name in Diagnostics.__slots__},
            "seconds": 1.234568,
            "changed": [],
        },
    ),
    "calls change a default": (
        events.StateChanged(("default 'seen' of f",), 77),
        {"event": "state changed", "places": ["default 'seen' of f"], "worker": 77},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_event_is_one_line_of_json_or_none(tmp_path: Path, case: str) -> None:
    event, expected = CASES[case]
    path = tmp_path / "log"
    log = RunLog(path)
    log(event)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    if expected is None:
        assert lines == []
    else:
        ((time, rest),) = [(line.pop("time"), line) for line in lines]
        assert rest == expected
        assert dt.datetime.fromisoformat(time).tzinfo is not None
    log(events.RunEnded("finished", DONE))


def test_the_cases_are_all_events() -> None:
    kinds = {type(event).__name__ for event, _ in CASES.values()}
    assert kinds == {kind.__name__ for kind in events.Event.__subclasses__()}


def test_lines_are_added_to_a_log_that_is_there_and_nothing_follows_its_end(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log"
    for _ in range(2):
        log = RunLog(path)
        log(events.RunStarted("f", "0", 1, 1))
        log(events.RunEnded("finished", DONE))
        log(events.RunEnded("finished", DONE))
    names = [json.loads(line)["event"] for line in path.read_text().splitlines()]
    assert names == ["run started", "run ended"] * 2


def test_a_line_that_a_full_disk_cuts_off_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    room, write = [3], os.write

    def limited(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "no space left")
        done = write(file, data[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr(os, "write", limited)
    with LogFile(tmp_path / "log") as log:
        log.append("first")
        log.append("second")
        room[0] = 99
        log.append("third")
        log.append("fourth")
    assert (tmp_path / "log").read_text() == "fir\nthird\nfourth\n"
    (record,) = caplog.records
    assert "no space left; the run goes on" in record.getMessage()


def test_no_path_is_no_log() -> None:
    log = RunLog(None)
    for event, _ in CASES.values():
        log(event)
