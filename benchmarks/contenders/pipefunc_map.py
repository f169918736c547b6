"""pipefunc: a pipeline of one function, mapped over the product of two inputs."""

from __future__ import annotations

import logging
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cases import COLD, EXTEND, WARM
from benchmarks.contenders import N_WORKERS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.cases import Axes, Work
    from benchmarks.contenders import Read

CASES = frozenset({"small", "trivial", "arrays", "sleep"})
PHASES = frozenset({COLD, WARM, EXTEND})


class PipefuncDict:
    """Results in a dict, which is saved at the end."""

    name = "pipefunc, dict"
    package = "pipefunc"
    is_cache = False  # nothing is on disk before the end
    about = "Pipeline.map(storage='dict', run_folder), 2 processes; resume=True when warm"

    def phases(self, case: str) -> frozenset[str]:
        return PHASES if case in CASES else frozenset()

    def run(self, work: Work, axes: Axes, folder: Path) -> Read:
        return _mapped(work, axes, folder, "dict")


class PipefuncFile:
    """A file for each point, its default."""

    name = "pipefunc, files"
    package = "pipefunc"
    is_cache = True
    about = "the same with storage='file_array', its default: a file per point"

    def phases(self, case: str) -> frozenset[str]:
        return PHASES if case in CASES else frozenset()

    def run(self, work: Work, axes: Axes, folder: Path) -> Read:
        return _mapped(work, axes, folder, "file_array")


def _mapped(work: Work, axes: Axes, folder: Path, storage: str) -> Read:
    from pipefunc import PipeFunc, Pipeline

    logging.getLogger("pipefunc").setLevel(logging.ERROR)
    func = PipeFunc(work.func, output_name="value", mapspec="a[i], b[j] -> value[i, j]")
    # Other axes are another run to it, which begins from nothing.
    run = folder / f"{axes['a'].size}x{axes['b'].size}"
    options: dict[str, Any] = {"storage": storage, "resume": run.exists(), "show_progress": False}
    with ProcessPoolExecutor(N_WORKERS) as pool:
        results = Pipeline([func], validate_type_annotations=False).map(
            dict(axes), run_folder=run, executor=pool, chunksizes=work.chunks["b"], **options
        )
    values = np.array(results["value"].output.tolist(), dtype=np.float64)
    return lambda: values
