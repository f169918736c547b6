"""Values of any type on an axis: each comes to the function exactly, or is refused at once.

`KINDS` is a sample; hypothesis mixes them in lists, arrays and mappings of labels.
"""

from __future__ import annotations

import datetime as dt
import enum
import importlib.util
import ipaddress
import pathlib
import uuid
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.identity import as_python, digest
from tests.long import examples, first


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Level(enum.IntEnum):
    LOW = 1


class Name(enum.StrEnum):
    ONE = "1"


class Bits(enum.Flag):
    A = 1
    B = 2


class Modulo(int):
    """More than a plain int."""

    def __add__(self, other: int) -> int:
        return (int(self) + other) % 7


class Metres(float):
    """More than a plain float."""


class Model(str):
    """More than a plain str."""

    __slots__ = ()


class Quantity(np.ndarray):
    """An array with a unit."""


class Pair(NamedTuple):
    a: int
    b: str


TEXTS = ["\ud800", "a\0", "é", "e\u0301"]
utf8 = st.text(st.characters(codec="utf-8"), max_size=3)
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers() | st.integers(-3, 3),
    "float": st.floats(),
    "bool": st.booleans(),
    "text": st.text(st.characters(), max_size=3)
    | st.sampled_from(["\ud800", "a\0", "é", "e\u0301"]),
    "datetime": st.datetimes(timezones=st.none() | st.just(dt.UTC)),
    "date": st.dates(),
    "time": st.times(),
    "timedelta": st.timedeltas(),
    "Decimal": st.decimals(),
    "Fraction": st.fractions(),
    "complex": st.complex_numbers(),
    "bytes": st.binary(max_size=3),
    "nothing": st.sampled_from([None, ..., NotImplemented, pd.NA, pd.NaT]),
    "enum": st.sampled_from([Colour.RED, Colour.BLUE]),
    "other enums": st.sampled_from([Level.LOW, Name.ONE, Bits.A, Bits.A | Bits.B]),
    "more than plain": st.sampled_from([Modulo(3), Metres(0.5), Model("a")]),
    "tuple": st.tuples(st.integers(), st.floats(allow_nan=False)),
    "nested": st.recursive(
        st.integers() | st.none() | st.text(st.characters(codec="utf-8"), max_size=2),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=1), inner),
        max_leaves=4,
    ),
    "frozenset": st.frozensets(st.integers(0, 9), max_size=3),
    "named tuple": st.builds(Pair, st.integers(), st.text(max_size=1)),
    "uuid": st.uuids(),
    "address": st.ip_addresses(),
    "path": st.just(pathlib.PurePosixPath("a/b")),
    "type": st.sampled_from([int, len, Colour, uuid.UUID, ipaddress.ip_address]),
    "Period": st.sampled_from([pd.Period("2000-01"), pd.Period("2000-01-01", "D")]),
    "Interval": st.sampled_from([pd.Interval(0, 1), pd.Interval(0.5, 2, closed="both")]),
    "Timestamp": st.sampled_from(
        [pd.Timestamp("2000-01-01 00:00:00.000000001"), pd.Timestamp("2000", tz="Europe/Berlin")]
    ),
    "Timedelta": st.just(pd.Timedelta(1, "ns")),
    "Offset": st.just(pd.DateOffset(months=1)),
    "numpy scalar": st_np.scalar_dtypes().flatmap(st_np.from_dtype),
    "array": st.just(np.arange(2)),
}
if importlib.util.find_spec("cftime") is not None:
    import cftime

    KINDS["cftime"] = st.sampled_from(
        [cftime.DatetimeNoLeap(2000, 2, 28), cftime.Datetime360Day(2000, 2, 30)]
    )

one_kind = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.lists(KINDS[kind], min_size=1, max_size=3)
)
any_kinds = st.lists(st.one_of(*KINDS.values()), min_size=1, max_size=3)
dtypes = st_np.scalar_dtypes() | st_np.unicode_string_dtypes() | st_np.byte_string_dtypes()
arrays = dtypes.flatmap(lambda dtype: st_np.arrays(dtype, st.integers(1, 3), unique=True))
of_pandas = st.sampled_from(
    [
        pd.period_range("2000-01", periods=2, freq="M"),
        pd.interval_range(0, 2),
        pd.date_range("2000", periods=2),
        pd.date_range("2000", periods=2, tz="UTC"),
        pd.Categorical(["b", "a"]),
        pd.array([1, 2], dtype="Int64"),
        pd.array([1, None], dtype="Int64"),
        pd.array(["a", "b"], dtype="string"),
        pd.Series([1.5, 2.5], index=["a", "b"]),
        xr.DataArray([3, 1], dims="k"),
        np.ma.masked_array([1, 2], [False, True]),
        np.arange(2.0).view(Quantity),
    ]
)
labels = st.dictionaries(utf8, st.one_of(*KINDS.values()), min_size=1, max_size=3)


