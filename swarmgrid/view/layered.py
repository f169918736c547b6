"""One output of a grid that lies in two stores, as an array that xarray indexes lazily."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError
from swarmgrid.outputs.widening import is_wider
from swarmgrid.view.dataset import GridArray, missing_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.outputs.outputs import Output, Schema
    from swarmgrid.planning.coverage import Coverage
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.store.location import Location
    from swarmgrid.view.near import NearChunks


@dataclass(frozen=True)
class Under:
    """The same grid in another store, at the same axes' values."""

    location: Location
    coverage: Coverage
    manifest: Manifest
    is_past: bool = False
    """Whether the manifest is of a snapshot, or of an earlier time."""

    def beneath(self, array: GridArray) -> LayeredArray:
        """An array, with the values of this store where it has none.

        Raises
        ------
        InputError
            If the grid has other outputs here.
        """
        return LayeredArray(array, self)


class LayeredArray(GridArray):
    """One output of a grid that lies in two stores: each value is of the first that has it.

    Parameters
    ----------
    array : GridArray
        The first.
    under : Under
        The other.
    """

    def __init__(self, array: GridArray, under: Under) -> None:
        vars(self).update(vars(array))
        theirs, names = under.coverage.grid, [self._grid.names[d] for d in self._order]
        if self._grid.schema.outputs.keys() != theirs.schema.outputs.keys():
            raise _other_outputs(self._grid.schema, theirs.schema)
        self._under_order = order = [theirs.names.index(name) for name in names]
        self._under = GridArray(
            under.location,
            under.manifest,
            self._name,
            under.coverage,
            order,
            is_past=under.is_past,
        )
        stored = _common(self._output, theirs.schema.outputs[self._name])
        if stored is None:
            raise _other_outputs(self._grid.schema, theirs.schema)
        self._is_filled = _any_missing(self._coverage, self._order, under.coverage, order)
        self._stored_dtype = stored
        self.dtype = missing_of(stored)[1] if self._is_filled else stored

    def keep_dtype(self) -> None:
        """Have the dtype that holds what both store, and blanks where a point is not computed."""
        self.dtype = self._stored_dtype
        self._blank = np.zeros((), self.dtype)[()]

    @property
    def is_as_stored(self) -> bool:
        """False: a chunk of one of the stores is not all that there is."""
        return False

    def layers(self) -> list[NearChunks]:
        """The arrays of the two stores: this one and the other."""
        return [self, self._under]

    def _read(self, key: tuple[Any, ...]) -> Any:
        asked, below = self.request(key), self._under.request(key)
        shape = asked.selection.shape + asked.own_shape
        if self._is_filled:
            values = np.full(shape, self._blank, self.dtype)
        else:
            values = np.empty(shape, self.dtype)
        n_axes, own = len(self._order), range(len(self._order), len(shape))
        in_request = values.transpose([*self._order, *own])
        turn = [self._under_order.index(d) for d in range(n_axes)]
        # the shared store first: what the scope has computed replaces its values
        self._under._gather(  # noqa: SLF001  # of the same class
            below.selection,
            below.present,
            below.own_shape,
            below.rest,
            in_request.transpose([*turn, *own]),
        )
        self._under._note(below.selection)  # noqa: SLF001
        self._gather(asked.selection, asked.present, asked.own_shape, asked.rest, values)
        return self.arranged(values, key)


def _common(mine: Output, theirs: Output) -> np.dtype[Any] | None:
    """The dtype that holds the values of both; None if there is none, or the shapes differ."""
    if (mine.dims, mine.shape) != (theirs.dims, theirs.shape):
        return None
    if mine.dtype == theirs.dtype or is_wider(mine.dtype, theirs.dtype):
        return mine.memory_dtype
    return theirs.memory_dtype if is_wider(theirs.dtype, mine.dtype) else None


def _any_missing(one: Coverage, order: list[int], other: Coverage, turned: list[int]) -> bool:
    """Whether a point is missing in both of two coverages, whose axes have an order each."""
    if one.mask is not None:
        return True
    if not one.has_missing() or not other.has_missing():
        return False
    found: NDArray[np.bool_] = one.is_computed().transpose(order)
    return not bool((found | other.is_computed().transpose(turned)).all())


def _other_outputs(mine: Schema, theirs: Schema) -> InputError:
    shown = [
        ", ".join(f"{name} ({one.dtype}, {one.shape})" for name, one in schema.outputs.items())
        for schema in (mine, theirs)
    ]
    return InputError(
        f"the grid has the outputs {shown[0]} in the scope, and {shown[1]} in the shared store. "
        "Discard the scope, or convert one of the two grids: Grid.convert"
    )
