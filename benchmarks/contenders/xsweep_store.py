"""xsweep: a sweep declared over an xarray space, kept in a Zarr store with a status array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.cases import COLD, EXTEND, OPEN, WARM
from benchmarks.contenders import N_WORKERS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.cases import Axes, Work
    from benchmarks.contenders import Read

PHASES = frozenset({COLD, OPEN, WARM, EXTEND})


class Xsweep:
    """Serial, as fits cheap points; threads where a point only waits."""

    name = "xsweep"
    package = "xsweep"
    is_cache = True
    about = "Sweeper('loop(a, b) -> value()', store=...), serial; 2 threads for points that sleep"

    def phases(self, case: str) -> frozenset[str]:
        return PHASES if case in {"small", "trivial", "arrays", "sleep"} else frozenset()

    def run(self, work: Work, axes: Axes, folder: Path) -> Read:
        import xarray as xr
        import xsweep

        # A space of another shape does not fit its store: it goes to a store of its own.
        store = folder / f"{axes['a'].size}x{axes['b'].size}.zarr"
        options: dict[str, Any] = {} if work.is_cheap else {"executor": "thread"}
        sweeper = xsweep.Sweeper(
            f"loop(a, b) -> value({'step' if work.inner else ''})",
            work.func,
            xsweep.SweepPolicy(
                store=store, store_chunks=work.chunks, max_workers=N_WORKERS, **options
            ),
        )
        space = xr.Dataset({name: (name, values) for name, values in axes.items()})
        if work.inner:  # where it looks for the length of an output's own dim
            space = space.assign_coords(step=range(*work.inner))
        ds = sweeper(space)
        return lambda: ds["value"].values
