"""Names, dims, coordinates and attributes of results: kept as returned, or refused."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import warnings
from collections import namedtuple
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from xarray import conventions
from xarray.backends import zarr as zarr_backend
from xarray.coding import strings, times, variables

import swarmgrid
from swarmgrid.format.zarr_metadata import plain_attributes
from swarmgrid.store.checked_json import from_bytes, to_bytes, with_checksum
from tests.long import examples, first

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def compute(store: Any, func: Any, axes: dict[str, Any], **options: Any) -> xr.Dataset:
    return swarmgrid.compute(axes=axes, func=func, store=store, executor="sync", **options)


def raw(ds: xr.Dataset, **options: Any) -> xr.Dataset:
    """What xarray reads of a grid by itself."""
    return xr.open_zarr(ds.encoding["source"], **options)


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def of_fields(kind: str, name: Any) -> Any:
    """A result whose output has a name that Python's syntax would not allow."""
    if kind == "namedtuple":
        tuple_type: Any = namedtuple("Result", ["a"])  # noqa: PYI024
        return type("Named", (tuple_type,), {"_fields": (name,)})(1.0)
    result = dataclasses.make_dataclass("Result", ["a"])(1.0)
    result.__dataclass_fields__["a"].name = name
    setattr(result, name, 1.0)
    return result


NAMED: dict[str, Callable[[Any], Any]] = {
    "dict": lambda name: {name: 1.0},
    "dict of arrays": lambda name: {name: np.ones(2), "other": 1.0},
    "dataclass": lambda name: of_fields("dataclass", name),
    "namedtuple": lambda name: of_fields("namedtuple", name),
    "name of a DataArray": lambda name: xr.DataArray([1.0], dims="t", name=name),
    "variable": lambda name: xr.Dataset({name: ("t", [1.0])}),
    "dim of a DataArray": lambda name: xr.DataArray([1.0], dims=[name]),
    "dim of a variable": lambda name: xr.Dataset({"a": ((name,), [1.0])}),
    "dim in a dict": lambda name: {"a": xr.DataArray([1.0], dims=[name])},
    "coordinate": lambda name: xr.DataArray([1.0], dims="t", coords={name: ("t", [1.0])}),
    "coordinate without dims": lambda name: xr.Dataset({"a": 1.0}, coords={name: 1.0}),
    "unused coordinate": lambda name: xr.Dataset({"a": 1.0}, coords={name: ("t", [1.0])}),
}
EVIL: list[Any] = ["", "../../../../evil", "zarr.json", "a\nb"]
"""Some of the names that are refused; the table of them all is that of the one check."""


@pytest.mark.parametrize("where", NAMED)
@pytest.mark.parametrize("name", EVIL)
def test_a_name_that_no_array_can_have_is_refused_wherever_it_stands(
    tmp_path: Path, where: str, name: str
) -> None:
    with pytest.raises(swarmgrid.OutputError, match=re.escape(repr(name)[:70])) as info:
        compute(tmp_path / "in" / "it", lambda x: NAMED[where](name), {"x": [1]}, version="1")
    assert info.value.point == {"x": 1}
    assert not [path for path in everything(tmp_path) if "evil" in path or "zarr.json" in path]


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize(
    "how", ["output", "dim", "template", "template's dim", "template's coord"]
)
def test_a_declared_name_is_refused_before_anything_is_computed(
    new_memory_store: Any, how: str, name: str
) -> None:
    declared: Any = {
        "output": lambda: {name: swarmgrid.Output()},
        "dim": lambda: {"a": swarmgrid.Output(dims=(name,), shape=(1,))},
        "template": lambda: xr.Dataset({name: 1.0}),
        "template's dim": lambda: xr.Dataset({"a": ((name,), [1.0])}),
        "template's coord": lambda: xr.Dataset({"a": 1.0}, coords={name: 1.0}),
    }[how]()
    calls: list[int] = []
    with pytest.raises(swarmgrid.InputError, match=re.escape(repr(name)[:70])):
        compute(
            new_memory_store(),
            lambda x: calls.append(x),  # noqa: PLW0108  # a builtin takes no names
            {"x": [1]},
            outputs=declared,
            version="1",
        )
    assert not calls


@pytest.mark.parametrize("name", [1, None, b"a"])
def test_a_name_that_is_no_text_is_refused(new_memory_store: Any, name: Any) -> None:
    for result in ({name: 1.0}, xr.Dataset({name: 1.0}), xr.Dataset({"a": ((name,), [1.0])})):
        with pytest.raises(swarmgrid.OutputError, match="is no text but a"):
            compute(new_memory_store(), lambda x, r=result: r, {"x": [1]}, version="1")


