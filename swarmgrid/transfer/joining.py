"""Joins the points of one grid to another: what is new is written, what both have is compared.

The document comes before chunks, and chunks before rows: a kill leaves fewer points, and the same
call adds the rest.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError
from swarmgrid.format.chunk_io import empty_block, stored_as
from swarmgrid.format.chunk_parts import READ_AT_ONCE
from swarmgrid.outputs.labels import MisfitError
from swarmgrid.outputs.widening import inexact
from swarmgrid.transfer.source import read_blocks
from swarmgrid.transfer.writing import Writer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.format.chunk_io import Block
    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.transfer.fitting import Fit
    from swarmgrid.transfer.source import Source

MAX_LISTED = 100
"""The most conflicts that are listed; all are counted."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A point that two grids have computed, with other values."""

    __module__ = "swarmgrid"

    function: str
    """The function's name."""
    grid: str
    """The grid id, of the target."""
    point: dict[str, Any]
    """The axis values, by axis."""
    values: dict[str, tuple[Any, Any]]
    """By output that differs the value of the target, which it keeps, and that of the source."""

    def __str__(self) -> str:
        at = ", ".join(f"{name}={value!r}" for name, value in self.point.items())
        found = "; ".join(f"{n} is {a!s}, not {b!s}" for n, (a, b) in self.values.items())
        return f"{self.function}({at}): {found}"


@dataclass(slots=True)
class Joint:
    """The outcome of joining two grids, in numbers of points."""

    added: int = 0
    """Points that the target did not have."""
    alike: int = 0
    """Points that both have, with the same values."""
    conflicting: int = 0
    """Points that both have, with other values: the target keeps its own."""
    failures: int = 0
    """Records of failures that the target did not have."""
    nbytes: int = 0
    """Bytes that were written of chunks."""
    conflicts: list[Conflict] = field(default_factory=list)
    """The first of them."""


@dataclass(slots=True)
class _Chunk:
    """A chunk of the target, and the points that the source has of it."""

    index: tuple[int, ...]
    places: tuple[NDArray[np.intp], ...]
    """The places of its points in the source, an array for each axis."""
    inside: tuple[Any, ...]
    """The same points in the chunk."""
    rows: NDArray[np.int64]
    """Over these: the number of the source's row, -1 where there is none."""
    here: NDArray[np.bool_]
    """Over these: whether the target has the point."""

    @property
    def is_new(self) -> NDArray[np.bool_]:
        """Over these: whether the source has a point that the target does not have."""
        return (self.rows >= 0) & ~self.here


def join(
    source: Source,
    target: Blobs,
    there: GridState | None,
    fit: Fit,
    held: Lease | None,
    *,
    is_one_commit: bool = False,
) -> Joint:
    """Write what a source has more than a grid, and compare what both have.

    Parameters
    ----------
    source : Source
        The points to add.
    target : Blobs
        The store of the grid.
    there : GridState or None
        The grid as it is stored; None: it is not.
    fit : Fit
        The places of the points in it.
    held : Lease or None
        The right to write the grid; None: nothing is written, only counted.
    is_one_commit : bool
        Whether all points count from one instant on, or none.

    Raises
    ------
    DamageError
        If a value of either is damaged. What was added before is sound.
    InputError
        If a value of the source is no exact one of the target's dtype.
    """
    writer = None
    if held is not None:
        old = None if there is None else there.grid
        writer = Writer(held, fit.grid, old, is_one_commit=is_one_commit)
    return _Join(source, target if held is None else held.blobs, there, fit, writer).run()


