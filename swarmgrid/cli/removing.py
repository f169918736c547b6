"""``swarmgrid delete`` and ``swarmgrid prune``: take points and grids away."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import click

from swarmgrid.cli.listing import grid_table, to_document
from swarmgrid.cli.stores import json_option, place_argument
from swarmgrid.errors import InputError
from swarmgrid.notation.conditions import to_query
from swarmgrid.readable import count, nbytes
from swarmgrid.terminal.asking import is_agreed, yes_option
from swarmgrid.terminal.endings import FOUND, OK, NothingError
from swarmgrid.terminal.output import note, write, write_json

if TYPE_CHECKING:
    from swarmgrid.cli.stores import Place
    from swarmgrid.inventory.row import GridRow

_TEXTS = {"str", "enum", "label"}
"""The kinds of axes whose labels are texts."""


@click.command()
@place_argument("[STORE] [GRID]...", selects=True)
@click.option(
    "--select",
    "selections",
    multiple=True,
    metavar="AXIS=VALUES",
    help="Only some points: s=3, s=1,2,3, s=0:9 (as for run, without 9), or s=0..9 (all stored "
    "values from 0 to 9, both included); a text may be in quotes. May be repeated for other axes.",
)
@click.option("--snapshots", is_flag=True, help="Delete grids with their snapshots, too.")
@click.option("--archived", is_flag=True, help="Delete archived grids, too; their archives stay.")
@click.option("--invalidate", is_flag=True, help="Leave the values on the disk until they are "
              "computed again.")  # fmt: skip
@yes_option("Delete without asking.")
@json_option
def delete(
    place: Place,
    selections: tuple[str, ...],
    snapshots: bool,
    archived: bool,
    invalidate: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Delete points of one grid, or whole grids.

    Nothing is deleted before you agree; without a terminal, only with --yes. Grids that have
    snapshots are deleted only with --snapshots, and archived ones only with --archived.

    \b
    Examples:
      swarmgrid delete cache 324fd638c05b --select s=0:9 --select strat=a
      swarmgrid delete cache 324fd638c05b
      swarmgrid delete cache --where 'written<2026-01-01' --yes
    """
    if not (place.names or place.is_selecting):
        raise InputError(
            "nothing says which grids to delete; name a grid, or select some with --where, "
            "--function or --tag"
        )
    if selections:
        row = place.row()
        return _delete_points(place, row, selections, invalidate, yes=yes, as_json=as_json)
    if invalidate:
        raise InputError("--invalidate needs --select: it is about some points of a grid")
    rows = place.some_rows()
    if not snapshots:
        _check_have_no_snapshots(place, rows)
    if not archived:
        _check_are_not_archived(place, rows)
    if not as_json:
        write(grid_table(rows))
    agreed = is_agreed(f"Delete {_some(rows)}?", yes=yes, as_json=as_json)
    left = _drop_each(place, rows, snapshots=snapshots, archived=archived) if agreed else []
    gone = [row for row in rows if row not in left]
    _tell(place, gone, left, agreed=agreed, as_json=as_json)
    return FOUND if left or not agreed else OK


def _delete_points(
    place: Place,
    row: GridRow,
    selections: tuple[str, ...],
    invalidate: bool,
    *,
    yes: bool,
    as_json: bool,
) -> int:
    grid = place.grid(row)
    chosen, n = _selected(place, row, selections)
    verb = "invalidate" if invalidate else "delete"
    if not as_json:
        write(f"{row.function}/{row.grid}: {count(n)} computed points are selected")
    agreed = n > 0 and is_agreed(f"{verb.capitalize()} them?", yes=yes, as_json=as_json)
    done = 0
    if agreed:
        done = grid.invalidate(chosen) if invalidate else grid.delete(chosen)
    if as_json:
        write_json({"store": place.location.url, "grid": row.grid, "selected": n, "deleted": done,
                    "invalidated": invalidate})  # fmt: skip
    elif agreed:
        write(f"{count(done)} points {verb}d")
    return FOUND if n and not agreed else OK


def _selected(
    place: Place, row: GridRow, selections: tuple[str, ...]
) -> tuple[dict[str, Any], int]:
    """The labels by axis that options mean, and how many computed points have them.

    Raises
    ------
    InputError
        If the grid has no such labels.
    NothingError
        If no point of the grid is within a range.
    """
    from swarmgrid.notation.labels import to_selection
    from swarmgrid.records.grid_state import read_state
    from swarmgrid.store.layout import GridPath
    from swarmgrid.view.selecting import positions
    from swarmgrid.view.status import COMPUTED, status_array

    path = GridPath(row.function or row.folder, row.grid)
    state = read_state(place.location.open(), path)
    if state is None:
        raise NothingError(f"the grid {path.group} is not there any more")
    axes = state.grid.axes
    labels = {axis.name: axis.labels().tolist() for axis in axes if axis.kind in _TEXTS}
    chosen = to_selection(selections, row.axes, labels)
    at = positions(axes, chosen)
    status = status_array(state.grid, state.manifest, ())
    selected = status.isel(dict(zip(status.dims, at, strict=True)))
    if not selected.size:
        raise NothingError(f"no point of {path.group} fits --select {' '.join(selections)}")
    return chosen, int((selected == COMPUTED).sum())


