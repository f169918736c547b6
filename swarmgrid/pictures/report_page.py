"""The report: one page about all grids of a store, which stands alone and needs no script."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from swarmgrid.errors import StoreError
from swarmgrid.inventory.table import SHOWN_DIGITS, to_age
from swarmgrid.pictures.html import element, joined
from swarmgrid.pictures.reading import read_look
from swarmgrid.pictures.report_style import STYLE
from swarmgrid.pictures.section import (
    anchor,
    bar,
    broken_section,
    cut,
    params_text,
    rows_table,
    section,
)
from swarmgrid.readable import Html, count, nbytes, short_duration
from swarmgrid.store.layout import GridPath
from swarmgrid.threads import call_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarmgrid.inventory.row import GridRow
    from swarmgrid.pictures.reading import GridLook
    from swarmgrid.readable import Cell
    from swarmgrid.store.location import Location

BEGIN = "<!doctype html>\n<!-- a report of swarmgrid -->\n"
"""The first line of a report: only a file that begins with it is replaced by another report."""
MAX_SECTIONS = 100
"""The most grids with a section; the table lists more."""
MAX_ROWS = 500
"""The most grids in the table."""
SECTIONS_NBYTES = 1_600_000
"""All sections have at most so many characters, as far as they can be made shorter."""
MAX_SECTION = 160_000
"""A section has at most so many."""
_THREADS = 8


def report_page(
    location: Location, rows: Sequence[GridRow], now: float, *, tracebacks: bool = True
) -> str:
    """The page about some grids of a store.

    Parameters
    ----------
    location : Location
        The store; the manifest of each grid is read, and no value.
    rows : sequence of GridRow
        The grids.
    now : float
        The time, in seconds since 1970.
    tracebacks : bool
        Whether to show the tracebacks of failures.
    """
    newest = sorted(rows, key=lambda row: -row.written)[:MAX_SECTIONS]
    chosen = {row.grid for row in newest}
    shown = [row for row in rows if row.grid in chosen]
    share = min(MAX_SECTION, SECTIONS_NBYTES // max(len(shown), 1))

    def one(row: GridRow) -> Html:
        try:
            look = read_look(location.open(), GridPath(row.folder, row.grid))
        except StoreError as error:
            return broken_section(row, str(error))
        if look is None:
            return broken_section(row, "it was deleted while this report was made")
        return fitted_section(row, look, location.url, share, tracebacks=tracebacks)

    sections = call_each(one, shown, _THREADS)
    name = location.url.rstrip("/").rpartition("/")[2] or location.url
    parts = [
        element(
            "header",
            element("h1", name),
            element(
                "p", "swarmgrid report of ", element("code", location.url), ", ",
                f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime(now))} UTC", class_="sub",
            ),
            _sums(rows),
        ),
        element("main", _overview(rows, chosen, now), *sections),
        element("footer", _footer(len(rows), len(shown))),
    ]  # fmt: skip
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"{name} · swarmgrid"),
        Html(f"<style>{STYLE}</style>"),
    )
    return BEGIN + element("html", head, element("body", *parts), lang="en")


def fitted_section(
    row: GridRow, look: GridLook, url: str, share: int, *, tracebacks: bool
) -> Html:
    """The section about one grid, in as much detail as its share of the page allows."""
    for most in (share, share // 4, share // 16):
        found = section(row, look, url, most, tracebacks=tracebacks)
        if len(found) <= share:
            break
    return found


def _sums(rows: Sequence[GridRow]) -> Html:
    total = sum(row.points_total for row in rows)
    computed = sum(row.points_computed for row in rows)
    failed = sum(row.points_failed for row in rows)
    facts = [
        ("grids", count(len(rows)), None),
        ("points computed", count(computed), None),
        ("missing", count(max(0, total - computed - failed)), None),
        ("failed", count(failed), "bad" if failed else None),
        ("stored", nbytes(sum(row.nbytes for row in rows)), None),
        ("inside functions", short_duration(sum(row.seconds for row in rows)), None),
    ]
    return element(
        "dl",
        *(
            element("div", element("dt", name), element("dd", value), class_=kind)
            for name, value, kind in facts
        ),
        class_="sums",
    )


def _overview(rows: Sequence[GridRow], with_section: set[str], now: float) -> Html:
    """The table of all grids."""
    if not rows:
        return element("div", element("p", "The store holds no grid."), class_="card")
    listed = rows[:MAX_ROWS]
    has_failed = any(row.points_failed for row in listed)
    has_tags = any(row.tags for row in listed)
    head = ["function", "grid", "params", "axes", "computed"]
    head += ["failed"] if has_failed else []
    head += ["bytes", "seconds", "written"] + (["tags"] if has_tags else [])
    lines = []
    for row in listed:
        name: Cell = cut(row.function or row.folder, 40)
        if row.grid in with_section:
            name = element("a", name, href=f"#{anchor(row)}")
        line: list[Cell] = [
            name,
            element("code", row.grid[:SHOWN_DIGITS]),
            cut(params_text(row), 80),
            cut(", ".join(f"{axis} ({values})" for axis, values in row.axes.items()), 120),
            joined([bar(row.points_total, row.points_computed, row.points_failed), _share(row)]),
        ]
        if has_failed:
            line.append(count(row.points_failed) if row.points_failed else "")
        line += [nbytes(row.nbytes) if row.nbytes else "", short_duration(row.seconds)]
        line.append(to_age(row.written, now))
        if has_tags:
            line.append(cut(", ".join(f"{name}={value}" for name, value in row.tags.items()), 80))
        lines.append(line)
    numbers = [head.index(name) for name in ("failed", "bytes", "seconds") if name in head]
    table = rows_table(lines, head=head, right=numbers)
    more = len(rows) - len(listed)
    rest = element("p", f"and {count(more)} more", class_="note") if more > 0 else Html("")
    return element("div", table, rest, class_="card grids")


def _share(row: GridRow) -> str:
    if not row.checksum:
        return "damaged"
    if row.points_computed == row.points_total:
        return count(row.points_total)
    return f"{count(row.points_computed)} of {count(row.points_total)}"


def _footer(n_rows: int, n_shown: int) -> str:
    text = (
        "Made from the manifests, failures and leases of the store; no value was read. "
        "Seconds are time inside the function."
    )
    if n_rows > n_shown:
        text += f" The {count(n_shown)} grids that were written last have a section."
    return text
