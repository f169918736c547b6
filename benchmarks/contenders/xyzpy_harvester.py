"""xyzpy: a `Harvester`, which merges what is run into one dataset on disk."""

from __future__ import annotations

import shutil
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

from benchmarks.cases import COLD, EXTEND, WARM
from benchmarks.contenders import N_WORKERS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.cases import Axes, Work
    from benchmarks.contenders import Read

PHASES = frozenset({COLD, WARM, EXTEND})


class XyzpySerial:
    """Points computed one after the other, which is its fastest way for cheap ones."""

    name = "xyzpy, serial"
    package = "xyzpy"
    is_cache = False  # what is missing is for its user to say
    about = "Harvester.harvest_combos of what is missing, one process, one HDF5 file"

    def phases(self, case: str) -> frozenset[str]:
        return PHASES if case in {"small", "trivial", "arrays"} else frozenset()

    def run(self, work: Work, axes: Axes, folder: Path) -> Read:
        harvester = _harvester(work, folder)
        if not _holds(harvester, work, axes):
            harvester.harvest_combos(_missing(harvester, axes), verbosity=0)
        return lambda: harvester.full_ds["value"].values


class XyzpyCrop:
    """Batches of points that worker processes pick up from disk."""

    name = "xyzpy, crop"
    package = "xyzpy"
    is_cache = False  # what is missing is for its user to say
    about = "Harvester.Crop(a batch per chunk), grown by 2 processes, reaped into the dataset"

    def phases(self, case: str) -> frozenset[str]:
        return PHASES if case in {"small", "trivial", "arrays", "sleep"} else frozenset()

    def run(self, work: Work, axes: Axes, folder: Path) -> Read:
        harvester = _harvester(work, folder)
        if not _holds(harvester, work, axes):
            crop = harvester.Crop(name="crop", parent_dir=str(folder), batchsize=work.chunks["b"])
            crop.sow_combos(_missing(harvester, axes), verbosity=0)
            with ProcessPoolExecutor(N_WORKERS) as pool:  # its own is joblib's, and breaks that
                crop.grow_missing(executor=pool, verbosity=0)
            crop.reap(verbosity=0)
            shutil.rmtree(folder / ".xyz-crop", ignore_errors=True)
        return lambda: harvester.full_ds["value"].values


def _harvester(work: Work, folder: Path) -> Any:
    import xyzpy

    runner = xyzpy.Runner(
        work.func,
        var_names=["value"],
        fn_args=["a", "b"],
        var_dims={"value": ["step"]} if work.inner else None,
        var_coords={"step": range(*work.inner)} if work.inner else None,
    )
    return xyzpy.Harvester(runner, data_name=str(folder / "values.h5"))


def _holds(harvester: Any, work: Work, axes: Axes) -> bool:
    """Whether the dataset has these axes; its own search visits every point in Python."""
    ds = harvester.full_ds
    return ds is not None and ds["value"].shape == work.shape(axes)


def _missing(harvester: Any, axes: Axes) -> dict[str, list[float]]:
    """The combos to run: all, or the new rows, which the user of a Harvester names."""
    ds = harvester.full_ds
    n = 0 if ds is None else ds.sizes["a"]
    return {"a": axes["a"][n:].tolist(), "b": axes["b"].tolist()}
