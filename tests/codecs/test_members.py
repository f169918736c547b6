"""Encodings as xarray has them: what it says of an array that it has opened makes the same one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr
import zarr.codecs
from hypothesis import given, settings
from hypothesis import strategies as st

import swarmgrid
from swarmgrid import Grid
from swarmgrid.codecs.given import to_given
from swarmgrid.codecs.members import is_own_fill
from swarmgrid.outputs.encoding import fill_value
from swarmgrid.outputs.outputs import Output
from swarmgrid.space.chunks import to_chunk_spec
from tests.long import examples
from tests.stores.grids import DTYPES

pytestmark = pytest.mark.filterwarnings("ignore")  # that a codec is not in Zarr's specification


def model(x: float, y: int) -> dict[str, Any]:
    return {
        "number": x * y,
        "count": int(x) + y,
        "curve": np.arange(3, dtype="f4") * x,
        "text": f"{x}-{y}",
        "when": np.datetime64("2026-01-01", "ns") + np.timedelta64(y, "h"),
        "long": np.timedelta64(y, "s"),
        "is_odd": bool(y % 2),
        "wave": x + 1j * y,
    }


AXES = {"x": [1.0, 2.5, 4.0], "y": [1, 2, 3]}
ENCODINGS: dict[str, list[dict[str, Any]]] = {
    "number": [
        {},
        {"dtype": "float32"},
        {"dtype": "int16", "scale_factor": 0.5, "add_offset": 3.0},
        {"dtype": "int16", "scale_factor": 0.5, "_FillValue": -999},
        {"fill_value": -1.0},
        {"filters": [numcodecs.BitRound(8)]},
        {"serializer": zarr.codecs.BytesCodec(endian="big")},
    ],
    "count": [{}, {"dtype": "int16"}, {"fill_value": 7}, {"filters": [numcodecs.Delta("i8")]}],
    "curve": [{}, {"compressors": [zarr.codecs.BloscCodec(), zarr.codecs.Crc32cCodec()]}],
    "text": [{}, {"compressors": None}],
    "when": [{}, {"compressors": [numcodecs.LZ4()]}],
}


def compute(store: Any, encoding: Any, **options: Any) -> xr.Dataset:
    return swarmgrid.compute(
        model, axes=AXES, store=store, version="1", executor="sync", encoding=encoding, **options
    )


def layouts(store: Path) -> dict[str, Any]:
    """What each array's document says of how its values are stored."""
    found = {}
    for path in store.glob("data.zarr/model/*/*/zarr.json"):
        document = json.loads(path.read_text())
        names = ("data_type", "fill_value", "codecs", "chunk_grid", "shape")
        own = document["attributes"].get("swarmgrid_encoding")
        found[path.parent.name] = own, {name: document[name] for name in names}
    return {name: one for name, one in found.items() if name not in AXES}


