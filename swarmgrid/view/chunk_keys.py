"""The chunks that a lazy Dataset of swarmgrid would read, by their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError, brief
from swarmgrid.view.dataset import GridArray

if TYPE_CHECKING:
    import xarray as xr


def chunk_keys(ds: xr.Dataset | xr.DataArray) -> list[str]:
    """The keys of the chunks that a Dataset, or a part of one, reads when it is loaded.

    Raises
    ------
    InputError
        If none of its variables is a lazy one of swarmgrid.
    """
    keys = (layer.keys_at(index) for array, index in lazy_arrays(ds) for layer in array.layers())
    return list(dict.fromkeys(key for some in keys for key in some))


def lazy_arrays(ds: xr.Dataset | xr.DataArray) -> list[tuple[GridArray, tuple[Any, ...]]]:
    """The arrays of grids in a Dataset, or a part of one, and the outer index into each.

    Raises
    ------
    InputError
        If none of its variables is a lazy one of swarmgrid, as after `load`, or with dask's
        chunks.
    """
    if not hasattr(ds, "data_vars") and not hasattr(ds, "variable"):
        raise InputError(f"{brief(ds)} is no Dataset; expected one of swarmgrid, or a part of it")
    variables = ds.variables.values() if hasattr(ds, "data_vars") else [ds.variable]
    found = [_innermost(variable) for variable in variables]
    lazy = [(array, index) for array, index, _ in filter(None, found)]
    if not lazy:
        raise InputError(
            "this Dataset has no lazy variable of swarmgrid; expected what compute, open or "
            "Grid.dataset returns, or a part of it by sel or isel, not loaded, without view_chunks"
        )
    return lazy


def lazy_array(variable: xr.Variable) -> tuple[GridArray, tuple[Any, ...]] | None:
    """The array of a grid behind a variable, and the outer index into it; None if it is none."""
    found = _innermost(variable)
    return found[:2] if found is not None and found[2] else None


def array_behind(variable: xr.Variable) -> GridArray | None:
    """The array of a grid behind a variable, whatever part of it that is; None if it is none."""
    found = _innermost(variable)
    return None if found is None else found[0]


def _innermost(variable: xr.Variable) -> tuple[GridArray, tuple[Any, ...], bool] | None:
    """The array of a grid within xarray's wrappers, and the index, if that is one, or spans it.

    The last says whether the index is what the variable has, and not only spans it: points of
    several dims at once are within the outer index of all their places.
    """
    data: Any = variable._data  # noqa: SLF001  # there is no public way in
    index: tuple[Any, ...] | None = None
    is_outer = True
    while not isinstance(data, GridArray):
        if hasattr(data, "key") and hasattr(data.key, "tuple"):
            is_outer = index is None and type(data.key).__name__ != "VectorizedIndexer"
            index = data.key.tuple
        data = getattr(data, "array", None)
        if data is None:
            return None
    if index is None:
        return data, tuple(slice(None) for _ in data.shape), True
    if not is_outer:
        index = tuple(k if isinstance(k, slice) else np.unique(k) for k in index)
    return data, index, is_outer
