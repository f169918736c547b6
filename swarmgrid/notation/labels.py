"""The points that ``--select`` means: labels in the notation of the stored axes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError
from swarmgrid.notation.kinds import (
    converted,
    to_bool,
    to_datetime64,
    to_float,
    to_int,
    to_timedelta64,
    unquoted,
)
from swarmgrid.notation.values import to_values

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

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


_END = r'(?:"(?:[^"\\]|\\.)*"|[^",\[{@][^",]*?)?'
_FROM_TO = re.compile(rf"\s*({_END})\s*\.\.\s*({_END})\s*", re.DOTALL)
"""A range of stored values; an end with a quote or a comma in it is in quotes."""


def to_selection(
    texts: Sequence[str],
    axes: Mapping[str, AxisBrief],
    labels: Mapping[str, Collection[str]],
) -> dict[str, Any]:
    """The labels by axis that some options mean: ``s=1,2``, ``s=0:9`` or ``s=0..9``.

    Parameters
    ----------
    texts : sequence of str
        The options' values.
    axes : mapping
        The stored axes.
    labels : mapping
        By axis of texts its stored labels: such a label is no range, whatever dots it has.

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
        convert = _CONVERTERS.get(axes[name].kind, _to_text)
        ends = _FROM_TO.fullmatch(values)
        if ends is not None and values in labels.get(name, ()):
            found[name] = [values]
        elif ends is not None:
            if not any(ends.groups()):
                raise InputError(f"--select is {text!r}, a range without ends; give one, or both")
            found[name] = slice(*(_end(name, end, convert) for end in ends.groups()))
        else:
            chosen = to_values(name, values, convert, Path.cwd())
            if isinstance(chosen, dict):
                raise InputError(f"--select is {text!r}; expected a list of labels")
            found[name] = list(chosen)
    return found


def _end(name: str, text: str, convert: Convert) -> Any:
    return converted(f"axis {name!r}", unquoted(text), convert) if text else None


def _to_text(value: Any) -> str:
    """A label, whose quotes are its own."""
    if not isinstance(value, str):
        raise ValueError("a text is expected")
    return value
