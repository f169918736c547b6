"""What functions may return, and how it comes back."""

from __future__ import annotations

import dataclasses
import enum
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import swarmgrid
from tests.long import first


@dataclasses.dataclass
class Pair:
    low: float
    high: float


class Named(NamedTuple):
    low: float
    high: float


def compute(store: Any, func: Any, axes: dict[str, Any], **options: Any) -> xr.Dataset:
    return swarmgrid.compute(axes=axes, func=func, store=store, executor="sync", **options)


@pytest.mark.parametrize(
    ("func", "dtype", "expected"),
    [
        pytest.param(lambda x: x / 2, "float64", [0.0, 0.5, 1.0], id="float"),
        pytest.param(lambda x: x, "int64", [0, 1, 2], id="int"),
        pytest.param(lambda x: x > 0, "bool", [False, True, True], id="bool"),
        pytest.param(lambda x: x + 1j, "complex128", [1j, 1 + 1j, 2 + 1j], id="complex"),
        pytest.param(lambda x: "ab" * x, "object", ["", "ab", "abab"], id="str"),
        pytest.param(lambda x: np.float32(x) / 2, "float32", [0, 0.5, 1], id="float32"),
        pytest.param(lambda x: np.uint8(x + 0), "uint8", [0, 1, 2], id="uint8"),
        pytest.param(lambda x: np.float16(x + 0), "float16", [0, 1, 2], id="float16"),
        pytest.param(
            lambda x: np.datetime64("2020-01-01") + np.timedelta64(x, "D"),
            "datetime64[ns]",
            np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "M8[ns]"),
            id="datetime64",
        ),
        pytest.param(
            lambda x: np.timedelta64(x, "s"),
            "timedelta64[ns]",
            np.array([0, 1, 2], "m8[s]").astype("m8[ns]"),
            id="timedelta64",
        ),
        pytest.param(
            lambda x: pd.Timestamp(2020, 1, 1 + x),
            "datetime64[ns]",
            np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "M8[ns]"),
            id="pandas timestamp",
        ),
        pytest.param(lambda x: np.array([x, -x]), "int64", [[0, 0], [1, -1], [2, -2]], id="array"),
        pytest.param(
            lambda x: np.array(["a", "b" * x]),
            "object",
            [["a", ""], ["a", "b"], ["a", "bb"]],
            id="array of strings",
        ),
        pytest.param(lambda x: np.zeros((2, 0)), "float64", np.zeros((3, 2, 0)), id="empty array"),
        pytest.param(lambda x: np.array(x + 0), "int64", [0, 1, 2], id="0-d array"),
    ],
)
def test_values_come_back_with_their_dtype(
    tmp_path: Any, func: Any, dtype: str, expected: Any
) -> None:
    compute(tmp_path, func, {"x": range(3)})
    value = compute(tmp_path, func, {"x": range(3)})["value"]
    assert value.dtype == dtype
    np.testing.assert_array_equal(value.values, np.asarray(expected, value.dtype))


@pytest.mark.parametrize(
    "make", [dict, Pair, Named, lambda low, high: xr.Dataset({"low": low, "high": high})]
)
def test_containers_give_a_variable_each(tmp_path: Any, make: Any) -> None:
    ds = compute(tmp_path, lambda x: make(low=x, high=x * 2.0), {"x": range(3)})
    np.testing.assert_array_equal(ds["low"], [0, 1, 2])
    np.testing.assert_array_equal(ds["high"], [0, 2, 4])


def wave(x: float) -> xr.DataArray:
    t = np.linspace(0, 1, 4)
    coords = {"t": ("t", t, {"units": "s"}), "label": ("t", list("abcd"))}
    return xr.DataArray(x * t, dims="t", coords=coords, name="wave", attrs={"units": "m"})


def test_data_arrays_keep_name_dims_coords_and_attrs(tmp_path: Any) -> None:
    compute(tmp_path, wave, {"x": [1.0, 2.0]})
    found = compute(tmp_path, wave, {"x": [2.0]})["wave"]
    xr.testing.assert_identical(found.isel(x=0, drop=True), wave(2.0))


def test_datasets_keep_dims_and_coords(tmp_path: Any) -> None:
    def both(x: float) -> xr.Dataset:
        return xr.Dataset({"wave": wave(x), "peak": float(wave(x).max())})

    ds = compute(tmp_path, both, {"x": [1.0, 2.0]})
    np.testing.assert_array_equal(ds["peak"], [1.0, 2.0])
    xr.testing.assert_identical(ds["wave"].sel(x=2.0, drop=True), wave(2.0))


