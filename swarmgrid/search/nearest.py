"""Similarity search over an output: ``ds.swarmgrid.nearest(...)``."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from swarmgrid.errors import InputError, brief
from swarmgrid.search.hits import check_names, is_loaded, to_hits
from swarmgrid.search.ranking import Metric, Nearest, check_metric

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

BLOCK_NBYTES = 2**26
"""About so many bytes of vectors are in memory at once."""
OWN_DIMS = "own_dims"
"""The name in an output's ``encoding`` of the dims that its grid says are its own."""
CLOSE = 1e-6
"""Coordinates of a query may be off by so much of the largest one, as those of files are..."""
OF_A_STEP = 0.01
"""... and by so much of the least step from one to another: else they may be of other places."""


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
    is_number = isinstance(query, (int, float)) or getattr(query, "ndim", None) == 0
    if dim is None and is_number and not _own_of(ds, output, _array(ds, output)):
        dim = ()  # of an output that has one number at each point
    array, axes, own = vectors_of(ds, output, dim)
    shape, n = tuple(array.sizes[name] for name in axes), math.prod(array.sizes[d] for d in own)
    check_metric(metric)
    try:
        queries, is_one = to_queries(query, ds, {name: array.sizes[name] for name in own}, metric)
    except InputError:
        if array.dtype == object:  # of texts no query could be used, which its error does not say
            next(blocks(array, axes, n), None)
        raise
    check_k(k)
    check_names([*ds.variables, *ds.dims])
    found = Nearest(queries, k, metric)
    for box, vectors in blocks(array, axes, n):
        found.add(vectors, box.numbers)
    positions = found.positions
    places = np.unravel_index(np.maximum(positions, 0), shape) if shape else ()
    at = [np.where(positions < 0, -1, one) for one in places]
    return to_hits(ds, axes, at, found.distances, is_one=is_one)


