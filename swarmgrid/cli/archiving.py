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
from swarmgrid.readable import count, nbytes
from swarmgrid.terminal.asking import is_agreed, yes_option
from swarmgrid.terminal.endings import FOUND, OK
from swarmgrid.terminal.output import write, write_json

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
    target_options: tuple[str, ...],
    source_options: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> int:
    """Move the values of grids to an archive.

    TARGET is a folder, or a URL of an object store. Coordinates and the record of what is computed
    stay; what needs values is an error until the grid is thawed. Nothing is moved before you
    agree; without a terminal, only with --yes.

    \b
    Examples:
      swarmgrid archive cache /tape/lab 324fd638c05b
      swarmgrid archive cache s3://cold/lab --storage-class DEEP_ARCHIVE
    """
    place = to_place(names, source, source_options, where, tags, function)
    rows = place.some_rows()
    options = to_storage_options(target_options)
    agreed = _is_agreed(rows, f"Move the values of {_some(rows)} to {target}?", yes, as_json)
    changes = [
        (
            row,
            place.grid(row).archive(target, storage_class=storage_class, storage_options=options),
        )
        for row in (rows if agreed else [])
    ]
    return _told(place, changes, "archived", agreed=agreed, as_json=as_json)


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
    rows = [row for row in place.some_rows() if place.grid(row).is_archived()]
    options = to_storage_options(archive_options)
    agreed = bool(rows) and _is_agreed(
        rows, f"Move the values of {_some(rows)} back?", yes, as_json
    )
    changes = [
        (
            row,
            place.grid(row).thaw(moved_to, storage_options=options, skip_damaged=skip_damaged),
        )
        for row in (rows if agreed else [])
    ]
    return _told(place, changes, "thawed", agreed=agreed or not rows, as_json=as_json)


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
        write_json({"store": place.location.url, verb: agreed, "grids": grids})
    elif agreed:
        total = sum(change.nbytes for _, change in changes)
        write(f"{_some([row for row, _ in changes])} {verb}, {nbytes(total)}")
    return OK if agreed else FOUND