class _Join:
    """One join."""

    def __init__(
        self,
        source: Source,
        target: Blobs,
        there: GridState | None,
        fit: Fit,
        writer: Writer | None,
    ) -> None:
        self._source = source
        self._reader = source.reader()
        self._target = target
        self._there = there
        self._fit = fit
        self._writer = writer
        self._found = Joint()
        self._dtypes = {name: o.dtype for name, o in fit.grid.schema.outputs.items()}
        own = source.state.grid.schema.outputs
        dims = [d for d in source.dims if d is not None]
        self._may_compare_sums = (
            source.has_checksums
            and dims == sorted(dims)
            and all(own[name].dtype == dtype for name, dtype in self._dtypes.items())
        )
        names = list(own)
        self._columns = [names.index(name) for name in self._dtypes]

    def run(self) -> Joint:
        chunks = self._chunks()
        while part := list(itertools.islice(chunks, READ_AT_ONCE)):
            if self._writer is not None:
                new = [c for c in part if c.is_new.any()]
                self._reader.fetch(i for c in new for i in self._reader.chunks_at(c.places))
            for chunk in part:
                self._take(chunk)
        if self._writer is not None:
            self._writer.close(self._source.state.manifest.rows)
            self._found.nbytes = self._writer.nbytes
        return self._found

    def _chunks(self) -> Iterator[_Chunk]:
        """The target's chunks of which the source has computed points."""
        selection = self._fit.selection
        for touched in selection.touched():
            places = selection.request_block(touched)
            rows = self._reader.rows_at(places)
            if (rows >= 0).any():
                index = selection.chunk_index(touched)
                inside = (*selection.index_in_chunk(touched), ...)  # arrays also without axes
                here = self._computed(index)[inside]
                yield _Chunk(index, places, inside, rows, here)

    def _computed(self, index: tuple[int, ...]) -> NDArray[np.bool_]:
        """The computed points of a chunk of the target."""
        shape = self._fit.grid.chunk_shape
        if self._there is None:
            return np.zeros(shape, bool)
        return self._there.manifest.computed_in(index, shape)

    def _take(self, chunk: _Chunk) -> None:
        both = (chunk.rows >= 0) & chunk.here
        theirs: Block | None = None
        if both.any():
            doubtful = both & ~self._is_same_by_sums(chunk, both)
            if doubtful.any():
                theirs = self._read_source(chunk)
                self._compare(chunk, doubtful, theirs)
            self._found.alike += int(both.sum())  # the conflicting ones are taken off there
        new = chunk.is_new
        self._found.added += int(new.sum())
        if self._writer is not None and new.any():
            theirs = self._read_source(chunk) if theirs is None else theirs
            block = self._read_target(chunk.index)
            for name, array in block.items():
                # `inside` may be of index arrays, which give a copy: it has to be put back
                part = array[chunk.inside]
                part[new] = theirs[name][new]
                array[chunk.inside] = part
            rows = np.full(self._fit.grid.chunk_shape, -1, np.int64)
            rows[chunk.inside] = np.where(new, chunk.rows, -1)
            try:
                self._writer.write(chunk.index, block, rows, self._source.state.manifest.rows)
            except MisfitError as error:
                raise InputError(
                    f"the encoding of the target cannot hold a value: {error}"
                ) from None

    def _is_other(
        self, name: str, ours: NDArray[Any], theirs: NDArray[Any], doubtful: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """The points with another value, and not with what the other's encoding makes of it."""
        other = _differ(ours, theirs, doubtful.ndim)
        pairs = ((self._fit.grid, theirs, ours), (self._source.state.grid, ours, theirs))
        for grid, values, expected in pairs:
            encoding = grid.schema.encodings.get(name)
            if encoding is None or not encoding.lossy or not (other & doubtful).any():
                continue
            like = np.where(_over(doubtful, values), values, expected)  # the rest is of no account
            try:
                other &= _differ(stored_as(grid, name, like), expected, doubtful.ndim)
            except MisfitError:  # a value that it cannot hold is another one
                continue
        return other

    def _read_source(self, chunk: _Chunk) -> Block:
        """The values of the source, of the target's dtypes."""
        found = self._reader.values_at(chunk.places)
        is_known = chunk.rows >= 0
        for name, dtype in self._dtypes.items():
            values = found[name]
            if self._source.state.grid.schema.outputs[name].dtype == dtype:
                continue
            if inexact(values[is_known], dtype).any():
                raise InputError(
                    f"output {name!r} has integers beyond 2**53, which are no exact {dtype}; the "
                    "target has that dtype"
                )
            found[name] = values.astype(dtype)
        return found

    def _read_target(self, index: tuple[int, ...]) -> Block:
        """A chunk of the target; the arrays are writable."""
        if self._there is None or not len(self._there.manifest.rows_of(index)):
            return empty_block(self._fit.grid)
        there = self._there
        ((_, block),) = read_blocks(self._target, there.grid, there.manifest, [index])
        return {name: array.copy() for name, array in block.items()}

    def _is_same_by_sums(self, chunk: _Chunk, both: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The points of rows that both grids have, with the same checksums."""
        same = np.zeros(chunk.rows.shape, bool)
        selection = self._fit.selection
        touched = selection.touched_of(chunk.index)
        assert touched is not None
        along = (axis.inside(i) for axis, i in zip(selection.axes, touched, strict=True))
        if not self._may_compare_sums or any((np.diff(one) < 0).any() for one in along):
            return same  # a checksum is of values in one order
        assert self._there is not None
        shape = self._fit.grid.chunk_shape
        rows, mine = self._source.state.manifest.rows, self._there.manifest
        sums = {
            mine.rows.points(i).mask(shape).tobytes(): mine.rows.checksums[i].tolist()
            for i in mine.rows_of(chunk.index).tolist()
        }
        for i in np.unique(chunk.rows[both]).tolist():
            mask = np.zeros(shape, bool)
            mask[chunk.inside] = chunk.rows == i
            is_whole = int(mask.sum()) == len(rows.points(i))
            found = rows.checksums[i][self._columns].tolist()
            if is_whole and sums.get(mask.tobytes()) == found:
                same |= chunk.rows == i
        return same

    def _compare(self, chunk: _Chunk, doubtful: NDArray[np.bool_], theirs: Block) -> None:
        """Compare the values of points that both grids have."""
        ours = {
            name: array[chunk.inside] for name, array in self._read_target(chunk.index).items()
        }
        differs = {
            name: doubtful & self._is_other(name, ours[name], theirs[name], doubtful)
            for name in ours
        }
        points = np.argwhere(np.logical_or.reduce(list(differs.values())))
        self._found.conflicting += len(points)
        self._found.alike -= len(points)
        path = self._fit.grid.path
        for at in map(tuple, points[: MAX_LISTED - len(self._found.conflicts)].tolist()):
            labels = {
                axis.name: axis.label(int(along[i]))
                for axis, along, i in zip(self._source.axes, chunk.places, at, strict=True)
            }
            values = {
                name: (_shown(ours[name][at]), _shown(theirs[name][at]))
                for name, differ in differs.items()
                if differ[at]
            }
            self._found.conflicts.append(Conflict(path.function, path.grid, labels, values))


def _differ(a: NDArray[Any], b: NDArray[Any], n_axes: int) -> NDArray[np.bool_]:
    """The points at which two blocks differ; a missing value is like another."""
    other: NDArray[np.bool_] = np.asarray(a != b, bool)
    if a.dtype.kind in "fcmM":
        other &= ~(np.isnan(a) & np.isnan(b))
    return np.asarray(other.any(axis=tuple(range(n_axes, other.ndim))))


def _over(points: NDArray[np.bool_], values: NDArray[Any]) -> NDArray[np.bool_]:
    """A mask of points, with dims of length 1 for those that the values have besides."""
    return points.reshape(points.shape + (1,) * (values.ndim - points.ndim))


def _shown(value: Any) -> Any:
    """A value of one point: an array, or a scalar, as Python has it if it can."""
    is_scalar = not isinstance(value, np.ndarray) or not value.ndim
    if not is_scalar:
        return value
    value = value[()] if isinstance(value, np.ndarray) else value
    return (
        value.item() if isinstance(value, np.generic) and value.dtype.kind not in "mM" else value
    )
