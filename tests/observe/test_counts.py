"""The counts of a run are those of its events."""

from __future__ import annotations

import pytest

from swarmgrid.observe import events
from swarmgrid.observe.counts import Counts

DONE = events.TaskDone(
    points=3, seconds=0.5, wall_seconds=0.6, worker=1, peak_nbytes=1, is_first=False
)
FAILED = events.PointFailed(
    point={"x": 1},
    exception="ValueError",
    reason="ValueError: no",
    attempt=1,
    points=2,
    is_recorded=True,
)
CASES: dict[str, tuple[list[events.Event], dict[str, int]]] = {
    "nothing": ([], {}),
    "tasks": ([DONE, DONE], {"points_computed": 6}),
    "a point that failed": ([DONE, FAILED], {"points_computed": 3, "points_failed": 2 + 1}),
    "points that do not fit": (
        [DONE, events.PointsRejected(points=1), FAILED],
        {"points_computed": 2, "points_failed": 2 + 1},
    ),
    "a call that was repeated": (
        [events.CallRetried(point={}, reason="no", attempt=1, worker=1)],
        {"retries": 1},
    ),
    "a worker that crashed": (
        [events.WorkerCrashed(worker=1, reason="killed", point=None)],
        {"workers_lost": 1},
    ),
    "what is not counted": (
        [events.RunStarted("f", "0", 10, 4), events.ValuesStored(seconds=1.0, points=3)],
        {},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_event_is_counted_once(case: str) -> None:
    told, expected = CASES[case]
    # of 20 points 15 are asked for, 10 are missing, and one failed before
    counts = Counts(total=20, requested=15, missing=10, failed=1)
    for event in told:
        counts(event)
    found = counts.diagnostics(n_workers=1, chunks_total=7, chunks_written=2, bytes_written=99)
    whole = {"points_computed": 0, "points_failed": 1, "retries": 0, "workers_lost": 0} | expected
    assert {name: getattr(found, name) for name in whole} == whole
    assert (found.points_total, found.points_cached, found.points_skipped) == (20, 4, 5)
    assert (found.chunks_total, found.chunks_written, found.bytes_written) == (7, 2, 99)
    assert counts.left == 10 - whole["points_computed"] - (whole["points_failed"] - 1)
    assert found.seconds_in_function == 0.5 * told.count(DONE)
