"""Swarmgrid, as its README says to use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.cases import COLD, EXTEND, OPEN, OWN, TENTH, WARM
from benchmarks.contenders import N_WORKERS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.cases import Axes, Work
    from benchmarks.contenders import Read


class Swarmgrid:
    """`swarmgrid.compute`, with two workers."""

    name = OWN
    package = None
    is_cache = True
    about = "swarmgrid.compute(workers=2), the executor left to it; values are read when asked for"

    def phases(self, case: str) -> frozenset[str]:  # noqa: ARG002  # all that there are
        return frozenset({COLD, OPEN, WARM, EXTEND, TENTH})

    def run(self, work: Work, axes: Axes, folder: Path) -> Read:
        import swarmgrid

        ds = swarmgrid.compute(
            axes=axes,
            func=work.func,
            store=folder,
            chunks=work.chunks,
            vectorized=work.vectorized,
            workers=N_WORKERS,
            verbose=0,
        )
        return lambda: ds["value"].values
