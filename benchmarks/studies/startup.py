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
        "import": Figure(
            statistics.median(imports), f"beyond {statistics.median(nothing):.3f} s for `pass`"
        ),
        "first point": Figure(
            statistics.median(ratios), f"{most:.2f} s beside {least:.2f} s of imports", agrees
        ),
    }


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
