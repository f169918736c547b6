"""Approximate indexes of a stored grid: made, listed and deleted."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, brief
from swarmgrid.handle.base import GridBase
from swarmgrid.leases.preflight import check_writable
from swarmgrid.store.directory import remove_empty_folders

if TYPE_CHECKING:
    from swarmgrid.indexes.files import IndexBrief
    from swarmgrid.indexes.grid_index import GridIndex
    from swarmgrid.search.ranking import Metric


class GridIndexing(GridBase):
    """A stored grid, as far as its vectors are indexed; see `Grid`."""

    def index(
        self,
        output: str,
        *,
        metric: Metric = "cosine",
        connectivity: int = 16,
        expansion: int = 128,
    ) -> GridIndex:
        """An approximate index of the vectors of an output, for many searches of a large grid.

        It is kept beside the grid, under ``indexes/``, and brought up to date by this call: only
        the chunks of points that it does not hold yet are read. Where a store takes no object so
        large, it is kept in parts. One that is damaged is built
        again. Of an encrypted output it is encrypted. It waits for no run; two processes may
        build the same one. In a scope, the points of the scope have an index of their own, which
        is kept in the scope; that of the shared store is used, and brought up to date in memory.
        Needs the extra ``search``.

        Parameters
        ----------
        output : str
            The output; its own dims make the vector.
        metric : {"cosine", "euclidean", "dot"}, default "cosine"
            The distance, as for `DatasetAccessor.nearest`.
        connectivity : int, default 16
            The links of a vector: more of them miss less, and take more memory.
        expansion : int, default 128
            The candidates for these links: more of them miss less, and take longer to build.

        Returns
        -------
        GridIndex
            The index, in memory. Other settings make another one.

        Raises
        ------
        InputError
            If nothing is stored of the grid, the output or a setting cannot be used, or usearch
            is not installed.
        DamageError
            If a value is damaged; the next `compute` computes it again.
        """
        from swarmgrid.indexes.graph import index_class
        from swarmgrid.indexes.grid_index import GridIndex
        from swarmgrid.indexes.settings import IndexSettings
        from swarmgrid.search.hits import check_names

        settings = IndexSettings(output, metric, _plain(connectivity), _plain(expansion))
        grid = self._stored_layers()[0].state.grid
        settings.check(dict(grid.schema.outputs))
        own = [name for one in grid.schema.outputs.values() for name in one.dims]
        check_names([*grid.names, *grid.schema.outputs, *grid.schema.coords, *own])
        index_class()
        index = GridIndex(self._ref, settings)
        index.update()
        return index

    def indexes(self) -> list[IndexBrief]:
        """The indexes that are kept beside the grid, with their sizes; each is read for that.

        In a scope, first its own, then those of the shared store.
        """
        from swarmgrid.indexes.files import briefs

        layers = self._stored_layers()
        return [
            found
            for layer in layers
            for found in briefs(layer.ref.location.open(), layer.state.grid)
        ]

    def delete_index(self, output: str | None = None) -> int:
        """Delete the indexes of an output, or all of the grid; `index` makes them again.

        In a scope, those that are kept in it.

        Parameters
        ----------
        output : str, optional
            The output. Default: all.

        Returns
        -------
        int
            The number of indexes that were deleted.

        Raises
        ------
        InputError
            If the grid has neither such an output nor an index of one.
        """
        from swarmgrid.indexes import parts

        if output is not None and not isinstance(output, str):
            raise InputError(f"output is {brief(output)}; expected the name of an output")
        location, path = self._ref.location, self._ref.path
        check_writable(location)
        if output is not None:
            self._check_indexed(output)
        n = parts.delete(
            location.open(), path.indexes, lambda name: output in {None, parts.output_of(name)}
        )
        if location.is_directory:
            remove_empty_folders(location.url, [path.indexes])
        return n

    def _check_indexed(self, output: str) -> None:
        """Raise InputError for the name of what is neither an output nor has an index."""
        from swarmgrid.indexes import parts

        names = self._ref.location.open().names(self._ref.path.indexes)
        indexed = sorted({*map(parts.output_of, names)})
        if output in indexed:
            return
        outputs = self._stored_layers()[0].state.grid.schema.outputs
        if output not in outputs:
            have = f"there are indexes of {', '.join(map(repr, indexed))}" if indexed else (
                "the grid has no indexes"
            )  # fmt: skip
            raise InputError(
                f"there is no output {brief(output)}, of {', '.join(map(repr, outputs))}; {have}"
            )


def _plain(value: Any) -> Any:
    """An integer of any kind as Python's; all else as it is, to be refused."""
    try:
        return value if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return value
