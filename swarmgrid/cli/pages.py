"""``swarmgrid report``: pages about a store."""

from __future__ import annotations

import click

from swarmgrid.cli.endings import OK
from swarmgrid.cli.output import plain, write, write_json
from swarmgrid.cli.stores import (
    json_option,
    names_argument,
    query_of,
    selection_options,
    store_options,
    to_place,
)
from swarmgrid.errors import InputError


@click.command()
@names_argument("[STORE]")
@click.option("-o", "--output", default="report.html", show_default=True, metavar="FILE")
@selection_options
@click.option("--no-tracebacks", is_flag=True, help="Leave out tracebacks, which may hold what is "
              "secret.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace a file that is no report.")
@json_option
@store_options
def report(
    names: tuple[str, ...],
    output: str,
    where: tuple[str, ...],
    function: str | None,
    tags: tuple[str, ...],
    no_tracebacks: bool,
    overwrite: bool,
    as_json: bool,
    store: str | None,
    storage: tuple[str, ...],
) -> int:
    """Write a page about a store: one file that needs nothing else.

    It shows each grid: a map of what is computed, its costs, which process computed when, and the
    failures.

    \b
    Examples:
      swarmgrid report cache -o report.html
      swarmgrid report cache --tag site=north --no-tracebacks
    """
    from swarmgrid.api.report import report as write_report

    place = to_place(names, store, storage)
    if place.names:
        raise InputError(f"report takes a store only; it was given {place.names[0]!r}, too")
    rows = place.some_rows(query_of(where, tags), function)
    query = {"grid": {"$in": [row.grid for row in rows]}}
    path = write_report(
        place.location.url,
        output,
        query=query if where or tags or function else None,
        tracebacks=not no_tracebacks,
        overwrite=overwrite,
        storage_options=dict(place.location.options) or None,
    )
    if as_json:
        write_json({"store": place.location.url, "path": str(path), "grids": len(rows),
                    "bytes": path.stat().st_size})  # fmt: skip
    else:
        write(plain(f"{len(rows):,} grids in {path}"))
    return OK
