"""Reading a stored grid: its state, values, failures and timings, and why it is a new one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from swarmgrid.codecs.words import encodings_in_words
from swarmgrid.errors import InputError, brief
from swarmgrid.finding.moments import layers_at
from swarmgrid.finding.resolve import axis_names, in_order, not_stored
from swarmgrid.format.shard import stored_raw
from swarmgrid.handle.base import GridBase
from swarmgrid.handle.summary import GridSummary
from swarmgrid.inventory.keeping import current_row
from swarmgrid.option_checks import check_view_chunks, checked
from swarmgrid.planning.estimate import remaining
from swarmgrid.planning.growth import covered
from swarmgrid.planning.layers import Beneath, joint_axes
from swarmgrid.planning.origin import warn_of_another_origin
from swarmgrid.planning.request import Domain, Layout
from swarmgrid.quantities import check_flags
from swarmgrid.records.code_record import read_code
from swarmgrid.store.sources import remember

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    import xarray as xr

    from swarmgrid.finding.moments import Moment
    from swarmgrid.handle.grid import Grid
    from swarmgrid.inventory.difference import Difference
    from swarmgrid.inventory.row import GridRow
    from swarmgrid.planning.estimate import Plan
    from swarmgrid.planning.layers import Layer
    from swarmgrid.records.code_record import CodePart
    from swarmgrid.records.failures import FailedPoint
    from swarmgrid.records.grid_state import GridState


class GridReading(GridBase):
    """A stored grid, as far as it is read; see `Grid`."""

    def state(self) -> GridSummary:
        """Read what is stored: the axes' lengths, the outputs, and how much is computed.

        Raises
        ------
        InputError
            If nothing is stored of it.
        StoreError
            If the store cannot be used, or what is read from it is damaged.
        """
        return self._summary_of(self._stored_layers())

    def _summary_of(self, layers: Sequence[Layer]) -> GridSummary:
        found = self._summary(layers[0].state, self._failures(layers[0]))
        if len(layers) == 1:
            return found
        status = self.status().values
        return replace(
            found,
            lengths={axis.name: len(axis) for axis in joint_axes(layers)},
            points_total=status.size,
            points_computed=int((status == 1).sum()),
            points_failed=int((status == 2).sum()),
            archive=next((one.state.grid.archive.store for one in layers
                          if one.state.grid.archive is not None), ""),
        )  # fmt: skip

    def _summary(self, state: GridState, failures: Sequence[FailedPoint]) -> GridSummary:
        grid = state.grid
        total = math.prod(map(len, grid.axes))
        coverage = covered(Domain(grid.axes), Layout(), grid, state.manifest, needs_key=False)
        return GridSummary(
            function=str(grid.attributes.get("swarmgrid_function", self.function)),
            grid=self.id,
            params=str(grid.attributes.get("swarmgrid_params", "")),
            version=str(grid.attributes.get("swarmgrid_version", "")),
            lengths={axis.name: len(axis) for axis in grid.axes},
            chunks=grid.chunk_spec(),
            shards=grid.shard_spec(),
            outputs=grid.schema.outputs,
            encodings=encodings_in_words(grid.schema, stored_raw(grid)),
            points_total=total,
            points_computed=total - coverage.n_missing(),
            points_failed=len(failures),
            archive="" if grid.archive is None else grid.archive.store,
        )

    def dataset(
        self,
        axes: Sequence[str] | None = None,
        *,
        view_chunks: Any = None,
        at: Moment = None,
    ) -> xr.Dataset:
        """Open every stored value, lazily.

        Parameters
        ----------
        axes : sequence of str, optional
            The axes' names in the order that the dims are to have. Default: as stored.
        view_chunks : {}, "auto" or mapping, optional
            As for `swarmgrid.compute`.
        at : Snapshot, str or datetime, optional
            A snapshot, its id or its message: what was computed when it was taken. Or a time, in
            UTC unless it has a time zone, such as ``"2026-11-20T12:00"``: what was computed by
            then and was not deleted since; a day alone is its beginning. Default: now. In a
            scope, a time counts in the shared store, too, and so does that of a snapshot of the
            scope; a snapshot of the shared store is that alone.

        Raises
        ------
        InputError
            If nothing is stored of it, or there is no such snapshot.
        """
        from swarmgrid.view.layers import layered_dataset

        checked("view_chunks", view_chunks)
        layers = self._stored_layers() if at is None else layers_at(self._ref, at)
        ordered = in_order(joint_axes(layers), axis_names(axes))
        names, shape = [axis.name for axis in ordered], tuple(map(len, ordered))
        check_view_chunks(view_chunks, names, shape, layers[0].state.grid.schema)
        warn_of_another_origin(self._ref, layers[0].state.grid.attributes)
        remember(self._ref.location)
        return layered_dataset(layers, ordered, view_chunks, is_past=at is not None)

    def errors(self) -> pd.DataFrame:
        """The points at which the function failed and that are not computed since.

        Returns
        -------
        pandas.DataFrame
            A row for each point: its axis values, then ``exception``, ``reason``, ``traceback``,
            ``attempt`` (how often it was tried) and ``time`` (of the last attempt, UTC). One that
            is named like an axis gets an underscore at its end: ``time_``.
        """
        from swarmgrid.view import dataset
        from swarmgrid.view.failed import joint_failures

        layers = self._layers()
        if not layers:
            return dataset.failure_table((), [])
        failures = joint_failures(layers, [self._failures(layer) for layer in layers])
        return dataset.failure_table(layers[0].state.grid.names, failures)

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
        from swarmgrid.view.layers import joint_status

        layers = self._stored_layers()
        return joint_status(layers, [self._failures(layer) for layer in layers])

    def plan(self) -> Plan:
        """The work that is left in the grid: its missing points, chunk by chunk, and their time.

        Returns
        -------
        Plan
            As `swarmgrid.plan` gives it for all values of the axes; failed points are missing.

        Raises
        ------
        InputError
            If nothing is stored of it.
        """
        first, *rest = layers = self._stored_layers()
        axes = joint_axes(layers)
        coverage = first.coverage(axes, needs_key=False)
        for layer in rest:
            beneath = Beneath(layer.state, layer.coverage(axes, needs_key=False))
            coverage = beneath.counted(coverage, Domain(axes))
        return remaining(coverage, first.state.manifest)

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
            in ``attrs["writers"]``. A point that is not computed has NaN, NaT and -1. A variable
            that is named like an axis gets an underscore at its end: ``time_``.
        """
        from swarmgrid.view.layers import joint_timings

        return joint_timings(self._stored_layers())

    def export(self, target: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the whole grid as one file of another format.

        It is read into memory for that, written under another name, and renamed when it is whole.

        Parameters
        ----------
        target : path
            A path that ends in ``.nc`` (netCDF; needs ``netCDF4`` or ``h5netcdf``), ``.parquet``
            (needs ``pyarrow``), ``.csv`` or ``.zarr``. Tables have a row for each computed point.
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

        check_flags(overwrite=overwrite)
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
        layers, path = self._layers(), self._ref.path
        blobs = (layers[0].ref if layers else self._ref).location.open()
        row = current_row(blobs, path)
        if row.is_gone:
            raise not_stored(self._ref)
        return row, read_code(blobs, path)
