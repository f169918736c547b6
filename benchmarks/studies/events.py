"""How late a watcher is told of a commit, while another process commits and compacts segments."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.measure import scratch
from benchmarks.studies import Figure

if TYPE_CHECKING:
    from pathlib import Path

N, QUICK_N = 1000, 12
REST_SECONDS, QUICK_REST_SECONDS = 20.0, 0.2
"""So long requests are counted while nothing happens."""
PAUSE_SECONDS = 0.02
WRITER = """
import json, sys, time
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
path, options = GridPath("doubled", grid_id), json.loads(sys.argv[5])
with lease.acquire(to_location(store, options or None), path) as held, recorded(held, path):
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


@dataclass
class _Watched:
    """What a watcher was told, and what it has asked for."""

    late: dict[int, float]
    """By point the seconds from its commit to its event."""
    at_work: float
    """Requests a second while another process commits."""
    at_rest: float
    """The same while nothing happens."""
    unheard: int
    """Requests while it is not asked for events."""


def study(rounds: int, *, is_quick: bool) -> dict[str, Figure]:  # noqa: ARG001  # one is enough
    """Seconds from a commit to its event, the largest of all, and what it takes, by store."""
    found = {}
    with scratch() as folder, contextlib.ExitStack() as servers:
        for name, (url, options), how in _places(folder, servers):
            seen = _watched(url, options, how, is_quick=is_quick)
            found[f"an event, {name}"] = _figure(seen, QUICK_N if is_quick else N, how)
            rest = (
                f"{seen.at_work:.1f} while it is filled, {seen.unheard} while no process listens"
            )
            found[f"requests of a watcher, {name}"] = Figure(
                seen.at_rest, f"a second at rest; {rest}", agrees=seen.unheard == 0
            )
    return found


def _places(
    folder: Path, servers: contextlib.ExitStack
) -> Iterator[tuple[str, tuple[str, dict[str, Any]], str]]:
    from benchmarks.studies.stores import s3, valkey

    yield "woken", (str(folder / "woken"), {}), "inotify"
    yield "polled", (str(folder / "polled"), {}), "polling"
    starts = {"Redis": (valkey, "hints of the store"), "S3": (s3, "polling")}
    for name, (start, how) in starts.items():
        (folder / name).mkdir()
        with contextlib.suppress(ImportError, FileNotFoundError):  # a server that is not here
            yield name, servers.enter_context(start(folder / name)), how


def _figure(seen: _Watched, n: int, how: str) -> Figure:
    late = sorted(seen.late.values())
    missed = n - 1 - len(late)
    about = (
        f"{n - 1:,} segments with compactions, {how}: median {statistics.median(late):.3f} s, "
        f"most {late[-1]:.3f} s, {missed} missed"
    )
    return Figure(late[-1], about, agrees=missed == 0)


class _Counted:
    """The objects of a store, and a count of the requests."""

    n = 0

    def __init__(self, blobs: Any) -> None:
        self._blobs = blobs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    def names(self, prefix: str) -> Any:
        _Counted.n += 1
        return self._blobs.names(prefix)

    def get(self, *args: Any) -> Any:
        _Counted.n += 1
        return self._blobs.get(*args)

    def get_many(self, keys: Any, *args: Any) -> Any:
        _Counted.n += len(keys)
        return self._blobs.get_many(keys, *args)


@contextlib.contextmanager
def _counting(how: str) -> Iterator[None]:
    """Count the requests of this process; ``how`` a directory wakes a watcher is chosen, too."""
    from swarmgrid.store.location import Location

    real = Location.open
    if how == "polling":
        sys.modules["watchfiles"] = None  # type: ignore[assignment]  # as without the extra
    Location.open = lambda *args: _Counted(real(*args))  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        Location.open = real  # type: ignore[method-assign]
        sys.modules.pop("watchfiles", None)


def _watched(url: str, options: dict[str, Any], how: str, *, is_quick: bool) -> _Watched:
    """Follow another process that commits points one by one."""
    import swarmgrid

    n, rest = (QUICK_N, QUICK_REST_SECONDS) if is_quick else (N, REST_SECONDS)
    swarmgrid.stream(
        doubled,
        axes={"x": range(n)},
        where=lambda x: x == 0,
        chunks=1,
        store=url,
        storage_options=options or None,
        executor="sync",
        verbose=0,
    )
    told: dict[int, float] = {}
    with _counting(how):
        grid = swarmgrid.catalog(url, storage_options=options or None).rows[0].grid
        watch = swarmgrid.watch(url, grid, since="now", storage_options=options or None)
        assert how in repr(watch), watch
        before = _Counted.n
        time.sleep(rest / 10)
        unheard = _Counted.n - before

        def follow() -> None:
            for event in watch:
                if isinstance(event, swarmgrid.PointsComputed):
                    now = time.time()
                    told.update((int(x), now) for x in event.points["x"])

        thread = threading.Thread(target=follow)
        thread.start()
        command = [sys.executable, "-c", WRITER, url, grid, str(n), str(PAUSE_SECONDS)]
        begun, before = time.monotonic(), _Counted.n
        done = subprocess.run(
            [*command, json.dumps(options)], capture_output=True, text=True, check=True
        )
        written = {int(x): float(at) for x, at in map(str.split, done.stdout.splitlines())}
        end = time.monotonic() + 60
        while not written.keys() <= told.keys() and time.monotonic() < end:
            time.sleep(0.05)
        at_work = (_Counted.n - before) / (time.monotonic() - begun)
        time.sleep(rest / 10)  # it sees the writer leave
        begun, before = time.monotonic(), _Counted.n
        time.sleep(rest)
        at_rest = (_Counted.n - before) / (time.monotonic() - begun)
        watch.close()
        thread.join()
    late = {x: max(0.0, told[x] - at) for x, at in written.items() if x in told}
    return _Watched(late, at_work, at_rest, unheard)
