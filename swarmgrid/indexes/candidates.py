"""Points that may be the nearest ones to some queries, of one index or of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Candidates:
    """Some points, for each the query that it is near to; all in arrays of one length ``m``.

    Queries have their candidates one by one or by the thousand: each step is one for all.
    """

    queries: NDArray[np.intp]
    """The numbers of the queries."""
    positions: NDArray[np.intp]
    """``(m, d)``: where the points are along the axes."""
    distances: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The candidates of several indexes."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.queries for part in parts]),
            np.concatenate([part.positions for part in parts]),
            np.concatenate([part.distances for part in parts]),
        )

    def where(self, is_kept: NDArray[np.bool_]) -> Candidates:
        """Those that are kept."""
        return Candidates(self.queries[is_kept], self.positions[is_kept], self.distances[is_kept])

    def counts(self, n_queries: int) -> NDArray[np.intp]:
        """For each query the number of its candidates."""
        return np.bincount(self.queries, minlength=n_queries)

    def nearest(
        self, n_queries: int, k: int
    ) -> tuple[list[NDArray[np.intp]], NDArray[np.float64]]:
        """By axis the positions of the hits, ``(q, at most k)``, and their distances.

        Each point is a hit once. The nearest go first, of equal ones the first in the order of
        the axes, as in the exact search. Where a query has fewer hits than others, the rest are
        -1 and NaN.
        """
        found = self._in_order(*self.positions.T[::-1], self.distances, self.queries)
        points = [*zip(found.queries.tolist(), *found.positions.T.tolist(), strict=True)]
        if len({*points}) < len(points):  # one in two rows, of a writer that was overtaken
            first = {point: i for i, point in reversed([*enumerate(points)])}
            is_first = np.zeros(len(points), bool)
            is_first[[*first.values()]] = True
            found = found.where(is_first)
        counts = found.counts(n_queries)
        rank = np.arange(len(found.queries)) - (np.cumsum(counts) - counts)[found.queries]
        width = int(min(k, counts.max(initial=0)))
        found, rank = found.where(rank < width), rank[rank < width]
        at = np.full((self.positions.shape[1], n_queries, width), -1, np.intp)
        distances = np.full((n_queries, width), np.nan)
        at[:, found.queries, rank] = found.positions.T
        distances[found.queries, rank] = found.distances
        return list(at), distances

    def _in_order(self, *keys: NDArray[np.generic]) -> Candidates:
        """The same in the order of some keys, the last of which counts most."""
        order = np.lexsort(keys)
        return Candidates(self.queries[order], self.positions[order], self.distances[order])
