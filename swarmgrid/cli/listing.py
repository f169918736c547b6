"""``swarmgrid ls``: the grids of a store."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import click

from swarmgrid.cli.stores import json_option, place_argument
from swarmgrid.errors import InputError
from swarmgrid.terminal.endings import NOTHING, OK
from swarmgrid.terminal.output import note, table, terminal_width, write, write_json

if TYPE_CHECKING:
    from swarmgrid.cli.stores import Place
    from swarmgrid.inventory.row import GridRow

RIGHT = ("computed", "failed", "bytes", "seconds")
FLEXIBLE = ("params", "axes", "archived in", "tags", "function")
OPTIONAL = ("tags", "seconds", "bytes", "written")


@click.command()
@place_argument("[STORE] [GRID]...", selects=True)
@click.option("--search", metavar="TEXT", help="Only grids whose names, params or tags have words "
              "of a text, the most relevant first.")  # fmt: skip
@click.option("--sort", metavar="PATH", help="Order by a value, such as written or params.alpha; "
              "-written begins with the largest.")  # fmt: skip
@click.option(
    "-n", "--limit", type=click.IntRange(min=0), metavar="N", help="Show only so many grids."
)
@click.option("--check", is_flag=True, help="Hold the catalog against the document of each grid.")
@json_option
def ls(
    place: Place,
    search: str | None,
    sort: str | None,
    limit: int | None,
    check: bool,
    as_json: bool,
) -> int:
    """List the grids of a store.

    \b
    Examples:
      swarmgrid ls cache
      swarmgrid ls cache --where 'params.alpha>=0.3' --tag site=north
      swarmgrid ls cache --function simulate --sort -written -n 5
      swarmgrid ls cache --search 'magnetisation low temperature'
      swarmgrid ls s3://bucket/cache --storage-option region=eu-west-1
    """
    rows = place.rows(check=check)
    scores: dict[str, float] = {}
    if search is not None:
        from swarmgrid.inventory.text_search import checked_text, ranked

        found = ranked(rows, checked_text(search))
        rows, scores = [row for _, row in found], {row.grid: score for score, row in found}
    if sort is not None:
        rows = in_order(rows, sort)
    shown = rows[:limit]
    if as_json:
        grids = [to_document(row) for row in shown]
        for document in grids if search is not None else ():
            document["score"] = scores[document["grid"]]
        write_json({"store": place.location.url, "grids": grids})
    elif shown:
        write(grid_table(shown))
        if len(shown) < len(rows):
            note(f"... and {len(rows) - len(shown):,} more")
    if not rows:
        is_asked = place.is_selecting or bool(search)
        note(f"no grid {'fits ' if is_asked else ''}in {place.location.url!r}")
    return OK if rows else NOTHING


def grid_table(rows: list[GridRow]) -> str:
    """A table of grids that fits the terminal, or is whole where there is none."""
    from swarmgrid.inventory.table import HEADINGS, brief_cells

    now, width = time.time(), terminal_width()
    cells = [brief_cells(row, now, most=None) for row in rows]
    return table(HEADINGS, cells, right=RIGHT, flexible=FLEXIBLE, optional=OPTIONAL, width=width)


def to_document(row: GridRow) -> dict[str, Any]:
    """A grid in brief, as JSON; its members are the paths of queries."""
    return {**row.document, "damaged": not row.checksum}


def in_order(rows: list[GridRow], path: str) -> list[GridRow]:
    """Rows ordered by the value at a path; a minus before it begins with the largest.

    Grids without such a value come last. Numbers come before texts.

    Raises
    ------
    InputError
        If the path begins with no name that a grid has.
    """
    from swarmgrid.inventory.query import MISSING, member
    from swarmgrid.inventory.row import ROOTS

    name = path.removeprefix("-")
    if name.partition(".")[0] not in ROOTS:
        raise InputError(f"--sort is {path!r}; expected a path that begins with one of "
                         f"{', '.join(ROOTS)}")  # fmt: skip
    found = [(member(row.document, name), row) for row in rows]
    known = [(value, row) for value, row in found if value is not MISSING]
    known.sort(key=lambda pair: _rank(pair[0]), reverse=path.startswith("-"))
    return [row for _, row in known] + [row for value, row in found if value is MISSING]


def _rank(value: Any) -> tuple[int, Any]:
    if isinstance(value, (int, float)):  # bools, too
        return (1, 0) if math.isnan(value) else (0, value)
    return (2, value) if isinstance(value, str) else (3, str(value))
