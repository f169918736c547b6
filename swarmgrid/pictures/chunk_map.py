"""A map of a grid over two of its axes: cells, and how much of each is computed; no I/O.

Everything comes from the rows of the manifest and the failures. No value is read.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError, brief
from swarmgrid.records.row_values import chunk_totals, n_points, row_values
from swarmgrid.space.selection import AxisSelection, Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.records.failures import FailedPoint
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.space.axis import Axis

MISSING, BEGUN, HALF, MOST, COMPUTED, FAILED = range(6)
"""The states of a cell. `BEGUN`, `HALF` and `MOST` are parts of up to a third, two thirds, and
more; a cell with any failed point is `FAILED`."""
STATES = ("missing", "up to a third", "up to two thirds", "more", "computed", "failed")
"""The states in words."""
MAX_CELLS = 256
"""The most cells along an axis."""
MAX_FACETS = 6
"""The most values of a third axis that get a map each."""
MAX_POINTS = 2**17
"""In a grid of up to so many points, a cell is a point; in others a chunk, or several."""
_SORTED_KINDS = {"int", "float", "datetime", "timedelta", "str", "bool"}
"""Kinds of axes whose values have an order of their own."""


@dataclass(frozen=True, slots=True)
class MapAxis:
    """An axis of a map: its cells, each of some consecutive values."""

    name: str
    """The axis' name; empty: the grid has none for this side of the map."""
    labels: tuple[str, ...]
    """For each cell its value, or its first and last one."""
    values: NDArray[Any] | None = None
    """``(n,)``: the values, of numbers and times where each cell is one value."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class GridMap:
    """A grid over two axes, and facets of a third; arrays are ``(n_facets, n_y, n_x)``."""

    facet: MapAxis
    y: MapAxis
    x: MapAxis
    total: NDArray[np.int64]
    """The points of each cell."""
    computed: NDArray[np.int64]
    """Those that are computed."""
    failed: NDArray[np.int64]
    """Those that failed, and are not computed since."""
    seconds: NDArray[np.float64]
    """The time that the computed ones took inside the function."""
    unit: str
    """The content of a cell along the axes of the map: a ``"point"`` or a ``"chunk"``; where
    there are more than `MAX_CELLS`, several of them."""
    collapsed: tuple[str, ...]
    """Axes that are no part of the map: a cell holds all of their values."""

    def states(self) -> NDArray[np.uint8]:
        """The state of each cell, `MISSING` to `FAILED`."""
        part = self.computed / np.maximum(self.total, 1)
        found = np.ceil(3 * part).astype(np.uint8)
        found[(self.computed > 0) & (self.computed >= self.total)] = COMPUTED
        found[self.failed > 0] = FAILED
        return found

    def cost(self) -> NDArray[np.float64]:
        """The mean seconds of a computed point of each cell; NaN where there is none."""
        counts = np.where(self.computed > 0, self.computed, np.nan)
        return np.asarray(self.seconds / counts, np.float64)

    def coarser(self) -> GridMap:
        """The map with half as many cells along each axis."""
        y, x = (_halved(axis) for axis in (self.y, self.x))
        total, computed, failed, seconds = (
            _summed(_summed(column, 1), 2)
            for column in (self.total, self.computed, self.failed, self.seconds)
        )
        return replace(
            self, y=y, x=x, total=total, computed=computed, failed=failed, seconds=seconds
        )


def grid_map(
    grid: StoredGrid,
    manifest: Manifest,
    failures: Iterable[FailedPoint] = (),
    x: str | None = None,
    y: str | None = None,
) -> GridMap:
    """The map of a grid.

    Parameters
    ----------
    grid, manifest : StoredGrid, Manifest
        The grid, and its rows.
    failures : iterable of FailedPoint
        The failures of points that are not computed since.
    x, y : str, optional
        The axes of the map. Default: the two longest, the longest of them along ``x``. A third
        one of up to `MAX_FACETS` values is made of facets.

    Raises
    ------
    InputError
        If there is no such axis.
    """
    numbers = chosen_axes(grid.axes, x, y)
    if math.prod(map(len, grid.axes)) <= MAX_POINTS:
        return _of_points(grid, manifest, failures, numbers)
    return _of_chunks(grid, manifest, failures, numbers)


def points_map(
    axes: Sequence[Axis],
    seconds: NDArray[Any],
    failed: NDArray[np.bool_],
    x: str | None = None,
    y: str | None = None,
) -> GridMap:
    """The map of a grid whose points are known one by one: of one that lies in two stores.

    Parameters
    ----------
    axes : sequence of Axis
        Its axes.
    seconds : array
        Over the axes: the cost of each computed point, NaN of the others.
    failed : array
        Over the axes: whether a point failed, and is not computed.
    x, y : str, optional
        As for `grid_map`.
    """
    return _of_arrays(axes, seconds, failed, chosen_axes(axes, x, y))


def chosen_axes(
    axes: Sequence[Axis], x: str | None = None, y: str | None = None
) -> tuple[int | None, int | None, int | None]:
    """The numbers of the axes of the facets, of ``y`` and of ``x``; None: there is none."""
    names = [axis.name for axis in axes]
    for side, name in (("x", x), ("y", y)):
        if name is not None and name not in names:
            raise InputError(
                f"{side} is {brief(name)}, which is no axis; the axes are "
                f"{', '.join(names) or 'none'}"
            )
    if x is not None and x == y:
        raise InputError(f"x and y are both {brief(x)}; expected two axes")
    ranked = sorted(range(len(axes)), key=lambda d: (-len(axes[d]), d))
    given = {names.index(name) for name in (x, y) if name is not None}
    left = [d for d in ranked if d not in given]
    along_x = names.index(x) if x is not None else (left.pop(0) if left else None)
    along_y = names.index(y) if y is not None else (left.pop(0) if left else None)
    few = [d for d in left if 2 <= len(axes[d]) <= MAX_FACETS]
    return (few[0] if few else None), along_y, along_x


def _of_points(
    grid: StoredGrid,
    manifest: Manifest,
    failures: Iterable[FailedPoint],
    numbers: tuple[int | None, ...],
) -> GridMap:
    """A map whose cells are points: those of a small grid, in the order of their values."""
    axes = grid.axes
    chosen = (
        AxisSelection(np.arange(len(axis)), n)
        for axis, n in zip(axes, grid.chunk_shape, strict=True)
    )
    selection = Selection(tuple(chosen))
    each = manifest.rows.seconds / n_points(manifest.rows)
    seconds = row_values(manifest, selection, each.astype("f8"), np.nan)
    failed = np.zeros(tuple(map(len, axes)), bool)
    for failure in failures:
        box = failure.points.box_mask()
        corner = [i * n for i, n in zip(failure.index, grid.chunk_shape, strict=True)]
        at = (slice(c, c + n) for c, n in zip(corner, box.shape, strict=True))
        inside = np.asarray(failed[(..., *at)])  # type: ignore[arg-type]  # a view, without axes too
        inside |= box[tuple(map(slice, inside.shape))]
    return _of_arrays(axes, seconds, failed, numbers)


def _of_arrays(
    axes: Sequence[Axis],
    seconds: NDArray[Any],
    failed: NDArray[np.bool_],
    numbers: tuple[int | None, ...],
) -> GridMap:
    """The same, of arrays over the axes: the seconds of computed points, else NaN; failures."""
    orders = [_order(axis) for axis in axes]
    seconds, failed = seconds[np.ix_(*orders)], failed[np.ix_(*orders)]
    is_computed = ~np.isnan(seconds)
    failed = failed & ~is_computed
    cells = [
        _cells(1 if d is None else len(axes[d]), MAX_FACETS if k == 0 else MAX_CELLS)
        for k, d in enumerate(numbers)
    ]
    total, computed, n_failed, spent = (
        _arranged(column, numbers, cells)
        for column in (np.ones(failed.shape, np.int64), is_computed.astype(np.int64),
                       failed.astype(np.int64), np.nan_to_num(seconds))
    )  # fmt: skip
    facet, y, x = (
        MapAxis("", ("",)) if d is None else _side(axes[d], orders[d], edges)
        for d, edges in zip(numbers, cells, strict=True)
    )
    return GridMap(
        facet, y, x, total, computed, n_failed, spent, "point", _collapsed(axes, numbers)
    )


def _of_chunks(
    grid: StoredGrid,
    manifest: Manifest,
    failures: Iterable[FailedPoint],
    numbers: tuple[int | None, ...],
) -> GridMap:
    """A map whose cells are chunks, in stored order."""
    axes, lengths = grid.axes, grid.chunk_shape
    n_chunks = [-(-len(axis) // n) for axis, n in zip(axes, lengths, strict=True)]
    if numbers[0] is not None and n_chunks[numbers[0]] < 2:
        numbers = (None, *numbers[1:])
    cells = [
        _cells(1 if d is None else n_chunks[d], MAX_FACETS if k == 0 else MAX_CELLS)
        for k, d in enumerate(numbers)
    ]
    shape = tuple(len(edges) - 1 for edges in cells)
    tables = [np.repeat(np.arange(len(edges) - 1), np.diff(edges)) for edges in cells]

    def place(index: NDArray[Any]) -> NDArray[np.intp]:
        """The cell of each chunk of ``index = (n, n_axes)``."""
        found = np.zeros(len(index), np.intp)
        for d, n, table in zip(numbers, shape, tables, strict=True):
            found *= n
            if d is not None:
                found += table[np.minimum(index[:, d], len(table) - 1)]
        return found

    totals = chunk_totals(manifest.rows, lengths)
    at, size = place(totals.index), math.prod(shape)
    failed = np.zeros(size, np.int64)
    for failure in failures:
        failed[place(np.array([failure.index]))] += len(failure.points)
    edges_of = [
        edges if d is None else np.minimum(edges * lengths[d], len(axes[d]))
        for d, edges in zip(numbers, cells, strict=True)
    ]
    rest = math.prod(len(axis) for d, axis in enumerate(axes) if d not in numbers)
    total = rest * functools.reduce(np.multiply.outer, map(np.diff, edges_of))
    facet, y, x = (
        MapAxis("", ("",)) if d is None else _side(axes[d], np.arange(len(axes[d])), edges)
        for d, edges in zip(numbers, edges_of, strict=True)
    )
    return GridMap(
        facet,
        y,
        x,
        total=total.astype(np.int64),
        computed=np.bincount(at, totals.points, size).astype(np.int64).reshape(shape),
        failed=failed.reshape(shape),
        seconds=np.bincount(at, totals.seconds, size).astype(np.float64).reshape(shape),
        unit="chunk",
        collapsed=_collapsed(axes, numbers),
    )


def _order(axis: Axis) -> NDArray[np.intp]:
    """The positions of an axis' values, sorted where they have an order of their own."""
    if axis.kind not in _SORTED_KINDS:
        return np.arange(len(axis))
    return np.argsort(axis.values, kind="stable").astype(np.intp)


