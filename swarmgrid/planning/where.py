"""The requested points: those for which a condition holds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError, SignatureError, brief
from swarmgrid.planning.signature import check_signature

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.space.axis import Axis


def requested_points(
    where: object, axes: tuple[Axis, ...], params: Mapping[str, Any]
) -> NDArray[np.bool_] | None:
    """The points asked for, an array over the axes; None: all.

    Parameters
    ----------
    where : callable or xr.DataArray or None
        A function of some of the axes and params that returns a bool, or an array over some of
        the axes.
    axes : tuple of Axis
        The axes of the request.
    params : mapping
        The fixed values.

    Raises
    ------
    InputError
        If it is neither, or does not say something of every point.
    """
    if where is None:
        return None
    if hasattr(where, "dims") and hasattr(where, "dtype"):
        return _from_data_array(where, axes)
    if not callable(where):
        raise InputError(
            f"where is {brief(where)}; expected a function of the axes that returns a bool, or a "
            "boolean xr.DataArray over some of them"
        )
    return _from_condition(where, axes, params)


def _from_condition(
    where: Callable[..., Any], axes: tuple[Axis, ...], params: Mapping[str, Any]
) -> NDArray[np.bool_]:
    """The condition at every point, called with those of the axes and params that it names."""
    try:
        accepted = inspect.signature(where).parameters
    except (TypeError, ValueError):
        raise InputError(
            f"where is {brief(where)}, which does not say what its parameters are; wrap it in a "
            "function of the axes"
        ) from None
    takes_all = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    fixed = {name: value for name, value in params.items() if takes_all or name in accepted}
    used = [axis for axis in axes if takes_all or axis.name in accepted]
    try:
        check_signature(where, fixed, [axis.name for axis in used], None)
    except SignatureError as error:
        raise InputError(f"where cannot be called: {error}") from None
    columns = [
        axis.arguments() if axis.objects is None else [axis.objects[v] for v in axis.values]
        for axis in used
    ]
    over_used = np.empty(tuple(map(len, columns)), bool)
    for index in np.ndindex(over_used.shape):
        point = {
            axis.name: columns[d][i] for d, (axis, i) in enumerate(zip(used, index, strict=True))
        }
        try:
            answer = where(**fixed, **point)
        except Exception as error:
            raise _failed(where, error, used, index) from error
        over_used[index] = _answer(answer, point)
    shape = [len(axis) if axis in used else 1 for axis in axes]
    full = tuple(len(axis) for axis in axes)
    return np.ascontiguousarray(np.broadcast_to(over_used.reshape(shape), full))


def _failed(
    where: Callable[..., Any], error: Exception, axes: list[Axis], index: tuple[int, ...]
) -> InputError:
    """The error that a condition raised one, at the labels of a point."""
    name = getattr(where, "__qualname__", type(where).__qualname__)
    labels = zip(axes, index, strict=True)
    at = ", ".join(f"{axis.name}={axis.label(position)!r}" for axis, position in labels)
    return InputError(
        f"where, the function {name}, failed{f' at {at}' if at else ''}: "
        f"{type(error).__name__}: {error}; expected True or False for every point"
    )


def _answer(answer: object, point: Mapping[str, Any]) -> bool:
    """The answer of a condition, which must be a bool or a number."""
    if answer is True or answer is False:
        return answer
    array = np.asarray(answer)
    if array.ndim or array.dtype.kind not in "biuf":
        at = ", ".join(f"{name}={value!r}" for name, value in point.items())
        forgotten = ". Does it lack a return?" if answer is None else ""
        raise InputError(
            f"where returned {brief(answer)} at {at}; expected True or False{forgotten}"
        )
    return bool(array)


def _from_data_array(where: Any, axes: tuple[Axis, ...]) -> NDArray[np.bool_]:
    if where.dtype != bool:
        raise InputError(f"where has the dtype {where.dtype}; expected bool")
    names = [axis.name for axis in axes]
    unknown = [str(dim) for dim in where.dims if dim not in names]
    if unknown:
        raise InputError(f"where has the dim {unknown[0]!r}, which is no axis")
    for axis in axes:
        if axis.name not in where.dims:
            where = where.expand_dims({axis.name: len(axis)})
        elif axis.name in where.indexes:
            where = where.isel({axis.name: _places(axis, where.indexes[axis.name])})
        elif where.sizes[axis.name] != len(axis):
            raise InputError(
                f"where has {where.sizes[axis.name]} values along {axis.name!r}; expected "
                f"{len(axis)}, or a coordinate"
            )
    return np.ascontiguousarray(where.transpose(*names).values)


def _places(axis: Axis, index: Any) -> NDArray[np.intp]:
    """The positions of an axis' values in a pandas index."""
    if not index.is_unique:
        repeated = index[index.duplicated()][0]
        raise InputError(f"where has {axis.name}={repeated} more than once; expected it once")
    places: NDArray[np.intp] = index.get_indexer(axis.labels())
    if (places < 0).any():
        value = axis.label(int(np.argmin(places)))
        raise InputError(
            f"where has no value at {axis.name}={value!r}; expected one for each value of the axis"
        )
    return places
