"""Writes what a stored grid looks like: its coordinates and metadata, in an order that is safe."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from swarmgrid.format import zarr_metadata
from swarmgrid.format.codec import encoded, filled
from swarmgrid.format.letter_case import array_names, check_letter_case
from swarmgrid.store import checked_json
from swarmgrid.store.layout import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swarmgrid.format.grid import StoredAxis, StoredGrid
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath


def write_grid(blobs: Blobs, grid: StoredGrid, old: StoredGrid | None) -> None:
    """Create the grid, or make the ``old`` one this larger one; the lease must be held.

    The group's document is replaced last, in one write: until then every reader sees the old
    grid, and a crash leaves it.

    Raises
    ------
    InputError
        If two arrays of a new grid would be one in this store: see `check_letter_case`.
    """
    path = grid.path
    if old is None:
        check_letter_case(blobs, array_names(grid.names, grid.schema))
        write_parents(blobs, path)
    before = {axis.name: axis for axis in old.axes} if old else {}
    for stored in grid.stored_axes:
        previous = before.get(stored.axis.name)
        # of another dtype the values are written anew, under keys of their own: see
        # `StoredAxis.separator`
        done = 0 if previous is None or previous.kind != stored.axis.kind else len(previous)
        if done == 0 or done < len(stored.axis):
            for key, data in _coordinate_chunks(path, stored, done):
                _put_twice(blobs, path, key, data)
    if old is None:
        for name, coord in grid.schema.coords.items():
            key = path.chunk(name, (0,) * coord.values.ndim)
            _put_twice(blobs, path, key, encoded(coord.values, coord.output.dtype))
    write_documents(blobs, grid)


def covering(grid: StoredGrid, old: StoredGrid | None, lengths: Sequence[int]) -> StoredGrid:
    """A grown grid with only so many values on every axis, and all that the ``old`` one has.

    An axis of ints remains one where the values that would make it one of floats are left out.
    """
    axes = [
        _shortened(stored, None if old is None else old.stored_axes[d], lengths[d])
        for d, stored in enumerate(grid.stored_axes)
    ]
    return replace(grid, stored_axes=tuple(axes))


def _shortened(stored: StoredAxis, before: StoredAxis | None, n: int) -> StoredAxis:
    if before is not None and n <= len(before.axis):
        return before
    axis = stored.axis.take(slice(n))
    was_int = before is not None and (before.axis.kind, axis.kind) == ("int", "float")
    if before is not None and was_int and axis.is_int is not None and axis.is_int.all():
        ints = axis.values.astype(before.axis.values.dtype)
        return replace(before, axis=replace(before.axis, values=ints))
    return replace(stored, axis=axis)


def write_parents(blobs: Blobs, path: GridPath) -> None:
    """Write the documents of the groups above the grid, unless they are there and whole."""
    for key in path.parents:
        attributes = {"swarmgrid_format": FORMAT} if key.count("/") == 1 else {}
        data = checked_json.to_bytes(zarr_metadata.group_document(attributes))
        # one that is whole stays: others may be making other grids of the store
        if not zarr_metadata.is_group(blobs.get(key, checked_json.MAX_DOCUMENT)):
            blobs.put(key, data)


def write_documents(blobs: Blobs, grid: StoredGrid) -> None:
    """Write the metadata of the grid's arrays, and then of its group."""
    for name, document in grid.documents().items():
        blobs.put(grid.path.array_metadata(name), checked_json.to_bytes(document))
    blobs.put(grid.path.metadata, checked_json.to_bytes(grid.group_document()))


def copy_key(path: GridPath, key: str) -> str:
    """The key of the second copy of a coordinate's chunk, beside the manifest."""
    return f"{path.manifest}copy-{key.removeprefix(path.prefix).replace('/', '-')}"


def _put_twice(blobs: Blobs, path: GridPath, key: str, data: bytes) -> None:
    """Write a coordinate's chunk and its copy: without the axes, no value has a meaning."""
    # the copy first: a copy that is ahead of its chunk is a growth cut short, never damage (0011)
    blobs.put(copy_key(path, key), data)
    blobs.put(key, data)


def _coordinate_chunks(
    path: GridPath, stored: StoredAxis, done: int
) -> Iterator[tuple[str, bytes]]:
    """The coordinate's chunks from the one that holds value number ``done``: keys and bytes."""
    length, values, dtype = stored.coord_chunk, stored.axis.values, stored.bytes_dtype
    stop = max(1, -(-len(values) // length))
    for i in range(min(done // length, stop - 1), stop):
        part = values[i * length : (i + 1) * length]
        block = filled((length,), dtype)
        block[: len(part)] = part
        yield path.chunk(stored.axis.name, (i,), stored.separator), encoded(block, dtype)
