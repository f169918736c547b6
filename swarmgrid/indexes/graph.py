"""The graph of an index: usearch, by the three metrics of the exact search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError
from swarmgrid.search.ranking import exact_distances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.indexes.settings import IndexSettings

CANDIDATES = 64
"""Vectors that are looked at for a query, at least, unless it says otherwise."""
FEW = 2**17
"""Numbers in all vectors of an index that is searched exactly."""
RANKED_NBYTES = 2**24
"""Of vectors whose distances are computed at once."""
_METRICS = {"cosine": "ip", "euclidean": "l2sq", "dot": "ip"}
"""Vectors of length one: their cosine is their product, which is computed sooner."""


class Graph:
    """Vectors by key, and the nearest of them to a query, approximately.

    Parameters
    ----------
    settings : IndexSettings
        The metric, and the effort of building it.
    ndim : int
        The length of a vector.
    stored : bytes, optional
        A graph of such settings, as `to_bytes` made it.

    Raises
    ------
    ValueError
        If the bytes are no such graph.
    """

    def __init__(self, settings: IndexSettings, ndim: int, stored: bytes | None = None) -> None:
        self._metric = settings.metric
        self._ndim = ndim
        self._index = index_class()(
            ndim=ndim,
            metric=_METRICS[settings.metric],
            dtype="f32",
            connectivity=settings.connectivity,
            expansion_add=settings.expansion,
            expansion_search=CANDIDATES,
        )
        if stored is not None:
            self._load(stored)

    def _load(self, stored: bytes) -> None:
        try:
            found: Any = index_class().metadata(stored)
            self._index.load(stored)
        except (ValueError, RuntimeError, TypeError) as error:
            raise ValueError(f"it is no graph: {error}") from None
        if not found or found["dimensions"] != self._ndim:
            raise ValueError(f"it is a graph of other vectors than of {self._ndim} numbers")

    def __len__(self) -> int:
        return len(self._index)

    def add(self, keys: NDArray[np.uint64], vectors: NDArray[np.floating]) -> int:
        """Add vectors, but for those without a value or, of a cosine, without a direction.

        Returns
        -------
        int
            The number that was added.

        Raises
        ------
        InputError
            If a value is too large for float32.
        """
        kept = np.isfinite(vectors).all(axis=1)
        if self._metric == "cosine":
            kept &= vectors.any(axis=1)
        vectors = vectors[kept].astype(np.float64)
        if self._metric == "cosine":
            # by the largest first: squares of large numbers are more than a float64 holds
            vectors /= np.abs(vectors).max(axis=1, keepdims=True)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        with np.errstate(over="ignore"):
            single = vectors.astype(np.float32)
        if not np.isfinite(np.vecdot(single, single)).all():
            raise InputError(
                "a vector has values whose squares are too large for float32, which the index "
                "holds; scale them, or search exactly with ds.swarmgrid.nearest"
            )
        if len(single):
            self._index.add(keys[kept], single)
        return len(single)

    def remove(self, keys: NDArray[np.uint64]) -> None:
        """Remove vectors, as far as they are there."""
        present = keys[self._index.contains(keys)] if len(keys) else keys
        if len(present):
            self._index.remove(present)

    def nearest(
        self, queries: NDArray[np.float64], k: int, candidates: int = CANDIDATES
    ) -> tuple[NDArray[np.intp], NDArray[np.uint64], NDArray[np.float64]]:
        """About the nearest ``k`` vectors to each query.

        Returns
        -------
        numbers, keys, distances : array
            ``(m,)``, all queries' vectors in one: the number of the query, the vector's key, and
            its distance, in double precision.
        """
        if not len(self) or not len(queries):
            return np.zeros(0, np.intp), np.zeros(0, np.uint64), np.zeros(0)
        single, k = self._asked(queries), min(k, len(self))
        self._index.expansion_search = min(candidates, len(self))
        # few vectors are looked at one by one: as quick, and a small graph may miss some
        is_exact = len(self) * self._ndim <= FEW
        if len(single) == 1:
            keys = self._index.search(single, k, exact=is_exact, threads=1).keys
            numbers = np.zeros(len(keys), np.intp)
        else:
            found = self._index.search(single, k, exact=is_exact)
            is_found = np.arange(found.keys.shape[1]) < np.asarray(found.counts)[:, None]
            numbers, keys = np.nonzero(is_found)[0], found.keys[is_found]
        return numbers, keys, self._distances(keys, queries, numbers)

    def _asked(self, queries: NDArray[np.float64]) -> NDArray[np.float32]:
        if self._metric != "euclidean":  # the size of a query changes no order
            queries = queries / np.maximum(np.abs(queries).max(axis=1, keepdims=True), 1e-300)
            queries /= np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-300)
            return queries.astype(np.float32)
        with np.errstate(over="ignore"):
            return np.nan_to_num(queries.astype(np.float32))

    def _distances(
        self, keys: NDArray[np.uint64], queries: NDArray[np.float64], numbers: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """The distances of vectors, each to the query of a number."""
        found = np.empty(len(keys))
        step = max(1, RANKED_NBYTES // (8 * self._ndim))
        for start in range(0, len(keys), step):
            part = slice(start, start + step)
            vectors = np.concatenate(self._index.get(keys[part])).reshape(-1, self._ndim)
            asked = queries if len(queries) == 1 else queries[numbers[part]]
            found[part] = exact_distances(vectors.astype(np.float64), asked, self._metric)
        return found

    def to_bytes(self) -> bytes:
        """The graph as it is stored."""
        return bytes(self._index.save())


def index_class() -> Any:
    """The class of usearch's graphs; InputError if that is not installed."""
    try:
        from usearch.index import Index
    except ImportError:
        raise InputError(
            "an approximate index needs usearch, which the extra 'search' installs: "
            "pip install 'swarmgrid-zarr[search]'. ds.swarmgrid.nearest searches exactly "
            "without it"
        ) from None
    return Index