def test_an_axis_of_a_name_that_zarr_reserves_is_refused(new_memory_store: Any) -> None:
    with pytest.raises(swarmgrid.AxisError, match="'__x', which Zarr reserves"):
        compute(new_memory_store(), lambda __x: 1.0, {"__x": [1]})


@pytest.mark.parametrize("names", [("é", "e\u0301"), ("a", "a")], ids=["two forms", "one form"])
def test_two_names_that_are_one_as_text_are_refused(tmp_path: Path, names: Any) -> None:
    def func(x: int) -> Any:
        other = xr.DataArray([1.0], dims="t", coords={names[1]: ("t", [1])})
        return {names[0]: 1.0, "other": other}

    with pytest.raises(swarmgrid.InputError, match="same text|both an output and a coordinate"):
        compute(tmp_path, func, {"x": [1]})


def test_a_stored_document_with_such_a_name_leads_nowhere_else(tmp_path: Path) -> None:
    compute(tmp_path / "store", level, {"x": [1]})
    (path,) = tmp_path.glob("store/data.zarr/level/*/zarr.json")
    document = from_bytes(path.read_bytes())
    documents = document["consolidated_metadata"]["metadata"]
    documents["../../../../secret"] = documents.pop("height")
    path.write_bytes(to_bytes(with_checksum(document)))
    with pytest.raises(swarmgrid.DamageError, match="has a slash in it"):
        swarmgrid.open(func=level, store=tmp_path / "store")


def level(x: float) -> xr.Dataset:
    return xr.Dataset({"power": x}, {"height": 2.5})


CURIOUS = [
    "c",
    "mean value",
    "p<0.05",
    "100%",
    "a#b",
    "a?b",
    "a*b",
    "[a]",
    "größe",
    "😀",
    "~",
    "a:b",
]


@pytest.mark.parametrize("where", ["memory", "directory"])
def test_names_that_are_taken_come_back(tmp_path: Path, new_memory_store: Any, where: str) -> None:
    def func(x: int) -> dict[str, Any]:
        return {name: xr.DataArray([x, i], dims=f"{name} d") for i, name in enumerate(CURIOUS)}

    store = new_memory_store() if where == "memory" else tmp_path
    compute(store, func, {"x": [1]})
    ds = compute(store, func, {"x": [1, 2]})
    other = ds
    if where == "directory":
        other = raw(ds)
    for i, name in enumerate(CURIOUS):
        assert ds[name].values.tolist() == other[name].values.tolist() == [[1, i], [2, i]]


# ---- attributes


def vocabulary() -> list[str]:
    """Every word in the source of xarray's decoders that could be the name of an attribute."""
    found = set()
    for module in (conventions, times, variables, strings, zarr_backend):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= {node.value} if re.fullmatch(r"\w{3,30}", node.value) else set()
    return sorted(found)


WORDS = vocabulary()
INSTRUCTIONS = [
    *("days since 2000-01-01", "seconds", "Days", "nanoseconds since 1970-01-01", "noleap"),
    *("bool", "timedelta64[ns]", "datetime64[ns]", "utf-8", "true", "float32", "other", "x", ""),
    *("AAAAAAAA", "area: other", "other x", 0, 1, 2.5, [1, 2], True, None, {"a": 1}),
]
VALUES: dict[str, Any] = {
    "float": np.array([1.0, 2.0, -0.5]),
    "int": np.array([0, 1, 2]),
    "int16": np.array([0, 1, -2], "i2"),
    "bool": np.array([True, False, True]),
    "text": np.array(["a", "", "ü"], object),
    "time": np.array(["2000-01-01", "NaT", "2001-01-01"], "M8[ns]"),
    "span": np.array([0, 1, 10**9], "m8[ns]"),
}


def test_the_words_of_the_decoders_are_found() -> None:
    assert {"units", "calendar", "scale_factor", "_FillValue", "coordinates", "_Unsigned"} <= {
        *WORDS
    }


@pytest.mark.parametrize("kind", first(1, ["float", "text", "int", "int16", "bool"]))
def test_no_word_of_a_decoder_changes_a_value(kind: str) -> None:
    """Each word alone, with each value: what is stored in plain sight decodes to itself."""
    dtype = {"float": "float64", "int": "int64", "text": "string"}.get(kind, kind)
    values = VALUES[kind]
    for value in INSTRUCTIONS:
        arrays = {
            f"v_{word}": ("t", values, plain_attributes({word: value}, dtype)) for word in WORDS
        }
        plain = xr.Dataset({**arrays, "other": ("t", values)})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            decoded = xr.decode_cf(plain)
        assert not decoded.coords
        for name, array in plain.data_vars.items():
            assert decoded[name].dtype == array.dtype, (name, value)
            np.testing.assert_array_equal(decoded[name].values, values, str((name, value)))


