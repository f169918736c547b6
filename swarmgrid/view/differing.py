"""The points that differ between two states of one grid, whatever layouts they have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.maintenance.changes import BoxChange, changes, have_one_layout, unequal
from swarmgrid.planning.layers import Layer, joint_axes
from swarmgrid.view.layers import layered_dataset
from swarmgrid.view.tables import change_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from swarmgrid.records.grid_state import GridState
    from swarmgrid.space.axis import Axis
    from swarmgrid.store.grid_ref import GridRef

MAX_NBYTES = 2**26
"""The memory of the values of one state that are compared at once."""


def differing_points(ref: GridRef, before: GridState, after: GridState) -> pd.DataFrame:
    """The points that were added, removed or changed: a row for each.

    In one layout, chunks whose rows are the same are not read. Else all values that both states
    have are read, and compared by the labels of their points.

    Raises
    ------
    DamageError
        If values are not there any more.
    """
    states = [before, after]
    axes = joint_axes([Layer(ref, state) for state in sorted(states, key=_size, reverse=True)])
    if have_one_layout(before, after):
        return change_table(axes, changes(ref.location.open(), before, after))
    return change_table(axes, _by_labels(ref, states, axes))


def _size(state: GridState) -> int:
    return sum(map(len, state.grid.axes))


def _by_labels(
    ref: GridRef, states: list[GridState], axes: tuple[Axis, ...]
) -> Iterator[BoxChange]:
    layers = [Layer(ref, state) for state in states]
    names = [axis.name for axis in axes]
    for start, part in _boxes(axes, states[1].grid.schema.point_nbytes):
        coverages = [layer.coverage(part) for layer in layers]
        old, new = (
            one.is_computed().transpose([one.grid.names.index(name) for name in names])
            for one in coverages
        )
        differs = np.zeros(old.shape, bool)
        if (old & new).any():
            both = [layered_dataset([layer], part, is_past=True) for layer in layers]
            for name in states[1].grid.schema.outputs:
                a, b = (ds[name].values for ds in both)
                differs |= unequal(a, b, len(axes))
        found = BoxChange(start, new & ~old, old & ~new, differs & old & new)
        if found.is_any:
            yield found


def _boxes(
    axes: tuple[Axis, ...], point_nbytes: int
) -> Iterator[tuple[tuple[int, ...], tuple[Axis, ...]]]:
    """Boxes that cover some axes, each as large as may be read at once, and where they begin."""
    room = max(1, MAX_NBYTES // max(1, point_nbytes))
    lengths = [1] * len(axes)
    for d in reversed(range(len(axes))):
        lengths[d] = min(len(axes[d]), max(1, room // math.prod(lengths)))
    counts = [-(-len(axis) // n) for axis, n in zip(axes, lengths, strict=True)]
    for at in np.ndindex(*counts):
        start = tuple(i * n for i, n in zip(at, lengths, strict=True))
        ends = (min(a + n, len(x)) for a, n, x in zip(start, lengths, axes, strict=True))
        spans = (np.arange(a, b) for a, b in zip(start, ends, strict=True))
        yield start, tuple(axis.take(span) for axis, span in zip(axes, spans, strict=True))
