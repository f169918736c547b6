"""The values of a grid that may lie in two stores; see `swarmgrid.planning.layers`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from swarmgrid.format.grid import StoredAxis
from swarmgrid.format.growing import grown_axis
from swarmgrid.planning.layers import joint_axes
from swarmgrid.space.names import beside_axes
from swarmgrid.view.dataset import coordinates, dataset, variable_of
from swarmgrid.view.defaults import by_output, filled
from swarmgrid.view.layered import Under
from swarmgrid.view.selecting import Chosen, check_names, chosen
from swarmgrid.view.status import (
    COMPUTED,
    FAILED,
    MISSING,
    status_array,
    timings_dataset,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from swarmgrid.planning.layers import Layer
    from swarmgrid.records.failures import FailedPoint
    from swarmgrid.space.axis import Axis


def layered_dataset(
    layers: Sequence[Layer],
    axes: tuple[Axis, ...],
    chunks: Any = None,
    *,
    is_past: bool = False,
    keeps_dtypes: bool = False,
) -> xr.Dataset:
    """The values of a grid at some axes' values, lazily: each from the first layer that has it.

    ``is_past`` says that the layers are of an earlier time, or of a snapshot; ``keeps_dtypes`` as
    for `dataset`.
    """
    first, *rest = layers
    grid = first.state.grid
    ref = first.ref if first.ref.attributes else replace(first.ref, attributes=grid.attributes)
    unders = [
        Under(one.ref.location, one.coverage(axes), one.state.manifest, is_past) for one in rest
    ]
    under = unders[0] if unders else None
    manifest = first.state.manifest
    return dataset(
        ref,
        axes,
        first.coverage(axes),
        manifest,
        chunks,
        is_past=is_past,
        under=under,
        keeps_dtypes=keeps_dtypes,
    )


def joint_status(
    layers: Sequence[Layer], failures: Sequence[Iterable[FailedPoint]]
) -> xr.DataArray:
    """The status of every point: computed in a layer, failed in one, or missing in all."""
    arrays = [
        status_array(one.state.grid, one.state.manifest, failed)
        for one, failed in zip(layers, failures, strict=True)
    ]
    if len(layers) == 1:
        return arrays[0]
    axes = joint_axes(layers)
    found = np.full(tuple(map(len, axes)), MISSING, np.int8)
    for layer, array in zip(layers, arrays, strict=True):
        at = _places(layer, axes)
        status, before = array.transpose(*(axis.name for axis in axes)).values, found[at]
        is_new = (status != MISSING) & (before != COMPUTED)
        found[at] = np.where(is_new, np.where(status == COMPUTED, COMPUTED, FAILED), before)
    dims = [axis.name for axis in axes]
    return xr.DataArray(found, coordinates(axes, None), dims, arrays[0].name, arrays[0].attrs)


def joint_timings(layers: Sequence[Layer]) -> xr.Dataset:
    """The cost of every point, when it was computed and by which process, as `Grid.timings`."""
    parts = [timings_dataset(one.state.grid, one.state.manifest) for one in layers]
    if len(layers) == 1:
        return parts[0]
    axes, writers = joint_axes(layers), list[str]()
    dims, shape = [axis.name for axis in axes], tuple(map(len, axes))
    found = {
        "seconds": np.full(shape, np.nan, "f4"),
        "time": np.full(shape, "NaT", "M8[ns]"),
        "writer": np.full(shape, -1, "i4"),
    }
    called = beside_axes(found, dims)
    for layer, part in zip(layers, parts, strict=True):
        at, own = _places(layer, axes), part.transpose(*dims)
        is_new = (own[called["writer"]].values >= 0) & (found["writer"][at] < 0)
        for name, array in found.items():
            values = own[called[name]].values
            if name == "writer":
                values = values + len(writers)  # numbers in the list of both
            array[at] = np.where(is_new, values, array[at])
        writers += part.attrs["writers"]
    variables = {
        called[name]: (dims, array, parts[0][called[name]].attrs) for name, array in found.items()
    }
    return xr.Dataset(variables, coordinates(axes, None), {"writers": writers})


def _places(layer: Layer, axes: tuple[Axis, ...]) -> Any:
    """An index of the places that the values of a layer have on the axes of all layers."""
    own = {axis.name: axis for axis in layer.state.grid.axes}
    return np.ix_(*(grown_axis(StoredAxis(axis, 1, 1), own[axis.name])[1] for axis in axes))


def computed_at(layers: Sequence[Layer], selection: Mapping[str, Any]) -> xr.DataArray:
    """For each point that labels select a bool: it is computed. An axis with one label is no dim.

    Raises
    ------
    InputError
        If there is no such axis, or a label is of another kind than its values.
    """
    if not layers:
        return _none_computed(selection)
    axes = joint_axes(layers)
    picked = picked_of(axes, selection)
    found = np.zeros(tuple(len(one.places) for one in picked), bool)
    names = [axis.name for axis in axes]
    at = np.ix_(*(np.flatnonzero(one.places >= 0) for one in picked))
    places = {
        name: one.places[one.places >= 0].astype(np.intp)
        for name, one in zip(names, picked, strict=True)
    }
    for layer in layers:
        order = layer.state.grid.names  # each layer has its axes in an order of its own
        coverage = layer.coverage(axes, needs_key=False)
        computed = coverage.is_computed([places[name] for name in order])
        found[at] |= computed.transpose([order.index(name) for name in names])
    return _over(axes, picked, found)


def picked_of(axes: tuple[Axis, ...], selection: Mapping[str, Any]) -> list[Chosen]:
    """For each axis the values that labels select; all, if they name none."""
    check_names([axis.name for axis in axes], selection)
    return [
        chosen(axis, selection[axis.name], may_lack=True)
        if axis.name in selection
        else Chosen(np.arange(len(axis)), axis.labels(), is_scalar=False)
        for axis in axes
    ]


def values_at(
    layers: Sequence[Layer],
    selection: Mapping[str, Any],
    is_computed: NDArray[np.bool_],
    default: Any,
) -> xr.Dataset:
    """The values of the points that labels select, in memory.

    Parameters
    ----------
    layers : sequence of Layer
        The grid.
    selection : mapping
        By axis its labels.
    is_computed : array
        Over the axes with several labels: whether a point is computed.
    default : any
        The value of the others, or a mapping from outputs to values.
    """
    axes = joint_axes(layers)
    defaults = by_output(default, list(layers[0].state.grid.schema.outputs))
    picked = picked_of(axes, selection)
    there = [np.unique(one.places[one.places >= 0]).astype(np.intp) for one in picked]
    part = tuple(axis.take(along) for axis, along in zip(axes, there, strict=True))
    ds = layered_dataset(layers, part, keeps_dtypes=True).load()
    turned = [np.searchsorted(along, one.places) for along, one in zip(there, picked, strict=True)]
    is_scalar = tuple(one.is_scalar for one in picked)
    whole = is_computed.reshape([len(one.places) for one in picked])
    variables = {}
    for name, variable in ds.data_vars.items():
        values = variable.values
        shape = (*whole.shape, *values.shape[len(axes) :])
        if values.size:
            at = [np.minimum(t, n - 1) for t, n in zip(turned, values.shape, strict=False)]
            found = values[(*np.ix_(*at), ...)].reshape(shape)
        else:  # none of the labels is there, or none were given
            found = np.zeros(shape, values.dtype)
        if not whole.all():
            found = filled(str(name), found, whole, defaults[str(name)])
        kept = tuple(0 if one else slice(None) for one in is_scalar)
        dims = [d for d, one in zip(variable.dims, is_scalar, strict=False) if not one]
        variables[name] = variable_of(
            (*map(str, dims), *map(str, variable.dims[len(axes) :])),
            found[(*kept, ...)],
            variable.attrs,
        )
    rest = {n: c for n, c in ds.coords.items() if n not in {axis.name for axis in axes}}
    coords = _coords(axes, picked) | {str(n): (c.dims, c.values, c.attrs) for n, c in rest.items()}
    return xr.Dataset(variables, coords, ds.attrs)


def _over(axes: Iterable[Axis], picked: Sequence[Chosen], values: NDArray[Any]) -> xr.DataArray:
    pairs = list(zip(axes, picked, strict=True))
    values = values[tuple(0 if one.is_scalar else slice(None) for one in picked)]
    dims = [axis.name for axis, one in pairs if not one.is_scalar]
    name = beside_axes(["exists"], [axis.name for axis, _ in pairs])["exists"]
    return xr.DataArray(values, _coords(axes, picked), dims, name=name)


def _coords(axes: Iterable[Axis], picked: Sequence[Chosen]) -> dict[str, Any]:
    return {
        axis.name: one.labels[0] if one.is_scalar else ([axis.name], one.labels)
        for axis, one in zip(axes, picked, strict=True)
    }


def _none_computed(selection: Mapping[str, Any]) -> xr.DataArray:
    """The same of a grid that is not stored, of which not even the axes are known."""
    lists = {
        name: [] if isinstance(labels, slice) else labels
        for name, labels in selection.items()
        if isinstance(labels, slice) or np.ndim(labels)
    }
    shape = [len(labels) for labels in lists.values()]
    name = beside_axes(["exists"], selection)["exists"]
    return xr.DataArray(np.zeros(shape, bool), lists, list(lists), name=name)
