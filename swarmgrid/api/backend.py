"""The engine ``"swarmgrid"`` of xarray: opens stored grids, and computes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from xarray.backends import BackendEntrypoint

if TYPE_CHECKING:
    import xarray as xr

    from swarmgrid.api.catalog import Catalog


class SwarmgridBackend(BackendEntrypoint):
    """Opens the grids of a store for ``xr.open_dataset`` and ``xr.open_datatree``.

    Examples
    --------
    >>> import swarmgrid, xarray as xr
    >>> def area(width, height):
    ...     return width * height
    >>> options = dict(func=area, store="memory://engine", executor="sync")
    >>> ds = swarmgrid.compute({"height": 2.0}, {"width": [1, 2]}, **options)
    >>> found = {"function": "area", "params": {"height": 2.0}}
    >>> xr.open_dataset("memory://engine", engine="swarmgrid", **found)["value"].values
    array([2., 4.])
    """

    description = "Open grids that swarmgrid has computed, by function and params"
    supports_groups = True

    def guess_can_open(self, filename_or_obj: Any) -> bool:  # noqa: ARG002  # as xarray calls it
        """Whether a store is opened without ``engine=``: never, as it holds many grids."""
        return False

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        function: str | None = None,
        params: Mapping[str, Any] | None = None,
        grid: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> xr.Dataset:
        """Open one grid of a store, lazily.

        Parameters
        ----------
        filename_or_obj : str, path or zarr.abc.store.Store
            The store.
        drop_variables : str or iterable of str, optional
            Outputs to leave out.
        function : str, optional
            The function's name. Default: that of the only grid.
        params : mapping, optional
            Some or all params of the grid.
        grid : str, optional
            The grid id or its first digits.
        storage_options : mapping, optional
            Options with which obstore opens a URL.

        Raises
        ------
        InputError
            If no grid, or more than one, fits.
        """
        catalog = _catalog(filename_or_obj, storage_options)
        key: Any = grid if grid is not None else f"{function}/" if function is not None else ""
        if params is not None:
            catalog = catalog.query(_exactly(params))
        ds = catalog[key if not (function and params) else (function, params)].dataset()
        return ds.drop_vars(_names(drop_variables), errors="ignore")

    def open_datatree(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        function: str | None = None,
        params: Mapping[str, Any] | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> xr.DataTree:
        """Open all grids of a store that fit as one tree, ``/function/id``, lazily."""
        found = _catalog(filename_or_obj, storage_options)
        tree = found.query(_exactly(params or {}), function=function).datatree()
        dropped = _names(drop_variables)
        if dropped:
            tree = tree.map_over_datasets(lambda ds: ds.drop_vars(dropped, errors="ignore"))
        return tree


def _names(variables: str | Iterable[str] | None) -> list[str]:
    return [variables] if isinstance(variables, str) else list(variables or [])


def _catalog(store: Any, storage_options: Mapping[str, Any] | None) -> Catalog:
    from swarmgrid.api.catalog import catalog

    return catalog(store, storage_options=storage_options)


def _exactly(params: Mapping[str, Any]) -> dict[str, Any]:
    """The query for grids with some params."""
    return {f"params.{name}": {"$eq": value} for name, value in params.items()}
