"""Lays a stored grid out anew: other chunks, shards, encodings, or the axes' values in order.

The new chunks have keys of the other of Zarr's two kinds, and the grid's document is replaced by
one write, as in a conversion: see decisions 0020 and 0031. Nothing is computed again.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import DamageError, InputError
from swarmgrid.format.chunk_io import (
    chunk_key,
    chunk_limit,
    empty_values,
    write_points,
)
from swarmgrid.format.chunk_parts import in_parts
from swarmgrid.format.codec import checksum
from swarmgrid.format.segment import Rows
from swarmgrid.maintenance.kept import keep
from swarmgrid.maintenance.layout_swap import LayoutChange, NewLayout, swap
from swarmgrid.maintenance.orphans import own_chunks
from swarmgrid.maintenance.repair import read_tidy
from swarmgrid.outputs.widening import inexact
from swarmgrid.records.checked_chunk import computed_chunk
from swarmgrid.records.snapshot import kept_chunk
from swarmgrid.space.points import Points
from swarmgrid.space.selection import AxisSelection, Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.layout import GridPath

MAX_NBYTES = 2**27
"""The memory of the values that are put together at once, if one chunk does not need more."""
MAX_ROWS = 32
"""Of a new chunk, if no more processes than that computed points of it."""


def rechunk_grid(
    held: Lease,
    path: GridPath,
    plan: Callable[[StoredGrid], NewLayout],
    settle: Callable[[StoredGrid, dict[str, NDArray[Any]]], StoredGrid],
) -> LayoutChange | None:
    """Lay a grid out anew; None if there is none.

    Parameters
    ----------
    held : Lease
        The right to write the grid.
    path : GridPath
        The grid.
    plan : callable
        The layout that a grid is to have; it is called under the lease.
    settle : callable
        Settles codecs that were left open, by the first values.

    Raises
    ------
    DamageError
        If what is stored is damaged; `repair` comes first then.
    """
    state = read_tidy(held, path)
    if state is None:
        return None
    layout = plan(state.grid)
    keep(held.blobs, state.grid)  # before `swap` deletes the old chunks
    writer = LayoutWriter(held, state, layout)
    rows = writer.write_all(settle)
    swap(held, state, replace(layout, grid=writer.grid), rows)
    return writer.change()


class LayoutWriter:
    """Writes the chunks of a new layout, region by region, and counts what it reads and writes.

    Parameters
    ----------
    held : Lease
        The right to write the grid.
    state : GridState
        The rows and values that it gets.
    layout : NewLayout
        The layout.
    is_past : bool
        Whether the state is a snapshot: its values may be in copies that were kept.
    """

    def __init__(
        self,
        held: Lease,
        state: GridState,
        layout: NewLayout,
        *,
        is_past: bool = False,
    ) -> None:
        self.grid = layout.grid
        self._held = held
        self._is_past = is_past
        self._old = state.grid
        self._manifest = state.manifest
        self._orders = layout.orders
        self._seen: dict[tuple[str, tuple[int, ...]], int] = {}
        self._written = [0, 0]

    def change(self) -> LayoutChange:
        """The numbers before and after."""
        before = len(self._seen), sum(self._seen.values())
        return LayoutChange(before[0], self._written[0], before[1], self._written[1])

    def write_all(
        self,
        settle: Callable[[StoredGrid, dict[str, NDArray[Any]]], StoredGrid] | None = None,
    ) -> Rows:
        """Write all chunks, and return their rows; after an error nothing of them is left."""
        # of a change that a kill cut short: chunks of its layout would be taken for those of this
        _drop_chunks(self._held, self.grid)
        try:
            return self._write(settle or (lambda grid, _: grid))
        except Exception:
            _drop_chunks(self._held, self.grid)
            raise

    def _write(self, settle: Callable[[StoredGrid, dict[str, NDArray[Any]]], StoredGrid]) -> Rows:
        n_outputs = len(self.grid.schema.outputs)
        parts: list[Rows] = []
        is_settled = not any(one.is_open for one in self.grid.schema.encodings.values())
        for start, stop in _regions(self.grid, self._old):
            region = self._gathered(start, stop)
            if region is None:
                continue
            # the first values decide, before any chunk is written
            if not is_settled:
                there = region.owner >= 0
                values = {name: block[there] for name, block in region.blocks.items()}
                self.grid, is_settled = settle(self.grid, values), True
            parts += self._write_region(start, stop, region)
        if not is_settled:
            self.grid = settle(self.grid, {})
        return Rows.concatenated(parts, len(self.grid.axes), n_outputs)

    def _gathered(self, start: tuple[int, ...], stop: tuple[int, ...]) -> _Region | None:
        """The values of a box of the new grid; None if nothing of it is computed."""
        old = self._old
        selection = Selection(
            tuple(
                AxisSelection(order[a:b], length)
                for order, a, b, length in zip(
                    self._orders, start, stop, old.chunk_shape, strict=True
                )
            )
        )
        todo = [
            (touched, selection.chunk_index(touched))
            for touched in selection.touched()
            if len(self._manifest.rows_of(selection.chunk_index(touched)))
        ]
        if not todo:
            return None
        shape = tuple(b - a for a, b in zip(start, stop, strict=True))
        region = _Region.empty(self.grid, shape)
        for touched, index in todo:
            self._note_rows(region, selection, touched, index)
        for name in old.schema.outputs:
            self._gather_output(region, selection, todo, name)
        return region if (region.owner >= 0).any() else None

    def _note_rows(
        self,
        region: _Region,
        selection: Selection,
        touched: tuple[int, ...],
        index: tuple[int, ...],
    ) -> None:
        """Note of each computed point which process computed it, when, and at what cost."""
        rows = self._manifest.rows
        place = np.ix_(*selection.request_block(touched)) or (...,)
        inside = selection.chunk_block(touched)
        for i in self._manifest.rows_of(index).tolist():
            points = rows.points(i)
            mask = points.mask(self._old.chunk_shape)[np.ix_(*inside)]
            for array, value in (
                (region.owner, int(rows.writer[i])),
                (region.time, int(rows.time[i])),
                (region.commit, int(rows.commit[i])),
                # a row has the sum: what each of its points took was not noted
                (region.seconds, float(rows.seconds[i]) / len(points)),
            ):
                array[place] = np.where(mask, value, array[place])

    def _gather_output(
        self,
        region: _Region,
        selection: Selection,
        todo: Sequence[tuple[tuple[int, ...], tuple[int, ...]]],
        name: str,
    ) -> None:
        """Read the old chunks of one output, and put their values into their new places."""
        old = self._old
        output = old.schema.outputs[name]

        def take_in(part: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> None:
            keys = [chunk_key(old, name, index) for _, index in part]
            read = self._held.blobs.get_many(keys, chunk_limit(old, name))
            for (touched, index), key, data in zip(part, keys, read, strict=True):
                # checked now: the new rows get checksums of what is read here, whatever that is
                block = self._block(name, index, key, data)
                self._seen[name, index] = len(data or b"")
                place = selection.index_in_request(touched) or (...,)
                is_there = region.owner[place] >= 0
                inside = block[selection.index_in_chunk(touched)]
                self._check_exact(name, inside[is_there])
                # `place` may be of index arrays, which give a copy: it has to be put back
                kept = region.blocks[name][place]
                kept[is_there] = inside[is_there]
                region.blocks[name][place] = kept

        size = int(np.prod(old.block_shape(output))) * output.memory_dtype.itemsize
        in_parts(todo, size, take_in)

    def _block(
        self, name: str, index: tuple[int, ...], key: str, data: bytes | None
    ) -> NDArray[Any]:
        """The values of an old chunk, of the bytes that were read or of a copy that was kept."""
        try:
            return computed_chunk(data, key, self._old, self._manifest, name, index)
        except DamageError:
            if not self._is_past:
                raise
            return kept_chunk(self._held.blobs, self._old, self._manifest, name, index)[0]

    def _check_exact(self, name: str, values: NDArray[Any]) -> None:
        """Raise InputError where an output that was converted since does not hold a value."""
        dtype = self.grid.schema.outputs[name].dtype
        if dtype != self._old.schema.outputs[name].dtype and inexact(values, dtype).any():
            raise InputError(
                f"output {name!r} had integers beyond 2**53, which are no exact {dtype}, as it is "
                "now. Nothing was changed"
            )

    def _write_region(
        self, start: tuple[int, ...], stop: tuple[int, ...], region: _Region
    ) -> Iterator[Rows]:
        """Write the new chunks of a region, and yield their rows."""
        lengths = self.grid.chunk_shape
        spans = [range(a // n, -(-b // n)) for a, b, n in zip(start, stop, lengths, strict=True)]
        for index in itertools.product(*spans):
            box: Any = tuple(
                slice(i * n - a, min((i + 1) * n, b) - a)
                for i, n, a, b in zip(index, lengths, start, stop, strict=True)
            )
            owner = np.full(lengths, -1, np.int64)
            within: Any = tuple(slice(s.stop - s.start) for s in box) or (...,)
            box = box or (...,)
            owner[within] = region.owner[box]
            if not (owner >= 0).any():
                continue
            block = {name: empty_values(self.grid, name) for name in self.grid.schema.outputs}
            for name, values in region.blocks.items():
                there = owner[within] >= 0
                part = block[name][within]
                part[there] = values[box][there]
                block[name][within] = part
            # before each: a successor may have begun to write the same keys for another layout
            self._held.check()
            yield from self._write_chunk(index, block, owner, region, box)

    def _write_chunk(
        self,
        index: tuple[int, ...],
        block: dict[str, NDArray[Any]],
        owner: NDArray[np.int64],
        region: _Region,
        box: Any,
    ) -> Iterator[Rows]:
        """Write one chunk of every output, and yield rows for the processes that filled it."""
        # written once; its row is then replaced by one for each process that computed a part
        everything = Points.from_mask(owner >= 0)
        row, written = write_points(self._held.blobs, self.grid, index, block, everything, 0.0)
        self._written[0] += len(block)
        self._written[1] += written
        inside = _groups(region.owner[box], region.time[box])
        n_axes, n_outputs = len(self.grid.axes), len(block)
        outputs = self.grid.schema.outputs
        within: Any = tuple(slice(n) for n in inside.shape) or (...,)
        for number in range(int(inside.max()) + 1):
            here = inside == number
            mask = np.zeros(self.grid.chunk_shape, bool)
            mask[within] = here
            sums = tuple(checksum(block[n][mask], o.dtype) for n, o in outputs.items())
            one = replace(
                row,
                points=Points.from_mask(mask),
                checksums=sums,
                seconds=float(region.seconds[box][here].sum(dtype=np.float64)),
                time=int(region.time[box][here].max()),
                commit=int(region.commit[box][here].max()),
            )
            made = Rows.from_rows([one], n_axes, n_outputs)
            writers = self._manifest.rows.writers
            yield made.written_by(writers[int(region.owner[box][here].max())])


def _groups(owner: NDArray[np.int64], time: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The number of the row that each point of a chunk gets; -1: it is not computed.

    A row for each process and time, as long as these are few: a reader checks every row. Else
    times are taken together, and the row has the latest of them.
    """
    there = owner >= 0
    # times are made coarser by a factor of two until the rows are few; at 32 bits all are one
    for bits in range(33):
        keys = owner * 2**32 + (time.astype(np.int64) >> bits)
        found = np.unique(keys[there])
        if len(found) <= MAX_ROWS or bits == 32:
            break
    return np.where(there, np.searchsorted(found, keys), -1)


