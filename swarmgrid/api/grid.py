"""Looking after a stored grid: its failures, its soundness, and mending it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swarmgrid.api.resolve import target
from swarmgrid.format.failures import read_all_failures, within
from swarmgrid.format.state import read_state
from swarmgrid.maintenance.repair import mend_grid
from swarmgrid.maintenance.verify import verify_grid
from swarmgrid.store import lease
from swarmgrid.store.preflight import check_writable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from swarmgrid.maintenance.report import Report
    from swarmgrid.options import Options


def failed_points(
    options: Options, params: Mapping[str, Any] | None, axes: Sequence[str] | None
) -> pd.DataFrame:
    """The failures of points that are not computed since, as a table; see `Grid.errors`."""
    from swarmgrid.view import dataset

    found = target(options, params, axes)
    blobs = found.location.open()
    failures = read_all_failures(blobs, found.path)
    snapshot = read_state(blobs, found.path)
    if snapshot is None:
        return dataset.failure_table((), [])
    left = [
        failure
        for (index, offset), failure in within(failures, snapshot.grid).items()
        if not snapshot.manifest.holds(index, offset, snapshot.grid.chunk_shape)
    ]
    return dataset.failure_table(snapshot.grid.names, left)


def verified(
    options: Options, params: Mapping[str, Any] | None, axes: Sequence[str] | None
) -> Report:
    """What is wrong with a stored grid; see `Grid.verify`."""
    found = target(options, params, axes)
    blobs = found.location.open()
    if not blobs.names(found.path.manifest) and blobs.get(found.path.metadata) is None:
        raise found.nothing_stored()
    return verify_grid(blobs, found.path)


def repaired(
    options: Options, params: Mapping[str, Any] | None, axes: Sequence[str] | None
) -> Report:
    """Mend a stored grid: what was wrong before; see `Grid.repair`."""
    before = verified(options, params, axes)
    if before.is_clean and not before.notes:
        return before
    found = target(options, params, axes)
    check_writable(found.location)
    with lease.acquired(found.location, found.path) as held:
        mend_grid(held, found.path, found.request(()).attributes())
    return before
