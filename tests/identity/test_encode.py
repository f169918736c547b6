"""Which values are equal to the digest, which differ, and which are refused."""

# ruff: noqa: DTZ001 - naive datetimes are part of what is tested

from __future__ import annotations

import configparser
import contextlib
import dataclasses
import enum
import functools
import io
import itertools
import json
import math
import operator
import os
import random
import re
import subprocess
import sys
import uuid
import warnings
import weakref
from argparse import Namespace
from array import array
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType, SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.errors import IdentityError
from swarmgrid.identity import digest

ROOT = Path(__file__).parents[2]


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Flavour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Model:
    rate: Any
    field: Any = None


@dataclasses.dataclass
class OtherModel:
    rate: Any
    field: Any = None


@dataclasses.dataclass
class CallableModel:
    rate: Any

    def __call__(self, x: float) -> float:
        return self.rate * x


class Token:
    def __init__(self, token: Any) -> None:
        self.token = token

    def __swarmgrid_token__(self) -> Any:
        return self.token


class OtherToken(Token):
    pass


class SubclassOfInt(int):
    pass


class SubclassOfDict(dict):  # type: ignore[type-arg]
    pass


class SubclassOfArray(np.ndarray):  # type: ignore[type-arg]
    unit = ""

    @classmethod
    def of(cls, values: list[float], unit: str = "") -> SubclassOfArray:
        made = np.array(values).view(cls)
        made.unit = unit
        return made


def config(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_string(f"[a]\n{text}")
    return parser


Pair = namedtuple("Pair", ["a", "b"])  # noqa: PYI024 - the untyped kind is what is tested
ReversedPair = namedtuple("ReversedPair", ["b", "a"])  # noqa: PYI024 - the same

BIG = np.arange(2000.0)
EDITED = np.where(BIG == 1000, -1.0, BIG)
STRUCT = np.array([(1, 2.5), (3, 4.5)], dtype=[("n", "i4"), ("x", "f8")])
PADDED = STRUCT.astype(np.dtype([("n", "i4"), ("x", "f8")], align=True))
FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=pd.Index([5, 6], name="i"))
GRID = xr.DataArray(
    np.ones((2, 3)), dims=("x", "y"), coords={"x": [1, 2]}, name="g", attrs={"unit": "m"}
)
BERLIN, PARIS = ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/Paris")


def nan(sign: int) -> float:
    return math.copysign(math.nan, sign)


