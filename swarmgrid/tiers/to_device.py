"""A Dataset whose outputs are arrays on a device; chunks that are there already do not move."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError
from swarmgrid.format.chunk_parts import READ_AT_ONCE, READ_NBYTES
from swarmgrid.tiers.device import checked_dtype, narrowed, opened
from swarmgrid.view.chunk_keys import array_behind, lazy_array

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import xarray as xr

    from swarmgrid.tiers.device import Device, DeviceTier
    from swarmgrid.view.dataset import GridArray

_KINDS = "biufc"
"""Kinds of dtypes that devices hold: bools, integers, real and complex numbers."""


def to_device(ds: xr.Dataset, device: str | Device | None = None, dtype: Any = None) -> xr.Dataset:
    """A Dataset with its outputs on a device; see ``Dataset.swarmgrid.to_device``."""
    precision = checked_dtype(dtype)
    wrong = [name for name, array in ds.data_vars.items() if array.dtype.kind not in _KINDS]
    if wrong:
        raise InputError(
            f"{wrong[0]!r} has dtype {ds[wrong[0]].dtype}, which no device holds; expected bools, "
            f"integers or floats. Leave it out: ds.drop_vars({wrong!r}). Bools with points that "
            "are not computed are objects: ask for points that all are"
        )
    lazy = {name: lazy_array(array.variable) for name, array in ds.data_vars.items()}
    tiers = {name: _tier_of(array.variable) for name, array in ds.data_vars.items()}
    own = next((tier for tier in tiers.values() if tier is not None), None)
    if device is None and own is not None:
        chosen = own.device
    else:
        chosen = opened("cuda" if device is None else device)
    with contextlib.suppress(MemoryError):  # cupy's error is one, too
        return ds.copy(deep=False, data=_moved(ds, lazy, tiers, chosen, precision))
    for tier in tiers.values():
        if tier is not None and tier.is_on(chosen):
            tier.clear()  # what it holds can come again
    try:
        return ds.copy(deep=False, data=_moved(ds, lazy, tiers, chosen, precision))
    except MemoryError as error:
        raise InputError(
            f"device {chosen.name!r} has no room for this Dataset ({error}); move a part of it, "
            "such as ds.isel(...), or take a dtype of fewer digits"
        ) from error


def _moved(
    ds: xr.Dataset,
    lazy: Mapping[Any, tuple[GridArray, tuple[Any, ...]] | None],
    tiers: Mapping[Any, DeviceTier | None],
    chosen: Device,
    precision: str | None,
) -> dict[Any, Any]:
    """The outputs of a Dataset as arrays on a device."""
    moved: dict[Any, Any] = {}
    with chosen.use():
        for name, array in ds.data_vars.items():
            tier, found = tiers[name], lazy[name]
            is_there = tier is not None and tier.is_on(chosen)
            to_dtype = (
                tier.dtype if precision is None and tier is not None and is_there else precision
            )
            if tier is not None and is_there and found is not None and found[0].is_as_stored:
                moved[name] = _assembled(*found, tier, to_dtype)
            else:
                # of a lazy one not by `values`, by which the Dataset would keep them in memory
                values = np.asarray(array.values if found is None else found[0].read(found[1]))
                on_host = narrowed(values, to_dtype)
                on_host.tell(lambda mask: mask, None, str(name), to_dtype)
                moved[name] = chosen.xp.asarray(on_host.values)
    return moved


def _tier_of(variable: xr.Variable) -> DeviceTier | None:
    """The device tier of the store that a variable is read from; None where there is none."""
    array = array_behind(variable)
    tiers = [] if array is None else [layer.tiers for layer in array.layers()]
    found = [tier.device for tier in tiers if tier is not None and tier.device is not None]
    return found[0] if found else None


def _assembled(
    array: GridArray, index: tuple[Any, ...], tier: DeviceTier, dtype: str | None
) -> Any:
    """The values at an outer index, put together on the device from chunks that it holds."""
    request = array.request(index)
    selection, present, xp = request.selection, request.present, tier.device.xp
    is_real = array.dtype.kind == "f"
    to_dtype = np.dtype(dtype) if dtype is not None and is_real else array.dtype
    values = xp.empty(selection.shape + request.own_shape, dtype=to_dtype)
    todo = [
        touched
        for touched in selection.touched()
        if present is None or present[np.ix_(*selection.request_block(touched))].any()
    ]
    n = max(1, min(READ_AT_ONCE, READ_NBYTES // max(1, array.chunk_nbytes)))
    for start in range(0, len(todo), n):
        part = todo[start : start + n]
        chunks = [selection.chunk_index(touched) for touched in part]
        blocks = array.tiers.on_device(array, chunks, dtype)
        for touched, block in zip(part, blocks, strict=True):
            pick = _picker(selection.index_in_chunk(touched), request.rest)
            asked = None if present is None else present[np.ix_(*selection.request_block(touched))]
            block.tell(pick, asked, array.name, to_dtype)
            values[selection.index_in_request(touched)] = pick(block.values)
    array.tiers.trim_if_due()
    if present is not None:
        keep = present.reshape(present.shape + (1,) * len(request.own_shape))
        values = xp.where(xp.asarray(keep), values, xp.asarray(to_dtype.type(np.nan)))
    return array.arranged(values, index)


def _picker(inside: Any, rest: tuple[Any, ...]) -> Callable[[Any], Any]:
    """A function that takes the requested part of a chunk, on the host or the device."""

    def pick(chunk: Any) -> Any:
        part = chunk[inside]
        return part[(..., *rest)] if rest else part

    return pick
