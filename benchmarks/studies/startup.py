"""What a process waits for before it has its first point: wall time of fresh interpreters."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import scratch
from benchmarks.points import trivial
from benchmarks.studies import Figure

NOTHING = "pass"
OWN_IMPORT = "import swarmgrid"
NEEDED = "import numpy, zarr, xarray"
"""What the answer is made of: a Dataset over a Zarr store."""
FIRST = """
import sys
import swarmgrid
from benchmarks.points import trivial
axes = {"a": [1.0, 2.0], "b": [3.0, 4.0]}
ds = swarmgrid.compute(axes=axes, func=trivial, store=sys.argv[1], workers=2, verbose=0)
print(ds["value"].values[0, 1])
"""


def study(rounds: int, *, is_quick: bool) -> dict[str, Figure]:
    """The import alone, and a grid of four points beside the imports that it needs."""
    codes = (NOTHING, OWN_IMPORT, NEEDED, FIRST)
    if not is_quick:
        for code in codes:  # which compiles what is not compiled yet
            _run(code)
    seconds: dict[str, list[float]] = {code: [] for code in codes}
    agrees = True
    for _ in range(rounds):
        for code in codes:
            spent, output = _run(code)
            seconds[code].append(spent)
            agrees &= code != FIRST or float(output) == trivial(1.0, 4.0)
    nothing, own, needed, first = (seconds[code] for code in codes)
    imports = [a - b for a, b in zip(own, nothing, strict=True)]
    ratios = [a / b for a, b in zip(first, needed, strict=True)]
    least, most = statistics.median(needed), statistics.median(first)
    return {
        "ls": _listing(rounds, 100 if is_quick else 10_000),
        "import": Figure(
            statistics.median(imports), f"beyond {statistics.median(nothing):.3f} s for `pass`"
        ),
        "first point": Figure(
            statistics.median(ratios), f"{most:.2f} s beside {least:.2f} s of imports", agrees
        ),
    }


def _listing(rounds: int, n: int) -> Figure:
    """Seconds of ``swarmgrid ls`` that finds one of so many grids."""
    from swarmgrid.inventory.objects import write_rows
    from swarmgrid.inventory.row import GridRow
    from swarmgrid.store.location import to_location

    with scratch() as folder:
        rows = [
            GridRow(f"{i:032x}", "f", "f", params_text=f'{{"i": {i}}}', checksum="x", time_ns=1)
            for i in range(n)
        ]
        for row in rows:
            (folder / "store" / "data.zarr" / "f" / row.grid).mkdir(parents=True)
        blobs = to_location(str(folder / "store")).open()
        blobs.begin_writing()
        write_rows(blobs, rows)
        blobs.end_writing()
        command = [
            sys.executable,
            "-m",
            "swarmgrid",
            "ls",
            "store",
            "--where",
            f"params.i={n - 1}",
        ]
        seconds, printed = [], ""
        for _ in range(rounds + 1):
            begun = time.perf_counter()
            done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
            seconds.append(time.perf_counter() - begun)
            printed = done.stdout
    median = statistics.median(seconds[1:] or seconds)
    return Figure(median, f"one of {n:,} grids, as a process", printed.count("\n") == 2)


def _run(code: str) -> tuple[float, str]:
    """Seconds of a fresh interpreter, and what it prints."""
    with scratch() as folder:
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder / "store")],
            cwd=Path(__file__).parents[2],
            check=True,
            capture_output=True,
            text=True,
        )
        return time.perf_counter() - begun, done.stdout
