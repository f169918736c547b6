"""Rows of the inventory as tables of text."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from swarmgrid.readable import nbytes
from swarmgrid.store import checked_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarmgrid.inventory.row import GridRow

HEADINGS = (
    *("function", "grid", "params", "axes", "computed", "failed", "bytes", "seconds", "written"),
    *("archived in", "tags"),
)
SHOWN_DIGITS = 12
"""The digits of a grid id that are shown: the first 8 only say what the axes are."""
_WIDTH = 40
"""The most characters of a cell."""


def brief_cells(row: GridRow, now: float, *, most: int | None = _WIDTH) -> tuple[str, ...]:
    """A row's cells as people read them, of so many characters at most."""
    return tuple(
        _shortened(text, most)
        for text in (
            row.function or row.folder,
            row.grid[:SHOWN_DIGITS],
            _named(row.params),
            ", ".join(f"{name} ({axis})" for name, axis in row.axes.items()),
            _share(row),
            f"{row.points_failed:,}" if row.points_failed else "",
            nbytes(row.nbytes) if row.nbytes else "",
            to_duration(row.seconds),
            to_age(row.written, now),
            row.archive,
            _named(row.tags),
        )
    )


def filled_columns(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """The headings and the rows, without the columns that have no content."""
    kept = [i for i in range(len(headings)) if any(row[i] for row in rows)]
    return [[headings[i] for i in kept], *([row[i] for i in kept] for row in rows)]


def text_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of text; columns without any content are left out."""
    lines = filled_columns(headings, rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    return "\n".join(padded) if rows else ""


def to_duration(seconds: float) -> str:
    """A span of time as people read it."""
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s" if seconds >= 0.001 else ""


def to_age(then: float, now: float) -> str:
    """A time of the past as people read it; empty if it is not known."""
    if not then:
        return ""
    if now - then < 86400:
        return f"{to_duration(max(0, round(now - then))) or '0 s'} ago"
    return time.strftime("%Y-%m-%d", time.gmtime(then))


def _share(row: GridRow) -> str:
    if not row.checksum:
        return "damaged"
    if row.points_computed == row.points_total:
        return f"{row.points_total:,}"
    return f"{row.points_computed:,} of {row.points_total:,}"


def _named(values: object) -> str:
    if not isinstance(values, dict):
        return ""
    return ", ".join(
        f"{name}={value if isinstance(value, str) else _plain(value)}"
        for name, value in values.items()
    )


def _plain(value: object) -> str:
    return checked_json.shortened(value) if isinstance(value, (int, float)) else str(value)


def _shortened(text: str, most: int | None) -> str:
    text = " ".join((text if most is None else text[: 4 * most]).split())
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text if most is None or len(text) <= most else text[: most - 1] + "…"
