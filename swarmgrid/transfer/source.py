"""A stored grid as a part of another: its points on the axes of that one, its values checked."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from swarmgrid.errors import InputError
from swarmgrid.format.chunk_io import chunk_key, chunk_limit
from swarmgrid.format.chunk_parts import READ_AT_ONCE
from swarmgrid.format.codec import filled
from swarmgrid.records.checked_chunk import computed_chunk
from swarmgrid.space.selection import AxisSelection, Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from swarmgrid.format.chunk_io import Block
    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.space.axis import Axis
    from swarmgrid.store.blobs import Blobs

_KEPT_NBYTES = 2**27
"""About the most bytes of chunks that are kept for those of the target that need them, too."""
Index = tuple[int, ...]


@dataclass(frozen=True)
class Source:
    """A stored grid, and the axes of another that it is a part of."""

    blobs: Blobs
    state: GridState
    axes: tuple[Axis, ...]
    """The values that it has on every axis of the other: its own, or the one of a constant."""
    dims: tuple[int | None, ...]
    """For each of these the number of its own axis; None for a constant."""

    has_checksums: ClassVar[bool] = True
    """Whether its rows have the checksums of its values."""

    def reader(self) -> SourceReader:
        """A reader of its points."""
        return SourceReader(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the other grid's axes."""
        return tuple(axis.name for axis in self.axes)

    @property
    def own_names(self) -> dict[str, str]:
        """The names on the other grid of its own axes, by the names that these have."""
        names = self.state.grid.names
        pairs = zip(self.dims, self.names, strict=True)
        return {names[d]: name for d, name in pairs if d is not None}

    def chunk_lengths(self, lengths: Sequence[int]) -> tuple[int, ...]:
        """Lengths along its own axes as lengths along those of the other: 1 of a constant."""
        return tuple(1 if d is None else lengths[d] for d in self.dims)


def to_source(
    blobs: Blobs,
    state: GridState,
    *,
    order: Sequence[str] | None = None,
    renamed: Mapping[str, str] | None = None,
    constants: Sequence[Axis] = (),
) -> Source:
    """A stored grid as a part of another.

    Parameters
    ----------
    blobs, state : Blobs, GridState
        The grid, and its store.
    order : sequence of str, optional
        The other's axes. Default: the constants, then the grid's own.
    renamed : mapping, optional
        The new names of own axes.
    constants : sequence of Axis
        Axes of one value, which the grid does not have.

    Raises
    ------
    InputError
        If these are not the axes of the other grid.
    """
    renamed = renamed or {}
    own = [replace(axis, name=renamed.get(axis.name, axis.name)) for axis in state.grid.axes]
    found: dict[str, tuple[Axis, int | None]] = {axis.name: (axis, None) for axis in constants}
    found |= {axis.name: (axis, d) for d, axis in enumerate(own)}
    names = list(found) if order is None else list(order)
    if sorted(names) != sorted([axis.name for axis in (*constants, *own)]):
        raise InputError(
            f"the grid has the axes {sorted(names)}; {sorted(found)} were given: the old grid's "
            "own, under their new names, and its constants"
        )
    axes, dims = zip(*(found[name] for name in names), strict=True) if names else ((), ())
    return Source(blobs, state, axes, dims)


