"""The points that ``--select`` means: labels in the notation of the stored axes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError
from swarmgrid.notation.kinds import (
    converted,
    to_bool,
    to_datetime64,
    to_float,
    to_int,
    to_str,
    to_timedelta64,
)
from swarmgrid.notation.values import to_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swarmgrid.inventory.row import AxisBrief
    from swarmgrid.notation.kinds import Convert

_CONVERTERS: dict[str, Convert] = {
    "int": to_int,
    "float": to_float,
    "bool": to_bool,
    "datetime": to_datetime64,
    "timedelta": to_timedelta64,
}
"""By the kind of an axis, the conversion of its labels; the others are texts."""


def to_selection(texts: Sequence[str], axes: Mapping[str, AxisBrief]) -> dict[str, Any]:
    """The labels by axis that some options mean: ``s=1,2``, ``s=0:9`` or ``s=0..9``.

    Raises
    ------
    InputError
        If one names no axis, or one twice, or values of another kind.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, separator, values = text.partition("=")
        if not separator or name not in axes:
            raise InputError(
                f"--select is {text!r}; expected AXIS=VALUES, with one of the axes "
                f"{', '.join(axes) or '(the grid has none)'}"
            )
        if name in found:
            raise InputError(f"--select names axis {name!r} twice; write its values in one")
        convert = _CONVERTERS.get(axes[name].kind, to_str)
        begin, dots, end = values.partition("..")
        if dots:
            found[name] = slice(_end(name, begin, convert), _end(name, end, convert))
        else:
            labels = to_values(name, values, convert, Path.cwd())
            if isinstance(labels, dict):
                raise InputError(f"--select is {text!r}; expected a list of labels")
            found[name] = list(labels)
    return found


def _end(name: str, text: str, convert: Convert) -> Any:
    return converted(f"axis {name!r}", text.strip(), convert) if text.strip() else None
