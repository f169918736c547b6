"""Putting known results into a grid: they count as computed, all from one instant on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError, brief
from swarmgrid.finding.resolve import axis_names
from swarmgrid.format.letter_case import array_names, check_letter_case
from swarmgrid.handle.base import GridBase
from swarmgrid.inventory.keeping import recorded
from swarmgrid.leases import lease
from swarmgrid.leases.preflight import check_writable
from swarmgrid.option_checks import checked
from swarmgrid.planning.chosen_codecs import with_chosen_codecs
from swarmgrid.planning.known_results import known_results
from swarmgrid.planning.request import checked_tolerance
from swarmgrid.planning.where import requested_points
from swarmgrid.records.grid_state import read_state
from swarmgrid.space.axis import to_axis
from swarmgrid.space.match import positions, reconciled, warn_of_near_misses
from swarmgrid.transfer.grids import join_part
from swarmgrid.transfer.known import KnownPart

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.outputs.outputs import Schema
    from swarmgrid.planning.known_results import KnownResults
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.space.axis import Axis
    from swarmgrid.store.grid_ref import GridRef

_REMEDY = (
    "If the results that you put are right, invalidate these points first: Grid.invalidate. With "
    "on_conflict='keep' the grid keeps its own values, and the other points are put."
)
_MISSING = ("raise", "skip", "put")


class GridPutting(GridBase):
    """A stored grid, as far as known results are put into it; see `Grid`."""

    def put_many(
        self,
        values: Any,
        axes: Sequence[str] | None = None,
        *,
        where: Any = None,
        missing: str = "raise",
        on_conflict: str = "raise",
        tolerance: Mapping[str, float] | None = None,
    ) -> int:
        """Put known results into the grid: they count as computed, all of them or none.

        For a grid that is not stored yet, see `GridFunction.put_many`, which makes it.

        Parameters
        ----------
        values : mapping, xr.Dataset or xr.DataArray
            By point, a tuple of axis values (or the value on the only axis), what the function
            returns there: ``{(0.1, 3): 5.0}``. Or the results at every point of the product of a
            Dataset's coordinates.
        axes : sequence of str, optional
            The order of the axes in the tuples. Default: that of the stored grid.
        where, missing, on_conflict
            As for `swarmgrid.put_many`.
        tolerance : mapping, optional
            By float axis, how close a value must lie to a stored one to stand for it, as for
            `compute`.

        Returns
        -------
        int
            The number of points that count as computed now, and did not before.

        Raises
        ------
        InputError
            If a point, or a value, does not fit the grid, or nothing is stored of it.
        ConflictError
            If a point is computed already, with another value.

        Examples
        --------
        >>> import swarmgrid
        >>> @swarmgrid.grid(store="memory://put", executor="sync")
        ... def area(width, height):
        ...     return width * height
        >>> ds = area.compute(axes={"width": [1, 2], "height": [3]})
        >>> grid = area.grid(axes=["width", "height"])
        >>> grid.put_many({(1, 4): 4, (2, 4): 8})
        2
        >>> grid.get(width=2, height=4)["value"].item()
        8
        """
        layers = self._stored_layers()
        stored = layers[0].state.grid
        tolerance = checked("tolerance", tolerance)
        names = axis_names(axes) or list(stored.names)
        if sorted(names) != sorted(stored.names):
            raise InputError(f"axes is {names}; expected the grid's axes, {list(stored.names)}")
        known = known_results(values, names)
        own = tuple(to_axis(name, labels) for name, labels in known.labels.items())
        near = checked_tolerance(tolerance, own)
        for layer in layers:
            warn_of_near_misses(layer.state.grid.axes, own, near, stacklevel=2)
        asked = requested_points(where, own, {})

        def new_grid(_: Schema) -> StoredGrid:  # in a scope, like that of the shared store
            return replace(stored, layout=0, v2_keys=frozenset(), archive=None)

        return put(self._ref, known, own, asked, None, new_grid, missing, on_conflict, near)


def put(
    ref: GridRef,
    known: KnownResults,
    axes: tuple[Axis, ...],
    where: NDArray[np.bool_] | None,
    declared: Schema | None,
    new_grid: Callable[[Schema], StoredGrid],
    missing: str = "raise",
    on_conflict: str = "raise",
    tolerance: Mapping[str, float] | None = None,
) -> int:
    """Put known results: how many points count as computed now and did not before.

    Parameters
    ----------
    ref : GridRef
        The grid.
    known : KnownResults
        The results.
    axes : tuple of Axis
        Their values on each axis.
    where : array or None
        Over the axes: the points to put; None: all that are known.
    declared : Schema or None
        The outputs of the grid, should it not be stored; None: those that the results show.
    new_grid : callable
        Makes the grid of some outputs, should it not be stored.
    missing, on_conflict : str
        As for `swarmgrid.put_many`.
    tolerance : mapping, optional
        By float axis, how close a value must lie to a stored one to stand for it.
    """
    check_choices(missing, on_conflict)
    mask = _mask(known, where, missing)
    if not mask.any():
        return 0
    blobs = ref.location.open()
    states = [read_state(one.open(), ref.path) for one in ref.location.layers]
    stored = next((state for state in states if state is not None), None)
    if stored is not None:
        axes = tuple(_as_stored(axis, stored, tolerance or {}) for axis in axes)
        schema = stored.grid.schema
    else:
        schema = known.schema(mask) if declared is None else declared
    arrays = known.arrays(schema, mask)
    made = new_grid(schema) if states[0] is None else stored.grid if stored is not None else None
    assert made is not None
    if states[0] is None and stored is None:
        computed = {name: array[mask] for name, array in arrays.items()}
        made = with_chosen_codecs(made, computed)
    part = KnownPart(blobs, made, axes, schema, arrays, mask)
    if len(states) > 1 and states[1] is not None:  # what the shared store has need not be here
        shared = ref.location.layers[1].open()
        join_part(part, shared).check(on_conflict, _REMEDY)
        part = replace(part, mask=mask & ~_computed(axes, states[1]))
    outcome = join_part(part, blobs)
    outcome.check(on_conflict, _REMEDY)
    if not outcome.joint.added:
        return 0
    check_writable(ref.location)
    with lease.acquire(ref.location, ref.path) as held, recorded(held, ref.path):
        check_letter_case(held.blobs, array_names([axis.name for axis in axes], schema))
        # again: another process may have computed some of the points since
        join_part(part, held.blobs).check(on_conflict, _REMEDY)
        return join_part(part, held.blobs, held).joint.added


def check_choices(missing: object, on_conflict: object) -> None:
    """Raise InputError where an argument is none of the words that it may be."""
    if not isinstance(missing, str) or missing not in _MISSING:
        raise InputError(f"missing is {brief(missing)}; expected one of {', '.join(_MISSING)}")
    if not isinstance(on_conflict, str) or on_conflict not in ("raise", "keep"):
        raise InputError(f"on_conflict is {brief(on_conflict)}; expected 'keep' or 'raise'")


def _mask(known: KnownResults, where: NDArray[np.bool_] | None, missing: str) -> NDArray[np.bool_]:
    """The points to put, over the axes."""
    mask = known.mask() if where is None else known.mask() & where
    absent = known.missing() & mask
    if missing == "skip":
        return mask & ~absent
    if missing == "raise" and absent.any():
        at = np.argwhere(absent)[0].tolist()
        point = {n: v[i] for (n, v), i in zip(known.labels.items(), at, strict=True)}
        raise InputError(
            f"{int(absent.sum())} points have no value in any output, such as "
            f"{', '.join(f'{name}={value!s}' for name, value in point.items())}, as points that "
            "are not computed read. missing='skip' leaves them out; missing='put' says that NaN "
            "is their result"
        )
    return mask


def _computed(axes: tuple[Axis, ...], state: GridState) -> NDArray[np.bool_]:
    """The points that a grid has computed, over some axes in their order."""
    from swarmgrid.planning.growth import covered
    from swarmgrid.planning.request import Domain, Layout

    names = [axis.name for axis in axes]
    coverage = covered(Domain(axes), Layout(), state.grid, state.manifest)
    return coverage.is_computed().transpose([state.grid.names.index(name) for name in names])


def _as_stored(axis: Axis, stored: GridState, tolerance: Mapping[str, float]) -> Axis:
    """An axis with the values of the stored one that its own stand for.

    Floats stand for those within the tolerance, texts for labels and names of members.
    """
    theirs = next(one for one in stored.grid.axes if one.name == axis.name)
    if tolerance.get(axis.name) and axis.kind in {"int", "float"}:
        have, want = reconciled(theirs, axis)
        at = positions(have, want, tolerance[axis.name])
        return replace(want, values=np.where(at < 0, want.values, have.values[at]))
    if axis.kind != "str" or theirs.kind not in {"label", "enum"}:
        return axis
    unknown = sorted({*axis.values.tolist()} - {*theirs.values.tolist()})
    if unknown:
        raise InputError(
            f"axis {axis.name!r} has no {theirs.kind} {unknown[0]!r}, and a text alone does not "
            "say what it stands for; pass the axes with their values to put_many of the function: "
            f"axes={{{axis.name!r}: ...}}"
        )
    return replace(axis, kind=theirs.kind, enum_name=theirs.enum_name)
