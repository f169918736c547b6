"""Takes along what stands beside the points of a grid: failures, tags and code."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.records import code_record
from swarmgrid.records.failures import (
    MAX_NBYTES,
    FailedPoint,
    read_all_failures,
    suffix_of,
    within,
    write_failures,
)
from swarmgrid.records.tags import read_tags, write_tags
from swarmgrid.space.points import Points

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.transfer.fitting import Fit
    from swarmgrid.transfer.source import Source


def new_failures(
    source: Source, blobs: Blobs, there: GridState | None, fit: Fit
) -> list[FailedPoint]:
    """The failures of a source of which the target has neither a record nor a value."""
    if not source.state.failure_names:
        return []
    state = source.state
    known = set()
    if there is not None and there.failure_names:
        known = {*within(read_all_failures(blobs, there.grid), there.grid)}
    found = within(read_all_failures(source.blobs, state.grid), state.grid)
    return [
        moved
        for place, failure in found.items()
        if not state.manifest.holds(*place)
        for moved in _moved(failure, source, there, fit)
        if moved.place not in known
    ]


def _moved(
    failure: FailedPoint, source: Source, there: GridState | None, fit: Fit
) -> Iterator[FailedPoint]:
    """A failure with the places that its points have in the target: one for each chunk."""
    lengths = np.array(source.state.grid.chunk_shape, np.int64)
    sizes = np.array([len(axis) for axis in source.state.grid.axes], np.int64)
    own = failure.points.indices() + np.array(failure.index, np.int64) * lengths
    own = own[(own < sizes).all(axis=1)]  # points fail before the grid has grown for them
    columns = [
        axis.positions[own[:, d]] if d is not None else np.repeat(axis.positions[:1], len(own))
        for axis, d in zip(fit.selection.axes, source.dims, strict=True)
    ]
    at = np.stack(columns, axis=1) if columns else np.zeros((len(own), 0), np.int64)
    shape = np.array(fit.grid.chunk_shape, np.int64)
    by_chunk: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for index, offset in zip((at // shape).tolist(), (at % shape).tolist(), strict=True):
        place = tuple(index), tuple(offset)
        if there is None or not there.manifest.holds(*place):
            by_chunk.setdefault(place[0], []).append(place[1])
    constants = {
        axis.name: axis.label(0)
        for axis, d in zip(source.axes, source.dims, strict=True)
        if d is None
    }
    names = source.own_names
    point = constants | {names.get(name, name): value for name, value in failure.point.items()}
    for index, offsets in by_chunk.items():
        moved = replace(failure, index=index, offset=offsets[0], point=point, extent=None, bits="")
        yield moved if len(offsets) == 1 else _with_points(moved, offsets, fit)


def _with_points(failure: FailedPoint, offsets: list[tuple[int, ...]], fit: Fit) -> FailedPoint:
    """The failure of a block: of several points of one chunk."""
    mask: NDArray[np.bool_] = np.zeros(fit.grid.chunk_shape, bool)
    for offset in offsets:
        mask[offset] = True
    points = Points.from_mask(mask)
    return replace(failure, extent=points.extent, bits=(points.bits or b"").hex())


def add_failures(held: Lease, fit: Fit, failures: list[FailedPoint]) -> None:
    """Keep failures with the target, which must have grown for them."""
    if failures:
        held.check()
        grid, key_id = fit.grid, fit.grid.key_id
        new = [replace(failure, commit=0).encrypted_with(key_id) for failure in failures]
        name = held.new_name(suffix_of(grid.layout))
        write_failures(held.blobs, grid.path, name, new, held.new_commit)


def new_tags(source: Source, blobs: Blobs, there: GridState | None) -> dict[str, Any]:
    """The tags of a source that the target does not have: it keeps its own."""
    theirs = read_tags(source.blobs, source.state.grid.path, source.state.names)
    ours = {} if there is None else read_tags(blobs, there.grid.path, there.names)
    return {name: value for name, value in theirs.items() if name not in ours}


def add_tags(held: Lease, fit: Fit, tags: dict[str, Any]) -> None:
    """Keep tags with the target."""
    if tags:
        held.check()
        write_tags(held.blobs, fit.grid.path, tags)


def add_code(source: Source, held: Lease, fit: Fit) -> None:
    """Keep the code of a source with the same grid in another store, if that has none."""
    key = fit.grid.path.manifest + code_record.NAME
    if code_record.NAME in source.state.names and held.blobs.get(key, MAX_NBYTES) is None:
        data = source.blobs.get(key, code_record.MAX_NBYTES)
        if data is not None:
            held.check()
            held.blobs.put(key, data)
