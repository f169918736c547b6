"""``swarmgrid export``, ``copy`` and ``merge``: hand grids on."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from swarmgrid.cli.listing import grid_table, to_document
from swarmgrid.cli.stores import (
    json_option,
    place_argument,
    selection_options,
    to_place,
    to_storage_options,
)
from swarmgrid.terminal.endings import FOUND, NOTHING, OK
from swarmgrid.terminal.output import note, plain, write, write_json

if TYPE_CHECKING:
    from swarmgrid.cli.stores import Place
    from swarmgrid.store_api.merging import Merging


@click.command()
@place_argument("[STORE] [GRID] FILE", selects=True, last="target")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@json_option
def export(place: Place, target: str, overwrite: bool, as_json: bool) -> int:
    """Write a grid as one file: .nc, .parquet, .csv or .zarr.

    \b
    Examples:
      swarmgrid export cache 324fd638c05b result.nc
      swarmgrid export cache --where params.alpha=0.4 result.csv --overwrite
    """
    row = place.row()
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


def _two_stores(function: Any) -> Any:
    """Add the arguments and options of a command from one store to another."""
    for add in (
        json_option,
        click.option(
            "--target-option",
            "target_options",
            multiple=True,
            metavar="KEY=VALUE",
            help="A setting of the target's URL. May be repeated.",
        ),
        click.option(
            "--source-option",
            "source_options",
            multiple=True,
            metavar="KEY=VALUE",
            help="A setting of the source's URL. May be repeated.",
        ),
        selection_options,
        click.argument("target"),
        click.argument("source"),
    ):
        function = add(function)
    return function


@click.command()
@click.option(
    "--snapshots/--no-snapshots",
    default=True,
    help="Whether the snapshots of the grids come with them. Default: they do.",
)
@_two_stores
def copy(
    source: str,
    target: str,
    where: tuple[str, ...],
    function: str | None,
    tags: tuple[str, ...],
    source_options: tuple[str, ...],
    target_options: tuple[str, ...],
    as_json: bool,
    snapshots: bool,
) -> int:
    """Copy grids to another store.

    SOURCE and TARGET are folders or URLs. Every value is checked on the way, and snapshots come
    with their grids. A grid of which the target has points is left alone.

    \b
    Examples:
      swarmgrid copy cache other-cache
      swarmgrid copy cache s3://bucket/cache --tag status=final
    """
    from swarmgrid.store_api.copying import copy as copy_grids

    place = to_place((), source, source_options, where, tags, function)
    done = copy_grids(
        place.location.url,
        target,
        query=place.query,
        function=place.function,
        snapshots=snapshots,
        source_options=to_storage_options(source_options),
        target_options=to_storage_options(target_options),
    )
    if as_json:
        write_json(
            {
                "source": place.location.url,
                "target": target,
                "bytes": done.nbytes,
                "snapshots": done.snapshots,
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


@click.command()
@click.option("-n", "--dry-run", is_flag=True, help="Write nothing, and say what would be done.")
@click.option(
    "--decrypt",
    is_flag=True,
    help="Let points of an encrypted grid join one that is not encrypted.",
)
@_two_stores
def merge(
    source: str,
    target: str,
    where: tuple[str, ...],
    function: str | None,
    tags: tuple[str, ...],
    source_options: tuple[str, ...],
    target_options: tuple[str, ...],
    as_json: bool,
    dry_run: bool,
    decrypt: bool,
) -> int:
    """Add the points of a store to another.

    SOURCE and TARGET are folders or URLs. Points that were computed elsewhere join the same grids;
    what the target has is never overwritten. Points that both have with other values are listed,
    and the exit code is 1.

    \b
    Examples:
      swarmgrid merge laptop-cache cache --dry-run
      swarmgrid merge laptop-cache s3://bucket/cache
    """
    from swarmgrid.store_api.merging import merge as merge_stores

    place = to_place((), source, source_options, where, tags, function)
    done = merge_stores(
        place.location.url,
        target,
        query=place.query,
        function=place.function,
        dry_run=dry_run,
        decrypt=decrypt,
        source_options=to_storage_options(source_options),
        target_options=to_storage_options(target_options),
    )
    names = {"source": place.location.url, "target": target}
    nothing = f"no grid fits in {place.location.url!r}"
    return tell_of_merge(done, names, nothing, as_json=as_json)


def tell_of_merge(done: Merging, names: dict[str, str], nothing: str, *, as_json: bool) -> int:
    """Write what a merge did, or would do: the exit code."""
    if as_json:
        write_json(
            {
                **names,
                "dry_run": done.is_dry_run,
                "added": done.points_added,
                "alike": done.points_alike,
                "conflicting": done.points_conflicting,
                "bytes": done.nbytes,
                "grids": [asdict(grid) for grid in done.grids],
                "conflicts": [asdict(one) for one in done.conflicts],
            }
        )
    elif done.grids:
        write(plain(str(done), lines=True))
    if not done.grids:
        note(nothing)
        return NOTHING
    return FOUND if done.points_conflicting else OK