attributes = st.dictionaries(
    st.sampled_from(WORDS)
    | st.sampled_from(["units", "calendar", "bounds"])
    | st.text(max_size=4),
    st.sampled_from(INSTRUCTIONS) | st.text(max_size=4) | st.integers(-(2**63), 2**63 - 1),
    max_size=4,
)


@settings(max_examples=examples(10))
@given(
    st.dictionaries(st.sampled_from(sorted(VALUES)), attributes, min_size=1, max_size=4),
    attributes,
)
def test_attributes_come_back_and_change_no_value_for_any_reader(
    tmp_path_factory: pytest.TempPathFactory, attrs: dict[str, Any], whole: dict[str, Any]
) -> None:
    def func(x: int) -> xr.Dataset:
        variables = {k: ("t", VALUES[k], attrs[k]) for k in attrs}
        coords = {"label": ("t", VALUES["int"], whole), "at": ((), 2.5, whole)}
        return xr.Dataset({**variables, "other": 1.0}, coords, whole)

    store = tmp_path_factory.mktemp("store")
    compute(store, func, {"x": [1]}, version="1")
    ds = compute(store, func, {"x": [1, 2]}, version="1")
    expected = func(1)
    for name in (*attrs, "label", "at"):
        assert ds[name].attrs == {
            k: v for k, v in expected[name].attrs.items() if _is_utf8(k) and _is_utf8(v)
        }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoded = raw(ds)
    encoded = raw(ds, decode_cf=False)
    group = zarr.open_group(ds.encoding["source"], mode="r")
    for name in (*attrs, "label", "at"):
        values = ds[name].values[0] if name in attrs else ds[name].values
        want = expected[name].values
        is_time = want.dtype.kind in "mM"
        assert values.dtype == want.dtype
        for found in (decoded[name].values, encoded[name].values, group[name][...]):
            found = found[0] if name in attrs else found  # noqa: PLW2901
            if is_time and found.dtype.kind == "i":
                found = found.view(want.dtype)  # noqa: PLW2901
            np.testing.assert_array_equal(values, want)
            np.testing.assert_array_equal(found, want)
        assert decoded[name].dtype.kind == want.dtype.kind or want.dtype.kind == "O"
    assert set(decoded.coords) == {"x", "label", "at"}


def _is_utf8(value: Any) -> bool:
    return str(value).encode(errors="replace").decode() == str(value)


def test_a_declared_attribute_that_json_cannot_hold_is_refused(new_memory_store: Any) -> None:
    outputs = {"value": swarmgrid.Output(attrs={"range": {1, 2}})}
    with pytest.raises(swarmgrid.InputError, match="attribute 'range', which JSON cannot hold"):
        compute(new_memory_store(), level, {"x": [1]}, outputs=outputs)


def test_attributes_that_the_function_changes_later_are_those_of_the_first_point(
    new_memory_store: Any,
) -> None:
    shared: dict[str, Any] = {"history": []}
    times = np.zeros(2)

    def func(x: int) -> xr.DataArray:
        array = xr.DataArray([1.0, x], dims="t", attrs=shared)
        shared["history"].append(x)
        return array

    ds = compute(new_memory_store(), func, {"x": [1, 2]}, version="1")
    assert ds["value"].attrs == {"history": [1]}
    assert times.sum() == 0


# ---- dims


def labelled(sizes: dict[str, int], order: list[str], **axes: Any) -> xr.DataArray:
    """An array whose every value says which element it is, whatever the order of its dims."""
    parts = [
        xr.DataArray(axes.get(dim, np.arange(n)) * 100.0**i, dims=dim)
        for i, (dim, n) in enumerate(sorted(sizes.items()))
    ]
    return sum(parts, xr.DataArray(0.0)).transpose(*order)


orders = st.permutations(["t", "u", "v"])


@settings(max_examples=examples(12))
@given(st.lists(orders, min_size=3, max_size=3), st.sampled_from(["array", "dict", "dataset"]))
@pytest.mark.parametrize("executor", ["sync", "threads"])
def test_dims_are_matched_by_name_at_every_point(
    executor: str, given_orders: list[list[str]], kind: str
) -> None:
    sizes = {"t": 2, "u": 2, "v": 3}

    def func(x: int) -> Any:
        array = labelled(sizes, given_orders[x]) + x * 10_000_000.0
        array = array.assign_coords(tv=labelled({"t": 2, "v": 3}, sorted("tv", reverse=x == 1)))
        make = {"array": lambda: array, "dict": lambda: {"value": array, "n": x}}
        return make.get(kind, lambda: array.to_dataset(name="value"))()

    store = zarr.storage.MemoryStore()
    options = {"func": func, "store": store, "version": "1", "executor": executor}
    swarmgrid.compute(axes={"x": [0, 1]}, **options)
    ds = swarmgrid.compute(axes={"x": [2, 0, 1]}, **options)
    for x in range(3):
        found = ds["value"].sel(x=x).transpose("t", "u", "v")
        expected = labelled(sizes, ["t", "u", "v"]) + x * 10_000_000.0
        np.testing.assert_array_equal(found.values, expected.values)
    expected_coord = labelled({"t": 2, "v": 3}, ["t", "v"])
    np.testing.assert_array_equal(ds["tv"].transpose("t", "v"), expected_coord)


