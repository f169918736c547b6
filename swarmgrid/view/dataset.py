"""The result of a request: an ``xr.Dataset`` that reads chunks of the store when it is used."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing
from xarray.indexes import PandasIndex

from swarmgrid.errors import DamageError
from swarmgrid.format.chunk_io import chunk_limit
from swarmgrid.format.chunk_parts import in_parts
from swarmgrid.outputs.encoding import fill_value
from swarmgrid.outputs.outputs import STRING
from swarmgrid.records.checked_chunk import check_values
from swarmgrid.space.axis import MAX_EXACT
from swarmgrid.space.names import beside_axes
from swarmgrid.space.texts import to_text
from swarmgrid.threads import in_thread
from swarmgrid.view.near import NearChunks
from swarmgrid.view.reopening import grid_at_home, read_again

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.outputs.outputs import Schema
    from swarmgrid.planning.coverage import Coverage
    from swarmgrid.records.failures import FailedPoint
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.space.axis import Axis
    from swarmgrid.space.selection import Selection
    from swarmgrid.store.grid_ref import GridRef
    from swarmgrid.store.location import Location
    from swarmgrid.view.copies import FoundCopy
    from swarmgrid.view.layered import Under


def dataset(
    ref: GridRef,
    axes: tuple[Axis, ...],
    coverage: Coverage,
    manifest: Manifest,
    chunks: Any = None,
    *,
    is_past: bool = False,
    under: Under | None = None,
    keeps_dtypes: bool = False,
) -> xr.Dataset:
    """The part of a stored grid at some axes' values, in their order; nothing is read yet.

    ``under`` is the same grid in another store, whose points count where this one has none.
    ``is_past`` says that chunks may have been changed since by right, and then are read from the
    copies that were kept. ``keeps_dtypes`` says that the arrays have the dtypes that are stored,
    and blanks, zeros say, where a point is not computed.

    Points that are not computed, or that were not asked for, read as missing: NaN or NaT;
    integers and bools become floats and objects for that, as in xarray. Reading integers that
    lose digits by that gives a RuntimeWarning.
    """
    grid = coverage.grid
    names = tuple(axis.name for axis in axes)
    order = [grid.names.index(name) for name in names]
    variables = {}
    for name, output in grid.schema.outputs.items():
        array = GridArray(ref.location, manifest, name, coverage, order, is_past=is_past)
        if under is not None:
            array = under.beneath(array)
        if keeps_dtypes:
            array.keep_dtype()
        dims = (*names, *output.dims)
        data: Any = indexing.LazilyIndexedArray(array)
        if chunks is None:  # as xarray's own backends have it: read once, and free to be changed
            data = indexing.CopyOnWriteArray(data)
            data = indexing.MemoryCachedArray(data)  # type: ignore[no-untyped-call]
        # the chunks that open_dataset(..., chunks={}) makes: those of the stored objects
        encoding = array.encoding | {
            "preferred_chunks": dict(zip(dims, array.lengths, strict=True)),
            "own_dims": output.dims,  # for searches; what writes files leaves out unknown members
        }
        variables[name] = variable_of(dims, data, dict(output.attrs), encoding)
    attrs = {**grid.schema.attrs, **_texts(ref)}
    found = xr.Dataset(variables, coordinates(axes, grid.schema), attrs)
    found.encoding["source"] = ref.location.source(ref.path.group)
    if chunks is None:
        return found
    if isinstance(chunks, Mapping) and not chunks:
        lengths = dict(zip(grid.names, grid.chunk_shape, strict=True))
        chunks = {name: lengths[name] for name in names}
    chunked = found.chunk(chunks)
    chunked.encoding.update(found.encoding)
    return chunked


def empty_dataset(ref: GridRef, axes: tuple[Axis, ...], schema: Schema | None) -> xr.Dataset:
    """The Dataset of no points: coordinates, and outputs without values."""
    if schema is None:
        return xr.Dataset(coords=coordinates(axes, None), attrs=_texts(ref))
    variables = {
        name: xr.Variable(
            (*(axis.name for axis in axes), *output.dims),
            np.full(
                tuple(map(len, axes)) + output.shape,
                *missing_of(np.dtype(object) if output.dtype == STRING else output.memory_dtype),
            ),
        )
        for name, output in schema.outputs.items()
    }
    attrs = {**schema.attrs, **_texts(ref)}
    return xr.Dataset(variables, coordinates(axes, schema), attrs)


def _texts(ref: GridRef) -> dict[str, str]:
    """The attributes that any format of files can hold."""
    return {name: text for name, text in ref.attributes.items() if isinstance(text, str)}


def coordinates(axes: tuple[Axis, ...], schema: Schema | None) -> xr.Coordinates:
    """The coordinates of some axes and of the outputs' own dims.

    The indexes are made here: xarray, left to make them, would import dask to look at the values.
    """
    found: dict[str, tuple[tuple[str, ...], NDArray[Any], dict[str, Any]]] = {
        axis.name: ((axis.name,), axis.labels(), {}) for axis in axes
    }
    for name, coord in (schema.coords if schema is not None else {}).items():
        values = coord.values
        if values.dtype == object and values.size:
            values = to_text(values)
        if not values.flags.writeable:  # as stored; what a user gets may be changed in place
            values = values.copy()
        found[name] = (coord.dims, values, dict(coord.attrs))
    variables: dict[str, xr.Variable] = {}
    indexes: dict[str, PandasIndex] = {}
    for name, (dims, values, attrs) in found.items():
        variables[name] = variable_of(dims, values, attrs)
        if dims == (name,):
            labels = pd.Index(values, dtype=object if values.dtype == object else None)
            indexes[name] = PandasIndex(labels, name, coord_dtype=values.dtype)
            variables |= indexes[name].create_variables(variables)
    return xr.Coordinates(variables, indexes)


def variable_of(
    dims: tuple[str, ...], data: Any, attrs: dict[str, Any], encoding: dict[str, Any] | None = None
) -> xr.Variable:
    """A variable of data in its final form; letting xarray look at it would import dask."""
    return xr.Variable(dims, data, attrs, encoding, fastpath=True)


def failure_table(axes: tuple[str, ...], failures: list[FailedPoint]) -> pd.DataFrame:
    """A row for each failed point: its axis values, and what is known of the failure."""
    columns = beside_axes(("exception", "reason", "traceback", "attempt", "time"), axes)
    rows = [
        {**failure.point, **{column: getattr(failure, name) for name, column in columns.items()}}
        for failure in sorted(failures, key=lambda failure: failure.place)
    ]
    return pd.DataFrame(rows, columns=[*axes, *columns.values()])


class GridArray(NearChunks, BackendArray):
    """One output of a request, as an array that xarray indexes lazily.

    Only the chunks that an index touches are read; each is held against the checksums of the
    manifest, so that a damaged file is an error and never a value.

    Parameters
    ----------
    location, manifest : Location, Manifest
        The store, and what is computed there.
    name : str
        The output.
    coverage : Coverage
        The requested positions along the stored axes, and which points of these are computed.
    order : list of int
        The stored axes in the requested order.
    is_past : bool
        Whether the manifest is of a snapshot, or of an earlier time.
    """

    def __init__(
        self,
        location: Location,
        manifest: Manifest,
        name: str,
        coverage: Coverage,
        order: list[int],
        *,
        is_past: bool = False,
    ) -> None:
        grid = coverage.grid
        self._location = location
        self._grid = grid
        self._manifest = manifest
        self._name = name
        self._output = grid.schema.outputs[name]
        self._column = list(grid.schema.outputs).index(name)
        self._coverage = coverage
        self._has_missing = coverage.has_missing()
        self._order = order
        self._is_past = is_past
        self.shape = tuple(coverage.selection.shape[d] for d in order) + self._output.shape
        self.lengths = self._lengths(grid.chunk_shape)
        """The shape of the part of the array that one stored object has."""
        self.encoding: dict[str, Any] = {
            "chunks": self._lengths(grid.inner_shape or grid.chunk_shape)
        }
        """The attributes in which xarray, too, names an array's chunks and shards."""
        if grid.inner_shape is not None:
            self.encoding["shards"] = self.lengths
        # a past grid may have another layout: copies of the present one would be dropped
        if self.tiers is not None and not is_past:
            self.tiers.opened(grid)
        stored = self._output.memory_dtype
        self._blank, common = missing_of(stored)
        """The value of points that are not computed."""
        self.dtype = common if self._has_missing else stored

    def keep_dtype(self) -> None:
        """Have the dtype that is stored, and blanks where a point is not computed."""
        self.dtype = self._output.memory_dtype
        self._blank = np.zeros((), self.dtype)[()]

    def _lengths(self, along_axes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(along_axes[d] for d in self._order) + self._output.shape

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )

    async def async_getitem(self, key: indexing.ExplicitIndexer) -> Any:
        """Read in a thread, as ``Dataset.load_async`` asks."""
        return await in_thread(self.__getitem__, key)

    def _read(self, key: tuple[Any, ...]) -> Any:
        """The values at an outer index: per dim an int, a slice or an array of ints."""
        asked = self.request(key)
        values = self._gather(asked.selection, asked.present, asked.own_shape, asked.rest)
        self._note(asked.selection)
        return self.arranged(values, key)

    def _gather(
        self,
        selection: Selection,
        present: NDArray[np.bool_] | None,
        own_shape: tuple[int, ...],
        rest: tuple[Any, ...],
        into: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """The values of a selection, in the order of the stored axes.

        They are put into an array that has values for points that are not computed, if one is
        given.
        """
        shape = selection.shape + own_shape
        if into is not None:
            values = into
        elif present is None:
            values = np.empty(shape, self.dtype)
        else:
            values = np.full(shape, self._blank, self.dtype)
        todo = [
            touched
            for touched in selection.touched()
            if present is None or present[np.ix_(*selection.request_block(touched))].any()
        ]
        may_round = values.dtype == np.float64 and self._output.dtype in ("int64", "uint64")
        rounded: list[tuple[int, ...]] = []

        def take_in(part: Sequence[tuple[int, ...]]) -> None:
            # several threads do this at once: each fills its own part of the array, and appending
            # to a list is one step of the interpreter
            indices = [selection.chunk_index(touched) for touched in part]
            for touched, block in zip(part, self.blocks(indices), strict=True):
                inside = block[selection.index_in_chunk(touched)]
                inside = inside[(..., *rest)] if rest else inside
                at = selection.index_in_request(touched)
                if present is not None:
                    keep = present[np.ix_(*selection.request_block(touched))]
                    if may_round and _has_inexact(inside[keep]):
                        rounded.append(touched)
                    inside = np.where(
                        keep.reshape(keep.shape + (1,) * len(own_shape)),
                        inside.astype(values.dtype),  # as np.where would make a float of a bool
                        values[at],
                    )
                values[at] = inside

        chunk_nbytes = math.prod(self._grid.block_shape(self._output)) * values.dtype.itemsize
        in_parts(todo, chunk_nbytes, take_in)
        if rounded:
            warnings.warn(
                f"output {self._name!r} has integers that lose digits, because points are missing "
                "and all are read as float64 for that. Ask in another call for points that are "
                "all computed, or read the stored array with zarr",
                RuntimeWarning,
                stacklevel=2,
            )
        return values

    def _stored_blocks(self, indices: list[tuple[int, ...]]) -> Iterator[NDArray[Any]]:
        """Some chunks' values, checked."""
        keys = [self.key_of(index) for index in indices]
        for index, key, found in zip(indices, keys, self._found(keys), strict=True):
            try:
                block = self._checked(index, key, found)
            except DamageError as error:
                stored = self._grid, self._manifest, self._name, index
                if self._is_past:
                    from swarmgrid.records.snapshot import kept_chunk

                    block, _ = kept_chunk(self._blobs, *stored)
                else:
                    block = read_again(self._location, *stored, error)
            yield block

    def _at_home(self) -> StoredGrid:
        """The grid, which may have been thawed since it was opened."""
        if self._grid.archive is not None:
            self._grid = grid_at_home(self._blobs, self._grid)
        return self._grid

    def _checked(self, index: tuple[int, ...], key: str, found: FoundCopy) -> NDArray[Any]:
        """A chunk's values; where a copy does not hold what the rows say, those of home."""
        try:
            block = self._decoded(key, found)
            self._check(index, key, block)
        except DamageError:
            # a copy may be of before a repair or a conversion; only what home has is damage
            if found.is_home:
                raise
            if self._is_past and self._own_data(index) is None:
                raise  # the copy may be right for the present, which goes on reading it
            found = self._chunks.again(key, chunk_limit(self._grid, self._name))
            block = self._decoded(key, found)
            self._check(index, key, block)
        self._settle(found, block)
        return block

    def _own_data(self, index: tuple[int, ...]) -> bytes | None:
        from swarmgrid.records.snapshot import own_data

        return own_data(self._blobs, self._grid, self._manifest, self._name, index)

    def _check(self, index: tuple[int, ...], key: str, block: NDArray[Any]) -> None:
        check_values(self._grid, self._manifest, self._name, index, key, block)

    @functools.cached_property
    def _blobs(self) -> Any:
        return self._location.open()

    @functools.cached_property
    def _chunks(self) -> Any:
        if self.tiers is not None and not self._is_past:  # of a Dataset that travelled
            self.tiers.opened(self._grid, is_now=False)
        return self._location.open_chunks()

    def __getstate__(self) -> Mapping[str, Any]:
        # what is open does not travel: another process opens the store itself
        return {k: v for k, v in self.__dict__.items() if k not in {"_blobs", "_chunks"}}


def _has_inexact(integers: NDArray[Any]) -> bool:
    """Whether some of them are no exact float64."""
    large = integers[(integers > MAX_EXACT) | (integers < -MAX_EXACT)]
    return any(int(float(value)) != value for value in large.tolist())


def missing_of(dtype: np.dtype[Any]) -> tuple[Any, np.dtype[Any]]:
    """The missing value, and the dtype that values of ``dtype`` and it have in common.

    The promotion that xarray makes: small integers to float32, others to float64, bools to object.
    """
    if dtype.kind == "O":
        return np.nan, dtype
    if dtype.kind in "fc":
        return dtype.type(np.nan), dtype
    if dtype.kind in "mM":
        return fill_value(dtype.name), dtype
    if dtype.kind == "b":
        return np.nan, np.dtype(object)
    return np.nan, np.dtype("float32" if dtype.itemsize <= 2 else "float64")
