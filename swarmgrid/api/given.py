"""The arguments of a public call: the function may stand first, or be the option ``func``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import SignatureError, brief

if TYPE_CHECKING:
    from swarmgrid.options import CallOptions

NAMES = ("params", "axes")
_WAYS = (
    "write {name}(params, axes, func=simulate), or {name}(simulate, params=..., axes=...) with "
    "the function first"
)


def given(
    name: str, args: tuple[Any, ...], options: Mapping[str, Any]
) -> tuple[Any, Any, CallOptions]:
    """The params, the axes and the options of a call, the function among the options.

    Parameters
    ----------
    name : str
        The name of what was called, for errors.
    args : tuple
        The positional arguments: a function or not, then params, then axes.
    options : mapping
        The arguments by name.

    Raises
    ------
    SignatureError
        If something is given twice, or stands where it cannot.
    """
    found: Any = dict(options)
    if args and is_function(args[0]):
        if found.get("func") is not None:
            raise SignatureError(
                f"{name} has two functions: {brief(args[0])} first and func={brief(found['func'])}"
                f"; {_WAYS.format(name=name)}"
            )
        found["func"], args = args[0], args[1:]
    for place, value in zip((*NAMES, "an argument after axes"), args, strict=False):
        if is_function(value):
            raise SignatureError(
                f"{name} has a function, {brief(value)}, in the place of {place}; "
                f"{_WAYS.format(name=name)}"
            )
    if len(args) > len(NAMES) and not isinstance(args[0], Mapping | None):
        raise SignatureError(
            f"{name} has {brief(args[0])} first, which is no function; pass the function itself, "
            f"without calling it: {_WAYS.format(name=name)}"
        )
    if len(args) > len(NAMES):
        raise SignatureError(
            f"{name} has {len(args)} arguments by position, the last of them {brief(args[-1])}; "
            f"expected params and axes. All else has a name: {_WAYS.format(name=name)}"
        )
    for place, value in zip(NAMES, args, strict=False):
        if place in found:
            raise SignatureError(
                f"{name} has {place} twice: {brief(value)} by position and "
                f"{place}={brief(found[place])}; {_WAYS.format(name=name)}"
            )
        found[place] = value
    return found.pop("params", None), found.pop("axes", None), found


def is_function(value: object) -> bool:
    """Whether a value is meant as the function: a mapping that can be called is none."""
    return callable(value) and not isinstance(value, Mapping)
