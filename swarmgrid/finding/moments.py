"""The state of a grid at a moment: now, at a time, or as a snapshot has it."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.errors import InputError, brief
from swarmgrid.finding.resolve import not_stored
from swarmgrid.maintenance.kept import state_at
from swarmgrid.records.grid_state import read_state
from swarmgrid.records.snapshot import Snapshot, read_snapshots
from swarmgrid.store.layout import SnapshotPath

if TYPE_CHECKING:
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.grid_ref import GridRef

Moment = Snapshot | str | dt.datetime | np.datetime64 | None
"""A snapshot, its id or message, or a time; None is now."""


def state_of(ref: GridRef, moment: Moment) -> GridState:
    """The state of a grid at a moment.

    Raises
    ------
    InputError
        If there is no such snapshot, or nothing is stored of the grid.
    DamageError
        If the snapshot is damaged.
    """
    blobs, path = ref.location.open(), ref.path
    found = None if moment is None else _named(ref, moment)
    if found is not None:
        found.check()
        return state_at(blobs, SnapshotPath(path.function, path.grid, found.id))
    until = np.inf if moment is None else _to_seconds(moment)
    if until is None:
        raise _unknown(ref, moment)
    state = read_state(blobs, path)
    if state is None:
        raise not_stored(ref)
    if moment is None:
        return state
    rows = state.manifest.rows
    past = rows.subset(np.flatnonzero(rows.time <= until))
    return replace(state, manifest=replace(state.manifest, rows=past))


def snapshot_of(ref: GridRef, name: Snapshot | str) -> Snapshot:
    """The snapshot of an id, its first digits, or a message; InputError if there is none."""
    found = _named(ref, name)
    if found is None:
        raise _unknown(ref, name)
    return found


def _named(ref: GridRef, name: object) -> Snapshot | None:
    if not isinstance(name, (Snapshot, str)):
        return None
    present = read_snapshots(ref.location.open(), ref.path)
    if isinstance(name, Snapshot):
        found = [each for each in present if each.id == name.id]
    else:
        found = [each for each in present if each.message == name and name]
        if not found and re.fullmatch("[0-9a-f]{4,12}", name):
            found = [each for each in present if each.id.startswith(name)]
    if len(found) > 1:
        ids = ", ".join(each.id for each in found)
        raise InputError(f"{len(found)} snapshots fit {brief(name)}; pass an id: {ids}")
    return found[0] if found else None


def _unknown(ref: GridRef, name: object) -> InputError:
    present = [
        f"{each.id} {'(damaged)' if each.damage else repr(each.message)}"
        for each in read_snapshots(ref.location.open(), ref.path)
    ]
    listed = f"it has {', '.join(present)}" if present else "it has none"
    return InputError(
        f"{brief(name)} is no snapshot of {ref.path.group}; {listed}. A time is written as "
        "'2026-11-20T12:00', in UTC"
    )


def _to_seconds(moment: object) -> float | None:
    """A time as seconds since 1970; None if it is none. One without a time zone is in UTC."""
    if isinstance(moment, str):
        try:
            moment = dt.datetime.fromisoformat(moment)
        except ValueError:
            return None
    if isinstance(moment, np.datetime64):
        return None if np.isnat(moment) else float(moment.astype("M8[us]").astype(np.int64)) / 1e6
    if not isinstance(moment, dt.datetime):
        return None
    zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    return zoned.timestamp()
