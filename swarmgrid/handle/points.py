"""Asking a stored grid for some of its points, by their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError
from swarmgrid.handle.base import GridBase

if TYPE_CHECKING:
    import xarray as xr

_MAX_SHOWN = 3
"""The missing points that an error names."""
_RAISE: Any = type("", (), {"__repr__": lambda _: "error"})()


class GridPoints(GridBase):
    """A stored grid, as far as it is asked for some of its points; see `Grid`."""

    def exists(
        self, selection: Mapping[str, Any] | None = None, /, **labels: Any
    ) -> bool | xr.DataArray:
        """Say which points are computed, by the manifest alone: no value is read.

        Parameters
        ----------
        selection : mapping, optional
            By axis a value, a list of values, or a slice of labels, as for `delete`; an axis that
            is not named is taken whole. A value that an axis does not have is of no computed
            point.
        **labels
            The same, by keyword: ``grid.exists(s=0.1, r=[1, 2, 3])``.

        Returns
        -------
        bool or xr.DataArray
            A bool where every axis has one label; else bools over the axes that have several. A
            grid that is not stored has no computed point.

        Raises
        ------
        InputError
            If there is no such axis, or a label is of another kind than its values.

        Examples
        --------
        >>> import swarmgrid
        >>> @swarmgrid.grid(store="memory://exists", executor="sync")
        ... def area(width, height):
        ...     return width * height
        >>> ds = area.compute({"height": 2.0}, {"width": [1, 2, 3]})
        >>> grid = area.grid({"height": 2.0})
        >>> grid.exists(width=2), grid.exists(width=7)
        (True, False)
        >>> grid.exists(width=[1, 7]).values
        array([ True, False])
        """
        from swarmgrid.view.layers import computed_at
        from swarmgrid.view.selecting import to_selection

        found = computed_at(self._layers(), to_selection(selection, labels))
        return found if found.ndim else bool(found)

    def get(
        self,
        selection: Mapping[str, Any] | None = None,
        /,
        *,
        default: Any = _RAISE,
        **labels: Any,
    ) -> xr.Dataset:
        """Read the values of some points, all of which must be computed.

        Parameters
        ----------
        selection : mapping, optional
            By axis a value, a list of values, or a slice of labels, as for `delete`; an axis that
            is not named is taken whole.
        default : optional
            The value, in every output, of points that are not computed; or a mapping with a value
            for each output. Without it they are an error. An output keeps its dtype if the
            default equals a value of it, as -1.0 does the integer -1. Else numbers get a wider
            dtype that holds all of them exactly, and what has none is an array of objects. For
            times, None and NaN are NaT.
        **labels
            The same, by keyword: ``grid.get(s=0.1, r=[1, 2, 3])``.

        Returns
        -------
        xr.Dataset
            As ``Dataset.sel`` gives it, in memory: an axis with one label is no dim. Its outputs
            keep their dtypes where no point is missing.

        Raises
        ------
        InputError
            If a point is not computed, there is no such axis, or nothing is stored.

        Examples
        --------
        >>> import swarmgrid
        >>> @swarmgrid.grid(store="memory://get", executor="sync")
        ... def area(width, height):
        ...     return width * height
        >>> ds = area.compute({"height": 2.0}, {"width": [1, 2, 3]})
        >>> grid = area.grid({"height": 2.0})
        >>> grid.get(width=2)["value"].item()
        4.0
        >>> grid.get(width=[3, 9], default=-1.0)["value"].values
        array([ 6., -1.])
        """
        from swarmgrid.view.layers import computed_at, values_at
        from swarmgrid.view.selecting import to_selection

        chosen, layers = to_selection(selection, labels), self._stored_layers()
        exists = computed_at(layers, chosen)
        if default is _RAISE and not exists.values.all():
            raise self._not_computed(exists)
        return values_at(layers, chosen, exists.values, default)

    def _not_computed(self, exists: xr.DataArray) -> InputError:
        """The error that points are not computed, which names some."""
        if not exists.ndim:
            return InputError(
                "the point is not computed; pass default= for a value in its place, or compute it"
            )
        at = np.argwhere(~exists.values)
        shown = "; ".join(
            ", ".join(
                f"{dim}={exists[dim].values[i]!s}" for dim, i in zip(exists.dims, one, strict=True)
            )
            for one in at[:_MAX_SHOWN].tolist()
        )
        more = f" and {len(at) - _MAX_SHOWN} more" if len(at) > _MAX_SHOWN else ""
        return InputError(
            f"{len(at)} of the {exists.size} points are not computed: {shown}{more}. Pass "
            "default= for a value in their place, or compute them; exists() says which are"
        )
