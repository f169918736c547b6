"""Grids as pictures see them, made without a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swarmgrid.format.grid import StoredAxis, StoredGrid
from swarmgrid.format.segment import Rows
from swarmgrid.format.writers import WriterId
from swarmgrid.inventory.row import GridRow
from swarmgrid.outputs.outputs import Output, Schema
from swarmgrid.pictures.reading import GridLook
from swarmgrid.records.failures import FailedPoint
from swarmgrid.records.grid_state import GridState
from swarmgrid.records.manifest import Manifest
from swarmgrid.space.axis import to_axis
from swarmgrid.store.layout import GridPath

ID = "0123456789abcdef" * 2


def stored_grid(axes: Mapping[str, Sequence[Any]], chunks: Sequence[int]) -> StoredGrid:
    """A grid with one output."""
    stored = tuple(
        StoredAxis.new(to_axis(name, list(values)), chunk)
        for (name, values), chunk in zip(axes.items(), chunks, strict=True)
    )
    return StoredGrid(GridPath("simulate", ID), stored, Schema({"value": Output()}))


def whole_rows(index: NDArray[Any], chunks: Sequence[int], **columns: Any) -> Rows:
    """A row for each of some chunks, of all of its points."""
    n, d = index.shape
    extent = np.broadcast_to(np.array(chunks, "<i4"), (n, d)).copy()
    found: dict[str, Any] = {
        "key": np.zeros((n, 16), np.uint8),
        "index": index.astype("<i4"),
        "extent": extent,
        "bits_end": np.zeros(n, "<i8"),
        "bits": np.zeros(0, np.uint8),
        "checksums": np.zeros((n, 1), "<u4"),
        "seconds": np.ones(n, "<f4"),
        "time": np.full(n, 1_700_000_000, "<u4"),
        "writer": np.zeros(n, "<u4"),
        "chunk_bytes": np.full(n, 80, "<u8"),
        "commit": np.ones(n, "<u8"),
        "writers": (WriterId("node-1", 4711),),
    }
    return Rows(**{**found, **columns})


def look(grid: StoredGrid, rows: Rows, failures: Sequence[FailedPoint] = ()) -> GridLook:
    """A grid as it was read."""
    return GridLook(GridState(grid, Manifest(rows, {})), tuple(failures), None)


def row(**members: Any) -> GridRow:
    """A row of the catalog."""
    return GridRow(**{"grid": ID, "folder": "simulate", "function": "simulate", **members})


def failure(index: tuple[int, ...], offset: tuple[int, ...], **members: Any) -> FailedPoint:
    """A failed point."""
    found: dict[str, Any] = {
        "point": {"x": 1},
        "exception": "ValueError",
        "reason": "ValueError: no",
        "traceback": "Traceback: no",
        "attempt": 1,
        "time": "2026-01-02T03:04:05+00:00",
    }
    return FailedPoint(index, offset, **{**found, **members})


def many_chunks(n: int = 10**6, part: float = 0.7) -> GridLook:
    """A grid of very many chunks of one point, of which a part is computed."""
    side = round(n**0.5)
    rng = np.random.default_rng(1)
    numbers = np.sort(rng.choice(side * side, int(part * side * side), replace=False))
    index = np.stack([numbers // side, numbers % side], axis=1)
    ended = 1_700_000_000 + np.sort(rng.integers(0, 9000, len(numbers)))
    rows = whole_rows(
        index, (1, 1), time=ended.astype("<u4"),
        seconds=rng.lognormal(0, 1, len(index)).astype("<f4"),
        writer=rng.integers(0, 3, len(index)).astype("<u4"),
        writers=tuple(WriterId(f"node-{i}", 100 + i, f"job{i}") for i in range(3)),
    )  # fmt: skip
    grid = stored_grid({"a": range(side), "b": range(side)}, (1, 1))
    failures = [
        failure((i, i), (0, 0), reason=f"ValueError: no solution at {i}") for i in range(40)
    ]
    return look(grid, rows, failures)
