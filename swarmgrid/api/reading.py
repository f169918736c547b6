"""The methods of a grid's handle that look at its points: status, timings, other formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swarmgrid.api.resolve import not_stored
from swarmgrid.errors import InputError, brief
from swarmgrid.format.code_record import read_code
from swarmgrid.inventory.keeping import current_row

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    import xarray as xr

    from swarmgrid.api.handle import Grid
    from swarmgrid.format.code_record import CodePart
    from swarmgrid.format.failures import FailedPoint
    from swarmgrid.format.grid_state import GridState
    from swarmgrid.inventory.difference import Difference
    from swarmgrid.inventory.row import GridRow
    from swarmgrid.store.grid_ref import GridRef


class GridReading:
    """A stored grid, as far as it is read point by point; see `Grid`."""

    _ref: GridRef

    def status(self) -> xr.DataArray:
        """The status of every point of the grid, lazily.

        Returns
        -------
        xr.DataArray
            Over the axes: 0 for a point that is missing, 1 for one that is computed, 2 for one at
            which the function failed. It is the status at the time of the call.

        Raises
        ------
        InputError
            If nothing is stored of it.

        Examples
        --------
        >>> import swarmgrid
        >>> @swarmgrid.grid(store="memory://status", executor="sync")
        ... def area(width, height):
        ...     return width * height
        >>> ds = area.compute({"height": 2.0}, {"width": [1, 2, 3]})
        >>> grid = area.grid({"height": 2.0})
        >>> grid.delete(width=[2])
        1
        >>> grid.status().values
        array([1, 0, 1], dtype=int8)
        """
        from swarmgrid.view.status import status_array

        state = self._read()
        return status_array(state.grid, state.manifest, self._failures(state))

    def missing(self) -> pd.DataFrame:
        """The points that are neither computed nor failed.

        Returns
        -------
        pandas.DataFrame
            A row for each point: a column for each axis.
        """
        from swarmgrid.view.status import missing_table

        return missing_table(self.status())

    def timings(self) -> xr.Dataset:
        """The cost of every computed point, and when and by which process it was computed, lazily.

        Returns
        -------
        xr.Dataset
            Over the axes: ``seconds`` inside the function (points that were committed together
            share theirs evenly), ``time`` at which the work ended (UTC), and ``writer``, a number
            in ``attrs["writers"]``. A point that is not computed has NaN, NaT and -1.
        """
        from swarmgrid.view.status import timings_dataset

        state = self._read()
        return timings_dataset(state.grid, state.manifest)

    def export(self, target: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the whole grid as one file of another format.

        It is read into memory for that, written under another name, and renamed when it is whole.

        Parameters
        ----------
        target : path
            A path that ends in ``.nc`` (netCDF; needs ``netCDF4``), ``.parquet`` (needs
            ``pyarrow``), ``.csv`` or ``.zarr``. Tables have a row for each computed point.
        overwrite : bool, default False
            Whether to replace a file that is there.

        Returns
        -------
        pathlib.Path
            The absolute path of the file.

        Raises
        ------
        InputError
            If the format is not known, cannot hold the values, or needs a package that is not
            installed; or if there is such a file.
        """
        from swarmgrid.view.export import export

        if not isinstance(overwrite, bool):
            raise InputError(f"overwrite is {brief(overwrite)}; expected True or False")
        return export(self.dataset(), self.status(), target, overwrite=overwrite)

    def why(self, other: Grid) -> Difference:
        """The reason why this grid is another one than a second: code lines, params, axes.

        Parameters
        ----------
        other : Grid
            The other grid, of any store; the older one of the two, as a rule.

        Returns
        -------
        Difference
            Its text names each difference, such as "`helper` in model.py changed (-return x * 2,
            +return x * 3)". Code is known of grids that were made without ``version=``.

        Raises
        ------
        InputError
            If nothing is stored of one of them.
        """
        from swarmgrid.inventory.difference import difference

        if not isinstance(other, GridReading):
            raise InputError(f"other is {brief(other)}; expected a swarmgrid.Grid")
        old, new = other._brief(), self._brief()  # noqa: SLF001  # of the same class
        return difference(old[0], new[0], old[1], new[1])

    def _brief(self) -> tuple[GridRow, tuple[CodePart, ...]]:
        """The inventory's row of the grid as it is now, and the code that made it."""
        blobs, path = self._ref.location.open(), self._ref.path
        row = current_row(blobs, path)
        if row.is_gone:
            raise not_stored(self._ref)
        return row, read_code(blobs, path)

    def dataset(self, axes: Sequence[str] | None = None, *, view_chunks: Any = None) -> xr.Dataset:
        """Open every stored value, lazily."""
        raise NotImplementedError

    def _read(self) -> GridState:
        raise NotImplementedError

    def _failures(self, state: GridState) -> list[FailedPoint]:
        raise NotImplementedError
