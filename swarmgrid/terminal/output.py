"""The output of commands: JSON documents, and tables for people, in a terminal or piped."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import shutil
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_LEAST, _ENOUGH = 8, 11
"""A column is not made narrower than the first, and not than the second while one can go."""


def write(text: str) -> None:
    """Write lines to standard output."""
    click.echo(text, color=is_coloured())


def note(text: str) -> None:
    """Write lines to standard error."""
    click.echo(text, err=True)


def write_json(document: Any) -> None:
    """Write a document to standard output, as JSON."""
    click.echo(json.dumps(to_json(document), indent=2 if sys.stdout.isatty() else None))


def to_json(value: Any) -> Any:
    """A value as JSON has it: times as texts, numbers that JSON does not have as texts, too."""
    if isinstance(value, dict):
        return {str(name): to_json(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(one) for one in value]
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # numpy's
        kind = value.dtype.kind
        return to_json(str(value) if kind in "mM" else value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, (str, int)):
        return value
    return value.isoformat() if isinstance(value, (dt.date, dt.datetime)) else str(value)


def plain(text: str, *, lines: bool = False) -> str:
    """A text without characters that would steer a terminal; in one line, or with its lines."""
    if lines:
        return "\n".join(plain(line.expandtabs()) for line in text.split("\n"))
    return "".join(char if char.isprintable() else "?" for char in text)


def is_coloured() -> bool:
    """Whether standard output shows colours: a terminal does, if NO_COLOR is not set."""
    is_off = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not is_off and sys.stdout.isatty()


def faint(text: str) -> str:
    """A text of less weight."""
    return click.style(text, dim=True)


def good(text: str) -> str:
    """A text about something that is right."""
    return click.style(text, fg="green")


def bad(text: str) -> str:
    """A text about something that is wrong."""
    return click.style(text, fg="red")


def terminal_width() -> int | None:
    """The columns of the terminal; None where the output goes elsewhere, and nothing is cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str] = (),
    flexible: Collection[str] = (),
    optional: Sequence[str] = (),
    width: int | None = None,
) -> str:
    """A table of text; columns without any content are left out.

    Parameters
    ----------
    headings, rows : sequence
        The names of the columns, and the cells.
    right : collection of str
        Columns whose cells end in one line: numbers.
    flexible : collection of str
        Columns whose cells may be shortened to fit a width.
    optional : sequence of str
        Columns that are left out where that is not enough, the first of them first.
    width : int, optional
        The columns of the terminal. Default: nothing is shortened.
    """
    names = [name for i, name in enumerate(headings) if any(row[i] for row in rows)]
    at = {name: i for i, name in enumerate(headings)}
    cells = [[plain(row[at[name]]) for name in names] for row in rows]
    widths = {
        name: max(columns_of(name), *(columns_of(line[i]) for line in cells))
        for i, name in enumerate(names)
    }
    widths = _fitted(widths, flexible, optional, width)
    shown = [faint(_line(list(widths), widths, right))]
    for line in cells:
        by_name = dict(zip(names, line, strict=True))
        shown.append(_line([by_name[name] for name in widths], widths, right))
    return "\n".join(shown)


def columns_of(text: str) -> int:
    """The columns that a text takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def shortened(text: str, width: int) -> str:
    """A text that takes no more than some columns."""
    if columns_of(text) <= width:
        return text
    while columns_of(text) > width - 1:
        text = text[:-1]
    return f"{text}…"


def _fitted(
    widths: dict[str, int], flexible: Collection[str], optional: Sequence[str], width: int | None
) -> dict[str, int]:
    """The widths of the columns that a terminal has room for."""
    widths = dict(widths)
    if width is None:
        return widths
    dropped = [name for name in optional if name in widths]
    while (more := sum(widths.values()) + 2 * (len(widths) - 1) - width) > 0:
        least = _ENOUGH if dropped else _LEAST
        able = {name: n for name, n in widths.items() if name in flexible and n > least}
        if able:
            widest = max(able, key=lambda name: able[name])
            others = sorted(able.values())[-2:]
            step = max(1, others[-1] - others[0])
            widths[widest] = max(least, widths[widest] - min(step, more))
        elif dropped:
            del widths[dropped.pop(0)]
        else:
            break
    return widths


def _line(cells: Sequence[str], widths: dict[str, int], right: Collection[str]) -> str:
    parts = []
    for (name, width), cell in zip(widths.items(), cells, strict=True):
        text = shortened(cell, width)
        space = " " * (width - columns_of(text))
        parts.append(space + text if name in right else text + space)
    return "  ".join(parts).rstrip()
