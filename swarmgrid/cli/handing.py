"""``swarmgrid export`` and ``swarmgrid copy``: hand grids on."""

from __future__ import annotations

from typing import Any

import click

from swarmgrid.cli.endings import NOTHING, OK
from swarmgrid.cli.listing import grid_table, to_document
from swarmgrid.cli.output import note, plain, write, write_json
from swarmgrid.cli.stores import (
    json_option,
    names_argument,
    query_of,
    selection_options,
    store_options,
    to_place,
    to_storage_options,
)


@click.command()
@names_argument("[STORE] [GRID] FILE", required=True)
@selection_options
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@json_option
@store_options
def export(
    names: tuple[str, ...],
    where: tuple[str, ...],
    function: str | None,
    tags: tuple[str, ...],
    overwrite: bool,
    as_json: bool,
    store: str | None,
    storage: tuple[str, ...],
) -> int:
    """Write a grid as one file: .nc, .parquet, .csv or .zarr.

    \b
    Examples:
      swarmgrid export cache 324fd638c05b result.nc
      swarmgrid export cache --where params.alpha=0.4 result.csv --overwrite
    """
    *rest, target = names
    place = to_place(rest, store, storage)
    row = place.row(query_of(where, tags), function)
    path = place.grid(row).export(target, overwrite=overwrite)
    if as_json:
        write_json({"store": place.location.url, "grid": row.grid, "function": row.function,
                    "path": str(path), "bytes": _size(path)})  # fmt: skip
    else:
        write(plain(f"{row.function}/{row.grid} written to {path}"))
    return OK


def _size(path: Any) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


@click.command()
@click.argument("source")
@click.argument("target")
@selection_options
@click.option("--source-option", "source_options", multiple=True, metavar="KEY=VALUE",
              help="A setting of the source's URL. May be repeated.")  # fmt: skip
@click.option("--target-option", "target_options", multiple=True, metavar="KEY=VALUE",
              help="A setting of the target's URL. May be repeated.")  # fmt: skip
@json_option
def copy(
    source: str,
    target: str,
    where: tuple[str, ...],
    function: str | None,
    tags: tuple[str, ...],
    source_options: tuple[str, ...],
    target_options: tuple[str, ...],
    as_json: bool,
) -> int:
    """Copy grids to another store.

    SOURCE and TARGET are folders or URLs. Every value is checked on the way. A grid of which the
    target has points is left alone.

    \b
    Examples:
      swarmgrid copy cache other-cache
      swarmgrid copy cache s3://bucket/cache --tag status=final --target-option region=eu-west-1
    """
    from swarmgrid.api.copying import copy as copy_grids

    place = to_place((), source, source_options)
    done = copy_grids(
        place.location.url,
        target,
        query=query_of(where, tags),
        function=function,
        source_options=to_storage_options(source_options),
        target_options=to_storage_options(target_options),
    )
    if as_json:
        write_json(
            {
                "source": place.location.url,
                "target": target,
                "bytes": done.nbytes,
                "copied": [to_document(row) for row in done.copied],
                "left": [to_document(row) for row in done.left],
            }
        )
    elif done.copied:
        write(grid_table(list(done.copied)))
    if not (done.copied or done.left):
        note(f"no grid fits in {place.location.url!r}")
        return NOTHING
    note(str(done))
    return OK