EQUAL = [
    pytest.param(nan(1), nan(-1), id="every NaN is the same"),
    pytest.param(np.array([nan(1)]), np.array([nan(-1)]), id="in arrays too"),
    pytest.param(np.array([nan(1) + 1j]), np.array([nan(-1) + 1j]), id="in complex arrays too"),
    pytest.param(defaultdict(int, a=1), defaultdict(int, {"a": 1}), id="defaultdicts"),
    pytest.param(CallableModel(object()), CallableModel(object()), id="marks by their place"),
    pytest.param({1, 2, 3}, {3, 2, 1}, id="sets by their elements"),
    pytest.param({len, max}, {max, len}, id="sets of functions have an order too"),
    pytest.param(Path("a/b"), type(Path())("a", "b"), id="paths by their text"),
    pytest.param(np.arange(10)[::2], np.array([0, 2, 4, 6, 8]), id="steps in memory are storage"),
    pytest.param(np.array("a", object), np.array("a", object), id="objects by value"),
    pytest.param(np.array([1.0], np.longdouble), np.array([1.0], np.longdouble), id="no padding"),
    pytest.param(np.longdouble(0.5), np.longdouble("0.5"), id="long doubles by value"),
    pytest.param(FRAME, FRAME.copy(), id="frames by content"),
    pytest.param(GRID, GRID.copy(deep=True), id="xarray objects by content"),
    pytest.param(
        pd.Categorical(["a"], categories=["a", "b"]),
        pd.Categorical.from_codes(np.array([0], np.int16), categories=["a", "b"]),
        id="the width of codes is storage",
    ),
    pytest.param(Token([1]), Token([1]), id="a token by its value"),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_values_that_mean_the_same_have_equal_digests(one: Any, other: Any) -> None:
    assert digest(one) == digest(other)
    assert digest({"k": [one]}) == digest({"k": [other]})


ALIKE = [
    pytest.param(np.float64(0), 0.0, lambda v: 1 / v, id="a numpy float divides by zero"),
    pytest.param(np.int64(2**62), 2**62, lambda v: v * 4, id="a numpy integer overflows"),
    pytest.param(np.True_, True, lambda v: ~v, id="a numpy bool has bits of its own"),
    pytest.param(np.complex128(0), 0j, lambda v: 1 / v, id="a numpy complex divides, too"),
    pytest.param(np.str_("a"), "a", type, id="a numpy string is of another class"),
    pytest.param(np.bytes_(b"a"), b"a", type, id="numpy bytes are"),
    pytest.param(b"ab", bytearray(b"ab"), hash, id="a bytearray changes"),
    pytest.param(b"ab", memoryview(b"ab"), lambda v: v + b"c", id="a view does not add"),
    pytest.param(range(0, 3, 2), range(0, 4, 2), lambda v: v.stop, id="ranges have ends"),
    pytest.param({1}, frozenset({1}), hash, id="a set changes"),
    pytest.param(
        Path("a/b"), PurePosixPath("a/b"), lambda v: v.exists(), id="a pure path has no file"
    ),
    pytest.param(
        PureWindowsPath("a\\b"), PurePosixPath("a/b"), str, id="each system has its paths"
    ),
    pytest.param(BIG.astype(">f8"), BIG, lambda v: v.tobytes(), id="bytes have an order"),
    pytest.param(
        np.asfortranarray(np.eye(3, 4)), np.eye(3, 4), lambda v: v.ravel("K"), id="so have axes"
    ),
    pytest.param(PADDED, STRUCT, lambda v: v.itemsize, id="padding shows"),
    pytest.param(
        np.ma.array([1, 2], mask=[False, True]),
        np.ma.array([1, 3], mask=[False, True]),
        np.asarray,
        id="what is masked is still there",
    ),
    pytest.param(
        np.datetime64("2020-01-01"), np.datetime64("2020-01-01", "s"), lambda v: v + 1, id="a unit"
    ),
    pytest.param(np.datetime64("2020", "us"), datetime(2020, 1, 1), lambda v: v + 1, id="a time"),
    pytest.param(np.timedelta64(2, "h"), np.timedelta64(120, "m"), lambda v: v + 1, id="a span"),
    pytest.param(np.timedelta64(1, "Y"), np.timedelta64(12, "M"), str, id="calendar months"),
    pytest.param(np.datetime64("NaT", "s"), np.timedelta64("NaT", "s"), type, id="kinds of NaT"),
    pytest.param(pd.NaT, np.datetime64("NaT", "ns"), type, id="pandas' own NaT"),
    pytest.param(pd.Timestamp("2020"), datetime(2020, 1, 1), lambda v: v.value, id="a Timestamp"),
    pytest.param(
        pd.Timestamp("2020").as_unit("s"),
        pd.Timestamp("2020").as_unit("ns"),
        lambda v: v.unit,
        id="a Timestamp's unit",
    ),
    pytest.param(pd.Timedelta(1), timedelta(0), lambda v: v.value, id="a Timedelta"),
    pytest.param(pd.RangeIndex(3), pd.Index([0, 1, 2]), type, id="kinds of an index"),
    pytest.param(
        pd.date_range("2020", periods=3),
        pd.DatetimeIndex(pd.date_range("2020", periods=3).to_numpy()),
        lambda v: v.shift(),
        id="an index with a step",
    ),
    pytest.param(
        Namespace(a=1, b=2), Namespace(b=2, a=1), lambda v: list(vars(v)), id="attributes in order"
    ),
]


@pytest.mark.parametrize(("one", "other", "use"), ALIKE)
def test_values_that_a_function_can_tell_apart_have_digests_of_their_own(
    one: Any, other: Any, use: Callable[[Any], Any]
) -> None:
    def used(value: Any) -> str:
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                return repr(use(value))
        except Exception as error:  # noqa: BLE001  # whatever tells them apart
            return repr(error)

    assert used(one) != used(other)
    assert digest(one) != digest(other)
    assert digest({"k": [one]}) != digest({"k": [other]})


@given(st.sampled_from("?bhilBHILefdFD"), st.integers(0, 3))
def test_a_numpy_scalar_is_no_python_number(code: str, number: int) -> None:
    scalar = np.dtype(code).type(number)
    assert digest(scalar) != digest(scalar.item())
    assert digest(scalar) == digest(np.dtype(code).type(number)) != digest(np.asarray(scalar))


@given(st.permutations(range(3)), st.permutations(range(3)), st.booleans())
def test_arrays_are_told_apart_by_the_order_of_their_axes_in_memory(
    one: list[int], other: list[int], is_cut: bool
) -> None:
    values = np.arange(24).reshape(2, 3, 4)

    def laid_out(order: list[int]) -> Any:
        array = values.transpose(order).copy().transpose(np.argsort(order))
        return array[..., ::2] if is_cut else array

    first, second = laid_out(one), laid_out(other)
    assert np.array_equal(first, second)
    assert (digest(first) == digest(second)) == (one == other)


def masked_structs(*masks: bool) -> Any:
    return np.ma.array(STRUCT, mask=[masks, (False, False)])


# Every value in this list differs from every other one.
DISTINCT: list[Any] = [
    *(1, 1.0, True, "1", b"1", 1 + 0j, Decimal(1), Fraction(1), None, Ellipsis, NotImplemented),
    *(0.0, -0.0, 0, False, "", b"", (), [], {}, set(), math.inf, -math.inf, math.nan),
    *(-1, 127, 128, 255, 256, -128, -129, 2**64, -(2**64), 10**40),
    *(Decimal("1.0"), Decimal("1.00"), Decimal("NaN"), Decimal("-0"), Fraction(1, 3)),
    *("ä", "a\u0308", "\udc80", "None", "a"),
    *(range(3), range(4), range(0), range(0, 6, 2), slice(3), slice(0, 3), slice(0, 3, 1)),
    *(
        uuid.UUID(int=1),
        uuid.UUID(int=2),
        re.compile("a"),
        re.compile("a", re.IGNORECASE),
        re.compile(b"a"),
    ),
    *([1], (1,), {1}, deque([1]), deque([1], maxlen=3), {1: 1}, [[1]], [1, 1]),
    *(["ab", "c"], ["a", "bc"], ["abc"], ["a", "b", "c"], [["a"], "b"], ["a", ["b"]]),
    *({"a": 1, "b": 2}, {"a:1,b": 2}, {"a": 2, "b": 1}, [("a", 1), ("b", 2)]),
    *({"1": 1}, {1.0: 1}, {None: 1}, {(1, 2): 1}, {"b": 1, "a": 2}, OrderedDict(a=1)),
    *(defaultdict(int, a=1), defaultdict(list, a=1), Counter("a"), MappingProxyType({"a": 1})),
    *(np.float32(1), np.float16(1), np.int8(1), np.uint64(1), np.complex64(1)),
    *(Namespace(a=1), SimpleNamespace(a=1), Namespace(a=2), Namespace(b=1), object()),
    *(SubclassOfInt(1), SubclassOfInt(2), SubclassOfDict(a=1), SubclassOfDict(a=2)),
    *(SubclassOfArray.of([1.0], "m"), SubclassOfArray.of([1.0], "s"), SubclassOfArray.of([2.0])),
    *(array("d", [1]), array("f", [1]), array("d", [2]), ChainMap({"a": 1}), ChainMap({"a": 2})),
    *(random.Random(0), random.Random(1), np.random.default_rng(0), np.random.default_rng(1)),
    *(np.random.RandomState(0), np.random.RandomState(1), np.random, random),
    *(config("a=1"), config("a=2"), weakref.ref(str), np.frompyfunc(abs, 1, 1)),
    *(np.frompyfunc(lambda x: x, 1, 1), np.frompyfunc(lambda x: -x, 1, 1), np.add),
    *(functools.singledispatch(lambda x: x), functools.singledispatch(lambda x: -x)),
    *(functools.partialmethod(pow, 2), functools.partialmethod(pow, 3), iter([1]), iter([2])),
    *(Path("a"), Path("a/b"), Path("/a")),
    *(Colour.RED, Colour.BLUE, Flavour.RED),
    *(Model(1), OtherModel(1), Model(1.0), Model(1, 2), CallableModel(1), CallableModel(2)),
    *(Pair(1, 2), ReversedPair(1, 2), Pair(2, 1), (1, 2)),
    *(Token(1), OtherToken(1), Token("1")),
    *(date(2020, 1, 1), datetime(2020, 1, 1), datetime(2020, 1, 1, fold=0, microsecond=1)),
    datetime(2020, 1, 1, tzinfo=timezone.utc),  # noqa: UP017 - told from its neighbour by eye
    datetime(2020, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    *(datetime(2020, 1, 1, 1, tzinfo=BERLIN), datetime(2020, 1, 1, 1, tzinfo=PARIS)),
    *(time(1), time(1, fold=1), time(1, tzinfo=timezone.utc), time(0, 1)),  # noqa: UP017 - as above
    *(timedelta(1), timedelta(0), np.timedelta64(1, "M"), pd.NaT, pd.NA),
    np.datetime64(1, "as"),
    np.datetime64("9999999", "Y"),
    *(BIG, EDITED, BIG.astype("f4"), BIG.reshape(2, -1), BIG.tolist(), BIG.astype("i8")),
    *(np.array(1), np.array([1]), np.array([[1]]), np.array([], "f8"), np.array([], "i8")),
    *(np.zeros((0, 3)), np.zeros((3, 0)), np.array([0.0]), np.array([-0.0]), np.array([np.nan])),
    *(np.array(["a"]), np.array(["a"], object), np.array(["a"], np.dtypes.StringDType())),
    *(np.array([""]), np.array(["a", None], object), np.array([[1], [2]], object)),
    *(np.array(["2020"], "M8[D]"), np.array(["2020"], "M8[s]"), np.array([1], "m8[s]")),
    *(STRUCT, STRUCT[["n"]], STRUCT[:1], masked_structs(True, False), masked_structs(False, True)),
    *(np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[0, 0]), np.ma.masked),
    *(np.longdouble(1) / 3, np.clongdouble(1) / 3, np.array([1], np.longdouble)),
    *(np.dtype("f8"), np.dtype("f4"), np.dtype(">f8"), np.float64, STRUCT.dtype, PADDED.dtype),
    np.dtype(("f8", (2,))),
    *(pd.Series([1, 2]), pd.Series([1, 2], name="a"), pd.Series([1, 2], index=[1, 2])),
    *(
        pd.Series([1.0, 2.0]),
        pd.Series([1, 2], dtype="Int64"),
        pd.Series([1, None], dtype="Int64"),
    ),
    *(FRAME, FRAME.rename(columns={"a": "c"}), FRAME[["b", "a"]], FRAME.set_axis([5, 7])),
    *(pd.Index([0, 1]), pd.Index([0, 1], name="a"), pd.MultiIndex.from_tuples([(0, 1)])),
    *(
        pd.Categorical(["a"]),
        pd.Categorical(["a"], ordered=True),
        pd.Categorical(["a"], ["a", "b"]),
    ),
    *(pd.date_range("2020", periods=2), pd.date_range("2020", periods=2, tz="UTC")),
    *(
        pd.Period("2020", "Y"),
        pd.Period("2020", "M"),
        pd.Interval(0, 1),
        pd.Interval(0, 1, "both"),
    ),
    *(GRID, GRID.rename("h"), GRID.drop_vars("x"), GRID.assign_attrs(unit="cm"), GRID.variable),
    *(GRID.rename(x="z"), GRID + 1, GRID.to_dataset(), GRID.to_dataset().set_coords("g")),
    *(len, max, math.sin, np.sin, np.cos, np.mean, np.random.default_rng, str.upper, "a".upper),
    *("b".upper, [].append, (3).__add__, (4).__add__, math, sys, int, str, list[int], list[str]),
    *(operator.itemgetter(1), operator.itemgetter(2), np.vectorize(abs), np.vectorize(len)),
    *(functools.partial(pow, 2), functools.partial(pow, 3), functools.partial(pow, mod=3)),
    *(functools.lru_cache(len), functools.lru_cache(abs), np.polynomial.Polynomial),
    *(lambda x: x, lambda x: x + 1, lambda y: y),
]


def test_values_that_differ_have_different_digests() -> None:
    seen: dict[str, Any] = {}
    for value in DISTINCT:
        other = seen.setdefault(digest(value), value)
        assert other is value, f"{value!r} and {other!r} share a digest"


def cyclic() -> list[Any]:
    value: list[Any] = [1]
    value.append({"again": value})
    return value


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    return value


HOLE = (x for x in "ab")
SILENT = Path(os.devnull).open()  # noqa: SIM115 - an open file is what is tested


class Unnamed:
    pass


UNNAMED = repr(Unnamed())


REFUSED = [
    pytest.param(HOLE, "", "generator", id="a generator"),
    pytest.param(SILENT, "", "TextIOWrapper", id="a file"),
    pytest.param(itertools.count(), "", "iterator", id="an iterator"),
    pytest.param(Namespace(a=UNNAMED), ".a", "address", id="an address in memory"),
    pytest.param(Token(Namespace(a=[HOLE])), ".__swarmgrid_token__().a[0]", "gen", id="deep"),
    pytest.param(deep(), "[0]" * 150, "nested more than", id="a tower of lists"),
    pytest.param(cyclic(), "[1]['again']", "contains itself", id="a circle"),
    pytest.param([0, 1, 2, Model(HOLE)], "[3].rate", "generator", id="a field of a dataclass"),
    pytest.param({"a": {2: HOLE}}, "['a'][2]", "generator", id="a value in a mapping"),
    pytest.param({"a": {HOLE: 2}}, "['a'] (key)", "generator", id="a key in a mapping"),
    pytest.param({(1, 2): HOLE}, "[...]", "generator", id="below a key that is long to write"),
    pytest.param({"{x}": CallableModel(HOLE)}, "['{x}'].rate", "generator", id="in braces"),
    pytest.param({HOLE}, "", "generator", id="an element of a set"),
    pytest.param(Pair(1, HOLE), ".b", "generator", id="a field of a named tuple"),
    pytest.param(np.array([0, HOLE], object), "[1]", "generator", id="an array's element"),
    pytest.param(pd.Series([HOLE]), ".values[0]", "generator", id="a Series' element"),
    pytest.param(
        GRID.assign_attrs(k=HOLE), ".attrs['k']", "generator", id="an attribute of a DataArray"
    ),
    pytest.param(Token(HOLE), ".__swarmgrid_token__()", "generator", id="in a token"),
    pytest.param(functools.partial(len, HOLE), ".args[0]", "generator", id="in a partial"),
    pytest.param(HOLE.send, ".__self__", "generator", id="a method with hidden state"),
]


@pytest.mark.parametrize(("value", "step", "reason"), REFUSED)
def test_what_is_not_understood_is_refused_with_its_place(
    value: Any, step: str, reason: str
) -> None:
    with pytest.raises(IdentityError) as caught:
        digest(value, "params['model']")
    assert caught.value.place == f"params['model']{step}"
    assert reason in caught.value.reason


def test_a_value_met_twice_is_no_circle() -> None:
    part = [1]
    assert digest([part, part]) == digest([[1], [1]])


def test_which_function_stands_where_counts() -> None:
    def made(k: int) -> Any:
        return lambda: k

    one, two = made(1), made(2)
    assert digest({one}) != digest({two})
    assert digest({one: 1}) != digest({two: 1})
    assert len({digest([one, two, one]), digest([one, two, two]), digest([two, one, one])}) == 3


# Pinned: a digest that changes makes every stored result unfindable.
PINNED = {
    "none": (None, "7d44954c3ca6baf6cea49ce2713f8cdc"),
    "int": (12345, "ccf3cb3db14b16f9494c04283f75c516"),
    "float": (0.1, "e11d09f4e30c4a428cd3c356df5a5202"),
    "text": ("grün", "2e2d65f1e08fea517beb1b74ca674c61"),
    "nested": (
        {"b": [1, 2.5, None, True], "a": ("x", b"y", {3, 4})},
        "a763645b82795a1059f03efc9857b6ea",
    ),
    "array": (np.arange(6, dtype="i4").reshape(2, 3), "e113ead0ba425a91e72abfe7f4fd96f8"),
    "strings": (np.array(["a", "bc"]), "f9c66c9a3db907a60909472c926508b5"),
    "instant": (datetime(2020, 2, 29, 12, 30), "6a149c7e308d67ac543b796f03a4844e"),
    "aware": (datetime(2020, 2, 29, 12, 30, tzinfo=BERLIN), "d12acdc7f5ddaaf63ef1b5bdd15fefc1"),
    "frame": (pd.DataFrame({"a": [1.5, 2.5]}), "4ad9dc38b531f0708573d877db7da7f2"),
    "grid": (GRID, "67f5e4043459683cd0dc6c4d9b2d2134"),
    "library function": (np.sin, "f868395bf6f91ecc2d402357ed8378a2"),
    "function": (lambda x, k=2: f"{x!r:>{k}} {f'{x}'}tail", "8efa08710af0db40c641056b5ebdf0b9"),
}


@pytest.mark.parametrize("name", PINNED)
def test_digests_are_pinned(name: str) -> None:
    value, expected = PINNED[name]
    assert digest(value) == expected


def test_pandas_and_xarray_are_not_imported() -> None:
    program = "import sys, swarmgrid.identity; print({'pandas', 'xarray'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


PROGRAM = """
import json
from tests.identity.test_encode import PINNED
from swarmgrid.identity import digest
names = [f"name{i}" for i in range(50)]
print(json.dumps([digest(set(names)), digest(dict.fromkeys(names, {1, "a", None})),
                  *(digest(value) for value, _ in PINNED.values())]))
"""


@pytest.mark.long
def test_digests_do_not_depend_on_the_process() -> None:
    own = io.StringIO()
    with contextlib.redirect_stdout(own):
        exec(PROGRAM, {})
    seed = "1" if os.environ.get("PYTHONHASHSEED") == "0" else "0"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == json.loads(own.getvalue())
    assert json.loads(done.stdout)[2:] == [expected for _, expected in PINNED.values()]


atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=4),
    st.binary(max_size=4),
)
values = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.frozensets(atoms, max_size=3),
    ),
    max_leaves=8,
)


