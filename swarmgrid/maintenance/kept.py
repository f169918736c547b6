"""Keeps copies of the chunks that snapshots name, before something changes their values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from swarmgrid.errors import DamageError, FormatError
from swarmgrid.records.grid_state import read_state
from swarmgrid.records.snapshot import keep_chunk, remedy, snapshot_paths
from swarmgrid.store.layout import GridPath

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swarmgrid.format.grid import StoredGrid
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


def delete_all(held: Lease, folder: str) -> None:
    """Delete all objects below a folder."""
    for name in held.blobs.names(folder):
        delete_all(held, f"{folder}{name}/")
        held.check()
        held.blobs.delete(folder + name)
