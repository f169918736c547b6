"""A snapshot of a grid of a million chunks: what it takes, and what opening the grid at it takes.

The grid is made as for the study of the manifest: all rows but one are written by hand.
"""

from __future__ import annotations

import gc
import statistics
import time
from typing import TYPE_CHECKING, Any

from benchmarks.measure import scratch
from benchmarks.points import trivial
from benchmarks.studies import Figure
from benchmarks.studies.manifest import QUICK_SIDE, SIDE, fill

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def study(rounds: int, *, is_quick: bool) -> dict[str, Figure]:
    """The seconds and bytes of a snapshot, and opening at it beside opening as it is now."""
    import swarmgrid

    side = QUICK_SIDE if is_quick else SIDE
    taken, opened, opened_now, nbytes = [], [], [], 0
    agrees = True
    with scratch() as folder:
        fill(folder, side, is_varied=True)
        grid = swarmgrid.Grid.open(folder, "trivial/")
        for _ in range(rounds):
            snapshot, seconds = _timed(lambda: grid.snapshot("measured"))
            taken.append(seconds)
            nbytes = _nbytes(folder / "snapshots")
            now, seconds = _timed(grid.dataset)
            opened_now.append(seconds)
            then, seconds = _timed(lambda one=snapshot: grid.dataset(at=one))
            opened.append(seconds)
            agrees &= snapshot.points == side**2 and then.sizes == now.sizes
            agrees &= float(then["value"][0, 0]) == trivial(0.0, 0.0)
            grid.delete_snapshot(snapshot)
    about = f"{side**2:,} chunks"
    ratios = [one / two for one, two in zip(opened, opened_now, strict=True)]
    beside = f"{statistics.median(opened):.2f} s beside {statistics.median(opened_now):.2f} s"
    return {
        "snapshot seconds": Figure(statistics.median(taken), about, agrees),
        "snapshot bytes": Figure(nbytes / 1e6, about, agrees),
        "snapshot opened": Figure(statistics.median(ratios), f"{about}; {beside}", agrees),
    }


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    gc.collect()
    begun = time.perf_counter()
    found = call()
    return found, time.perf_counter() - begun


def _nbytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
