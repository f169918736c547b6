"""The points that a user enumerates: where each stands in the grid, and in which memo chunk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from swarmgrid.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

Form = Literal["tuple", "dict", "value"]
"""The form of a point: ``(1, "a")``, ``{"x": 1, "y": "a"}``, or ``1`` on a single axis."""


@dataclass(frozen=True, slots=True)
class MemoChunk:
    """The enumerated points whose values lie in the same bin of every axis."""

    bins: tuple[int, ...]
    """The bin's number on every axis."""
    members: NDArray[np.intp]
    """``(k,)``: the numbers of its points, in the order of the enumeration."""


@dataclass(frozen=True, slots=True)
class Enumeration:
    """Different points of a grid, in the user's order."""

    axes: Mapping[str, Sequence[Any]]
    """The values of every axis, in the order of the axes."""
    form: Form
    positions: NDArray[np.intp]
    """``(n_points, n_axes)``: where each point stands on every axis."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values on every axis."""
        return tuple(len(values) for values in self.axes.values())

    def __len__(self) -> int:
        return len(self.positions)

    def mask(self) -> NDArray[np.bool_] | None:
        """The points as an array over the axes; None if they are the whole product."""
        if len(self) == math.prod(self.shape):
            return None
        mask = np.zeros(self.shape, bool)
        mask[tuple(self.positions.T)] = True
        return mask

    def chunks(self, lengths: Sequence[int]) -> list[MemoChunk]:
        """The memo chunks that hold a point, in the order in which their first points come.

        Parameters
        ----------
        lengths : sequence of int
            The number of values in a bin, by axis.
        """
        bins = self.positions // np.array(lengths, np.intp)
        numbers = _flat(bins, [-(-n // k) for n, k in zip(self.shape, lengths, strict=True)])
        _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
        ends = np.cumsum(np.bincount(inverse))
        members = np.split(np.argsort(inverse, kind="stable"), ends[:-1])
        return [MemoChunk(tuple(bins[first[i]].tolist()), members[i]) for i in np.argsort(first)]

    def chunk_index(self, chunk: MemoChunk, lengths: Sequence[int]) -> tuple[Any, ...]:
        """A chunk by its axes' values: ``(("strat", ("aaa",)), ("s", (1, 2, 3)))``."""
        return tuple(
            (name, tuple(values[i * length : (i + 1) * length]))
            for (name, values), i, length in zip(
                self.axes.items(), chunk.bins, lengths, strict=True
            )
        )

    def point(self, number: int) -> dict[str, Any]:
        """The axis values of a point, by axis."""
        return {
            name: values[i]
            for (name, values), i in zip(self.axes.items(), self.positions[number], strict=True)
        }


def enumerated(points: Iterable[Any], axes: Mapping[str, Sequence[Any]]) -> Enumeration:
    """The points, once each is known to be a place of its own in the product of the axes.

    Parameters
    ----------
    points : iterable
        Tuples of a value per axis, in the axes' order; or dicts by axis; or bare values, where
        there is one axis.
    axes : mapping
        The different values of every axis.

    Raises
    ------
    InputError
        If a point has another form, lies outside the product, or comes twice.
    """
    found = list(points)
    form = _form(found[0], axes) if found else "tuple"
    rows = [_row(point, form, axes) for point in found]
    positions = np.empty((len(found), len(axes)), np.intp)
    for d, values in enumerate(axes.values()):
        place = {value: i for i, value in enumerate(values)}
        positions[:, d] = [_position(place, row[d]) for row in rows]
    outside = np.argwhere(positions < 0)
    if len(outside):
        number, d = outside[0]
        raise _outside(found[number], list(axes)[d], rows[number][d], axes)
    enumeration = Enumeration(axes, form, positions)
    _check_different(enumeration, found)
    return enumeration


def _form(point: object, axes: Mapping[str, Any]) -> Form:
    if isinstance(point, Mapping):
        return "dict"
    return "value" if len(axes) == 1 and not isinstance(point, (tuple, list)) else "tuple"


def _row(point: Any, form: Form, axes: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values of a point in the axes' order."""
    if form == "dict":
        if isinstance(point, Mapping) and point.keys() == axes.keys():
            return tuple(point[name] for name in axes)
    elif form == "value":
        if not isinstance(point, (tuple, list, Mapping)):
            return (point,)
    elif isinstance(point, tuple) and len(point) == len(axes):
        return point
    raise InputError(
        f"enumerate_points gave the point {point!r}; expected every point as a tuple of one value "
        f"per axis, in the order ({', '.join(axes)}), or as a dict with exactly these keys. What "
        "else tells points apart, such as the number of a repetition, belongs in split_spec as an "
        "axis of its own"
    )


def _position(place: Mapping[Any, int], value: Any) -> int:
    try:
        return place.get(value, -1)
    except TypeError:  # unhashable, so no axis value
        return -1


def _outside(point: Any, name: str, value: Any, axes: Mapping[str, Any]) -> InputError:
    return InputError(
        f"enumerate_points gave the point {point!r}, but {value!r} is not among the values of "
        f"axis {name!r} in split_spec; expected values in the order ({', '.join(axes)}). Pass "
        "axis_order= if your points hold them in another order"
    )


def _check_different(enumeration: Enumeration, points: list[Any]) -> None:
    flat = _flat(enumeration.positions, enumeration.shape)
    _, first = np.unique(flat, return_index=True)
    if len(first) < len(points):
        again = np.setdiff1d(np.arange(len(points)), first)[0]
        raise InputError(
            f"enumerate_points gave the point {points[again]!r} twice; expected each once. Tell "
            "repetitions apart by an axis of their own in split_spec"
        )


def _flat(indices: NDArray[np.intp], shape: Sequence[int]) -> NDArray[np.intp]:
    """``(n,)``: one number per row of ``indices = (n, len(shape))``, in C order."""
    flat = np.zeros(len(indices), np.intp)
    for d, n in enumerate(shape):
        flat = flat * n + indices[:, d]
    return flat
