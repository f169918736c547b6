"""Values for points that are not computed, beside which the stored ones stay what they are."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError, brief
from swarmgrid.space.times import is_time, one_in_nanoseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_WIDER = [*map(np.dtype, ["i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "c8", "c16"])]
"""The dtypes that numbers are widened to, the first that holds them all."""


def by_output(default: object, names: Sequence[str]) -> dict[str, Any]:
    """The default of each output: one for all, or those of a mapping.

    Raises
    ------
    InputError
        If a mapping names what is no output, or lacks one.
    """
    if not isinstance(default, Mapping):
        return dict.fromkeys(names, default)
    wrong = [brief(name) for name in default if name not in names]
    wrong += [f"no {name!r}" for name in names if name not in default]
    if wrong:
        raise InputError(
            f"default is a mapping with {wrong[0]}; expected a value for each output: "
            f"{', '.join(names)}"
        )
    return {name: default[name] for name in names}


def filled(
    name: str, values: NDArray[Any], is_computed: NDArray[np.bool_], default: object
) -> NDArray[Any]:
    """Values of an output with a default where points are not computed.

    Parameters
    ----------
    name : str
        The output.
    values : array
        Over the points, and over the output's own dims. It is changed in place, if it can hold
        the default.
    is_computed : array
        Over the points.
    default : any
        A value, or an array that broadcasts to the own dims.

    Returns
    -------
    array
        Of the values' dtype, if the default equals a value of it; else of a wider one that holds
        all numbers exactly; else of objects.
    """
    missing, own = ~is_computed, values.shape[is_computed.ndim :]
    given = _array(default)
    try:
        given = np.broadcast_to(given, own)
    except ValueError:
        raise InputError(
            f"default is {brief(default)}, of shape {given.shape}; expected a value, or an array "
            f"that broadcasts to the shape {own} of output {name!r}"
        ) from None
    cast = _cast(given, values.dtype)
    if cast is None and values.dtype.kind in "iufc":
        values, cast = _widened(values, is_computed, given)
    if cast is None:
        values, cast = _objects(values), _objects(given)
    values[missing] = cast
    return values


def _array(default: object) -> NDArray[Any]:
    """A default as an array; of a list, of the very objects that are in it."""
    if hasattr(default, "dtype"):
        return np.asarray(default)
    if isinstance(default, list):
        return np.asarray(default, object)
    found = np.empty((), object)
    found[()] = default
    return found


def _cast(given: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """The same values in a dtype; None where it does not have them."""
    objects = _objects(given)
    if dtype.kind == "O":
        return objects
    found = np.empty(given.shape, dtype)
    for at, one in np.ndenumerate(objects):
        if dtype.kind in "mM":
            time = _time(one, dtype)
            if time is None:
                return None
            found[at] = time
            continue
        if not isinstance(one, (bool, int, float, complex, np.number)) or isinstance(
            one, np.timedelta64
        ):
            return None
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                number = np.asarray(one).astype(dtype)
            except (TypeError, ValueError, OverflowError):
                return None
        # as Python's numbers, which are compared exactly
        if number.item() != one and not (_is_nan(number.item()) and _is_nan(one)):
            return None
        found[at] = number
    return found


def _is_nan(one: Any) -> bool:
    return bool(np.isnan(np.asarray(one, complex)))


def _time(one: Any, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """A time in nanoseconds, NaT for what is missing; None for what is no such time."""
    is_nan = isinstance(one, (float, np.floating)) and np.isnan(one)
    if one is None or is_nan or type(one).__name__ == "NaTType":
        return np.asarray("NaT", dtype)
    found = one_in_nanoseconds(one, dtype.kind) if is_time(one, dtype.kind) else None
    return None if found is None else found.astype(dtype)


def _widened(
    values: NDArray[Any], is_computed: NDArray[np.bool_], given: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Numbers and a default in the first dtype that holds them all; None where there is none."""
    for dtype in _WIDER:
        cast = _cast(given, dtype) if np.can_cast(values.dtype, dtype) else None
        if cast is None:
            continue
        wider = values.astype(dtype)
        if values.dtype.kind in "iu" and dtype.kind in "fc":  # can_cast has it that all fit
            whole, stored = wider.real[is_computed], values[is_computed]
            if not np.array_equal(_objects(whole), _objects(stored)):
                continue
        return wider, cast
    return values, None


def _objects(values: NDArray[Any]) -> NDArray[Any]:
    """Values as objects; times as what they are, and no integers."""
    if values.dtype.kind not in "mM":
        return values.astype(object)
    found = np.empty(values.shape, object)
    for at in np.ndindex(values.shape):
        found[at] = values[at]
    return found
