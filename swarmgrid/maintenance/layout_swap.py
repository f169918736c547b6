"""Makes another layout of a grid count: one write replaces the old one, whose objects then go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.format.grid_io import axis_keys, swap_documents, write_axis
from swarmgrid.maintenance.orphans import own_chunks
from swarmgrid.readable import count, nbytes
from swarmgrid.records import failures
from swarmgrid.records.manifest import write_segments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.format.segment import Rows
    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.records.manifest import Manifest

Orders = tuple["NDArray[np.intp]", ...]
"""By axis, the old positions of its values in their new order."""


@dataclass(frozen=True)
class NewLayout:
    """The grid as it is to be, and where its values stand now."""

    grid: StoredGrid
    orders: Orders


@dataclass(frozen=True, slots=True)
class LayoutChange:
    """The chunks of a grid before and after it was laid out anew; made by `Grid.rechunk`."""

    __module__ = "swarmgrid"

    chunks_before: int
    """Stored objects of values."""
    chunks_after: int
    bytes_before: int
    """Their bytes."""
    bytes_after: int

    def __repr__(self) -> str:
        """The numbers on one line."""
        if self.chunks_before == self.chunks_after and self.bytes_before == self.bytes_after:
            return f"LayoutChange({count(self.chunks_after)} chunks, {nbytes(self.bytes_after)})"
        part = self.bytes_after / self.bytes_before if self.bytes_before else 1.0
        return (
            f"LayoutChange({count(self.chunks_before)} chunks, {nbytes(self.bytes_before)} -> "
            f"{count(self.chunks_after)} chunks, {nbytes(self.bytes_after)}, {100 * part:.0f}%)"
        )


def moved(grid: StoredGrid) -> StoredGrid:
    """The grid with keys of its chunks that no reader of the old document uses."""
    v2_keys = frozenset(grid.schema.outputs) - grid.v2_keys
    return replace(grid, v2_keys=v2_keys, layout=grid.layout + 1)


def swap(held: Lease, state: GridState, layout: NewLayout, rows: Rows) -> None:
    """Make the new layout count: until its document is written, the old one does."""
    blobs, old, new = held.blobs, state.grid, layout.grid
    path = new.path
    pairs = zip(old.stored_axes, new.stored_axes, strict=True)
    moved = [(a, b) for a, b in pairs if a.separator != b.separator]
    # until the document is there, all of this is under keys that the old layout does not read, or
    # says that it is of the new one: a reader of the old layout passes it over
    for _, axis in moved:
        held.check()
        write_axis(blobs, path, axis)
    held.check()
    _write_failures(held, state, layout)
    if len(rows):
        write_segments(blobs, path, held.names_of("rechunked"), new, rows, held.new_commit)
    held.check()
    # from this write on readers take the new keys, and pass over what is of the old layout
    swap_documents(blobs, new)
    # a kill from here on leaves objects that no reader asks for; the next owner removes them
    gone = [path.manifest + n for n in (*state.manifest.sizes, *state.manifest.damaged)]
    gone += [path.manifest + name for name in state.failure_names]
    gone += [key for name in old.schema.outputs for key in own_chunks(blobs, old, name)]
    gone += [key for axis, _ in moved for key in axis_keys(path, axis)]
    for key in gone:
        held.check()
        blobs.delete(key)


def _write_failures(held: Lease, state: GridState, layout: NewLayout) -> None:
    """Write the failures of points again, at their new places."""
    # a failure says its place by chunk and offset, which mean another point in the new layout
    old, new = state.grid, layout.grid
    found = failures.read_failures(held.blobs, old.path, state.failure_names)
    moved = [
        one
        for failure in failures.within(found, old).values()
        for one in _moved(failure.encrypted_with(new.key_id), old, new, layout.orders)
    ]
    if moved:
        name = held.new_name(failures.suffix_of(new.layout))
        failures.write_failures(held.blobs, old.path, name, moved)


def _moved(
    failure: failures.FailedPoint, old: StoredGrid, new: StoredGrid, orders: Orders
) -> Iterator[failures.FailedPoint]:
    """A failure at its new place; one of a block as one of each of its points."""
    inverse = [np.argsort(order) for order in orders]
    for offset in failure.points.indices().tolist():
        starts = zip(failure.index, old.chunk_shape, offset, strict=True)
        before = [i * n + o for i, n, o in starts]
        if any(p >= len(along) for p, along in zip(before, inverse, strict=True)):
            continue  # of a value that the grid never got
        after = [int(along[p]) for p, along in zip(before, inverse, strict=True)]
        index = tuple(p // n for p, n in zip(after, new.chunk_shape, strict=True))
        inside = tuple(p % n for p, n in zip(after, new.chunk_shape, strict=True))
        yield replace(failure, index=index, offset=inside, extent=None, bits="")


def estimated_nbytes(manifest: Manifest) -> int:
    """The bytes of the chunks that the manifest knows: about what another layout needs, too."""
    rows = manifest.rows
    most: dict[tuple[int, ...], int] = {}
    for index, size in zip(
        map(tuple, rows.index.tolist()), rows.chunk_bytes.tolist(), strict=True
    ):
        most[index] = max(most.get(index, 0), size)
    return sum(most.values())
