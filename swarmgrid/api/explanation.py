"""The reason why a grid is computed that is not stored: what differs from the nearest one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from swarmgrid.inventory.difference import Difference, difference
from swarmgrid.inventory.keeping import stored_rows
from swarmgrid.inventory.row import GridRow
from swarmgrid.inventory.table import SHOWN_DIGITS
from swarmgrid.records.code_record import CodePart, read_code
from swarmgrid.store.layout import GridPath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarmgrid.planning.request import Request

_ABSENT = object()


def explanation(request: Request, code: Sequence[CodePart]) -> str:
    """The reason why a request makes a new grid, in one sentence; reads the inventory.

    The nearest grid is of the same function, and differs in the fewest things.
    """
    ref = request.grid
    path, attributes = ref.path, ref.attributes
    requested = GridRow(
        path.grid,
        path.folder,
        str(attributes.get("swarmgrid_function", path.function)),
        str(attributes.get("swarmgrid_version", "")),
        str(attributes.get("swarmgrid_params", "{}")),
        json.dumps({axis.name: ["", len(axis), None, None] for axis in request.domain.axes}),
    )
    rows = [
        row
        for row in stored_rows(ref.location)
        if row.folder == path.folder and row.grid != path.grid
    ]
    if not rows:
        return f"new grid: the store has no other grid of {requested.function}"
    near = max(rows, key=lambda row: _nearness(row, requested))
    stored = read_code(ref.location.open(), GridPath(near.function or near.folder, near.grid))
    found = difference(near, requested, stored, code)
    return (
        f"new grid because {_joined(found)}; the nearest grid {near.grid[:SHOWN_DIGITS]}... has "
        f"{near.points_computed:,} points"
    )


def _joined(found: Difference) -> str:
    return ", and ".join(found.reasons()) or "something that is not recorded differs"


def _nearness(row: GridRow, requested: GridRow) -> tuple[int, int, int]:
    """A rank: first by the number of things that differ, then by points and time."""
    names = {*row.params, *requested.params}
    n_params = sum(row.params.get(n, _ABSENT) != requested.params.get(n, _ABSENT) for n in names)
    others = (row.function != requested.function, row.version != requested.version)
    n_others = sum(others) + (sorted(row.axes) != sorted(requested.axes))
    return -(n_params + n_others), row.points_computed, row.written
