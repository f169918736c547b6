"""Similarity search over an output: ``ds.swarmgrid.nearest(...)``."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import xarray as xr

from swarmgrid.errors import InputError, brief
from swarmgrid.search.hits import check_names, is_loaded, to_hits
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
    array, axes, own = vectors_of(ds, output, dim)
    shape, n = tuple(array.sizes[name] for name in axes), math.prod(array.sizes[d] for d in own)
    queries, is_one = to_queries(query, [array.sizes[d] for d in own], metric)
    check_metric(metric)
    check_k(k)
    check_names(ds)
    found = Nearest(queries, k, metric)
    for box, vectors in blocks(array, axes, n):
        found.add(vectors, box.numbers)
    positions = found.positions
    places = np.unravel_index(np.maximum(positions, 0), shape) if shape else ()
    at = [np.where(positions < 0, -1, one) for one in places]
    return to_hits(ds, axes, at, found.distances, is_one=is_one)


def check_metric(metric: object) -> None:
    """Raise InputError unless it is the name of a metric."""
    if metric not in get_args(Metric):
        raise InputError(f"metric is {brief(metric)}; expected one of {get_args(Metric)}")


def check_k(k: object) -> None:
    """Raise InputError unless it is a number of hits."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise InputError(f"k is {brief(k)}; expected a number of hits, 1 or more")


def vectors_of(
    ds: xr.Dataset, output: str, dim: Any = None
) -> tuple[xr.Variable, list[Any], list[str]]:
    """An output with its axes first, the axes, and the dims that make a vector."""
    array = _array(ds, output)
    own = _own_dims(ds, output, array, dim)
    axes = [name for name in array.dims if name not in own]
    ordered = (*axes, *own)
    return array if array.dims == ordered else array.transpose(*ordered), axes, own


def _array(ds: xr.Dataset, output: str) -> xr.Variable:
    if not isinstance(output, str) or output not in ds.data_vars:
        names = ", ".join(map(repr, ds.data_vars))
        raise InputError(f"there is no output {brief(output)}; expected one of {names}")
    array = ds.variables[output]  # a DataArray with its coordinates would take as long as hits do
    if array.dtype.kind not in "biuf":
        more = "; search the real and imaginary parts as two outputs"
        raise InputError(
            f"output {output!r} has the dtype {array.dtype}; expected real numbers"
            + (more if array.dtype.kind == "c" else "")
        )
    return array


def _own_dims(ds: xr.Dataset, output: str, array: xr.Variable, dim: Any) -> list[str]:
    """The dims that make a vector."""
    if dim is not None:
        own = [dim] if isinstance(dim, str) else list(dim)
        missing = [name for name in own if name not in array.dims]
        if missing or not own:
            raise InputError(f"dim is {brief(dim)}; expected dims of the output, of {array.dims}")
        return own
    others = [set(ds.variables[name].dims) for name in ds.data_vars if name != output]
    common = set(array.dims).intersection(*others) if others else set(array.dims[:-1])
    own = [str(name) for name in array.dims if name not in common]
    if len(own) == 0:
        own = [str(name) for name in array.dims[-1:]]
    if not own or len(own) == array.ndim:
        raise InputError(
            f"output {output!r} has the dims {array.dims}; say which of them make a vector, "
            f"dim={str(array.dims[-1]) if array.dims else 'x'!r}"
        )
    return own


def to_queries(query: Any, shape: list[int], metric: str) -> tuple[NDArray[np.float64], bool]:
    """The queries, ``(q, n)``, and whether there is only one that is no list."""
    try:
        values = np.asarray(query.values if isinstance(query, xr.DataArray) else query)
    except ValueError:  # vectors of several lengths
        values = np.empty(0, object)
    if values.dtype.kind not in "biuf":
        raise InputError(
            f"query is {brief(query)}; expected one vector of numbers, or several of one length"
        )
    asked = values.astype(np.float64)
    is_one = asked.ndim == len(shape)
    if list(asked.shape[-len(shape) :]) != shape or asked.ndim > len(shape) + 1:
        raise InputError(
            f"query has the shape {asked.shape}; expected {tuple(shape)}, or a list of such: "
            f"{('q', *shape)}"
        )
    asked = asked.reshape(1 if is_one else len(asked), math.prod(shape))
    if not np.isfinite(asked).all():
        raise InputError("query has values that are not finite; expected numbers")
    if metric == "cosine" and not asked.any(axis=1).all():
        raise InputError("query is a vector of zeros, which has no direction; pass another metric")
    return asked, is_one


def blocks(
    array: xr.Variable, axes: Sequence[Any], n: int
) -> Iterator[tuple[Box, NDArray[np.floating]]]:
    """The vectors, box by box: the box's place, and its vectors in C order, ``(m, n)``."""
    shape = tuple(array.sizes[name] for name in axes)
    lengths = _box_lengths(array, axes, n)
    values = array.values if is_loaded(array) else None
    steps = (range(0, size, length) for size, length in zip(shape, lengths, strict=True))
    for start in itertools.product(*steps):
        ends = map(sum, zip(start, lengths, strict=True))
        box = tuple(slice(a, min(b, c)) for a, b, c in zip(start, ends, shape, strict=True))
        if values is not None:
            part = values[box]
        else:
            part = array.isel(dict(zip(axes, box, strict=True))).values
        yield Box(start, part.shape[: len(axes)], shape), _vectors(part, n)


@dataclass(frozen=True, slots=True)
class Box:
    """The place of a box of points among all."""

    start: tuple[int, ...]
    """Its first point, along each axis."""
    extent: tuple[int, ...]
    shape: tuple[int, ...]
    """The lengths of the axes."""

    def numbers(self, within: NDArray[np.intp]) -> NDArray[np.int64]:
        """The numbers, among all points in C order, of some points of the box."""
        if not self.shape:
            return within.astype(np.int64)
        at = np.unravel_index(within, self.extent)
        places = tuple(one + first for one, first in zip(at, self.start, strict=True))
        return np.ravel_multi_index(places, self.shape).astype(np.int64)


def _box_lengths(array: xr.Variable, axes: Sequence[Any], n: int) -> list[int]:
    """The lengths of boxes of whole chunks: none is read twice, and few are in memory."""
    chunks = array.encoding.get("preferred_chunks", {})
    lengths = [max(1, min(array.sizes[name], chunks.get(name, 1))) for name in axes]
    for d in reversed(range(len(axes))):
        room = BLOCK_NBYTES // max(1, math.prod(lengths) * n * 8)
        lengths[d] = max(1, min(array.sizes[axes[d]], lengths[d] * max(1, room)))
    return lengths


def _vectors(values: NDArray[Any], n: int) -> NDArray[np.floating]:
    vectors = values.reshape(-1, n)
    if vectors.dtype not in (np.float32, np.float64):  # float16 would overflow in products
        vectors = vectors.astype(np.float32 if vectors.dtype == np.float16 else np.float64)
    return vectors