@settings(max_examples=examples(12))
@given(
    order=st.permutations(["a", "b", "t", "u"]),
    axes=st.permutations(["a", "b"]),
    kind=st.sampled_from(["array", "dict", "dataset"]),
    has_coords=st.booleans(),
    n=st.integers(1, 3),
)
def test_dims_of_a_block_are_matched_by_name(
    order: list[str], axes: list[str], kind: str, has_coords: bool, n: int
) -> None:
    def func(a: Any, b: Any) -> Any:
        given = {"a": a.ravel(), "b": b.ravel()}
        sizes = {"a": a.size, "b": b.size, "t": 2, "u": 3}
        array = labelled(sizes, order, **given)
        array = array.assign_coords(given) if has_coords else array
        make = {"array": lambda: array, "dict": lambda: {"value": array, "n": a + b}}
        return make.get(kind, lambda: array.to_dataset(name="value"))()

    store = zarr.storage.MemoryStore()
    options = {"func": func, "store": store, "version": "1", "executor": "sync"}
    options |= {"vectorized": True, "chunks": {"a": n, "b": 2}}
    values = {"a": [3, 1, 2], "b": [5, 4]}
    swarmgrid.compute(axes={"a": [3, 1], "b": [5]}, **options)
    ds = swarmgrid.compute(axes={axis: values[axis] for axis in axes}, **options)
    sizes = {"a": 3, "b": 2, "t": 2, "u": 3}
    expected = labelled(sizes, list(sizes), a=np.array([3, 1, 2]), b=np.array([5, 4]))
    np.testing.assert_array_equal(ds["value"].transpose(*sizes).values, expected.values)
    assert ds["value"].dims[:2] == tuple(axes)


BLOCKS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "without an axis": (
        lambda a, b: xr.DataArray(a.ravel(), dims="a"),
        r"dims \('a',\), without the axis 'b'; expected all of the block's axes \('a', 'b'\)",
    ),
    "with another name": (
        lambda a, b: xr.DataArray(a + b, dims=["a", "c"]),
        "without the axis 'b'",
    ),
    "without names": (lambda a, b: xr.DataArray(a + b), "without the axis 'a'"),
    "without a dim": (lambda a, b: xr.Dataset({"value": 1.0}), "without the axis 'a'"),
    "other values of an axis": (
        lambda a, b: xr.DataArray(
            a + b, dims=["a", "b"], coords={"a": a.ravel()[::-1], "b": b.ravel()}
        ),
        r"coordinate 'a' is array\(\[2, 1\]\), but the block was called with array\(\[1, 2\]\)",
    ),
    "a coordinate along an axis": (
        lambda a, b: xr.DataArray(a + b, dims=["a", "b"], coords={"label": ("a", a.ravel() * 10)}),
        r"coordinate 'label' has the dims \('a',\), of which some are axes.*reset_coords",
    ),
}


@pytest.mark.parametrize("case", BLOCKS)
def test_what_a_block_does_not_say_by_name_is_refused(new_memory_store: Any, case: str) -> None:
    func, message = BLOCKS[case]
    store = new_memory_store()
    with pytest.raises(swarmgrid.OutputError, match=message):
        compute(store, func, {"a": [1, 2], "b": [3, 4]}, vectorized=True, version="1")


def test_a_coordinate_of_a_dim_that_no_output_has_is_kept(tmp_path: Path) -> None:
    def func(x: int) -> xr.Dataset:
        return xr.Dataset({"a": x}, {"t": [1.5, 2.5], "u": ("t", ["p", "q"])})

    compute(tmp_path, func, {"x": [1]})
    for ds in (found := compute(tmp_path, func, {"x": [1, 2]}), raw(found)):
        assert ds["t"].values.tolist() == [1.5, 2.5]
        assert ds["u"].values.tolist() == ["p", "q"]
        assert ds["a"].values.tolist() == [1, 2]


def test_a_coordinate_whose_memory_is_used_again_is_that_of_the_first_point(
    new_memory_store: Any,
) -> None:
    t = np.zeros(2)

    def func(x: int) -> xr.DataArray:
        t[:] = x
        return xr.DataArray([1.0, 2.0], dims="t", coords={"h": ("t", t)})

    with pytest.raises(swarmgrid.OutputError, match="coordinate 'h' is not what it was"):
        compute(new_memory_store(), func, {"x": [1, 2]}, version="1")
