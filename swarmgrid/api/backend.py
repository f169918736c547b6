"""The engine ``"swarmgrid"`` of xarray: opens stored grids, and computes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xarray.backends import BackendEntrypoint

from swarmgrid.codecs.keys import hold_keys
from swarmgrid.errors import InputError
from swarmgrid.store.layout import DATA

if TYPE_CHECKING:
    import xarray as xr

    from swarmgrid.store_api.catalog import Catalog


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
        group: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        key: Any = None,
    ) -> xr.Dataset:
        """Open one grid of a store, lazily.

        Parameters
        ----------
        filename_or_obj : str, path or zarr.abc.store.Store
            The store, or what ``ds.encoding["source"]`` says: the folder or URL of a grid.
        drop_variables : str or iterable of str, optional
            Outputs to leave out.
        function : str, optional
            The function's name. Default: that of the only grid.
        params : mapping, optional
            Some or all params of the grid.
        grid : str, optional
            The grid id or its first digits.
        group : str, optional
            The function and the grid id or its first digits, ``"simulate/324fd638"``, as
            ``xr.open_groups`` lists them.
        storage_options : mapping, optional
            Options with which obstore opens a URL.
        key : Key or iterable of Key, optional
            The key of an encrypted grid.

        Raises
        ------
        InputError
            If no grid, or more than one, fits.

        Notes
        -----
        Times are decoded, and missing points masked: there are no options ``decode_times``,
        ``mask_and_scale`` and so on.
        """
        key_ids = hold_keys("key", key)
        catalog, _ = _within(filename_or_obj, storage_options, group)
        catalog = replace(catalog, key_ids=key_ids)
        which: Any = grid if grid is not None else f"{function}/" if function is not None else ""
        if grid is None and params is not None:
            which = (function, params)
        elif params is not None:
            catalog = catalog.query(_exactly(params))
        return catalog[which].dataset().drop_vars(_names(drop_variables), errors="ignore")

    def open_datatree(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        function: str | None = None,
        params: Mapping[str, Any] | None = None,
        group: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        key: Any = None,
    ) -> xr.DataTree:
        """Open all grids of a store that fit as one tree, ``/function/id``, lazily.

        ``group`` is a part of that tree, as for `open_dataset`; it becomes the root. ``key`` is
        the key of encrypted grids, or an iterable of several.
        """
        key_ids = hold_keys("key", key)
        catalog, path = _within(filename_or_obj, storage_options, group)
        catalog = catalog.query(_exactly(params or {}), function=function)
        catalog = replace(catalog, key_ids=key_ids)
        tree = catalog.datatree()
        if path and len(catalog):
            below: Any = tree[path]
            tree = below.copy()
        dropped = _names(drop_variables)
        if dropped:
            tree = tree.map_over_datasets(lambda ds: ds.drop_vars(dropped, errors="ignore"))
        return tree

    def open_groups_as_dict(self, filename_or_obj: Any, **options: Any) -> dict[str, xr.Dataset]:
        """Open what `open_datatree` opens as a mapping from paths to Datasets."""
        tree = self.open_datatree(filename_or_obj, **options)
        return {node.path: node.to_dataset() for node in tree.subtree}


def _names(variables: str | Iterable[str] | None) -> list[str]:
    return [variables] if isinstance(variables, str) else list(variables or [])


def _within(
    store: Any, storage_options: Mapping[str, Any] | None, group: str | None
) -> tuple[Catalog, str]:
    """The grids of a store that are in a group, and the path of that group in their tree.

    A path into the data, such as ``ds.encoding["source"]``, names a store and a group.
    """
    found = _catalog(store, storage_options)
    if not found.rows and isinstance(store, (str, os.PathLike)):
        root, is_inside, inside = f"{os.fspath(store).rstrip('/')}/".rpartition(f"/{DATA}/")
        if is_inside:
            found, group = _catalog(root, storage_options), f"{inside}{group or ''}"
    if not found.rows:
        raise InputError(
            f"{found.location.url!r} holds no grid; expected a store that swarmgrid.compute has "
            f"written: a folder or URL in which {DATA} is"
        )
    folder, _, prefix = (group or "").strip("/").partition("/")
    if not folder:
        return found, ""
    rows = tuple(
        row
        for row in found.rows
        if row.folder == folder and row.grid.startswith(prefix.strip("/"))
    )
    if not rows or (prefix and len(rows) > 1):
        _ = found[f"{folder}/{prefix}"]  # raises the error that lists the grids
    return replace(found, rows=rows), f"{folder}/{rows[0].grid}" if prefix else folder


def _catalog(store: Any, storage_options: Mapping[str, Any] | None) -> Catalog:
    from swarmgrid.store_api.catalog import catalog

    return catalog(store, storage_options=storage_options)


def _exactly(params: Mapping[str, Any]) -> dict[str, Any]:
    """The query for grids with some params."""
    return {f"params.{name}": {"$eq": value} for name, value in params.items()}