def check_k(k: object) -> None:
    """Raise InputError unless it is a number of hits."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise InputError(f"k is {brief(k)}; expected a number of hits, 1 or more")


def only_vectors(ds: xr.Dataset) -> str:
    """The only output of a Dataset that has a vector of numbers at each point."""
    found = [
        str(name)
        for name in ds.data_vars
        if ds.variables[name].dtype.kind in "biuf" and _own_of(ds, name, ds.variables[name])
    ]
    if len(found) != 1:
        raise InputError(f"say which output is meant; {_expected(found or ds.data_vars)}")
    return found[0]


def vectors_of(
    ds: xr.Dataset, output: str, dim: Any = None
) -> tuple[xr.Variable, list[Any], list[str]]:
    """An output with its axes first, the axes, and the dims that make a vector."""
    array = _array(ds, output)
    own = _own_dims(ds, output, array, dim)
    empty = [name for name in own if not array.sizes[name]]
    if empty:
        raise InputError(
            f"output {output!r} has vectors without numbers: the length of {empty[0]!r} is 0; "
            "select some of it, or name another dim, dim=..."
        )
    axes = [name for name in array.dims if name not in own]
    ordered = (*axes, *own)
    return array if array.dims == ordered else array.transpose(*ordered), axes, own


def _expected(names: Iterable[Any]) -> str:
    listed = ", ".join(map(repr, names))
    return f"expected one of {listed}" if listed else "the Dataset has no outputs"


def _array(ds: xr.Dataset, output: str) -> xr.Variable:
    if not isinstance(output, str) or output not in ds.data_vars:
        raise InputError(f"there is no output {brief(output)}; {_expected(ds.data_vars)}")
    array = ds.variables[output]  # a DataArray with its coordinates would take as long as hits do
    if array.dtype.kind not in "biufO":  # bools of which some are missing are objects
        more = "; search the real and imaginary parts as two outputs"
        raise InputError(
            f"output {output!r} has the dtype {array.dtype}; expected real numbers"
            + (more if array.dtype.kind == "c" else "")
        )
    return array


def _own_dims(ds: xr.Dataset, output: str, array: xr.Variable, dim: Any) -> list[str]:
    """The dims that make a vector."""
    if dim is not None:
        try:
            own = [dim] if isinstance(dim, str) else list(dim)
        except TypeError:
            own = [None]
        if [name for name in own if name not in array.dims] or len({*own}) < len(own):
            raise InputError(f"dim is {brief(dim)}; expected dims of the output, of {array.dims}")
        return own
    own = _own_of(ds, output, array) or [str(name) for name in array.dims[-1:]]
    if not own or (len(own) == array.ndim and OWN_DIMS not in array.encoding):
        raise InputError(
            f"output {output!r} has the dims {array.dims}; say which of them make a vector, "
            f"dim={str(array.dims[-1]) if array.dims else 'x'!r}, or dim=() to search its numbers"
        )
    return own


def _own_of(ds: xr.Dataset, output: Hashable, array: xr.Variable) -> list[str]:
    """The own dims of an output, as far as they are known; none: it is a number at each point."""
    # what the grid says: other variables tell less, since a user may add some, and drop some
    known = array.encoding.get(OWN_DIMS)
    if isinstance(known, tuple):
        return _own_now(ds, output, array, known)
    others = [set(ds.variables[name].dims) for name in ds.data_vars if name != output]
    common = set(array.dims).intersection(*others) if others else set(array.dims[:-1])
    return [str(name) for name in array.dims if name not in common]


def _own_now(
    ds: xr.Dataset, output: Hashable, array: xr.Variable, known: tuple[str, ...]
) -> list[str]:
    """The own dims of an output some of whose dims may have been renamed or selected away."""
    lost = [name for name in known if name not in array.dims]
    if not lost:
        return list(known)
    axes = {*array.encoding.get("preferred_chunks", ())} - {*known}
    new = [str(name) for name in array.dims if name not in axes and name not in known]
    selected = {name for name in axes if name in ds.coords and not ds.variables[name].ndim}
    if len(new) > len(lost) or (new and not axes - selected <= {*array.dims}):
        raise InputError(
            f"output {output!r} has the dims {array.dims}, and of its own ones, {known}, not "
            f"{lost}; say which dims make a vector, dim={new[0]!r}"
        )
    if len(new) < len(lost):
        return [str(name) for name in (array.dims if new else known) if name in array.dims
            and name not in axes]  # fmt: skip
    names = iter(new)  # in the order of the grid, however the output is transposed
    return [name if name in array.dims else next(names) for name in known]


def to_queries(
    query: Any, ds: xr.Dataset, own: Mapping[str, int], metric: str
) -> tuple[NDArray[np.float64], bool]:
    """The queries, ``(q, n)``, and whether there is only one that is no list.

    Parameters
    ----------
    query : array-like
        One vector, or several.
    ds : xr.Dataset
        The points: their coordinates are held against those of a query that has some.
    own : mapping
        The dims that make a vector, with their lengths.
    metric : str
        The metric.
    """
    shape = tuple(own.values())
    if isinstance(query, (xr.DataArray, xr.Variable)):
        query = _arranged(query, ds, own)
    try:
        values = np.asarray(query)
    except (ValueError, TypeError):  # vectors of several lengths; what is no array at all
        values = np.empty(0, object)
    if values.dtype.kind not in "biuf":
        raise InputError(
            f"query is {brief(query)}; expected one vector of numbers, or several of one length"
        )
    asked = values.astype(np.float64)
    is_one = asked.ndim == len(shape)
    if asked.ndim not in {len(shape), len(shape) + 1} or asked.shape[-len(shape) or 1 :] != shape:
        raise InputError(
            f"query has the shape {asked.shape}; expected {shape}, or a list of such: "
            f"{('q', *shape)}. dim= says which dims make a vector; dim=() searches single numbers"
        )
    asked = asked.reshape(1 if is_one else len(asked), math.prod(shape))
    if not np.isfinite(asked).all() or np.ma.is_masked(query):
        raise InputError("query has values that are missing or not finite; expected numbers")
    if metric == "cosine" and not shape:
        raise InputError(
            "single numbers have no direction, by which metric='cosine' goes; pass "
            "metric='euclidean'"
        )
    if metric == "cosine" and not asked.any(axis=1).all():
        raise InputError("query is a vector of zeros, which has no direction; pass another metric")
    return asked, is_one


def _arranged(
    query: xr.DataArray | xr.Variable, ds: xr.Dataset, own: Mapping[str, int]
) -> NDArray[Any]:
    """The values of a query that has dims: by their names, if it has those of the vectors."""
    if {*own}.isdisjoint(query.dims):
        return np.asarray(query.values)
    if not {*own} <= {*query.dims}:
        raise InputError(f"query has the dims {query.dims}; expected {tuple(own)}")
    for name in own:
        if isinstance(query, xr.DataArray) and name in query.coords and name in ds.coords:
            _check_coordinate(name, query.coords[name].values, ds.coords[name].values)
    others = [name for name in query.dims if name not in own]
    return np.asarray(query.transpose(*others, *own).values)


def _check_coordinate(name: str, asked: NDArray[Any], there: NDArray[Any]) -> None:
    """Raise InputError where the values of a query and of an output are of other places."""
    if asked.shape != there.shape:
        return  # the shape is told
    if not _are_same(asked, there):
        raise InputError(
            f"query has other values of the coordinate {name!r} than the output: "
            f"{brief(asked.tolist())}, and not {brief(there.tolist())}. Bring it there, "
            f"query.interp({name}=ds[{name!r}]), or pass query.values, which have no coordinates"
        )


def _are_same(asked: NDArray[Any], there: NDArray[Any]) -> bool:
    """Whether two coordinates of one length are the same; floats may be so with fewer digits."""
    kinds = {asked.dtype.kind, there.dtype.kind}
    if "f" in kinds and kinds <= {*"iuf"}:
        asked, there = asked.astype(np.float64), there.astype(np.float64)
        finite = np.unique(there[np.isfinite(there)])
        error = CLOSE * np.abs(finite).max(initial=0)
        if len(finite) > 1:
            error = min(error, OF_A_STEP * np.diff(finite).min())
        return np.allclose(asked, there, rtol=0, atol=error, equal_nan=True)
    try:
        is_same = asked == there
    except (TypeError, ValueError):  # by the values' own methods
        return False
    if kinds <= {*"mM"}:
        is_same |= np.isnat(asked) & np.isnat(there)
    return bool(np.all(is_same))


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
        if part.dtype == object:
            part = _numbers(part)
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


def _numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    """Objects as numbers; InputError if they are texts or anything else."""
    kinds = {*map(type, values.ravel().tolist())}
    if not kinds <= {bool, int, float, type(None)}:
        wrong = sorted(kind.__name__ for kind in kinds - {bool, int, float, type(None)})
        raise InputError(f"the output has values of the type {wrong[0]}; expected real numbers")
    return values.astype(np.float64)


def _vectors(values: NDArray[Any], n: int) -> NDArray[np.floating]:
    vectors = values.reshape(-1, n)
    if vectors.dtype not in (np.float32, np.float64):  # float16 would overflow in products
        vectors = vectors.astype(np.float32 if vectors.dtype == np.float16 else np.float64)
    return vectors
