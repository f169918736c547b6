"""The positions of a request's values on the stored axis, and the values that are new there."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import AxisError
from swarmgrid.space.axis import promoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from swarmgrid.space.axis import Axis


def reconciled(stored: Axis, requested: Axis) -> tuple[Axis, Axis]:
    """Both axes in the one kind that holds the values of both.

    Raises
    ------
    AxisError
        If no kind does without loss.
    """
    if len(requested) == 0:
        return stored, stored.take(slice(0))
    if stored.kind == "enum" == requested.kind and stored.enum_name != requested.enum_name:
        raise AxisError(
            f"axis {requested.name!r} holds members of {requested.enum_name} here and of "
            f"{stored.enum_name} in the stored grid; expected members of one enum"
        )
    if stored.kind == requested.kind and stored.kind in {"label", "enum"}:
        _check_same_values(stored, requested)
    if (stored.kind, requested.kind) == ("int", "float"):
        return promoted(stored, "float"), requested
    return stored, promoted(requested, stored.kind)


_WAYS_OUT = "A new grid is made by depends= or version=, or in another store"


def _check_same_values(stored: Axis, requested: Axis) -> None:
    """Raise AxisError where a label or a member stands for something else than it did."""
    codes = {stored.enum_code, requested.enum_code} - {None}
    if len(codes) > 1:
        raise AxisError(
            f"the methods or attributes of {requested.enum_name}, whose members are on axis "
            f"{requested.name!r}, are others than in the stored grid, whose points were computed "
            f"with those. {_WAYS_OUT}"
        )
    if stored.digests is None or requested.digests is None:
        return
    known = dict(zip(stored.values, stored.digests, strict=True))
    for label, value in zip(requested.values, requested.digests, strict=True):
        if known.get(label, value) != value:
            what = "label" if stored.kind == "label" else f"member of {stored.enum_name}"
            raise AxisError(
                f"the {what} {label!r} of axis {requested.name!r} stands for another value here "
                "than in the stored grid, whose points were computed with that. Give the new "
                f"value a name of its own. {_WAYS_OUT}"
            )


def positions(stored: Axis, requested: Axis, tolerance: float = 0.0) -> NDArray[np.intp]:
    """The position of each requested value on the stored axis, -1 where it is new.

    Parameters
    ----------
    stored, requested : Axis
        Axes of the same kind, of ``n`` and ``k`` values.
    tolerance : float
        A float value stands for the nearest stored one that lies this close.

    Returns
    -------
    array
        ``(k,)``, each -1 or in ``range(n)``.
    """
    have, want = stored.values, requested.values
    common = min(len(have), len(want))
    if np.array_equal(have[:common], want[:common]):  # unchanged, appended to, or cut short
        found = np.full(len(want), -1, np.intp)
        found[:common] = np.arange(common)
        rest = want[common:]
        if len(rest) and tolerance and stored.kind == "float":
            found[common:] = _nearest(have, rest, tolerance)
        return found
    if have.dtype == object:
        place = {value: i for i, value in enumerate(have)}
        return np.array([place.get(value, -1) for value in want], np.intp)
    found = _exact(have, want)
    if tolerance and stored.kind == "float":
        new = found < 0
        found[new] = _nearest(have, want[new], tolerance)
    return found


NEAR = 1e-9
"""Relative: floats this close, and not equal, are one number that was computed in two ways."""


def near_misses(stored: Axis, requested: Axis, tolerance: float = 0.0) -> NDArray[np.float64]:
    """The requested floats that are not stored, while a number as good as equal is.

    Parameters
    ----------
    stored, requested : Axis
        The values of an axis.
    tolerance : float
        Values this close stand for each other, and are no misses.
    """
    kinds = {stored.kind, requested.kind}
    if not len(stored) or not len(requested) or not {"float"} <= kinds <= {"int", "float"}:
        return np.empty(0)
    have, want = stored.values.astype("float64"), requested.values.astype("float64")
    common = min(len(have), len(want))
    if np.array_equal(have[:common], want[:common]):
        want = want[common:]
    if not len(want):
        return want
    ranked = np.sort(have)
    right = np.minimum(np.searchsorted(ranked, want), len(ranked) - 1)
    left = np.maximum(right - 1, 0)
    with np.errstate(invalid="ignore", over="ignore"):  # infinities, and what is as far apart
        distance = np.minimum(np.abs(ranked[left] - want), np.abs(ranked[right] - want))
        is_near = (distance > tolerance) & (distance <= NEAR * np.abs(want))
    near: NDArray[np.float64] = want[is_near & np.isfinite(want)]
    return near


def warn_of_near_misses(
    stored: Sequence[Axis],
    requested: Sequence[Axis],
    tolerance: Mapping[str, float],
    stacklevel: int,
) -> None:
    """Warn of the values of a request that are new for a digit at their end."""
    known = {axis.name: axis for axis in stored}
    for axis in requested:
        near = near_misses(known[axis.name], axis, tolerance.get(axis.name, 0.0))
        if len(near):
            largest = float(np.abs(near).max())
            warnings.warn(
                f"axis {axis.name!r}: {len(near)} of {len(axis)} values, such as "
                f"{float(near[0])!r}, differ from stored ones by less than 1e-9 of their "
                "size, and count as new. If they are meant to be the same, pass "
                f"tolerance={{{axis.name!r}: {largest * NEAR:.0e}}}",
                RuntimeWarning,
                stacklevel=stacklevel + 1,
            )


def _exact(have: NDArray[Any], want: NDArray[Any]) -> NDArray[np.intp]:
    if len(have) == 0:
        return np.full(len(want), -1, np.intp)
    order = np.argsort(have, kind="stable")
    at = np.searchsorted(have, want, sorter=order)
    nearest = order[np.minimum(at, len(have) - 1)]
    return np.where(have[nearest] == want, nearest, -1).astype(np.intp)


def _nearest(have: NDArray[Any], want: NDArray[Any], tolerance: float) -> NDArray[np.intp]:
    if len(have) == 0 or len(want) == 0:
        return np.full(len(want), -1, np.intp)
    order = np.argsort(have, kind="stable")
    ranked = have[order]
    right = np.clip(np.searchsorted(ranked, want), 1, max(len(have) - 1, 1))
    right = np.minimum(right, len(have) - 1)
    left = np.maximum(right - 1, 0)
    best = np.where(np.abs(ranked[left] - want) <= np.abs(ranked[right] - want), left, right)
    close = np.abs(ranked[best] - want) <= tolerance
    return np.where(close, order[best], -1).astype(np.intp)
