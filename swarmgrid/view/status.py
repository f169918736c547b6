"""Views of a grid's state over its axes: which points are computed, when, and at what cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from swarmgrid.records.row_values import n_points, row_values
from swarmgrid.space.names import beside_axes
from swarmgrid.space.selection import AxisSelection, Selection
from swarmgrid.view.dataset import coordinates
from swarmgrid.view.near import indices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.records.failures import FailedPoint
    from swarmgrid.records.manifest import Manifest

MISSING, COMPUTED, FAILED = range(3)
"""The values of a status."""


def status_array(
    grid: StoredGrid, manifest: Manifest, failures: Iterable[FailedPoint]
) -> xr.DataArray:
    """The status of every point, lazily: 0 missing, 1 computed, 2 failed."""
    failed: dict[tuple[int, ...], NDArray[np.bool_]] = {}
    for failure in failures:
        mask = failure.points.mask(grid.chunk_shape)
        failed[failure.index] = failed.get(failure.index, False) | mask
    ones = np.full(len(manifest.rows), COMPUTED, np.int8)

    def read(selection: Selection) -> NDArray[Any]:
        found = row_values(manifest, selection, ones, np.int8(MISSING))
        for index, mask in failed.items():
            touched = selection.touched_of(index)
            if touched is not None:
                at = np.ix_(*selection.request_block(touched))
                is_failed = mask[np.ix_(*selection.chunk_block(touched))]
                found[at] = np.where(is_failed & (found[at] == MISSING), FAILED, found[at])
        return found

    attrs = {
        "flag_values": [MISSING, COMPUTED, FAILED],
        "flag_meanings": "missing computed failed",
    }
    return xr.DataArray(
        _variable(grid, read, np.dtype(np.int8), attrs),
        coordinates(grid.axes, None),
        name=beside_axes(["status"], grid.names)["status"],
    )


def timings_dataset(grid: StoredGrid, manifest: Manifest) -> xr.Dataset:
    """The seconds that a point took, the time at which its work ended, and its writer, lazily.

    The points of a row share its seconds evenly. A point that is not computed has NaN and NaT,
    and the writer -1; else the writer is a number in ``attrs["writers"]``. The variables are named
    beside the axes: see `beside_axes`.
    """
    rows = manifest.rows
    times = rows.time.astype("M8[s]").astype("M8[ns]")
    times[rows.time == 0] = np.datetime64("NaT", "ns")
    columns: dict[str, tuple[NDArray[Any], Any, dict[str, Any]]] = {
        "seconds": (
            (rows.seconds / n_points(rows)).astype("f4"),
            np.float32(np.nan),
            {"units": "s"},
        ),
        "time": (times, np.datetime64("NaT", "ns"), {}),
        "writer": (rows.writer.astype("i4"), np.int32(-1), {}),
    }
    variables = {}
    names = beside_axes(columns, grid.names)
    for name, (values, missing, attrs) in columns.items():

        def read(selection: Selection, values: Any = values, missing: Any = missing) -> Any:
            return row_values(manifest, selection, values, missing)

        variables[names[name]] = _variable(grid, read, values.dtype, attrs)
    writers = [
        f"process {w.pid} on {w.host}" + (f", job {w.job}" if w.job else "") if w.pid else ""
        for w in rows.writers
    ]
    return xr.Dataset(variables, coordinates(grid.axes, None), {"writers": writers})


def missing_table(status: xr.DataArray) -> pd.DataFrame:
    """A row for each point that is missing: its axis values, in the order of the axes."""
    if not status.dims:
        return pd.DataFrame(index=range(int(status.item() == MISSING)))
    at = np.nonzero(status.values == MISSING)
    columns = {
        str(dim): status.coords[dim].values[places]
        for dim, places in zip(status.dims, at, strict=True)
    }
    return pd.DataFrame(columns)


class _StateArray(BackendArray):
    """An array over a grid's axes whose values are made when they are asked for."""

    def __init__(
        self, grid: StoredGrid, read: Callable[[Selection], NDArray[Any]], dtype: np.dtype[Any]
    ) -> None:
        self.shape = tuple(map(len, grid.axes))
        self.dtype = dtype
        self._lengths = grid.chunk_shape
        self._read_part = read

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )

    def _read(self, key: tuple[Any, ...]) -> Any:
        chosen = [indices(k, n) for k, n in zip(key, self.shape, strict=True)]
        axes = (AxisSelection(at, n) for at, n in zip(chosen, self._lengths, strict=True))
        values = self._read_part(Selection(tuple(axes)))
        return values[tuple(0 if isinstance(k, (int, np.integer)) else slice(None) for k in key)]


def _variable(
    grid: StoredGrid,
    read: Callable[[Selection], NDArray[Any]],
    dtype: np.dtype[Any],
    attrs: dict[str, Any],
) -> xr.Variable:
    data = indexing.LazilyIndexedArray(_StateArray(grid, read, dtype))
    cached = indexing.MemoryCachedArray(data)  # type: ignore[no-untyped-call]
    return xr.Variable(grid.names, cached, attrs, fastpath=True)
