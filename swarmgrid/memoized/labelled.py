"""xarray's objects: taken apart for a graph, made from a recording, and changed in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from swarmgrid.errors import InputError
from swarmgrid.memoized import recorded_arrays
from swarmgrid.memoized.object_records import Record, Step, array_record

if TYPE_CHECKING:
    from swarmgrid.memoized.recorded_arrays import RecordedArray
    from swarmgrid.store.location import Location

DATA, COORD = "data ", "coord "
"""The prefixes of the names of a Dataset's variables among its roots."""
ATTRS = "attrs"


class BlockArray(BackendArray):
    """A recorded array that xarray indexes lazily; every chunk that is read is checked.

    Parameters
    ----------
    location : Location
        The store.
    array : RecordedArray
        The array in that store.
    digest : str
        The digest of all its values.
    """

    def __init__(self, location: Location, array: RecordedArray, digest: str) -> None:
        self._location = location
        self._array = array
        self.shape = array.shape
        self.dtype = array.dtype
        self.digest = digest

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )

    def _read(self, key: tuple[Any, ...]) -> Any:
        chosen = [
            np.atleast_1d(np.arange(n, dtype=np.intp)[k])
            for k, n in zip(key, self.shape, strict=True)
        ]
        values = self._array.read(self._blobs, chosen)
        return values[tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in key)]

    @cached_property
    def _blobs(self) -> Any:
        return self._location.open()

    def __getstate__(self) -> Mapping[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_blobs"}


def lazy(location: Location, array: RecordedArray, digest: str) -> Any:
    """A recorded array as the data of a variable: read once, when used, and then writable."""
    data: Any = indexing.LazilyIndexedArray(BlockArray(location, array, digest))
    protected: Any = indexing.CopyOnWriteArray(data)
    return indexing.MemoryCachedArray(protected)  # type: ignore[no-untyped-call]


def _unread(data: Any) -> BlockArray | None:
    """The recorded array behind a variable's data, if that is all of it and untouched."""
    for cls in (indexing.MemoryCachedArray, indexing.CopyOnWriteArray):
        data = data.array if isinstance(data, cls) else data
    if isinstance(data, indexing.LazilyIndexedArray) and isinstance(data.array, BlockArray):
        is_whole = all(key == slice(None) for key in data.key.tuple)
        return data.array if is_whole else None
    return None


def to_record(value: Any, place: str) -> Record | None:
    """A DataArray, a variable or its data as a record of live values; None: it is neither."""
    if type(value) is xr.DataArray:
        _check_indexes(value, place)
        coords = value.coords.variables
        children: dict[Step, Any] = {"name": value.name, "variable": value.variable}
        return Record("dataarray", children={**children, **_prefixed(COORD, coords)})
    if isinstance(value, xr.Variable):
        meta = {"dims": [_name(dim, place) for dim in value.dims]}
        return Record("variable", meta, {"attrs": value.attrs, "data": _data(value)})
    is_dask = hasattr(value, "__dask_graph__") and hasattr(value, "dtype")
    if not isinstance(value, indexing.ExplicitlyIndexed) and not is_dask:
        return None
    if (backend := _unread(value)) is not None:
        dtype, shape = recorded_arrays.dtype_text(backend.dtype), list(backend.shape)
        return Record("array", {"dtype": dtype, "shape": shape, "digest": backend.digest})
    return array_record(np.asarray(value), place)


def build(record: Record, children: Mapping[Any, Any]) -> Any:
    """A new variable or DataArray."""
    if record.kind == "variable":
        return xr.Variable(record.meta["dims"], children["data"], children["attrs"])
    variable = children["variable"]
    coords = {n.removeprefix(COORD): v for n, v in children.items() if n.startswith(COORD)}
    return xr.DataArray(variable, coords, variable.dims, children["name"])


def child(value: Any, step: str, *, in_memory: bool) -> Any:
    """The child that a step of a path leads to; if asked, a variable's data as a numpy array."""
    if isinstance(value, xr.Variable):
        if in_memory and step == "data" and not isinstance(value, xr.IndexVariable):
            value.load()
        return {"attrs": value.attrs, "data": _data(value)}[step]
    if step.startswith(COORD):
        return value.coords.variables[step.removeprefix(COORD)]
    return {"name": value.name, "variable": value.variable}[step]


def change(live: Any, record: Record, children: Mapping[Any, Any]) -> Callable[[], None] | None:
    """A function that changes a variable or DataArray in place; None: its type is another."""
    if record.kind == "variable" and isinstance(live, xr.Variable):
        return partial(_change_variable, live, record, children)
    if record.kind == "dataarray" and type(live) is xr.DataArray:
        return partial(_change_data_array, live, children)
    return None


def _change_variable(live: Any, record: Record, children: Mapping[Any, Any]) -> None:
    if tuple(record.meta["dims"]) != live.dims:
        live.dims = record.meta["dims"]
    if children["data"] is not _data(live):
        live.data = children["data"]
    if children["attrs"] is not live.attrs:
        live.attrs = children["attrs"]


def _change_data_array(live: Any, children: Mapping[Any, Any]) -> None:
    live.name = children["name"]
    coords = {n.removeprefix(COORD): v for n, v in children.items() if n.startswith(COORD)}
    for name, variable in dict(live.coords.variables).items():
        if coords.get(name) is not variable:
            del live.coords[name]
    for name, variable in coords.items():
        if name not in live.coords:
            live.coords[name] = variable


def is_dataset(value: object) -> bool:
    """Whether a value is a Dataset."""
    return isinstance(value, xr.Dataset)


class DatasetTarget:
    """A Dataset as a state: its attributes, and its variables under prefixed names."""

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    kind = "Dataset"

    def held(self) -> Mapping[str, Any]:
        """The Dataset's attributes, and its variables in their order, by name."""
        dataset = self._dataset
        _check_indexes(dataset, "state")
        coords = dataset.coords
        return {ATTRS: dataset.attrs} | {
            (COORD if name in coords else DATA) + _name(name, "state"): variable
            for name, variable in dataset.variables.items()
        }

    live = held

    def replace(self, changed: Mapping[str, Any], removed: list[str], order: list[str]) -> None:
        """Put variables in place; without an order, new ones stand behind those that are kept."""
        dataset = self._dataset
        order = order or [*(name for name in self.held() if name not in removed), *changed]
        variables = {name: value for name, value in changed.items() if name != ATTRS}
        for name in map(_bare, (*removed, *variables)):
            if name in dataset.variables:
                del dataset[name]
        for name in sorted(variables):  # coordinates first: they say the sizes
            if name.startswith(COORD):
                dataset.coords[_bare(name)] = variables[name]
            else:
                dataset[_bare(name)] = variables[name]
        if ATTRS in changed:
            dataset.attrs = changed[ATTRS]
        _sort(dataset, [_bare(name) for name in order if name != ATTRS])


def _bare(root: str) -> str:
    """A variable's own name."""
    return root.removeprefix(COORD) if root.startswith(COORD) else root.removeprefix(DATA)


def _sort(dataset: Any, order: list[str]) -> None:
    """Put a Dataset's variables in order, in place: of the public ways, each makes another."""
    held = dataset._variables  # noqa: SLF001
    first = {name: held[name] for name in order if name in held}
    dataset._variables = first | held  # noqa: SLF001


def _prefixed(prefix: str, variables: Mapping[Any, Any]) -> dict[Any, Any]:
    return {prefix + _name(name, "state"): value for name, value in variables.items()}


def _name(name: Any, place: str) -> str:
    if type(name) is not str:
        raise InputError(f"{place} has a name or dim {name!r}; expected a string")
    return name


def _check_indexes(value: Any, place: str) -> None:
    for name, index in value.xindexes.items():
        if type(index) is not xr.indexes.PandasIndex:
            raise InputError(
                f"{place} has an index of the type {type(index).__name__} along {name!r}, which "
                "cannot be recorded; use reset_index first"
            )


def _data(variable: Any) -> Any:
    """A variable's own data, not a copy: lazy arrays included, which ``data`` would not give."""
    return variable._data  # noqa: SLF001
