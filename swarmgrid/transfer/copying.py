"""Copies a grid to another store: its values are held against their checksums on the way.

The document comes before the chunks, and the rows last: a kill leaves a grid without computed
points, which the same call completes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.format.chunk_io import chunk_key, chunk_limit
from swarmgrid.format.chunk_parts import in_parts
from swarmgrid.format.codec import check_keys
from swarmgrid.format.grid_io import write_grid
from swarmgrid.records import code_record, failures, tags
from swarmgrid.records.checked_chunk import computed_chunk
from swarmgrid.records.manifest import write_segments
from swarmgrid.transfer.snapshots import copy_snapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.blobs import Blobs


def copy_grid(
    source: Blobs,
    state: GridState,
    held: Lease,
    *,
    snapshots: bool = True,
    put: Callable[[str, bytes], None] | None = None,
) -> tuple[int, int]:
    """Copy a grid that the target does not have: the bytes of chunks, the number of snapshots.

    Parameters
    ----------
    source : Blobs
        The store that has the grid.
    state : GridState
        The grid, as it was read there.
    held : Lease
        The right to write the grid in the target.
    snapshots : bool
        Whether its snapshots come with it.
    put : callable, optional
        Writes a chunk in the target, which may have some of the chunks already.

    Raises
    ------
    ArchivedError
        If the values of the source are in an archive; nothing was written.
    EncryptionError
        If this process does not have the key; nothing was written.
    DamageError
        If a value is not the one that was computed; the target then has no computed points of
        the grid.
    """
    grid, rows, target = state.grid, state.manifest.rows, held.blobs
    grid.check_at_home()
    check_keys(grid.schema)
    # metadata before chunks, as in every run: a chunk that is there has its place
    fitting = tuple(axis.within(target.max_nbytes) for axis in grid.stored_axes)
    write_grid(target, replace(grid, stored_axes=fitting), None)
    put = held.blobs.put if put is None else put
    nbytes = sum(_copy_output(source, state, held, name, put) for name in grid.schema.outputs)
    beside = [n for n in state.names if n.endswith(tags.SUFFIX)]
    beside += [code_record.NAME] * (code_record.NAME in state.names)
    keys = [grid.path.manifest + name for name in beside]
    for key, data in zip(keys, source.get_many(keys, failures.MAX_NBYTES), strict=True):
        if data is not None:  # else a writer of the source has folded it meanwhile
            target.put(key, data)
    _copy_failures(source, state, held)
    # before the rows: a grid that has these is left alone by the next call
    n_snapshots, kept = copy_snapshots(source, state, held) if snapshots else (0, 0)
    held.check()
    if len(rows):
        # the numbers of its commits are those of the leases of the other store
        new = replace(rows, commit=np.zeros_like(rows.commit))
        write_segments(target, grid.path, held.names_of("copied"), grid, new, held.new_commit)
    return nbytes + kept, n_snapshots


def is_to_be_copied(state: GridState, there: GridState | None) -> bool:
    """Whether a target has nothing of a grid but what a copy left that was cut short."""
    if there is None:
        return True
    names = {*state.names, *map(_copied_name, state.failure_names)}
    return not len(there.manifest.rows) and {*there.names} <= names


def _copy_failures(source: Blobs, state: GridState, held: Lease) -> None:
    """Copy the records of points that failed, under numbers of the target."""
    grid = state.grid
    found = failures.read_failures(source, grid.path, state.failure_names)
    if found:
        new = [replace(failure, commit=0) for failure in found.values()]
        name = _copied_name(max(state.failure_names))
        failures.write_failures(held.blobs, grid.path, name, new, held.new_commit)


def _copied_name(name: str) -> str:
    """The name of copied failures, by the one that the source has.

    It begins with the first epoch: those that the target notes later come after it, whatever the
    source's epoch was. It is the source's otherwise: a copy that is cut short has no others, see
    `is_to_be_copied`.
    """
    epoch, _, rest = name.partition("-")
    return f"{0:0{len(epoch)}d}-{rest}"


def _copy_output(
    source: Blobs, state: GridState, held: Lease, name: str, put: Callable[[str, bytes], None]
) -> int:
    """Copy the chunks of one output that rows refer to: how many bytes they have."""
    grid, manifest = state.grid, state.manifest
    output = grid.schema.outputs[name]
    nbytes = 0

    def copy(part: Sequence[tuple[tuple[int, ...], NDArray[np.intp]]]) -> None:
        nonlocal nbytes
        keys = [chunk_key(grid, name, index) for index, _ in part]
        read = source.get_many(keys, chunk_limit(grid, name))
        for (index, _), key, data in zip(part, keys, read, strict=True):
            computed_chunk(data, key, grid, manifest, name, index)
            held.check()
            put(key, data or b"")
            nbytes += len(data or b"")

    size = int(np.prod(grid.block_shape(output))) * output.memory_dtype.itemsize
    in_parts(manifest.chunks(), size, copy)
    return nbytes
