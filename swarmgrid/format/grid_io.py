"""Writes a grid's coordinates and metadata in an order that is safe; reads coordinates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import DamageError
from swarmgrid.format import zarr_metadata
from swarmgrid.format.codec import (
    checksum,
    decoded,
    encoded,
    filled,
    raw_nbytes,
    stored_limit,
)
from swarmgrid.format.letter_case import array_names, check_letter_case
from swarmgrid.store import checked_json
from swarmgrid.store.layout import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

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
    _write_arrays(blobs, grid)
    blobs.put(grid.path.metadata, checked_json.to_bytes(grid.group_document()))


def swap_documents(blobs: Blobs, grid: StoredGrid) -> None:
    """Write the metadata of the grid's group, and then of its arrays.

    For another layout, beside which the old one is whole: should the group's document be lost
    between the two, the arrays' own still describe the old layout.
    """
    blobs.put(grid.path.metadata, checked_json.to_bytes(grid.group_document()))
    _write_arrays(blobs, grid)


def _write_arrays(blobs: Blobs, grid: StoredGrid) -> None:
    for name, document in grid.documents().items():
        blobs.put(grid.path.array_metadata(name), checked_json.to_bytes(document))


def copy_key(path: GridPath, key: str) -> str:
    """The key of the second copy of a coordinate's chunk, beside the manifest."""
    return f"{path.manifest}copy-{key.removeprefix(path.prefix).replace('/', '-')}"


def write_axis(blobs: Blobs, path: GridPath, stored: StoredAxis) -> None:
    """Write all chunks of an axis, and their copies."""
    for key, data in _coordinate_chunks(path, stored, 0):
        _put_twice(blobs, path, key, data)


def axis_keys(path: GridPath, stored: StoredAxis) -> list[str]:
    """The keys of an axis' chunks and of their copies."""
    n = max(1, -(-len(stored.axis) // stored.coord_chunk))
    keys = [path.chunk(stored.axis.name, (i,), stored.separator) for i in range(n)]
    return [*keys, *(copy_key(path, key) for key in keys)]


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
    # the chunk that was not full is replaced by one that begins with the same values: a reader of
    # the old document looks at these only, and their checksum stays
    stop = max(1, -(-len(values) // length))
    for i in range(min(done // length, stop - 1), stop):
        part = values[i * length : (i + 1) * length]
        block = filled((length,), dtype)
        block[: len(part)] = part
        yield path.chunk(stored.axis.name, (i,), stored.separator), encoded(block, dtype)


@dataclass(frozen=True, slots=True)
class Columns:
    """The stored chunks of some coordinates of one chunk or, in one dimension, of several."""

    by_name: Mapping[str, Sequence[tuple[str, bytes | None]]]
    """By coordinate the keys and bytes of its chunks."""
    limit: int
    """The most bytes that any of them can have."""

    @classmethod
    def read(
        cls,
        blobs: Blobs,
        path: GridPath,
        documents: Mapping[str, checked_json.Document],
        names: Sequence[str],
    ) -> Columns:
        """Read the chunks of the coordinates of some names."""
        keys = {name: _column_keys(path, name, documents[name]) for name in names}
        limit = _limit(documents, names)
        found = iter(blobs.get_many([key for name in names for key in keys[name]], limit))
        return cls({name: [(key, next(found)) for key in keys[name]] for name in names}, limit)

    def are_still(self, blobs: Blobs) -> bool:
        """Whether the store has the same bytes now: they are read again."""
        parts = [part for name in self.by_name for part in self.by_name[name]]
        return blobs.get_many([key for key, _ in parts], self.limit) == [one for _, one in parts]

    @property
    def nbytes(self) -> int:
        """The number of bytes of all chunks."""
        return sum(len(data or b"") for parts in self.by_name.values() for _, data in parts)

    def values(self, documents: Mapping[str, checked_json.Document]) -> dict[str, NDArray[Any]]:
        """The values by coordinate, read-only; DamageError if they are not as they were written.

        Grids that are read again share them: see `swarmgrid.store.known`.
        """
        found = {name: _column(documents[name], parts) for name, parts in self.by_name.items()}
        for values in found.values():
            values.setflags(write=False)
        return found


def _limit(documents: Mapping[str, checked_json.Document], names: Sequence[str]) -> int:
    """The most bytes that a chunk of some coordinates is stored in."""
    shapes = [(documents[n]["data_type"], zarr_metadata.chunk_shape(documents[n])) for n in names]
    return max((stored_limit(raw_nbytes(dtype, shape)) for dtype, shape in shapes), default=0)


def _column_keys(path: GridPath, name: str, document: checked_json.Document) -> list[str]:
    shape, chunk = document["shape"], zarr_metadata.chunk_shape(document)
    count = -(-shape[0] // chunk[0]) if len(shape) == 1 else 1
    rest = (0,) * (len(shape) - 1)
    indices = [(i, *rest) for i in range(count) if 0 not in shape] if shape else [()]
    return [path.chunk(name, index, zarr_metadata.separator(document)) for index in indices]


def _column(
    document: checked_json.Document, parts: Sequence[tuple[str, bytes | None]]
) -> NDArray[Any]:
    shape, chunk = tuple(document["shape"]), zarr_metadata.chunk_shape(document)
    dtype = zarr_metadata.stored_output(document, 0).dtype
    sums = document["attributes"][zarr_metadata.CHECKSUMS]
    blocks = []
    for i, (key, data) in enumerate(parts):
        if data is None:
            raise DamageError(key, "it is missing")
        try:
            block = decoded(data, dtype, chunk)
        except ValueError as error:
            raise DamageError(key, str(error)) from None
        used = block[: shape[0] - i * chunk[0]] if len(shape) == 1 else block
        if checksum(used, dtype) != sums[i]:
            raise DamageError(
                key, "its values are not those that the grid has: it is another's, or older"
            )
        blocks.append(block)
    if not blocks:
        return filled(shape, dtype)
    if not shape:
        return blocks[0]
    return np.concatenate(blocks)[tuple(slice(n) for n in shape)]
