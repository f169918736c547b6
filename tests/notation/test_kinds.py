"""A text has the type that the annotation of its parameter says."""

from __future__ import annotations

import datetime as dt
from enum import Enum
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from swarmgrid.errors import InputError
from swarmgrid.notation.kinds import annotations_of, converted, converter


class Colour(Enum):
    RED = "r"
    BLUE = "b"


CASES: list[tuple[Any, Any, Any]] = [
    (int, "3", 3),
    (int, " -3 ", -3),
    (int, "2e2", 200),
    (int, 4, 4),
    (float, "3", 3.0),
    (float, 3, 3.0),
    (float, "nan", "nan"),
    (bool, "True", True),
    (bool, False, False),
    (str, "3", "3"),
    (str, '"a b"', "a b"),
    (np.float64, "2", 2.0),
    (np.int32, "2", 2),
    (np.bool_, "true", True),
    (int | None, "null", None),
    (int | None, "5", 5),
    (int | str, "5", 5),
    (str | int, "five", "five"),
    (Literal["a", "b"], "b", "b"),
    (Literal[1, "1"], "1", "1"),
    (Literal[1, 2], "2", 2),
    (Colour, "RED", Colour.RED),
    (Colour, "b", Colour.BLUE),
    (Annotated[int, "metres"], "7", 7),
    (dt.date, "2026-01-02", dt.date(2026, 1, 2)),
    (dt.datetime, "2026-01-02T03:04", dt.datetime(2026, 1, 2, 3, 4)),  # noqa: DTZ001
    (np.datetime64, "2026-01-02", np.datetime64("2026-01-02", "ns")),
    (np.timedelta64, "90 s", np.timedelta64(90, "s")),
    (dt.timedelta, "2 m", dt.timedelta(minutes=2)),
]


@pytest.mark.parametrize(("annotation", "value", "expected"), CASES)
def test_a_value_is_converted(annotation: Any, value: Any, expected: Any) -> None:
    convert = converter(annotation)
    assert convert is not None
    found = converted("it", value, convert)
    assert type(found) is type(expected) or expected == "nan"
    assert found == expected or str(found) == "nan"


@pytest.mark.parametrize(
    "annotation", [Any, None, list, list[int], np.ndarray, "x", object, int | list]
)
def test_other_annotations_ask_for_nothing(annotation: Any) -> None:
    assert converter(annotation) is None


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        *((int, "2.5"), (int, "x"), (int, True), (int, [1]), (int, "inf"), (float, "x")),
        *((float, None), (bool, "1"), (str, 1), (Colour, "GREEN"), (Literal["a"], "b")),
        *((dt.date, "tomorrow"), (dt.datetime, 5), (np.datetime64, "x"), (np.timedelta64, "5")),
        *((int | None, "x"), (np.datetime64, 5)),
    ],
)
def test_a_value_of_another_type_is_an_error_that_names_it(annotation: Any, value: Any) -> None:
    convert = converter(annotation)
    assert convert is not None
    with pytest.raises(InputError, match="it has the value"):
        converted("it", value, convert)


def test_annotations_are_found_as_far_as_they_can_be() -> None:
    def function(a: int, b, c: "float" = 1.0) -> str: ...  # type: ignore[empty-body]  # noqa: UP037

    class Model:
        def __call__(self, x: int) -> None: ...

    assert annotations_of(function) == {"a": int, "c": float}
    assert annotations_of(Model()) == {"x": int}
    function.__annotations__["b"] = "NotImported"
    assert annotations_of(function) == {}
    assert annotations_of(max) == {}
