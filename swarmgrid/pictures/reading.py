"""Reads what a picture of a grid needs: its state, its failures, and the process that holds it.

No value is read: only documents, coordinates, the manifest and the lease.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmgrid.records.failures import read_all_failures, still_failed, within
from swarmgrid.records.grid_state import read_state
from swarmgrid.store.lease_record import LeaseRecord, highest_record

if TYPE_CHECKING:
    from swarmgrid.records.failures import FailedPoint, Place
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath


@dataclass(frozen=True, slots=True)
class GridLook:
    """A grid at one instant."""

    state: GridState
    failures: tuple[FailedPoint, ...]
    """Those of points that are not computed since."""
    holder: LeaseRecord | None
    """The process that fills the grid; None: no process says so, or it is known to have ended."""
    is_killed: bool = False
    """Whether the last process that held the grid has ended without giving it back."""


def read_look(blobs: Blobs, path: GridPath) -> GridLook | None:
    """Read a grid; None if there is none.

    Raises
    ------
    StoreError
        If what is read is damaged.
    """
    state = read_state(blobs, path)
    if state is None:
        return None
    failures: dict[Place, FailedPoint] = {}
    if state.failure_names:
        failures = within(read_all_failures(blobs, state.grid), state.grid)
    _, record = highest_record(blobs, path.grid)
    is_held = record is not None and not record.released
    is_killed = is_held and record is not None and record.is_dead()
    holder = record if is_held and not is_killed else None
    return GridLook(state, tuple(still_failed(failures, state.manifest)), holder, is_killed)
