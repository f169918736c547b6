"""Grids whose outputs have encodings of their own, from the call to foreign readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import tensorstore
import xarray as xr
import zarr

import swarmgrid
from swarmgrid import Grid

pytestmark = pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")
PACKED = {
    "a": {"dtype": "int16", "scale_factor": 0.01},
    "n": {"dtype": "int8"},
    "curve": {"filters": [numcodecs.BitRound(10)], "compressors": "blosc"},
    "text": {"compressors": None},
}


def model(x: int, y: float) -> dict[str, Any]:
    return {
        "a": x * 1.1 + y,
        "n": x * 2,
        "curve": np.sin(np.arange(5) * x + y),
        "text": f"{x}é" * (x % 3),
    }


def compute(store: Any, xs: Any = range(6), **options: Any) -> xr.Dataset:
    axes = {"x": xs, "y": [0.5, 0.25, 2.0]}
    options = {"chunks": {"x": 4, "y": 2}, "executor": "sync", **options}
    return swarmgrid.compute(model, axes=axes, store=store, version="1", **options)


def grid_of(store: Any) -> Grid:
    return Grid.open(store, "model/")


@pytest.mark.parametrize("shards", [False, {"x": 8, "y": 2}], ids=["chunks", "shards"])
def test_foreign_readers_read_the_values_that_we_read(tmp_path: Path, shards: Any) -> None:
    ds = compute(tmp_path, encoding=PACKED, shards=shards, outputs=None)
    again = compute(tmp_path)
    whole = compute("memory://encodings-plain")
    assert ds.identical(again)
    np.testing.assert_allclose(ds["a"], whole["a"], atol=0.005 + 1e-12)
    np.testing.assert_allclose(ds["curve"], whole["curve"], rtol=2**-10)
    assert (ds["n"] == whole["n"]).all()
    assert (ds["text"] == whole["text"]).all()
    assert grid_of(tmp_path).verify().is_clean

    source = ds.encoding["source"]
    opened = xr.open_zarr(source)
    for name in ("a", "n", "curve"):
        np.testing.assert_array_equal(opened[name].values, ds[name].values)
    assert (opened["text"].values.astype(object) == ds["text"].values.astype(object)).all()
    assert "scale_factor" not in opened["a"].attrs  # xarray obeyed it
    stored: Any = zarr.open_group(source, mode="r")["a"]
    assert stored.dtype == "int16"
    np.testing.assert_array_equal(stored[...] * 0.01, ds["a"].values)
    if not shards:  # tensorstore knows neither vlen-utf8 nor numcodecs.*
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{source}/a"}}
        read = tensorstore.open(spec).result().read().result()
        np.testing.assert_array_equal(read, stored[...])


def test_missing_points_of_packed_outputs_are_missing_to_everybody(tmp_path: Path) -> None:
    compute(tmp_path, xs=range(2), encoding=PACKED)
    swarmgrid.compute(
        model, axes={"x": range(3), "y": [9.0]}, store=tmp_path, version="1", executor="sync"
    )
    ds = grid_of(tmp_path).dataset()
    assert int(ds["a"].isnull().sum()) == 3 * 4 - 6 - 3
    opened = xr.open_zarr(ds.encoding["source"])
    np.testing.assert_array_equal(opened["a"].values, ds["a"].values)


def test_a_grid_goes_on_with_its_encoding_and_another_is_an_error(tmp_path: Path) -> None:
    compute(tmp_path, encoding=PACKED)
    first = grid_of(tmp_path).state().encodings
    compute(tmp_path, xs=range(12))
    compute(tmp_path, xs=range(12), encoding=PACKED)
    compute(tmp_path, xs=range(12), codec=None, encoding={"a": PACKED["a"]})
    assert grid_of(tmp_path).state().encodings == first

    before = grid_of(tmp_path).state().points_total
    for other in ({"a": {"dtype": "float32"}}, {"n": {"compressors": "gzip"}}):
        with pytest.raises(swarmgrid.InputError, match=r"rechunk") as error:
            compute(tmp_path, xs=[99], encoding=other)
        assert repr(next(iter(other))) in str(error.value)
    assert grid_of(tmp_path).state().points_total == before


def test_a_lossy_encoding_is_named_wherever_the_grid_is_described(tmp_path: Path) -> None:
    plan = swarmgrid.plan(
        model, axes={"x": [1], "y": [2.0]}, store=tmp_path, encoding=PACKED, version="1"
    )
    assert "int16 in steps of 0.01" in str(plan)
    ds = compute(tmp_path, encoding=PACKED)
    words = grid_of(tmp_path).state().encodings
    assert "lossy: int16 in steps of 0.01" in words["a"]
    assert "lossy: numcodecs.bitround(keepbits=10)" in words["curve"]
    assert "lossy" not in words["n"] + words["text"]
    group: Any = zarr.open_group(ds.encoding["source"], mode="r")
    assert group["a"].attrs["swarmgrid_encoding"]["lossy"] == "int16 in steps of 0.01"
    again = swarmgrid.plan(model, axes={"x": [1], "y": [2.0]}, store=tmp_path, version="1")
    assert "lossy: int16" in str(again)


@pytest.mark.parametrize("on_error", ["raise", "record"])
def test_a_value_that_the_encoding_cannot_hold_fails_alone(tmp_path: Path, on_error: str) -> None:
    def grows(x: int) -> float:
        return 10.0**x

    options: dict[str, Any] = {"store": tmp_path, "executor": "sync", "on_error": on_error}
    encoding = {"value": {"dtype": "int16", "scale_factor": 0.1}}
    run = swarmgrid.stream
    if on_error == "raise":
        with pytest.raises(swarmgrid.OutputError, match=r"from -3276\.7 to 3276\.7"):
            run(grows, axes={"x": range(6)}, encoding=encoding, **options)
    else:
        run(grows, axes={"x": range(6)}, encoding=encoding, **options)
        errors = Grid.open(tmp_path, "grows/").errors()
        assert errors["x"].tolist() == [4, 5]
    found = Grid.open(tmp_path, "grows/").dataset()["value"].dropna("x")
    np.testing.assert_allclose(found, [1, 10, 100, 1000])


def test_damage_of_any_codec_is_found_and_computed_again(tmp_path: Path) -> None:
    ds = compute(tmp_path, encoding=PACKED).load()
    for name in PACKED:
        chunks = sorted(Path(ds.encoding["source"], name).glob("c.0.0*"))
        data = bytearray(chunks[0].read_bytes())
        data[len(data) // 2] ^= 0x10
        chunks[0].write_bytes(data)
    report = grid_of(tmp_path).verify()
    assert len(report.problems) == 1  # of the one chunk, the first output found
    grid_of(tmp_path).repair()
    assert compute(tmp_path).identical(ds)


def test_auto_measures_the_first_chunk_and_keeps_its_choice(tmp_path: Path) -> None:
    plan = swarmgrid.plan(model, axes={"x": [1], "y": [2.0]}, codec="auto", store=tmp_path)
    assert "chosen by the first chunks" in str(plan)
    ds = compute(tmp_path, codec="auto")
    words = grid_of(tmp_path).state().encodings
    assert all("measured on the first" in text for text in words.values())
    assert compute(tmp_path, codec="auto").identical(ds)
    compute(tmp_path, xs=range(9), codec="auto")
    assert grid_of(tmp_path).state().encodings == words
    assert grid_of(tmp_path).verify().is_clean
    again = swarmgrid.plan(model, axes={"x": [1], "y": [2.0]}, store=tmp_path, version="1")
    assert "costs least" in str(again)


def test_workers_write_what_was_chosen(tmp_path: Path) -> None:
    ds = compute(
        tmp_path, xs=range(40), codec="auto", executor="threads", workers=2, exec_chunk_size=3,
        encoding={"a": {"dtype": "float32"}},
    )  # fmt: skip
    plain = compute("memory://encodings-plain-40", xs=range(40))
    np.testing.assert_array_equal(ds["a"], plain["a"].astype("float32"))
    assert grid_of(tmp_path).verify().is_clean


def test_an_encoding_for_no_output_names_the_outputs(tmp_path: Path) -> None:
    with pytest.raises(swarmgrid.InputError, match=r"no output.*'curve'.*Did you mean 'curve'"):
        compute(tmp_path, encoding={"curv": {"dtype": "float32"}})


def test_a_codec_that_is_gone_is_named_and_is_no_damage(tmp_path: Path) -> None:
    from zarr.registry import register_codec

    from tests.codecs.custom import Flip

    class Gone(Flip):
        def to_dict(self) -> Any:
            return {"name": "tests.gone", "configuration": {"key": self.key}}

    register_codec("tests.gone", Gone)
    compute(tmp_path, codec=Gone())
    from zarr import registry

    own = vars(registry)
    (own.get("_codec_registries") or own["__codec_registries"]).pop("tests.gone")
    from swarmgrid.codecs.pipeline import pipeline
    from swarmgrid.format.codec import coder

    pipeline.cache_clear()
    coder.cache_clear()
    ds = compute(tmp_path)
    with pytest.raises(swarmgrid.StoreError, match="no Zarr codec 'tests.gone'"):
        ds["a"].load()
    assert not list(tmp_path.glob("manifest/*/*.bad"))
    register_codec("tests.gone", Gone)
    assert grid_of(tmp_path).verify().is_clean
