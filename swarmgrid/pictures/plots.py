"""Plots of a grid in matplotlib, made as xarray makes its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from swarmgrid.errors import InputError
from swarmgrid.pictures.chunk_map import MISSING, STATES
from swarmgrid.pictures.colors import STATE_COLORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from swarmgrid.pictures.chunk_map import GridMap, MapAxis

_MISSING = (0.93, 0.93, 0.92)
_MAX_TICKS = 8


class GridPlot:
    """The plots of a stored grid: ``grid.plot.status()`` and ``grid.plot.timings()``.

    They show two axes, and facets of a third; the other axes are collapsed. No value is read.
    """

    __module__ = "swarmgrid"

    def __init__(self, read: Callable[[str | None, str | None], GridMap], title: str) -> None:
        self._map = read
        self._title = title

    def status(self, x: str | None = None, y: str | None = None, **options: Any) -> Any:
        """Plot which points are computed, which failed, and which are missing.

        Parameters
        ----------
        x, y : str, optional
            The axes of the plot. Default: the two longest. A third one of up to six values is
            made of facets, and cells hold all values of the others.
        **options
            Options of ``DataArray.plot.pcolormesh``, such as ``ax`` or ``figsize``.

        Returns
        -------
        matplotlib.collections.QuadMesh or xarray.plot.FacetGrid
            As xarray's own plots.

        Raises
        ------
        InputError
            If nothing is stored, there is no such axis, or matplotlib is not installed.
        """
        colors = _colors()
        found = self._map(x, y)
        states = found.states()
        # a colour for each state that may occur, so that two plots of one grid can be compared
        has_parts = int(found.total.max(initial=1)) > 1
        shown = [s for s in range(len(STATES)) if has_parts or s not in {1, 2, 3}]
        numbers = np.searchsorted(shown, states)
        palette = [_MISSING if s == MISSING else _on_white(STATE_COLORS[s]) for s in shown]
        plotted = {
            "cmap": colors.ListedColormap(palette),
            "norm": colors.BoundaryNorm(np.arange(len(shown) + 1) - 0.5, len(shown)),
        }
        if "cbar_kwargs" not in options and options.get("add_colorbar", True):
            plotted["cbar_kwargs"] = {"ticks": range(len(shown)), "label": ""}
        mesh = self._plotted(
            found, numbers.astype("f8"), {"long_name": "status"}, plotted, options
        )
        bar = getattr(mesh, "cbar", None) or getattr(mesh, "colorbar", None)
        if bar is not None:
            bar.ax.set_yticklabels([STATES[s] for s in shown])
        return mesh

    def timings(self, x: str | None = None, y: str | None = None, **options: Any) -> Any:
        """Plot the seconds that a point took inside the function.

        Parameters
        ----------
        x, y : str, optional
            The axes of the plot, as for `status`. A cell of several points has their mean.
        **options
            Options of ``DataArray.plot.pcolormesh``, such as ``ax`` or ``figsize``.

        Returns
        -------
        matplotlib.collections.QuadMesh or xarray.plot.FacetGrid
            As xarray's own plots.
        """
        colors = _colors()
        found = self._map(x, y)
        cost = found.cost()
        known = cost[np.isfinite(cost) & (cost > 0)]
        plotted: dict[str, Any] = {"cmap": "cividis"}
        if known.size and known.max() > 10 * known.min() and not {"vmin", "norm"} & options.keys():
            plotted["norm"] = colors.LogNorm(*np.percentile(known, [0, 100]))
        attrs = {"long_name": "time of a point", "units": "s"}
        return self._plotted(found, cost, attrs, plotted, options)

    def _plotted(
        self,
        found: GridMap,
        values: NDArray[Any],
        attrs: dict[str, Any],
        plotted: dict[str, Any],
        options: dict[str, Any],
    ) -> Any:
        sides = {"y": found.y, "x": found.x}
        dims = {side: axis.name or f"{side}_" for side, axis in sides.items()}
        coords = {dims[side]: _coordinate(dims[side], axis) for side, axis in sides.items()}
        data = xr.DataArray(values[0], coords, (dims["y"], dims["x"]), attrs=attrs)
        if len(found.facet) > 1:
            coords[found.facet.name] = (found.facet.name, list(found.facet.labels))  # type: ignore[assignment]
            data = xr.DataArray(
                values, coords, (found.facet.name, dims["y"], dims["x"]), attrs=attrs
            )
            plotted = {"col": found.facet.name, "col_wrap": min(3, len(found.facet)), **plotted}
        mesh = data.plot.pcolormesh(x=dims["x"], y=dims["y"], **{**plotted, **options})
        facets = getattr(mesh, "axs", None)
        for ax in [mesh.axes] if facets is None else facets.flat:
            _set_ticks(ax.xaxis, found.x)
            _set_ticks(ax.yaxis, found.y)
            if facets is None and not ax.get_title():
                ax.set_title(self._title)
        return mesh


def _colors() -> Any:
    """Matplotlib's module of colours; InputError that names the extra where there is none."""
    try:
        from matplotlib import colors
    except ImportError:
        raise InputError(
            "plots need matplotlib, which the extra 'plot' installs: "
            "pip install 'swarmgrid-zarr[plot]'"
        ) from None
    return colors


def _on_white(color: tuple[int, int, int, int]) -> tuple[float, ...]:
    *channels, alpha = (part / 255 for part in color)
    return tuple(1 - alpha * (1 - part) for part in channels)


def _coordinate(dim: str, axis: MapAxis) -> xr.Variable:
    """The values of an axis where a plot can place them; else the numbers of its cells."""
    values = axis.values
    if len(axis) == 1:  # of one value alone, no edges follow
        return xr.Variable((dim,), pd.IntervalIndex.from_breaks([-0.5, 0.5]))
    if values is None or not _can_be_placed(values):
        return xr.Variable((dim,), np.arange(len(axis)))
    if values.dtype.kind == "m":
        return xr.Variable((dim,), values / np.timedelta64(1, "s"), {"units": "s"})
    return xr.Variable((dim,), values)


def _can_be_placed(values: NDArray[Any]) -> bool:
    if len(values) < 2:
        return False
    if values.dtype.kind in "mM":
        return not np.isnat(values).any()
    return bool(np.isfinite(values).all())


def _set_ticks(along: Any, axis: MapAxis) -> None:
    """Name some cells of an axis that a plot has only the numbers of."""
    if not axis.name:
        along.set_ticks([])
        along.set_label_text("")
        return
    if axis.values is not None and _can_be_placed(axis.values):
        return
    step = -(-len(axis) // _MAX_TICKS)
    at = list(range(0, len(axis), step))
    along.set_ticks(at, [axis.labels[i].split(" … ")[0] for i in at])
