"""A grid that lies in two stores: in a scope, and in the shared store beneath it.

Layers are in the order in which they count: a point is of the first that has computed it. A grid
that lies in one store has one layer. What the shared store has need not be computed in the scope.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.codecs.given import GivenEncodings
from swarmgrid.format.grid import StoredAxis
from swarmgrid.format.growing import grown_axis
from swarmgrid.planning.growth import covered
from swarmgrid.planning.request import Domain, Layout
from swarmgrid.space.points import Points

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from swarmgrid.planning.coverage import Coverage
    from swarmgrid.planning.request import Request
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.space.axis import Axis
    from swarmgrid.store.grid_ref import GridRef


@dataclass(frozen=True)
class Layer:
    """A grid in one store."""

    ref: GridRef
    state: GridState

    def coverage(self, axes: tuple[Axis, ...], *, needs_key: bool = True) -> Coverage:
        """The computed points among those of some axes; see `covered`."""
        grid, manifest = self.state.grid, self.state.manifest
        return covered(Domain(axes, is_lookup=True), Layout(), grid, manifest, needs_key=needs_key)


def joint_axes(layers: Sequence[Layer]) -> tuple[Axis, ...]:
    """The axes of a grid: the first layer's, with the values appended that only others have.

    Raises
    ------
    AxisError
        If the values of the layers do not go together.
    """
    axes = layers[0].state.grid.axes
    for layer in layers[1:]:
        others = {axis.name: axis for axis in layer.state.grid.axes}
        pairs = ((StoredAxis(axis, 1, 1), others[axis.name]) for axis in axes)
        axes = tuple(grown_axis(*pair)[0].axis for pair in pairs)
    return axes


@dataclass(frozen=True)
class Beneath:
    """The same grid in the shared store, and the requested points that it has."""

    state: GridState
    coverage: Coverage

    @classmethod
    def of(cls, request: Request, state: GridState, *, needs_key: bool = True) -> Beneath:
        """The part of a request that a shared grid has; ``needs_key`` as of `covered`.

        Raises
        ------
        InputError
            If the request does not go together with the grid.
        """
        found = covered(
            request.domain, request.layout, state.grid, state.manifest, needs_key=needs_key
        )
        return cls(state, found)

    def known(self, domain: Domain) -> NDArray[np.bool_]:
        """The requested points that are computed there, over the axes of the request."""
        names = self.state.grid.names
        order = [names.index(name) for name in domain.names]
        return self.coverage.is_computed().transpose(order)

    def layout(self, layout: Layout) -> Layout:
        """The layout of a new grid that is like the shared one: their points go together."""
        grid = self.state.grid
        return replace(
            layout,
            chunks=grid.chunk_spec(),
            shards=grid.shard_spec() or False,
            schema=grid.schema,
            encodings=GivenEncodings(),
            key_id=grid.key_id or None,
        )

    def rest(self, domain: Domain) -> Domain:
        """The requested points that are not computed there."""
        known = self.known(domain)
        asked = ~known if domain.mask is None else domain.mask & ~known
        return replace(domain, mask=asked)

    def counted(self, coverage: Coverage, domain: Domain) -> Coverage:
        """A coverage of the request in the scope, with these points as computed ones.

        For counting alone: their values are not in the chunks of the scope.
        """
        order = [domain.names.index(name) for name in coverage.grid.names]
        known = self.known(domain).transpose(order)
        if known.all():
            return replace(coverage, complete=np.ones_like(coverage.complete), partial={})
        return coverage.with_computed(_places(coverage, known)) if known.any() else coverage


def _places(
    coverage: Coverage, known: NDArray[np.bool_]
) -> Iterator[tuple[tuple[int, ...], Points]]:
    selection = coverage.selection
    for touched in selection.touched():
        part = known[selection.index_in_request(touched)]
        if part.any():
            mask = np.zeros(selection.chunk_shape, bool)
            mask[selection.index_in_chunk(touched)] = part
            yield selection.chunk_index(touched), Points.from_mask(mask)
