"""``swarmgrid scopes``, ``publish`` and ``discard``: the private parts of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from swarmgrid.cli.handing import tell_of_merge
from swarmgrid.cli.stores import json_option, place_argument
from swarmgrid.readable import count
from swarmgrid.terminal.asking import is_agreed, yes_option
from swarmgrid.terminal.endings import FOUND, NOTHING, OK
from swarmgrid.terminal.output import note, write, write_json

if TYPE_CHECKING:
    from swarmgrid.cli.stores import Place
    from swarmgrid.store_api.scopes import Scope


@click.command()
@place_argument("[STORE]")
@json_option
def scopes(place: Place, as_json: bool) -> int:
    """List the scopes of a store, with their grids and points.

    \b
    Examples:
      swarmgrid scopes cache
    """
    from swarmgrid.inventory.table import text_table
    from swarmgrid.store_api.scopes import scopes as names_of

    found = []
    for name in names_of(place.location):
        rows = _scope(place, name).catalog().rows
        found.append((name, len(rows), sum(row.points_computed for row in rows)))
    if as_json:
        members = [{"scope": name, "grids": n, "points": points} for name, n, points in found]
        write_json({"store": place.location.url, "scopes": members})
    elif found:
        cells = [(name, count(n), count(points)) for name, n, points in found]
        write(text_table(("scope", "grids", "points"), cells))
    if not found:
        note(f"there is no scope in {place.location.url!r}")
    return OK if found else NOTHING


@click.command()
@place_argument("[STORE] SCOPE", last="name")
@click.option("-n", "--dry-run", is_flag=True, help="Write nothing, and say what would be done.")
@click.option("--keep", is_flag=True, help="Where both have a point with other values, keep that "
              "of the shared store.")  # fmt: skip
@click.option("--decrypt", is_flag=True, help="Let points of an encrypted grid join a shared one "
              "that is not encrypted, for everybody to read.")  # fmt: skip
@json_option
def publish(
    place: Place, name: str, dry_run: bool, keep: bool, decrypt: bool, as_json: bool
) -> int:
    """Merge the points of a scope into the shared store.

    They stay in the scope, too. Without --keep, a point that both have with other values is an
    error before anything is written.

    \b
    Examples:
      swarmgrid publish cache alice --dry-run
      swarmgrid publish cache alice
    """
    scope = _scope(place, name)
    done = scope.publish(on_conflict="keep" if keep else "raise", dry_run=dry_run, decrypt=decrypt)
    said = {"store": place.location.url, "scope": scope.name}
    nothing = f"there is nothing in scope {scope.name!r} of {place.location.url!r}"
    return tell_of_merge(done, said, nothing, as_json=as_json)


@click.command()
@place_argument("[STORE] SCOPE", last="name")
@yes_option("Delete without asking.")
@json_option
def discard(place: Place, name: str, yes: bool, as_json: bool) -> int:
    """Delete all that is stored in a scope, and nothing else.

    \b
    Examples:
      swarmgrid discard cache alice
      swarmgrid discard cache alice --yes
    """
    scope = _scope(place, name)
    rows = scope.catalog().rows
    points = sum(row.points_computed for row in rows)
    if not as_json:
        write(f"scope {scope.name}: {count(len(rows))} grids, {count(points)} computed points")
    agreed = bool(rows) and is_agreed("Delete them?", yes=yes, as_json=as_json)
    n = scope.discard() if agreed or not rows else 0
    if as_json:
        members = {"grids": len(rows), "points": points, "deleted": n}
        write_json({"store": place.location.url, "scope": scope.name, **members})
    return (OK if agreed else FOUND) if rows else NOTHING


def _scope(place: Place, name: Any) -> Scope:
    from swarmgrid.store_api.scopes import Scope

    return Scope(name, place.location)
