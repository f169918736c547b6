"""Checks of tags: texts, numbers, bools and lists of these, by name."""

from __future__ import annotations

import json
import math
from typing import Any

from swarmgrid.errors import InputError, brief

MAX_NBYTES = 2**19
"""The most bytes of a grid's tags, as JSON."""
_MAX_NAME = 200


def checked_tags(tags: Any) -> dict[str, Any]:
    """The tags that a user gives, as JSON holds them; None stands for a tag to remove.

    Raises
    ------
    InputError
        If they are no mapping from names to texts, numbers, bools, or lists of these; nor names
        alone, which stand for True.
    """
    if isinstance(tags, (str, list, tuple, set, frozenset)):
        names = [tags] if isinstance(tags, str) else list(tags)
        if all(isinstance(name, str) for name in names):
            tags = dict.fromkeys(names if isinstance(tags, (list, tuple)) else sorted(names), True)
    if not hasattr(tags, "items"):
        raise InputError(
            f"tags is {brief(tags)}; expected a mapping from names to values, {{'site': 'a'}}, "
            "or a list of names"
        )
    for name, value in tags.items():
        is_name = isinstance(name, str) and 0 < len(name) <= _MAX_NAME and name.isprintable()
        if not is_name:
            raise InputError(f"tags has the name {brief(name)}; expected a printable text")
        if value is not None and not is_plain(value):
            raise InputError(
                f"tag {name!r} is {brief(value)}; expected a text, a number, a bool or a list of "
                "these, or None to remove the tag"
            )
    found: dict[str, Any] = json.loads(json.dumps({str(k): _plain(v) for k, v in tags.items()}))
    if len(json.dumps(found)) > MAX_NBYTES:
        raise InputError(f"tags take more than {MAX_NBYTES} bytes; hold large data elsewhere")
    return found


def is_plain(value: Any) -> bool:
    """Whether a value is a text, a number that JSON holds, a bool, or a list of these."""
    if isinstance(value, (list, tuple)):
        return all(is_plain(item) and not isinstance(item, (list, tuple)) for item in value)
    value = _plain(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return -(2**63) <= value < 2**64
    return isinstance(value, (str, bool)) or (isinstance(value, float) and math.isfinite(value))


def _plain(value: Any) -> Any:
    """A value with numpy's scalars as Python's own."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.item() if hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0 else value
