"""Bytes and files of a store, beside zarr writing the same Dataset in the same form."""

from __future__ import annotations

import math
import time
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

from benchmarks.cases import CASES
from benchmarks.contenders import N_WORKERS
from benchmarks.contenders.floors import stored_array
from benchmarks.contenders.own import Swarmgrid
from benchmarks.measure import disk_usage, scratch
from benchmarks.studies import Figure

if TYPE_CHECKING:
    from pathlib import Path

SIZES = {"trivial": 100_000, "arrays": 10_000, "chunks": 30_000}
"""Points by case."""


def study(rounds: int, *, is_quick: bool) -> dict[str, Figure]:  # noqa: ARG001  # no clock
    """Bytes as a ratio, and the files beside those that hold data, over what is allowed."""
    found = {"a small file": _small_files(200 if is_quick else 20_000)}
    for name, n_points in SIZES.items():
        case = CASES[name]
        work = case.work(case.n_quick if is_quick else n_points)
        with scratch() as folder, scratch() as other:
            values = Swarmgrid().run(work, work.axes, folder)()
            agrees = work.agrees(work.axes, values)
            nbytes, files = disk_usage(folder)
            array = stored_array(folder)
            bare, least_files = _written_by_zarr([array], other / "bare")
            axes = [array.parent / axis for axis in work.axes]
            least, _ = _written_by_zarr([array, *axes], other / "whole")
        n_chunks = math.prod(
            -(-work.axes[axis].size // length) for axis, length in work.chunks.items()
        )
        extra, most = files - least_files, _files_allowed(n_chunks)
        found[f"bytes, {name}"] = Figure(
            nbytes / least,
            f"{nbytes:,} beside {least:,} bytes, {bare:,} without coordinates",
            agrees,
        )
        found[f"files, {name}"] = Figure(
            extra / most,
            f"{files:,} files, {extra} more than zarr's; {most} may be, for {n_chunks:,} chunks",
            agrees,
        )
    return found


def _small_files(n: int) -> Figure:
    """What two processes need to write and rename a file of the size of a tiny chunk."""
    with scratch() as folder, ProcessPoolExecutor(N_WORKERS) as pool:
        list(pool.map(_write_small_files, [folder] * N_WORKERS, range(N_WORKERS), [1] * N_WORKERS))
        begun = time.perf_counter()
        each = [n // N_WORKERS] * N_WORKERS
        list(pool.map(_write_small_files, [folder] * N_WORKERS, range(N_WORKERS), each))
        seconds = time.perf_counter() - begun
    return Figure(seconds / n * 1e6, f"µs, of {n:,} written and renamed by {N_WORKERS} processes")


def _write_small_files(folder: Path, worker: int, n: int) -> None:
    for i in range(n):
        staged = folder / f"staged-{worker}"
        staged.write_bytes(bytes(40))
        staged.rename(folder / f"{worker}.{i}")


def _files_allowed(n_chunks: int) -> int:
    """Files beside the data: a few for the metadata, and segments by the logarithm."""
    return 16 + math.ceil(7 * math.log(max(n_chunks, 8), 8))


def _written_by_zarr(arrays: list[Path], folder: Path) -> tuple[int, int]:
    """The bytes and files of arrays of the same form and values that zarr writes."""
    import zarr

    for array in arrays:
        like: Any = zarr.open_array(array, mode="r")
        new = zarr.create_array(
            folder / array.name,
            shape=like.shape,
            chunks=like.chunks,
            shards=like.shards,
            dtype=like.dtype,
            compressors=like.compressors,
            filters=like.filters,
            serializer=like.serializer,
            fill_value=like.fill_value,
        )
        new[...] = like[...]
    return disk_usage(folder)