def level(x: float) -> xr.Dataset:
    """What a selection leaves: coordinates without dims, one of them named as the axis is."""
    when = np.datetime64("2020-01-01", "ns")
    coords = {
        "t": [0, 1],
        "x": x,
        "height": ((), 2.5, {"units": "m"}),
        "when": when,
        "site": "Zürich",
    }
    return xr.Dataset({"power": ("t", [x, 2.0])}, coords, {"title": "levels", "n": 3})


@pytest.mark.parametrize("how", ["first point", "declared", "block"])
def test_scalar_coordinates_and_attributes_of_a_dataset_are_kept(tmp_path: Any, how: str) -> None:
    def func(x: Any) -> xr.Dataset:
        if how == "first point":
            return level(x)
        if how == "block":
            parts = [level(value).drop_vars("x") for value in x]
            return xr.concat(parts, "x", data_vars="all", coords="minimal", compat="equals")
        return level(x).drop_attrs()

    options = {"outputs": level(0.0)} if how == "declared" else {"vectorized": how == "block"}
    compute(tmp_path, func, {"x": [1.0, 2.0]}, **options)
    found = compute(tmp_path, func, {"x": [2.0, 1.0, 3.0]}, **options)
    raw = xr.open_zarr(found.encoding["source"])
    for ds in (found, raw):
        point = ds.sel(x=2.0)
        point.attrs = {k: v for k, v in ds.attrs.items() if not k.startswith("swarmgrid_")}
        for coord in point.coords.values():
            coord.attrs = {k: v for k, v in coord.attrs.items() if not k.startswith("swarmgrid_")}
        xr.testing.assert_identical(point, level(2.0))


def test_attributes_of_a_dataset_do_not_replace_those_of_the_grid(tmp_path: Any) -> None:
    attrs = {"swarmgrid_params": "mine", "coordinates": "mine", "title": "mine"}
    ds = compute(tmp_path, lambda x: xr.Dataset({"a": x * 1.0}, attrs=attrs), {"x": [1]})
    assert (ds.attrs["swarmgrid_params"], ds.attrs["title"]) == ("{}", "mine")
    assert "coordinates" not in ds.attrs


def test_a_coordinate_beside_an_output_of_its_name_is_that_output(tmp_path: Any) -> None:
    ds = compute(tmp_path, lambda x: level(x)["height"] * x, {"x": [1.0, 2.0]})
    assert ds["height"].values.tolist() == [2.5, 5.0]


def test_a_dict_may_mix_arrays_and_data_arrays(tmp_path: Any) -> None:
    ds = compute(tmp_path, lambda x: {"w": wave(x), "n": np.arange(2)}, {"x": [1.0]})
    assert ds["w"].dims == ("x", "t")
    assert ds["n"].dims == ("x", "n_dim_0")


def test_declared_outputs_name_dims_and_fix_dtypes(tmp_path: Any) -> None:
    outputs = {
        "trace": swarmgrid.Output(dims=("t",), shape=(3,), dtype="f8"),
        "n": swarmgrid.Output(dtype="f8"),
    }
    ds = compute(tmp_path, lambda x: {"trace": np.arange(3), "n": x}, {"x": [1]}, outputs=outputs)
    assert ds["trace"].dims == ("x", "t")
    assert (ds["trace"].dtype, ds["n"].dtype) == (np.float64, np.float64)


def test_outputs_may_be_declared_by_a_dataset(tmp_path: Any) -> None:
    template = xr.Dataset({"trace": ("t", np.zeros(3))}, coords={"t": [1, 2, 3]})
    ds = compute(tmp_path, lambda x: {"trace": np.full(3, x)}, {"x": [1.0]}, outputs=template)
    np.testing.assert_array_equal(ds["trace"].sel(t=2), [1.0])