class SourceReader:
    """Reads the points of a source where those of the other grid's chunks are."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._grid = source.state.grid
        self._manifest = source.state.manifest
        self._blocks: OrderedDict[Index, Block] = OrderedDict()
        self._nbytes = 0

    def rows_at(self, places: Sequence[NDArray[np.intp]]) -> NDArray[np.int64]:
        """The numbers of the rows that hold points, -1 where a point is not computed.

        Parameters
        ----------
        places : sequence of array
            Places on every axis of the other grid: an array over these is returned.
        """
        selection = self._selection(places)
        found = np.full(selection.shape, -1, np.int64)
        for touched in selection.touched():
            index = selection.chunk_index(touched)
            numbers = self._manifest.rows_of(index)
            if len(numbers):
                along = selection.index_in_chunk(touched)
                found[selection.index_in_request(touched)] = self._numbers(numbers)[along]
        return self._on_other_axes(found)

    def chunks_at(self, places: Sequence[NDArray[np.intp]]) -> list[Index]:
        """The indices of the chunks that hold computed points of some places."""
        selection = self._selection(places)
        indices = map(selection.chunk_index, selection.touched())
        return [index for index in indices if len(self._manifest.rows_of(index))]

    def values_at(self, places: Sequence[NDArray[np.intp]]) -> Block:
        """The values of every output at some places, as `rows_at` has them.

        Raises
        ------
        DamageError
            If a value is not the one that was computed.
        """
        selection = self._selection(places)
        found = {
            name: filled(selection.shape + output.shape, output.dtype)
            for name, output in self._grid.schema.outputs.items()
        }
        for touched in selection.touched():
            index = selection.chunk_index(touched)
            if len(self._manifest.rows_of(index)):
                block = self._block(index)
                inside = selection.index_in_chunk(touched)
                for name, array in found.items():
                    array[selection.index_in_request(touched)] = block[name][inside]
        return {name: self._on_other_axes(array) for name, array in found.items()}

    def fetch(self, indices: Iterable[Index]) -> None:
        """Read some chunks, many at once, that are needed next."""
        missing = [index for index in dict.fromkeys(indices) if index not in self._blocks]
        nbytes = max(1, block_nbytes(self._grid))
        room = max(1, min(READ_AT_ONCE, _KEPT_NBYTES // nbytes))
        # no more than are kept: others are read when they are needed
        for index, block in read_blocks(
            self._source.blobs, self._grid, self._manifest, missing[:room]
        ):
            self._keep(index, block, nbytes)

    def _block(self, index: Index) -> Block:
        if index not in self._blocks:
            self.fetch([index])
        self._blocks.move_to_end(index)
        return self._blocks[index]

    def _keep(self, index: Index, block: Block, nbytes: int) -> None:
        self._blocks[index] = block
        while len(self._blocks) > 1 and len(self._blocks) * nbytes > _KEPT_NBYTES:
            self._blocks.popitem(last=False)

    def _numbers(self, numbers: NDArray[np.intp]) -> NDArray[np.int64]:
        """The numbers of one chunk's rows, an array of its shape; -1 where there is none."""
        shape = self._grid.chunk_shape
        if len(numbers) == 1 and bool(self._manifest.is_whole(shape)[numbers[0]]):
            return np.broadcast_to(np.int64(numbers[0]), shape)
        found = np.full(shape, -1, np.int64)
        for i in numbers.tolist():
            found[self._manifest.rows.points(i).mask(shape)] = i
        return found

    def _selection(self, places: Sequence[NDArray[np.intp]]) -> Selection:
        pairs = zip(self._source.dims, places, strict=True)
        own = {d: along for d, along in pairs if d is not None}
        lengths = self._grid.chunk_shape
        return Selection(tuple(AxisSelection(own[d], lengths[d]) for d in range(len(lengths))))

    def _on_other_axes(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array over the grid's own axes, and more, as one over those of the other grid."""
        dims = self._source.dims
        own = [d for d in dims if d is not None]
        turned = array.transpose([*own, *range(len(own), array.ndim)])
        return np.expand_dims(turned, [k for k, d in enumerate(dims) if d is None])


def block_nbytes(grid: StoredGrid) -> int:
    """The size of one chunk of every output in memory."""
    return sum(
        math.prod(grid.block_shape(output)) * output.memory_dtype.itemsize
        for output in grid.schema.outputs.values()
    )


def read_blocks(
    blobs: Blobs, grid: StoredGrid, manifest: Manifest, indices: Sequence[Index]
) -> list[tuple[Index, Block]]:
    """Some chunks of every output, held against the checksums of their rows.

    Raises
    ------
    DamageError
        If a value is not the one that was computed.
    """
    outputs = grid.schema.outputs
    keys = [chunk_key(grid, name, index) for index in indices for name in outputs]
    limit = max((chunk_limit(grid, name) for name in outputs), default=0)
    read = iter(zip(keys, blobs.get_many(keys, limit), strict=True))
    found = []
    for index in indices:
        block: Block = {}
        for name in outputs:
            key, data = next(read)
            block[name] = computed_chunk(data, key, grid, manifest, name, index)
        found.append((index, block))
    return found
