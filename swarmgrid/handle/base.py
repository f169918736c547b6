"""The common part of a handle: which grid it is, its state, and the right to write it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from swarmgrid.finding.resolve import not_stored
from swarmgrid.format.described import key_ids_in
from swarmgrid.inventory.keeping import recorded
from swarmgrid.leases import lease
from swarmgrid.planning.growth import check_given_keys
from swarmgrid.planning.layers import Layer
from swarmgrid.records.failures import read_all_failures, still_failed, within
from swarmgrid.records.grid_state import read_state
from swarmgrid.store.checked_json import MAX_DOCUMENT
from swarmgrid.store.scoping import in_scope

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from contextlib import AbstractContextManager

    from swarmgrid.records.failures import FailedPoint
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.grid_ref import GridRef


class GridBase:
    """A stored grid, without what can be asked of it; see `Grid`."""

    _given: GridRef
    """The grid, where the handle was made."""
    _key_ids: Collection[str] | None = None
    """The keys that the handle was given; None: whatever this process has."""
    _scoped: GridRef | None = None
    """The same in the scope that was open when it was last asked for."""

    @property
    def _ref(self) -> GridRef:
        """The grid where a call uses it: in the open scope, also if the handle is older."""
        location = in_scope(self._given.location)
        if location is self._given.location:
            return self._given
        # one object, as long as the scope is: Datasets find their store by it
        if self._scoped is None or self._scoped.location != location:
            self._scoped = replace(self._given, location=location)
        return self._scoped

    @property
    def function(self) -> str:
        """The function's name."""
        return self._ref.path.function

    @property
    def id(self) -> str:
        """The grid id."""
        return self._ref.path.grid

    @contextlib.contextmanager
    def _written(self, *, may_delete: bool = False) -> Iterator[lease.Lease]:
        """Hold the right to write the grid, and have the inventory know of what is written."""
        # in this order: the row of the inventory is written while the lease is still held
        with self._held() as held, recorded(held, self._ref.path, may_delete=may_delete):
            yield held

    def _held(self) -> AbstractContextManager[lease.Lease]:
        """Hold the right to write the grid, for what the inventory need not know of."""
        self._check_keys()
        return lease.acquire(self._ref.location, self._ref.path)

    def _read(self) -> GridState:
        """The grid where it is written: of a scope, not in the shared store."""
        state = read_state(self._ref.location.open(), self._ref.path)
        if state is None:
            raise not_stored(self._ref)
        check_given_keys(self._key_ids, state.grid.key_ids)
        return state

    def _stored_layers(self) -> list[Layer]:
        """The grid in each store that counts; InputError where it is in none."""
        layers = self._layers()
        if not layers:
            raise not_stored(self._ref)
        return layers

    def _layers(self) -> list[Layer]:
        """The grid in each store that counts, as it is stored there; none where it is in none."""
        ref, found = self._ref, []
        for location in ref.location.layers:
            state = read_state(location.open(), ref.path)
            if state is not None:
                check_given_keys(self._key_ids, state.grid.key_ids)
                found.append(Layer(replace(ref, location=location), state))
        return found

    def _check_keys(self) -> None:
        """Raise EncryptionError where the grid is encrypted with none of the keys given for it.

        Also if this process has its key from elsewhere: a wrong key is a mistake.
        """
        for location in self._ref.location.layers if self._key_ids is not None else ():
            data = location.open().get(self._ref.path.metadata, MAX_DOCUMENT)
            check_given_keys(self._key_ids, key_ids_in(data))

    def _failures(self, layer: Layer) -> list[FailedPoint]:
        """The failures of points that are not computed since."""
        state = layer.state
        if not state.failure_names:
            return []
        blobs = layer.ref.location.open()
        failures = read_all_failures(blobs, state.grid)
        return still_failed(within(failures, state.grid), state.manifest)
