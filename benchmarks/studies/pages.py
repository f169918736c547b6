"""The pages: a report of a hundred grids, one of a million chunks, and the live page of that one.

``python -m benchmarks.studies.pages FOLDER`` serves the live page, in a process of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import psutil

from benchmarks.measure import scratch
from benchmarks.points import trivial
from benchmarks.studies import Figure
from benchmarks.studies.manifest import fill

if TYPE_CHECKING:
    from swarmgrid.format.segment import Rows

SIDE, QUICK_SIDE = 1_000, 30
GRIDS, QUICK_GRIDS = 99, 2
SECONDS, QUICK_SECONDS = 30.0, 1.5
"""For so long the live page is looked at."""
CHUNKS_A_SECOND = 3_000
DRAWN = """
new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))
"""


def study(rounds: int, *, is_quick: bool) -> dict[str, Figure]:  # noqa: ARG001  # one is enough
    """The bytes of the pages, the seconds of the report, and what following costs."""
    import swarmgrid

    side, n_grids = (QUICK_SIDE, QUICK_GRIDS) if is_quick else (SIDE, GRIDS)
    axes = {"a": np.arange(40.0), "b": np.arange(30.0)}
    with scratch() as folder:
        fill(folder, side)
        for number in range(n_grids):
            options: dict[str, Any] = {"executor": "sync", "verbose": 0}
            swarmgrid.stream(trivial, {}, axes, version=str(number), store=folder, **options)
        swarmgrid.catalog(folder, check=True)  # the rows of the large grid were written by hand
        begun = time.perf_counter()
        path = swarmgrid.report(folder, folder / "report.html")
        seconds = time.perf_counter() - begun
        nbytes, drawn = path.stat().st_size, _drawn(path)
    live = _followed(side, QUICK_SECONDS if is_quick else SECONDS)
    about = f"{n_grids + 1} grids, one of {side**2:,} chunks"
    return {
        "report bytes": Figure(nbytes / 1e6, f"{about}; written in {seconds:.2f} s"),
        "report drawn": Figure(drawn or 0.0, about if drawn else "no Chromium is here"),
        **live,
    }


def _drawn(path: Path) -> float | None:
    """The seconds until Chromium has drawn a page; None where there is none."""
    from tests.browser import DESKTOP, NAMES, started

    command = next(filter(None, map(shutil.which, NAMES)), None)
    if command is None:
        return None
    with started(command) as browser:
        browser.show(DESKTOP)
        browser.open("about:blank")
        browser.open(path.as_uri())
        return float(browser.value(DRAWN)) / 1000


def _followed(side: int, seconds: float) -> dict[str, Figure]:
    """The bytes and the CPU time of a live page whose grid gets rows every second."""
    with scratch() as folder:
        fill(folder, side)
        path, state, kept = _emptied(folder)
        command = [sys.executable, "-m", "benchmarks.studies.pages", str(folder)]
        with subprocess.Popen(
            command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                url = urlsplit(process.stdout.readline().strip())
                sizes = [
                    len(_asked(url, f"/{name}").read())
                    for name in (f"grid/{path.grid}", "static/live.js", "static/live.css")
                ]
                stream = _Counted(_asked(url, f"/events?grid={path.grid}"))
                time.sleep(min(5.0, seconds))
                first = stream.nbytes
                server = psutil.Process(process.pid)
                cpu, begun = sum(server.cpu_times()[:2]), time.perf_counter()
                for number in range(max(1, round(seconds))):
                    _add(folder, path, state, kept, number)
                    time.sleep(min(1.0, seconds))
                spent = time.perf_counter() - begun
                cpu = sum(server.cpu_times()[:2]) - cpu
                later = stream.nbytes - first
            finally:
                process.kill()
    about = f"{side**2:,} chunks, {CHUNKS_A_SECOND:,} more a second for {spent:.0f} s"
    return {
        "live first bytes": Figure((sum(sizes) + first) / 1e3, f"{side**2:,} chunks, in all"),
        "live bytes a second": Figure(later / spent / 1e3, about),
        "live cpu": Figure(100 * cpu / spent, about),
    }


def _emptied(folder: Path) -> tuple[Any, Any, Rows]:
    """Take half of the rows of the grid's segments away: its path, its state and these rows."""
    from swarmgrid.records.grid_state import read_state
    from swarmgrid.records.manifest import write_segment
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import to_location

    (group,) = (folder / "data.zarr").glob("*/*/value")
    path = GridPath(group.parents[1].name, group.parent.name)
    blobs = to_location(folder).open()
    state = read_state(blobs, path)
    assert state is not None
    rows = state.manifest.rows
    order = np.random.default_rng(1).permutation(len(rows))
    blobs.begin_writing()
    half = len(order) // 2
    write_segment(blobs, path, "1" * 12 + "-0-half.seg", state.grid, rows.subset(order[:half]))
    for name in (name for name in state.names if name.endswith(".seg")):
        blobs.delete(path.manifest + name)
    blobs.end_writing()
    return path, state, rows.subset(order[half:])


def _add(folder: Path, path: Any, state: Any, rows: Rows, number: int) -> None:
    from swarmgrid.records.manifest import write_segment
    from swarmgrid.store.location import to_location

    at = np.arange(number * CHUNKS_A_SECOND, (number + 1) * CHUNKS_A_SECOND)
    new = rows.subset(at[at < len(rows)])
    commit = np.full(len(new), rows.commit.max() + 1 + number, rows.commit.dtype)
    blobs = to_location(folder).open()
    blobs.begin_writing()
    name = f"{number + 2 * 10**11:012d}-0-more.seg"
    write_segment(blobs, path, name, state.grid, replace(new, commit=commit))
    blobs.end_writing()


def _asked(url: Any, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", url.port, timeout=60)
    connection.request("GET", f"{path}{'&' if '?' in path else '?'}{url.query}")
    return connection.getresponse()


class _Counted(threading.Thread):
    """Reads a stream to its end, and counts its bytes."""

    def __init__(self, stream: http.client.HTTPResponse) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self.nbytes = 0
        self.start()

    def run(self) -> None:
        with contextlib.suppress(http.client.HTTPException, OSError):  # the server is killed
            while data := self._stream.read1(2**16):
                self.nbytes += len(data)


def main() -> None:
    """Serve a store, and print the address."""
    import swarmgrid

    with swarmgrid.serve(sys.argv[1]) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        server.wait()


if __name__ == "__main__":
    main()
