"""The progress bar of a run: shown only when there is somebody to see it, and reason to."""

from __future__ import annotations

import sys
import time
from typing import Any

from swarmgrid.observe.events import (
    Event,
    PointFailed,
    PointsRejected,
    RunEnded,
    RunStarted,
    TaskDone,
)

DELAY_SECONDS = 2.0
"""Runs shorter than this show nothing."""


class ProgressBar:
    """Shows how many points are finished.

    Parameters
    ----------
    verbose : int
        0: never a bar; 1: in a terminal or notebook, after two seconds; 2: at once, anywhere.
    """

    def __init__(self, verbose: int) -> None:
        self._total = self._cached = self._failed = self._done = 0
        self._description = ""
        self._start = time.monotonic()
        self._is_wanted = verbose > 1 or (verbose == 1 and _is_watched())
        self._delay = 0.0 if verbose > 1 else DELAY_SECONDS
        self._bar: Any = None

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._total, self._cached = event.points, event.cached
                self._description = event.function
            case TaskDone(points=points):
                self._add(points)
            case PointsRejected(points=points):
                self._done -= points  # they are about to count as failed
            case PointFailed(points=points):
                self._add(0, points)
            case RunEnded() if self._bar is not None:
                self._bar.close()
            case _:
                pass

    def _add(self, points: int, failed: int = 0) -> None:
        self._done += points
        self._failed += failed
        if not self._is_wanted:
            return
        if self._bar is None:
            if time.monotonic() - self._start < self._delay:
                return
            self._open()
        self._bar.set_postfix(cached=self._cached, failed=self._failed, refresh=False)
        self._bar.update(self._cached + self._done - self._bar.n)

    def _open(self) -> None:
        from tqdm.auto import tqdm

        self._bar = tqdm(
            total=self._total,
            initial=self._cached,
            desc=self._description,
            unit="point",
            unit_scale=self._total >= 10_000,
            file=sys.stderr,
            smoothing=0,  # the rate of the whole run: what is counted at once is no speed
        )
        self._bar.start_t -= time.monotonic() - self._start  # the rate is that of the whole run


def _is_watched() -> bool:
    shell = sys.modules.get("IPython")
    if shell is not None:
        current = shell.get_ipython()
        if current is not None and hasattr(current, "kernel"):
            return True
    return sys.stderr is not None and sys.stderr.isatty()
