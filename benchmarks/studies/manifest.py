"""A warm call on a million chunks, of which the manifest says that they are computed.

The grid is made with one point, and the manifest rows of all the others are written by hand:
nothing is read but the manifest, and computing a million points would be the longer part.

``python -m benchmarks.studies.manifest FOLDER SIDE CALLS`` makes the calls, in its own process.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from benchmarks.measure import scratch
from benchmarks.points import trivial
from benchmarks.studies import Figure

if TYPE_CHECKING:
    import xarray as xr

SIDE, QUICK_SIDE = 1_000, 30
"""Values on each axis."""
SEGMENTS = 4
"""About as many large ones as merging leaves."""


def study(rounds: int, *, is_quick: bool) -> dict[str, Figure]:
    """The seconds that `compute` takes to return, and the memory of its process."""
    side = QUICK_SIDE if is_quick else SIDE
    with scratch() as folder:
        nbytes, floor = fill(folder, side)
        many = _called(folder, side, rounds)
        once = _called(folder, side, 1)
    seconds = statistics.median(many["seconds"])
    agrees = many["agrees"] and once["agrees"]
    about = f"{side**2:,} chunks"
    read = f"reading the {nbytes / 1e6:.0f} MB of the manifest takes {floor:.3f} s"
    return {
        "manifest seconds": Figure(seconds, f"{about}; {read}", agrees),
        "manifest memory": Figure(
            once["peak_nbytes"] / 1e6,
            f"{about}; {once['idle_nbytes'] / 1e6:.0f} MB before",
            agrees,
        ),
    }


def _axes(side: int) -> dict[str, Any]:
    return {"a": np.arange(side, dtype=float), "b": np.arange(side, dtype=float)}


def _compute(folder: Path, side: int, where: Any = None) -> xr.Dataset:
    import swarmgrid

    options: dict[str, Any] = {"chunks": {"a": 1, "b": 1}, "workers": 2, "verbose": 0}
    options["shards"] = False  # every chunk is to have its row
    return swarmgrid.compute(axes=_axes(side), func=trivial, store=folder, where=where, **options)


def fill(folder: Path, side: int, *, is_varied: bool = False) -> tuple[int, float]:
    """Write rows for every chunk; their bytes, and the seconds that reading those takes.

    With ``is_varied``, checksums, costs and sizes differ from row to row, as those of a grid do:
    they compress as badly.
    """
    import xarray as xr

    from swarmgrid.format.segment import COLUMNS, Rows
    from swarmgrid.records.grid_state import read_state
    from swarmgrid.records.manifest import write_segment
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import to_location

    corner = xr.DataArray(np.zeros((side, side), bool), _axes(side), ["a", "b"])
    corner[0, 0] = True
    _compute(folder, side, where=corner)
    (group,) = (folder / "data.zarr").glob("*/*/value")
    path = GridPath(group.parents[1].name, group.parent.name)
    blobs = to_location(folder).open()
    state = read_state(blobs, path)
    assert state is not None
    index = np.stack(np.divmod(np.arange(1, side**2, dtype="<i4"), np.int32(side)), axis=1)
    blobs.begin_writing()
    for number, part in enumerate(np.array_split(index, SEGMENTS)):
        row = state.manifest.rows
        columns = {name: np.repeat(getattr(row, name), len(part), axis=0) for name in COLUMNS}
        columns["index"] = part
        draw = np.random.default_rng(number)
        columns["key"] = draw.integers(0, 256, (len(part), 16), np.uint8)
        if is_varied:
            shape = columns["checksums"].shape
            columns["checksums"] = draw.integers(0, 2**32, shape, np.uint32)
            columns["seconds"] = draw.gamma(20, 0.005, len(part)).astype("<f4")
            columns["chunk_bytes"] = draw.integers(20, 28, len(part)).astype("<u8")
        rows = Rows(**columns, writers=row.writers)
        write_segment(blobs, path, f"{number:012d}-0-benchmark.seg", state.grid, rows)
    blobs.end_writing()
    begun = time.perf_counter()
    nbytes = sum(len(file.read_bytes()) for file in (folder / path.manifest).glob("*.seg"))
    return nbytes, time.perf_counter() - begun


def _called(folder: Path, side: int, calls: int) -> dict[str, Any]:
    """What `main` reports."""
    command = [sys.executable, "-m", "benchmarks.studies.manifest"]
    done = subprocess.run(
        [*command, str(folder), str(side), str(calls)],
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Make warm calls and print their seconds, the memory, and whether they were right."""
    folder, side, calls = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with scratch() as other:
        for _ in range(2):
            _compute(other, 2)
    idle = psutil.Process().memory_info().rss
    seconds, agrees = [], True
    for _ in range(calls):
        gc.collect()
        begun = time.perf_counter()
        ds = _compute(folder, side)
        seconds.append(time.perf_counter() - begun)
        agrees &= ds["value"].shape == (side, side)
    peak = _peak_nbytes()
    agrees &= float(ds["value"][0, 0]) == trivial(0.0, 0.0)
    found = {"seconds": seconds, "idle_nbytes": idle, "peak_nbytes": peak, "agrees": agrees}
    print(json.dumps(found))


def _peak_nbytes() -> int:
    """The most memory that this process had resident."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage also counts the process that this one was forked from
        (line,) = (ln for ln in status.read_text().splitlines() if ln.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
