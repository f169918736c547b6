"""The accessor ``ds.swarmgrid`` of xarray Datasets, entered when both packages are imported.

Neither this module nor the import of swarmgrid imports xarray.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, brief

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import xarray as xr

    from swarmgrid.handle.grid import Grid
    from swarmgrid.indexes.grid_index import GridIndex
    from swarmgrid.planning.estimate import Plan
    from swarmgrid.search.chroma import Collection
    from swarmgrid.search.ranking import Metric
    from swarmgrid.tiers.device import Device

NAME = "swarmgrid"


class DatasetAccessor:
    """The place that a Dataset comes from: ``ds.swarmgrid``.

    It is there for every Dataset that swarmgrid returned, and for one that
    ``xr.open_zarr`` opened from the folder or URL of a grid.

    Examples
    --------
    >>> import swarmgrid
    >>> @swarmgrid.grid(store="memory://accessor", executor="sync")
    ... def area(width, height):
    ...     return width * height
    >>> ds = area.compute({"height": 2.0}, {"width": [1, 2]})
    >>> ds.swarmgrid.source.rpartition("/")[0]
    'memory://accessor/data.zarr/area'
    >>> ds.swarmgrid.grid.state().points_computed
    2
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    @property
    def source(self) -> str:
        """The folder or URL of the grid that the Dataset was opened from.

        Raises
        ------
        InputError
            If it does not say so. Of what is computed from a Dataset that was opened, xarray
            marks some as coming from there, too, and others not.
        """
        source = self._ds.encoding.get("source")
        if not isinstance(source, str):
            raise InputError(
                "this Dataset does not say where it comes from: ds.encoding has no 'source'. "
                "swarmgrid.compute, swarmgrid.open and xr.open_zarr set it; what is computed "
                "from such a Dataset may have none. Use the Dataset that it was made from, or "
                "Grid.open(store, id)"
            )
        return source

    @property
    def grid(self) -> Grid:
        """The handle of the stored grid.

        Raises
        ------
        InputError
            If the Dataset was not opened from a grid of swarmgrid's.
        """
        from swarmgrid.finding.resolve import named_ref
        from swarmgrid.handle.grid import Grid
        from swarmgrid.store.layout import DATA
        from swarmgrid.store.sources import remembered

        store, found, group = self.source.rpartition(f"/{DATA}/")
        if not found:
            raise InputError(
                f"this Dataset comes from {brief(self.source)}, which is no grid of swarmgrid's; "
                f"expected a path that ends in {DATA}/<function>/<grid id>"
            )
        location = remembered(store)
        if location is None:  # read to its end, or opened by xarray
            return Grid.open(store, group.strip("/"))
        return Grid(named_ref(location, group.strip("/")))

    def status(self) -> xr.DataArray:
        """The status of every point of the stored grid, lazily.

        Returns
        -------
        xr.DataArray
            See `Grid.status`.
        """
        return self.grid.status()

    def plan(self) -> Plan:
        """The work that is left in the stored grid.

        Returns
        -------
        Plan
            See `Grid.plan`.
        """
        return self.grid.plan()

    def errors(self) -> pd.DataFrame:
        """The points at which the function failed and that are not computed since.

        Returns
        -------
        pandas.DataFrame
            See `Grid.errors`.
        """
        return self.grid.errors()

    def nearest(
        self,
        output: str,
        query: Any,
        *,
        k: int = 5,
        metric: Metric = "cosine",
        dim: str | Sequence[str] | None = None,
    ) -> xr.Dataset:
        """The points whose vectors of an output are nearest to one vector, or to several.

        The search is exact. It reads the output block by block, so that memory stays flat; a
        Dataset that was loaded is searched where it lies. Points that are not computed, or whose
        vector has a value that is not finite, are never hits. A Dataset that ``xr.open_zarr``
        opened does not tell which points are computed: there, integers and bools that are not
        computed hold the fill value, and may be hits.

        Parameters
        ----------
        output : str
            The output; its own dims make the vector.
        query : array-like, shape (n,) or (q, n)
            One vector, or several. Of a DataArray that has the vector's dims, these are found by
            name, and a coordinate must be that of the output. One number searches an output of
            one number at each point.
        k : int, default 5
            The number of hits for each query; there may be fewer points.
        metric : {"cosine", "euclidean", "dot"}, default "cosine"
            The distance: one minus the cosine of the angle between two vectors; the Euclidean
            distance; or minus the product, so that the largest product is the nearest.
        dim : str or sequence of str, optional
            The dims that make a vector; ``()``: each number is searched by itself. Default: the
            output's own, as its grid says, else those that no other output has; of an output of
            numbers the last axis.

        Returns
        -------
        xr.Dataset
            Over ``hit``, and ``query`` if there are several: the nearest first, of equal ones the
            first in the order of the axes. It has the ``distance``, the axes' values, and all
            outputs of the points.

        Raises
        ------
        InputError
            If the output, the query or an option cannot be used.

        Examples
        --------
        >>> import numpy as np, swarmgrid
        >>> @swarmgrid.grid(store="memory://nearest", executor="sync")
        ... def direction(angle):
        ...     return {"arrow": np.array([np.cos(angle), np.sin(angle)])}
        >>> ds = direction.compute(axes={"angle": [0.0, 1.0, 2.0, 3.0]})
        >>> hits = ds.swarmgrid.nearest("arrow", [0.0, 1.0], k=2)
        >>> hits["angle"].values
        array([2., 1.])
        """
        from swarmgrid.search.nearest import nearest

        return nearest(self._ds, output, query, k=k, metric=metric, dim=dim)

    def to_device(
        self, device: str | Device | None = None, *, dtype: str | None = None
    ) -> xr.Dataset:
        """The Dataset with its outputs as arrays on a device; coordinates stay on the host.

        Every chunk is checked on the host before it moves. Where the store is a
        `swarmgrid.Tiered` with ``device=``, its chunks stay on the device, within its bytes, and
        do not move again.

        Parameters
        ----------
        device : str or Device, optional
            ``"cuda"`` or ``"cuda:1"``, by cupy (the extra ``gpu``), ``"cpu"``, by numpy, or an
            object as ``swarmgrid.tiers.device.Device`` describes. Default: that of the store,
            or ``"cuda"``.
        dtype : {"float16", "float32", "float64"}, optional
            The precision of outputs of real numbers; others stay as they are. Default: that of
            the store's device, or as stored.

        Returns
        -------
        xr.Dataset
            Loaded, with the device's arrays.

        Raises
        ------
        InputError
            If there is no such device or no room on it, an output cannot be there, or a value
            would become infinite in the precision. Values that become zero in it give a
            RuntimeWarning.
        """
        from swarmgrid.tiers.to_device import to_device

        return to_device(self._ds, device, dtype)

    def index(
        self,
        output: str,
        *,
        metric: Metric = "cosine",
        connectivity: int = 16,
        expansion: int = 128,
    ) -> GridIndex:
        """An approximate index of the vectors of an output, of the whole stored grid.

        For many searches of a large grid: `nearest` reads all of an output, the index looks at
        some hundred vectors. Needs the extra ``search``.

        Parameters
        ----------
        output, metric, connectivity, expansion
            See `Grid.index`.

        Returns
        -------
        GridIndex
            Its `GridIndex.query` gives what `nearest` gives, but for hits that it may miss. They
            may be points that the Dataset does not have.

        Raises
        ------
        InputError
            If the Dataset was not opened from a grid, or a setting cannot be used.
        """
        return self.grid.index(
            output, metric=metric, connectivity=connectivity, expansion=expansion
        )

    def to_chroma(
        self,
        collection: Collection,
        output: str | None = None,
        *,
        dim: str | Sequence[str] | None = None,
        document: str | None = None,
        batch_size: int | None = None,
    ) -> int:
        """Hand points to a collection of ChromaDB: their vectors, and their axis values.

        A point that is there is replaced: its id follows from the grid, the output's name and its
        axis values. What is computed from a Dataset, such as ``ds * 2``, may have the same ids.
        Points that are not computed are left out, and none is removed. The output is
        read block by block.

        Parameters
        ----------
        collection : chromadb.Collection
            The collection; it decides about the distance. Any object with such an ``upsert``.
        output : str, optional
            The output; its own dims make the vector, which is handed over in single precision.
            Default: the only one that has a vector at each point.
        dim : str or sequence of str, optional
            The dims that make a vector, as for `nearest`.
        document : str, optional
            An axis, or an output with one text for each point: the document of the record. A
            point whose text is missing is handed over without one.
        batch_size : int, optional
            Points that are handed over together. Default: as many as ChromaDB takes.

        Returns
        -------
        int
            The number of points that were handed over.

        Raises
        ------
        InputError
            If it is no collection, or the output or an option cannot be used.
        """
        from swarmgrid.search.chroma import to_chroma

        return to_chroma(
            self._ds, collection, output, dim=dim, document=document, batch_size=batch_size
        )

    def plot_status(self, x: str | None = None, y: str | None = None, **options: Any) -> Any:
        """Plot which points of the stored grid are computed, which failed, and which are missing.

        Parameters
        ----------
        x, y : str, optional
            The axes of the plot. Default: the two longest.
        **options
            Options of ``DataArray.plot.pcolormesh``.

        Returns
        -------
        matplotlib.collections.QuadMesh or xarray.plot.FacetGrid
            As xarray's own plots.
        """
        return self.grid.plot.status(x, y, **options)

    def __repr__(self) -> str:
        return f"<swarmgrid accessor of a Dataset from {self._ds.encoding.get('source')!r}>"


def enter() -> None:
    """Enter the accessor in xarray: now if it is imported, else as soon as it is."""
    if "xarray" in sys.modules:
        _register()
    elif not any(isinstance(finder, _AfterXarray) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterXarray())


def _register() -> None:
    xarray: Any = sys.modules.get("xarray")
    is_whole = hasattr(xarray, "register_dataset_accessor")  # not while it is being imported
    if is_whole and not hasattr(xarray.Dataset, NAME):
        xarray.register_dataset_accessor(NAME)(DatasetAccessor)


class _AfterXarray:
    """Finds xarray as the other finders do, and enters the accessor after its import."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "xarray":
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((one for one in found if one is not None), None)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def exec_module(module: Any) -> None:
                execute(module)
                _register()
                with contextlib.suppress(ValueError):
                    sys.meta_path.remove(self)

            with contextlib.suppress(AttributeError):  # a loader that takes no attribute
                loader.exec_module = exec_module
        return spec
