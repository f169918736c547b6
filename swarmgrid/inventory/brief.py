"""A grid's row, made from what is stored of it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.inventory.row import AxisBrief, GridRow
from swarmgrid.records.failures import read_failures, still_failed, within
from swarmgrid.records.row_values import chunk_totals
from swarmgrid.records.tags import read_tags
from swarmgrid.store import checked_json

if TYPE_CHECKING:
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.space.axis import Axis
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath

_MAX_TEXT = 80
"""The most characters of an axis value in a row."""
_MAX_ABOUT = 2000
"""The most characters of what attributes say."""


def grid_row(blobs: Blobs, path: GridPath, state: GridState, now: int) -> GridRow:
    """The row of a grid that was read at an instant; reads its failures and tags, if any."""
    grid, manifest = state.grid, state.manifest
    attributes = grid.attributes
    rows = manifest.rows
    times = rows.time[rows.time > 0]
    n_computed, n_chunks, nbytes = measured(manifest, grid.chunk_shape)
    return GridRow(
        grid=path.grid,
        folder=path.folder,
        function=str(attributes.get("swarmgrid_function", path.function)),
        version=str(attributes.get("swarmgrid_version", "")),
        params_text=str(attributes.get("swarmgrid_params", "")),
        axes_text=json.dumps({axis.name: axis_brief(axis) for axis in grid.axes}),
        outputs_text=json.dumps({n: [o.dtype, *o.dims] for n, o in grid.schema.outputs.items()}),
        points_total=math.prod(map(len, grid.axes)),
        points_computed=n_computed,
        points_failed=_n_failed(blobs, path, state),
        chunks=n_chunks,
        nbytes=nbytes,
        seconds=float(rows.seconds.sum(dtype=np.float64)),
        created=int(times.min()) if len(times) else 0,
        written=int(times.max()) if len(times) else 0,
        tags_text=json.dumps(read_tags(blobs, path, state.names)),
        checksum=checksum_of(state.document),
        time_ns=now,
        archive="" if grid.archive is None else grid.archive.store,
        about=_said(state),
    )


def checksum_of(document: bytes) -> str:
    """The checksum that a grid's document has in it; empty if it is no such document."""
    try:
        attributes = checked_json.attributes_of(checked_json.from_bytes(document))
        return str(attributes[checked_json.CHECKSUM])
    except (ValueError, LookupError):
        return ""


def measured(manifest: Manifest, chunk_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The computed points, the chunks that hold them, and the bytes of these."""
    totals = chunk_totals(manifest.rows, chunk_shape)
    return int(totals.points.sum()), len(totals.points), int(totals.nbytes.sum())


def axis_brief(axis: Axis) -> AxisBrief:
    """The kind, length and ends of an axis."""
    n = len(axis)
    if n == 0 or axis.kind in {"label", "enum"}:
        return AxisBrief(axis.kind, n)
    values = axis.values
    if values.dtype == object:
        texts = values.tolist()
        return AxisBrief(axis.kind, n, min(texts)[:_MAX_TEXT], max(texts)[:_MAX_TEXT])
    return AxisBrief(
        axis.kind, n, _plain(axis.kind, values.min()), _plain(axis.kind, values.max())
    )


def _said(state: GridState) -> str:
    """The texts in the attributes of a grid and of its outputs: titles, long names."""
    schema = state.grid.schema
    every = [schema.attrs, *(output.attrs for output in schema.outputs.values())]
    texts = [text for attrs in every for text in attrs.values() if isinstance(text, str)]
    return "\n".join(dict.fromkeys(texts))[:_MAX_ABOUT]


def _plain(kind: str, value: Any) -> Any:
    if kind == "datetime":
        return str(np.datetime64(int(value.astype("int64")), "ns")).removesuffix("." + "0" * 9)
    if kind == "timedelta":
        return f"{int(value.astype('int64')) / 1e9:g} s"
    found = value.item()
    if isinstance(found, float) and not math.isfinite(found):
        return str(found)
    return found


def _n_failed(blobs: Blobs, path: GridPath, state: GridState) -> int:
    if not state.failure_names:
        return 0
    found = within(read_failures(blobs, path, state.failure_names), state.grid)
    return sum(len(failure.points) for failure in still_failed(found, state.manifest))