SECOND: dict[str, tuple[Any, Any, str]] = {
    "other shape": (np.zeros(3), np.zeros(2), r"shape \(2,\); expected \(3,\)"),
    "scalar for an array": (np.zeros(3), 0.0, r"shape \(\); expected \(3,\)"),
    "array of one for a scalar": (0.0, np.zeros(1), r"shape \(1,\); expected \(\)"),
    "missing key": ({"a": 1.0, "b": 1.0}, {"a": 1.0}, r"outputs \['a'\]; expected \['a', 'b'\]"),
    "other key": ({"a": 1.0}, {"c": 1.0}, r"outputs \['c'\]; expected \['a'\]"),
    "float for an int": (1, 0.5, "not safely cast to int64"),
    "whole float for an int": (1, 2.0, "not safely cast to int64"),
    "complex for a float": (1.0, 1j, "not safely cast to float64"),
    "string for a float": (1.0, "a", "not safely cast to float64"),
    "float for a string": ("a", 1.0, "not safely cast to string"),
    "bool for an int": (1, True, "not safely cast to int64"),
    "int for a bool": (True, 1, "not safely cast to bool"),
    "inexact float32": (np.float32(1), 0.1, "not safely cast to float32"),
    "too large for int8": (np.int8(1), 300, "not safely cast to int8"),
    "too large for int64": (1, 2**63, "cast to int64|too large|too big"),
    "inexact int": (1.0, 2**53 + 1, "not safely cast to float64"),
    "none": (1.0, None, "None"),
    "list": ({"a": 1.0}, {"a": [1.0]}, "is a list"),
    "object": (1.0, object(), "returned a object"),
    "other coordinate": (
        xr.DataArray([1.0, 2.0], dims="t", coords={"t": [0, 1]}),
        xr.DataArray([1.0, 2.0], dims="t", coords={"t": [0, 2]}),
        "coordinate 't' is not what it was",
    ),
    "other scalar coordinate": (
        xr.DataArray(1.0, coords={"h": 0.5}),
        xr.DataArray(1.0, coords={"h": 1.5}),
        r"coordinate 'h' is not what it was .*: 1\.5; expected 0\.5\..*\.drop_vars\('h'\)",
    ),
    "scalar for a coordinate": (
        xr.DataArray([1.0], dims="t", coords={"h": ("t", [1])}),
        xr.DataArray([1.0], dims="t", coords={"h": 1}),
        r"coordinate 'h' .*: 1; expected array\(\[1\]\)",
    ),
    "other dim": (
        xr.DataArray([1.0, 2.0], dims="t"),
        xr.DataArray([1.0, 2.0], dims="u"),
        r"dims \('u',\); expected \('t',\)",
    ),
}

UNSTORABLE: dict[str, tuple[Any, str]] = {
    "masked bools": (np.ma.masked_array([True, False], [0, 1]), r"has masked values.*\.filled\("),
    "masked ints": (np.ma.masked_array([1, 2], [0, 1]), r"has masked values.*\.filled\("),
    "masked floats": (np.ma.masked_array([1.0, 2.0], [0, 1]), r"has masked values.*\.filled\("),
    "masked constant": (np.ma.masked, "has masked values"),
    "None among strings": (np.array(["a", None], object), "holds NoneType objects; expected .*''"),
    "NaN among bools": (xr.DataArray(np.array([True, np.nan], object)), "holds bool objects"),
    "strings with NA": (pd.array(["a", None], dtype="string"), "holds (NAType|float) objects"),
    "series": (pd.Series([1.0], [7]), r"is a pandas Series.* return \.to_xarray\(\)"),
    "data frame": (pd.DataFrame({"a": [1]}), r"is a pandas DataFrame.*\.to_numpy\(\)"),
    "half a character": ("a\ud800", r"holds '\\ud800', which UTF-8 cannot hold"),
    "half a character in an array": (np.array(["a\ud800", "b"]), "holds .* UTF-8 cannot hold"),
    "picoseconds": (np.array([1, 2001], "M8[ps]"), "holds times finer than a nanosecond"),
    "a span of picoseconds": (np.timedelta64(1, "ps"), "holds times finer than a nanosecond"),
    "the year 3000": (np.datetime64("3000-01-01"), "holds times beyond the years 1678 to 2262"),
    "a span of 300 years": (
        np.timedelta64(110_000, "D"),
        "holds times beyond 292.* use num",
    ),
}
SECOND |= {
    case: ("a" if isinstance(value, str) else np.zeros(2), value, message)
    for case, (value, message) in UNSTORABLE.items()
}


@pytest.mark.parametrize("case", UNSTORABLE)
@pytest.mark.parametrize("how", ["alone", "in a dict", "in a block"])
def test_a_value_that_would_be_stored_as_another_is_an_error(
    new_memory_store: Any, case: str, how: str
) -> None:
    message = UNSTORABLE[case][1]

    def func(x: Any) -> Any:
        value = UNSTORABLE[case][0]  # a closure over it would count, and some have no digest
        return {"n": np.asarray(x), "r": value} if how == "in a dict" else value

    name = "r" if how == "in a dict" else "value"
    options = {"version": "1", "vectorized": how == "in a block"}
    with pytest.raises(swarmgrid.OutputError, match=f"output '{name}' {message}") as info:
        compute(new_memory_store(), func, {"x": [1, 2]}, **options)
    assert "x" in info.value.point


