"""``swarmgrid status`` and ``watch``: how far grids are, and what happens to them."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from swarmgrid.cli.stores import json_option, place_argument
from swarmgrid.errors import InputError
from swarmgrid.following.looks import Follower, looks
from swarmgrid.inventory.row import GRID_NAME
from swarmgrid.readable import count, duration
from swarmgrid.terminal.endings import FOUND, INTERRUPTED, OK, NothingError
from swarmgrid.terminal.output import (
    bad,
    columns_of,
    good,
    is_coloured,
    note,
    plain,
    shortened,
    table,
    terminal_width,
    write,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.cli.stores import Place
    from swarmgrid.following.events import Event
    from swarmgrid.following.looks import Look
    from swarmgrid.inventory.row import GridRow

_BAR = 20
_HEADINGS = ("grid", "computed", "of", "failed", "missing", "state", "by", "written")


@click.command()
@place_argument("[STORE] [GRID]...", selects=True, must_exist=False)
@click.option("-w", "--watch", is_flag=True, help="Follow the runs that other processes do, until "
              "they end; with --json, wait for that.")  # fmt: skip
@json_option
def status(place: Place, watch: bool, as_json: bool) -> int:
    """Say how far grids are, once or while they are computed.

    It reads the store only, so it works for runs on other machines. The exit code is 1 if points
    failed, or a process was killed.

    \b
    Examples:
      swarmgrid status cache
      swarmgrid status cache --watch
      swarmgrid status cache 324fd638c05b --watch --json
    """
    if not watch:
        place.check_exists()

    def read_rows() -> list[GridRow]:
        try:
            return place.rows()
        except NothingError:  # not begun yet
            if watch:
                return []
            raise

    follower = Follower(place.location, read_rows)
    if watch:
        found = _watched(follower, as_json=as_json)
    else:
        found = follower.look()
        if not found:
            place.some_rows()  # which says so
    if as_json:
        write_json({"store": place.location.url, "grids": [to_document(one) for one in found]})
    elif not watch:
        write(_table(found))
    is_wrong = any(one.state in {"failed", "killed", "damaged"} or one.row.points_failed
                   for one in found)  # fmt: skip
    return FOUND if is_wrong else OK


def to_document(look: Look) -> dict[str, Any]:
    """The state of a grid as JSON."""
    row = look.row
    lease = look.holder.record if look.is_running or look.is_killed else None
    return {
        "grid": row.grid,
        "function": row.function,
        "state": look.state,
        "archived": bool(row.archive),
        "archive": row.archive or None,
        "points": dict(row.document["points"]),
        "process": None if lease is None else {"host": lease.host, "pid": lease.pid},
        "points_per_second": look.rate,
        "seconds_left": look.seconds_left,
        "seconds": row.seconds,
        "created": row.created,
        "written": row.written,
    }


def _table(found: list[Look]) -> str:
    from swarmgrid.inventory.table import to_age

    now = time.time()
    cells = []
    for one in found:
        row = one.row
        cells.append(
            (
                _name(row),
                count(row.points_computed),
                count(row.points_total),
                count(row.points_failed) if row.points_failed else "",
                count(row.points_missing) if row.points_missing else "",
                one.state,
                _process(one),
                to_age(row.written, now),
            )
        )
    right = ("computed", "of", "failed", "missing")
    return table(_HEADINGS, cells, right=right, flexible=("by", "grid"), optional=("written",),
                 width=terminal_width())  # fmt: skip


def _watched(follower: Follower, *, as_json: bool) -> list[Look]:
    """Follow runs to their end, and show them; return what was seen last."""
    show: Callable[[list[Look]], None] = Redrawn() if sys.stdout.isatty() else Lines()
    found: list[Look] = []
    seen: set[str] = set()
    waits = False
    for found in looks(follower, time.sleep):
        seen |= {one.row.grid for one in found if one.is_running}
        active = [one for one in found if one.row.grid in seen]
        if not active and not waits and any(one.row.points_missing for one in found or ()):
            note("no process fills a grid now; waiting for one (Ctrl-C ends it)")
            waits = True
        if not as_json:
            show(active or ([] if waits else found))
    return found


def line(look: Look) -> str:
    """The progress of a grid in one line."""
    row, total = look.row, max(1, look.row.points_total)
    parts = [
        f"{_name(row)}  {row.points_computed / total:4.0%}",
        f"{count(row.points_computed)} of {count(row.points_total)}",
    ]
    if row.points_failed:
        parts.append(f"{count(row.points_failed)} failed")
    if look.is_running and look.rate is not None:
        parts.append(f"{look.rate:,.3g} points/s")
    if look.seconds_left is not None:
        parts.append(f"about {duration(round(look.seconds_left))} left")
    parts.append(" ".join(filter(None, [look.state, _process(look)])))
    return "  ".join(map(plain, parts))


class Lines:
    """Shows a line for each change, where the output is no terminal."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int, str]] = {}

    def __call__(self, found: list[Look]) -> None:
        for one in found:
            sign = (one.row.points_computed, one.row.points_failed, one.state)
            if self._last.get(one.row.grid) != sign:
                self._last[one.row.grid] = sign
                write(line(one))
                sys.stdout.flush()


