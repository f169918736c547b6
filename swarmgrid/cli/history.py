"""``swarmgrid snapshot``, ``snapshots``, ``diff`` and ``restore``: the past of grids."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from swarmgrid.cli.flags import to_named
from swarmgrid.cli.stores import json_option, place_argument
from swarmgrid.readable import count
from swarmgrid.terminal.asking import is_agreed, yes_option
from swarmgrid.terminal.endings import FOUND, NOTHING, OK
from swarmgrid.terminal.output import note, plain, table, terminal_width, write, write_json

if TYPE_CHECKING:
    from swarmgrid.cli.stores import Place
    from swarmgrid.handle.history import GridDiff
    from swarmgrid.inventory.row import GridRow
    from swarmgrid.records.snapshot import Snapshot
    from swarmgrid.store_api.catalog import Catalog

_HEADINGS = ("grid", "snapshot", "message", "points", "taken", "expires", "tags", "damage")


@click.command()
@place_argument("[STORE] [GRID]...", selects=True)
@click.option("-m", "--message", default="", metavar="TEXT", help="Its purpose, in a line; it "
              "serves as a name, too.")  # fmt: skip
@click.option("--expires", metavar="TIME", help="It may be deleted after so long, 30d, or from a "
              "time on, 2027-01-31. Default: never.")  # fmt: skip
@click.option("--snapshot-tag", "marks", multiple=True, metavar="NAME=VALUE", help="A note that "
              "is kept with it. May be repeated.")  # fmt: skip
@json_option
def snapshot(
    place: Place, message: str, expires: str | None, marks: tuple[str, ...], as_json: bool
) -> int:
    """Keep what grids hold now, to read or restore it later.

    It copies no values. Without a GRID or a condition, of all grids of the store, one after the
    other.

    \b
    Examples:
      swarmgrid snapshot cache -m 'before refit'
      swarmgrid snapshot cache 324fd638c05b -m 'figure 3' --expires 30d
    """
    rows = place.some_rows()
    tags = to_named("--snapshot-tag", marks)
    taken = _catalog(place, rows).snapshot(message, tags=tags, expires=expires)
    return _listed(place, [(row, taken[row.grid]) for row in rows], as_json=as_json)


@click.command()
@place_argument("[STORE] [GRID]...", selects=True)
@click.option("--delete", "deleted", metavar="SNAPSHOT", help="Delete the snapshots that have "
              "this message or id, with the copies of chunks kept for them.")  # fmt: skip
@yes_option("Delete without asking.")
@json_option
def snapshots(place: Place, deleted: str | None, yes: bool, as_json: bool) -> int:
    """List the snapshots of grids, or delete some.

    \b
    Examples:
      swarmgrid snapshots cache
      swarmgrid snapshots cache 324fd638c05b --delete 'before refit'
    """
    rows = place.some_rows()
    if deleted is None:
        found = [(row, each) for row in rows for each in place.grid(row).snapshots()]
        if not found:
            note(f"there is no snapshot in {place.location.url!r}")
        return _listed(place, found, as_json=as_json)
    catalog = _catalog(place, rows)
    named = catalog.with_snapshot(deleted)
    n = f"{count(len(named))} snapshot{'s' * (len(named) != 1)}"
    agreed = is_agreed(f"Delete {n}?", yes=yes, as_json=as_json)
    if agreed:
        catalog.delete_snapshot(named)
    found = [(row, named[row.grid]) for row in rows if row.grid in named]
    if as_json:
        document = {"store": place.location.url, "deleted": agreed}
        write_json({**document, "snapshots": [_to_document(*each) for each in found]})
    elif agreed:
        write(f"{n} deleted")
    return OK if agreed else FOUND


@click.command()
@place_argument("[STORE] [GRID]...", selects=True)
@click.option("--from", "before", required=True, metavar="MOMENT", help="A snapshot by its "
              "message or id, or a time: 2026-11-20T12:00, in UTC.")  # fmt: skip
@click.option("--to", "after", metavar="MOMENT", help="A later one. Default: now.")
@click.option("-n", "--limit", type=click.IntRange(min=0), default=20, show_default=True,
              metavar="N", help="Show only so many points of a grid.")  # fmt: skip
@json_option
def diff(place: Place, before: str, after: str | None, limit: int, as_json: bool) -> int:
    """Say which points differ between two moments.

    They were added, removed or changed. The exit code is 1 if there are any. With --json, all of
    them are written.

    \b
    Examples:
      swarmgrid diff cache --from 'before refit'
      swarmgrid diff cache 324fd638c05b --from 2026-11-20 --to 2026-11-21T12:00
    """
    from swarmgrid.handle.history import CHANGES

    rows = place.some_rows()
    diffs = _catalog(place, rows).diff(before, after)
    found = [(row, diffs[row.grid]) for row in rows if row.grid in diffs]
    if as_json:
        grids = [
            {
                **_name(row),
                **{change: diff.count(change) for change in CHANGES},
                "points": diff.points.to_dict("records"),
            }
            for row, diff in found
        ]
        write_json({"store": place.location.url, "grids": grids})
    else:
        for row, diff in found:
            _show_diff(row, diff, limit)
    return FOUND if any(map(len, diffs.values())) else OK


@click.command()
@place_argument("[STORE] [GRID]... SNAPSHOT", selects=True, last="name")
@yes_option("Restore without asking.")
@json_option
def restore(place: Place, name: str, yes: bool, as_json: bool) -> int:
    """Make grids what they were when a snapshot was taken.

    SNAPSHOT is its message or its id; grids without it are left alone. Points computed since
    count as not computed then. Nothing is changed before you agree; without a terminal, only with
    --yes.

    \b
    Examples:
      swarmgrid restore cache 'before refit'
      swarmgrid restore cache 324fd638c05b 'figure 3' --yes
    """
    rows = place.some_rows()
    catalog = _catalog(place, rows)
    named = catalog.with_snapshot(name)
    n = f"{count(len(named))} grid{'s' * (len(named) != 1)}"
    if not as_json:
        _listed(place, [(row, named[row.grid]) for row in rows if row.grid in named])
    agreed = is_agreed(f"Restore {n}?", yes=yes, as_json=as_json)
    done = catalog.restore(named) if agreed else dict.fromkeys(named, 0)
    if as_json:
        grids = [
            {**_name(row), "snapshot": named[row.grid].id, "invalidated": done[row.grid]}
            for row in rows
            if row.grid in named
        ]
        write_json({"store": place.location.url, "restored": agreed, "grids": grids})
    elif agreed:
        write(f"{n} restored; {count(sum(done.values()))} points are not computed any more")
    return OK if agreed else FOUND


def _catalog(place: Place, rows: list[GridRow]) -> Catalog:
    from swarmgrid.store_api.catalog import Catalog

    return Catalog(place.location, tuple(rows))


def _listed(place: Place, found: list[tuple[GridRow, Snapshot]], *, as_json: bool = False) -> int:
    """Write snapshots as a table, or as JSON; the exit code."""
    if as_json:
        documents = [_to_document(*each) for each in found]
        write_json({"store": place.location.url, "snapshots": documents})
    elif found:
        cells = [_cells(*each) for each in found]
        write(table(_HEADINGS, cells, right=("points",), flexible=("tags", "message", "grid"),
                    optional=("tags", "expires"), width=terminal_width()))  # fmt: skip
    return OK if found else NOTHING


def _cells(row: GridRow, snapshot: Snapshot) -> tuple[str, ...]:
    from swarmgrid.inventory.table import SHOWN_DIGITS, to_age

    expires, tags = snapshot.expires, snapshot.tags.items()
    return (
        f"{row.function or row.folder}/{row.grid[:SHOWN_DIGITS]}",
        snapshot.id,
        snapshot.message,
        "" if snapshot.damage else count(snapshot.points),
        "" if snapshot.damage else to_age(snapshot.time.timestamp(), time.time()),
        "" if expires is None else f"{expires:%Y-%m-%d %H:%M}",
        ", ".join(name if value is True else f"{name}={value}" for name, value in tags),
        snapshot.damage,
    )


def _to_document(row: GridRow, snapshot: Snapshot) -> dict[str, Any]:
    expires = snapshot.expires
    return {
        **_name(row),
        "snapshot": snapshot.id,
        "message": snapshot.message,
        "points": snapshot.points,
        "time": snapshot.time.timestamp(),
        "expires": None if expires is None else expires.timestamp(),
        "tags": dict(snapshot.tags),
        "damage": snapshot.damage or None,
    }


def _name(row: GridRow) -> dict[str, Any]:
    return {"grid": row.grid, "function": row.function}


def _show_diff(row: GridRow, diff: GridDiff, limit: int) -> None:
    from swarmgrid.handle.history import CHANGES
    from swarmgrid.inventory.table import SHOWN_DIGITS

    counts = ", ".join(f"{count(diff.count(change))} {change}" for change in CHANGES)
    write(plain(f"{row.function or row.folder}/{row.grid[:SHOWN_DIGITS]}: {counts}"))
    shown = diff.points.head(limit)
    if len(shown):
        cells = [tuple(map(str, values)) for values in shown.itertuples(index=False)]
        write(table([*map(str, shown.columns)], cells, width=terminal_width()))
    if len(shown) < len(diff):
        note(f"... and {count(len(diff) - len(shown))} more")
