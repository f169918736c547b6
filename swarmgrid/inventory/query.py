"""Queries over documents: conditions on members by path, in MongoDB's notation."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from swarmgrid.errors import InputError, brief

Condition = Callable[[Any], bool]
"""A test of a document, or of a member of it; one that is missing is `MISSING`."""
MISSING = object()
"""Stands for a member that a document does not have."""
MAX_DEPTH = 50


def to_condition(query: object, roots: tuple[str, ...]) -> Condition:
    """The condition that a query describes.

    Parameters
    ----------
    query : mapping
        By path, such as ``params.alpha``, a value or operators; or ``$and`` and ``$or`` with a
        list of queries, ``$not`` with a query. All entries must hold.
    roots : tuple of str
        The first parts that paths may have.

    Raises
    ------
    InputError
        If the query has an operator that does not exist, or one with an operand of another kind;
        or a path that has an empty part.
    """
    return _query(query, roots, 0)


def member(document: Any, path: str) -> Any:
    """The member of nested mappings at a path; `MISSING` if there is none.

    A key that holds dots itself is found, too; the longest key goes first.
    """
    if not isinstance(document, Mapping):
        return MISSING
    parts = path.split(".")
    for n in range(len(parts), 0, -1):
        key, rest = ".".join(parts[:n]), ".".join(parts[n:])
        if key in document:
            found = document[key] if n == len(parts) else member(document[key], rest)
            if found is not MISSING:
                return found
    return MISSING


def _query(query: object, roots: tuple[str, ...], depth: int) -> Condition:
    if depth > MAX_DEPTH:
        raise InputError(f"the query is nested more than {MAX_DEPTH} deep")
    if not isinstance(query, Mapping):
        raise InputError(
            f"the query is {brief(query)}; expected a mapping from paths to values or operators, "
            "such as {'params.alpha': {'$gte': 0.3}}"
        )
    conditions = [_entry(key, value, roots, depth) for key, value in query.items()]
    return lambda document: all(holds(document) for holds in conditions)


def _entry(key: object, value: Any, roots: tuple[str, ...], depth: int) -> Condition:
    if key in {"$and", "$or"}:
        if not isinstance(value, (list, tuple)) or not value:
            raise InputError(f"{key} has {brief(value)}; expected a list of queries")
        parts = [_query(part, roots, depth + 1) for part in value]
        combine = all if key == "$and" else any
        return lambda document: combine(holds(document) for holds in parts)
    if key == "$not":
        inner = _query(value, roots, depth + 1)
        return lambda document: not inner(document)
    if not isinstance(key, str) or key.startswith("$"):
        raise _no_operator(key, ["$and", "$or", "$not"], "where a path is expected")
    root = key.partition(".")[0]
    if root not in roots:
        close = get_close_matches(root, roots, 1)
        hint = f". Did you mean {close[0]!r}?" if close else ""
        raise InputError(
            f"the query asks for {key!r}; a path begins with one of {', '.join(roots)}{hint}"
        )
    if not all(map(str.strip, key.split("."))):
        raise InputError(
            f"the query asks for {key!r}, where a name is empty; expected names with single dots "
            "between them, such as tags.site"
        )
    holds = _value(value, depth)
    return lambda document: holds(member(document, key))


def _value(value: Any, depth: int) -> Condition:
    """The condition on one member: operators, or a value that it is to equal."""
    is_operators = isinstance(value, Mapping) and any(str(key)[:1] == "$" for key in value)
    if not is_operators:
        return lambda found: found is not MISSING and is_equal(found, value)
    if depth > MAX_DEPTH:
        raise InputError(f"the query is nested more than {MAX_DEPTH} deep")
    conditions = [_operator(key, operand, depth) for key, operand in value.items()]
    return lambda found: all(holds(found) for holds in conditions)


def _operator(name: object, operand: Any, depth: int) -> Condition:
    if name == "$not":
        if not isinstance(operand, Mapping):
            raise InputError(f"$not has {brief(operand)}; expected operators, {{'$gt': 3}}")
        inner = _value(operand, depth + 1)
        return lambda found: not inner(found)
    make = _OPERATORS.get(name) if isinstance(name, str) else None
    if make is None:
        raise _no_operator(name, [*_OPERATORS, "$not"], "among the operators of a path")
    return make(operand)


def _no_operator(name: object, known: list[str], where: str) -> InputError:
    close = get_close_matches(name, known, 1) if isinstance(name, str) else []
    hint = f". Did you mean {close[0]!r}?" if close else ""
    return InputError(f"{brief(name)} stands {where}; expected {', '.join(known)}{hint}")


def is_equal(found: Any, value: Any) -> bool:
    """Whether a member equals a value, which may be of any kind."""
    try:
        return bool(found == value)
    except (TypeError, ValueError):  # an array has no one answer
        return False


def _ordered(compare: Callable[[Any, Any], Any]) -> Callable[[Any], Condition]:
    def make(operand: Any) -> Condition:
        def holds(found: Any) -> bool:
            if found is MISSING:
                return False
            try:
                return bool(compare(found, operand))
            except (TypeError, ValueError):  # a text is neither more nor less than a number
                return False

        return holds

    return make


def _within(operand: Any) -> Condition:
    if isinstance(operand, (str, bytes, Mapping)) or not hasattr(operand, "__iter__"):
        raise InputError(f"$in or $nin has {brief(operand)}; expected a list of values")
    values = list(operand)
    return lambda found: found is not MISSING and any(is_equal(found, value) for value in values)


def _opposite(holds: Condition) -> Condition:
    return lambda found: not holds(found)


def _existing(operand: Any) -> Condition:
    if not isinstance(operand, bool):
        raise InputError(f"$exists has {brief(operand)}; expected True or False")
    return lambda found: (found is not MISSING) is operand


def _matching(operand: Any) -> Condition:
    try:
        pattern = re.compile(operand)
    except (re.error, TypeError) as error:
        raise InputError(
            f"$regex has {brief(operand)}, which is no pattern of texts: {error}"
        ) from None
    if not isinstance(pattern.pattern, str):
        raise InputError(f"$regex has {brief(operand)}; expected a pattern of texts")
    return lambda found: isinstance(found, str) and pattern.search(found) is not None


_OPERATORS: dict[str, Callable[[Any], Condition]] = {
    "$eq": lambda operand: lambda found: found is not MISSING and is_equal(found, operand),
    "$ne": lambda operand: lambda found: found is MISSING or not is_equal(found, operand),
    "$gt": _ordered(operator.gt),
    "$gte": _ordered(operator.ge),
    "$lt": _ordered(operator.lt),
    "$lte": _ordered(operator.le),
    "$in": _within,
    "$nin": lambda operand: _opposite(_within(operand)),
    "$exists": _existing,
    "$regex": _matching,
}
"""By name: takes the operand, and returns the condition, or raises."""
