"""The foreign readers read exactly what no Zarr library wrote, and fail where they must."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numcodecs import Zstd
from numcodecs.vlen import VLenUTF8

from tests.foreign.array_json import from_json, to_json
from tests.foreign.readers import (
    read_tensorstore,
    read_xarray,
    read_xarray_tree,
    read_xarray_with_dims,
    read_zarrita,
)

INT64_MIN = np.iinfo(np.int64).min
PLAIN_GROUP = {"zarr_format": 3, "node_type": "group", "attributes": {}}
ZSTD = {"name": "zstd", "configuration": {"level": 1, "checksum": True}}
LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
SINCE_1970 = {"units": "nanoseconds since 1970-01-01", "calendar": "proleptic_gregorian"}
DURATION = {"units": "nanoseconds", "dtype": "timedelta64[ns]"}

# name: values, Zarr data type, fill value, attributes
ARRAYS: dict[str, tuple[np.ndarray, str, Any, dict[str, str]]] = {
    "s": (np.array([1, INT64_MIN, 2**62 + 1]), "int64", INT64_MIN, {}),
    "mean": (np.array([0.1, np.nan, -np.inf]), "float64", "NaN", {}),
    "half": (np.array([0.1, -0.0, np.inf], "f4"), "float32", "NaN", {}),
    "flag": (np.array([True, False, True]), "bool", False, {}),
    "wave": (np.array([1 + 2j, complex(np.nan, -0.0), 0]), "complex128", ["NaN", "NaN"], {}),
    "word": (np.array(["", "bé", "日本"], dtype=object), "string", "", {}),
    "when": (np.array([0, INT64_MIN, 2**62 + 1]), "int64", INT64_MIN, SINCE_1970),
    "lag": (np.array([0, INT64_MIN, 2**62 + 1]), "int64", INT64_MIN, DURATION),
    "total": (np.array(2.5), "float64", "NaN", {}),
    "none": (np.zeros(0), "float64", "NaN", {}),
}
DECODED = {"when": "datetime64[ns]", "lag": "timedelta64[ns]"}
DIMS = dict.fromkeys(ARRAYS, ("s",)) | {"total": (), "none": ("empty",)}


def write_group(path: Path) -> Path:
    """A consolidated group of ARRAYS, one chunk each, by hand: json and codecs only."""
    documents = {}
    for name, (values, data_type, fill_value, attributes) in ARRAYS.items():
        is_text = data_type == "string"
        documents[name] = {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(values.shape),
            "data_type": data_type,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": [max(n, 1) for n in values.shape]},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "fill_value": fill_value,
            "codecs": [{"name": "vlen-utf8"} if is_text else LITTLE, ZSTD],
            "attributes": attributes,
            "dimension_names": DIMS[name],
        }
        (path / name).mkdir(parents=True)
        (path / name / "zarr.json").write_text(json.dumps(documents[name]))
        raw = VLenUTF8().encode(values) if is_text else values.tobytes()
        if values.size:
            key = "c.0" if values.ndim else "c"
            (path / name / key).write_bytes(Zstd(level=1, checksum=True).encode(raw))
    inline = {"kind": "inline", "must_understand": False, "metadata": documents}
    (path / "zarr.json").write_text(json.dumps(PLAIN_GROUP | {"consolidated_metadata": inline}))
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hierarchy as swarmgrid lays it out: only the grid's own group is consolidated."""
    root = tmp_path_factory.mktemp("foreign") / "data.zarr"
    write_group(root / "simulate" / "abc")
    for plain in (root, root / "simulate"):
        (plain / "zarr.json").write_text(json.dumps(PLAIN_GROUP))
    return root


def expected(name: str, *, is_decoded: bool) -> np.ndarray:
    values, data_type, *_ = ARRAYS[name]
    if data_type == "string":
        return values.astype(np.dtypes.StringDType())
    return values.view(DECODED[name]) if is_decoded and name in DECODED else values


def assert_identical(got: dict[str, np.ndarray], names: set[str], *, is_decoded: bool) -> None:
    assert got.keys() == names
    for name, values in got.items():
        want = expected(name, is_decoded=is_decoded)
        assert values.dtype == want.dtype, name
        np.testing.assert_array_equal(values, want, err_msg=name, strict=True)
        if want.dtype.kind in "fc":
            np.testing.assert_array_equal(np.signbit(values.real), np.signbit(want.real))


@pytest.mark.long
def test_xarray_reads_every_kind_decoded(store: Path) -> None:
    arrays, dims = read_xarray_with_dims(store / "simulate" / "abc")
    assert_identical(arrays, set(ARRAYS), is_decoded=True)
    assert dims == DIMS


@pytest.mark.long
def test_xarray_reads_the_whole_tree(store: Path) -> None:
    tree = read_xarray_tree(store)
    prefix = "/simulate/abc/"
    assert all(name.startswith(prefix) for name in tree)
    variables = {name.removeprefix(prefix): values for name, values in tree.items()}
    assert_identical(variables, set(ARRAYS), is_decoded=True)


def test_tensorstore_reads_every_kind_but_strings(store: Path) -> None:
    names = ARRAYS.keys() - {"word"}
    assert_identical(read_tensorstore(store / "simulate/abc", names), names, is_decoded=False)


@pytest.mark.long
def test_zarrita_reads_every_kind_but_complex_numbers(store: Path, zarrita: Path) -> None:
    names = ARRAYS.keys() - {"wave"}
    got = read_zarrita(store / "simulate/abc", names, zarrita=zarrita)
    assert_identical(got, names, is_decoded=False)


@pytest.mark.long
def test_a_warning_of_xarray_fails_the_reader(store: Path) -> None:
    with pytest.raises(AssertionError, match="Failed to open Zarr store with consolidated"):
        read_xarray(store, group="simulate/abc")


@pytest.mark.long
def test_a_warning_of_zarr_fails_the_reader(store: Path, tmp_path: Path) -> None:
    (tmp_path / "zarr.json").write_text(json.dumps(PLAIN_GROUP))
    (tmp_path / "lock").mkdir()
    with pytest.raises(AssertionError, match="not recognized as a component of a Zarr hierarchy"):
        read_xarray_tree(tmp_path)


@pytest.mark.parametrize("dtype", ["<f2", "<c8", "<c16", "<u8", "<M8[us]", "<m8[s]", "|b1"])
def test_an_array_survives_json(dtype: str) -> None:
    values = np.array([[0, 1], [1, 0]]).astype(dtype)
    copy = from_json(json.loads(json.dumps(to_json(values, ["x", "y"]))))
    np.testing.assert_array_equal(copy, values, strict=True)
