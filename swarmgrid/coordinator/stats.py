"""Keeps count of a run, and tells whoever watches: the progress bar and the log."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from swarmgrid.observe.diagnostics import Diagnostics
from swarmgrid.observe.log import RunLog
from swarmgrid.observe.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swarmgrid.planning.request import Request
    from swarmgrid.run_options import Settings
    from swarmgrid.transport.messages import Failure, Lost, Receipt


ROUGH_SECONDS = 1e-3
"""What a task seems to take whose cost cannot be told from that of what is around it."""


class Tally:
    """The counts of one run.

    Parameters
    ----------
    request : Request
        What was asked for.
    settings : Settings
        Whether a bar is shown, and where the log goes.
    total, wanted, missing, failed : int
        Points of the grid, those that were asked for, those to compute, and those that failed
        before and are not tried again.
    """

    def __init__(
        self,
        request: Request,
        settings: Settings,
        *,
        total: int,
        wanted: int,
        missing: int,
        failed: int,
    ) -> None:
        self.computed = 0
        self.seconds = 0.0
        self._quickest: tuple[float, int] | None = None
        self._storing = 0.0
        self._first_points = 0
        self._later_seconds = 0.0
        self._start = time.monotonic()
        self._total, self._wanted, self._missing = total, wanted, missing
        self._failed = self._failed_before = failed
        self._retries = 0
        self._lost = 0
        cached = wanted - missing - failed
        self._progress = Progress(wanted, cached, settings.verbose, request.path.function)
        self._log = RunLog(settings.log)
        self._log.write(
            "run started",
            function=request.path.function,
            grid=request.path.grid,
            points=wanted,
            cached=cached,
        )

    @property
    def left(self) -> int:
        """Points that are neither computed nor failed."""
        return self._missing - self.computed - (self._failed - self._failed_before)

    @property
    def is_rough(self) -> bool:
        """Whether `seconds_per_point` is but a guess, and may be much too high."""
        if self._quickest is None or self.computed > self._first_points:
            return False
        seconds, points = self._quickest
        return seconds + points * self._storing < ROUGH_SECONDS

    @property
    def seconds_per_point(self) -> float | None:
        """The cost of a point, its part in writing included; the least, while few are known.

        A function's first call often does more than the others, and a task of one point seems
        to cost more than it does.
        """
        later = self.computed - self._first_points
        if later > 0:
            return self._later_seconds / later
        if self._quickest is None:
            return None
        seconds, points = self._quickest
        return seconds / points + self._storing

    def first_done(self, receipt: Receipt) -> None:
        """Count what a task of the first points computed."""
        self._count(receipt)
        if receipt.points:
            found = receipt.seconds, receipt.points
            known = self._quickest or found
            self._quickest = min(found, known, key=lambda pair: pair[0] / pair[1])
        self._first_points += receipt.points

    def first_stored(self, seconds: float, points: int) -> None:
        """Note what it took to store some of the first points."""
        self._storing = min(self._storing or math.inf, seconds / points)

    def done(self, receipt: Receipt) -> None:
        """Count what a task computed."""
        self._count(receipt)
        self._later_seconds += receipt.wall_seconds

    def _count(self, receipt: Receipt) -> None:
        self.computed += receipt.points
        self.seconds += receipt.seconds
        self._retries += len(receipt.retries)
        self._progress.add(receipt.points)
        for retry in receipt.retries:
            self._log.write(
                "retried",
                point=retry.point,
                reason=retry.reason,
                attempt=retry.attempt,
                worker=receipt.worker,
            )
        self._log.write(
            "task done",
            points=receipt.points,
            seconds=round(receipt.seconds, 6),
            worker=receipt.worker,
            peak_memory=receipt.peak_nbytes,
        )

    def failed(self, failure: Failure) -> None:
        """Count a point that failed for good."""
        self._failed += failure.n_points
        self._progress.add(0, failure.n_points)
        self._log.write(
            "point failed", point=failure.point, reason=failure.reason, attempt=failure.attempt
        )

    def lost(self, lost: Lost, receipt: Receipt, point: Mapping[str, Any] | None) -> None:
        """Count a worker that ended in the middle of a task."""
        self._lost += 1
        self._log.write("worker lost", worker=receipt.worker, reason=lost.reason, point=point)

    def corrected(self, points: int) -> None:
        """Take back points that turned out not to fit."""
        self.computed -= points

    def diagnostics(
        self, *, n_workers: int, chunks_total: int, chunks_written: int, bytes_written: int
    ) -> Diagnostics:
        """The counts so far."""
        seconds = time.monotonic() - self._start
        return Diagnostics(
            points_total=self._total,
            points_cached=self._wanted - self._missing - self._failed_before,
            points_computed=self.computed,
            points_failed=self._failed,
            points_skipped=self._total - self._wanted,
            chunks_total=chunks_total,
            chunks_written=chunks_written,
            bytes_written=bytes_written,
            seconds=seconds,
            seconds_in_function=self.seconds,
            seconds_overhead=max(0.0, n_workers * seconds - self.seconds),
            retries=self._retries,
            workers_lost=self._lost,
        )

    def close(self, outcome: str, diagnostics: Diagnostics) -> None:
        """Say how the run ended."""
        self._progress.close()
        counts = {name: getattr(diagnostics, name) for name in Diagnostics.__slots__}
        self._log.write("run ended", outcome=outcome, **counts)
        self._log.close()
