"""Removes points of a grid, or all of it: from the manifest first, and then from the disk.

A kill at any step leaves rows whose values are there, or values without rows, which count as not
computed; the same call again completes what was cut short.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.errors import DamageError
from swarmgrid.format.chunk_io import chunk_key, empty_values, read_block, write_chunk
from swarmgrid.format.codec import checksum
from swarmgrid.format.segment import Row, Rows
from swarmgrid.maintenance.kept import delete_all, keep
from swarmgrid.maintenance.orphans import other_chunks, own_chunks
from swarmgrid.maintenance.repair import read_tidy
from swarmgrid.records import failures
from swarmgrid.records.checked_chunk import DIFFERS
from swarmgrid.records.grid_state import read_state
from swarmgrid.records.manifest import write_segments
from swarmgrid.records.snapshot import snapshot_paths
from swarmgrid.space.points import Points
from swarmgrid.space.selection import AxisSelection, Selection
from swarmgrid.store import checked_json
from swarmgrid.store.layout import METADATA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.space.axis import Axis
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath


def remove_points(
    held: Lease,
    path: GridPath,
    to_positions: Callable[[Sequence[Axis]], list[NDArray[np.intp]]],
    *,
    from_disk: bool,
) -> int | None:
    """Count some points as not computed: how many were; None if there is no such grid.

    Parameters
    ----------
    held : Lease
        The right to write the grid.
    path : GridPath
        The grid.
    to_positions : callable
        Takes the axes, and returns the positions of the points on each of them.
    from_disk : bool
        Whether their values are deleted, too, together with those that count no more already.

    Raises
    ------
    DamageError
        If a value beside them in a chunk is damaged. Nothing was changed.
    EncryptionError
        If the grid is encrypted, and this process does not have its key. Nothing was changed.
    """
    state = read_tidy(held, path)
    if state is None:
        return None
    grid = state.grid
    at = to_positions(grid.axes)
    axes = (AxisSelection(p, n) for p, n in zip(at, grid.chunk_shape, strict=True))
    selection = Selection(tuple(axes))
    if not selection.size:
        return 0
    touched = (
        index for index, _ in state.manifest.chunks() if selection.touched_of(index) is not None
    )
    keep(held.blobs, grid, touched)
    # rows before values: a value without its row is not computed, a row without its value is
    # damage
    n_removed = _drop_rows(held, state, selection, are_rewritten=from_disk)
    _drop_failures(held, state, selection)
    if from_disk:
        _drop_values(held, grid, _manifest(held, path), selection)
    return n_removed


def drop_grid(held: Lease, path: GridPath) -> None:
    """Delete everything of a grid but its lease: rows, values, its document, the rest.

    A grid of which a kill leaves a part counts as one without computed points, or as none.
    """
    blobs = held.blobs
    for place in snapshot_paths(blobs, path):  # a kill leaves no snapshot without its chunks
        held.check()
        blobs.delete(place.record)
    # from here on nothing of it counts as computed, whenever a kill comes
    for suffix in (".seg", failures.SUFFIX):
        for name in blobs.names(path.manifest):
            if name.endswith(suffix):
                held.check()
                blobs.delete(path.manifest + name)
    arrays = [name for name in blobs.names(path.prefix) if name != METADATA]
    outputs = [name for name in arrays if name in _outputs(blobs, path)]
    for key in _objects(blobs, path, outputs):  # a stranger may open the grid until its document
        if not key.endswith(f"/{METADATA}"):  # is gone, and is to find no old values
            held.check()
            blobs.delete(key)
    held.check()
    blobs.delete(path.metadata)
    for key in _objects(blobs, path, arrays):
        held.check()
        blobs.delete(key)
    for name in blobs.names(path.manifest):
        blobs.delete(path.manifest + name)
    delete_all(held, path.snapshots)
    delete_all(held, path.indexes)


def _outputs(blobs: Blobs, path: GridPath) -> list[str]:
    """The outputs that a grid's document names; none if it is damaged or gone."""
    data = blobs.get(path.metadata, checked_json.MAX_DOCUMENT)
    try:
        attributes = checked_json.attributes_of(checked_json.from_bytes(data or b""))
        return [str(name) for name in attributes["swarmgrid_outputs"]]
    except checked_json.MALFORMED:
        return []


def _objects(blobs: Blobs, path: GridPath, arrays: Sequence[str]) -> Iterator[str]:
    """The objects of some arrays; those of an axis that was promoted lie in a folder ``c``."""
    for array in arrays:
        for name in blobs.names(f"{path.prefix}{array}/"):
            if name == "c":
                yield from (
                    f"{path.prefix}{array}/c/{inner}"
                    for inner in blobs.names(f"{path.prefix}{array}/c/")
                )
            yield f"{path.prefix}{array}/{name}"


def _manifest(held: Lease, path: GridPath) -> Manifest:
    state = read_state(held.blobs, path)
    assert state is not None
    return state.manifest


