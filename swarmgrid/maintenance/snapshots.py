"""Takes snapshots of a grid, lists and deletes them, and finds what they lack.

Rows are facts, so that a snapshot is a set of rows: nothing is copied when it is taken. Whatever
is about to change the values of computed points calls `keep` first. A kill in between leaves a
copy that is not needed, and never a snapshot without its values.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import secrets
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.errors import ArchivedError, DamageError, FormatError
from swarmgrid.format.chunk_io import chunk_key
from swarmgrid.maintenance.kept import delete_all, state_at
from swarmgrid.maintenance.repair import read_tidy
from swarmgrid.maintenance.report import Finding
from swarmgrid.records.grid_state import read_state
from swarmgrid.records.snapshot import (
    KEPT,
    SUFFIX,
    Snapshot,
    read_snapshots,
    snapshot_chunk,
    snapshot_paths,
    write_contents,
)
from swarmgrid.store.layout import GridPath, SnapshotPath
from swarmgrid.store.refusals import FrozenError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.blobs import Blobs


def take(
    held: Lease,
    path: GridPath,
    message: str,
    tags: Mapping[str, Any],
    expires: dt.datetime | dt.timedelta | None,
) -> Snapshot | None:
    """Take a snapshot: its record; None if there is no such grid. Expired ones are deleted."""
    try:
        state = read_tidy(held, path)
    except ArchivedError:  # its rows are here, and are all that a snapshot is
        state = read_state(held.blobs, path)
    if state is None:
        return None
    now = dt.datetime.now(dt.UTC)
    expire(held, path, now)
    place = SnapshotPath(path.function, path.grid, secrets.token_hex(6))
    write_contents(held.blobs, place, state.grid.at_home(), state.manifest.rows)
    found = Snapshot(
        place.snapshot,
        message,
        dict(tags),
        now,
        now + expires if isinstance(expires, dt.timedelta) else expires,
        _n_points(state),
    )
    # last: without its record a snapshot does not count, and the next one removes what is there
    held.check()
    held.blobs.put(place.record, found.to_bytes(place.record))
    return found


def expire(held: Lease, path: GridPath, now: dt.datetime) -> list[Snapshot]:
    """Delete the snapshots that may be deleted, and what a killed process left of others."""
    expired = [each for each in read_snapshots(held.blobs, path) if each.is_expired(now)]
    for snapshot in expired:
        held.check()
        held.blobs.delete(SnapshotPath(path.function, path.grid, snapshot.id).record)
    _delete_unneeded(held, path, has_fewer=bool(expired))
    return expired


def delete(held: Lease, path: GridPath, snapshot: str) -> bool:
    """Delete a snapshot, and the copies that no other one needs: whether it was there."""
    place = SnapshotPath(path.function, path.grid, snapshot)
    is_there = held.blobs.get(place.record) is not None
    held.check()
    held.blobs.delete(place.record)  # first: without it the rest does not count
    _delete_unneeded(held, path, has_fewer=True)
    return is_there


def snapshot_findings(
    blobs: Blobs, path: GridPath, archive: Blobs | None = None
) -> Iterator[Finding]:
    """The damage of the snapshots of a grid; every chunk that they name is read.

    Chunks that are in an archive are read there, if it is given; else they are left out.
    """
    for snapshot in read_snapshots(blobs, path):
        if snapshot.damage:
            place = SnapshotPath(path.function, path.grid, snapshot.id)
            yield Finding(place.record, f"snapshot {snapshot.id}: {snapshot.damage}")
    for place in snapshot_paths(blobs, path):
        try:
            then = state_at(blobs, place)
            for index, _ in then.manifest.chunks():
                for name in then.grid.schema.outputs:
                    try:
                        snapshot_chunk(blobs, then.grid, then.manifest, name, index)
                    except ArchivedError:
                        if archive is not None:
                            with contextlib.suppress(FrozenError):
                                snapshot_chunk(archive, then.grid, then.manifest, name, index)
        except DamageError as error:
            yield Finding(error.key, f"snapshot {place.snapshot}: {error.reason}")


def _n_points(state: GridState) -> int:
    rows = state.manifest.rows
    whole = ~rows.has_bitmap()
    extent = rows.extent[whole] if len(rows.bits) else rows.extent
    n = int(np.prod(extent, axis=1, dtype=np.int64).sum())
    return n + sum(len(rows.points(i)) for i in np.flatnonzero(~whole).tolist())


def _delete_unneeded(held: Lease, path: GridPath, *, has_fewer: bool) -> None:
    """Delete what is left of deleted snapshots, and of one that a kill cut short."""
    places = snapshot_paths(held.blobs, path)
    present = {KEPT, *(place.snapshot for place in places)}
    left = [n for n in held.blobs.names(path.snapshots) if not n.endswith(SUFFIX)]
    for name in left:
        if name not in present:
            delete_all(held, f"{path.snapshots}{name}/")
    if not has_fewer or KEPT not in left:
        return
    needed: set[str] = set()
    for place in places:
        try:
            then = state_at(held.blobs, place)
        except (DamageError, FormatError):  # it may need any of them
            return
        for index in set(map(tuple, then.manifest.rows.index.tolist())):
            keys = (chunk_key(then.grid, name, index) for name in then.grid.schema.outputs)
            needed.update(map(path.kept, keys))
    for array in held.blobs.names(f"{path.snapshots}{KEPT}/"):
        for chunk in held.blobs.names(f"{path.snapshots}{KEPT}/{array}/"):
            folder = f"{path.snapshots}{KEPT}/{array}/{chunk}/"
            if folder not in needed:
                delete_all(held, folder)