class Redrawn:
    """Shows a line for each grid, which stays in its place in the terminal."""

    def __init__(self) -> None:
        self._n_lines = 0

    def __call__(self, found: list[Look]) -> None:
        width = (terminal_width() or 80) - 1
        up = f"\x1b[{self._n_lines}A" if self._n_lines else ""
        text = "".join(f"\x1b[2K{self._coloured(one, width)}\n" for one in found)
        click.echo(up + text, nl=False, color=True)
        self._n_lines = len(found)

    def _coloured(self, one: Look, width: int) -> str:
        text = line(one)
        room = width - columns_of(text) - 2
        if room >= _BAR:
            done = _BAR * one.row.points_computed // max(1, one.row.points_total)
            text = f"{'█' * done}{'░' * (_BAR - done)}  {text}"
        text = shortened(text, width)
        if not is_coloured():
            return text
        if one.state in {"killed", "damaged", "failed"}:
            return bad(text)
        return good(text) if one.state == "complete" else text


def _name(row: GridRow) -> str:
    from swarmgrid.inventory.table import SHOWN_DIGITS

    return f"{row.function or row.folder}/{row.grid[:SHOWN_DIGITS]}"


def _process(look: Look) -> str:
    lease = look.holder.record
    if lease is None or not (look.is_running or look.is_killed):
        return ""
    return f"pid {lease.pid} on {lease.host}"


@click.command()
@place_argument("[STORE] [GRID]", must_exist=False)
@click.option("--since", metavar="TOKEN", help="Only what happened after that event; now: "
              "only what happens from now on. Default: all that the store tells.")  # fmt: skip
@click.option("--timeout", type=float, metavar="SECONDS", help="End when nothing happens for so "
              "long; 0: end with what has happened until now.")  # fmt: skip
@click.option("--until-finished", is_flag=True, help="End when a run has finished.")
@click.option("--interval", type=float, default=1.0, show_default=True, metavar="SECONDS",
              help="The time from one look to the next.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Write a JSON document for each event, one "
              "a line.")  # fmt: skip
def watch(
    place: Place,
    since: str | None,
    timeout: float | None,
    until_finished: bool,
    interval: float,
    as_json: bool,
) -> int:
    """Write a line for all that happens to the grids of a store.

    Any process on any machine may do it; the store is only read. GRID is a grid id, the first
    digits of one, or a function's name. It goes on until Ctrl-C, and then says the token with
    which --since goes on. The exit code is 1 if points failed, something was damaged, or a
    process was killed.

    \b
    Examples:
      swarmgrid watch cache
      swarmgrid watch cache simulate --json --since now
      swarmgrid watch cache --timeout 0 --json
    """
    from swarmgrid.store_api.watching import watch as to_watch

    if len(place.names) > 1:
        given = " and ".join(map(repr, place.names))
        raise InputError(f"watch takes one grid or function; it was given {given}")
    grids = _find_name(place, waits=timeout != 0)
    is_bad = False
    found = to_watch(
        place.location.url,
        grids,
        since=since,
        timeout=timeout,
        interval=interval,
        storage_options=dict(place.location.options) or None,
    )
    with found:
        try:
            for event in found:
                is_bad = is_bad or _is_bad(event)
                write(event.to_json() if as_json else plain(event_line(event)))
                sys.stdout.flush()
                if until_finished and type(event).__name__ == "RunFinished":
                    break
        except KeyboardInterrupt:
            if as_json:
                return INTERRUPTED  # each line is an event, which the document of an error is not
            note(f"go on with --since {found.token}")
            raise
    return FOUND if is_bad else OK


def _find_name(place: Place, *, waits: bool) -> str | None:
    """Find the named grids, as `swarmgrid.watch` takes them; a note says that there are none."""
    if not place.names:
        return None
    name = place.names[0]
    try:
        place.rows(keeps=False)  # an error where it may be a grid or a function
    except NothingError:
        waiting = "; waiting (Ctrl-C ends it)" if waits else ""
        note(f"nothing in {place.location.url!r} is named {name!r} now{waiting}")
    is_id = GRID_NAME.fullmatch(name) is not None  # or a function of such letters, as 'add'
    return name if is_id else f"{name}/"


def event_line(event: Event) -> str:
    """An event in one line."""
    return f"{event.time:%Y-%m-%d %H:%M:%S}  {event}"


def _is_bad(event: Event) -> bool:
    """Whether it is one that a script should notice."""
    kind = type(event).__name__
    return kind in {"PointsFailed", "GridDamaged"} or getattr(event, "how", "") in {
        "killed",
        "silent",
    }