@settings(max_examples=examples(7))
@given(data=st.data())
def test_what_xarray_says_of_a_grid_makes_one_that_is_stored_alike(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("alike")
    asked = {
        name: data.draw(st.sampled_from(some), name)
        for name, some in ENCODINGS.items()
        if data.draw(st.booleans(), f"{name} has an encoding")
    }
    chunks = data.draw(st.fixed_dictionaries({"x": st.integers(1, 4), "y": st.integers(1, 4)}))
    factor = data.draw(st.sampled_from([None, 1, 2]), "shards")
    shards = False if factor is None else {name: n * factor for name, n in chunks.items()}
    ds = compute(folder / "first", asked, chunks=chunks, shards=shards)
    opened = xr.open_zarr(ds.encoding["source"])
    told = {name: dict(one.encoding) for name, one in opened.data_vars.items()}

    again = compute(folder / "again", told)
    assert layouts(folder / "again") == layouts(folder / "first")
    assert again.load().identical(ds.load())
    assert compute(folder / "first", told).identical(ds), "the stored grid has another encoding"
    compute(folder / "plain", None)
    grid = Grid.open(folder / "plain", "model/")
    grid.rechunk(encoding=told)
    assert layouts(folder / "plain") == layouts(folder / "first")
    assert grid.dataset().load().equals(ds)
    assert grid.verify().is_clean
    # and what swarmgrid says of it itself
    own = {name: one.encoding for name, one in ds.data_vars.items()}
    compute(folder / "own", own)
    spec = Grid.open(folder / "own", "model/").state()
    assert (spec.chunks, bool(spec.shards)) == (chunks, factor is not None)


def test_an_encoding_without_outputs_is_that_of_all(new_memory_store: Callable[[], str]) -> None:
    store = new_memory_store()
    before = compute(
        store, {"compressors": [zarr.codecs.GzipCodec(level=3)], "chunks": (2, 1)}
    ).load()
    grid = Grid.open(store, "model/")
    assert all("gzip(level=3)" in text for text in grid.state().encodings.values())
    assert grid.state().chunks == {"x": 2, "y": 1}
    grid.rechunk(encoding={"compressors": {"name": "zstd", "configuration": {"level": 9}}})
    assert all("zstd(level=9" in text for text in grid.state().encodings.values())
    assert grid.dataset().equals(before)
    with pytest.raises(swarmgrid.InputError, match="the encoding of output 'count'.*cannot hold"):
        grid.rechunk(encoding={"dtype": "float32"})


def test_outputs_with_the_names_of_members_have_encodings_of_their_own(
    new_memory_store: Callable[[], str],
) -> None:
    def func(x: int) -> dict[str, float]:
        return {"dtype": x * 1.0, "chunks": x * 2.0}

    store = new_memory_store()
    encoding = {"dtype": {"dtype": "float32"}, "chunks": {}}
    swarmgrid.stream(func, axes={"x": [1]}, store=store, executor="sync", encoding=encoding)
    words = Grid.open(store, "func/").state().encodings
    assert "float32" in words["dtype"]
    assert "float64" in words["chunks"]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "chunks that differ": (
        {"number": {"chunks": (1, 2)}, "count": {"chunks": (2, 2)}},
        "chunks .* of output 'number'.* and .* of 'count'",
    ),
    "too few lengths": ({"number": {"chunks": (1,)}}, "each of its dims.*x, y"),
    "too many lengths": ({"number": {"chunks": (1, 2, 3)}}, "each of its 2 dims"),
    "dims of an output": ({"curve": {"chunks": (1, 2, 1)}}, r"divide dims.*\(1, 2, 3\)"),
    "several lengths of a dim": ({"number": {"chunks": ((1, 2), 3)}}, "a length for each dim"),
    "a length of 0": ({"number": {"chunks": (0, 1)}}, "a length for each dim"),
    "a text": ({"number": {"chunks": "auto"}}, "a length for each dim"),
    "True": ({"number": {"shards": True}}, "a length for each dim"),
    "a dim that is none": ({"number": {"chunks": {"z": 1}}}, "'z', which is no axis"),
    "a mask of exact values": ({"number": {"_FillValue": -1.0}}, "say fill_value="),
    "two fill values": (
        {"number": {"dtype": "int16", "_FillValue": -1, "fill_value": -2}},
        "expected one of them",
    ),
    "units of numbers": ({"number": {"units": "m/s"}}, "attributes of an output"),
    "other units of times": ({"when": {"units": "days since 2000-01-01"}}, "in nanoseconds"),
}


OUTPUTS = {
    "number": Output(dtype="float64"),
    "count": Output(dtype="int64"),
    "curve": Output(("z",), (3,), "float32"),
    "when": Output(dtype="datetime64[ns]"),
}


@pytest.mark.parametrize(("encoding", "text"), WRONG.values(), ids=WRONG)
def test_members_that_cannot_be_are_refused(encoding: dict[str, Any], text: str) -> None:
    def request() -> None:
        asked = to_given(encoding)
        chunks, _ = asked.layout(["x", "y"], None, None)
        to_chunk_spec(chunks, ["x", "y"])
        asked.resolved(OUTPUTS, {name: (2, 2, *one.shape) for name, one in OUTPUTS.items()})

    with pytest.raises(swarmgrid.InputError, match=text):
        request()


def test_options_of_the_call_count_before_lengths_of_encodings(
    new_memory_store: Callable[[], str],
) -> None:
    store, encoding = new_memory_store(), {"number": {"chunks": (1, 2), "shards": (2, 2)}}
    compute(store, encoding, chunks={"x": 3, "y": 3}, shards=False)
    grid = Grid.open(store, "model/")
    assert (grid.state().chunks, grid.state().shards) == ({"x": 3, "y": 3}, None)
    grid.rechunk(encoding=encoding)
    assert (grid.state().chunks, grid.state().shards) == ({"x": 1, "y": 2}, {"x": 2, "y": 2})


def test_the_fill_value_that_an_output_has_by_itself_is_no_other() -> None:
    for dtype in DTYPES:
        own = fill_value(dtype)
        is_time = isinstance(own, (np.datetime64, np.timedelta64))
        plain = own.view("int64") if is_time else own
        assert is_own_fill(plain.item() if isinstance(plain, np.generic) else plain, own), dtype
    assert is_own_fill(float("nan"), fill_value("complex128"))
    assert is_own_fill(-(2**63), fill_value("datetime64[ns]"))
    for fill, dtype in ((0, "bool"), (False, "uint8"), ("", "float64"), (0.0, "float64")):
        assert not is_own_fill(fill, fill_value(dtype)), dtype