def spelled(value: Any) -> str:
    """A text that two values share only if they are the same in type and content."""
    if isinstance(value, dict):
        items = [f"{spelled(key)}: {spelled(item)}" for key, item in value.items()]
        return f"dict({len(items)}, {items!r})"
    if isinstance(value, frozenset):
        return f"set({sorted(map(spelled, value))!r})"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({[spelled(item) for item in value]!r})"
    return f"{type(value).__name__}({value!r})"


@given(values, values)
def test_digests_are_equal_exactly_when_the_values_are(one: Any, other: Any) -> None:
    assert (digest(one) == digest(other)) == (spelled(one) == spelled(other))


@given(st.dictionaries(st.text(max_size=3), values, max_size=6), st.randoms())
def test_the_order_of_insertion_counts(value: dict[str, Any], chance: Any) -> None:
    items = list(value.items())
    chance.shuffle(items)
    is_same = list(dict(items)) == list(value)
    assert (digest(dict(items)) == digest(value)) == is_same


@given(st.lists(st.integers(-9, 9), min_size=1), st.integers(1, 3))
def test_the_steps_of_an_array_do_not_count(items: list[int], stride: int) -> None:
    padded = np.repeat(np.array(items), stride)[::stride]
    assert digest(padded) == digest(np.array(items))
