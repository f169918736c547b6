"""``swarmgrid show`` and ``swarmgrid errors``: one grid, and the points that failed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from swarmgrid.cli.listing import to_document
from swarmgrid.cli.stores import json_option, place_argument
from swarmgrid.readable import count, nbytes, short_duration
from swarmgrid.terminal.endings import FOUND, OK
from swarmgrid.terminal.output import (
    bad,
    faint,
    note,
    plain,
    table,
    terminal_width,
    write,
    write_json,
)

if TYPE_CHECKING:
    import pandas as pd

    from swarmgrid.cli.stores import Place
    from swarmgrid.handle.summary import GridSummary
    from swarmgrid.inventory.row import GridRow

_KNOWN = ("exception", "reason", "traceback", "attempt", "time")
"""The last columns of the table of failures; one has another name where an axis has its own."""


@click.command()
@place_argument("[STORE] [GRID]", selects=True)
@json_option
def show(place: Place, as_json: bool) -> int:
    """Show one grid: its axes, outputs, params, progress and tags.

    GRID is an id or its first digits, function/id, or the name of a function that has one grid.

    \b
    Examples:
      swarmgrid show cache 324fd638c05b
      swarmgrid show cache --where params.alpha=0.4
      swarmgrid show cache simulate --json
    """
    row = place.row()
    state = place.grid(row).state()
    if as_json:
        write_json({"store": place.location.url, **to_document(row), **_more(row, state)})
    else:
        write(_page(place.location.url, row, state))
    return OK


def _more(row: GridRow, state: GridSummary) -> dict[str, Any]:
    """The members that the list of grids does not have."""
    outputs = {
        name: {"dtype": one.dtype, "dims": list(one.dims), "shape": list(one.shape)}
        for name, one in state.outputs.items()
    }
    return {
        "outputs": outputs,
        "chunk_lengths": dict(state.chunks),
        "shard_lengths": None if state.shards is None else dict(state.shards),
        "group": _group(row),
        "archived": bool(state.archive),
        "archive": state.archive or None,
    }


def _group(row: GridRow) -> str:
    from swarmgrid.store.layout import DATA

    return f"{DATA}/{row.folder}/{row.grid}"


def _page(url: str, row: GridRow, state: GridSummary) -> str:
    from swarmgrid.inventory.table import to_age

    now = time.time()
    done = f"{count(row.points_computed)} of {count(row.points_total)} computed"
    failed = bad(f", {count(row.points_failed)} failed") if row.points_failed else ""
    facts = [
        ("grid", row.grid),
        ("store", url),
        ("params", row.params_text if row.params else ""),
        ("version", row.version),
        ("points", done),
        ("size", f"{nbytes(row.nbytes)} in {count(row.chunks)} chunk{'s' * (row.chunks != 1)}"
            if row.chunks
            else "",),
        ("time", f"{short_duration(row.seconds)} in the function" if row.seconds else ""),
        ("written", f"{to_age(row.written, now)}, created {to_age(row.created, now)}"
                    if row.written else ""),
        ("tags", ", ".join(f"{name}={value}" for name, value in row.tags.items())),
        ("group", _group(row)),
        ("archive", state.archive),
    ]  # fmt: skip
    lines = [click.style(plain(row.function or row.folder), bold=True)]
    for name, value in facts:
        if value:
            lines.append(
                f"{faint(f'{name:<8}')} {plain(value)}{failed if name == 'points' else ''}"
            )
    axes = [
        (name, axis.kind, str(axis), count(state.chunks.get(name, 0)))
        for name, axis in row.axes.items()
    ]
    outputs = [
        (name, one.dtype, ", ".join(map("{}: {}".format, one.dims, one.shape)))
        for name, one in state.outputs.items()
    ]
    width = terminal_width()
    if axes:
        headings = ("axis", "kind", "values", "per chunk")
        lines += [
            "",
            table(headings, axes, right=("per chunk",), flexible=("values",), width=width),
        ]
    if outputs:
        lines += ["", table(("output", "dtype", "own dims"), outputs, width=width)]
    return "\n".join(lines)


@click.command()
@place_argument("[STORE] [GRID]...", selects=True)
@click.option("--traceback", is_flag=True, help="Show the traceback of each failure.")
@click.option(
    "-n", "--limit", type=click.IntRange(min=0), metavar="N", help="Show only so many points."
)
@json_option
def errors(place: Place, traceback: bool, limit: int | None, as_json: bool) -> int:
    """List the points that failed; exit code 1 if there are any.

    \b
    Examples:
      swarmgrid errors cache
      swarmgrid errors cache 324fd638c05b --traceback -n 1
      swarmgrid errors cache --json | jq '.grids[].failures[].reason'
    """
    rows = place.some_rows()
    found = [(row, place.grid(row).errors()) for row in rows if row.points_failed]
    found = [(row, failures) for row, failures in found if len(failures)]
    n_failed = sum(len(failures) for _, failures in found)
    shown, left = [], n_failed if limit is None else limit
    for row, failures in found:
        shown.append((row, failures.iloc[:left]))
        left = max(0, left - len(failures))
    if as_json:
        grids = [
            {"grid": row.grid, "function": row.function, "failures": _documents(failures)}
            for row, failures in shown
        ]
        write_json({"store": place.location.url, "failed": n_failed, "grids": grids})
    elif not n_failed:
        write("no point has failed")
    else:
        parts = [_failures(row, part, traceback) for row, part in shown if len(part)]
        if parts:
            write("\n\n".join(parts))
        if limit is not None and n_failed > limit:
            note(f"... and {count(n_failed - limit)} more")
    return FOUND if n_failed else OK


def _documents(failures: pd.DataFrame) -> list[dict[str, Any]]:
    """The failures as JSON has them: the point by axis, and what is known of it."""
    axes, columns = _columns(failures)
    found = []
    for _, failure in failures.iterrows():
        known = {name: failure[column] for name, column in columns.items()}
        known |= {"time": str(known["time"]), "attempt": int(known["attempt"])}
        point = {name: failure[name] for name in axes}
        times = {name: v.to_numpy() for name, v in point.items() if hasattr(v, "to_numpy")}
        found.append({"point": point | times, **known})
    return found


def _columns(failures: pd.DataFrame) -> tuple[list[str], dict[str, str]]:
    """The columns of a table of failures: the axes, and by fact the column that has it."""
    names = [str(name) for name in failures.columns]
    return names[: -len(_KNOWN)], dict(zip(_KNOWN, names[-len(_KNOWN) :], strict=True))


def _failures(row: GridRow, failures: pd.DataFrame, traceback: bool) -> str:
    from swarmgrid.inventory.table import SHOWN_DIGITS

    axes, known = _columns(failures)
    head = click.style(plain(f"{row.function}/{row.grid[:SHOWN_DIGITS]}"), bold=True)
    title = f"{head}: {count(row.points_failed)} failed"
    columns = [*axes, known["reason"], known["attempt"], known["time"]]
    cells = [
        [
            str(f["time"])[:19] if name == known["time"] else str(f[name]).split("\n")[0]
            for name in columns
        ]
        for _, f in failures.iterrows()
    ]
    if not traceback:
        width = terminal_width()
        flexible = (known["reason"], *axes)
        rest: Any = {"flexible": flexible, "optional": tuple(columns[-2:]), "width": width}
        return f"{title}\n{table(columns, cells, **rest)}"
    texts = []
    for _, failure in failures.iterrows():
        point = ", ".join(f"{name}={failure[name]}" for name in axes)
        reason = plain(
            str(failure[known["traceback"]]).rstrip() or str(failure[known["reason"]]), lines=True
        )
        texts.append(f"{bad(plain(point))}\n{reason}")
    return "\n\n".join([title, *texts])
