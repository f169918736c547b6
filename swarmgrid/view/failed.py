"""The failures of a grid that may lie in two stores, with the labels of their points."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from swarmgrid.view.layers import computed_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.planning.layers import Layer
    from swarmgrid.records.failures import FailedPoint

_NAMED_KINDS = {"datetime", "timedelta", "enum"}
"""Kinds of axes whose values are no JSON: records of failures have texts of them."""


def joint_failures(
    layers: Sequence[Layer], failures: Sequence[Sequence[FailedPoint]]
) -> list[FailedPoint]:
    """The failures of points that no layer has computed, of each point that of the first layer."""
    found: dict[str, FailedPoint] = {}
    for layer, own in zip(layers, failures, strict=True):
        others = [one for one in layers if one is not layer]
        grid = layer.state.grid
        for failure in _not_computed(grid, own, others) if others and own else own:
            named = _named(grid, failure)
            found.setdefault(str(named.point), named)
    return list(found.values())


def _not_computed(
    grid: StoredGrid, failures: Sequence[FailedPoint], others: Sequence[Layer]
) -> list[FailedPoint]:
    """The failures of a grid of which other layers lack a point."""
    array = computed_at(others, {axis.name: axis.labels() for axis in grid.axes})
    computed = array.transpose(*grid.names).values
    kept = []
    for failure in failures:
        lengths = grid.chunk_shape
        starts = [i * n for i, n in zip(failure.index, lengths, strict=True)]
        part = computed[
            tuple(slice(start, start + n) for start, n in zip(starts, lengths, strict=True))
        ]
        lacking = failure.points.mask(lengths)
        lacking[tuple(map(slice, part.shape))] &= ~part
        if lacking.any():
            kept.append(failure)
    return kept


def _named(grid: StoredGrid, failure: FailedPoint) -> FailedPoint:
    """A failure with the labels of its point, where it is one point that the axes have."""
    point: dict[str, Any] = dict(failure.point)
    places = zip(grid.axes, failure.index, failure.offset, grid.chunk_shape, strict=True)
    for axis, index, offset, length in places:
        at = index * length + offset
        if failure.extent is None and axis.kind in _NAMED_KINDS and at < len(axis):
            point[axis.name] = axis.label(at)
    return replace(failure, point=point)
