"""The cost of any point, by what stored ones took: a factor for each value of each axis.

The cost of a point is modelled as a product of one factor for each of its axis values. Factors are
medians over the rows with a value, so that a few slow points do not move them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.format.segment import Rows
    from swarmgrid.planning.coverage import Coverage
    from swarmgrid.space.axis import Axis
    from swarmgrid.space.points import Points

    Floats = NDArray[np.float64]

MAX_ROWS = 2**13
"""The most rows that are looked at: of more, a part that is spread over all of them."""
_FOLDS, _MAX_FOLDED = 5, 2**11
"""The parts of the rows of which each is estimated by the others, and the most rows for that."""
_ROUNDS = 6
_MAX_DENSE = 200
"""The most factors that are solved for at once."""
_LEAST = 1e-9
"""Seconds; a point costs at least so much, so that ratios exist."""
QUANTILES = (0.1, 0.9)
_FEW = (0.5, 2.0)
"""The band where too few rows are known to tell it."""
_ORDERED = {"int", "float", "datetime", "timedelta"}


@dataclass(frozen=True)
class Missing:
    """The seconds of missing points."""

    total: float
    by_value: list[Floats]
    """For each axis, and each requested value on it."""


@dataclass(frozen=True)
class Costs:
    """The cost of the points of a grid, in seconds inside the function."""

    base: float
    factors: tuple[Floats, ...]
    """For each axis a factor for each of its values."""
    band: tuple[float, float]
    """The 10 % and 90 % quantiles of what rows took, in units of what the others say of them."""

    def of_points(
        self, chunk_shape: tuple[int, ...], index: tuple[int, ...], points: Points
    ) -> float:
        """The seconds of some points of one chunk."""
        starts = [i * n for i, n in zip(index, chunk_shape, strict=True)]
        along = [
            f[start : start + n]
            for f, start, n in zip(self.factors, starts, points.extent, strict=True)
        ]
        if points.bits is None:
            return self.base * math.prod(float(f.sum()) for f in along)
        left: Any = points.box_mask().astype(np.float64)
        for f in reversed(along):
            left = left @ f
        return self.base * float(left)

    def of_missing(self, coverage: Coverage) -> Missing:
        """The seconds of the missing points."""
        axes = coverage.selection.axes
        weights = [f[axis.positions] for f, axis in zip(self.factors, axes, strict=True)]
        by_value = [self.base * found for found in missing_by_value(coverage, weights)]
        total = float(by_value[0].sum()) if by_value else self.base * coverage.n_missing()
        return Missing(total, by_value)


def missing_by_value(coverage: Coverage, weights: Sequence[Floats]) -> list[Floats]:
    """For each axis and requested value the sum over missing points of a product of weights.

    Parameters
    ----------
    coverage : Coverage
        The points.
    weights : sequence of array
        For each axis a weight for each requested value.
    """
    axes = coverage.selection.axes
    bins = [axis.bins_at(np.arange(len(axis.positions))) for axis in axes]
    sums = [
        np.bincount(b, w, minlength=len(axis.bins))
        for b, w, axis in zip(bins, weights, axes, strict=True)
    ]
    untouched, begun = coverage.missing_chunks()
    found = []
    for d, (b, w) in enumerate(zip(bins, weights, strict=True)):
        left = np.moveaxis(untouched, d, 0).astype(np.float64)
        for other in reversed([one for e, one in enumerate(sums) if e != d]):
            left = left @ other
        found.append(w * left[b])
    for touched in begun:
        places = coverage.selection.request_block(touched)
        inside = np.ix_(*coverage.selection.chunk_block(touched))
        values = coverage.missing_mask(touched)[inside].astype(np.float64)
        for d, (w, at) in enumerate(zip(weights, places, strict=True)):
            values = values * w[at].reshape([-1 if e == d else 1 for e in range(values.ndim)])
        for d, at in enumerate(places):
            along = values.sum(axis=tuple(e for e in range(values.ndim) if e != d))
            np.add.at(found[d], at, along)
    return found


def fitted_costs(grid: StoredGrid, rows: Rows, *, has_band: bool = True) -> Costs | None:
    """The costs of a grid's points, by the rows of its manifest; None if there is none.

    Parameters
    ----------
    grid : StoredGrid
        The grid, grown to hold the values of which the costs are asked for.
    rows : Rows
        The rows.
    has_band : bool
        Whether the band is asked for, which takes most of the time.
    """
    is_put = rows.is_put()
    if is_put.any():
        rows = rows.subset(np.flatnonzero(~is_put))
    if not len(rows):
        return None
    axes = grid.axes
    boxes = _Boxes.of(grid, rows)
    whole = _fit(boxes, axes)
    return Costs(*whole, _band(boxes, axes) if has_band else _FEW)


@dataclass(frozen=True)
class _Boxes:
    """Rows as boxes of the grid, with the cost of a point in each."""

    cost: Floats
    """``(n,)``: seconds per point."""
    points: Floats
    start: NDArray[np.int64]
    """``(n, d)``: the positions on the axes at which a box begins."""
    stop: NDArray[np.int64]

    @classmethod
    def of(cls, grid: StoredGrid, rows: Rows) -> _Boxes:
        """The boxes of some rows: those of bitmaps are the hulls of their points."""
        numbers = np.arange(len(rows))
        if len(rows) > MAX_ROWS:
            # of a fixed seed: equal rows give equal estimates
            numbers = np.random.default_rng(0).choice(len(rows), MAX_ROWS, replace=False)
        low = np.zeros((len(numbers), len(grid.axes)), np.int64)
        high = rows.extent[numbers].astype(np.int64)
        points = np.prod(high, axis=1, dtype=np.float64)
        for k in np.flatnonzero(rows.has_bitmap()[numbers]).tolist():
            inside = rows.points(int(numbers[k])).indices()
            low[k], high[k] = inside.min(axis=0), inside.max(axis=0) + 1
            points[k] = len(inside)
        first = rows.index[numbers].astype(np.int64) * np.array(grid.chunk_shape, np.int64)
        cost = np.maximum(rows.seconds[numbers].astype(np.float64) / points, _LEAST)
        return cls(cost, points, first + low, first + high)

    def subset(self, numbers: NDArray[np.intp]) -> _Boxes:
        return _Boxes(
            self.cost[numbers], self.points[numbers], self.start[numbers], self.stop[numbers]
        )

    def __len__(self) -> int:
        return len(self.cost)


@dataclass(frozen=True)
class _Cells:
    """An axis in runs of values of which the rows say the same, and the rows' shares of them."""

    edges: NDArray[np.int64]
    """``(n_cells + 1,)``: the positions at which runs begin, and the end of the last."""
    row: NDArray[np.intp]
    cell: NDArray[np.intp]
    share: Floats
    """For each pair of a row and a cell the part of the row's values that is in the cell."""
    n_rows: int

    @classmethod
    def of(cls, start: NDArray[np.int64], stop: NDArray[np.int64]) -> _Cells:
        edges = np.unique(np.concatenate([start, stop]))
        first, last = np.searchsorted(edges, start), np.searchsorted(edges, stop)
        counts = last - first
        row = np.repeat(np.arange(len(start)), counts)
        before = np.cumsum(counts) - counts
        cell = np.arange(len(row)) - np.repeat(before - first, counts)
        share = np.diff(edges)[cell] / (stop - start)[row]
        return cls(edges, row, cell, share, len(start))

    def __len__(self) -> int:
        return len(self.edges) - 1

    def means(self, factors: Floats) -> Floats:
        """``(n_rows,)``: the mean factor of each row's values."""
        weights: Floats = self.share * factors[self.cell]
        return np.bincount(self.row, weights, minlength=self.n_rows).astype(np.float64)

    def medians(self, ratios: Floats) -> Floats:
        """``(n_cells,)``: the median over the rows with a cell; 1 where there is none."""
        values = ratios[self.row]
        order = np.lexsort((values, self.cell))
        counts = np.bincount(self.cell, minlength=len(self))
        first = np.cumsum(counts) - counts
        ranked = np.append(values[order], 1.0)
        low = ranked[first + np.maximum(counts - 1, 0) // 2]
        high = ranked[first + counts // 2]
        found: Floats = np.where(counts > 0, (low + high) / 2, 1.0)
        return found

    def by_value(self, factors: Floats, axis: Axis) -> Floats:
        """The factors of all values of an axis: those of unknown ones lie from those beside them.

        For values that have no order, they are the mean.
        """
        known = np.zeros(len(self), bool)
        known[self.cell] = True
        lengths = np.diff(self.edges)
        found = np.full(len(axis), np.nan)
        at = np.repeat(np.where(known, factors, np.nan), lengths)
        found[self.edges[0] : self.edges[-1]] = at
        is_known = ~np.isnan(found)
        if axis.kind in _ORDERED and not is_known.all():
            values = axis.values.astype(np.float64)
            order = np.argsort(values[is_known], kind="stable")
            logs = np.log(found[is_known][order])
            rest = np.interp(values[~is_known], values[is_known][order], logs)
            found[~is_known] = np.exp(rest)
        found[np.isnan(found)] = found[is_known].mean()
        return found


def _fit(boxes: _Boxes, axes: Sequence[Axis]) -> tuple[float, tuple[Floats, ...]]:
    """The base and the factors by value that explain some rows best."""
    n_axes = len(axes)
    cells = [_Cells.of(boxes.start[:, d], boxes.stop[:, d]) for d in range(n_axes)]
    base, factors = _start(boxes, cells)
    for _ in range(_ROUNDS):
        for d, one in enumerate(cells):
            estimate = base * _product(cells, factors, len(boxes))
            factors[d] = factors[d] * one.medians(boxes.cost / estimate)
    estimate = base * _product(cells, factors, len(boxes))
    # medians say nothing of the sum: the estimate of what is known is to be what it took
    base *= float((boxes.cost * boxes.points).sum() / (estimate * boxes.points).sum())
    found = (one.by_value(f, axis) for one, f, axis in zip(cells, factors, axes, strict=True))
    return base, tuple(found)


def _start(boxes: _Boxes, cells: Sequence[_Cells]) -> tuple[float, list[Floats]]:
    """Factors by least squares of logarithms: exact where a product explains all rows."""
    logs = np.log(boxes.cost)
    base = float(np.median(logs))
    sizes = [len(one) for one in cells]
    n = sum(sizes)
    if not 0 < n <= _MAX_DENSE:
        return float(np.exp(base)), [np.ones(size) for size in sizes]
    design = np.zeros((len(boxes), n))
    for one, shift in zip(cells, np.cumsum([0, *sizes[:-1]]), strict=True):
        design[one.row, shift + one.cell] = one.share
    found = np.linalg.lstsq(design.T @ design, design.T @ (logs - base), rcond=1e-9)[0]
    return float(np.exp(base)), [np.exp(f) for f in np.split(found, np.cumsum(sizes)[:-1])]


def _product(cells: Sequence[_Cells], factors: Sequence[Floats], n: int) -> Floats:
    """The product of the mean factors of every row."""
    found = np.ones(n)
    for one, f in zip(cells, factors, strict=True):
        found = found * np.maximum(one.means(f), 1e-300)
    return found


def _band(boxes: _Boxes, axes: Sequence[Axis]) -> tuple[float, float]:
    """Quantiles of what rows took, in units of the estimate by other rows."""
    if len(boxes) < 3:
        return _FEW
    order = np.random.default_rng(1).permutation(len(boxes))[:_MAX_FOLDED]
    boxes = boxes.subset(order)
    fold = np.arange(len(boxes)) % min(_FOLDS, len(boxes))
    ratios = np.empty(len(boxes))
    for k in range(int(fold.max()) + 1):
        is_out = fold == k
        base, factors = _fit(boxes.subset(np.flatnonzero(~is_out)), axes)
        out = boxes.subset(np.flatnonzero(is_out))
        estimate = np.full(len(out), base)
        for d, f in enumerate(factors):
            ends = np.concatenate([[0.0], np.cumsum(f)])
            start, stop = out.start[:, d], out.stop[:, d]
            estimate *= (ends[stop] - ends[start]) / (stop - start)
        ratios[is_out] = out.cost / np.maximum(estimate, 1e-300)
    low, high = np.quantile(ratios, QUANTILES).tolist()
    return min(low, 1.0), max(high, 1.0)
