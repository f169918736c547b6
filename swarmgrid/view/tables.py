"""Tables and trees of several grids, in pandas and xarray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from swarmgrid.space.names import beside_axes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from swarmgrid.inventory.row import GridRow
    from swarmgrid.maintenance.changes import BoxChange
    from swarmgrid.space.axis import Axis


def catalog_table(rows: Sequence[GridRow], scores: Sequence[float] = ()) -> pd.DataFrame:
    """Return a table with a row for each grid; params and tags have a column for each name."""
    params = list(dict.fromkeys(name for row in rows for name in row.params))
    tags = list(dict.fromkeys(name for row in rows for name in row.tags))
    columns: dict[str, Any] = {
        **({"score": list(scores)} if scores else {}),
        "function": [row.function for row in rows],
        "version": [row.version for row in rows],
        **{f"params.{name}": _column([row.params.get(name) for row in rows]) for name in params},
        "axes": [", ".join(f"{name} ({axis})" for name, axis in row.axes.items()) for row in rows],
        "points": [row.points_total for row in rows],
        "computed": [row.points_computed for row in rows],
        "failed": [row.points_failed for row in rows],
        "missing": [row.points_missing for row in rows],
        "bytes": [row.nbytes for row in rows],
        "chunks": [row.chunks for row in rows],
        "created": _times([row.created for row in rows]),
        "written": _times([row.written for row in rows]),
        "seconds": [row.seconds for row in rows],
        "archive": [row.archive for row in rows],
        **{f"tags.{name}": _column([row.tags.get(name) for row in rows]) for name in tags},
    }
    return pd.DataFrame(columns, index=pd.Index([row.grid for row in rows], name="grid"))


def change_table(axes: Sequence[Axis], found: Iterable[BoxChange]) -> pd.DataFrame:
    """Return a row for each point that differs between two states: its values, and how."""
    names = [axis.name for axis in axes]
    (how,) = beside_axes(["change"], names).values()
    columns: dict[str, list[Any]] = {name: [] for name in (*names, how)}
    labels = [axis.labels() for axis in axes]
    for box in found:
        for change in ("added", "removed", "changed"):
            for offset in np.argwhere(getattr(box, change)).tolist():
                columns[how].append(change)
                for name, along, first, at in zip(names, labels, box.start, offset, strict=True):
                    columns[name].append(along[first + at])
    return pd.DataFrame(columns, columns=[*names, how])


def tree_of(datasets: Mapping[str, xr.Dataset]) -> xr.DataTree:
    """Return the tree of some Datasets, by path."""
    return xr.DataTree.from_dict(dict(datasets))


def _column(values: list[Any]) -> Any:
    """A column of what JSON holds: numbers stay numbers, lists and objects stay what they are."""
    if any(isinstance(value, (list, dict)) for value in values):
        return pd.Series(values, dtype=object).to_numpy()
    return values


def _times(seconds: list[int]) -> pd.DatetimeIndex:
    """UTC times; those that are not known are NaT."""
    return pd.to_datetime([s or None for s in seconds], unit="s", utc=True)
