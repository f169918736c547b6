"""``swarmgrid report`` and ``swarmgrid serve``: pages about a store."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from swarmgrid.cli.stores import json_option, place_argument
from swarmgrid.terminal.endings import OK
from swarmgrid.terminal.output import note, plain, write, write_json

if TYPE_CHECKING:
    from swarmgrid.cli.stores import Place
    from swarmgrid.live.server import LiveServer


@click.command()
@place_argument("[STORE]", selects=True)
@click.option("-o", "--output", default="report.html", show_default=True, metavar="FILE")
@click.option("--no-tracebacks", is_flag=True, help="Leave out tracebacks, which may hold what is "
              "secret.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace a file that is no report.")
@json_option
def report(place: Place, output: str, no_tracebacks: bool, overwrite: bool, as_json: bool) -> int:
    """Write a page about a store: one file that needs nothing else.

    It shows each grid: a map of what is computed, its costs, which process computed when, and the
    failures.

    \b
    Examples:
      swarmgrid report cache -o report.html
      swarmgrid report cache --tag site=north --no-tracebacks
    """
    from swarmgrid.store_api.report import report as write_report

    rows = place.some_rows()
    query = {"grid": {"$in": [row.grid for row in rows]}}
    path = write_report(
        place.location.url,
        output,
        query=query if place.is_selecting else None,
        tracebacks=not no_tracebacks,
        overwrite=overwrite,
        storage_options=dict(place.location.options) or None,
    )
    if as_json:
        write_json({"store": place.location.url, "path": str(path), "grids": len(rows),
                    "bytes": path.stat().st_size})  # fmt: skip
    else:
        grids = "1 grid" if len(rows) == 1 else f"{len(rows):,} grids"
        write(plain(f"{grids} in {path}"))
    return OK


@click.command()
@place_argument("[STORE]")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS",
              help="The address to listen at.")  # fmt: skip
@click.option("--port", default=0, type=click.IntRange(0, 65535), metavar="N",
              help="The port; 0: any that is free.")  # fmt: skip
@click.option("--token", metavar="TEXT", help="What a request must know. Default: a random text.")
@click.option("--interval", default=1.0, show_default=True, type=float, metavar="SECONDS",
              help="The shortest pause between two looks at the store.")  # fmt: skip
@click.option("--no-tracebacks", is_flag=True, help="Leave out tracebacks, which may hold what is "
              "secret.")  # fmt: skip
@json_option
def serve(
    place: Place,
    host: str,
    port: int,
    token: str | None,
    interval: float,
    no_tracebacks: bool,
    as_json: bool,
) -> int:
    """Serve a page that follows runs, until Ctrl-C.

    It shows all grids, and of each a map that fills up, the pace, the time that is left and the
    failures. It only reads the store, so it follows runs on other machines, too. It needs the
    extra web.

    \b
    Examples:
      swarmgrid serve cache
      swarmgrid serve cache --port 8000 --no-tracebacks
    """
    from swarmgrid.store_api.serve import serve as serve_store

    server = serve_store(
        place.location.url,
        host,
        port,
        token=token,
        interval=interval,
        tracebacks=not no_tracebacks,
        storage_options=dict(place.location.options) or None,
    )
    return _wait(server, place.location.url, as_json=as_json)


def _wait(server: LiveServer, url: str, *, as_json: bool) -> int:
    """Say where the page is, and wait for Ctrl-C."""
    with server:
        if as_json:
            write_json({"store": url, "url": server.url, "port": server.port})
        else:
            write(server.url)
            note(f"a page about {plain(url)}; Ctrl-C ends it")
        sys.stdout.flush()
        server.wait()
    return OK