def _drop_rows(held: Lease, state: GridState, selection: Selection, *, are_rewritten: bool) -> int:
    """Replace the segments by one without the selected points; how many of them were computed.

    Chunks that are rewritten later are read before that: what cannot be is said first.
    """
    grid, manifest = state.grid, state.manifest
    rows = manifest.rows
    if not len(rows):
        return 0
    _, is_touched = manifest.touched_places(selection)
    kept = [rows.subset(np.flatnonzero(~is_touched))]
    n_removed = 0
    for index, numbers in manifest.chunks():
        touched = selection.touched_of(index)
        if touched is not None:
            selected = selection.requested_mask(touched)
            parts, n = _rest(
                held.blobs, grid, rows, numbers, index, selected, is_rewritten=are_rewritten
            )
            kept += parts
            n_removed += n
    held.check()
    left = Rows.concatenated(kept, len(grid.axes), len(grid.schema.outputs))
    if n_removed:
        if len(left):
            new_name = held.names_of("removed")
            write_segments(held.blobs, grid.path, new_name, grid, left, held.new_commit)
        for name in [*manifest.sizes, *manifest.damaged]:  # a kill before leaves what was computed
            held.check()
            held.blobs.delete(grid.path.manifest + name)
    return n_removed


def _rest(
    blobs: Blobs,
    grid: StoredGrid,
    rows: Rows,
    numbers: NDArray[np.intp],
    index: tuple[int, ...],
    selected: NDArray[np.bool_],
    *,
    is_rewritten: bool,
) -> tuple[list[Rows], int]:
    """The rows of one chunk without the selected points, and how many of these were computed."""
    masks = {i: rows.points(i).mask(grid.chunk_shape) for i in numbers.tolist()}
    before = np.logical_or.reduce(list(masks.values()))
    block = None
    kept = []
    for i, mask in masks.items():
        rest = mask & ~selected
        if not rest.any():
            continue
        is_whole = bool((mask == rest).all())
        if is_whole:
            kept.append(rows.subset(np.array([i])))
        if is_whole and not is_rewritten:
            continue
        block = read_block(blobs, grid, index) if block is None else block
        # before a new checksum is made, which would be one of whatever lies there
        _check(grid, rows, i, index, block, mask)
        if is_whole:
            continue
        sums = [checksum(block[n][rest], o.dtype) for n, o in grid.schema.outputs.items()]
        one = Row(
            rows.key[i].tobytes(),
            index,
            Points.from_mask(rest),
            tuple(sums),
            # shared out evenly: what each point took was not noted
            float(rows.seconds[i]) * int(rest.sum()) / int(mask.sum()),
            int(rows.time[i]),
            int(rows.chunk_bytes[i]),
            int(rows.commit[i]),
        )
        made = Rows.from_rows([one], len(index), len(sums))
        kept.append(replace(made, writer=rows.writer[i : i + 1], writers=rows.writers))
    return kept, int((before & selected).sum())


def _check(
    grid: StoredGrid,
    rows: Rows,
    i: int,
    index: tuple[int, ...],
    block: dict[str, NDArray[np.generic]],
    mask: NDArray[np.bool_],
) -> None:
    """Raise DamageError where a row's values are not in its chunk: they have no checksum then."""
    for column, (name, output) in enumerate(grid.schema.outputs.items()):
        if checksum(block[name][mask], output.dtype) != rows.checksums[i, column]:
            key = chunk_key(grid, name, index)
            raise DamageError(key, DIFFERS)


def _drop_failures(held: Lease, state: GridState, selection: Selection) -> None:
    """Remove the records of selected points that failed."""

    def is_selected(place: failures.Place) -> bool:
        index, offset = place
        touched = selection.touched_of(index)
        return touched is not None and bool(selection.requested_mask(touched)[offset])

    if state.failure_names:
        held.check()
        name = held.new_name(failures.suffix_of(state.grid.layout))
        path = state.grid.path
        failures.compact_failures(
            held.blobs,
            path,
            state.failure_names,
            name,
            lambda place: not failures.is_inside(place, state.grid) or is_selected(place),
        )


def _drop_values(held: Lease, grid: StoredGrid, manifest: Manifest, selection: Selection) -> None:
    """Delete the values of selected points, which no row refers to any more."""
    touched: dict[tuple[int, ...], dict[str, str]] = {}
    for name in grid.schema.outputs:
        for key in other_chunks(held.blobs, grid, name):
            held.check()
            held.blobs.delete(key)
        for key in own_chunks(held.blobs, grid, name):
            index = _index(key, len(grid.axes))
            if index is not None and selection.touched_of(index) is not None:
                touched.setdefault(index, {})[key] = name
    for index, names in touched.items():
        kept = [manifest.rows.points(i).mask(grid.chunk_shape)
                for i in manifest.rows_of(index).tolist()]  # fmt: skip
        if not kept:
            for key in names:
                held.check()
                held.blobs.delete(key)
            continue
        is_kept = np.logical_or.reduce(kept)
        block = read_block(held.blobs, grid, index)
        for name in names.values():
            held.check()
            values = empty_values(grid, name)
            values[is_kept] = block[name][is_kept]
            write_chunk(held.blobs, grid, name, index, values)


def _index(key: str, n_axes: int) -> tuple[int, ...] | None:
    """The index of a chunk by its key, along the axes."""
    numbers = [part for part in key.rpartition("/")[2].split(".") if part != "c"]
    if n_axes and (len(numbers) < n_axes or not all(map(str.isdecimal, numbers))):
        return None
    return tuple(map(int, numbers[:n_axes]))
