"""``swarmgrid run``, ``plan`` and ``why``: compute a grid, or say what that takes, and why."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from swarmgrid.cli.flags import to_number
from swarmgrid.cli.requests import grid_options, to_request
from swarmgrid.cli.stores import Place, names_argument, to_place
from swarmgrid.errors import InputError
from swarmgrid.notation.functions import is_function_name
from swarmgrid.notation.sweeps import is_sweep
from swarmgrid.terminal.endings import FOUND, OK
from swarmgrid.terminal.output import note, plain, write, write_json
from swarmgrid.terminal.streams import stdout_as_stderr

if TYPE_CHECKING:
    from swarmgrid.inventory.difference import Difference
    from swarmgrid.observe.diagnostics import Diagnostics
    from swarmgrid.planning.estimate import Plan
    from swarmgrid.store.grid_ref import GridRef


@click.command()
@click.argument("target")
@grid_options
def run(target: str, **given: Any) -> int:
    """Compute the points of a grid that are not stored yet.

    TARGET is module:function, path/to/file.py:function, or a TOML or YAML file that describes a
    grid; of its axes, --axis selects some values. Values have the types that the function's
    annotations say; without one, those of JSON, or else they are texts. The exit code is 1 if
    points failed.

    \b
    Examples:
      swarmgrid run model:simulate -p alpha=0.4 -a strat=a,b -a s=0:200 -S cache
      swarmgrid run model.py:simulate --params @params.json -a s=@seeds.txt
      swarmgrid run model.py:simulate -a x=0:1:0.1 --workers 8 --on-error record
      swarmgrid run sweep.toml --axis model=1.5b
      swarmgrid run sweep.toml
    """
    as_json = given["as_json"]
    with stdout_as_stderr() if as_json else contextlib.nullcontext():
        call = to_request(target, given).call()
        done = call.fill()
    ref = call.request.grid
    if as_json:
        write_json({**_place(ref), **_counts(done)})
    else:
        write(f"{done}\n{plain(f'grid {ref.path.group} in {ref.location.url}')}")
        if done.points_failed:
            note(f"see: swarmgrid errors {ref.location.url} {ref.path.grid}")
    return FOUND if done.points_failed else OK


def _place(ref: GridRef) -> dict[str, Any]:
    return {"store": ref.location.url, "function": ref.path.function, "grid": ref.path.grid}


def _counts(done: Diagnostics) -> dict[str, Any]:
    """The counts of a run, as JSON."""
    found = asdict(done)
    names = ("total", "cached", "computed", "failed", "skipped")
    points = {name: found.pop(f"points_{name}") for name in names}
    found["changed"] = list(done.changed)
    return {"points": points, **found}


@click.command()
@click.argument("target")
@grid_options
@click.option("--explain", is_flag=True, help="Say what names the grid, and why it is a new one.")
@click.option("--slurm-time", is_flag=True,
              help="Write only the time limit for a batch job with --workers.")  # fmt: skip
@click.option("--safety", type=float, default=1.5, show_default=True,
              help="The factor for safety in the time limit.")  # fmt: skip
@click.option("--by", metavar="AXIS", help="Add the time by the values of an axis.")
def plan(
    target: str, explain: bool, slurm_time: bool, safety: float, by: str | None, **given: Any
) -> int:
    """Say what run would do; computes and writes nothing.

    \b
    Examples:
      swarmgrid plan model.py:simulate -p alpha=0.4 -a s=0:200 -S cache
      swarmgrid plan sweep.toml --axis model=1.5b --json
      swarmgrid plan sweep.toml --explain
      swarmgrid plan sweep.toml --by strat
      swarmgrid plan sweep.toml --slurm-time --workers 64
    """
    as_json = given["as_json"]
    with stdout_as_stderr() if as_json else contextlib.nullcontext():
        call = to_request(target, given).call(needs_key=False)
        found = call.plan(explain=explain)
    limit = None
    if slurm_time:
        limit = found.slurm_time(workers=to_number(given["workers"] or 1), safety=safety)
    times = None if by is None else found.time_by(by)
    if as_json:
        more: dict[str, Any] = {} if limit is None else {"slurm_time": limit}
        if times is not None:
            more["times"] = json.loads(times.reset_index().to_json(orient="records"))
        write_json({**_place(call.request.grid), **to_document(found), **more})
    elif limit is not None:
        write(limit)
    elif times is not None:
        write(f"{plain(str(found), lines=True)}\n{plain(times.to_string(), lines=True)}")
    else:
        write(f"{plain(f'grid {call.request.grid.path.group}')}\n{plain(str(found), lines=True)}")
    return OK


def to_document(found: Plan) -> dict[str, Any]:
    """A plan as JSON."""
    names = ("total", "cached", "missing", "skipped")
    parts = None if found.parts is None else [
        {"path": one.path, "kind": one.kind, "digest": one.digest} for one in found.parts
    ]  # fmt: skip
    return {
        "points": {name: getattr(found, f"points_{name}") for name in names},
        "lengths": dict(found.lengths),
        "chunks": dict(found.chunks),
        "shards": None if found.shards is None else dict(found.shards),
        "chunks_total": found.chunks_total,
        "chunks_missing": found.chunks_missing,
        "bytes": found.nbytes,
        "seconds": found.seconds,
        "seconds_band": None if found.seconds_band is None else list(found.seconds_band),
        "reason": found.reason,
        "depends": dict(found.depends),
        "why": found.why,
        "parts": parts,
    }


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
                    **difference_document(found), "text": str(found)})  # fmt: skip
    else:
        write("\n".join(map(plain, found.reasons())) or plain(str(found)))
    return OK


def difference_document(found: Difference) -> dict[str, Any]:
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
        call = to_request(target, given, needs_axes=False).call(needs_key=False)
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
