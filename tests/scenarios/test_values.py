"""Values come back bit by bit as they were returned, or the function's result is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from zarr.storage import MemoryStore, StorePath

import swarmgrid
from tests.long import examples

DTYPES = ["f2", "f4", "f8", "c8", "c16", "?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
DTYPES += [f">{dtype}" for dtype in DTYPES if dtype[-1] not in "?1"]
UNITS = ["W", "D", "h", "m", "s", "ms", "us", "ns"]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.text("a\0é", max_size=3)


def compute(func: Any, axes: Any, store: Any = None, **options: Any) -> xr.Dataset:
    store = MemoryStore() if store is None else store
    return swarmgrid.compute(axes=axes, func=func, store=store, executor="sync", **options)


@st.composite
def arrays(draw: st.DrawFn, shape: tuple[int, ...] | None = None) -> Any:
    """An array of any dtype that is stored, in any layout, with any bits."""
    sizes = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    sizes = (*shape, *sizes) if shape is not None else sizes
    kind = draw(st.sampled_from([*DTYPES, "text", "times", "spans"]))
    if kind == "text":
        array = draw(hnp.arrays(object, sizes, elements=texts))
        return array if array.size else array.astype(str)
    if kind in {"times", "spans"}:
        unit = draw(st.sampled_from(UNITS))
        whole = np.asarray(draw(hnp.arrays("i4", sizes)).astype("i8"))
        whole %= 10_000 if unit == "W" else 100_000  # within the years of 64 bits of nanoseconds
        array = whole.astype(f"{'M' if kind == 'times' else 'm'}8[{unit}]")
        array[draw(hnp.arrays(bool, sizes))] = "NaT"
    else:
        dtype = np.dtype(kind)
        raw = draw(hnp.arrays("u1", (*sizes, dtype.itemsize)))
        array = np.ascontiguousarray(raw % 2 if kind == "?" else raw).view(dtype)[..., 0]
    match draw(st.sampled_from(["as it is", "F", "reversed", "strided", "read-only"])):
        case "F":
            array = np.asfortranarray(array) if array.ndim else array
        case "reversed":
            array = array[::-1] if array.ndim else array
        case "strided":
            array = np.repeat(array, 2, -1)[..., ::2] if array.ndim else array
        case "read-only":
            array.flags.writeable = False
    return array


def bits(array: Any) -> Any:
    """What an array holds, to the bit, in the dtype that it is stored in."""
    array = np.asarray(array)
    if array.dtype.kind in "OU":
        return [str(item) for item in array.flat]
    if array.dtype.kind in "mM":
        return array.astype(f"{array.dtype.kind}8[ns]").tobytes()
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def as_stored(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind in "mM":
        return np.dtype(f"{dtype.kind}8[ns]")
    return np.dtype(object) if dtype.kind in "OU" else dtype.newbyteorder("=")


@settings(max_examples=examples(25))
@given(
    st.lists(arrays(), min_size=1, max_size=3),
    st.sampled_from(["array", "data array", "lazy", "element"]),
)
def test_a_value_of_a_point_comes_back_as_it_was_returned(found: list[Any], how: str) -> None:
    def func(x: int) -> dict[str, Any]:
        def made(array: Any) -> Any:
            rolled = np.roll(array, x) if array.dtype.kind != "O" and x else array
            if how == "data array":
                return xr.DataArray(rolled, dims=[f"d{n}" for n in range(array.ndim)])
            if how == "lazy" and rolled.dtype.kind in "fiucb":
                return xr.DataArray(rolled, dims=[f"d{n}" for n in range(array.ndim)]).chunk()
            return rolled[()] if how == "element" else rolled

        return {f"v{i}": made(array) for i, array in enumerate(found)}

    # dims of one name have one length
    found = found[:1] if how in {"data array", "lazy"} else found
    store = MemoryStore()
    compute(func, {"x": [1, 0]}, store, version="1", chunks=2)
    ds = compute(func, {"x": [0, 1, 2]}, store, version="1")
    for x in range(3):
        expected = func(x)
        for name, value in expected.items():
            value = value.values if isinstance(value, xr.DataArray) else np.asarray(value)  # noqa: PLW2901
            back = ds[name].values[x : x + 1]  # xarray makes numpy's own strings of single ones
            assert back.dtype == as_stored(value.dtype)
            assert back.shape == (1, *value.shape)
            assert bits(back) == bits(value)


@settings(max_examples=examples(15))
@given(st.data())
def test_a_value_of_a_block_comes_back_as_it_was_returned(data: st.DataObject) -> None:
    whole = data.draw(arrays((4, 3)))

    def func(x: Any, y: Any) -> Any:
        return whole[np.ix_(x.ravel(), y.ravel())]

    store = MemoryStore()
    options: dict[str, Any] = {"vectorized": True, "version": "1", "chunks": {"x": 2, "y": 2}}
    compute(func, {"x": [0, 2], "y": [1]}, store, **options)
    ds = compute(func, {"x": range(4), "y": range(3)}, store, **options)
    assert ds["value"].dtype == as_stored(whole.dtype)
    assert bits(ds["value"].values) == bits(whole)


scalars = st.one_of(
    st.integers(-(2**65), 2**65),
    st.sampled_from([2**53 + 1, 2**63, -(2**63), 2**64 - 1, 256, -1]),
    st.booleans(),
    st.floats(),
    st.sampled_from([-0.0, 0.1, 1e300, 65504.0, 70000.0, float("inf")]),
    st.complex_numbers(),
)


@settings(max_examples=examples(60))
@given(st.sampled_from(DTYPES), scalars, scalars, st.sampled_from([None, *DTYPES]))
def test_a_value_of_another_type_is_stored_exactly_or_refused(
    first_dtype: str, first: Any, second: Any, second_dtype: str | None
) -> None:
    with np.errstate(all="ignore"):
        try:
            one = np.array(first).astype(first_dtype)[()]
            two = second if second_dtype is None else np.array(second).astype(second_dtype)[()]
        except (OverflowError, TypeError, np.exceptions.ComplexWarning):
            return
    try:
        ds = compute(lambda x: two if x else one, {"x": [0, 1]}, version="1")
    except swarmgrid.OutputError as error:
        assert "safely cast" in str(error) or "too large" in str(error) or "64 bits" in str(error)  # noqa: PT017
        return
    plain = two.item() if isinstance(two, np.generic) else two
    back = ds["value"].values[1].item()
    assert back == plain or (back != back and plain != plain)  # NaN
    assert isinstance(back, bool) == isinstance(plain, bool)


@settings(max_examples=examples(15))
@given(labels=st.lists(texts, min_size=1, max_size=6, unique=True), vectorized=st.booleans())
@example(labels=["a\0", "a", "\0"], vectorized=True)
def test_text_comes_back_whole_wherever_it_stands(labels: list[str], vectorized: bool) -> None:
    """As an axis' value, a coordinate, a result of its own, an element."""
    seen: list[str] = []

    def func(s: Any) -> xr.Dataset:
        seen.extend([s] if isinstance(s, str) else s.tolist())
        dims = ("s",) if vectorized else ()
        same = np.array(s, object) if isinstance(s, str) else s.astype(object)
        return xr.Dataset({"text": (dims, same)}, {"labels": ("t", np.array(labels, object))})

    store = MemoryStore()
    options: dict[str, Any] = {"version": "1", "vectorized": vectorized, "chunks": 3}
    options["ignore"] = ["seen"]
    compute(func, {"s": labels[:1]}, store, **options)
    ds = compute(func, {"s": labels}, store, **options)
    assert seen == labels
    for name in ("s", "labels", "text"):
        assert ds[name].values.tolist() == labels
    for label in labels:
        if label.endswith("\0"):  # `sel` makes numpy's own strings of what it is given
            continue
        assert ds["text"].sel(s=label).item() == label


