"""The arguments of a call that it has for itself: random numbers, and values it may change."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.identity import point_seed
from swarmgrid.transport.copies import (
    copies_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from swarmgrid.transport.messages import Job


def with_own_arguments(func: Callable[..., Any], job: Job) -> Callable[..., Any]:
    """The function, called with a generator and params that no other call has seen.

    Where nothing of that is needed it is the function itself: a call costs a microsecond.

    Parameters
    ----------
    func : callable
        A function that takes a point by name, or a block.
    job : Job
        Says which parameter receives a generator, which params there are, and whether axes are
        arrays.
    """
    copies, rng, grid = job.copies, job.function.rng, job.grid.path.grid
    names = [axis.name for axis in job.axes]
    labelled = _label_values(job)
    if copies is None and rng is None and not job.function.vectorized and not labelled:
        return func

    def call(**arguments: Any) -> Any:
        if rng is not None:
            arguments[rng] = _generator(grid, names, arguments)
        if job.function.vectorized:  # they are views of the axes, which name and place the values
            arguments |= {name: arguments[name].copy() for name in names}
        for name, to_value in labelled.items():
            arguments[name] = to_value(arguments[name])
        if copies is None:
            return func(**arguments)
        arguments |= copies()
        try:
            return func(**arguments)
        except ValueError as error:
            if "read-only" in str(error):
                error.add_note("Arrays in params are read-only; change a copy of them: a.copy()")
            raise

    return call


def _label_values(job: Job) -> dict[str, Callable[[Any], Any]]:
    """By axis of labels, what makes the value of a label, or the values of an array of them.

    Labels travel, name points and seed generators; the function alone sees what they stand for.
    """
    found: dict[str, Callable[[Any], Any]] = {}
    for axis in job.axes:
        if axis.objects is not None:
            copies = {label: copies_of({"": value}) for label, value in axis.objects.items()}
            found[axis.name] = functools.partial(_value_of, axis.objects, copies)
    return found


def _value_of(
    objects: Mapping[str, Any],
    copies: Mapping[str, Callable[[], dict[str, Any]] | None],
    label: Any,
) -> Any:
    if isinstance(label, np.ndarray):
        values = np.empty(label.shape, object)
        for index in np.ndindex(label.shape):
            values[index] = _value_of(objects, copies, str(label[index]))
        return values
    make = copies[label]
    return objects[label] if make is None else make()[""]


def _generator(grid: str, names: Sequence[str], arguments: Mapping[str, Any]) -> Any:
    """The point's generator: made anew, it draws the same at every try."""
    point = {name: arguments[name] for name in names}
    # an axis of ints may have become one of floats since: the same point keeps its seed
    whole = {n: int(v) if isinstance(v, float) and v.is_integer() else v for n, v in point.items()}
    return np.random.default_rng(point_seed(grid, whole))
