"""The vectors nearest to a query, exactly: a fast pass finds candidates, an exact one ranks them.

The fast pass works in the vectors' own precision. What it may be wrong by is bounded (the error of
a sum of n products, Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 3.1),
and every vector within the bound is ranked again in double precision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Metric = Literal["cosine", "euclidean", "dot"]


class Nearest:
    """The nearest vectors of all blocks so far, for each query.

    Parameters
    ----------
    queries : array of float64, shape (q, n)
        The vectors that are looked for.
    k : int
        The number that is kept for each.
    metric : {"cosine", "euclidean", "dot"}
        The distance: one minus the cosine of the angle, the Euclidean one, or minus the product.
    """

    def __init__(self, queries: NDArray[np.float64], k: int, metric: Metric) -> None:
        self._queries = queries
        self._k = k
        self._metric = metric
        n_queries = len(queries)
        self.positions = np.zeros((n_queries, 0), np.int64)
        """``(q, at most k)``: the numbers of the nearest vectors; -1 where there are fewer."""
        self.distances = np.zeros((n_queries, 0))

    def add(self, vectors: NDArray[np.floating], first: int) -> None:
        """Look at a block of vectors, ``(m, n)``; the first of them has the number ``first``."""
        if not len(vectors):
            return
        rough, error = _rough(vectors, self._queries, self._metric)
        rows = [
            self._joined(i, vectors, first, rough[i], error[i]) for i in range(len(self._queries))
        ]
        width = max(len(positions) for positions, _ in rows)
        self.positions = np.full((len(rows), width), -1, np.int64)
        self.distances = np.full((len(rows), width), np.nan)
        for i, (positions, distances) in enumerate(rows):
            self.positions[i, : len(positions)] = positions
            self.distances[i, : len(distances)] = distances

    def _joined(
        self,
        i: int,
        vectors: NDArray[np.floating],
        first: int,
        rough: NDArray[np.floating],
        error: float,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The nearest of those that query ``i`` has and of a block."""
        has = self.positions[i] >= 0
        positions, distances = self.positions[i][has], self.distances[i][has]
        limit = np.inf if len(distances) < self._k else float(distances[-1])
        if self._metric == "euclidean":
            limit *= limit  # as the rough ones are
        is_known = np.isfinite(rough)  # else missing, or a product overflows: the exact pass tells
        if is_known.sum() > self._k:
            nearest = np.partition(rough[is_known], self._k - 1)[self._k - 1]
            limit = min(limit, float(nearest) + error)
        chosen = np.flatnonzero(~(is_known & (rough > limit + error)))
        exact = _exact(vectors[chosen].astype(np.float64), self._queries[i], self._metric)
        is_hit = np.isfinite(exact)
        positions = np.concatenate([positions, chosen[is_hit] + first])
        distances = np.concatenate([distances, exact[is_hit]])
        order = np.lexsort((positions, distances))[: self._k]  # of equal ones the first
        return positions[order], distances[order]


def _rough(
    vectors: NDArray[np.floating], queries: NDArray[np.float64], metric: Metric
) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
    """Distances ``(q, m)`` in the vectors' precision, and by how much those of a query may be off.

    For the Euclidean distance they are squared.
    """
    with np.errstate(all="ignore"):
        asked = queries.astype(vectors.dtype)
        products = (vectors @ asked.T).T
        if metric == "dot":
            largest = _largest_norm(vectors)
            sizes = np.linalg.norm(queries, axis=1)
            return -products, _epsilon(vectors) * sizes * largest
        squares = np.einsum("ij,ij->i", vectors, vectors)
        if metric == "cosine":
            lengths = np.sqrt(squares)
            rough = 1 - products / (lengths * np.linalg.norm(asked, axis=1)[:, None])
            return rough, np.full(len(queries), 4 * _epsilon(vectors))
        own = np.einsum("ij,ij->i", asked, asked)
        rough = squares - 2 * products + own[:, None]
        finite = squares[np.isfinite(squares)]
        scale = float(finite.max(initial=0.0))
        return rough, 4 * _epsilon(vectors) * (scale + np.einsum("ij,ij->i", queries, queries))


def _largest_norm(vectors: NDArray[np.floating]) -> float:
    squares = np.einsum("ij,ij->i", vectors, vectors)
    return float(np.sqrt(squares[np.isfinite(squares)].max(initial=0.0)))


def _epsilon(vectors: NDArray[np.floating]) -> float:
    """The relative error of a sum of products, and of the rounded queries."""
    return float(vectors.shape[1] + 4) * float(np.finfo(vectors.dtype).eps)


def _exact(
    vectors: NDArray[np.float64], query: NDArray[np.float64], metric: Metric
) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):
        if metric == "euclidean":
            found: NDArray[np.float64] = np.sqrt(((vectors - query) ** 2).sum(axis=1))
        elif metric == "dot":
            found = -(vectors * query).sum(axis=1)
        else:
            sizes = np.sqrt((vectors**2).sum(axis=1)) * np.sqrt((query**2).sum())
            found = 1 - (vectors * query).sum(axis=1) / sizes
    found[np.isnan(vectors).any(axis=1)] = np.nan
    return found
