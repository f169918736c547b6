"""The conditions of ``--where``, ``--tag`` and ``--function``: a query of the inventory."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONDITION = re.compile(r"([^<>=!~]+?)\s*(==|!=|>=|<=|=|>|<|~)\s*(.*)", re.DOTALL)
_OPERATORS = {
    **dict.fromkeys(("=", "=="), "$eq"),
    "!=": "$ne",
    ">": "$gt",
    ">=": "$gte",
    "<": "$lt",
    "<=": "$lte",
    "~": "$regex",
}
_TIMES = {"created", "written"}
_OWN = {"params", "tags", "axes", "outputs"}
"""Parts of a grid whose members another grid may lack."""
_SHARED = {
    *("grid", "function", "version", "points", "chunks", "bytes", "seconds"),
    *("created", "written", "archived", "archive"),
}
"""Parts that every grid has, with all their members."""


def to_query(where: Sequence[str], tags: Sequence[str] = ()) -> dict[str, Any]:
    """The query that some conditions make up; all of them must hold.

    Parameters
    ----------
    where : sequence of str
        Conditions such as ``params.alpha>=0.3``, a path that must exist, or a query as JSON.
    tags : sequence of str
        Tags that a grid must have: ``site=a`` or ``site``.

    Raises
    ------
    InputError
        If one is no condition.
    """
    parts = [_condition(text) for text in where]
    parts += [_tag(text) for text in tags]
    return {"$and": parts} if parts else {}


def to_value(text: str) -> Any:
    """A value as JSON has it, or else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _tag(text: str) -> dict[str, Any]:
    if not text.partition("=")[0].strip():
        raise InputError(f"the tag {text!r} has no name; expected NAME or NAME=VALUE")
    return _condition(f"tags.{text.strip()}")


def _condition(text: str) -> dict[str, Any]:
    """The query that one condition makes up; one that holds of every grid is refused.

    Such a one is mostly what is left where a variable of the shell is empty.
    """
    text = text.strip()
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"the condition {text!r} is no JSON: {error}") from None
        if not found:
            raise InputError("the condition '{}' is empty: it holds of every grid")
        return dict(found)
    parts = _CONDITION.fullmatch(text)
    if parts is None and text and not re.search(r"[<>=!~]", text):
        root, dot, _ = text.partition(".")
        if root in _SHARED or (root in _OWN and not dot):
            raise InputError(
                f"the condition {text!r} holds of every grid, since each has that; expected an "
                "operator and a value, too, or the path of a param, tag, axis or output, such as "
                "'tags.site'"
            )
        return {text: {"$exists": True}}
    if parts is None:
        raise InputError(
            f"{text!r} is no condition; expected a path, an operator and a value, such as "
            f"'params.alpha>=0.3', with one of the operators {' '.join(_OPERATORS)}; or JSON"
        )
    path, operator, value = parts.groups()
    if not value.strip():
        for_empty = "" if operator == "~" else "; an empty text is written '\"\"'"
        raise InputError(f"the condition {text!r} has no value after {operator!r}{for_empty}")
    if operator == "~":
        return {path: {"$regex": value}}
    return {path: {_OPERATORS[operator]: _of(path, value)}}


def _of(path: str, text: str) -> Any:
    """The value of a condition; one on a time may be a date."""
    if path in _TIMES:
        try:
            return dt.datetime.fromisoformat(text).astimezone().timestamp()
        except ValueError:
            pass
    return to_value(text)
