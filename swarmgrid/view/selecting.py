"""The points of a grid that labels select: one language for all that takes labels.

Labels mean what they mean for ``Dataset.sel``: a value, a list of values, or a slice whose end is
part of it. A slice of an axis whose stored values are in no order is one of its sorted values.
"""

from __future__ import annotations

from collections.abc import Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from swarmgrid.errors import InputError, brief
from swarmgrid.view.dataset import coordinates

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from swarmgrid.space.axis import Axis

_EXACT = (
    ". Labels are those of stored values; Dataset.sel(..., method='nearest') finds the nearest one"
)
_SORTED_KINDS = {"int", "float", "datetime", "timedelta", "str"}
"""Kinds of axes whose values have an order of their own."""


@dataclass(frozen=True)
class Chosen:
    """The values of one axis that labels select, in their order."""

    places: NDArray[np.intp]
    """``(k,)``: their positions on the stored axis; -1 where it has no such value."""
    labels: NDArray[Any]
    """``(k,)``."""
    is_scalar: bool
    """Whether one label was given, and no list."""


def to_selection(selection: object, labels: Mapping[str, Any]) -> dict[str, Any]:
    """The labels by axis that a user gives as a mapping, by keyword, or both ways.

    Raises
    ------
    InputError
        If the selection is no mapping, or an axis is given twice.
    """
    if selection is None:
        return {name: _reiterable(one) for name, one in labels.items()}
    if not isinstance(selection, Mapping):
        raise InputError(
            f"the selection is {brief(selection)}; expected a mapping from axes to labels"
        )
    twice = sorted({*map(str, selection)} & {*labels})
    if twice:
        raise InputError(f"axis {twice[0]!r} is given twice: in the mapping and by keyword")
    return {name: _reiterable(one) for name, one in {**selection, **labels}.items()}


def _reiterable(labels: Any) -> Any:
    """Labels that can be gone through twice: sets, views and generators as lists."""
    if isinstance(labels, (set, frozenset, KeysView, ValuesView, Iterator)):
        return list(labels)
    return labels


def check_names(names: Sequence[str], selection: Iterable[object]) -> None:
    """Raise InputError where a selection names what is no axis."""
    for name in selection:
        if name not in names:
            raise InputError(
                f"the selection names {brief(name)}, which is no axis; the axes are "
                f"{', '.join(names) or 'none'}"
                + (_EXACT if name in {"method", "tolerance"} else "")
            )


def chosen(axis: Axis, labels: Any, *, may_lack: bool = False) -> Chosen:
    """The values of an axis that labels select.

    Parameters
    ----------
    axis : Axis
        The stored axis.
    labels : label, list or slice
        The labels; ``slice(None)`` is the whole axis.
    may_lack : bool
        Whether a label may be one that the axis does not have.

    Raises
    ------
    InputError
        If the axis has no such values.
    """
    labels = _names_of_members(axis, labels)
    if isinstance(labels, slice) and axis.kind in {"int", "float"}:
        ends = [end for end in (labels.start, labels.stop) if end is not None]
        _check_kind(axis, np.asarray(ends or [0]), labels)
    index = xr.DataArray(np.arange(len(axis)), coordinates((axis,), None))
    is_sorted = index.indexes[axis.name].is_monotonic_increasing
    if isinstance(labels, slice) and axis.kind in _SORTED_KINDS and not is_sorted:
        index = index.sortby(axis.name)
    try:
        found = _selected(index, axis, labels)
    except InputError:
        if not may_lack or isinstance(labels, slice):
            raise
        return _one_by_one(index, axis, labels)
    return Chosen(
        np.atleast_1d(found.values), np.atleast_1d(found[axis.name].values), not found.ndim
    )


def positions(axes: Sequence[Axis], selection: Mapping[str, Any]) -> list[NDArray[np.intp]]:
    """For each axis the positions that a label selection means, ascending; all, if it names none.

    Raises
    ------
    InputError
        If there is no such axis, or no such value on it.
    """
    check_names([axis.name for axis in axes], selection)
    return [
        np.unique(chosen(axis, selection[axis.name]).places.astype(np.intp))
        if axis.name in selection
        else np.arange(len(axis))
        for axis in axes
    ]


def _selected(index: xr.DataArray, axis: Axis, labels: Any) -> xr.DataArray:
    try:
        found = index.sel({axis.name: labels})
    except KeyError:  # its text names arguments of xarray's
        is_one = np.ndim(labels) == 0
        raise InputError(
            f"{axis.name}={brief(labels)} {'is no value' if is_one else 'has values'} that axis "
            f"{axis.name!r} {'has' if is_one else 'lacks'}; its values are "
            f"{brief(axis.labels().tolist())}"
        ) from None
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(
            f"{axis.name}={brief(labels)} selects nothing that axis {axis.name!r} has: {error}; "
            f"its values are {brief(axis.labels().tolist())}"
        ) from None
    if found.ndim > 1:
        raise InputError(f"{axis.name}={brief(labels)} has {found.ndim} dims; expected a list")
    return found


def _one_by_one(index: xr.DataArray, axis: Axis, labels: Any) -> Chosen:
    """A label, or a list of them, of which the axis lacks some."""
    is_scalar = np.ndim(labels) == 0
    kind = axis.labels().dtype.kind
    given = np.atleast_1d(np.asarray(labels, axis.labels().dtype if kind in "mM" else None))
    _check_kind(axis, given, labels)
    places = []
    for label in given.tolist() if kind not in "mM" else given:
        try:
            places.append(int(_selected(index, axis, label).item()))
        except InputError:
            places.append(-1)
    return Chosen(np.array(places, np.intp), given, is_scalar)


def _check_kind(axis: Axis, given: NDArray[Any], labels: Any) -> None:
    """Raise InputError where no value of an axis could be one of the labels."""
    is_text = axis.kind in {"str", "enum", "label"}
    kinds = (
        "UTO"
        if is_text
        else "b"
        if axis.kind == "bool"
        else "mM"
        if given.dtype.kind in "mM"
        else "iuf"
    )
    texts = not is_text or all(isinstance(one, str) for one in given.reshape(-1).tolist())
    if given.ndim > 1 or (given.size and given.dtype.kind not in kinds) or not texts:
        raise InputError(
            f"{axis.name}={brief(labels)} is no label of axis {axis.name!r}, which holds "
            f"{axis.kind} values"
        )


def _names_of_members(axis: Axis, labels: Any) -> Any:
    """Labels in which members of an enum are their names, as the axis has them."""
    if axis.kind != "enum" or isinstance(labels, slice):
        return labels
    if isinstance(labels, Enum):
        return labels.name
    if isinstance(labels, (list, tuple)):
        return [one.name if isinstance(one, Enum) else one for one in labels]
    return labels
