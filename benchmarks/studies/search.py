"""Similarity search: the exact one beside numpy and faiss, an index, and what its update reads."""

from __future__ import annotations

import statistics
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from benchmarks.measure import scratch
from benchmarks.studies import Figure

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTH = 64
SIZES = {"exact": 100_000, "index": 1_000_000}
QUICK = {"exact": 2_000, "index": 2_000}
QUERIES = 200
HITS = 10
NOISE = 0.1
"""Strong noise: of the height of a line."""
CANDIDATES = (32, 64, 128, 256, 512)


def lines(i: Any) -> Any:
    """Spectra of a line whose center, width, height and background follow from a number."""
    import numpy as np

    i = np.asarray(i, np.float64)
    x = np.linspace(0, 1, LENGTH)
    # an additive recurrence (Roberts, 2018): points that fill a cube evenly, each by its number
    steps = (0.8566748838545029, 0.7338918566271260, 0.6287067210378087, 0.5385972572236101)
    center, width, second, share = (np.mod(0.5 + i * step, 1)[..., None] for step in steps)
    width = 0.02 + 0.15 * width
    one = np.exp(-(((x - center) / width) ** 2))
    other = np.exp(-(((x - second) / 0.05) ** 2))
    return {"spectrum": (one + share * other + 0.05).astype(np.float32)}


def study(rounds: int, *, is_quick: bool) -> dict[str, Figure]:
    """The seconds of a query, the recall of an index, and the share of data that it reads."""
    sizes = QUICK if is_quick else SIZES
    n_queries = 20 if is_quick else QUERIES
    with scratch() as folder:
        found = _exact(folder / "exact", sizes["exact"], n_queries, rounds)
    with scratch() as folder:
        return found | _index(folder / "index", sizes["index"], n_queries)


def _exact(store: Any, n: int, n_queries: int, rounds: int) -> dict[str, Figure]:
    """The exact search of a loaded Dataset, in turns with numpy's bare product and faiss."""
    import numpy as np

    ds = _computed(store, n).load()
    vectors = ds["spectrum"].values
    queries = _queries(n, n_queries).astype(np.float32)
    ways: dict[str, Callable[[Any], Any]] = {
        "swarmgrid": lambda q: ds.swarmgrid.nearest("spectrum", q, k=HITS)["i"].values,
        "numpy's product": lambda q: vectors @ q,
    }
    if find_spec("faiss"):
        import faiss

        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        flat = faiss.IndexFlatIP(LENGTH)
        flat.add(unit)
        ways["faiss, exact"] = lambda q: flat.search(q[None], HITS)[1][0]
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(max(1, rounds)):
        for name, way in ways.items():
            way(queries[0])
            for query in queries:
                seconds[name].append(_timed(way, query))
    lengths = np.linalg.norm(vectors.astype(float), axis=1)
    agrees = all(
        {*ways["swarmgrid"](query).tolist()}
        == {*np.argsort(1 - (vectors @ query.astype(float)) / lengths)[:HITS].tolist()}
        for query in queries[:20]
    )
    medians = {name: statistics.median(times) * 1e3 for name, times in seconds.items()}
    others = ", ".join(f"{name} {ms:.2f} ms" for name, ms in medians.items())
    return {
        "exact search": Figure(medians["swarmgrid"], f"{others}; {n:,} x {LENGTH}", agrees),
        "exact search ratio": Figure(
            medians["swarmgrid"] / medians["numpy's product"], others, agrees
        ),
    }


def _index(store: Any, n: int, n_queries: int) -> dict[str, Figure]:
    """An index: its seconds, recall, building, and the part of the data that an update reads."""
    if not find_spec("usearch"):
        return {}
    import swarmgrid

    grid = _computed(store, n).swarmgrid.grid
    begun = time.perf_counter()
    index = grid.index("spectrum")
    built = time.perf_counter() - begun
    queries = _queries(n, n_queries)
    index.query(queries[0], k=HITS)
    times = [_timed(lambda q: index.query(q, k=HITS), query) for query in queries]
    whole = _timed(lambda q: index.query(q, k=HITS), queries) / len(queries)
    loaded = grid.dataset().load()
    exact = loaded.swarmgrid.nearest("spectrum", queries, k=HITS)["i"].values
    recall = _recall(index.query(queries, k=HITS), exact)
    noisy = _queries(n, n_queries, NOISE)
    near = loaded.swarmgrid.nearest("spectrum", noisy, k=HITS)["i"].values
    by_candidates = ", ".join(
        f"{_recall(index.query(noisy, k=HITS, candidates=m), near):.3f} with {m} candidates"
        for m in CANDIDATES
    )
    about = (
        f"{statistics.median(times) * 1e3:.2f} ms, in one call of {len(queries)} queries "
        f"{whole * 1e3:.2f} ms each; recall {recall:.3f}, and where the noise is {NOISE:.0%} of a "
        f"line {by_candidates}; {n:,} x {LENGTH}, built in {built:.0f} s"
    )
    _computed(store, n, n // 100)
    reads = _chunks_read(grid, index, swarmgrid)
    return {
        "index query": Figure(whole * 1e3, about, recall >= 0.95),
        "index query, one": Figure(statistics.median(times) * 1e3, about, recall >= 0.95),
        "index recall": Figure(1 - recall, about),
        "index update": Figure(reads, f"of the chunks of {n:,} points, after 1 % more"),
    }


def _recall(hits: Any, exact: Any) -> float:
    """The part of the nearest points that are among some hits."""
    pairs = zip(hits["i"].values.tolist(), exact.tolist(), strict=True)
    return float(sum(len({*one} & {*other}) for one, other in pairs) / exact.size)


def _chunks_read(grid: Any, index: Any, swarmgrid: Any) -> float:
    """The share of a grid's chunks that an update reads."""
    from swarmgrid.store.directory import FileBlobs

    read, plain = [], FileBlobs.get_many

    def get_many(self: Any, keys: Any, *more: Any) -> Any:
        read.extend(key for key in keys if "/spectrum/" in key)
        return plain(self, keys, *more)

    chunks = swarmgrid.catalog(grid._ref.location).rows[0].chunks  # noqa: SLF001
    FileBlobs.get_many = get_many  # type: ignore[method-assign]
    try:
        index.update()
    finally:
        FileBlobs.get_many = plain  # type: ignore[method-assign]
    return len(read) / chunks


def _computed(store: Any, n: int, n_more: int = 0) -> Any:
    import numpy as np

    import swarmgrid

    return swarmgrid.compute(
        axes={"i": np.arange(n + n_more)}, func=lines, vectorized=True, store=store, version="1",
        executor="sync", verbose=0, chunks={"i": max(10, n // 1000)},
    )  # fmt: skip


def _queries(n: int, n_queries: int, noise: float = 0.01) -> Any:
    """Measurements: spectra beside those of the grid, with noise."""
    import numpy as np

    rng = np.random.default_rng(0)
    between = rng.uniform(0, n, n_queries)
    return lines(between)["spectrum"] + noise * rng.normal(size=(n_queries, LENGTH))


def _timed(call: Callable[[Any], Any], argument: Any) -> float:
    begun = time.perf_counter()
    call(argument)
    return time.perf_counter() - begun