def is_exact(argument: Any, value: Any) -> bool:
    """Whether the function got what stands on the axis; numbers and texts as Python's own."""
    if isinstance(value, enum.Enum):
        return argument is value
    for plain, kinds in ((bool, (bool, np.bool_)), (str, (str,)), (int, (int, np.integer))):
        if isinstance(value, kinds) and not isinstance(value, np.timedelta64):
            return type(argument) is plain and argument == plain(value)
    if isinstance(value, (float, np.floating)):
        return type(argument) is float and argument == value
    if isinstance(value, (dt.date, np.datetime64)):
        return bool(argument.dtype == "M8[ns]" and pd.Timestamp(argument) == pd.Timestamp(value))
    if isinstance(value, (dt.timedelta, np.timedelta64)):
        return bool(argument.dtype == "m8[ns]" and pd.Timedelta(argument) == pd.Timedelta(value))
    return False


def listed(values: Any) -> list[Any]:
    if isinstance(values, pd.Categorical):
        return values.tolist()
    if isinstance(values, (xr.DataArray, pd.api.extensions.ExtensionArray)):
        return list(np.asarray(values))
    return list(values)


received: list[Any] = []


def simulate(x: Any) -> int:
    received.append(x)
    return len(received) - 1


def run(values: Any) -> None:
    received.clear()
    store = MemoryStore()
    call: dict[str, Any] = {
        "func": simulate, "version": "1", "store": store, "executor": "sync", "verbose": 0,
    }  # fmt: skip
    try:
        ds = swarmgrid.compute(axes={"x": values}, **call)
    except swarmgrid.InputError:
        assert received == []
        assert not store._store_dict, "something was written"
        return
    labels, numbers = ds["x"].values, ds["value"].values.astype(int).tolist()  # floats, of both
    if isinstance(values, Mapping):
        assert labels.tolist() == list(values)
        for number, value in zip(numbers, map(as_python, values.values()), strict=True):
            assert type(received[number]) is type(value)
            assert digest(received[number], "it") == digest(value, "it")
    else:
        expected_values = listed(values)
        assert all(map(is_exact, [received[n] for n in numbers], expected_values))
        shown = [v.name if isinstance(v, enum.Enum) else received[n]
                 for n, v in zip(numbers, expected_values, strict=True)]  # fmt: skip
        assert all(a == b for a, b in zip(labels, shown, strict=True))
    n = len(received)
    assert n == len(labels)
    np.testing.assert_array_equal(swarmgrid.compute(axes={"x": values}, **call)["x"], labels)
    assert len(received) == n
    opened = swarmgrid.open(axes=["x"], func=simulate, store=store, version="1")
    np.testing.assert_array_equal(opened["x"], labels)
    assert opened["value"].values.tolist() == numbers


@settings(max_examples=examples(150))
@given(one_kind | any_kinds | arrays | of_pandas | labels)
@example([Modulo(3)])
@example([Model("a")])
@example([Metres(0.5)])
@example(np.arange(2.0).view(Quantity))
@example({"a": Modulo(3), "b": 3})
@example([1, 2.5, -0.0])
def test_values_come_exactly_or_are_refused_before_anything_is_written(values: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy and pandas, as it is they that we ask
        run(values)


@pytest.mark.parametrize("kind", first(16, KINDS))
def test_values_of_every_kind_can_have_a_label(kind: str) -> None:
    kept: list[Any] = []

    @settings(max_examples=2, database=None)
    @given(KINDS[kind])
    def look(value: Any) -> None:
        kept.append(value)
        run({"label": value})

    look()
    assert kept


WAYS_OUT: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "more than an int": ([Modulo(3), Modulo(4)], lambda v: [int(x) for x in v]),
    "complex array": (np.array([1j, 2j]), lambda v: {str(x): x for x in v}),
    "periods": (pd.period_range("2000", periods=2, freq="Y"), lambda v: {str(x): x for x in v}),
    "an array with a unit": (np.arange(2.0).view(Quantity), np.asarray),
    "not a number": ([1.0, float("nan")], lambda v: {str(x): x for x in v}),
}


@pytest.mark.parametrize("case", WAYS_OUT)
def test_the_error_names_a_way_out_that_works(case: str) -> None:
    values, way_out = WAYS_OUT[case]
    with pytest.raises(swarmgrid.AxisError, match=r"[Gg]ive|[Pp]ass"):
        swarmgrid.compute(axes={"x": values}, func=simulate, store=MemoryStore())
    run(way_out(values))
