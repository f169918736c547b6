"""How late a watcher is told of a commit, while another process commits and merges segments."""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from benchmarks.measure import scratch
from benchmarks.studies import Figure

if TYPE_CHECKING:
    from pathlib import Path

N, QUICK_N = 1000, 12
PAUSE_SECONDS = 0.02
WRITER = """
import sys, time
import numpy as np
import swarmgrid
from swarmgrid.coordinator.commit import Committer
from swarmgrid.format.chunk_io import empty_block, write_points
from swarmgrid.records.grid_state import read_state
from swarmgrid.inventory.keeping import recorded
from swarmgrid.space.points import Points
from swarmgrid.leases import lease
from swarmgrid.store.layout import GridPath
from swarmgrid.store.location import to_location
from swarmgrid.transport.messages import TaskResult

store, grid_id, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
path = GridPath("doubled", grid_id)
with lease.acquire(to_location(store), path) as held, recorded(held, path):
    state = read_state(held.blobs, path)
    committer = Committer(held, state.grid, state.grid, state.manifest, None, keeps_failures=True)
    for x in range(1, n):
        time.sleep(float(sys.argv[4]))
        block = {name: np.full_like(b, x * 2.0) for name, b in empty_block(state.grid).items()}
        row, nbytes = write_points(held.blobs, state.grid, (x,), block, Points((1,)), 0.0)
        committer.receive(TaskResult(rows=[row], nbytes=nbytes))
        committer.commit()
        print(x, time.time(), flush=True)
"""


def doubled(x: int) -> float:
    """Return a point."""
    return x * 2.0


def study(rounds: int, *, is_quick: bool) -> dict[str, Figure]:  # noqa: ARG001  # one is enough
    """Seconds from a commit to its event, the largest of all, and the commits that were missed."""
    n = QUICK_N if is_quick else N
    with scratch() as folder:
        woken = _latencies(folder / "woken", n, is_polled=False)
        polled = _latencies(folder / "polled", n, is_polled=True)
    return {
        "an event, woken": _figure(woken, n, "inotify"),
        "an event, polled": _figure(polled, n, "a look a second"),
    }


def _figure(found: dict[int, float], n: int, how: str) -> Figure:
    late = sorted(found.values())
    missed = n - 1 - len(found)
    about = (
        f"{n - 1:,} segments with merges, {how}: median {statistics.median(late):.3f} s, "
        f"most {late[-1]:.3f} s, {missed} missed"
    )
    return Figure(late[-1], about, agrees=missed == 0)


def _latencies(store: Path, n: int, *, is_polled: bool) -> dict[int, float]:
    """By point the seconds from its commit to its event."""
    import swarmgrid

    swarmgrid.stream(
        doubled,
        axes={"x": range(n)},
        where=lambda x: x == 0,
        chunks=1,
        store=store,
        executor="sync",
        verbose=0,
    )
    grid = swarmgrid.catalog(store).rows[0].grid
    if is_polled:
        sys.modules["watchfiles"] = None  # type: ignore[assignment]  # as without the extra
    watch = swarmgrid.watch(store, grid, since="now")
    if is_polled:
        del sys.modules["watchfiles"]
    told: dict[int, float] = {}

    def follow() -> None:
        for event in watch:
            if isinstance(event, swarmgrid.PointsComputed):
                now = time.time()
                told.update((int(x), now) for x in event.points["x"])

    thread = threading.Thread(target=follow)
    thread.start()
    command = [sys.executable, "-c", WRITER, str(store), grid, str(n), str(PAUSE_SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    written = {int(x): float(at) for x, at in map(str.split, done.stdout.splitlines())}
    end = time.monotonic() + 60
    while not written.keys() <= told.keys() and time.monotonic() < end:
        time.sleep(0.05)
    watch.close()
    thread.join()
    return {x: max(0.0, told[x] - at) for x, at in written.items() if x in told}
