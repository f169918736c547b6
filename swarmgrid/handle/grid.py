"""The handle of one stored grid; its methods stand in a class for each topic."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swarmgrid.codecs.keys import hold_keys
from swarmgrid.errors import SwarmgridError
from swarmgrid.finding.resolve import location_of, named_ref
from swarmgrid.handle.adopting import GridAdopting
from swarmgrid.handle.archiving import GridArchiving
from swarmgrid.handle.history import GridHistory
from swarmgrid.handle.indexing import GridIndexing
from swarmgrid.handle.layout import GridLayout
from swarmgrid.handle.plotting import GridPlotting
from swarmgrid.handle.points import GridPoints
from swarmgrid.handle.putting import GridPutting
from swarmgrid.handle.reading import GridReading
from swarmgrid.handle.removing import GridRemoving
from swarmgrid.handle.upkeep import GridUpkeep
from swarmgrid.options import current_options
from swarmgrid.pictures.small import small_map
from swarmgrid.readable import code, page, table, verdict

if TYPE_CHECKING:
    import os

    from swarmgrid.codecs.keys import Key
    from swarmgrid.store.grid_ref import GridRef


class Grid(
    GridReading,
    GridPoints,
    GridPlotting,
    GridIndexing,
    GridHistory,
    GridUpkeep,
    GridLayout,
    GridRemoving,
    GridPutting,
    GridAdopting,
    GridArchiving,
):
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

    def __init__(
        self,
        ref: GridRef,
        to_ref: Callable[[Sequence[str]], GridRef] | None = None,
        key_ids: Collection[str] | None = None,
    ) -> None:
        self._given = ref
        self._key_ids = key_ids
        self._to_ref = to_ref

    def __reduce__(self) -> tuple[Any, ...]:
        # without the function, which may not be one that can be pickled
        return type(self), (self._given, None, self._key_ids)

    @classmethod
    def open(
        cls,
        store: str | os.PathLike[str] | Any,
        grid: str,
        *,
        storage_options: Mapping[str, Any] | None = None,
        key: Key | Iterable[Key] | None = None,
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
        key : Key or iterable of Key, optional
            The key of an encrypted grid, and those of its snapshots if they have others.
            Default: the keys that this process has. Methods of the grid raise EncryptionError
            where it is encrypted with none of those that are given.

        Raises
        ------
        InputError
            If no grid, or more than one, has such an id.
        """
        key_ids = hold_keys("key", key)
        given = {"store": store, "storage_options": storage_options}
        ref = named_ref(location_of(current_options().updated(given)), grid)
        return cls(ref, key_ids=key_ids)

    def __repr__(self) -> str:
        return f"<swarmgrid.Grid {self._ref.path.group} in {self._ref.location.url!r}>"

    def _repr_html_(self) -> str:
        """Read what is stored, and show it; an error is shown, too, and not raised."""
        where = [("grid", code(self.id)), ("store", code(self._ref.location.url))]
        try:
            layers = self._stored_layers()
            summary = self._summary_of(layers)
            contents = summary._contents()  # noqa: SLF001  # the same, with the store
            contents[1:1] = [small_map(self._map_of(layers)), table(where)]
        except SwarmgridError as error:
            contents = [table([*where, ("state", verdict(str(error), is_good=False))])]
        return page("Grid", self.function, *contents)