@pytest.mark.parametrize("text", ["a\0", "\0", "\0a\0\0", "", "😀", "e\u0301"])
@pytest.mark.parametrize("as_type", [str, np.str_])
def test_a_text_alone_comes_back_whole(text: str, as_type: Any) -> None:
    store = MemoryStore()
    ds = compute(lambda x: as_type(text * x), {"x": [1, 2]}, store, version="1")
    assert ds["value"].values.tolist() == [text, text * 2]
    array = xr.open_zarr(StorePath(store, _group(store)))["value"]
    assert [str(item) for item in array.values.tolist()] == [text, text * 2]


def _group(store: MemoryStore) -> str:
    (key,) = [k for k in store._store_dict if k.endswith("value/zarr.json")]
    return key.removesuffix("/value/zarr.json")


def test_payloads_of_nan_and_the_sign_of_zero_are_kept() -> None:
    nans = [np.array([0x7FF8000000000000 + i], "u8").view("f8")[0] for i in range(3)]
    for make in (float, np.float64, np.array):
        ds = compute(lambda x, f=make: f([*nans, -0.0][x]), {"x": range(4)}, version="1")
        assert bits(ds["value"].values) == bits(np.array([*nans, -0.0]))


REFUSED: dict[str, tuple[Any, str]] = {
    "a month": (np.timedelta64(1, "M"), "spans of calendar months, .* use days, or the number"),
    "years": (np.array([1], "m8[Y]"), "spans of calendar years"),
    "no unit": (np.array([5]).view("m8"), "spans of time without a unit"),
    "bytes": (np.array([b"a"]), r"dtype \|S1 cannot be stored.*np\.char\.decode"),
    "a record": (
        np.zeros(2, [("a", "i4"), ("b", "f8")]),
        r"Return its fields .*\{'a': array\['a'\]",
    ),
    "long floats": (np.zeros(2, np.longdouble), r"\.astype\('float64'\)"),
    "long complex": (np.clongdouble(1), r"\.astype\('complex128'\)"),
    "a large int": (2**64, r"holds int objects \(integers beyond 64 bits\)"),
    "a time zone": (pd.Timestamp("2020", tz="UTC"), "with a time zone"),
    "times with a zone": (pd.date_range("2020", periods=2, tz="UTC"), "holds Timestamp objects"),
    "a period": (pd.period_range("2020", periods=2), "holds Period objects"),
    "missing": (pd.array([1, None], dtype="Int64"), "has masked values"),
    "levels": (
        xr.Dataset({"a": ("t", [1.0, 2.0])})
        .assign_coords({"u": ("t", [0, 1]), "v": ("t", [2, 3])})
        .set_index(t=["u", "v"]),
        r"coordinate 't' holds tuple objects \(of a MultiIndex: \.reset_index",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("where", ["alone", "in a dict"])
def test_what_cannot_be_stored_says_what_to_return_instead(case: str, where: str) -> None:
    value, message = REFUSED[case]
    if isinstance(value, xr.Dataset):
        where = "alone"
    store = MemoryStore()
    with pytest.raises(swarmgrid.OutputError, match=message):
        compute(
            lambda x: value if where == "alone" else {"a": value}, {"x": [1]}, store, version="1"
        )
    assert not [key for key in store._store_dict if key.startswith("data.zarr")]


TAKEN: dict[str, tuple[Any, Any]] = {
    "a timestamp": (pd.Timestamp("2020-01-01 00:00:00.000000001"), 1577836800000000001),
    "a span": (pd.Timedelta(1, "ns"), 1),
    "nothing": (pd.NaT, np.iinfo("i8").min),
    "a month's first": (np.datetime64("2020-02"), 1580515200000000000),
    "a year's first": (np.array("2020", "M8[Y]"), 1577836800000000000),
}


@pytest.mark.parametrize("case", TAKEN)
def test_a_time_is_stored_in_nanoseconds(case: str) -> None:
    value, nanoseconds = TAKEN[case]
    ds = compute(lambda x: value, {"x": [1]}, version="1")
    assert ds["value"].values.view("i8").tolist() == [nanoseconds]


def test_categories_are_stored_as_their_values() -> None:
    ds = compute(lambda x: pd.Categorical(["b", "a", "b"]), {"x": [1]}, version="1")
    assert ds["value"].values.tolist() == [["b", "a", "b"]]


def test_a_long_float_is_refused_at_every_point() -> None:
    store = MemoryStore()
    compute(lambda x: 1.0, {"x": [0]}, store, version="1")
    with pytest.raises(swarmgrid.OutputError, match="cannot be stored"):
        compute(lambda x: np.longdouble(0.5), {"x": [1]}, store, version="1")


def test_a_span_of_months_is_no_declared_dtype_and_no_axis() -> None:
    with pytest.raises(swarmgrid.InputError, match="calendar months"):
        swarmgrid.Output(dtype="m8[M]")
    with pytest.raises(swarmgrid.AxisError, match="calendar months"):
        compute(lambda x: 1.0, {"x": np.array([1, 2], "m8[M]")})
