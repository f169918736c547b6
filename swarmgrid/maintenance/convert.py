"""Converts an output of a stored grid to a wider dtype, without computing anything again.

The new chunks have keys of the other of Zarr's two kinds, and the grid's document is replaced by
one write: a reader with the old document reads the old chunks. See decision 0020.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError
from swarmgrid.format.chunk_io import (
    chunk_key,
    chunk_limit,
    empty_values,
    write_chunk,
)
from swarmgrid.format.chunk_parts import in_parts
from swarmgrid.format.codec import checksum
from swarmgrid.format.grid_io import write_documents
from swarmgrid.maintenance.kept import keep
from swarmgrid.maintenance.orphans import other_chunks
from swarmgrid.maintenance.repair import read_tidy
from swarmgrid.outputs.outputs import dtype_name
from swarmgrid.outputs.widening import inexact, is_wider
from swarmgrid.records.checked_chunk import computed_chunk
from swarmgrid.records.manifest import write_segments
from swarmgrid.space.points import union

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.format.segment import Rows
    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.store.layout import GridPath


def convert_output(held: Lease, path: GridPath, name: str, dtype: Any) -> bool:
    """Convert one output of a grid: whether there is such a grid.

    Raises
    ------
    InputError
        If the grid has no such output, or a value would change.
    DamageError
        If what is stored is damaged.
    """
    state = read_tidy(held, path)
    if state is None:
        return False
    old, manifest = state.grid, state.manifest
    new = converted(old, name, dtype)
    if new is not None:
        keep(held.blobs, old)
        # of a conversion that was cut short, perhaps to another dtype: they would be taken for
        # ours
        _drop_other_chunks(held, old, name)
        try:
            rows = _rewrite(held, old, new, manifest, name)
        except Exception:
            _drop_other_chunks(held, old, name)
            raise
        _replace(held, new, rows, manifest)
    return True


def converted(grid: StoredGrid, name: str, dtype: Any) -> StoredGrid | None:
    """The grid with one output of another dtype; None if it is of that already.

    Raises
    ------
    InputError
        If the grid has no such output, or the dtype is not a wider one.
    """
    outputs = grid.schema.outputs
    if name not in outputs:
        raise InputError(
            f"the grid has no output {name!r}; its outputs are {', '.join(map(repr, outputs))}"
        )
    output, needed = outputs[name], dtype_name(dtype)
    if needed == output.dtype:
        return None
    if not is_wider(needed, output.dtype):
        raise InputError(
            f"output {name!r} of {output.dtype} cannot be converted to {needed}; expected a dtype "
            "of numbers that holds all that it may hold: of ints a larger int, float64 or "
            "complex128, of floats a larger float or a complex one"
        )
    encoding = grid.schema.encodings.get(name)
    if encoding is not None and not replace(encoding, key_id="", array="").is_usual:
        raise InputError(
            f"output {name!r} has an encoding of its own, which may be none of {needed}; give it "
            f"the usual one first: Grid.rechunk(encoding={{{name!r}: {{}}}})"
        )
    schema = replace(grid.schema, outputs={**outputs, name: replace(output, dtype=needed)})
    return replace(grid, schema=schema, v2_keys=grid.v2_keys ^ {name})


def _rewrite(held: Lease, old: StoredGrid, new: StoredGrid, manifest: Manifest, name: str) -> Rows:
    """Write the converted chunks, and return their rows."""
    column = list(old.schema.outputs).index(name)
    before, after = old.schema.outputs[name], new.schema.outputs[name]
    checksums = manifest.rows.checksums.copy()

    def write_part(part: Sequence[tuple[tuple[int, ...], NDArray[np.intp]]]) -> None:
        held.check()
        keys = [chunk_key(old, name, index) for index, _ in part]
        read = held.blobs.get_many(keys, chunk_limit(old, name))
        for (index, numbers), key, data in zip(part, keys, read, strict=True):
            block = computed_chunk(data, key, old, manifest, name, index)
            parts = {i: manifest.rows.points(i) for i in numbers.tolist()}
            computed = union(parts.values(), old.chunk_shape)
            _check_exact(old, name, index, block, computed, after.dtype)
            # computed points only: the old fill value would be a number in the new dtype
            values = empty_values(new, name)
            values[computed] = block[computed]
            write_chunk(held.blobs, new, name, index, values)
            for i, points in parts.items():
                checksums[i, column] = checksum(points.of(values), after.dtype)

    nbytes = int(np.prod(old.block_shape(before))) * after.memory_dtype.itemsize
    in_parts(manifest.chunks(), nbytes, write_part)
    return replace(manifest.rows, checksums=checksums)


def _check_exact(
    grid: StoredGrid,
    name: str,
    index: tuple[int, ...],
    block: NDArray[Any],
    computed: NDArray[np.bool_],
    dtype: str,
) -> None:
    """Raise InputError where a computed value would not be the same in another dtype."""
    is_own = computed.reshape(computed.shape + (1,) * (block.ndim - computed.ndim))
    wrong = np.argwhere(inexact(block, dtype) & is_own)
    if not len(wrong):
        return
    first = tuple(wrong[0].tolist())
    point = ", ".join(
        f"{axis.name}={axis.label(i * n + at)!r}"
        for axis, i, n, at in zip(grid.axes, index, grid.chunk_shape, first, strict=False)
    )
    raise InputError(
        f"output {name!r} cannot be converted to {dtype}: its value {block[first].item()}"
        f"{f' at {point}' if point else ''} would not be the same. Nothing was changed. Integers "
        "beyond 2**53 are no exact floats: make a new grid with version=, or another store, that "
        "declares outputs="
    )


def _replace(held: Lease, new: StoredGrid, rows: Rows, manifest: Manifest) -> None:
    """Make the converted grid count: until its document is written, the old one does."""
    blobs, path = held.blobs, new.path
    held.check()
    # rows of both types are there for a while: a reader takes those that fit its document
    write_segments(blobs, path, held.names_of("converted"), new, rows, held.new_commit)
    held.check()
    write_documents(blobs, new)
    # last: until the document is replaced, these are the rows that count
    for old in (*manifest.sizes, *manifest.damaged):
        held.check()
        blobs.delete(path.manifest + old)


def _drop_other_chunks(held: Lease, grid: StoredGrid, name: str) -> None:
    """Delete the chunks of an output that the grid does not read."""
    for key in other_chunks(held.blobs, grid, name):
        held.check()
        held.blobs.delete(key)
