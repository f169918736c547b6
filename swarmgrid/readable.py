"""Numbers and tables as people read them: text, and HTML that stands alone."""

from __future__ import annotations

import datetime as dt
import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

Cell: TypeAlias = "str | Html"
MAX_ROWS = 50
"""A table of HTML shows this many rows."""
_UNITS = (("s", 60), ("min", 60), ("h", 24), ("d", 0))
# The text has the colour of the page around it, light or dark; all else is mixed from that.
_STYLE = """
.swarmgrid{font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:13px;\
line-height:1.5;max-width:760px;overflow-x:auto;color:inherit}
.swarmgrid .sg-head{border-bottom:1px solid;border-color:color-mix(in srgb,currentColor 30%,\
transparent);padding-bottom:3px;margin-bottom:5px}
.swarmgrid .sg-kind,.swarmgrid th,.swarmgrid summary{opacity:.65}
.swarmgrid .sg-name{font-weight:600;margin-left:.6em}
.swarmgrid table{border-collapse:collapse;border:none;margin:0 0 6px;font-size:inherit}
.swarmgrid tr,.swarmgrid tr:nth-child(n){background:none}
.swarmgrid th,.swarmgrid td{text-align:left;vertical-align:baseline;padding:1px 18px 1px 0;\
border:none;font-weight:400;color:inherit;background:none;overflow-wrap:break-word}
.swarmgrid th{white-space:nowrap}.swarmgrid th:first-child{min-width:5em}
.swarmgrid code{font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:12px;\
color:inherit;background:none;padding:0;overflow-wrap:anywhere}
.swarmgrid .sg-bar{display:flex;height:7px;border-radius:4px;overflow:hidden;margin:5px 0;\
background:color-mix(in srgb,currentColor 14%,transparent)}
.swarmgrid .sg-good{background:#2f9e5f}.swarmgrid .sg-old{background:#4a8fd4}
.swarmgrid .sg-bad{background:#d9534f}
.swarmgrid .sg-good-text{color:#2f9e5f}.swarmgrid .sg-bad-text{color:#d9534f}
.swarmgrid .sg-map{display:block;image-rendering:pixelated;width:260px;max-width:100%;\
margin:0;background:color-mix(in srgb,currentColor 9%,transparent)}
.swarmgrid .sg-maps{display:flex;flex-wrap:wrap;gap:2px 14px;margin:6px 0;font-size:11px}
.swarmgrid .sg-maps span{opacity:.65}
.swarmgrid details{margin-top:4px}.swarmgrid summary{cursor:pointer}
""".replace(".swarmgrid", ".swarmgrid" * 3).strip()
"""Three times the class: Jupyter's own rules for tables, with two, would win."""


class Html(str):
    """A text that is HTML already."""

    __slots__ = ()


def json_line(document: Mapping[str, Any]) -> str:
    """A document as one line of JSON that every parser takes.

    Values that JSON has not are texts: infinity and NaN, too, of which Python makes no JSON.

    Examples
    --------
    >>> json_line({"x": [1.5, float("inf")], "y": 1j})
    '{"x": [1.5, "inf"], "y": "1j"}'
    """
    try:
        return json.dumps(document, default=_text, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(document), default=_text)


def _text(value: object) -> str:
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="milliseconds")
    return str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, (list, tuple)) else value


def count(number: float) -> str:
    """A count with its thousands apart: ``1,234``."""
    return f"{number:,}"


def nbytes(number: float) -> str:
    """A size in the largest unit that fits: ``4.5 MB``.

    Examples
    --------
    >>> [nbytes(n) for n in (0, 999, 4_520_000, 2e12)]
    ['0 B', '999 B', '4.52 MB', '2 TB']
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.3g} TB"


def duration(seconds: float) -> str:
    """A time span in its two largest units.

    Examples
    --------
    >>> [duration(s) for s in (3, 0.25, 9.96, 61, 7500, 200_000)]
    ['3 s', '0.2 s', '10 s', '1 min 01 s', '2 h 05 min', '2 d 07 h']
    """
    if seconds < 9.95 and not isinstance(seconds, int):
        return f"{seconds:.1f} s"
    rest, smaller = int(seconds + 0.5), ""
    for unit, size in _UNITS:
        if not size or rest < size:
            return f"{rest:,} {unit}{smaller}"
        rest, part = divmod(rest, size)
        smaller = f" {part:02d} {unit}"
    raise AssertionError


def short_duration(seconds: float) -> str:
    """A time span, also a very short one.

    Examples
    --------
    >>> [short_duration(s) for s in (0.0, 2e-6, 0.00047, 0.0123, 2.34, 725.0)]
    ['0 s', '2 µs', '470 µs', '12 ms', '2.3 s', '12 min 05 s']
    """
    if seconds <= 0:
        return "0 s"
    if seconds < 0.000_999_5:
        return f"{seconds * 1e6:.{2 + (seconds >= 0.0000995)}g} µs"
    return f"{seconds * 1e3:.2g} ms" if seconds < 0.0995 else duration(float(seconds))


def code(text: object) -> Html:
    """A text in the letters of code."""
    return Html(f"<code>{html.escape(str(text))}</code>")


def table(rows: Iterable[Sequence[Cell]], *, head: Sequence[str] = ()) -> Html:
    """A table; without a head the first cell of each row names it."""
    shown = [list(row) for row in rows]
    left_out = len(shown) - MAX_ROWS
    lines = [_row(head, "th" * len(head), is_head=True)] if head else []
    lines += [_row(row, "", is_head=bool(head)) for row in shown[:MAX_ROWS]]
    if left_out > 0:
        lines.append(_row([f"and {count(left_out)} more"], "", is_head=True))
    return Html(f"<table>{''.join(lines)}</table>")


def _row(cells: Sequence[Cell], kind: str, *, is_head: bool) -> str:
    first = "th" if kind or not is_head else "td"
    parts = [
        f"<{tag}>{_escaped(cell)}</{tag}>"
        for number, cell in enumerate(cells)
        for tag in [first if number == 0 else ("th" if kind else "td")]
    ]
    return f"<tr>{''.join(parts)}</tr>"


def _escaped(cell: Cell) -> str:
    return cell if isinstance(cell, Html) else html.escape(cell)


def bar(total: int, **parts: int) -> Html:
    """A bar of coloured parts of a total: ``good``, ``old`` and ``bad``."""
    if total <= 0:
        return Html("")
    inner = "".join(
        f'<div class="sg-{kind}" style="width:{100 * n / total:.4g}%"></div>'
        for kind, n in parts.items()
        if n
    )
    return Html(f'<div class="sg-bar">{inner}</div>')


def verdict(text: str, *, is_good: bool) -> Html:
    """A text in the colour of what is good or bad."""
    kind = "good" if is_good else "bad"
    return Html(f'<span class="sg-{kind}-text">{html.escape(text)}</span>')


def folded(title: str, content: Html) -> Html:
    """Content that a click shows."""
    return Html(f"<details><summary>{html.escape(title)}</summary>{content}</details>")


def page(kind: str, name: str, *contents: Html) -> str:
    """The whole of an object's HTML: its kind, its name and its contents, with their style."""
    head = (
        f'<div class="sg-head"><span class="sg-kind">swarmgrid.{html.escape(kind)}</span>'
        f'<span class="sg-name">{html.escape(name)}</span></div>'
    )
    return f'<div class="swarmgrid"><style>{_STYLE}</style>{head}{"".join(contents)}</div>'
