"""A stored axis with the values of another appended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.errors import AxisError
from swarmgrid.format.grid import StoredAxis
from swarmgrid.space.match import positions, reconciled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.space.axis import Axis


def grown_axis(
    stored: StoredAxis, requested: Axis, tolerance: float = 0.0
) -> tuple[StoredAxis, NDArray[np.intp]]:
    """The stored axis with the requested values appended that are new, and where all stand.

    Raises
    ------
    AxisError
        If the two do not go together.
    """
    have, want = reconciled(stored.axis, requested)
    place = positions(have, want, tolerance)
    new = place < 0
    # without a tolerance, values that differ have places that differ
    found = np.sort(place[~new]) if tolerance else place[:0]
    if (np.diff(found) == 0).any():
        value = have.values[found[:-1][np.diff(found) == 0][0]]
        raise AxisError(
            f"two values of axis {have.name!r} lie within the tolerance {tolerance} of the stored "
            f"{value}; expected one"
        )
    if not new.any():  # to look ints up by floats is no reason to make floats of them
        return replace(
            stored, axis=replace(stored.axis, enum=want.enum, objects=want.objects)
        ), place
    place[new] = len(have) + np.arange(int(new.sum()))
    separator = stored.separator
    if have.kind != stored.axis.kind:  # a reader of the old document finds the old bytes
        separator = "/" if separator == "." else "."
    axis = replace(have.extended(want.take(new)), enum=want.enum, objects=want.objects)
    return StoredAxis(axis, stored.chunk, stored.coord_chunk, separator), place
