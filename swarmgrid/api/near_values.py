"""Warns of floats that a request has and a stored grid has not, but for a digit at their end."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.space.match import NEAR, near_misses

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swarmgrid.planning.request import Domain
    from swarmgrid.records.grid_state import GridState


def warn_of_near_misses(states: Iterable[GridState], domain: Domain) -> None:
    """Warn of the values of a request that are new for a digit at their end."""
    for state in states:
        stored = {axis.name: axis for axis in state.grid.axes}
        for axis in domain.axes:
            tolerance = domain.tolerance.get(axis.name, 0.0)
            near = near_misses(stored[axis.name], axis, tolerance)
            if len(near):
                largest = float(np.abs(near).max())
                warnings.warn(
                    f"axis {axis.name!r}: {len(near)} of {len(axis)} values, such as "
                    f"{float(near[0])!r}, differ from stored ones by less than 1e-9 of their "
                    "size, and count as new. If they are meant to be the same, pass "
                    f"tolerance={{{axis.name!r}: {largest * NEAR:.0e}}}",
                    RuntimeWarning,
                    stacklevel=5,
                )
