"""joblib: `Parallel` over calls that `Memory` keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cases import COLD, EXTEND, WARM
from benchmarks.contenders import N_WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.cases import Axes, Work
    from benchmarks.contenders import Read

PHASES = frozenset({COLD, WARM, EXTEND})


class JoblibRows:
    """A cached call per row of the grid, which is what swarmgrid has in a chunk."""

    name = "joblib, rows"
    package = "joblib"
    is_cache = True
    about = "Parallel(2) over Memory.cache of a function that computes one row (a chunk)"

    def phases(self, case: str) -> frozenset[str]:
        return PHASES if case in {"small", "trivial", "arrays", "sleep"} else frozenset()

    def run(self, work: Work, axes: Axes, folder: Path) -> Read:
        from joblib import Memory, Parallel, delayed

        row = Memory(folder, verbose=0).cache(_row)
        b = axes["b"].tolist()
        rows = Parallel(N_WORKERS)(delayed(row)(work.func, a, b) for a in axes["a"].tolist())
        values = np.stack(rows)
        return lambda: values


class JoblibPoints:
    """A cached call per point."""

    name = "joblib, points"
    package = "joblib"
    is_cache = True
    about = "Parallel(2) over Memory.cache of the function itself"

    def phases(self, case: str) -> frozenset[str]:
        return PHASES if case in {"small", "sleep"} else frozenset()

    def run(self, work: Work, axes: Axes, folder: Path) -> Read:
        from joblib import Memory, Parallel, delayed

        point = Memory(folder, verbose=0).cache(work.func)
        results = Parallel(N_WORKERS)(
            delayed(point)(a, b) for a in axes["a"].tolist() for b in axes["b"].tolist()
        )
        values = np.array(results).reshape(work.shape(axes))
        return lambda: values


def _row(func: Callable[..., Any], a: float, b: list[float]) -> Any:
    """The function's values along one row."""
    return np.array([func(a, value) for value in b])
