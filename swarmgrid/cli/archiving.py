"""``swarmgrid archive`` and ``swarmgrid thaw``: move values of grids to an archive, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from swarmgrid.cli.listing import grid_table
from swarmgrid.cli.stores import (
    json_option,
    place_argument,
    selection_options,
    to_place,
    to_storage_options,
)
from swarmgrid.errors import InputError
from swarmgrid.notation.conditions import to_query
from swarmgrid.readable import count, nbytes
from swarmgrid.terminal.asking import is_agreed, yes_option
from swarmgrid.terminal.endings import FOUND, OK
from swarmgrid.terminal.output import note, write, write_json

if TYPE_CHECKING:
    from swarmgrid.cli.stores import Place
    from swarmgrid.handle.archiving import ArchiveChange
    from swarmgrid.inventory.row import GridRow


@click.command()
@click.argument("source", metavar="STORE")
@click.argument("target")
@click.argument("names", nargs=-1, metavar="[GRID]...")
@click.option(
    "--storage-class",
    metavar="NAME",
    help="The storage class of the chunks in an object store, such as DEEP_ARCHIVE.",
)
@selection_options
@click.option("--older-than", metavar="TIME", help="Grids last written so long ago: 30d, 12h.")
@click.option("--max-bytes", metavar="SIZE", help="The oldest grids, until the others fit: 50GB.")
@click.option("--keep", multiple=True, metavar="CONDITION", help="Grids that stay, as for ls "
              "--where. May be repeated: a grid that fulfils all of them stays.")  # fmt: skip
@click.option(
    "--target-option",
    "target_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the target's URL. May be repeated.",
)
@click.option(
    "--source-option",
    "source_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the store's URL. May be repeated.",
)
@yes_option("Move without asking.")
@json_option
def archive(
    source: str,
    target: str,
    names: tuple[str, ...],
    storage_class: str | None,
    where: tuple[str, ...],
    function: str | None,
    tags: tuple[str, ...],
    older_than: str | None,
    max_bytes: str | None,
    keep: tuple[str, ...],
    target_options: tuple[str, ...],
    source_options: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> int:
    """Move the values of grids to an archive.

    TARGET is a folder, or a URL of an object store. Coordinates and the record of what is computed
    stay; what needs values is an error until the grid is thawed. Nothing is moved before you
    agree; without a terminal, only with --yes. With --older-than, --max-bytes or --keep, grids
    that a process fills stay, and so do those that are archived.

    \b
    Examples:
      swarmgrid archive cache /tape/lab 324fd638c05b
      swarmgrid archive cache s3://cold/lab --storage-class DEEP_ARCHIVE
      swarmgrid archive cache /tape/lab --older-than 30d --yes
    """
    from swarmgrid.handle.archiving import checked_target
    from swarmgrid.store_api.archiving import move, to_move
    from swarmgrid.store_api.catalog import Catalog

    place = to_place(names, source, source_options, where, tags, function)
    goal = checked_target(
        place.location, target, storage_class, to_storage_options(target_options)
    )
    if not (place.names or place.is_selecting or older_than or max_bytes):
        raise InputError(
            "nothing says which grids to archive; name a grid, or select some with --where, "
            "--function, --tag, --older-than or --max-bytes; --older-than 0s for all"
        )
    rows = place.some_rows()
    in_use: list[GridRow] = []
    is_by_age = older_than is not None or max_bytes is not None or bool(keep)
    if is_by_age:
        limit = int(max_bytes) if max_bytes is not None and max_bytes.isdigit() else max_bytes
        kept = to_query(keep, ()) if keep else None
        found = Catalog(place.location, tuple(rows))
        rows, in_use = to_move(found, goal, older_than, limit, kept)
    question = f"Move the values of {_some(rows)} to {target}?"
    agreed = bool(rows) and _is_agreed(rows, question, yes, as_json)
    changes, failed, busy = move(
        place.location, rows if agreed else [], goal, storage_class, as_in_catalog=is_by_age
    )
    moved = [(row, changes[row.grid]) for row in rows if row.grid in changes]
    left = {
        "in_use": [row.grid for row in (*in_use, *busy)],
        "failed": {grid: str(error) for grid, error in failed.items()},
    }
    ending = _told(place, moved, "archived", left, agreed=agreed or not rows, as_json=as_json)
    return FOUND if failed or busy else ending


@click.command()
@place_argument("[STORE] [GRID]...", selects=True)
@click.option(
    "--from",
    "moved_to",
    metavar="PLACE",
    help="The place that the archive of one grid was moved to: what has data.zarr.",
)
@click.option(
    "--archive-option",
    "archive_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the archive's URL. May be repeated.",
)
@click.option(
    "--skip-damaged",
    is_flag=True,
    help="Go on where chunks of the archive are damaged or missing: their points count as not "
    "computed then.",
)
@yes_option("Move without asking.")
@json_option
def thaw(
    place: Place,
    moved_to: str | None,
    archive_options: tuple[str, ...],
    skip_damaged: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Move the values of archived grids back.

    Of objects in an archival storage class, a restore is to be requested first: the error says
    how. The same command again goes on. Grids that are not archived are left alone.

    \b
    Examples:
      swarmgrid thaw cache 324fd638c05b
      swarmgrid thaw cache --function simulate --yes
    """
    from swarmgrid.store_api.archiving import bring_back

    rows = [row for row in place.some_rows() if place.grid(row).is_archived()]
    options = to_storage_options(archive_options)
    agreed = bool(rows) and _is_agreed(
        rows, f"Move the values of {_some(rows)} back?", yes, as_json
    )
    chosen = rows if agreed else []
    changes = bring_back(place.location, chosen, moved_to, options, skip_damaged=skip_damaged)
    return _told(place, changes, "thawed", {}, agreed=agreed or not rows, as_json=as_json)


def _is_agreed(rows: list[GridRow], question: str, yes: bool, as_json: bool) -> bool:
    if not as_json:
        write(grid_table(rows))
    return is_agreed(question, yes=yes, as_json=as_json)


def _some(rows: list[GridRow]) -> str:
    return f"{count(len(rows))} grid{'s' * (len(rows) != 1)}"


def _told(
    place: Place,
    changes: list[tuple[GridRow, ArchiveChange]],
    verb: str,
    left: dict[str, Any],
    *,
    agreed: bool,
    as_json: bool,
) -> int:
    if as_json:
        grids: list[dict[str, Any]] = [
            {
                "grid": row.grid,
                "function": row.function,
                "archive": change.archive,
                "chunks": change.chunks,
                "bytes": change.nbytes,
            }
            for row, change in changes
        ]
        write_json({"store": place.location.url, verb: agreed, "grids": grids, **left})
    elif agreed:
        total = sum(change.nbytes for _, change in changes)
        n = len(left.get("in_use", ()))
        more = f"; {n:,} more are in use" if n else ""
        write(f"{_some([row for row, _ in changes])} {verb}, {nbytes(total)}{more}")
        for text in left.get("failed", {}).values():
            note(f"not {verb}: {text}")
    return OK if agreed else FOUND
