"""Plotting a stored grid: its status and its costs, as maps over two axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmgrid.handle.base import GridBase
from swarmgrid.planning.layers import joint_axes
from swarmgrid.space.names import beside_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarmgrid.pictures.chunk_map import GridMap
    from swarmgrid.pictures.plots import GridPlot
    from swarmgrid.planning.layers import Layer


class GridPlotting(GridBase):
    """A stored grid, as far as it is drawn; see `Grid`."""

    @property
    def plot(self) -> GridPlot:
        """The plots of the grid, in matplotlib: ``plot.status()`` and ``plot.timings()``.

        Needs the extra ``plot``.

        Examples
        --------
        >>> import swarmgrid
        >>> @swarmgrid.grid(store="memory://plot", executor="sync")
        ... def area(width, height):
        ...     return width * height
        >>> ds = area.compute(axes={"width": [1, 2, 3], "height": [1, 2]})
        >>> mesh = area.grid(axes=["width", "height"]).plot.status()
        >>> mesh.axes.get_xlabel()
        'width'
        """
        from swarmgrid.pictures.plots import GridPlot

        return GridPlot(
            lambda x, y: self._map_of(self._stored_layers(), x, y),
            f"{self.function} {self.id[:12]}",
        )

    def _map_of(
        self, layers: Sequence[Layer], x: str | None = None, y: str | None = None
    ) -> GridMap:
        """The map of the grid over two axes; no value is read."""
        from swarmgrid.pictures.chunk_map import grid_map, points_map

        failures = [self._failures(layer) for layer in layers]
        if len(layers) == 1:
            state = layers[0].state
            return grid_map(state.grid, state.manifest, failures[0], x, y)
        from swarmgrid.view.layers import joint_status, joint_timings
        from swarmgrid.view.status import FAILED

        axes = joint_axes(layers)
        name = beside_axes(["seconds"], [axis.name for axis in axes])["seconds"]
        seconds = joint_timings(layers)[name].values
        is_failed = joint_status(layers, failures).values == FAILED
        return points_map(axes, seconds, is_failed, x, y)
