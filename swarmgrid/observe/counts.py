"""The counts of a run."""

from __future__ import annotations

import time

from swarmgrid.observe.diagnostics import Diagnostics
from swarmgrid.observe.events import (
    CallRetried,
    Event,
    PointFailed,
    PointsRejected,
    StateChanged,
    TaskDone,
    WorkerCrashed,
)


class Counts:
    """Counts what happens in a run.

    Parameters
    ----------
    total, requested, missing, failed : int
        Points of the grid, those that were asked for, those to compute, and those that failed
        before and are not tried again.
    """

    def __init__(self, *, total: int, requested: int, missing: int, failed: int) -> None:
        self.computed = 0
        """Points that were computed."""
        self._start = time.monotonic()
        self._seconds = 0.0
        self.requested = requested
        """Points that were asked for."""
        self.failed = self._failed_before = failed
        """Points that failed, now or before."""
        self._total, self._missing = total, missing
        self._retries = 0
        self._crashed = 0
        self._changed: dict[str, None] = {}

    @property
    def cached(self) -> int:
        """Points that were computed before."""
        return self.requested - self._missing - self._failed_before

    @property
    def left(self) -> int:
        """Points that are neither computed nor failed."""
        return self._missing - self.computed - (self.failed - self._failed_before)

    def __call__(self, event: Event) -> None:
        match event:
            case TaskDone(points=points, seconds=seconds):
                self.computed += points
                self._seconds += seconds
            case CallRetried():
                self._retries += 1
            case StateChanged(places=places):
                self._changed |= dict.fromkeys(places)
            case PointsRejected(points=points):
                self.computed -= points
            case PointFailed(points=points):
                self.failed += points
            case WorkerCrashed():
                self._crashed += 1
            case _:
                pass

    def diagnostics(
        self, *, n_workers: int, chunks_total: int, chunks_written: int, bytes_written: int
    ) -> Diagnostics:
        """The counts so far."""
        seconds = time.monotonic() - self._start
        return Diagnostics(
            points_total=self._total,
            points_cached=self.cached,
            points_computed=self.computed,
            points_failed=self.failed,
            points_skipped=self._total - self.requested,
            chunks_total=chunks_total,
            chunks_written=chunks_written,
            bytes_written=bytes_written,
            seconds=seconds,
            seconds_in_function=self._seconds,
            seconds_overhead=max(0.0, n_workers * seconds - self._seconds),
            retries=self._retries,
            workers_lost=self._crashed,
            changed=tuple(self._changed),
        )
