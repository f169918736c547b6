"""Goes back to a snapshot: the grid gets its rows again, and the values that these refer to.

In the layout of the snapshot, chunks that differ are replaced, and then the rows. Where the grid
was laid out anew since, or an output converted, the values are written in the layout that it has
now, beside its chunks, and one write makes them count (decision 0039).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.errors import InputError
from swarmgrid.format.chunk_io import chunk_key
from swarmgrid.format.growing import grown_axis
from swarmgrid.maintenance.kept import (
    has_layout_of,
    keep,
    keep_lost,
    other_chunks,
    row_ids,
    state_at,
)
from swarmgrid.maintenance.layout_swap import NewLayout, moved, swap
from swarmgrid.maintenance.rechunk import LayoutWriter
from swarmgrid.maintenance.repair import read_tidy
from swarmgrid.outputs.encoding import Encoding
from swarmgrid.outputs.widening import is_wider
from swarmgrid.records.manifest import Manifest, write_segments
from swarmgrid.records.snapshot import snapshot_chunk
from swarmgrid.store.layout import SnapshotPath

if TYPE_CHECKING:
    from collections.abc import Collection

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.format.segment import Rows
    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.layout import GridPath


def restore(held: Lease, path: GridPath, snapshot: str) -> int | None:
    """Make a grid what it was: how many points count no more; None if there is no such grid.

    The axes keep the values that they have since. A kill at any step leaves chunks that count as
    not computed, and the snapshot; the same call again completes it.

    Raises
    ------
    DamageError
        If a value of the snapshot is not there any more. Nothing was changed.
    InputError
        If the grid as it is now cannot hold a value. Nothing was changed.
    """
    state = read_tidy(held, path)
    if state is None:
        return None
    blobs, place = held.blobs, SnapshotPath(path.function, path.grid, snapshot)
    then = state_at(blobs, place)
    # kept bytes are written as they are, where they mean the same
    is_same = state.grid.schema.encodings == then.grid.schema.encodings
    if not (is_same and has_layout_of(state.grid, then.grid)):
        return _restored_elsewhere(held, state, then)
    grid, now_rows = state.grid, state.manifest.rows
    changed: dict[tuple[int, ...], dict[str, bytes]] = {}
    for index in other_chunks(then.manifest.rows, now_rows):
        for name in grid.schema.outputs:
            key = chunk_key(grid, name, index)
            _, data = snapshot_chunk(blobs, then.grid, then.manifest, name, index)
            if data != blobs.get(key):
                changed.setdefault(index, {})[key] = data
    keep(blobs, grid, changed)
    keep_lost(blobs, path, then.manifest.rows, grid)  # of later snapshots
    old = [*state.manifest.sizes, *state.manifest.damaged]
    if changed:  # rows must not refer to a chunk while it is replaced
        old = _replace_rows(held, grid, state.manifest.without(changed).rows, old)
        for objects in changed.values():
            for key, data in objects.items():
                held.check()
                blobs.put(key, data)
    _replace_rows(held, grid, _recommitted(then.manifest.rows, now_rows), old)
    return _n_lost(state, then)


def _restored_elsewhere(held: Lease, state: GridState, then: GridState) -> int:
    """Write the values of a snapshot in the layout that the grid has now, and make them count."""
    check_fits(state.grid, then.grid)
    pairs = zip(then.grid.stored_axes, state.grid.axes, strict=True)
    grown = [grown_axis(*pair) for pair in pairs]  # values that are new since have no rows there
    old = replace(then, grid=replace(then.grid, stored_axes=tuple(axis for axis, _ in grown)))
    layout = NewLayout(moved(state.grid), tuple(place for _, place in grown))
    keep(held.blobs, state.grid)
    writer = LayoutWriter(held, old, layout, is_past=True)
    rows = _recommitted(writer.write_all(), None)
    as_now = tuple(np.arange(len(axis)) for axis in state.grid.axes)
    swap(held, state, NewLayout(writer.grid, as_now), rows)
    return _n_lost(state, replace(state, manifest=Manifest(rows, {})))


def check_fits(now: StoredGrid, then: StoredGrid) -> None:
    """Raise InputError where a grid cannot hold all values that it may have had earlier."""
    for name, output in now.schema.outputs.items():
        before, encoding = then.schema.outputs[name], now.schema.encodings.get(name)
        if before.dtype != output.dtype and not is_wider(output.dtype, before.dtype):
            raise InputError(
                f"output {name!r} of the snapshot is of {before.dtype}, which {output.dtype} as "
                "it is now does not hold. Read the snapshot with dataset(at=...)"
            )
        if encoding is None or not encoding.lossy:
            continue
        if _values_of(encoding) != _values_of(then.schema.encodings.get(name, Encoding())):
            raise InputError(
                f"output {name!r} has a lossy encoding now ({encoding.lossy}), which would change "
                "the values of the snapshot. Give it another one first, "
                f"Grid.rechunk(encoding={{{name!r}: {{}}}}), or read the snapshot with "
                "dataset(at=...)"
            )


def _values_of(encoding: Encoding) -> Encoding:
    """An encoding without what changes no value."""
    return replace(encoding, choice="", key_id="", array="")


def _n_lost(now: GridState, then: GridState) -> int:
    """The points that are computed in one state, and not in another."""
    lost = 0
    for index in other_chunks(now.manifest.rows, then.manifest.rows):
        shape = now.grid.chunk_shape
        before, after = (one.manifest.computed_in(index, shape) for one in (now, then))
        lost += int((before & ~after).sum())
    return lost


def _recommitted(then: Rows, now: Rows | None) -> Rows:
    """The rows of a snapshot: with their numbers those that are there, the others without one.

    So a watcher is told of what counts again, although it was told of it before.
    """
    commit = np.zeros_like(then.commit)
    if now is not None and len(now) and len(then):
        ids, first = np.unique(row_ids(now), return_index=True)
        at = np.minimum(np.searchsorted(ids, row_ids(then)), len(ids) - 1)
        commit = np.where(ids[at] == row_ids(then), now.commit[first[at]], 0).astype("<u8")
    return replace(then, commit=commit)


def _replace_rows(held: Lease, grid: StoredGrid, rows: Rows, old: Collection[str]) -> list[str]:
    """Write rows as the only ones of a grid, and return the names of their segments."""
    held.check()
    names = []
    if len(rows):
        new_name = held.names_of("restored")
        names = [*write_segments(held.blobs, grid.path, new_name, grid, rows, held.new_commit)]
    for name in old:
        held.check()
        held.blobs.delete(grid.path.manifest + name)
    return names
