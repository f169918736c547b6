"""The section of a report about one grid."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.inventory.table import SHOWN_DIGITS
from swarmgrid.pictures.chunk_map import grid_map
from swarmgrid.pictures.figures import (
    cost_figure,
    cost_quantiles,
    instant,
    lanes_figure,
    state_figure,
)
from swarmgrid.pictures.html import element, joined
from swarmgrid.pictures.lanes import timeline
from swarmgrid.readable import Html, code, count, nbytes, short_duration
from swarmgrid.records.row_values import n_points
from swarmgrid.store.layout import DATA

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from swarmgrid.inventory.row import GridRow
    from swarmgrid.pictures.reading import GridLook
    from swarmgrid.readable import Cell
    from swarmgrid.records.failures import FailedPoint

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_MAX_POINTS = 3
"""The most points of a kind of failure."""
MAX_TEXT = 300
"""The most characters of a text that a user has chosen, but for tracebacks."""


@dataclass(frozen=True, slots=True)
class Detail:
    """The most that a section shows, so that it has about so many bytes."""

    map_nbytes: int
    kinds: int
    """Kinds of failures."""
    traceback: int
    """Characters of a traceback, the last ones."""
    lanes: int
    spans: int
    """Spans of a lane."""
    rows: int
    """Rows of a table."""

    @classmethod
    def of(cls, nbytes: int) -> Detail:
        """The detail for a section of about so many bytes."""

        def bounded(n: int, least: int, most: int) -> int:
            return min(max(n, least), most)

        return cls(
            map_nbytes=nbytes // 4,
            kinds=bounded(nbytes // 1500, 2, 12),
            traceback=bounded(nbytes // 20, 200, 3000),
            lanes=bounded(nbytes // 1000, 3, 12),
            spans=bounded(nbytes // 100, 20, 300),
            rows=bounded(nbytes // 400, 5, 50),
        )


def section(row: GridRow, look: GridLook, url: str, nbytes: int, *, tracebacks: bool) -> Html:
    """The section about one grid.

    Parameters
    ----------
    row, look : GridRow, GridLook
        The grid in brief, and as it was read.
    url : str
        The store.
    nbytes : int
        About so many bytes the section has at most.
    tracebacks : bool
        Whether the page may show tracebacks: they can hold what is secret.
    """
    state, detail = look.state, Detail.of(nbytes)
    manifest = state.manifest
    cells = grid_map(state.grid, manifest, look.failures)
    computed, failed = int(cells.computed.sum()), int(cells.failed.sum())
    total = int(cells.total.sum())
    history = timeline(manifest.rows, detail.lanes, detail.spans)
    held = ""
    if look.holder is not None:
        held = f" · held by process {look.holder.pid} on {look.holder.host}"
    elif look.is_killed:
        held = " · its last run was killed"
    missing = total - computed - failed
    return _framed(
        row,
        element(
            "p",
            f"{count(computed)} of {count(total)} points computed"
            + (f", {count(failed)} failed" if failed else "")
            + (f", {count(missing)} missing" if missing > 0 else "")
            + (" · archived" if state.grid.archive is not None else "")
            + held,
            class_="facts",
        ),
        bar(total, computed, failed),
        element(
            "div",
            state_figure(cells, detail.map_nbytes, is_held=look.holder is not None),
            cost_figure(cells, detail.map_nbytes),
            lanes_figure(history) if history is not None else Html(""),
            class_="figures",
        ),
        _failures(look.failures, detail, tracebacks=tracebacks),
        _timings(look),
        _about(row, look, detail),
        _opening(row, url),
    )


def broken_section(row: GridRow, reason: str) -> Html:
    """The section about a grid that cannot be read."""
    return _framed(row, element("p", f"It cannot be read: {cut(reason)}", class_="bad"))


def _framed(row: GridRow, *contents: Html) -> Html:
    head = element("h2", row.function or row.folder, element("code", row.grid[:SHOWN_DIGITS]))
    params = element("p", element("code", cut(params_text(row)))) if row.params else Html("")
    return element("section", head, params, *contents, class_="card", id=anchor(row))


def anchor(row: GridRow) -> str:
    """The name of a grid's section."""
    return f"grid-{row.grid}"


def params_text(row: GridRow) -> str:
    """The params of a grid: ``alpha=0.4, mode=fast``."""
    return ", ".join(f"{name}={value}" for name, value in row.params.items())


def cut(text: str, n: int = MAX_TEXT) -> str:
    """The end of a text that is too long."""
    return text if len(text) <= n else f"… {text[-n:]}"


def bar(total: int, computed: int, failed: int) -> Html:
    """A bar of the computed and the failed part."""
    parts = [
        element("i", style=f"width:{100 * n / total:.4g}%", class_=kind)
        for n, kind in ((computed, None), (failed, "bad"))
        if n and total
    ]
    return element("span", *parts, class_="bar")


def rows_table(
    rows: Iterable[Sequence[Cell]], *, head: Sequence[str] = (), right: Sequence[int] = ()
) -> Html:
    """A table, of which some columns are of numbers; without a head the first cell names a row."""

    def line(cells: Sequence[Cell], name: str) -> Html:
        classes = ["r" if i in right else None for i in range(len(cells))]
        names = ["th" if not head and i == 0 else name for i in range(len(cells))]
        return element(
            "tr",
            *(element(n, c, class_=k) for n, c, k in zip(names, cells, classes, strict=True)),
        )

    top = [element("thead", line(head, "th"))] if head else []
    body = element("tbody", *(line(row, "td") for row in rows))
    return element(
        "div", element("table", *top, body, class_=None if head else "names"), class_="scroll"
    )