def test_a_masked_array_without_a_masked_value_is_an_array(tmp_path: Any) -> None:
    ds = compute(tmp_path, lambda x: np.ma.masked_array([x, 2], [0, 0]), {"x": [1]})
    assert ds["value"].values.tolist() == [[1, 2]]


@pytest.mark.parametrize("case", first(16, SECOND))
@pytest.mark.parametrize(
    "where", first(1, ["in one run", "in a later run", "among the first points"])
)
def test_a_later_point_that_does_not_fit_is_an_error(tmp_path: Any, case: str, where: str) -> None:
    first, second, message = SECOND[case]

    def func(x: int) -> Any:
        return second if x == 1 else first

    options: dict[str, Any] = {"func": func, "store": tmp_path, "version": "1"}
    options["executor"] = "threads" if where == "among the first points" else "sync"
    if where == "in a later run":
        swarmgrid.compute(axes={"x": [0, 2]}, **options)
    with pytest.raises(swarmgrid.OutputError, match=message) as info:
        swarmgrid.compute(axes={"x": [0, 1]}, workers=2, **options)
    assert info.value.point == {"x": 1}
    if where != "among the first points":  # where the first may not have been begun
        assert swarmgrid.open(axes=["x"], **options).sel(x=0).notnull().all()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(1.5, 2, id="int to float"),
        pytest.param(1j, 2.5, id="float to complex"),
        pytest.param(np.int64(7), np.int8(3), id="small int to int"),
        pytest.param(np.float64(7), np.float32(0.1), id="float32 to float64"),
        pytest.param(1.5, np.array(2.0), id="0-d array to scalar"),
    ],
)
def test_a_value_that_is_cast_without_loss_is_stored(
    tmp_path: Any, first: Any, second: Any
) -> None:
    ds = compute(tmp_path, lambda x: second if x else first, {"x": [0, 1]})
    assert ds["value"].values.tolist() == [first, second]


@pytest.mark.parametrize(
    "result",
    [None, [1, 2], (1, 2), {}, {"a": None}, {1: 2.0}, {"a/b": 1.0}, {"a": {"b": 1}}, b"x", {1, 2}],
    ids=repr,
)
def test_a_result_that_cannot_be_stored_is_an_error_and_writes_nothing(
    tmp_path: Any, result: Any
) -> None:
    with pytest.raises(swarmgrid.OutputError):
        compute(tmp_path / "s", lambda x: result, {"x": [1]})
    assert not (tmp_path / "s" / "data.zarr").exists()


@pytest.mark.parametrize(
    ("func", "clash"),
    [
        pytest.param(lambda x: {"x": 1.0}, "both an axis and an output", id="output"),
        pytest.param(lambda x: xr.DataArray([1.0], dims="x"), "both an axis and a", id="dim"),
        pytest.param(
            lambda x: xr.DataArray([1.0], dims="t", coords={"x": ("t", [x])}),
            "both an axis and a coordinate",
            id="coordinate",
        ),
    ],
)
def test_nothing_of_an_output_can_have_the_name_of_an_axis(
    tmp_path: Any, func: Any, clash: str
) -> None:
    with pytest.raises(swarmgrid.InputError, match=clash):
        compute(tmp_path, func, {"x": [1]})


def test_an_output_cannot_have_the_name_of_a_coordinate(tmp_path: Any) -> None:
    other = xr.DataArray([1.0], dims="t", coords={"h": ("t", [1])})
    with pytest.raises(swarmgrid.InputError, match="'h' is both an output and a coordinate"):
        compute(tmp_path, lambda x: {"h": x, "other": other}, {"x": [1]})


def test_two_outputs_of_a_point_have_one_coordinate(tmp_path: Any) -> None:
    low, high = (xr.DataArray([1.0], dims="t", coords={"h": h}) for h in (1, 2))
    with pytest.raises(swarmgrid.OutputError, match="'h' .* in another output: 2; expected 1"):
        compute(tmp_path, lambda x: {"low": low, "high": high}, {"x": [1]})


