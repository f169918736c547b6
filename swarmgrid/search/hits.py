"""The hits of a search as a Dataset: their axis values, and their outputs, read when used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from swarmgrid.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


def to_hits(
    ds: xr.Dataset,
    axes: Sequence[Any],
    at: Sequence[NDArray[np.intp]],
    distances: NDArray[np.float64],
    *,
    is_one: bool,
) -> xr.Dataset:
    """The hits of one query, over ``hit``, or of several, over ``query`` and ``hit``.

    Parameters
    ----------
    ds : xr.Dataset
        The points that were searched.
    axes : sequence
        The dims that name a point.
    at : sequence of array
        By axis the positions of the hits, ``(q, k)``; -1 where there is none.
    distances : array
        ``(q, k)``.
    is_one : bool
        Whether there is only one query that is no list.
    """
    check_names([*ds.variables, *ds.dims])
    dims: tuple[str, ...] = ("hit",) if is_one else ("query", "hit")
    is_hit = np.isfinite(distances)
    if is_one:
        at, distances, is_hit = [one[0] for one in at], distances[0], is_hit[0]
    places = dict(zip(axes, at, strict=True))
    variables: dict[Any, Any] = {"distance": xr.Variable(dims, distances)}
    for name, variable in ds.variables.items():
        if places.keys().isdisjoint(variable.dims):
            variables[name] = variable
        else:
            variables[name] = _at_hits(variable, dims, places, is_hit)
    indexes = {  # of points there is none: one of several coordinates goes with all of them
        name: index
        for index, coords in ds.xindexes.group_by_index()
        if all(places.keys().isdisjoint(one.dims) for one in coords.values())
        for name in coords
    }
    # as coordinates first: half of the time, since nothing of this has to be aligned
    whole = xr.Coordinates(variables, indexes).to_dataset()
    found = whole.reset_coords([name for name in variables if name not in ds.coords])
    found.attrs = dict(ds.attrs)
    return found


def check_names(names: Iterable[Any]) -> None:
    """Raise InputError where variables or dims have names that hits need."""
    taken = sorted({"hit", "query", "distance"} & {*map(str, names)})
    if taken:
        raise InputError(
            f"there are variables or dims named {taken}, which hits have, too; rename them, and "
            "search the rest: ds.rename(...).swarmgrid.nearest(...)"
        )


def _at_hits(
    variable: xr.Variable,
    dims: tuple[str, ...],
    places: dict[Any, NDArray[np.intp]],
    is_hit: NDArray[np.bool_],
) -> xr.Variable:
    """One variable at the hits; where it is not loaded, it is read when it is used."""
    axes = [dim for dim in places if dim in variable.dims]
    own = [dim for dim in variable.dims if dim not in places]
    ordered = variable if variable.dims == (*axes, *own) else variable.transpose(*axes, *own)
    at = [places[dim] for dim in axes]
    data: Any
    if is_loaded(variable) and is_hit.all():
        data = _loaded_values(ordered, at)
    elif is_loaded(variable):
        data = _HitArray(ordered, at, is_hit).taken(at, is_hit)
    else:  # as xarray's own backends have it: read once, and free to be changed
        data = indexing.LazilyIndexedArray(_HitArray(ordered, at, is_hit))
        data = indexing.CopyOnWriteArray(data)
        data = indexing.MemoryCachedArray(data)  # type: ignore[no-untyped-call]
    return xr.Variable((*dims, *own), data, variable.attrs, fastpath=True)


def is_loaded(variable: xr.Variable) -> bool:
    """Whether the values of a variable are in memory."""
    data = variable._data  # noqa: SLF001  # no public way
    return isinstance(data, (np.ndarray, indexing.PandasIndexingAdapter))


class _HitArray(BackendArray):
    """A variable at some points, which are read chunk by chunk.

    Parameters
    ----------
    variable : xr.Variable
        The variable, its axes first.
    at : sequence of array
        The positions along each of its axes, all of one shape.
    is_hit : array of bool
        Whether there is a hit; of the same shape.
    """

    def __init__(
        self, variable: xr.Variable, at: Sequence[NDArray[np.intp]], is_hit: NDArray[np.bool_]
    ) -> None:
        self._variable = variable
        self._at = at
        self._is_hit = is_hit
        self.shape = is_hit.shape + variable.shape[len(at) :]
        self.dtype = variable.dtype if is_hit.all() else _with_missing(variable.dtype)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._read
        )

    def _read(self, key: tuple[Any, ...]) -> Any:
        lead, own = key[: self._is_hit.ndim], key[self._is_hit.ndim :]
        is_hit = np.asarray(self._is_hit[lead])
        found = self.taken([np.asarray(one[lead]) for one in self._at], is_hit)
        return found[(slice(None),) * is_hit.ndim + own]

    def taken(self, at: Sequence[NDArray[np.intp]], is_hit: NDArray[np.bool_]) -> NDArray[Any]:
        """The values at some points, missing ones where there is no hit."""
        values = self._values([one[is_hit] for one in at])
        if is_hit.all() and values.dtype == self.dtype:
            return values.reshape((*is_hit.shape, *values.shape[1:]))
        shape = (*is_hit.shape, *values.shape[1:])
        found = np.full(shape, _missing(self.dtype), self.dtype)
        found[is_hit] = values
        return found

    def _values(self, at: list[NDArray[np.intp]]) -> NDArray[Any]:
        """The values at ``m`` points, ``(m, *own)``."""
        variable = self._variable
        if is_loaded(variable):
            return _loaded_values(variable, at)
        found = np.empty((len(at[0]), *self.shape[self._is_hit.ndim :]), variable.dtype)
        chunks = variable.encoding.get("preferred_chunks", {})
        lengths = np.array([chunks.get(dim, 1) for dim in variable.dims[: len(at)]])
        points = np.stack(at, axis=1)
        _, group = np.unique(points // lengths, axis=0, return_inverse=True)
        for number in range(group.max(initial=-1) + 1):
            members = np.flatnonzero(group.reshape(-1) == number)
            part = points[members]
            low, high = part.min(axis=0), part.max(axis=0) + 1
            box = dict(zip(variable.dims, map(slice, low, high), strict=False))
            found[members] = variable.isel(box).values[tuple((part - low).T)]
        return found


def _loaded_values(variable: xr.Variable, at: list[NDArray[np.intp]]) -> NDArray[Any]:
    data: Any = variable._data  # noqa: SLF001  # no public way
    is_axis = isinstance(data, indexing.PandasIndexingAdapter) and not isinstance(
        data, indexing.PandasMultiIndexingAdapter
    )
    if is_axis and data.array.dtype != variable.dtype:
        # by ``values``, those of a whole axis of strings would be converted
        return np.asarray(data.array.take(at[0].reshape(-1)), variable.dtype).reshape(at[0].shape)
    return np.asarray(variable.values[tuple(at)])


def _with_missing(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of values of which some are missing."""
    if dtype.kind in "fcmM":
        return dtype
    return np.dtype("float64" if dtype.kind in "iu" else object)


def _missing(dtype: np.dtype[Any]) -> Any:
    """The value that stands for none."""
    if dtype.kind in "mM":
        return np.array("NaT", dtype)
    return np.nan if dtype.kind in "fc" else None
