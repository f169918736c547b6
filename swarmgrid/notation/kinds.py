"""The types of values that are given as text or JSON: by annotations, or by the values."""

from __future__ import annotations

import datetime as dt
import enum
import inspect
import json
import re
import types
import typing
from collections.abc import Callable
from typing import Any

from swarmgrid.errors import InputError, brief

Convert = Callable[[Any], Any]
"""Makes a value of a text, or of a value as JSON has it; ValueError if that is none."""
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_UNITS = ("W", "D", "h", "m", "s", "ms", "us", "ns")


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotation of each parameter of a function, as far as they can be found out."""
    inner = inspect.unwrap(getattr(function, "__swarmgrid_function__", function))
    called = inner if inspect.isroutine(inner) else getattr(inner, "__call__", inner)  # noqa: B004
    try:
        found = typing.get_type_hints(called)
    except Exception:  # noqa: BLE001  # a name that only type checkers know: none is known then
        found = {}
    found.pop("return", None)
    return found


def converter(annotation: Any) -> Convert | None:
    """The conversion that an annotation asks for; None if it asks for none that is known."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return converter(typing.get_args(annotation)[0])
    if origin is typing.Literal:
        return _of_choices(typing.get_args(annotation), annotation)
    if origin in {typing.Union, types.UnionType}:
        return _of_union(list(typing.get_args(annotation)))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _of_enum(annotation)
    name = getattr(annotation, "__name__", "")
    if getattr(annotation, "__module__", "") == "numpy":
        name = re.sub(r"(\D)\d+$", r"\1", name) if name not in CONVERTERS else name
    return CONVERTERS.get("bool" if name == "bool_" else name)


def converted(what: str, value: Any, convert: Convert) -> Any:
    """A value of the type that is asked for; InputError if it is of no such type."""
    try:
        return convert(value)
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise InputError(f"{what} has the value {brief(value)}: {error}") from None


def inferred(texts: list[str]) -> list[Any]:
    """Values of one type: ints, floats, bools or texts, the first of these that all of them are.

    A text in quotes is a text.
    """
    if all(map(_NUMBER.fullmatch, texts)):
        found = [json.loads(text) for text in texts]
        return found if all(type(one) is int for one in found) else [float(one) for one in found]
    if all(text in {"true", "false"} for text in texts):
        return [text == "true" for text in texts]
    return [unquoted(text) for text in texts]


def unquoted(text: str) -> str:
    """A text without the quotes around it."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return text
    return text


def to_int(value: Any) -> int:
    """An int; a text may also be a whole number such as ``1e6``."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("an int is expected")
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+\s*", value):
        return int(value)
    if isinstance(value, int):
        return value
    number = float(value)
    if not number.is_integer():
        raise ValueError("an int is expected")
    return int(number)


def to_float(value: Any) -> float:
    """A float."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("a float is expected")
    return float(value)


def to_bool(value: Any) -> bool:
    """A bool."""
    found = {"true": True, "false": False}.get(str(value).strip().lower())
    if found is None:
        raise ValueError("true or false is expected")
    return found


def to_str(value: Any) -> str:
    """A text; one in quotes is what stands in them."""
    if not isinstance(value, str):
        raise ValueError("a text is expected")  # one error for what is no value
    return unquoted(value)


def to_datetime(value: Any) -> dt.datetime:
    """A time as ISO 8601 writes it."""
    if isinstance(value, dt.datetime):
        return value
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day)  # noqa: DTZ001  # as it is given
    return dt.datetime.fromisoformat(value)


def to_date(value: Any) -> dt.date:
    """A date as ISO 8601 writes it."""
    return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)


def to_datetime64(value: Any) -> Any:
    """A numpy datetime64."""
    import numpy as np

    return np.datetime64(value if isinstance(value, str) else to_datetime(value), "ns")


def to_timedelta64(value: Any) -> Any:
    """A numpy timedelta64 of a number and a unit, such as ``90 s``."""
    import numpy as np

    found = re.fullmatch(r"\s*([+-]?\d+)\s*([A-Za-z]+)\s*", str(value))
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"a number with a unit of time is expected ({', '.join(_UNITS)})")
    unit: Any = found[2]
    return np.timedelta64(int(found[1]), unit).astype("timedelta64[ns]")


def to_timedelta(value: Any) -> dt.timedelta:
    """A timedelta of a number and a unit, such as ``90 s``."""
    return dt.timedelta(microseconds=int(to_timedelta64(value).astype("int64")) // 1000)


CONVERTERS: dict[str, Convert] = {
    **dict.fromkeys(("int", "uint"), to_int),
    "float": to_float,
    "bool": to_bool,
    **dict.fromkeys(("str", "str_"), to_str),
    "datetime": to_datetime,
    "date": to_date,
    "datetime64": to_datetime64,
    "timedelta64": to_timedelta64,
    "timedelta": to_timedelta,
}
"""By the name of a type, the conversion to it."""


def _of_enum(cls: type[enum.Enum]) -> Convert:
    def convert(value: Any) -> enum.Enum:
        if isinstance(value, str) and value in cls.__members__:
            return cls[value]
        for member in cls:
            if member.value == value or str(member.value) == value:
                return member
        raise ValueError(f"one of {', '.join(cls.__members__)} is expected")

    return convert


def _of_choices(choices: tuple[Any, ...], annotation: Any) -> Convert:
    def convert(value: Any) -> Any:
        same = [one for one in choices if type(one) is type(value) and one == value]
        for choice in same or [one for one in choices if str(one) == value]:
            return choice
        raise ValueError(f"one of {', '.join(map(str, typing.get_args(annotation)))} is expected")

    return convert


def _of_union(annotations: list[Any]) -> Convert | None:
    """The first conversion that succeeds, to a text last; None if one of the types is unknown."""
    is_optional = type(None) in annotations
    rest = [one for one in annotations if one is not type(None)]
    rest.sort(key=lambda one: one is str)
    found = [converter(one) for one in rest]
    known = [one for one in found if one is not None]
    if len(known) < len(found) or not known:
        return None

    def convert(value: Any) -> Any:
        if is_optional and value in {None, "null", "none", "None"}:
            return None
        for one in known[:-1]:
            try:
                return one(value)
            except (ValueError, TypeError, ArithmeticError):
                continue
        return known[-1](value)

    return convert
