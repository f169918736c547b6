"""The notation of an axis' values in the shell: lists, ranges, JSON and files.

A range ``start:stop:step`` has ``start`` in it and ``stop`` not, as in Python; the step is 1 where
none is given. Its values are those decimals: ``0:1:0.1`` holds 0.3, and no 0.30000000000000004.
"""

from __future__ import annotations

import csv
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import AxisError, InputError
from swarmgrid.notation.kinds import converted, inferred, to_float, to_int, unquoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarmgrid.notation.kinds import Convert

MAX_VALUES = 10**7
"""The most values that one range may have."""
_PART = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?"
_RANGE = re.compile(rf"({_PART}):({_PART})(?::({_PART}))?")
_ITEM = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,]*?)\s*(?:,|$)')
_MAX_NBYTES = 2**30


def to_values(name: str, text: str, convert: Convert | None, folder: Path) -> Any:
    """The values of an axis that a text describes.

    Parameters
    ----------
    name : str
        The axis, for errors.
    text : str
        Values and ranges, ``1,2,10:20``; a list or mapping as JSON; or ``@file``.
    convert : callable or None
        The conversion to the type of the function's parameter; None: the values decide.
    folder : Path
        The folder that a file's path begins at.

    Returns
    -------
    list, range or dict
        Values in their order; or the values that labels stand for.

    Raises
    ------
    AxisError
        If the text describes no values.
    """
    text = text.strip()
    if text.startswith("@"):
        return _of_file(name, text[1:], convert, folder)
    if text[:1] in {"[", "{"}:
        return to_typed(name, from_json(f"axis {name!r}", text), convert)
    items = _items(name, text)
    ranges = [_RANGE.fullmatch(item) if _has_ranges(convert) else None for item in items]
    if len(items) == 1 and ranges[0] is not None:
        return _typed_range(name, items[0], ranges[0], convert)
    if not any(ranges):
        return _typed_texts(name, items, convert)
    found: list[Any] = []
    for item, one in zip(items, ranges, strict=True):
        found += (
            _typed_texts(name, [item], convert)
            if one is None
            else list(_typed_range(name, item, one, convert))
        )
    return _alike(name, found, text)


def to_typed(name: str, values: Any, convert: Convert | None) -> Any:
    """Values of JSON or of a sweep's file, converted to the type of the function's parameter."""
    if isinstance(values, dict):  # labels
        return values
    if not isinstance(values, (list, tuple)):
        raise AxisError(
            f"axis {name!r} has {values!r}; expected a list of values, a mapping from labels to "
            "values, or a text such as '0:200:1'"
        )
    if convert is None:
        kinds = {type(value) for value in values}
        return [float(value) for value in values] if kinds == {int, float} else list(values)
    return [converted(f"axis {name!r}", value, convert) for value in values]


def from_json(what: str, text: str) -> Any:
    """A JSON text; InputError if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is no JSON: {error}; it is {text[:80]!r}") from None


def read_text(what: str, path: Path) -> str:
    """The text of a user's file; InputError if it cannot be read."""
    try:
        if path.stat().st_size > _MAX_NBYTES:
            raise InputError(f"{what} is {str(path)!r}, which has more than {_MAX_NBYTES:,} bytes")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"{what} is {str(path)!r}, which cannot be read: {error}") from None


def _has_ranges(convert: Convert | None) -> bool:
    """Whether ``1:3`` is a range: of parameters that are no numbers, it is a text."""
    return convert is None or convert in {to_int, to_float}


def _items(name: str, text: str) -> list[str]:
    """The parts of a list, between commas that are not quoted."""
    found, at = [], 0
    while at <= len(text):
        match = _ITEM.match(text, at)
        if match is None or not match[1]:
            raise AxisError(
                f"axis {name!r} has {text!r}, where a value is empty; expected values with commas "
                "between them, a range such as 0:200:1, JSON, or @file"
            )
        found.append(match[1])
        if match.end() == len(text) and not match[0].endswith(","):
            break
        at = match.end()
    return found


def _typed_texts(name: str, items: Sequence[str], convert: Convert | None) -> list[Any]:
    if convert is None:
        return inferred(list(items))
    return [converted(f"axis {name!r}", unquoted(item), convert) for item in items]


def _typed_range(name: str, item: str, found: re.Match[str], convert: Convert | None) -> Any:
    values = to_range(name, item, found[1], found[2], found[3] or "1")
    if convert is None:
        return values
    if isinstance(values, range) and convert is to_int:
        return values
    return [converted(f"axis {name!r}", value, convert) for value in values]


