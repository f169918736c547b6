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
from swarmgrid.planning.layers import Layer
from swarmgrid.records.grid_state import read_state
from swarmgrid.records.snapshot import Snapshot, read_snapshots
from swarmgrid.store.layout import SnapshotPath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.grid_ref import GridRef

_SHOWN = 8
"""The snapshots that an error lists."""
Moment = Snapshot | str | dt.date | np.datetime64 | None
"""A snapshot, its id or message, a time or a day; None is now."""


def state_of(ref: GridRef, moment: Moment) -> GridState:
    """The state of a grid at a moment, in its own store.

    Raises
    ------
    InputError
        If there is no such snapshot, or nothing is stored of the grid.
    DamageError
        If the snapshot is damaged.
    """
    found = None if moment is None else named(ref, moment)
    if found is not None:
        return _state_in(ref, found)
    until = np.inf if moment is None else to_seconds(moment)
    if until is None:
        raise _unknown(ref, moment)
    state = _state_until(ref, until)
    if state is None:
        raise not_stored(ref)
    return state


def layers_at(ref: GridRef, moment: Moment) -> list[Layer]:
    """A grid at a moment, in each store that counts: of a scope also in the shared one.

    At a snapshot of a scope, the shared store counts as it was when that was taken: with the
    points that were computed by then, and were not deleted since.

    Raises
    ------
    InputError
        If there is no such snapshot, or nothing is stored of the grid.
    DamageError
        If the snapshot is damaged.
    """
    refs = [replace(ref, location=location) for location in ref.location.layers]
    for number, one in enumerate(refs):
        snapshot = named(one, moment)
        if snapshot is not None:
            rest = _layers_until(refs[number + 1 :], snapshot.time.timestamp())
            return [Layer(one, _state_in(one, snapshot)), *rest]
    until = np.inf if moment is None else to_seconds(moment)
    if until is None:
        raise _unknown(ref, moment)
    found = _layers_until(refs, until)
    if not found:
        raise not_stored(ref)
    return found


def knows(ref: GridRef, moment: Moment) -> bool:
    """Whether a moment is a time, or a snapshot of a grid in its own store."""
    return moment is None or named(ref, moment) is not None or to_seconds(moment) is not None


def _state_in(ref: GridRef, snapshot: Snapshot) -> GridState:
    """The contents of a snapshot."""
    snapshot.check()
    path = ref.path
    return state_at(ref.location.open(), SnapshotPath(path.function, path.grid, snapshot.id))


def _layers_until(refs: Sequence[GridRef], until: float) -> list[Layer]:
    states = [(one, _state_until(one, until)) for one in refs]
    return [Layer(one, state) for one, state in states if state is not None]


def _state_until(ref: GridRef, until: float) -> GridState | None:
    """The state with what was computed by a time, in seconds since 1970, and is there still."""
    state = read_state(ref.location.open(), ref.path)
    if state is None or until == np.inf:
        return state
    rows = state.manifest.rows
    past = rows.subset(np.flatnonzero(rows.time <= until))
    return replace(state, manifest=replace(state.manifest, rows=past))


def snapshot_of(ref: GridRef, name: Snapshot | str) -> Snapshot:
    """The snapshot of an id, its first digits, or a message; InputError if there is none."""
    found = named(ref, name)
    if found is not None:
        return found
    shared = ref.location.below
    if shared is not None and named(replace(ref, location=shared), name) is not None:
        raise InputError(
            f"{brief(name)} is a snapshot of the shared store {shared.url!r}, which nothing "
            "changes from a scope; leave the scope for that"
        )
    if to_seconds(name) is not None:
        raise InputError(
            f"{brief(name)} is a time, and expected is a snapshot: of a time it is not known what "
            "was deleted since. dataset(at=...) reads what there is"
        )
    raise _unknown(ref, name)


def named(ref: GridRef, name: object) -> Snapshot | None:
    """The snapshot of a grid in its own store, if there is one.

    Raises
    ------
    InputError
        If there are several.
    """
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
        raise InputError(
            f"{len(found)} snapshots of {ref.path.group} fit {brief(name)}; pass an id: {ids}"
        )
    return found[0] if found else None


def _unknown(ref: GridRef, name: object) -> InputError:
    """The error that a grid has no such snapshot, or that nothing is stored of it."""
    present = [
        f"{each.id} {'(damaged)' if each.damage else brief(each.message)}"
        for location in ref.location.layers
        for each in read_snapshots(location.open(), ref.path)
    ]
    if not present and not any(
        location.open().names(ref.path.prefix) for location in ref.location.layers
    ):
        return not_stored(ref)
    more = f" and {len(present) - _SHOWN} more" if len(present) > _SHOWN else ""
    listed = f"it has {', '.join(present[-_SHOWN:])}{more}" if present else "it has none"
    return InputError(
        f"{brief(name)} is no snapshot of {ref.path.group}; {listed}. A time is written as "
        "'2026-11-20T12:00', in UTC"
    )


def to_seconds(moment: object) -> float | None:
    """A time as seconds since 1970; None if it is none. One without a time zone is in UTC."""
    if isinstance(moment, str):
        try:
            moment = dt.datetime.fromisoformat(moment)
        except ValueError:
            return None
    if isinstance(moment, np.datetime64):
        return None if np.isnat(moment) else float(moment.astype("M8[us]").astype(np.int64)) / 1e6
    if isinstance(moment, dt.date) and not isinstance(moment, dt.datetime):
        moment = dt.datetime.combine(moment, dt.time())
    if not isinstance(moment, dt.datetime) or moment != moment:  # noqa: PLR0124  # pandas' NaT
        return None
    zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    return zoned.timestamp()
