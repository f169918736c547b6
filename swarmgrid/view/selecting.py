"""The points of a grid that labels select: one language for all that takes labels.

Labels mean what they mean for ``Dataset.sel``: a value, a list of values, or a slice whose end is
part of it. A slice of an axis whose stored values are in no order is one of its sorted values.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from swarmgrid.errors import InputError, brief
from swarmgrid.space.texts import to_text
from swarmgrid.space.times import is_time, one_in_nanoseconds, to_nanoseconds
from swarmgrid.view.dataset import coordinates

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from swarmgrid.space.axis import Axis

_EXACT = (
    ". Labels are those of stored values; Dataset.sel(..., method='nearest') finds the nearest one"
)
_SORTED_KINDS = {"int", "float", "bool", "datetime", "timedelta", "str"}
"""Kinds of axes whose values have an order of their own."""
_TIMES = {"datetime": "M", "timedelta": "m"}
"""By kind of axis, numpy's code of its values."""
_TYPES: dict[str, Any] = {
    "int": (int, float),
    "float": (int, float),
    "bool": bool,
    "str": str,
    "enum": str,
    "label": str,
}
"""By kind of axis, the types of its labels."""


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
    """Labels that can be gone through twice: sets, views and generators as lists, and tuples."""
    if isinstance(labels, (tuple, set, frozenset, KeysView, ValuesView, Iterator)):
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
    if isinstance(labels, slice):
        return _in_slice(axis, labels)
    if isinstance(labels, str) and axis.kind in _TIMES:
        with contextlib.suppress(InputError):  # also a span of time that has some, as "2026-01"
            return _of_index(_index(axis), axis, labels)
    given = _array(axis, labels)
    places, meant = _found(axis, given.reshape(-1), labels)
    if (places >= 0).all():
        meant = axis.labels()[places]
    elif not may_lack:
        raise _lacking(axis, labels, is_one=not given.ndim)
    return Chosen(places, meant, not given.ndim)


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


def _in_slice(axis: Axis, labels: slice) -> Chosen:
    """The values between two labels, and at these."""
    ends = [end for end in (labels.start, labels.stop) if end is not None]
    _found(axis, _array(axis, ends), labels)
    index = _index(axis)
    if axis.kind in _SORTED_KINDS and not index.indexes[axis.name].is_monotonic_increasing:
        index = index.sortby(axis.name)
    return _of_index(index, axis, labels)


def _index(axis: Axis) -> xr.DataArray:
    """The positions of the values of an axis, by their labels."""
    return xr.DataArray(np.arange(len(axis)), coordinates((axis,), None))


def _of_index(index: xr.DataArray, axis: Axis, labels: str | slice) -> Chosen:
    try:
        found = index.sel({axis.name: labels})
    except KeyError:  # its text names arguments of xarray's
        raise _lacking(axis, labels, is_one=isinstance(labels, str)) from None
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(
            f"{axis.name}={brief(labels)} selects nothing that axis {axis.name!r} has: {error}; "
            f"its values are {_values(axis)}"
        ) from None
    return Chosen(
        np.atleast_1d(found.values), np.atleast_1d(found[axis.name].values), not found.ndim
    )


def _array(axis: Axis, labels: Any) -> NDArray[Any]:
    """A label, or a list of them, as an array: of a list, of the very objects that are in it."""
    try:
        given = np.asarray(labels, None if hasattr(labels, "dtype") else object)
    except (ValueError, TypeError):
        raise _no_label(axis, labels) from None
    if given.ndim > 1:
        raise InputError(
            f"{axis.name}={brief(labels)} has {given.ndim} dims; expected a label of axis "
            f"{axis.name!r}, or a list of them"
        )
    return given


def _found(axis: Axis, given: NDArray[Any], labels: Any) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """The position of each label, -1 where the axis lacks it; and the labels.

    They are looked up by their values, so that bools are no mask and no number is rounded.
    """
    if axis.kind in _TIMES:
        times = _nanoseconds(axis, given, labels)
        places = pd.Index(axis.values).get_indexer(times)
        return places, times.view(f"{_TIMES[axis.kind]}8[ns]")
    if given.dtype == axis.values.dtype and axis.kind in {"int", "float"}:
        return pd.Index(axis.values).get_indexer(given), given
    plain = [one.item() if isinstance(one, np.generic) else one for one in given.tolist()]
    types = _TYPES[axis.kind]
    if not all(
        isinstance(one, types) and isinstance(one, bool) == (types is bool) for one in plain
    ):
        raise _no_label(axis, labels)
    place = {value: i for i, value in enumerate(axis.values.tolist())}
    places = np.array([place.get(one, -1) for one in plain], np.intp)
    return places, to_text(np.array([*plain, ""], object)[:-1]) if types is str else np.array(
        plain
    )


def _nanoseconds(axis: Axis, given: NDArray[Any], labels: Any) -> NDArray[np.int64]:
    """Times as an axis stores them; NaT, which is on no axis, where they cannot be stored."""
    code = _TIMES[axis.kind]
    if given.dtype.kind == code:
        with contextlib.suppress(ValueError):
            return to_nanoseconds(given).view("int64")
    found = np.full(len(given), "NaT", f"{code}8[ns]")
    for i, label in enumerate(given if given.dtype.kind == code else given.tolist()):
        one = label
        if isinstance(one, str):
            try:
                one = pd.Timestamp(one) if code == "M" else pd.Timedelta(one)
            except ValueError:
                raise _no_label(axis, labels) from None
        if not is_time(one, code):
            raise _no_label(axis, labels)
        time = one_in_nanoseconds(one, code)
        if time is not None:
            found[i] = time
    return found.view("int64")


def _no_label(axis: Axis, labels: Any) -> InputError:
    """The error that no value of an axis could be one of the labels."""
    return InputError(
        f"{axis.name}={brief(labels)} is no label of axis {axis.name!r}, which holds {axis.kind} "
        f"values, such as {_values(axis.take(slice(1)))}. Lists are of labels; there are no masks"
        + (", and times have no time zone" if axis.kind == "datetime" else "")
    )


def _lacking(axis: Axis, labels: Any, *, is_one: bool) -> InputError:
    return InputError(
        f"{axis.name}={brief(labels)} {'is no value' if is_one else 'has values'} that axis "
        f"{axis.name!r} {'has' if is_one else 'lacks'}; its values are {_values(axis)}"
    )


def _values(axis: Axis) -> str:
    labels = axis.labels()[:100]  # more than are shown
    return brief([str(one) for one in labels] if axis.kind in _TIMES else labels.tolist())


def _names_of_members(axis: Axis, labels: Any) -> Any:
    """Labels in which members of an enum are their names, as the axis has them."""
    if axis.kind != "enum":
        return labels
    if isinstance(labels, Enum):
        return labels.name
    if isinstance(labels, slice):
        start, stop = (_names_of_members(axis, end) for end in (labels.start, labels.stop))
        return slice(start, stop, labels.step)
    if isinstance(labels, list):
        return [one.name if isinstance(one, Enum) else one for one in labels]
    return labels