def to_range(name: str, item: str, start: str, stop: str, step: str) -> range | list[float]:
    """The values of a range, without its stop: ints if all three are, else floats.

    Every float is the one nearest to its decimal: growing a range keeps the values it had.
    """
    parts = [Decimal(text) for text in (start, stop, step)]
    if parts[2] == 0:
        raise AxisError(f"axis {name!r} has the range {item!r}, whose step is 0")
    places = max(0, *(-int(part.as_tuple().exponent) for part in parts))
    first, end, each = (int(part.scaleb(places)) for part in parts)
    steps = range(first, end, each)
    n = max(0, -((first - end) // each))
    if n == 0:
        raise AxisError(
            f"axis {name!r} has the range {item!r}, which holds no value: it goes from "
            f"{start} to {stop} in steps of {step}"
        )
    if n > MAX_VALUES:
        raise AxisError(f"axis {name!r} has the range {item!r} of {n:,} values; at most "
                        f"{MAX_VALUES:,} are possible")  # fmt: skip
    if all(re.fullmatch(r"[+-]?\d+", text) for text in (start, stop, step)):
        return steps
    try:
        return [one / 10**places for one in steps]  # the float that is nearest to the decimal
    except OverflowError:
        raise AxisError(
            f"axis {name!r} has the range {item!r}, beyond what a float holds"
        ) from None


def _alike(name: str, values: list[Any], text: str) -> list[Any]:
    """Values of one type; ints become floats where there are floats."""
    kinds = {type(value) for value in values}
    if kinds == {int, float}:
        return [float(value) for value in values]
    if len(kinds) > 1:
        raise AxisError(
            f"axis {name!r} has {text!r}, which mixes ranges and texts; write the values as JSON"
        )
    return values


def _of_file(name: str, text: str, convert: Convert | None, folder: Path) -> Any:
    """The values that a file holds: a line each, JSON, a column of CSV, or an array of numpy."""
    path_text, column = text, ""
    if ":" in text and not (folder / text).exists():
        path_text, _, column = text.rpartition(":")
    path = (folder / Path(path_text).expanduser()).absolute()
    what, suffix = f"the file of axis {name!r}", path.suffix.lower()
    if column and suffix != ".csv":
        raise AxisError(f"axis {name!r} is '@{text}'; only a .csv file has columns")
    if suffix == ".json":
        return to_typed(name, from_json(what, read_text(what, path)), convert)
    if suffix == ".npy":
        return _of_array(name, what, path, convert)
    if suffix == ".csv":
        return _typed_texts(name, _column(name, what, path, column or name), convert)
    if suffix not in {".txt", ""}:
        raise AxisError(
            f"axis {name!r} is '@{text}'; expected a file that ends in .txt (a value a line), "
            ".json, .csv or .npy"
        )
    lines = [line.strip() for line in read_text(what, path).splitlines()]
    lines = [line for line in lines if line]
    if not lines:
        raise AxisError(f"{what}, {str(path)!r}, is empty")
    return _typed_texts(name, lines, convert)


def _column(name: str, what: str, path: Path, column: str) -> list[str]:
    """A column of a CSV file; the only one, if none has the name."""
    rows = [row for row in csv.reader(read_text(what, path).splitlines()) if row]
    if not rows:
        raise AxisError(f"{what}, {str(path)!r}, is empty")
    heads = [cell.strip() for cell in rows[0]]
    if column in heads:
        at, rows = heads.index(column), rows[1:]
    elif len(heads) == 1 and column == name:
        at = 0
    else:
        raise AxisError(
            f"{what}, {str(path)!r}, has no column {column!r}; it has {', '.join(heads)}. "
            f"Name one: {name}=@{path.name}:{heads[0]}"
        )
    short = [i for i, row in enumerate(rows) if len(row) <= at]
    if short or not rows:
        raise AxisError(
            f"{what}, {str(path)!r}, has no value in row {short[0] + 1 if short else 1}"
        )
    return [row[at].strip() for row in rows]


def _of_array(name: str, what: str, path: Path, convert: Convert | None) -> Any:
    import numpy as np

    try:
        values = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{what} is {str(path)!r}, which cannot be read: {error}") from None
    if not isinstance(values, np.ndarray) or values.ndim != 1:
        raise AxisError(f"{what}, {str(path)!r}, holds no array of one dimension")
    if convert is None or values.dtype.kind in "mM":
        return values
    return [converted(f"axis {name!r}", value, convert) for value in values.tolist()]
