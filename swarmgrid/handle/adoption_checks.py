"""Checks that a grid can be a part of another, by the params and names that are known of both."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import AxisError, InputError, brief
from swarmgrid.planning.shown import shown_params
from swarmgrid.space.axis import to_axes, to_axis

if TYPE_CHECKING:
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.space.axis import Axis

FUNCTION = "function"
"""The word for the function's name among params that are left out."""


def checked_mapping(what: str, value: Any) -> dict[str, Any]:
    """A mapping from names, or an empty one for None; InputError if it is something else."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise InputError(f"{what} is {brief(value)}; expected a mapping from names")
    return dict(value)


def check_renamed(names: Sequence[str], renamed: Mapping[str, Any]) -> None:
    """Raise InputError where axes cannot be renamed so."""
    unknown = [name for name in renamed if name not in names]
    if unknown:
        raise InputError(
            f"{unknown[0]!r} is no axis of the grid; its axes are {', '.join(names) or 'none'}"
        )
    found = [renamed.get(name, name) for name in names]
    to_axes({name: [0] for name in found})  # names that an axis can have
    twice = sorted({str(name) for name in found if found.count(name) > 1})
    if twice:
        raise InputError(f"two axes would have the name {twice[0]!r}; expected different names")


def constant_axis(name: str, value: Any) -> Axis:
    """The axis of one value."""
    try:
        return to_axis(name, value if isinstance(value, Mapping) else [value])
    except AxisError as error:
        raise InputError(f"{name}={brief(value)} is no value of an axis: {error}") from None


def check_params(
    old: GridState,
    attributes: Mapping[str, Any],
    constants: Mapping[str, Any],
    renamed: Mapping[str, str],
    ignore: set[str],
) -> None:
    """Raise InputError where the old grid is of other params than the slice has.

    Params are known as the JSON that is kept for people; a default that was not given is not.
    """
    before, after = (
        json.loads(one.get("swarmgrid_params") or "{}")
        for one in (old.grid.attributes, attributes)
    )
    for name, value in constants.items():
        if isinstance(value, Mapping) and len(value) != 1:
            raise InputError(f"{name} has {len(value)} labels; expected one: {{label: value}}")
        param = next(iter(value.values())) if isinstance(value, Mapping) else value
        after[name] = json.loads(shown_params({name: param}))[name]
        if name not in before and name not in renamed.values():
            before[name] = after[name]  # a default, which the params do not name
    functions = [one.get("swarmgrid_function") for one in (old.grid.attributes, attributes)]
    if functions[0] != functions[1] and FUNCTION not in ignore:
        raise InputError(
            f"the old grid is of the function {functions[0]!r}, this one of {functions[1]!r}. If "
            f"that is only another name, pass ignore={{{FUNCTION!r}}}"
        )
    for name in sorted((before.keys() | after.keys()) - ignore):
        texts = [json.dumps(p[name]) if name in p else None for p in (before, after)]
        if texts[0] != texts[1]:
            said = " as given" if name in constants else ""
            shown = ["absent" if text is None else text for text in texts]
            raise InputError(
                f"the param {name!r} of the old grid is {shown[0]}, but {shown[1]}{said} here: it "
                "is no part of this grid. A param that became an axis is given as "
                f"{name}=value; one on which no result depends is left out by ignore={{{name!r}}}"
            )
