"""What an axis may be given as, what is refused, and what its values are then."""

# ruff: noqa: DTZ001 - naive datetimes are what an axis holds

from __future__ import annotations

import datetime as dt
import enum
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import example, given
from hypothesis import strategies as st

from swarmgrid.errors import AxisError
from swarmgrid.space.axis import Axis, Kind, promoted, to_axes, to_axis

INT64 = np.iinfo("int64")
NOON = np.datetime64("2000-01-01T12", "ns")
SECOND = np.timedelta64(1, "s").astype("m8[ns]")
DAY = np.datetime64("2000-01-01", "ns")


class Colour(enum.Enum):
    RED = 1
    BLUE = 2
    SCARLET = 1  # noqa: PIE796 - an alias is one of the cases


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Unit(enum.StrEnum):
    METRE = "m"


class Rights(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


def coordinate(values: Any) -> xr.DataArray:
    return xr.DataArray(np.zeros(len(values)), dims="x", coords={"x": values})["x"]


NUMBERS: list[tuple[str, Kind]] = [
    *((code, "int") for code in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")),
    *((code, "float") for code in ("f2", "f4", "f8")),
]
TIMES: list[tuple[str, Kind, Any]] = [
    ("M8", "datetime", np.datetime64(0, "ns")),
    ("m8", "timedelta", np.timedelta64(0, "ns")),
]

# what is passed, the axis' kind, what the function receives
ACCEPTED: dict[str, tuple[Any, Kind, list[Any]]] = {
    "empty list": ([], "float", []),
    "empty tuple": ((), "float", []),
    "empty range": (range(0), "int", []),
    "empty int array": (np.empty(0, "i4"), "int", []),
    "empty string array": (np.empty(0, "U3"), "str", []),
    "empty datetime array": (np.empty(0, "M8[D]"), "datetime", []),
    "list of ints": ([3, -1, 2], "int", [3, -1, 2]),
    "tuple of ints": ((3, 1), "int", [3, 1]),
    "the largest ints": ([INT64.min, INT64.max], "int", [INT64.min, INT64.max]),
    "range": (range(10, 0, -4), "int", [10, 6, 2]),
    "generator": ((i * i for i in (2, 1)), "int", [4, 1]),
    "dict keys": ({"b": 0, "a": 0}.keys(), "str", ["b", "a"]),
    "numpy ints in a list": ([np.int8(1), np.uint64(2), 3], "int", [1, 2, 3]),
    "list of floats": ([0.1, -np.inf, 1e300], "float", [0.1, -np.inf, 1e300]),
    "ints and floats": ([np.int8(1), 0.5, np.float32(0.25)], "float", [1, 0.5, 0.25]),
    "ints up to 2**53 and floats": ([2**53, 0.5], "float", [2**53, 0.5]),
    "negative zero": ([-0.0], "float", [0.0]),
    "bools": ([True, np.False_], "bool", [True, False]),
    "strings": (["b", "", "日本"], "str", ["b", "", "日本"]),
    "numpy strings in a list": ([np.str_("b"), "a"], "str", ["b", "a"]),
    "strings with a zero byte": (["a\0", "a"], "str", ["a\0", "a"]),
    "enum members": ([Colour.BLUE, Colour.RED], "enum", [Colour.BLUE, Colour.RED]),
    "an enum class": (Colour, "enum", [Colour.RED, Colour.BLUE]),
    "int enum members": ([Size.LARGE], "enum", [Size.LARGE]),
    "string enum members": ([Unit.METRE], "enum", [Unit.METRE]),
    "single flags": ([Rights.READ, Rights.WRITE], "enum", [Rights.READ, Rights.WRITE]),
    "Python datetimes": ([dt.datetime(2000, 1, 1, 12)], "datetime", [NOON]),
    "Python dates": ([dt.date(2000, 1, 1)], "datetime", [DAY]),
    "datetimes of several classes": (
        [dt.date(2000, 1, 1), pd.Timestamp("2000-01-01T12"), np.datetime64("2000-01-02")],
        "datetime",
        [DAY, NOON, DAY + np.timedelta64(1, "D")],
    ),
    "Python timedeltas": ([dt.timedelta(seconds=1)], "timedelta", [SECOND]),
    "timedeltas of several classes": (
        [pd.Timedelta("1s"), np.timedelta64(2, "s"), dt.timedelta(days=1)],
        "timedelta",
        [SECOND, 2 * SECOND, 86400 * SECOND],
    ),
    "pandas index": (pd.Index([3, 1]), "int", [3, 1]),
    "pandas range index": (pd.RangeIndex(2), "int", [0, 1]),
    "pandas string index": (pd.Index(["b", "a"]), "str", ["b", "a"]),
    "pandas series": (pd.Series([0.5, 1.5], index=[7, 8]), "float", [0.5, 1.5]),
    "pandas datetime index": (pd.DatetimeIndex(["2000-01-01T12"]), "datetime", [NOON]),
    "pandas timedelta index": (pd.TimedeltaIndex(["1s"]), "timedelta", [SECOND]),
    "pandas categorical": (pd.Categorical(["b", "a"]), "str", ["b", "a"]),
    "pandas categorical of ints": (pd.Categorical([2, 1]), "int", [2, 1]),
    "pandas nullable ints": (pd.array([2, 1], dtype="Int64"), "int", [2, 1]),
    "pandas nullable floats": (pd.Series([2.0], dtype="Float64"), "float", [2.0]),
    "pandas nullable bools": (pd.array([True], dtype="boolean"), "bool", [True]),
    "pandas strings": (pd.Series(["b"], dtype="string"), "str", ["b"]),
    "xarray coordinate": (coordinate([10.0, 20.0]), "float", [10.0, 20.0]),
    "xarray string coordinate": (coordinate(["b", "a"]), "str", ["b", "a"]),
    "xarray datetime coordinate": (coordinate(np.array([NOON])), "datetime", [NOON]),
    "object array": (np.array([1, 2.5], object), "float", [1, 2.5]),
    "masked array without masked values": (np.ma.array([1, 2]), "int", [1, 2]),
    "strings of numpy 2": (np.array(["b"], np.dtypes.StringDType()), "str", ["b"]),
    "years": (np.array(["2000"], "M8[Y]"), "datetime", [DAY]),
    "big-endian floats": (np.array([1.5], ">f8"), "float", [1.5]),
    "long doubles that are doubles": (np.array([1.5], "g"), "float", [1.5]),
    "unsigned ints that fit": (np.array([2**63 - 1], "u8"), "int", [2**63 - 1]),
    "array of bools": (np.array([True, False]), "bool", [True, False]),
    **{
        f"array of {code}": (np.array([1, 0], code), kind, np.array([1, 0], code).tolist())
        for code, kind in NUMBERS
    },
    **{
        f"array of {code}[{unit}]": (np.array([0], f"{code}[{unit}]"), kind, [zero])
        for code, kind, zero in TIMES
        for unit in ("ns", "us", "ms", "s", "m", "h", "D")
    },
}


@pytest.mark.parametrize(("given_values", "kind", "arguments"), ACCEPTED.values(), ids=ACCEPTED)
def test_an_axis_hands_on_the_values_that_it_was_given(
    given_values: Any, kind: Kind, arguments: list[Any]
) -> None:
    axis = to_axis("x", given_values)
    got = axis.arguments()
    assert (axis.name, axis.kind, len(axis)) == ("x", kind, len(arguments))
    assert got == arguments
    if kind in {"int", "float", "bool", "str"}:
        assert list(map(type, got)) == list(map(type, arguments))
    assert all(np.signbit(value) == (value < 0) for value in got if kind == "float")


LABEL_DTYPES = {
    "int": ([2, 1], "int64"),
    "float": ([0.5], "float64"),
    "bool": ([True], "bool"),
    "str": (["a", "bcd"], "U3"),
    "enum": ([Colour.BLUE], "U4"),
    "datetime": ([NOON], "M8[ns]"),
    "timedelta": ([SECOND], "m8[ns]"),
    "no strings": (np.empty(0, "U9"), "U1"),
}


@pytest.mark.parametrize(("values", "dtype"), LABEL_DTYPES.values(), ids=LABEL_DTYPES)
def test_labels_are_what_xarray_shows(values: Any, dtype: str) -> None:
    labels = to_axis("x", values).labels()
    assert labels.dtype == dtype
    assert list(labels) == [v.name if isinstance(v, enum.Enum) else v for v in values]


REFUSED: dict[str, tuple[Any, str]] = {
    "number": (5, "is 5; expected an ordered collection"),
    "None": (None, "is None; expected an ordered collection"),
    "string": ("abc", "is 'abc'; expected an ordered collection"),
    "bytes": (b"abc", "expected an ordered collection"),
    "set": ({1}, r"is \{1\}; expected an ordered collection"),
    "0-d array": (np.array(1), "has 0 dimensions"),
    "2-d array": (np.zeros((2, 3)), r"has 2 dimensions, shape \(2, 3\); expected one"),
    "data frame": (pd.DataFrame({"a": [1]}), "has 2 dimensions"),
    "None in a list": (["a", None], "holds None, a NoneType; expected int"),
    "complex numbers": ([1j], "holds 1j, a complex"),
    "complex array": (np.array([1j]), "has dtype complex128"),
    "byte strings": (np.array([b"a"]), r"has dtype \|S1"),
    "lists": ([[1], [2]], r"holds \[1\], a list"),
    "times of day": ([dt.time(1)], "a time; expected"),
    "multi-index": (pd.MultiIndex.from_product([[1], [2]]), r"holds \(1, 2\), a tuple"),
    "periods": (pd.period_range("2000", periods=1, freq="D"), "a Period"),
    "structured array": (np.zeros(1, "i4,f8"), "has dtype"),
    "bools and ints": ([True, 1], "mixes values of the kinds bool, int"),
    "ints and strings": ([1, "1"], "mixes values of the kinds int, str"),
    "dates and durations": ([NOON, SECOND], "mixes values of the kinds datetime, timedelta"),
    "enum members and strings": ([Colour.RED, "BLUE"], "mixes values of the kinds enum, str"),
    "two enums": ([Colour.RED, Size.SMALL], "members of the enums Colour, Size"),
    "combined flags": ([Rights.READ | Rights.WRITE], "no single member"),
    "no flags": ([Rights(0)], "no single member"),
    "NaN": ([0.0, float("nan")], "holds NaN"),
    "NaN array": (np.array([np.nan]), "holds NaN"),
    "NaN among strings": (np.array(["a", np.nan], object), "mixes values"),
    "NaT": (np.array(["2000", "NaT"], "M8[D]"), "holds NaT"),
    "NaT of pandas": ([pd.NaT], "holds NaT"),
    "NaT in a list": ([np.timedelta64("NaT", "s")], "holds NaT"),
    "missing nullable int": (pd.array([1, None], dtype="Int64"), "masked values|holds NaN"),
    "missing nullable bool": (pd.array([True, None], dtype="boolean"), "masked values|holds <NA>"),
    "missing string": (pd.Series(["a", None], dtype="string"), "holds <NA>"),
    "masked value": (np.ma.array([1, 2], mask=[False, True]), "masked values"),
    "int above int64": ([2**63], "holds 9223372036854775808, which does not fit 64 bits"),
    "int below int64": ([-(2**63) - 1], "does not fit 64 bits"),
    "unsigned int above int64": (np.array([2**63], "u8"), "does not fit 64 bits"),
    "range above int64": (range(2**63, 2**63 + 1), "does not fit 64 bits"),
    "range above 64 bits": (range(2**70, 2**70 + 1), "has dtype object"),
    "inexact int among floats": ([0.5, 2**53 + 1], "9007199254740993, which is no exact float64"),
    "inexact long double": (np.array([np.longdouble(1) / 3]), "no exact float64"),
    "year 3000": ([dt.date(3000, 1, 1)], "years 1678 to 2262"),
    "year 3000 array": (np.array(["3000"], "M8[s]"), "years 1678 to 2262"),
    "too long a duration": ([dt.timedelta(days=10**8)], "times beyond 292 years"),
    "picoseconds": (np.array([1], "m8[ps]"), "times finer than a nanosecond"),
    "time zone": ([dt.datetime(2000, 1, 1, tzinfo=dt.UTC)], "time zone; convert them to UTC"),
    "time zone of pandas": (pd.date_range("2000", periods=1, tz="UTC"), "time zone"),
    "repeated int": ([1, 2, 1], "holds 1 more than once"),
    "repeated string": (["b", "a", "b"], "'b'.* more than once"),
    "both zeros": ([0.0, -0.0], "0.0.* more than once"),
    "one member by two names": ([Colour.RED, Colour.SCARLET], "'RED'.* more than once"),
    "one instant twice": ([dt.date(2000, 1, 1), DAY], "2000-01-01.* more than once"),
    "int and float that are equal": ([1, 1.0], "more than once"),
    "half of a surrogate pair": (["\ud800"], "UTF-8"),
}


@pytest.mark.parametrize(("values", "message"), REFUSED.values(), ids=REFUSED)
def test_an_axis_refuses(values: Any, message: str) -> None:
    with pytest.raises(AxisError, match=message) as caught:
        to_axis("lag", values)
    assert "axis 'lag'" in str(caught.value)


@pytest.mark.parametrize("name", ["", "2x", "a b", "a-b", 3, None])
def test_an_axis_name_must_be_a_parameters_name(name: Any) -> None:
    with pytest.raises(AxisError, match="is not a name that a function's parameter can have"):
        to_axes({name: [1]})


def test_axes_keep_the_order_of_the_request() -> None:
    assert [axis.name for axis in to_axes({"b": [1], "a": [2]})] == ["b", "a"]


def test_an_enum_axis_read_from_a_store_names_its_enum_but_has_no_members() -> None:
    axis = Axis("x", "enum", np.array(["RED"], object), enum_name="Colour")
    assert axis.labels().tolist() == ["RED"]
    with pytest.raises(AxisError, match="holds names of Colour; pass its members"):
        axis.arguments()


def test_taking_positions_keeps_the_kind_and_the_enum() -> None:
    axis = to_axis("x", Colour).take(np.array([1]))
    assert axis.arguments() == [Colour.BLUE]
    assert axis.enum_name == "Colour"


# ---- promotion


@given(st.lists(st.integers(INT64.min, INT64.max), unique=True, max_size=4))
@example([2**53 + 1])
@example([-(2**53) - 1])
@example([2**53, -(2**53)])
@example([INT64.min])
def test_ints_become_floats_only_where_every_int_is_its_own_float(values: list[int]) -> None:
    axis = to_axis("x", np.array(values, "int64"))
    if all(abs(value) <= 2**53 for value in values):
        after = promoted(axis, "float")
        assert after.kind == "float"
        assert after.labels().dtype == "float64"
        assert list(map(repr, after.arguments())) == list(map(repr, values))
    else:
        with pytest.raises(AxisError, match="no exact float64"):
            promoted(axis, "float")


def test_an_axis_of_the_kind_asked_for_stays_itself() -> None:
    axis = to_axis("x", ["a"])
    assert promoted(axis, "str") is axis


@pytest.mark.parametrize(
    ("values", "kind"),
    [([0.5], "int"), ([1.0], "int"), ([True], "int"), ([1], "str"), ([DAY], "int")],
    ids=["float to int", "whole float to int", "bool to int", "int to str", "date to int"],
)
def test_no_other_kinds_mix(values: Any, kind: Kind) -> None:
    axis = to_axis("x", values)
    with pytest.raises(AxisError, match=f"holds {axis.kind} values here and {kind} values in"):
        promoted(axis, kind)
