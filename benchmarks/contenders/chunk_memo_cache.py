"""chunk-memo: chunks of a grid as pickles."""

from __future__ import annotations

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


class ChunkMemoSerial:
    """`chunk_memo.run`, in one process."""

    name = "chunk-memo, serial"
    package = "chunk-memo"
    is_cache = True
    about = "auto_load(extend_cache=True), run: one process"

    def phases(self, case: str) -> frozenset[str]:
        return PHASES if case in CASES - {"sleep"} else frozenset()

    def run(self, work: Work, axes: Axes, folder: Path) -> Read:
        import chunk_memo

        output, _ = chunk_memo.run(_cache(work, axes, folder), work.func)
        return _read(output, work, axes)


class ChunkMemoParallel:
    """`chunk_memo.run_parallel`, over a pool."""

    name = "chunk-memo, parallel"
    package = "chunk-memo"
    is_cache = True
    about = "auto_load(extend_cache=True), run_parallel over 2 processes, a chunk at a time"

    def phases(self, case: str) -> frozenset[str]:
        return PHASES if case in CASES else frozenset()

    def run(self, work: Work, axes: Axes, folder: Path) -> Read:
        import chunk_memo

        lot = work.chunks["a"] * work.chunks["b"]
        output, _ = chunk_memo.run_parallel(
            _cache(work, axes, folder),
            work.func,
            map_fn_kwargs={"max_workers": N_WORKERS, "chunksize": lot if work.is_cheap else 5},
        )
        return _read(output, work, axes)


def _cache(work: Work, axes: Axes, folder: Path) -> Any:
    import chunk_memo

    memo = chunk_memo.auto_load(
        folder,
        {},
        axis_values={name: values.tolist() for name, values in axes.items()},
        chunk_spec=work.chunks,
        extend_cache=True,
        verbose=0,
    )
    return memo.cache_for_params({})


def _read(output: Any, work: Work, axes: Axes) -> Read:
    values = np.asarray(output, dtype=np.float64).reshape(work.shape(axes))
    return lambda: values