SPECIAL: dict[str, list[Any]] = {
    "float": [float("nan"), 0.0, -0.0, float("inf")],
    "int": [0, -(2**63), 2**63 - 1],
    "bool": [False, True],
    "str": ["", "nan", "\0"],
    "complex": [complex("nan+1j"), 0j],
    "datetime": [np.datetime64("NaT", "ns"), np.datetime64(0, "ns")],
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_values_that_look_missing_are_kept_and_not_computed_again(
    tmp_path: Any, counter: Any, kind: str
) -> None:
    values = SPECIAL[kind]

    def func(x: int) -> Any:
        counter()
        return values[x]

    axes = {"x": range(len(values))}
    for _ in range(2):
        ds = compute(tmp_path, func, axes, version="1", chunks=1)
        np.testing.assert_array_equal(ds["value"].values, np.array(values, ds["value"].dtype))
        assert ds["value"].dtype.kind == np.asarray(values[0]).dtype.kind or kind == "str"
    assert counter.count == len(values)


class Mode(enum.Enum):
    FAST = 1
    EXACT = 2


def test_an_enum_axis_is_stored_by_name_and_called_by_member(tmp_path: Any) -> None:
    ds = compute(tmp_path, lambda mode: mode.value, {"mode": list(Mode)})
    assert ds["mode"].values.tolist() == ["FAST", "EXACT"]
    again = compute(tmp_path, lambda mode: mode.value, {"mode": [Mode.EXACT]})
    assert again["value"].values.tolist() == [2]
    with pytest.raises(swarmgrid.AxisError, match="enum"):
        compute(tmp_path, lambda mode: mode.value, {"mode": ["EXACT"]})


@pytest.mark.parametrize("kind", ["float", "int", "bool", "str"])
def test_points_left_out_read_as_missing(tmp_path: Any, kind: str) -> None:
    make = {"float": float, "int": int, "bool": bool, "str": str}[kind]
    ds = compute(tmp_path, lambda x: make(x), {"x": range(3)}, where=lambda x: x != 1)  # noqa: PLW0108
    assert ds["value"].isnull().values.tolist() == [False, True, False]
    assert ds["value"].values[2] == make(2)


def test_bools_beside_missing_points_are_bools(tmp_path: Any) -> None:
    ds = compute(
        tmp_path, lambda x: np.array([x > 1, True]), {"x": range(3)}, where=lambda x: x != 1
    )
    assert ds["value"].dtype == object
    assert repr(ds["value"].values.tolist()) == "[[False, True], [nan, nan], [True, True]]"


INTEGERS: dict[str, tuple[Any, bool]] = {
    "one more than is exact": (np.int64(2**53 + 1), True),
    "one less than is exact": (np.int64(-(2**53) - 1), True),
    "largest": (np.int64(2**63 - 1), True),
    "largest without sign": (np.uint64(2**64 - 1), True),
    "small": (np.int64(2**53), False),
    "large, but a float": (np.int64(2**60), False),
    "smallest": (np.int64(-(2**63)), False),
    "32 bits": (np.int32(2**31 - 1), False),
}


@pytest.mark.parametrize(("value", "is_rounded"), INTEGERS.values(), ids=INTEGERS)
def test_integers_that_lose_digits_beside_missing_points_are_warned_of(
    tmp_path: Any, value: Any, is_rounded: bool
) -> None:
    def func(x: int) -> Any:
        return {"id": np.array([value, x], value.dtype)}

    options = {"version": "1", "chunks": 1}
    ds = compute(tmp_path, func, {"x": range(3)}, where=lambda x: x != 1, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert ds["id"].values[:, 0][[0, 2]].tolist() == [float(value)] * 2
        assert ds["id"].isel(x=1).isnull().all()
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == is_rounded
    assert all("output 'id' has integers that lose digits" in text for text in messages)
    exact = compute(tmp_path, func, {"x": [2, 0]}, **options)["id"]
    assert exact.values[:, 0].tolist() == [int(value)] * 2


def test_the_names_that_dask_makes_up_are_no_names(tmp_path: Path) -> None:
    dask_array = pytest.importorskip("dask.array")

    def lazy(x: float) -> xr.DataArray:
        return xr.DataArray(dask_array.ones(4) * x, dims="t") + 1

    def loaded(x: float) -> xr.DataArray:
        return lazy(x).compute()

    for function in (lazy, loaded):
        ds = swarmgrid.compute(
            function, axes={"x": [1.0, 2.0]}, store=tmp_path, executor="sync", verbose=0
        )
        assert ds["value"].values.tolist() == [[2.0] * 4, [3.0] * 4]


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (xr.Dataset({"t": ("t", [1.0])}), r"coordinates \['t'\]; rename what has the name"),
        (xr.Dataset(), r"without data variables"),
    ],
)
def test_a_dataset_without_data_variables_is_an_error(dataset: xr.Dataset, message: str) -> None:
    options: dict[str, Any] = {"store": "memory://no-data", "executor": "sync", "version": "1"}
    with pytest.raises(swarmgrid.OutputError, match=message):
        swarmgrid.compute(lambda x: dataset, axes={"x": [1]}, **options)
