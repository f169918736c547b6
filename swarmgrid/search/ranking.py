"""The vectors nearest to a query, exactly: a fast pass finds candidates, an exact one ranks them.

The fast pass works in the vectors' own precision. What it may be wrong by is bounded (the error of
a sum of n products, Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 3.1,
and what products lose that are smaller than any normal number). Every vector within the bound is
ranked again in double precision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from swarmgrid.errors import InputError, brief

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

Metric = Literal["cosine", "euclidean", "dot"]
TILE_NBYTES = 2**22
"""Of vectors that are read from memory once for all that is computed of them: they stay in the
cache of the machine meanwhile."""
ROUGH_NBYTES = 2**24
"""Of rough distances at once; of many queries, some are looked at after the others."""
_GROUP = 64
"""Vectors whose nearest one stands for them where the distance of the k-th is estimated."""
_LEAST_SQUARE = 1e-280
"""Sums of squares below it may have lost digits, or all of them."""


def check_metric(metric: object) -> None:
    """Raise InputError unless it is the name of a metric."""
    if not isinstance(metric, str) or metric not in get_args(Metric):
        raise InputError(f"metric is {brief(metric)}; expected one of {get_args(Metric)}")


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
        self._found = [(np.zeros(0, np.int64), np.zeros(0)) for _ in queries]

    @property
    def positions(self) -> NDArray[np.int64]:
        """``(q, at most k)``: the numbers of the nearest vectors; -1 where there are fewer."""
        return self._table([positions for positions, _ in self._found], -1)

    @property
    def distances(self) -> NDArray[np.float64]:
        """``(q, at most k)``: their distances; NaN where there are fewer."""
        return self._table([distances for _, distances in self._found], np.nan)

    def add(
        self,
        vectors: NDArray[np.floating],
        to_numbers: Callable[[NDArray[np.intp]], NDArray[np.int64]],
    ) -> None:
        """Look at a block of vectors, ``(m, n)``.

        Parameters
        ----------
        vectors : array
            The block.
        to_numbers : callable
            Takes places in the block, and returns the numbers of the vectors there among all.
        """
        if not len(vectors):
            return
        squares: NDArray[np.floating] | None = None
        step = max(1, ROUGH_NBYTES // (len(vectors) * vectors.itemsize))
        for start in range(0, len(self._queries), step):
            asked = self._queries[start : start + step]
            if self._metric == "cosine":  # of length one, as no product then is too large
                asked = asked / np.abs(asked).max(axis=1, keepdims=True)
                asked = asked / np.linalg.norm(asked, axis=1, keepdims=True)
            with np.errstate(all="ignore"):
                products, squares = _products(vectors, asked.astype(vectors.dtype), squares)
                block = _Block(vectors, squares, self._metric)
                for i, products_of_one in enumerate(products):
                    self._look(start + i, asked[i], products_of_one, block, to_numbers)

    def _look(
        self,
        i: int,
        asked: NDArray[np.float64],
        products: NDArray[np.floating],
        block: _Block,
        to_numbers: Callable[[NDArray[np.intp]], NDArray[np.int64]],
    ) -> None:
        """Keep the nearest of those that query ``i`` has and of a block."""
        positions, distances = self._found[i]
        limit = np.inf if len(distances) < self._k else float(distances[-1])
        rough, error = block.rough(products, asked)
        if self._metric == "euclidean":
            limit *= limit  # as the rough ones are
        limit = min(limit, _kth_at_most(rough, self._k) + error)
        # in the vectors' precision, rounded up: else all would be compared in double precision
        bound = np.nextafter(rough.dtype.type(limit + error), rough.dtype.type(np.inf))
        is_chosen = rough <= bound
        if block.has_unknown:
            is_chosen |= block.is_unknown
        chosen = np.flatnonzero(is_chosen)
        for part in _parts(chosen, block.vectors):
            exact = exact_distances(
                block.vectors[part].astype(np.float64), self._queries[i], self._metric
            )
            is_hit = np.isfinite(exact)
            positions = np.concatenate([positions, to_numbers(part[is_hit])])
            distances = np.concatenate([distances, exact[is_hit]])
            order = np.lexsort((positions, distances))[: self._k]  # of equal ones the first
            positions, distances = positions[order], distances[order]
        self._found[i] = positions, distances

    def _table(self, rows: list[NDArray[Any]], missing: float) -> NDArray[Any]:
        width = max((len(row) for row in rows), default=0)
        table = np.full((len(rows), width), missing)
        for i, row in enumerate(rows):
            table[i, : len(row)] = row
        return table


class _Block:
    """Some vectors with their squared lengths, and the error of distances made of these."""

    def __init__(
        self, vectors: NDArray[np.floating], squares: NDArray[np.floating], metric: Metric
    ) -> None:
        self.vectors = vectors
        self._squares = squares
        self._metric = metric
        kind = np.finfo(vectors.dtype)
        n = vectors.shape[1] + 4
        self._relative = n * float(kind.eps)
        self._absolute = n * float(kind.smallest_normal)
        # NaN, and a vector without its values is no hit; one whose square is too large, or so
        # small that digits were lost, may be
        unknown = np.isinf(squares)
        if metric == "cosine":
            unknown |= squares <= 4 * self._absolute / float(kind.eps)
        self.is_unknown = unknown
        self.has_unknown = bool(unknown.any())
        self._lengths = np.sqrt(squares) if metric == "cosine" else squares
        known = squares[~unknown] if self.has_unknown else squares
        self._largest = float(np.fmax.reduce(known, initial=0.0))

    def rough(
        self, products: NDArray[np.floating], asked: NDArray[np.float64]
    ) -> tuple[NDArray[np.floating], float]:
        """Distances ``(m,)`` in the vectors' precision, and by how much they may be off.

        They take the place of the products: to make a large array takes as long as to fill it.
        For the Euclidean distance they are squared. NaN where nothing is known, or a value is
        missing.
        """
        kind = products.dtype.type
        size = float(np.linalg.norm(asked))
        # n roundings of half an epsilon in a sum of n products, and a few more; that of a length
        # counts half: at most three quarters of this
        error = self._relative
        if self._metric == "cosine":
            rough = np.divide(products, self._lengths, out=products)
            rough = np.subtract(1, rough, out=rough)
        elif self._metric == "dot":
            largest = self._largest**0.5
            error = self._relative * size * largest + 4 * self._absolute * (1 + size + largest)
            rough = np.negative(products, out=products)
        else:
            own = size * size
            error = 1.5 * self._relative * (self._largest + own) + 16 * self._absolute
            rough = np.multiply(products, -2, out=products)
            rough += self._squares
            rough += kind(own)
        if not np.isfinite(kind(error)) or not np.isfinite(kind(size)):
            # numbers as large as the query's have no place in this precision: all are candidates
            return np.full_like(products, -np.inf), 0.0
        if self.has_unknown:
            rough[self.is_unknown] = np.nan
        is_lost = ~np.isfinite(rough)
        if is_lost.any():  # by a product too large; the exact pass tells
            rough[is_lost & np.isfinite(self._squares)] = -np.inf
        return rough, error


def _products(
    vectors: NDArray[np.floating],
    asked: NDArray[np.floating],
    squares: NDArray[np.floating] | None,
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The products ``(q, m)`` with queries, and the squared lengths, ``(m,)``, unless known."""
    m = len(vectors)
    products = np.empty((len(asked), m), vectors.dtype)
    is_known = squares is not None
    lengths = np.empty(m, vectors.dtype) if squares is None else squares
    step = max(_GROUP, TILE_NBYTES // max(1, vectors.shape[1] * vectors.itemsize))
    one = asked[0] if len(asked) == 1 else None
    for start in range(0, m, step):
        tile = vectors[start : start + step]
        if not is_known:
            np.vecdot(tile, tile, out=lengths[start : start + step])
        if one is not None:
            # not matmul: its threads wait for each other, on a busy machine ten times as long
            np.vecdot(tile, one, out=products[0, start : start + step])
        else:
            products[:, start : start + step] = asked @ tile.T
    return products, lengths


def _kth_at_most(rough: NDArray[np.floating], k: int) -> float:
    """A number that ``k`` of the rough distances do not exceed; infinite if there are fewer."""
    n = len(rough) // _GROUP
    least = rough
    if n > 4 * k:  # of the least of each group the k-th: there are k that are no larger
        least = np.fmin.reduce(rough[: n * _GROUP].reshape(_GROUP, n), axis=0)
    least = least[~np.isnan(least) & (least != -np.inf)]
    return float(np.partition(least, k - 1)[k - 1]) if len(least) >= k else np.inf


def _parts(chosen: NDArray[np.intp], vectors: NDArray[np.floating]) -> Iterator[NDArray[np.intp]]:
    """Numbers of vectors, so many at once that their copies stay small."""
    step = max(1, ROUGH_NBYTES // max(1, vectors.shape[1] * 8))
    for start in range(0, len(chosen), step):
        yield chosen[start : start + step]


def exact_distances(
    vectors: NDArray[np.float64], query: NDArray[np.float64], metric: Metric
) -> NDArray[np.float64]:
    """The distances ``(m,)`` of vectors to a query, or each to its own of ``(m, n)``.

    NaN for one with a missing value. Where squares or products have no place in double precision,
    the vectors are scaled first, by powers of two, which changes no digit.
    """
    with np.errstate(all="ignore"):
        found, is_lost = _plain_distances(vectors, query, metric)
        if is_lost.any():
            asked = np.broadcast_to(query, vectors.shape)[is_lost]
            found[is_lost] = _scaled_distances(vectors[is_lost], asked, metric)
        if metric == "cosine":
            np.clip(found, 0, 2, out=found)  # by roundings it may be a little below
    found[np.isnan(vectors).any(axis=1)] = np.nan
    return found


def _plain_distances(
    vectors: NDArray[np.float64], query: NDArray[np.float64], metric: Metric
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The distances, and whether each may be lost to an overflow or an underflow."""
    if metric == "euclidean":
        squares: NDArray[np.float64] = ((vectors - query) ** 2).sum(axis=1)
        return np.sqrt(squares), _are_lost(squares)
    products: NDArray[np.float64] = (vectors * query).sum(axis=1)
    if metric == "dot":
        return -products, ~np.isfinite(products)
    own, asked = (vectors**2).sum(axis=1), (query**2).sum(axis=-1)
    is_lost: NDArray[np.bool_] = _are_lost(own) | _are_lost(asked)
    return 1 - products / (np.sqrt(own) * np.sqrt(asked)), is_lost


def _are_lost(squares: NDArray[np.float64]) -> NDArray[np.bool_]:
    return (squares < _LEAST_SQUARE) | ~np.isfinite(squares)


def _scaled_distances(
    vectors: NDArray[np.float64], queries: NDArray[np.float64], metric: Metric
) -> NDArray[np.float64]:
    """The distances ``(m,)`` of vectors of any size, each to its own query."""
    if metric == "euclidean":
        steps, exponents = _scaled(vectors - queries)
        found: NDArray[np.float64] = np.ldexp(np.sqrt((steps**2).sum(axis=1)), exponents)
        return found
    vectors, exponents = _scaled(vectors)
    queries, more = _scaled(queries)
    products: NDArray[np.float64] = (vectors * queries).sum(axis=1)
    if metric == "dot":
        products = np.ldexp(products, exponents + more)
        return -products
    sizes: NDArray[np.float64] = np.sqrt((vectors**2).sum(axis=1))
    sizes *= np.sqrt((queries**2).sum(axis=1))
    return 1 - products / sizes


def _scaled(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Rows whose largest number is about one, and by which power of two each was divided."""
    exponents: NDArray[np.int32] = np.frexp(np.abs(rows).max(axis=1, initial=0))[1]
    return np.ldexp(rows, -exponents[:, None]), exponents
