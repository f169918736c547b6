"""The floors: what the machine, numpy and zarr take, by hand and without any promise."""

from __future__ import annotations

import functools
import itertools
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cases import BARE, COLD, EXTEND, WARM, ZARR
from benchmarks.contenders import N_WORKERS
from benchmarks.measure import scratch
from benchmarks.points import trivial

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.cases import Axes, Work
    from benchmarks.contenders import Read


class BarePool:
    """``ProcessPoolExecutor.map`` into one array and ``np.save``; ``np.load`` to read."""

    name = BARE
    package = None
    is_cache = False
    about = "ProcessPoolExecutor.map(chunksize=a chunk) into one array, np.save; np.load"

    def phases(self, case: str) -> frozenset[str]:  # noqa: ARG002  # all that there are
        return frozenset({COLD, WARM, EXTEND})

    def run(self, work: Work, axes: Axes, folder: Path) -> Read:
        file = folder / "values.npy"
        old = np.load(file) if file.exists() else None
        if old is not None and old.shape == work.shape(axes):
            return lambda: old
        a = axes["a"][0 if old is None else len(old) :]
        if work.vectorized:
            values = work.func(a[:, None], axes["b"])
        else:
            values = _mapped(work, a, axes["b"])
        if old is not None:
            values = np.concatenate([old, values])
        np.save(file, values)
        return lambda: values


def _mapped(work: Work, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values over ``a`` and ``b``, from a pool of processes."""
    first, second = np.repeat(a, b.size).tolist(), np.tile(b, a.size).tolist()
    n = len(first)
    with ProcessPoolExecutor(N_WORKERS) as pool:
        results = pool.map(work.func, first, second, chunksize=work.lot)
        if not work.inner:
            return np.fromiter(results, np.float64, n).reshape(a.size, b.size)
        values = np.empty((n, *work.inner))
        for i, result in enumerate(results):
            values[i] = result
        return values.reshape(a.size, b.size, *work.inner)


class ZarrAlone:
    """Zarr reading the array that swarmgrid wrote; where blocks are computed, writing it too."""

    name = ZARR
    package = None
    is_cache = False
    about = "zarr reads the array that swarmgrid wrote; writes numpy's result at once (vectorized)"

    def phases(self, case: str) -> frozenset[str]:
        return frozenset({COLD, WARM} if case == "vectorized" else {WARM})

    def run(self, work: Work, axes: Axes, folder: Path) -> Read:
        is_new = not any(folder.iterdir())
        if work.vectorized:
            path = folder / "values.zarr"
            if is_new:
                _new_array(path, work, axes)[...] = work.func(axes["a"][:, None], axes["b"])
            return _reader(path)
        if is_new:
            from benchmarks.contenders.own import Swarmgrid

            Swarmgrid().run(work, axes, folder)
        return _reader(stored_array(folder))


class ZarrLoop:
    """What one writes by hand: a task per chunk, which writes its own Zarr chunk."""

    name = "zarr by hand"
    package = None
    is_cache = False
    about = "a pool task per chunk writes its own chunk with zarr; a file says what is done"

    def phases(self, case: str) -> frozenset[str]:
        return frozenset() if case in {"vectorized", "growth"} else frozenset({COLD, WARM, EXTEND})

    def run(self, work: Work, axes: Axes, folder: Path) -> Read:
        import zarr

        path, done_file = folder / "values.zarr", folder / "done.npy"
        done = int(np.load(done_file)) if done_file.exists() else 0  # rows of chunks
        step = work.chunks["a"]
        n = -(-axes["a"].size // step)
        if not done:
            _new_array(path, work, axes)
        if done < n:
            if done:
                zarr.open_array(path, mode="r+").resize(work.shape(axes))
            tasks = [
                (work.func, str(path), i * step, axes["a"][i * step : (i + 1) * step], axes["b"])
                for i in range(done, n)
            ]
            lot = 4 if work.is_cheap and len(tasks) >= 20 else 1
            with ProcessPoolExecutor(N_WORKERS) as pool:
                for _ in pool.map(_write_chunk, tasks, chunksize=lot):
                    pass
            np.save(done_file, n)
        return _reader(path)


def _write_chunk(task: tuple[Any, str, int, NDArray[np.float64], NDArray[np.float64]]) -> None:
    """Compute a chunk's points and write them."""
    import zarr

    func, path, start, a, b = task
    results = list(itertools.starmap(func, itertools.product(a.tolist(), b.tolist())))
    block = np.array(results).reshape(a.size, b.size, *np.shape(results[0]))
    zarr.open_array(path, mode="r+")[start : start + a.size] = block


def stored_array(folder: Path) -> Path:
    """Where the values of the only grid of a store are."""
    (path,) = (folder / "data.zarr").glob("*/*/value")
    return path


def _reader(path: Path) -> Read:
    """A callable that reads a whole array, opening included."""
    import zarr

    return lambda: np.asarray(zarr.open_array(path, mode="r")[...])


def _new_array(path: Path, work: Work, axes: Axes) -> Any:
    """An array like those that swarmgrid makes: the same chunks, the same codec."""
    import zarr

    return zarr.create_array(
        path,
        shape=work.shape(axes),
        chunks=(*work.chunks.values(), *work.inner),
        dtype="float64",
        compressors=own_codec(),
        fill_value=float("nan"),
    )


@functools.cache
def own_codec() -> Any:
    """How swarmgrid compresses floats, as one of its arrays says it."""
    import zarr

    import swarmgrid

    with scratch() as folder:
        swarmgrid.compute(axes={"a": [0.0], "b": [0.0]}, func=trivial, store=folder, verbose=0)
        return zarr.open_array(stored_array(folder), mode="r").compressors