def _folded(title: str, about: str, *contents: Html) -> Html:
    return element("details", element("summary", element("b", title), f" {about}"), *contents)


def _failures(failures: Sequence[FailedPoint], detail: Detail, *, tracebacks: bool) -> Html:
    """The failures, by exception and reason: those of most points first."""
    if not failures:
        return Html("")
    kinds: dict[tuple[str, str], list[FailedPoint]] = {}
    for failure in failures:
        reason = _NUMBER.sub("#", failure.reason)  # one that names its point is one kind, too
        kinds.setdefault((failure.exception, reason), []).append(failure)
    ranked = sorted(kinds.values(), key=lambda alike: -len(alike))
    shown = []
    for alike in ranked[: detail.kinds]:
        points = "; ".join(
            ", ".join(f"{name}={value}" for name, value in failure.point.items())
            for failure in alike[:_MAX_POINTS]
        )
        more = f" and {count(len(alike) - _MAX_POINTS)} more" if len(alike) > _MAX_POINTS else ""
        last = max(alike, key=lambda failure: failure.time)
        # a reason begins with its exception already
        is_whole = last.reason.startswith(last.exception)
        text = last.reason if is_whole else f"{last.exception}: {last.reason}"
        trace = cut(last.traceback, detail.traceback) if tracebacks else ""
        times = "once" if len(alike) == 1 else f"{count(len(alike))} times"
        when = last.time[:19].replace("T", " ")
        shown += [
            element("p", element("code", cut(text), class_="bad")),
            element("p", f"{times} at {cut(points)}{more}; {when}", class_="note"),
            _traceback(trace),
        ]
    left = len(ranked) - detail.kinds
    if left > 0:
        shown.append(element("p", f"and {count(left)} other kinds", class_="note"))
    n = sum(len(failure.points) for failure in failures)
    return _folded("Failures", f"{_counted(n, 'point')}, {_counted(len(ranked), 'kind')}", *shown)


def _counted(n: int, what: str) -> str:
    """A number of things: ``2 axes``."""
    many = {"axis": "axes"}.get(what, f"{what}s")
    return f"{count(n)} {what if n == 1 else many}"


def _traceback(text: str) -> Html:
    if not text:
        return Html("")
    return element("details", element("summary", "traceback"), element("pre", text))


def _timings(look: GridLook) -> Html:
    rows = look.state.manifest.rows
    counts = n_points(rows)
    if not counts.sum():
        return Html("")
    each = rows.seconds.astype(np.float64) / np.maximum(counts, 1)
    fast, middle, slow, most = cost_quantiles(each, counts)
    spent = float(rows.seconds.sum(dtype=np.float64))
    table = rows_table(
        [
            ("median", f"{short_duration(middle)} a point"),
            ("fastest tenth", f"up to {short_duration(fast)}"),
            ("slowest tenth", f"from {short_duration(slow)}"),
            ("slowest", short_duration(most)),
            ("all points", f"{short_duration(spent)} inside the function"),
        ]
    )
    note = element(
        "p", "Points that were committed together share their seconds evenly.", class_="note"
    )
    return _folded("Timings", f"{short_duration(middle)} a point", table, note)


def _about(row: GridRow, look: GridLook, detail: Detail) -> Html:
    grid = look.state.grid
    chunks = grid.chunk_spec()
    axes = [
        (code(axis.name), count(len(axis)), cut(_ends(row, axis.name), 120),
         count(chunks[axis.name]))
        for axis in grid.axes
    ]  # fmt: skip
    outputs = [
        (code(name), one.dtype, ", ".join(map("{}: {}".format, one.dims, one.shape)))
        for name, one in grid.schema.outputs.items()
    ]
    tags = ", ".join(f"{name}={value}" for name, value in row.tags.items())
    facts: list[Sequence[Cell]] = [
        ("grid id", code(row.grid)),
        ("version", code(cut(row.version))),
        ("written", f"{instant(row.written)} UTC" if row.written else "not known"),
        ("first written", f"{instant(row.created)} UTC" if row.created else "not known"),
        ("stored", f"{nbytes(row.nbytes)} in {count(row.chunks)} chunks"),
    ]
    if grid.archive is not None:
        facts.append(("archived in", code(cut(grid.archive.store))))
    if tags:
        facts.append(("tags", code(cut(tags))))
    return _folded(
        "About",
        f"{_counted(len(axes), 'axis')}, {_counted(len(outputs), 'output')}, {nbytes(row.nbytes)}",
        rows_table(
            axes[: detail.rows], head=("axis", "values", "range", "per chunk"), right=(1, 3)
        ),
        rows_table(outputs[: detail.rows], head=("output", "dtype", "own dims")),
        rows_table(facts),
    )


def _ends(row: GridRow, name: str) -> str:
    axis = row.axes.get(name)
    if axis is None or axis.least is None:
        return ""
    return f"{axis.least}" if axis.size == 1 else f"{axis.least} … {axis.largest}"


def _opening(row: GridRow, url: str) -> Html:
    source = f"{url.rstrip('/')}/{DATA}/{row.folder}/{row.grid}"
    name = f"{row.folder}/{row.grid}"
    lines = [
        "import swarmgrid",
        f"ds = swarmgrid.Grid.open({url!r}, {name!r}).dataset()",
        "",
        "import xarray as xr  # the same without swarmgrid",
        f"ds = xr.open_zarr({source!r})",
    ]
    return _folded("Open it", "in Python", element("pre", joined(["\n".join(lines)])))
