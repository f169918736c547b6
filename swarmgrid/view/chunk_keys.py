"""The chunks that a lazy Dataset of swarmgrid would read, by their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError
from swarmgrid.view.dataset import GridArray

if TYPE_CHECKING:
    import xarray as xr


def chunk_keys(ds: xr.Dataset) -> list[str]:
    """The keys of the chunks that a Dataset, or a part of one, reads when it is loaded.

    Raises
    ------
    InputError
        If none of its variables is a lazy one of swarmgrid, as after `load`, or with dask's
        chunks.
    """
    keys: dict[str, None] = {}
    is_ours = False
    for variable in ds.variables.values():
        found = _innermost(variable._data)  # noqa: SLF001  # there is no public way in
        if found is not None:
            is_ours = True
            array, index = found
            keys.update(dict.fromkeys(array.keys_at(index)))
    if not is_ours:
        raise InputError(
            "this Dataset has no lazy variable of swarmgrid; expected what compute, open or "
            "Grid.dataset returns, or a part of it by sel or isel, not loaded, without view_chunks"
        )
    return list(keys)


def _innermost(data: Any) -> tuple[GridArray, tuple[Any, ...]] | None:
    """The array of a grid within xarray's wrappers, and the index into it."""
    index: tuple[Any, ...] | None = None
    while not isinstance(data, GridArray):
        if hasattr(data, "key") and hasattr(data.key, "tuple"):
            index = data.key.tuple
        data = getattr(data, "array", None)
        if data is None:
            return None
    return data, index if index is not None else tuple(slice(None) for _ in data.shape)
