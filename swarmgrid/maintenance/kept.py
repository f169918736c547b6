"""Keeps copies of the chunks that snapshots name, before something changes their values."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.errors import DamageError, FormatError
from swarmgrid.format.chunk_io import chunk_key
from swarmgrid.records.grid_state import read_state
from swarmgrid.records.snapshot import keep_chunk, own_data, put_kept, remedy, snapshot_paths
from swarmgrid.store.layout import GridPath

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.format.segment import Rows
    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import SnapshotPath


def keep(blobs: Blobs, grid: StoredGrid, indices: Iterable[tuple[int, ...]] | None = None) -> None:
    """Keep copies of the chunks that snapshots name, before their values change.

    Parameters
    ----------
    blobs : Blobs
        The store, with the right to write the grid.
    grid : StoredGrid
        The grid as it is.
    indices : iterable of chunk indices, optional
        The chunks whose values may change; all, unless given.

    Raises
    ------
    DamageError
        If all chunks may change, and a snapshot that is damaged does not say which it names.
    """
    places = snapshot_paths(blobs, grid.path)
    if not places:
        return
    asked = None if indices is None else {*indices}
    named: set[tuple[int, ...]] = set()
    for place in places:
        try:
            then = state_at(blobs, place)
        except (DamageError, FormatError):  # it may name any, and must not stop their repair
            if asked is None:
                raise
            named |= asked
            continue
        if has_layout_of(grid, then.grid):  # else its chunks were kept when that changed
            named.update(map(tuple, then.manifest.rows.index.tolist()))
    for index in sorted(named if asked is None else named & asked):
        keep_chunk(blobs, grid, index)


def keep_lost(
    blobs: Blobs, path: GridPath, left: Rows | None = None, grid: StoredGrid | None = None
) -> None:
    """Keep copies of the chunks of snapshots that some rows of a grid do not refer to.

    For rows that are to go, or were lost with a damaged segment or the grid's document: their
    points count as not computed, so that whatever computes them replaces what a snapshot names.

    Parameters
    ----------
    blobs : Blobs
        The store, with the right to write the grid.
    path : GridPath
        The grid.
    left : Rows, optional
        The rows that the grid still has; none, unless given.
    grid : StoredGrid, optional
        The grid, where that is known: snapshots of other layouts are left out, as their chunks
        were kept when it was laid out anew.
    """
    for place in snapshot_paths(blobs, path):
        try:
            then = state_at(blobs, place)
        except (DamageError, FormatError):  # what it names is not known
            continue
        if grid is not None and not has_layout_of(grid, then.grid):
            continue
        rows = then.manifest.rows
        for index in other_chunks(rows, rows.subset(slice(0)) if left is None else left):
            for name in then.grid.schema.outputs:
                data = own_data(blobs, then.grid, then.manifest, name, index)
                if data is not None:  # else it was kept when it changed, or is lost
                    put_kept(blobs, path, chunk_key(then.grid, name, index), data)


def state_at(blobs: Blobs, place: SnapshotPath) -> GridState:
    """The contents of a snapshot, as a state of its grid.

    Raises
    ------
    DamageError
        If it is damaged.
    """
    try:
        state = read_state(blobs, place)
    except DamageError as error:
        raise DamageError(error.key, error.reason, remedy(place.snapshot)) from None
    if state is None or state.manifest.damaged:
        raise DamageError(
            place.metadata,
            "a part of this snapshot is missing or damaged",
            remedy(place.snapshot),
        )
    path = GridPath(place.function, place.grid)  # of the chunks
    return replace(state, grid=replace(state.grid, path=path))


def has_layout_of(grid: StoredGrid, then: StoredGrid) -> bool:
    """Whether chunks and rows of an earlier grid are those of a later one."""
    return (
        grid.layout == then.layout
        and grid.chunk_shape == then.chunk_shape
        and grid.inner_shape == then.inner_shape
        and grid.v2_keys == then.v2_keys
        and grid.data_types() == then.data_types()
        and all(
            len(old) <= len(new)
            and then.axis_digest(old.name) == grid.axis_digest(new.name, len(old))
            for old, new in zip(then.axes, grid.axes, strict=True)
        )
    )


def row_ids(rows: Rows) -> NDArray[np.void]:
    """``(n,)``: the same bytes for rows that refer to the same values of the same points."""
    if not len(rows):
        return np.zeros(0, "V1")
    bitmaps = np.zeros(len(rows), "<u8")
    for i in np.flatnonzero(rows.has_bitmap()).tolist():
        bits = rows.points(i).bits or b""
        bitmaps[i] = int.from_bytes(hashlib.blake2b(bits, digest_size=8).digest(), "little")
    parts = (rows.index, rows.extent, rows.checksums, bitmaps)
    table = np.concatenate(
        [np.ascontiguousarray(part).reshape(len(rows), -1).view(np.uint8) for part in parts],
        axis=1,
    )
    return np.ascontiguousarray(table).view(f"V{table.shape[1]}").reshape(-1)


def other_chunks(then: Rows, now: Rows) -> list[tuple[int, ...]]:
    """The chunks of which some rows are not there any more."""
    if not len(then):
        return []
    lost = then.index[~np.isin(row_ids(then), row_ids(now))] if len(now) else then.index
    return sorted(set(map(tuple, lost.tolist())))


def delete_all(held: Lease, folder: str) -> None:
    """Delete all objects below a folder."""
    for name in held.blobs.names(folder):
        delete_all(held, f"{folder}{name}/")
        held.check()
        held.blobs.delete(folder + name)
