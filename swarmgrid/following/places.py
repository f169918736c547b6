"""The points of an event: their labels, and their values in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import AxisError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr
    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.format.segment import Rows
    from swarmgrid.space.points import Points
    from swarmgrid.store.location import Location


@dataclass(frozen=True, slots=True)
class Places:
    """Some points of a grid, by chunk."""

    location: Location
    grid: StoredGrid
    source: Rows | tuple[tuple[int, ...], Points]
    """The rows of the points, or the index of a chunk and points in it."""

    def _chunks(self) -> Iterator[tuple[tuple[int, ...], Points]]:
        if isinstance(self.source, tuple):
            yield self.source
            return
        for i, index in enumerate(map(tuple, self.source.index.tolist())):
            yield index, self.source.points(i)

    def positions(self, most: int | None = None) -> NDArray[np.intp]:
        """``(n_points, n_axes)``: the points' positions on the stored axes."""
        lengths, parts, n = np.array(self.grid.chunk_shape, np.intp), [], 0
        for index, points in self._chunks():
            parts.append(np.array(index, np.intp) * lengths + points.indices())
            n += len(points)
            if most is not None and n >= most:
                break
        found = np.concatenate(parts) if parts else np.zeros((0, len(lengths)), np.intp)
        return found[:most]

    def labels(self, most: int | None = None) -> dict[str, NDArray[Any]]:
        """By axis the labels of the points, of the first of them if there are more."""
        at = self.positions(most)
        pairs = zip(self.grid.axes, at.T, strict=True)
        return {axis.name: axis.labels()[along] for axis, along in pairs}

    def dataset(self) -> xr.Dataset:
        """The points as they are stored now, over the dim ``point``; missing where they are gone.

        Raises
        ------
        InputError
            If the grid is gone, one with other axes is in its place, or an output has a dim
            ``point`` itself.
        """
        from swarmgrid.planning.growth import covered
        from swarmgrid.planning.request import Domain, Layout
        from swarmgrid.records.grid_state import read_state
        from swarmgrid.store.grid_ref import GridRef
        from swarmgrid.view.dataset import dataset

        state = read_state(self.location.open(), self.grid.path)
        if state is None:
            raise InputError(f"grid {self.grid.path.grid} was deleted after this event")
        grid = state.grid
        axes, where = [], {}
        for axis, along in zip(self.grid.axes, self.positions().T, strict=True):
            kept, now = np.unique(along, return_inverse=True)
            axes.append(axis.take(kept))
            where[axis.name] = ("point", now.reshape(-1))
        other = (
            f"grid {grid.path.grid} was deleted after this event, and made anew with other axes"
        )
        if {*where} != {*grid.names}:
            raise InputError(f"{other}: {', '.join(grid.names) or 'none'}")
        try:
            # asked for by label, as a user asks: the grid made anew has others, in another order
            domain = Domain(tuple(axes), is_lookup=True)
            coverage = covered(domain, Layout(), grid, state.manifest)
        except AxisError as error:
            raise InputError(f"{other}: {error}") from error
        ref = GridRef(self.location, grid.path, attributes=grid.attributes)
        found = dataset(ref, domain.axes, coverage, state.manifest)
        if "point" in found.dims and "point" not in where:
            raise InputError(
                f"an output of grid {grid.path.grid} has a dim 'point' of its own; open the grid, "
                "and select the labels in event.points"
            )
        return found.isel(where) if where else found.expand_dims("point")
