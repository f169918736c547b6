"""The catalog of a store: all its grids in brief, to look at, to search and to open."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from swarmgrid.codecs.keys import hold_keys
from swarmgrid.errors import InputError, brief
from swarmgrid.finding.resolve import location_of
from swarmgrid.handle.grid import Grid
from swarmgrid.inventory.keeping import stored_rows
from swarmgrid.inventory.query import is_equal, to_condition
from swarmgrid.inventory.row import GRID_NAME, ROOTS, GridRow, rows_named
from swarmgrid.inventory.table import (
    HEADINGS,
    SHOWN_DIGITS,
    brief_cells,
    filled_columns,
    text_table,
)
from swarmgrid.inventory.text_search import checked_text, ranked
from swarmgrid.options import current_options
from swarmgrid.quantities import check_flags
from swarmgrid.readable import count, page, table
from swarmgrid.store.grid_ref import GridRef
from swarmgrid.store.layout import GridPath
from swarmgrid.store_api.history import CatalogHistory

if TYPE_CHECKING:
    import os

    import pandas as pd
    import xarray as xr

    from swarmgrid.codecs.keys import Key
    from swarmgrid.finding.moments import Moment
    from swarmgrid.records.snapshot import Snapshot
    from swarmgrid.store.location import Location

_SHOWN = 10
"""The number of grids that a ``repr`` shows."""


@dataclass(frozen=True, repr=False)
class Catalog(CatalogHistory):
    """The grids of a store, as they were when it was read; made by `swarmgrid.catalog`.

    Iterating gives a `Grid` for each. An index is a grid id or its first digits, alone or as
    ``function/id``; or a function's name and params, ``catalog["simulate", {"alpha": 0.4}]``.
    """

    __module__ = "swarmgrid"

    location: Location
    """The store."""
    rows: tuple[GridRow, ...]
    """The grids in brief, ordered by function and time of creation."""
    read_at: float = 0.0
    """The time at which the store was read, in seconds since 1970."""
    scores: tuple[float, ...] = ()
    """Of a search the relevance of each row, larger than 0; else empty."""
    key_ids: frozenset[str] | None = None
    """The ids of the keys that its grids are opened with; None: whatever this process has."""

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Grid]:
        return (self._grid(row) for row in self.rows)

    def __contains__(self, key: object) -> bool:
        try:
            return bool(self._found(key))
        except InputError:
            return False

    def __getitem__(self, key: str | tuple[str, Mapping[str, Any]]) -> Grid:
        found = self._found(key)
        if len(found) == 1:
            return self._grid(found[0])
        what = "no grid" if not found else f"{len(found)} grids"
        shown = found or self.rows
        listed = ", ".join(_named(row) for row in shown[:_SHOWN])
        more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
        hint = "; pass more digits of the id, or more params" if found else ""
        raise InputError(
            f"{what} of this catalog of {self.location.url!r} fit {brief(key)}"
            + (f"; there are {listed}{more}{hint}" if listed else "; it is empty")
        )

    def query(
        self, query: Mapping[str, Any] | None = None, *, function: str | None = None
    ) -> Catalog:
        """The grids that fulfil some conditions.

        Parameters
        ----------
        query : mapping, optional
            By path a value, or operators: ``{"params.alpha": {"$gte": 0.3}, "tags.site": "a"}``.
            Operators are ``$eq $ne $gt $gte $lt $lte $in $nin $exists $regex $not``; ``$and``,
            ``$or`` and ``$not`` combine whole queries. Paths begin with ``grid``, ``function``,
            ``version``, ``params``, ``axes``, ``outputs``, ``points``, ``chunks``, ``bytes``,
            ``seconds``, ``created``, ``written``, ``tags``, ``archived`` (a bool) or ``archive``
            (a place).
        function : str, optional
            The function's name.

        Raises
        ------
        InputError
            If the query has an operator or a path that does not exist.
        """
        holds = to_condition({} if query is None else query, ROOTS)
        if function is not None and not isinstance(function, str):
            raise InputError(f"function is {brief(function)}; expected a function's name")
        kept = [
            i
            for i, row in enumerate(self.rows)
            if (function is None or row.is_of(function)) and holds(row.document)
        ]
        rows = tuple(self.rows[i] for i in kept)
        return replace(self, rows=rows, scores=tuple(self.scores[i] for i in kept if self.scores))

    def search(self, text: str, /) -> Catalog:
        """The grids whose names, tags and attributes have words of a text, the best first.

        It looks at the names of function, params, axes and outputs, at the values of params, at
        the tags, and at what the attributes of a returned Dataset say: so a ``description`` is
        found in a tag or in an attribute. Words are compared without case and accents. A word
        finds those that begin with it, and "magnets" finds "magnet"; a rare word counts more than
        a common one (BM25).

        Parameters
        ----------
        text : str
            Some words. A grid need not have all of them.

        Returns
        -------
        Catalog
            The grids that have any of the words, with their `scores`; of equally relevant ones in
            the order of this catalog.

        Raises
        ------
        InputError
            If there is no word in the text.

        Examples
        --------
        >>> import swarmgrid
        >>> def ising(temperature, field):
        ...     return {"magnetisation": field / temperature}
        >>> options = dict(func=ising, store="memory://search", executor="sync")
        >>> for about in ("low temperature", "high field"):
        ...     ds = swarmgrid.compute(
        ...         {"field": float(len(about))},
        ...         {"temperature": [1.0, 2.0]},
        ...         tags={"description": about},
        ...         **options,
        ...     )
        >>> found = swarmgrid.catalog("memory://search").search("magnetisation low temperature")
        >>> [row.tags["description"] for row in found.rows]
        ['low temperature', 'high field']
        """
        found = ranked(self.rows, checked_text(text))
        rows = tuple(row for _, row in found)
        return replace(self, rows=rows, scores=tuple(score for score, _ in found))

    def to_dataframe(self) -> pd.DataFrame:
        """Return a table with a row for each grid; its index is the grid id.

        Returns
        -------
        pandas.DataFrame
            The columns ``function``, ``version``, a column for each param (``params.alpha``),
            ``axes``, ``points``, ``computed``, ``failed``, ``missing``, ``bytes``, ``chunks``,
            ``created``, ``written``, ``seconds``, ``archive`` (where the values are, if they were
            archived), and one for each tag (``tags.site``); of a search the ``score`` before them.
        """
        from swarmgrid.view.tables import catalog_table

        return catalog_table(self.rows, self.scores)

    def datatree(self, *, at: Moment | Mapping[str, Snapshot] = None) -> xr.DataTree:
        """Open all grids as one tree, ``/function/id``; values are read when they are used.

        Parameters
        ----------
        at : dict, str or datetime, optional
            The result of `snapshot`, or the message of snapshots: only grids that have such a one
            are in the tree. Or a time, as for `Grid.dataset`. Default: now.

        Raises
        ------
        InputError
            If no grid has such a snapshot.
        """
        from swarmgrid.view.tables import tree_of

        folders = {row.grid: row.folder for row in self.rows}
        moments = self._moments(at)
        return tree_of({f"/{folders[g.id]}/{g.id}": g.dataset(at=moment) for g, moment in moments})

    def __repr__(self) -> str:
        return f"{self._headline()}\n{text_table(HEADINGS, self._cells())}{self._rest()}".rstrip()

    def _repr_html_(self) -> str:
        head, *cells = filled_columns(HEADINGS, self._cells())
        rows, rest = table(cells, head=head), table([(self._rest().strip(),)])
        return page("Catalog", f"{count(len(self))} in {self.location.url}", rows, rest)

    def _headline(self) -> str:
        grids = "1 grid" if len(self.rows) == 1 else f"{len(self.rows):,} grids"
        return f"<swarmgrid.Catalog of {self.location.url!r}: {grids}>"

    def _cells(self) -> list[tuple[str, ...]]:
        return [brief_cells(row, self.read_at) for row in self.rows[:_SHOWN]]

    def _rest(self) -> str:
        more = len(self.rows) - _SHOWN
        return f"\n... and {more:,} more" if more > 0 else ""

    def _found(self, key: object) -> list[GridRow]:
        """The rows that an index names."""
        if isinstance(key, tuple) and len(key) == 2:
            function, params = key
            if isinstance(function, str | None) and isinstance(params, Mapping):
                return self._with_params(function, params)
        if not isinstance(key, str) or GRID_NAME.fullmatch(key) is None:
            raise InputError(
                f"{brief(key)} names no grid; expected an id or its first digits, '324fd638' or "
                "'simulate/324fd638', or a function's name and params"
            )
        return rows_named(self.rows, key)

    def _with_params(self, function: str | None, params: Mapping[str, Any]) -> list[GridRow]:
        found = [
            row
            for row in self.rows
            if (function is None or row.is_of(function))
            and all(
                name in row.params and is_equal(row.params[name], params[name]) for name in params
            )
        ]
        exact = [row for row in found if row.params.keys() == params.keys()]
        return exact or found

    def _grid(self, row: GridRow) -> Grid:
        ref = GridRef(self.location, GridPath(row.function or row.folder, row.grid))
        return Grid(ref, key_ids=self.key_ids)


def catalog(
    store: str | os.PathLike[str] | Any = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
    check: bool = False,
    key: Key | Iterable[Key] | None = None,
) -> Catalog:
    """Read which grids a store holds, with their params, axes, progress and tags.

    It reads an inventory that each run leaves, in about ten requests for any number of grids.
    Grids that are being written now are read themselves. No function is needed, and nothing is
    computed.

    Parameters
    ----------
    store : str, path or zarr.abc.store.Store, optional
        The store. Default: what `set_options` says.
    storage_options : mapping, optional
        Options with which obstore opens a URL.
    check : bool, default False
        Whether to hold the inventory against the document of every grid, and to read those again
        that differ. For a store that other tools copied grids into, or deleted grids of.
    key : Key or iterable of Key, optional
        The keys of encrypted grids that are to be opened from the catalog; it needs none itself.

    Returns
    -------
    Catalog

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width, height):
    ...     return width * height
    >>> options = dict(func=area, store="memory://catalog", executor="sync")
    >>> ds = swarmgrid.compute({"height": 2.0}, {"width": [1, 2]}, tags={"site": "a"}, **options)
    >>> ds = swarmgrid.compute({"height": 3.0}, {"width": [1, 2]}, **options)
    >>> catalog = swarmgrid.catalog("memory://catalog")
    >>> len(catalog)
    2
    >>> catalog.query({"params.height": {"$gt": 2.5}}).rows[0].points_computed
    2
    >>> catalog["area", {"height": 2.0}].tags
    {'site': 'a'}
    """
    given = {"storage_options": storage_options} | ({} if store is None else {"store": store})
    location = location_of(current_options().updated(given))
    check_flags(check=check)
    key_ids = hold_keys("key", key)
    now = time.time()
    return Catalog(location, tuple(_rows(location, check=check)), now, key_ids=key_ids)


def _rows(location: Location, *, check: bool) -> list[GridRow]:
    """The rows of a store; in a scope also those of the shared store, and one for each grid."""
    rows = stored_rows(location, check=check)
    if location.below is None:
        return rows
    own = {row.grid: row for row in rows}
    shared = stored_rows(location.below, check=check, keeps=False)
    both = [row for row in shared if row.grid in own]
    for row in both:
        state = Grid(GridRef(location, GridPath(row.function or row.folder, row.grid))).state()
        mine = own[row.grid]
        own[row.grid] = mine._replace(
            points_total=state.points_total,
            points_computed=state.points_computed,
            points_failed=state.points_failed,
            chunks=mine.chunks + row.chunks,
            nbytes=mine.nbytes + row.nbytes,
            seconds=mine.seconds + row.seconds,
            created=min(mine.created, row.created),
            archive=mine.archive or row.archive,
        )
    found = [*own.values(), *(row for row in shared if row.grid not in own)]
    return sorted(found, key=lambda row: (row.function, row.created, row.time_ns))


def _named(row: GridRow) -> str:
    """A grid as errors list it: function, id and params."""
    params = brief_cells(row, 0)[HEADINGS.index("params")]
    return f"{row.function}/{row.grid[:SHOWN_DIGITS]}" + (f" ({params})" if params else "")


catalog.__module__ = "swarmgrid"
