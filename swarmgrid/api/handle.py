"""The handle of one stored grid: its values, failures and soundness; no function is needed."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from swarmgrid.api.dropping import drop
from swarmgrid.api.reading import GridReading
from swarmgrid.api.resolve import axis_names, in_order, location_of, named_ref, not_stored
from swarmgrid.api.summary import GridSummary
from swarmgrid.errors import InputError, SwarmgridError, brief
from swarmgrid.format.failures import read_all_failures, within
from swarmgrid.format.grid_state import read_state
from swarmgrid.format.tags import read_tags
from swarmgrid.inventory.keeping import recorded, tag
from swarmgrid.maintenance.convert import convert_output, converted
from swarmgrid.maintenance.removal import remove_points
from swarmgrid.maintenance.repair import repair_grid
from swarmgrid.maintenance.verify import verify_grid
from swarmgrid.option_checks import check_view_chunks, checked
from swarmgrid.options import current_options
from swarmgrid.planning.growth import covered
from swarmgrid.planning.origin import warn_of_another_origin
from swarmgrid.planning.request import Domain, Layout
from swarmgrid.readable import code, page, table, verdict
from swarmgrid.space.tags import checked_tags
from swarmgrid.store import lease
from swarmgrid.store.preflight import check_writable
from swarmgrid.store.sources import remember

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import pandas as pd
    import xarray as xr

    from swarmgrid.format.failures import FailedPoint
    from swarmgrid.format.grid_state import GridState
    from swarmgrid.maintenance.report import Report
    from swarmgrid.store.grid_ref import GridRef


class Grid(GridReading):
    """A stored grid: its values, its failures, and its soundness. No function is needed for them.

    Made by `Grid.open` from a store and an id, or by `GridFunction.grid` from a function and its
    params. Making one reads no data, and every method reads the store anew.

    Examples
    --------
    >>> import swarmgrid
    >>> @swarmgrid.grid(store="memory://handle", executor="sync")
    ... def area(width, height):
    ...     return width * height
    >>> ds = area.compute({"height": 2.0}, {"width": [1, 2, 3]})
    >>> grid = swarmgrid.Grid.open("memory://handle", "area/")
    >>> state = grid.state()
    >>> state.function, state.points_computed
    ('area', 3)
    >>> grid.dataset()["value"].values
    array([2., 4., 6.])
    """

    __module__ = "swarmgrid"

    def __init__(self, ref: GridRef) -> None:
        self._ref = ref

    @classmethod
    def open(
        cls,
        store: str | os.PathLike[str] | Any,
        grid: str,
        *,
        storage_options: Mapping[str, Any] | None = None,
    ) -> Grid:
        """Find a stored grid by its id.

        Parameters
        ----------
        store : str, path or zarr.abc.store.Store
            The store, as for `swarmgrid.compute`.
        grid : str
            The grid id or its first digits, alone or as ``function/id``; ``"function/"`` is the
            only grid of a function.
        storage_options : mapping, optional
            Options with which obstore opens a URL.

        Raises
        ------
        InputError
            If no grid, or more than one, has such an id.
        """
        given = {"store": store, "storage_options": storage_options}
        return cls(named_ref(location_of(current_options().updated(given)), grid))

    @property
    def function(self) -> str:
        """The function's name."""
        return self._ref.path.function

    @property
    def id(self) -> str:
        """The grid id."""
        return self._ref.path.grid

    def __repr__(self) -> str:
        return f"<swarmgrid.Grid {self._ref.path.group} in {self._ref.location.url!r}>"

    @property
    def tags(self) -> dict[str, Any]:
        """The tags of the grid: those given to `compute`, with the changes made by `tag`."""
        blobs, path = self._ref.location.open(), self._ref.path
        return read_tags(blobs, path, blobs.names(path.manifest))

    def tag(self, tags: Mapping[str, Any] | None = None, /, **more: Any) -> dict[str, Any]:
        """Add or change tags, and return all tags of the grid; None removes one.

        Parameters
        ----------
        tags : mapping, optional
            By name a text, a number, a bool or a list of these.
        **more
            Further tags.

        Raises
        ------
        InputError
            If nothing is stored of the grid, or a tag has a value of another kind.
        """
        changes = checked_tags({**({} if tags is None else checked_tags(tags)), **more})
        check_writable(self._ref.location)
        found = tag(self._ref.location, self._ref.path, changes)
        if found is None:
            raise not_stored(self._ref)
        return found

    def _repr_html_(self) -> str:
        """Read what is stored, and show it; an error is shown, too, and not raised."""
        where = [("grid", code(self.id)), ("store", code(self._ref.location.url))]
        try:
            contents = self.state()._contents()  # noqa: SLF001  # the same, with the store
        except SwarmgridError as error:
            contents = [table([("state", verdict(str(error), is_good=False))])]
        return page("Grid", self.function, *contents[:1], table(where), *contents[1:])

    def state(self) -> GridSummary:
        """Read what is stored: the axes' lengths, the outputs, and how much is computed.

        Raises
        ------
        InputError
            If nothing is stored of it.
        StoreError
            If the store cannot be used, or what is read from it is damaged.
        """
        state = self._read()
        grid = state.grid
        total = math.prod(map(len, grid.axes))
        coverage = covered(Domain(grid.axes), Layout(), grid, state.manifest)
        return GridSummary(
            function=str(grid.attributes.get("swarmgrid_function", self.function)),
            grid=self.id,
            params=str(grid.attributes.get("swarmgrid_params", "")),
            version=str(grid.attributes.get("swarmgrid_version", "")),
            lengths={axis.name: len(axis) for axis in grid.axes},
            chunks=grid.chunk_spec(),
            shards=grid.shard_spec(),
            outputs=grid.schema.outputs,
            points_total=total,
            points_computed=total - coverage.n_missing(),
            points_failed=len(self._failures(state)),
        )

    def dataset(self, axes: Sequence[str] | None = None, *, view_chunks: Any = None) -> xr.Dataset:
        """Open every stored value, lazily.

        Parameters
        ----------
        axes : sequence of str, optional
            The axes' names in the order that the dims are to have. Default: as stored.
        view_chunks : {}, "auto" or mapping, optional
            As for `swarmgrid.compute`.

        Raises
        ------
        InputError
            If nothing is stored of it.
        """
        from swarmgrid.view import dataset

        checked("view_chunks", view_chunks)
        state = self._read()
        grid = state.grid
        warn_of_another_origin(self._ref, grid.attributes)
        ordered = in_order(grid.axes, axis_names(axes))
        coverage = covered(Domain(ordered), Layout(), grid, state.manifest)
        names, shape = [axis.name for axis in ordered], tuple(map(len, ordered))
        check_view_chunks(view_chunks, names, shape, grid.schema)
        ref = self._ref
        if not ref.attributes:
            ref = replace(ref, attributes=grid.attributes)
        remember(ref.location)
        return dataset.dataset(ref, ordered, coverage, state.manifest, view_chunks)

    def errors(self) -> pd.DataFrame:
        """The points at which the function failed and that are not computed since.

        Returns
        -------
        pandas.DataFrame
            A row for each point: its axis values, then ``exception``, ``reason``, ``traceback``,
            ``attempt`` (how often it was tried) and ``time`` (of the last attempt, UTC).
        """
        from swarmgrid.view import dataset

        state = read_state(self._ref.location.open(), self._ref.path)
        if state is None:
            return dataset.failure_table((), [])
        return dataset.failure_table(state.grid.names, self._failures(state))

    def verify(self) -> Report:
        """Read everything that is stored of the grid, and say what is wrong with it.

        Returns
        -------
        Report
            The numbers of chunks and points read, a `Problem` for each object that is damaged,
            missing or left over, and a `Note` for each object that a killed process left, which
            does no harm.

        Raises
        ------
        InputError
            If nothing is stored of it.
        """
        blobs, path = self._ref.location.open(), self._ref.path
        if not blobs.names(path.manifest) and blobs.get(path.metadata, 0) is None:
            raise not_stored(self._ref)
        return verify_grid(blobs, path)

    def repair(self) -> Report:
        """Repair what `verify` finds, and return what it found before.

        Metadata is rebuilt from its second copy, and the copy from it. Left-overs are removed, but
        nothing of a process that is at work. Points whose values are damaged count as not
        computed: the next `compute` computes them.
        """
        before = self.verify()
        if before.is_clean and not before.notes:
            return before
        check_writable(self._ref.location)
        with self._written(may_delete=True) as held:
            repair_grid(held, self._ref)
        return before

    def convert(self, output: str, dtype: str) -> None:
        """Convert a stored output to a wider dtype; nothing is computed again.

        For an output whose first values were ints, and that turned out to be one of floats.
        Waits while another process fills the grid. Datasets that are open go on reading the old
        chunks, which stay until `repair` or another conversion removes them.

        Parameters
        ----------
        output : str
            The output's name.
        dtype : dtype-like
            A dtype of numbers that holds all that the stored one does, such as ``"float64"`` for
            one of ints. Every stored value must be the same in it, or nothing is changed.

        Raises
        ------
        InputError
            If nothing is stored, or the output cannot be converted.
        DamageError
            If a value is damaged; `repair` comes first then.
        """
        converted(self._read().grid, output, dtype)  # what cannot be is said before any write
        check_writable(self._ref.location)
        with self._written() as held:
            if not convert_output(held, self._ref.path, output, dtype):
                raise not_stored(self._ref)

    def delete(self, selection: Mapping[str, Any] | None = None, /, **labels: Any) -> int:
        """Delete the values of some points, from the manifest and from the disk.

        The axes keep their values. The next `compute` that asks for the points computes them.
        Waits while another process fills the grid. A Dataset that was opened before finds the
        chunks changed: reading them is an error.

        Parameters
        ----------
        selection : mapping, optional
            By axis a value, a list of values, or a slice of labels, as for ``Dataset.sel``; an
            axis that is not named is taken whole.
        **labels
            The same, by keyword: ``grid.delete(s=slice(0, 9), strat="a")``.

        Returns
        -------
        int
            The number of points that were computed and are not any more.

        Raises
        ------
        InputError
            If nothing is selected, or nothing is stored; see `drop` for the whole grid.
        DamageError
            If values that share a chunk with these are damaged; `repair` comes first then.
        """
        return self._remove(selection, labels, from_disk=True)

    def invalidate(self, selection: Mapping[str, Any] | None = None, /, **labels: Any) -> int:
        """Count some points as not computed, so that the next `compute` computes them again.

        As `delete`, but their values stay on the disk until they are computed again.
        """
        return self._remove(selection, labels, from_disk=False)

    def drop(self) -> None:
        """Delete everything that is stored of the grid.

        Waits while another process fills it.

        Raises
        ------
        InputError
            If nothing is stored of it.
        """
        location, path = self._ref.location, self._ref.path
        blobs = location.open()
        if not blobs.names(path.prefix) and not blobs.names(path.manifest):
            raise not_stored(self._ref)
        drop(location, path)

    def _remove(
        self, selection: Mapping[str, Any] | None, labels: Mapping[str, Any], *, from_disk: bool
    ) -> int:
        from swarmgrid.view.status import positions

        if selection is not None and not isinstance(selection, Mapping):
            raise InputError(
                f"the selection is {brief(selection)}; expected a mapping from axes to labels"
            )
        chosen = {**(selection or {}), **labels}
        if not chosen:
            raise InputError(
                "nothing is selected; name an axis and its labels, such as s=slice(0, 9), or call "
                "drop() for the whole grid"
            )
        positions(self._read().grid.axes, chosen)  # what cannot be is said before any write
        check_writable(self._ref.location)
        with self._written() as held:
            n = remove_points(
                held, self._ref.path, lambda axes: positions(axes, chosen), from_disk=from_disk
            )
        if n is None:
            raise not_stored(self._ref)
        return n

    @contextlib.contextmanager
    def _written(self, *, may_delete: bool = False) -> Iterator[lease.Lease]:
        """Hold the right to write the grid, and have the inventory know of what is written."""
        location, path = self._ref.location, self._ref.path
        with (
            lease.acquire(location, path) as held,
            recorded(held, path, may_delete=may_delete),
        ):
            yield held

    def _read(self) -> GridState:
        state = read_state(self._ref.location.open(), self._ref.path)
        if state is None:
            raise not_stored(self._ref)
        return state

    def _failures(self, state: GridState) -> list[FailedPoint]:
        """The failures of points that are not computed since."""
        if not state.failure_names:
            return []
        failures = read_all_failures(self._ref.location.open(), self._ref.path)
        return [
            failure
            for (index, offset), failure in within(failures, state.grid).items()
            if not state.manifest.holds(index, offset)
        ]
