"""Similarity search over an output: ``ds.swarmgrid.nearest(...)``."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import xarray as xr

from swarmgrid.errors import InputError, brief
from swarmgrid.search.ranking import Metric, Nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

BLOCK_NBYTES = 2**26
"""About so many bytes of vectors are in memory at once."""


def nearest(
    ds: xr.Dataset,
    output: str,
    query: Any,
    *,
    k: int = 5,
    metric: Metric = "cosine",
    dim: str | Sequence[str] | None = None,
) -> xr.Dataset:
    """The points whose vectors are nearest to a query; see `DatasetAccessor.nearest`."""
    array = _array(ds, output)
    own = _own_dims(ds, array, dim)
    axes = [name for name in array.dims if name not in own]
    array = array.transpose(*axes, *own)
    shape, n = tuple(array.sizes[name] for name in axes), math.prod(array.sizes[d] for d in own)
    queries, is_one = _queries(query, [array.sizes[d] for d in own], metric)
    if metric not in get_args(Metric):
        raise InputError(f"metric is {brief(metric)}; expected one of {get_args(Metric)}")
    if type(k) is not int or k < 1:
        raise InputError(f"k is {brief(k)}; expected a number of hits, 1 or more")
    found = Nearest(queries, k, metric)
    for start, block in _blocks(array, axes, n):
        found.add(block, start)
    return _hits(ds, axes, shape, found, is_one=is_one)


def _array(ds: xr.Dataset, output: str) -> xr.DataArray:
    if output not in ds.data_vars:
        names = ", ".join(map(repr, ds.data_vars))
        raise InputError(f"there is no output {brief(output)}; expected one of {names}")
    array = ds[output]
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"output {output!r} has the dtype {array.dtype}; expected real numbers. Of complex "
            "ones, search the real and imaginary parts as two outputs"
        )
    return array


def _own_dims(ds: xr.Dataset, array: xr.DataArray, dim: Any) -> list[str]:
    """The dims that make a vector."""
    if dim is not None:
        own = [dim] if isinstance(dim, str) else list(dim)
        missing = [name for name in own if name not in array.dims]
        if missing or not own:
            raise InputError(f"dim is {brief(dim)}; expected dims of the output, of {array.dims}")
        return own
    others = [set(ds[name].dims) for name in ds.data_vars if name != array.name]
    common = set(array.dims).intersection(*others) if others else set(array.dims[:-1])
    own = [str(name) for name in array.dims if name not in common]
    if len(own) == 0:
        own = [str(name) for name in array.dims[-1:]]
    if not own or len(own) == array.ndim:
        raise InputError(
            f"output {array.name!r} has the dims {array.dims}; say which of them make a vector, "
            f"dim={str(array.dims[-1]) if array.dims else 'x'!r}"
        )
    return own


def _queries(query: Any, shape: list[int], metric: str) -> tuple[NDArray[np.float64], bool]:
    """The queries, ``(q, n)``, and whether there is only one that is no list."""
    values = np.asarray(query.values if isinstance(query, xr.DataArray) else query)
    if values.dtype.kind not in "biuf":
        raise InputError(f"query is {brief(query)}; expected one vector of numbers, or several")
    asked = values.astype(np.float64)
    is_one = asked.ndim == len(shape)
    if list(asked.shape[-len(shape) :]) != shape or asked.ndim > len(shape) + 1:
        raise InputError(
            f"query has the shape {asked.shape}; expected {tuple(shape)}, or a list of such: "
            f"{('q', *shape)}"
        )
    asked = asked.reshape(1 if is_one else len(asked), -1)
    if not np.isfinite(asked).all():
        raise InputError("query has values that are not finite; expected numbers")
    if metric == "cosine" and not asked.any(axis=1).all():
        raise InputError("query is a vector of zeros, which has no direction; pass another metric")
    return asked, is_one


def _blocks(
    array: xr.DataArray, axes: Sequence[Any], n: int
) -> Iterator[tuple[int, NDArray[np.floating]]]:
    """The vectors in C order, block by block: the number of the first, and ``(m, n)``."""
    if not axes:
        yield 0, _vectors(array.values, n)
        return
    is_loaded = isinstance(array.variable._data, np.ndarray)  # noqa: SLF001  # no public way
    rest = math.prod(array.sizes[name] for name in axes[1:])
    step = max(1, BLOCK_NBYTES // max(1, rest * n * 8))
    chunks = array.encoding.get("chunks") or (1,)
    if chunks[0] < step:  # whole chunks: none is read twice
        step -= step % chunks[0]
    if is_loaded:
        step = max(step, 1)
    for start in range(0, array.sizes[axes[0]], step):
        part = array.isel({axes[0]: slice(start, start + step)})
        yield start * rest, _vectors(part.values, n)


def _vectors(values: NDArray[Any], n: int) -> NDArray[np.floating]:
    vectors = values.reshape(-1, n)
    if vectors.dtype not in (np.float32, np.float64):  # float16 would overflow in products
        vectors = vectors.astype(np.float32 if vectors.dtype == np.float16 else np.float64)
    return vectors


def _hits(
    ds: xr.Dataset, axes: Sequence[Any], shape: tuple[int, ...], found: Nearest, *, is_one: bool
) -> xr.Dataset:
    """The hits: their axis values and outputs, each read by itself."""
    positions, distances = found.positions, found.distances
    names = {n: name for n, name in (("hit", "hit"), ("query", "query")) if name in ds.variables}
    if names:
        raise InputError(f"the Dataset has variables named {sorted(names)}; rename them first")
    n_queries, width = positions.shape
    parts: dict[int, xr.Dataset] = {}
    for position in sorted({*positions[positions >= 0].tolist()}):
        at = np.unravel_index(position, shape) if shape else ()
        parts[position] = ds.isel({name: int(i) for name, i in zip(axes, at, strict=True)}).load()
    dims = ("hit",) if is_one else ("query", "hit")
    variables: dict[str, Any] = {"distance": (dims, distances[0] if is_one else distances)}
    sample = next(iter(parts.values()), None)
    if sample is None:
        return xr.Dataset(variables)
    places = list(itertools.product(range(n_queries), range(width)))
    for name, variable in sample.variables.items():
        if name in sample.dims or (name not in axes and set(ds[name].dims).isdisjoint(axes)):
            variables[str(name)] = variable
            continue
        stacked = _stacked(parts, str(name), [int(positions[place]) for place in places])
        whole = stacked.reshape(n_queries, width, *stacked.shape[1:])
        own = (*dims, *variable.dims)
        variables[str(name)] = (own, whole[0] if is_one else whole, variable.attrs)
    coords = [name for name in variables if name in ds.coords]
    hits = xr.Dataset(variables).set_coords(coords)
    return hits.assign_attrs(ds.attrs)


def _stacked(parts: dict[int, xr.Dataset], name: str, positions: list[int]) -> NDArray[Any]:
    """One variable at several points; NaN, NaT or None where there is no hit."""
    arrays = {p: np.asarray(part[name].values) for p, part in parts.items()}
    if -1 in positions:
        one = next(iter(arrays.values()))
        filler: Any = np.full_like(one, np.nan if one.dtype.kind == "f" else None, dtype=(
            one.dtype if one.dtype.kind in "fmM" else object))  # fmt: skip
        if one.dtype.kind in "mM":
            filler = np.full(one.shape, np.array("NaT", one.dtype))
        elif one.dtype.kind in "biu":
            filler = np.full(one.shape, np.nan)
        arrays[-1] = filler
    return np.stack([arrays[p] for p in positions])