@dataclass(frozen=True, slots=True)
class _Region:
    """The values of a box of the new grid, and where they come from."""

    blocks: dict[str, NDArray[Any]]
    owner: NDArray[np.int64]
    """The number of the process that computed a point; -1: it is not computed."""
    time: NDArray[np.uint32]
    commit: NDArray[np.uint64]
    """The number of the commit of each point."""
    seconds: NDArray[np.float32]

    @classmethod
    def empty(cls, grid: StoredGrid, shape: tuple[int, ...]) -> _Region:
        return cls(
            {
                name: np.zeros(shape + output.shape, output.memory_dtype)
                for name, output in grid.schema.outputs.items()
            },
            np.full(shape, -1, np.int64),
            np.zeros(shape, np.uint32),
            np.zeros(shape, np.uint64),
            np.zeros(shape, np.float32),
        )


def _regions(
    new: StoredGrid, old: StoredGrid
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Boxes of whole new chunks that cover the grid: where each begins and ends.

    As long along each axis as an old chunk is, as far as the memory goes: so most old chunks
    are read once.
    """
    point = 16 + sum(output.nbytes for output in new.schema.outputs.values())
    lengths = list(new.chunk_shape)
    for d in reversed(range(len(lengths))):
        needed = -(-old.chunk_shape[d] // new.chunk_shape[d])
        room = max(1, MAX_NBYTES // (point * int(np.prod(lengths, dtype=np.int64))))
        lengths[d] *= max(1, min(needed, room))
    sizes = [len(axis) for axis in new.axes]
    for index in np.ndindex(*(-(-n // c) for n, c in zip(sizes, lengths, strict=True))):
        start = tuple(i * c for i, c in zip(index, lengths, strict=True))
        ends = zip(start, lengths, sizes, strict=True)
        yield start, tuple(min(a + c, n) for a, c, n in ends)


def _drop_chunks(held: Lease, grid: StoredGrid) -> None:
    """Delete the chunks that a new layout has, which does not count yet."""
    for name in grid.schema.outputs:
        for key in own_chunks(held.blobs, grid, name):
            held.check()
            held.blobs.delete(key)