def _cells(n: int, most: int) -> NDArray[np.intp]:
    """``(n_cells + 1,)``: the edges of the cells along an axis of ``n`` points or chunks."""
    n_cells = min(n, most)
    return np.arange(n_cells + 1) * n // max(n_cells, 1)


def _arranged(
    column: NDArray[Any], numbers: Sequence[int | None], cells: Sequence[NDArray[np.intp]]
) -> NDArray[Any]:
    """A column over all axes as one over the three of the map, added up for each cell."""
    used = [d for d in numbers if d is not None]
    rest = tuple(d for d in range(column.ndim) if d not in used)
    found = column.sum(axis=rest) if rest else column
    left = [d for d in range(column.ndim) if d in used]
    found = np.transpose(found, [left.index(d) for d in used])
    for k, d in enumerate(numbers):
        if d is None:
            found = np.expand_dims(found, k)
    for k, edges in enumerate(cells):
        if len(edges) - 1 < found.shape[k]:
            found = np.add.reduceat(found, edges[:-1], axis=k)
    return found


def _side(axis: Axis, order: NDArray[np.intp], edges: NDArray[np.intp]) -> MapAxis:
    """A side of a map, from the edges of its cells among the ordered positions of an axis."""
    first, last = order[edges[:-1]], order[edges[1:] - 1]
    labels = tuple(
        _text(axis, a) if a == b else f"{_text(axis, a)} … {_text(axis, b)}"
        for a, b in zip(first.tolist(), last.tolist(), strict=True)
    )
    is_each = len(edges) - 1 == len(axis)
    has_numbers = axis.kind in {"int", "float", "datetime", "timedelta"}
    values = axis.labels()[first] if is_each and has_numbers else None
    return MapAxis(axis.name, labels, values)


def _text(axis: Axis, position: int) -> str:
    value = axis.label(position)
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value).removesuffix(".000000000").removesuffix("T00:00:00")
    return text if len(text) <= 40 else f"{text[:39]}…"


def _collapsed(axes: Sequence[Axis], numbers: Sequence[int | None]) -> tuple[str, ...]:
    return tuple(axis.name for d, axis in enumerate(axes) if d not in numbers)


def _halved(axis: MapAxis) -> MapAxis:
    if len(axis) < 2:
        return axis
    pairs = [axis.labels[i : i + 2] for i in range(0, len(axis), 2)]
    joined = (f"{p[0].split(' … ')[0]} … {p[-1].split(' … ')[-1]}" for p in pairs)
    return MapAxis(axis.name, tuple(joined))


def _summed(column: NDArray[Any], k: int) -> NDArray[Any]:
    return np.add.reduceat(column, np.arange(0, column.shape[k], 2), axis=k)
