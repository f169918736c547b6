"""Dims and coordinates of results: matched by name, never by position, or refused."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from swarmgrid.outputs.outputs import Coord

_LABELLED = {"xarray": ("DataArray", "Dataset"), "pandas": ("Series", "DataFrame")}
_NAME_OF_DASK = re.compile(r".+-[0-9a-f]{32}")
"""The name that a DataArray gets from its dask array: another one at every point."""


class MisfitError(Exception):
    """A result that cannot be stored; the caller knows at which point."""


def labelled_kind(value: object) -> str | None:
    """The name of a value's labelled type, of xarray's or pandas'; None: it has none."""
    for library, names in _LABELLED.items():
        module = sys.modules.get(library)  # a value of its types exists only where it was imported
        for name in names if module is not None else ():
            if isinstance(value, getattr(module, name, ())):
                return name
    return None


def own_name(array: object) -> object:
    """The name of a DataArray; None: it has none, or one that dask has made up."""
    name = getattr(array, "name", None)
    return None if _NAME_OF_DASK.fullmatch(str(name)) else name


def in_order(
    name: str, array: NDArray[Any], dims: tuple[str, ...], expected: tuple[str, ...], lead: int = 0
) -> NDArray[Any]:
    """An array with its dims in the expected order, whatever order they came in.

    Parameters
    ----------
    name : str
        The output, for the error.
    array : array
        With ``lead`` dims that stay where they are, then ``dims``.
    dims, expected : tuple of str
        The names in the order that they have and are to have.
    lead : int
        The number of dims before the named ones.

    Raises
    ------
    MisfitError
        If a dim is missing, or one too many.
    """
    if dims == expected:
        return array
    if sorted(dims) != sorted(expected):
        raise MisfitError(
            f"output {name!r} has the dims {dims}; expected {expected}, in any order, at every "
            "point"
        )
    return array.transpose([*range(lead), *(lead + dims.index(dim) for dim in expected)])


def check_point(result: Any, names: Sequence[str], point: Sequence[Any]) -> None:
    """Raise MisfitError where a result says that it is of another point.

    A DataArray or Dataset may say so by a coordinate without dims that is named as an axis. The
    right value is left out, as the grid's own coordinate has it.
    """
    coords = getattr(result, "coords", None)
    if not isinstance(coords, Mapping):
        return
    for name, value in zip(names, point, strict=False):
        if not name or name not in coords or coords[name].ndim:
            continue
        said = coords[name].values
        expected = np.asarray(value)
        if said.dtype.kind == expected.dtype.kind == "f":
            expected = expected.astype(said.dtype)  # a float32 says as much as it can
        if not np.array_equal(said, expected):
            raise MisfitError(
                f"coordinate {name!r} is {said[()]!r} at the point {name}={value!r}; return a "
                "value that is not the axis' own as an output of another name"
            )


def axes_first(
    name: str, array: NDArray[Any], dims: tuple[str, ...], axes: tuple[str, ...]
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """A block's output with the axes before its own dims; and the names of those.

    Raises
    ------
    MisfitError
        If an axis is missing.
    """
    missing = [axis for axis in axes if axis not in dims]
    if missing:
        raise MisfitError(
            f"output {name!r} has the dims {dims}, without the axis {missing[0]!r}; expected all "
            f"of the block's axes {axes}, in any order, and then its own. Give it that dim, such "
            f"as by .expand_dims({missing[0]}={missing[0]}.ravel()), or return plain arrays of "
            "the block's shape"
        )
    own = tuple(dim for dim in dims if dim not in axes)
    return in_order(name, array, dims, axes + own), own


def own_coords(coords: Mapping[str, Coord], axes: Mapping[str, NDArray[Any]]) -> dict[str, Coord]:
    """Those coordinates of a block that do not just say where its points are.

    Raises
    ------
    MisfitError
        If one along an axis has other values than the block, or is none of the axes.
    """
    for name, coord in coords.items():
        if name in axes and coord.dims == (name,):
            if not is_equal(coord.values, axes[name]):
                raise MisfitError(
                    f"coordinate {name!r} is {coord.values!r}, but the block was called with "
                    f"{axes[name]!r}; return the values in that order, or without the coordinate "
                    f"if they are of that order: .drop_vars({name!r})"
                )
        elif axes.keys() & set(coord.dims):
            raise MisfitError(
                f"coordinate {name!r} has the dims {coord.dims}, of which some are axes; a "
                "coordinate is the same at every point. Return it as an output: "
                f".reset_coords({name!r})"
            )
    return {name: coord for name, coord in coords.items() if not axes.keys() & set(coord.dims)}


def check_coords(expected: Mapping[str, Coord], given: Mapping[str, Coord]) -> None:
    """Raise MisfitError where a coordinate differs from that of an earlier output or point."""
    for name in expected.keys() & given.keys():
        a, b = given[name], expected[name]
        values = a.values
        if sorted(a.dims) == sorted(b.dims):
            values = in_order(name, values, a.dims, b.dims)
        if sorted(a.dims) != sorted(b.dims) or not is_equal(values, b.values):
            raise MisfitError(
                f"coordinate {name!r} is not what it was at the first point, or in another "
                f"output: {_shown(a)}; expected {_shown(b)}. Return what differs as an output of "
                f"its own, without the coordinate: .drop_vars({name!r})"
            )


def is_equal(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays hold the same, with a missing value equal to another."""
    both = a.dtype.kind in "fcmM" and b.dtype.kind in "fcmM"
    return bool(np.array_equal(a, b, equal_nan=both))


def _shown(coord: Coord) -> str:
    return repr(coord.values) if coord.dims else str(coord.values)
