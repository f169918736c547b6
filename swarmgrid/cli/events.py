"""``swarmgrid watch``: the events of stored grids, a line for each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from swarmgrid.cli.stores import place_argument
from swarmgrid.errors import InputError
from swarmgrid.terminal.endings import FOUND, OK
from swarmgrid.terminal.output import note, plain, write

if TYPE_CHECKING:
    from swarmgrid.cli.stores import Place
    from swarmgrid.following.events import Event


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
    """Write a line for everything that happens to the grids of a store.

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
        raise InputError(f"watch takes one grid or function; it was given {len(place.names)}")
    grids = place.names[0] if place.names else None
    if grids is not None and not set(grids.rpartition("/")[2]) <= set("0123456789abcdef"):
        grids = f"{grids}/"  # a function's name, and no digits
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
                write(event.to_json() if as_json else plain(line(event)))
                sys.stdout.flush()
                if until_finished and type(event).__name__ == "RunFinished":
                    break
        except KeyboardInterrupt:
            if not as_json:
                note(f"go on with --since {found.token}")
            raise
    return FOUND if is_bad else OK


def line(event: Event) -> str:
    """An event in one line."""
    return f"{event.time:%Y-%m-%d %H:%M:%S}  {event}"


def _is_bad(event: Event) -> bool:
    """Whether it is one that a script should notice."""
    kind = type(event).__name__
    return kind in {"PointsFailed", "GridDamaged"} or getattr(event, "how", "") in {
        "killed",
        "silent",
    }
