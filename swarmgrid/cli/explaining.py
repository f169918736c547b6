"""``swarmgrid why``: the reason why a grid is another one, and is computed again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from swarmgrid.cli.requests import grid_options, to_request
from swarmgrid.cli.stores import Place, names_argument, to_place
from swarmgrid.errors import InputError
from swarmgrid.notation.functions import is_function_name
from swarmgrid.notation.sweeps import is_sweep
from swarmgrid.terminal.endings import OK
from swarmgrid.terminal.output import plain, write, write_json
from swarmgrid.terminal.streams import stdout_as_stderr

if TYPE_CHECKING:
    from swarmgrid.inventory.difference import Difference


@click.command()
@names_argument("[STORE] GRID OTHER | TARGET")
@grid_options
def why(names: tuple[str, ...], **given: Any) -> int:
    """Say why a grid is another one, and is computed again.

    With two grids of a store: the lines of code, params and axes that differ, those of GRID first.
    With a function or the file of a sweep, as for run: what differs from the nearest stored grid.

    \b
    Examples:
      swarmgrid why cache 324fd638c05b 324fd63891aa
      swarmgrid why model.py:simulate -p alpha=0.4 --store cache
      swarmgrid why sweep.toml
    """
    if names and (is_function_name(names[0]) or is_sweep(names[0])):
        if len(names) > 1:
            raise InputError(f"why takes one function; it was given {names[1]!r}, too")
        return _of_function(names[0], given)
    return _of_grids(names, given)


def _of_grids(names: tuple[str, ...], given: dict[str, Any]) -> int:
    place = to_place(names, given["store"], given["storage"])
    if len(place.names) != 2:
        raise InputError(
            f"why has {len(place.names)} grids; expected two of them, or a function such as "
            "model.py:simulate"
        )
    new, old = (Place(place.location, (name,)).row() for name in place.names)
    found = place.grid(new).why(place.grid(old))
    if given["as_json"]:
        write_json({"store": place.location.url, "grid": new.grid, "other": old.grid,
                    **to_document(found), "text": str(found)})  # fmt: skip
    else:
        write("\n".join(map(plain, found.reasons())) or plain(str(found)))
    return OK


def to_document(found: Difference) -> dict[str, Any]:
    """The difference of two grids as JSON; of two values, the old one is first."""
    return {
        "code": [{"name": one.name, "file": one.file, "diff": one.diff} for one in found.code],
        "values": found.values,
        "versions": found.versions,
        "functions": found.functions,
        "params": dict(found.params or {}),
        "axes": found.axes,
    }


def _of_function(target: str, given: dict[str, Any]) -> int:
    with stdout_as_stderr():
        call = to_request(target, given, needs_axes=False).call()
        found = call.plan(explain=True)
    ref = call.request.grid
    is_stored = call.is_stored
    text = found.why or f"the grid {ref.path.group} is stored: it is not computed again"
    if given["as_json"]:
        document = {"store": ref.location.url, "function": ref.path.function,
                    "grid": ref.path.grid, "stored": is_stored, "text": text}  # fmt: skip
        write_json(document)
    else:
        write(plain(text))
    return OK