def _check_have_no_snapshots(place: Place, rows: list[GridRow]) -> None:
    """Raise InputError where grids have snapshots, which would be lost with them."""
    from swarmgrid.records.snapshot import snapshot_paths
    from swarmgrid.store.layout import SNAPSHOTS, GridPath

    blobs = place.location.open()
    present = {*blobs.names(f"{SNAPSHOTS}/")}
    found = [row for row in rows if row.grid in present]
    found = [row for row in found if snapshot_paths(blobs, GridPath(row.folder, row.grid))]
    if found:
        n = len(found)
        raise InputError(
            f"{n} grid{'s' * (n != 1)} ha{'ve' if n > 1 else 's'} snapshots, which read "
            f"{'their' if n > 1 else 'its'} chunks: {_shown(found)}. Nothing was deleted; "
            "--snapshots deletes them, too"
        )


def _check_are_not_archived(place: Place, rows: list[GridRow]) -> None:
    """Raise InputError where the values of grids are in archives, which nothing would name."""
    from swarmgrid.store_api.catalog import Catalog
    from swarmgrid.store_api.pruning import archived_in

    archived = archived_in(Catalog(place.location, tuple(rows)))
    found = [row for row in rows if row.grid in archived]
    if found:
        n = len(found)
        raise InputError(
            f"{n} grid{'s are' if n > 1 else ' is'} archived: {_shown(found)}. Nothing was "
            f"deleted; thaw {'them' if n > 1 else 'it'} first, or pass --archived, which leaves "
            f"the archive{'s' * (n != 1)} alone"
        )


def _shown(rows: list[GridRow]) -> str:
    from swarmgrid.inventory.table import SHOWN_DIGITS

    shown = ", ".join(f"{row.folder}/{row.grid[:SHOWN_DIGITS]}" for row in rows[:5])
    return shown + ", ..." * (len(rows) > 5)


def _drop_each(
    place: Place, rows: list[GridRow], *, snapshots: bool = False, archived: bool = False
) -> list[GridRow]:
    """Delete grids: those that were left alone, because they were written to since."""
    from swarmgrid.handle.removing import drop
    from swarmgrid.store.layout import GridPath

    left = []
    for row in rows:
        path = GridPath(row.function or row.folder, row.grid)
        as_in = row if row.checksum else None  # of a damaged grid nothing is known
        is_gone = drop(
            place.location, path, as_in=as_in, snapshots=snapshots, may_be_archived=archived
        )
        if not is_gone:
            left.append(row)
    return left


def _tell(
    place: Place,
    rows: list[GridRow],
    in_use: list[GridRow],
    *,
    agreed: bool,
    as_json: bool,
    expired: int | None = None,
) -> None:
    """Write which grids were deleted, or would be, and which were left because they are in use."""
    if as_json:
        document = {
            "store": place.location.url,
            "deleted": agreed,
            "bytes": sum(row.nbytes for row in rows),
            "grids": [to_document(row) for row in rows],
            "in_use": [row.grid for row in in_use],
        }
        write_json(document if expired is None else document | {"snapshots": expired})
        return
    verb = "deleted" if agreed else "would be deleted"
    more = f"; {len(in_use):,} more are in use" if in_use else ""
    if expired:
        more += f"; {_expired(expired)} {verb}"
    note(f"{_some(rows)} {verb}{more}")


def _some(rows: list[GridRow]) -> str:
    size = nbytes(sum(row.nbytes for row in rows))
    return f"{len(rows):,} grid{'s' * (len(rows) != 1)}, {size}"


def _expired(n: int) -> str:
    return f"{n:,} expired snapshot{'s' * (n != 1)}"


@click.command()
@place_argument("[STORE]")
@click.option("--older-than", metavar="TIME", help="Grids last written so long ago: 30d, 12h.")
@click.option("--max-bytes", metavar="SIZE", help="The oldest grids, until the others fit: 50GB.")
@click.option("--keep", multiple=True, metavar="CONDITION", help="Grids that stay, as for ls "
              "--where. May be repeated: a grid that fulfils all of them stays.")  # fmt: skip
@yes_option("Delete without asking.")
@json_option
def prune(
    place: Place,
    older_than: str | None,
    max_bytes: str | None,
    keep: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> int:
    """Delete old grids, or the oldest ones above a size.

    Snapshots that have expired go, too. Nothing is deleted before you agree; without a terminal,
    only with --yes. Grids that a process fills stay, and so do archived ones and those with other
    snapshots.

    \b
    Examples:
      swarmgrid prune cache --older-than 30d
      swarmgrid prune cache --max-bytes 50GB --keep tags.status=final --yes
    """
    from swarmgrid.store_api.catalog import Catalog
    from swarmgrid.store_api.pruning import delete_expired, to_prune

    if older_than is None and max_bytes is None:
        raise InputError("nothing says what to delete; pass --older-than 30d or --max-bytes 50GB")
    limit = max_bytes if max_bytes is None or not max_bytes.isdigit() else int(max_bytes)
    kept = to_query(keep, ()) if keep else None
    whole, now = Catalog(place.location, tuple(place.rows())), dt.datetime.now(dt.UTC)
    rows, in_use, n = to_prune(whole, older_than, limit, kept, now)
    if rows and not as_json:
        write(grid_table(rows))
    question = f"Delete {_some(rows)}{f', and {_expired(n)}' if n else ''}?"
    is_any = bool(rows or n)
    agreed = is_any and is_agreed(question, yes=yes, as_json=as_json)
    if agreed:  # those that were shown, and no others
        n = delete_expired(whole, now)
        in_use += _drop_each(place, rows)
        rows = [row for row in rows if row not in in_use]
    _tell(place, rows, in_use, agreed=agreed, as_json=as_json, expired=n)
    return FOUND if is_any and not agreed else OK
