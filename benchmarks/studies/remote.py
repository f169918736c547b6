"""A store that is far away: what waits for its answers, and what does not have to."""

from __future__ import annotations

import re
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.contenders import N_WORKERS
from benchmarks.measure import scratch
from benchmarks.points import trivial
from benchmarks.studies import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.studies.late_store import LateStore, Request

LATENCY, QUICK_LATENCY = 0.02, 0.001
FEW, MANY = 100, 500
"""Chunks of the two cold runs; by their difference, what every run pays once drops out."""
QUICK_FEW, QUICK_MANY = 10, 30
POINTS_PER_CHUNK = 10


def study(rounds: int, *, is_quick: bool) -> dict[str, Figure]:
    """Requests in a row of a warm call, the cost of a chunk, and of reading many."""
    latency = QUICK_LATENCY if is_quick else LATENCY
    few, many = (QUICK_FEW, QUICK_MANY) if is_quick else (FEW, MANY)
    found = [_round(latency, few, many) for _ in range(min(rounds, 3))]
    return {name: _median([figures[name] for figures in found]) for name in found[0]}


def _median(figures: Sequence[Figure]) -> Figure:
    value = statistics.median_low(figure.value for figure in figures)
    about = next(figure.about for figure in figures if figure.value == value)
    return Figure(value, about, all(figure.agrees for figure in figures))


def _round(latency: float, few: int, many: int) -> dict[str, Figure]:
    with scratch() as folder:
        cold = [_run(folder / f"cold-{n}", latency, n) for n in (few, many)]
        warm = _run(folder / f"cold-{few}", latency, few)
        reading, zarr_seconds, read_agrees = _read(folder / f"cold-{few}", latency, few)
        floor = _floor(folder / "floor", latency, many - few)
    extra = many - few
    per_chunk = (cold[1].seconds - cold[0].seconds) / extra
    requests = (len(cold[1].requests) - len(cold[0].requests)) / extra
    agrees = cold[0].agrees and cold[1].agrees and warm.agrees
    return {
        "requests in a row": Figure(
            len(_chain(warm.requests)),
            f"{len(warm.requests)} in all, {warm.seconds:.3f} s: "
            + ", ".join(map(_name, _chain(warm.requests))),
            agrees,
        ),
        "seconds a far chunk": Figure(
            per_chunk / floor,
            f"{per_chunk * 1e3:.1f} ms beside {floor * 1e3:.1f} ms, of one write each by "
            f"{N_WORKERS} threads; {cold[0].seconds - few * per_chunk:.2f} s for the run itself",
            agrees,
        ),
        "requests a far chunk": Figure(
            requests,
            f"{len(cold[1].requests)} for {many} chunks, {_kinds(cold[1].requests)}",
            agrees,
        ),
        "far reading": Figure(
            reading / (few * latency),
            f"{reading:.2f} s for {few} chunks; zarr reads the same in {zarr_seconds:.2f} s",
            read_agrees,
        ),
    }


class _Life:
    """One call on a store: its seconds, its requests, and whether the values were right."""

    def __init__(self, seconds: float, requests: list[Request], *, agrees: bool) -> None:
        self.seconds = seconds
        self.requests = requests
        self.agrees = agrees


def _axes(n_chunks: int) -> dict[str, Any]:
    return {"a": np.arange(n_chunks, dtype=float), "b": np.arange(POINTS_PER_CHUNK, dtype=float)}


def _compute(store: LateStore, n_chunks: int) -> Any:
    import swarmgrid

    return swarmgrid.compute(
        axes=_axes(n_chunks),
        func=trivial,
        store=store,
        chunks={"a": 1, "b": POINTS_PER_CHUNK},
        workers=N_WORKERS,
        executor="processes",
        verbose=0,
    )


def _run(folder: Path, latency: float, n_chunks: int) -> _Life:
    """Call `compute` without reading any data; the values are looked at past the store."""
    from benchmarks.studies.late_store import requests_in

    store, log = _store(folder, latency)
    log.unlink(missing_ok=True)
    begun = time.perf_counter()
    _compute(store, n_chunks)
    seconds = time.perf_counter() - begun
    requests = requests_in(log)
    prompt, _ = _store(folder, 0.0)
    values = _compute(prompt, n_chunks)["value"].values
    return _Life(seconds, requests, agrees=bool(np.array_equal(values, _expected(n_chunks))))


def _read(folder: Path, latency: float, n_chunks: int) -> tuple[float, float, bool]:
    """Seconds of reading all values that a view holds, and of zarr reading the array."""
    import zarr

    store, _ = _store(folder, latency)
    ds = _compute(store, n_chunks)
    begun = time.perf_counter()
    values = ds["value"].values
    seconds = time.perf_counter() - begun
    (path,) = (folder / "data.zarr").glob("*/*/value")
    array: Any = zarr.open_array(store, path=path.relative_to(folder).as_posix(), mode="r")
    begun = time.perf_counter()
    array[...]
    floor = time.perf_counter() - begun
    return seconds, floor, bool(np.array_equal(values, _expected(n_chunks)))


def _floor(folder: Path, latency: float, n: int) -> float:
    """Seconds per object of writing ``n``, one after the other in each of the workers."""
    from swarmgrid.store.blobs import ZarrBlobs

    blobs = ZarrBlobs(_store(folder, latency)[0])
    data = bytes(POINTS_PER_CHUNK * 8)
    begun = time.perf_counter()
    with ThreadPoolExecutor(N_WORKERS) as pool:
        list(pool.map(lambda i: blobs.put(f"c.{i}", data), range(n)))
    return (time.perf_counter() - begun) / n


def _store(folder: Path, latency: float) -> tuple[LateStore, Path]:
    from zarr.storage import LocalStore

    from benchmarks.studies.late_store import LateStore

    folder.mkdir(exist_ok=True)
    log = folder.with_suffix(".log" if latency else ".prompt")
    return LateStore(LocalStore(folder), latency, str(log)), log


def _expected(n_chunks: int) -> Any:
    axes = _axes(n_chunks)
    return trivial(axes["a"][:, None], axes["b"])


def _chain(requests: list[Request]) -> list[Request]:
    from benchmarks.studies.late_store import chain

    return chain(requests)


def _name(request: Request) -> str:
    """A request without what is different each time."""
    return f"{request.kind} {re.sub(r'[0-9a-f]{32}', '*', request.key)}"


def _kinds(requests: Sequence[Request]) -> str:
    """How many requests there were of each kind."""
    kinds = [f"{request.kind} {request.key.partition('/')[0]}" for request in requests]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
