"""Plotting a stored grid: its status and its costs, as maps over two axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmgrid.finding.resolve import not_stored
from swarmgrid.handle.base import GridBase

if TYPE_CHECKING:
    from swarmgrid.pictures.plots import GridPlot
    from swarmgrid.pictures.reading import GridLook


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

        return GridPlot(self._look, f"{self.function} {self.id[:12]}")

    def _look(self) -> GridLook:
        """Read all that a picture needs."""
        from swarmgrid.pictures.reading import read_look

        for location in self._ref.location.layers:
            look = read_look(location.open(), self._ref.path)
            if look is not None:
                return look
        raise not_stored(self._ref)
