"""``swarmgrid verify`` and ``swarmgrid repair``: whether what is stored is sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from swarmgrid.cli.stores import json_option, place_argument, to_storage_options
from swarmgrid.readable import count
from swarmgrid.terminal.asking import is_agreed, yes_option
from swarmgrid.terminal.endings import FOUND, OK
from swarmgrid.terminal.output import bad, good, plain, write, write_json

if TYPE_CHECKING:
    from swarmgrid.cli.stores import Place
    from swarmgrid.inventory.row import GridRow
    from swarmgrid.maintenance.report import Report


@click.command()
@place_argument("[STORE] [GRID]...", selects=True)
@click.option("--archived", is_flag=True, help="Read the values of archived grids, too, in their "
              "archives.")  # fmt: skip
@click.option(
    "--archive-option",
    "archive_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the archives' URL. May be repeated.",
)
@json_option
def verify(place: Place, archived: bool, archive_options: tuple[str, ...], as_json: bool) -> int:
    """Read everything that is stored; exit code 1 if it is damaged.

    The values of archived grids are left out, unless --archived is given.

    \b
    Examples:
      swarmgrid verify cache
      swarmgrid verify cache --archived
      swarmgrid verify cache 324fd638c05b --json
      swarmgrid verify s3://bucket/cache --function simulate
    """
    rows = place.some_rows()
    options = to_storage_options(archive_options)
    found = [
        (row, place.grid(row).verify(archived=archived, storage_options=options)) for row in rows
    ]
    if as_json:
        write_json({"store": place.location.url, "grids": _documents(found)})
    else:
        write(_text(found))
    return FOUND if any(not report.is_clean for _, report in found) else OK


@click.command()
@place_argument("[STORE] [GRID]...", selects=True)
@yes_option("Repair without asking.")
@json_option
def repair(place: Place, yes: bool, as_json: bool) -> int:
    """Repair what verify finds.

    Metadata is restored from its replicas. Points whose values are damaged count as not computed:
    the next run computes them. Nothing is changed before you agree; without a terminal, only with
    --yes.

    \b
    Examples:
      swarmgrid repair cache
      swarmgrid repair cache 324fd638c05b --yes
    """
    rows = place.some_rows()
    before = [(row, place.grid(row).verify()) for row in rows]
    wrong = [(row, report) for row, report in before if not report.is_clean or report.notes]
    if not as_json:
        write(_text(before))
    agreed = bool(wrong) and is_agreed(
        f"Repair {len(wrong)} grid{'s' * (len(wrong) != 1)}?", yes=yes, as_json=as_json
    )
    after = []
    if agreed:
        for row, _ in wrong:
            place.grid(row).repair()
        after = [(row, place.grid(row).verify()) for row, _ in wrong]
    left = after if agreed else wrong
    n_left = sum(not report.is_clean for _, report in left)
    if as_json:
        write_json(
            {
                "store": place.location.url,
                "repaired": agreed,
                "problems_left": sum(len(report.problems) for _, report in left),
                "grids": _documents(before),
            }
        )
    elif agreed:
        write(good("repaired") if not n_left else _text(after))
    return FOUND if n_left else OK


def _documents(found: list[tuple[GridRow, Report]]) -> list[dict[str, Any]]:
    return [
        {
            "grid": row.grid,
            "function": row.function,
            "points": report.points,
            "chunks": report.chunks,
            "archived": bool(report.archive),
            "archive": report.archive or None,
            "problems": [
                {"key": one.key, "reason": one.reason, "points": one.points}
                for one in report.problems
            ],
            "notes": [{"key": one.key, "reason": one.reason} for one in report.notes],
        }
        for row, report in found
    ]


def _text(found: list[tuple[GridRow, Report]]) -> str:
    from swarmgrid.inventory.table import SHOWN_DIGITS

    lines = []
    for row, report in found:
        head, *rest = str(report).split("\n")
        name = f"{row.function or row.folder}/{row.grid[:SHOWN_DIGITS]}"
        colour = good if report.is_clean else bad
        lines.append(f"{plain(name)}: {colour(plain(head))}")
        lines += [plain(line) for line in rest]
    n_points = sum(report.points for _, report in found)
    n_wrong = sum(not report.is_clean for _, report in found)
    if len(found) > 1:
        verdict = bad(f"{n_wrong:,} with problems") if n_wrong else good("nothing is wrong")
        lines.append(f"{len(found):,} grids, {count(n_points)} points: {verdict}")
    return "\n".join(lines)
