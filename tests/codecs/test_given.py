"""Values as they are packed, and codecs: what is read back, what is refused, what others read."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
import zarr.codecs
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from zarr.registry import register_codec

import swarmgrid
from swarmgrid.codecs.choice import candidates, chosen
from swarmgrid.codecs.given import to_given
from swarmgrid.format.chunk_io import decoded_values, encoded_values, read_back
from swarmgrid.format.codec import codecs, filled
from swarmgrid.format.zarr_metadata import array_document, stored_encoding, stored_output
from swarmgrid.outputs.encoding import Encoding
from swarmgrid.outputs.labels import MisfitError
from swarmgrid.outputs.outputs import STRING, Output
from swarmgrid.store.checked_json import to_bytes
from tests.codecs.custom import Broken, Flip
from tests.long import first, pairs
from tests.stores.grids import DTYPES, file_at, some_values

register_codec("tests.flip", Flip)
register_codec("tests.broken", Broken)

COMPRESSORS: dict[str, Any] = {
    "none": [],
    "zstd by its name": "zstd",
    "zstd of level 9, without a checksum": zarr.codecs.ZstdCodec(level=9),
    "gzip": {"name": "gzip", "configuration": {"level": 1}},
    "blosc of zarr": zarr.codecs.BloscCodec(cname="lz4", shuffle="bitshuffle"),
    "blosc of numcodecs": numcodecs.Blosc("zstd", 1),
    "two": [numcodecs.BZ2(1), zarr.codecs.Crc32cCodec()],
    "lzma": numcodecs.LZMA(preset=1),
    "numcodecs by a dict": {"name": "numcodecs.lz4", "configuration": {"acceleration": 1}},
    "a third party's": {"name": "tests.flip"},
}
SHAPES = {"a chunk": ((4, 6), None), "a shard": ((4, 6), (2, 3))}


def encoding_of(output: Output, shape: tuple[int, ...], **one: Any) -> Encoding | None:
    return to_given({"v": one}).resolved({"v": output}, {"v": shape}).get("v")


def there_and_back(
    values: np.ndarray, output: Output, encoding: Encoding | None, inner: Any = None
) -> np.ndarray:
    data = encoded_values("v", values, output, encoding, inner)
    if encoding is not None:
        back = read_back("v", values, data, None, output, encoding, inner)
    else:
        back = decoded_values(data, output, encoding, values.shape, inner)
    return back


def zarr_values(
    values: np.ndarray, output: Output, encoding: Encoding | None, inner: Any, folder: Path
) -> np.ndarray:
    """What plain zarr reads of a chunk, undecoded."""
    dims = [f"x{i}" for i in range(values.ndim)]
    document = array_document(
        output.dtype, values.shape, values.shape, dims, {}, inner=inner, encoding=encoding
    )
    found = stored_encoding(document)
    again = array_document(
        output.dtype, values.shape, values.shape, dims, {}, inner=inner, encoding=found
    )
    assert again == document
    assert found.lossy == (encoding or Encoding()).lossy
    assert stored_output(document, values.ndim).dtype == output.dtype
    file_at(folder, "zarr.json").write_bytes(to_bytes(document))
    data = encoded_values("v", values, output, encoding, inner)
    (folder / ".".join(["c", *("0" for _ in values.shape)])).write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        array: Any = zarr.open_array(folder, mode="r")
        return np.asarray(array[...])


def are_same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype == object or other.dtype == object or one.dtype.kind == "T":
        return bool((np.asarray(one, object) == np.asarray(other, object)).all())
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()


@pytest.mark.parametrize(("name", "divided"), first(3, pairs(list(COMPRESSORS), list(SHAPES))))
def test_values_of_every_dtype_survive_every_compressor_and_zarr_reads_them(
    name: str, divided: str, tmp_path: Path
) -> None:
    compressors, (lengths, inner) = COMPRESSORS[name], SHAPES[divided]
    for dtype in DTYPES:
        output = Output(dtype=dtype)
        encoding = encoding_of(output, inner or lengths, compressors=compressors)
        assert encoding is None or encoding.lossy == ""
        values = some_values(dtype, lengths)
        back = there_and_back(values, output, encoding, inner)
        assert are_same(back, values), dtype
        read = zarr_values(values, output, encoding, inner, tmp_path / dtype)
        plain = values.view("int64") if values.dtype.kind in "mM" else values
        assert are_same(read, plain), dtype


LOSSY: dict[str, tuple[str, dict[str, Any]]] = {
    "fewer bytes": ("float64", {"dtype": "float32"}),
    "half a float": ("float32", {"dtype": "float16"}),
    "complex numbers": ("complex128", {"dtype": "complex64"}),
    "steps": ("float64", {"dtype": "int16", "scale_factor": 0.01}),
    "steps from an offset": (
        "float64",
        {"dtype": "uint16", "scale_factor": 0.5, "add_offset": -100, "fill_value": 65535},
    ),
    "steps of floats of few digits": ("float32", {"dtype": "int16", "scale_factor": 0.125}),
    "whole numbers": ("float64", {"dtype": "int32"}),
    "scaled floats": ("float64", {"dtype": "float32", "scale_factor": 0.001}),
    "bits": ("float64", {"filters": numcodecs.BitRound(8)}),
    "digits": ("float32", {"filters": [numcodecs.Quantize(2, "f4")]}),
    "bits of packed ints, compressed": (
        "float64",
        {"dtype": "float32", "filters": numcodecs.BitRound(5), "compressors": "blosc"},
    ),
}


@pytest.mark.parametrize(("dtype", "one"), LOSSY.values(), ids=LOSSY)
def test_a_lossy_encoding_says_so_and_what_is_read_back_stays_the_same(
    dtype: str, one: dict[str, Any], tmp_path: Path
) -> None:
    output = Output(dtype=dtype)
    encoding = encoding_of(output, (4, 6), **one)
    assert encoding is not None
    assert encoding.lossy
    values = (np.random.default_rng(1).normal(size=(4, 6)) * 50).astype(dtype)
    values[1, 2] = np.nan
    once = there_and_back(values, output, encoding)
    assert once.dtype == values.dtype
    assert np.isnan(once[1, 2])
    assert not are_same(once, values)
    assert are_same(there_and_back(once, output, encoding), once)
    read = zarr_values(values, output, encoding, None, tmp_path / "array")
    assert are_same(encoding.unpacked(read, dtype), once)


NUMBERS = {
    "float64": st.floats(-327, 327, width=64),
    "float32": st.floats(-327, 327, width=32),
}


@given(data=st.data(), dtype=st.sampled_from(sorted(NUMBERS)))
def test_packed_values_are_within_half_a_step_and_never_change_again(
    data: st.DataObject, dtype: str
) -> None:
    scale = data.draw(st.sampled_from([0.01, 0.25, 1.0, 1 / 3]), "scale")
    offset = data.draw(st.sampled_from([None, 0.0, -10.0, 1e3]), "offset")
    stored = data.draw(st.sampled_from(["int16", "uint16", "int32"]), "stored")
    encoding = Encoding(dtype=stored, scale_factor=scale, add_offset=offset)
    encoding.check(dtype)
    elements = NUMBERS[dtype] | st.just(np.nan)
    values = data.draw(st_numpy.arrays(dtype, 6, elements=elements), "values")
    try:
        packed = encoding.packed("v", values, dtype)
    except MisfitError:  # of few digits, or outside of the range
        return
    back = encoding.unpacked(packed, dtype)
    assert (np.isnan(back) == np.isnan(values)).all()
    there = ~np.isnan(values)
    rounding = 8 * np.finfo(dtype).eps * (np.abs(values[there]) + abs(offset or 0) + scale)
    assert (np.abs(back - values)[there] <= scale / 2 + rounding).all()
    assert are_same(encoding.packed("v", back, dtype), packed)


@given(
    values=st_numpy.arrays("int64", 6, elements=st.integers(-(2**40), 2**40)),
    stored=st.sampled_from(["int8", "uint16", "int32"]),
)
def test_narrower_ints_are_exact_or_refused(values: np.ndarray, stored: str) -> None:
    encoding = Encoding(dtype=stored)
    info = np.iinfo(stored)
    if (values < info.min).any() or (values > info.max).any():
        with pytest.raises(MisfitError, match=stored):
            encoding.packed("v", values, "int64")
    else:
        back = encoding.unpacked(encoding.packed("v", values, "int64"), "int64")
        assert are_same(back, values)


def test_a_chunk_that_fills_up_keeps_what_was_stored() -> None:
    output = Output(dtype="float64")
    for one in ({"filters": numcodecs.BitRound(6)}, {"dtype": "int16", "scale_factor": 0.1}):
        encoding = encoding_of(output, (8,), **one)
        assert encoding is not None
        block = filled((8,), "float64", encoding.missing("float64"))
        rng = np.random.default_rng(0)
        for i in range(8):
            is_new = np.arange(8) == i
            before = block.copy()
            block[i] = rng.normal() * 20
            data = encoded_values("v", block, output, encoding, None)
            block = read_back("v", block, data, is_new, output, encoding, None)
            assert are_same(block[~is_new], before[~is_new])


IMPOSSIBLE: dict[str, tuple[str, dict[str, Any], str]] = {
    "delta of floats": ("float64", {"filters": numcodecs.Delta("f8")}, "beside them"),
    "a filter of floats for ints": ("int64", {"filters": numcodecs.BitRound(3)}, "cannot be used"),
    "more bits than an int has": ("float64", {"dtype": "int64"}, "at most 32 bits"),
    "ints as floats": ("int64", {"dtype": "float32"}, "cannot hold them"),
    "strings as numbers": ("string", {"dtype": "int8"}, "cannot hold them"),
    "a scale of ints": ("int64", {"scale_factor": 2}, "expected floats"),
    "a scale of strings": ("string", {"scale_factor": 2}, "expected floats"),
    "a fill value out of range": ("int64", {"dtype": "int8", "fill_value": 300}, "no value of"),
    "a fill value of text": ("float64", {"fill_value": "x"}, "no value of"),
    "a number for text": ("string", {"fill_value": 0}, "no value of"),
    "an offset beyond all digits": (
        "float64",
        {"dtype": "int16", "scale_factor": 1e-12, "add_offset": 1e9},
        "too large",
    ),
    "a codec with an error": ("int64", {"compressors": Broken()}, "tests.broken"),
    "floats whose NaN becomes a number": (
        "float64",
        {"filters": numcodecs.FixedScaleOffset(0, 10, "f8", "u2")},
        "NaN",
    ),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("dtype", "one", "text"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_does_not_give_values_back_is_refused_in_a_trial(
    dtype: str, one: dict[str, Any], text: str
) -> None:
    with pytest.raises(swarmgrid.InputError, match="the encoding of output 'v'.*") as error:
        encoding_of(Output(dtype=dtype), (4, 6), **one)
    assert text in str(error.value)


def test_delta_of_ints_is_exact_whatever_is_missing() -> None:
    output = Output(dtype="int64")
    encoding = encoding_of(output, (4, 6), filters=numcodecs.Delta("i8"))
    assert encoding is not None
    assert encoding.lossy == ""
    values = filled((4, 6), "int64")
    values[0, 1:4] = [3, 2**60, -1]
    assert are_same(there_and_back(values, output, encoding), values)


WRONG: dict[str, tuple[Any, str]] = {
    "no mapping": ("zstd", "expected a mapping from outputs"),
    "the keys without an output, and an output": ({"dtype": "f4", "v": {}}, "did you mean"),
    "a key of netCDF": ({"v": {"zlib": True}}, "compressors="),
    "a key of Zarr 2": ({"v": {"compressor": None}}, "compressors="),
    "a key that is none": ({"v": {"compresors": None}}, "Did you mean 'compressors'"),
    "no codec": ({"v": {"compressors": 3}}, "expected a codec"),
    "a codec that is not there": ({"v": {"compressors": "zsdt"}}, "Did you mean 'zstd'"),
    "a filter as a compressor": ({"v": {"compressors": numcodecs.BitRound(3)}}, "make bytes"),
    "a compressor as a filter": ({"v": {"filters": "gzip"}}, "make arrays"),
    "a scale of 0": ({"v": {"scale_factor": 0}}, "another number"),
    "a scale that is none": ({"v": {"scale_factor": "x"}}, "finite number"),
    "a dtype that is none": ({"v": {"dtype": "float7"}}, "no dtype"),
    "a level that is none": (
        {"v": {"compressors": {"name": "gzip", "configuration": {"level": 99}}}},
        "gzip",
    ),
}


@pytest.mark.parametrize(("encoding", "text"), WRONG.values(), ids=WRONG)
def test_a_wrong_encoding_is_an_error_before_anything_is_computed(
    encoding: Any, text: str, new_memory_store: Any
) -> None:
    def never(x: int) -> float:
        raise AssertionError

    with pytest.raises(swarmgrid.InputError) as error:
        swarmgrid.compute(
            never, axes={"x": [1]}, store=new_memory_store(), encoding=encoding, executor="sync"
        )
    assert text in str(error.value)


def test_the_codecs_that_cost_least_are_chosen_by_a_clock() -> None:
    ticks = iter(range(10**6))
    values = np.arange(1000) * 0.1
    usual = codecs("float64")
    slow = chosen(Encoding(is_open=True), values, "float64", usual, lambda: float(next(ticks)))
    assert slow.codecs == ""  # each measurement took a second: nothing is worth a change
    assert not slow.is_open
    assert "zstd 1" in slow.choice
    free = chosen(Encoding(is_open=True), values, "float64", usual, lambda: 0.0)
    sizes = [
        len(numcodecs.get_codec(_v2(one)).encode(values.tobytes()))
        for one in candidates("float64")[:4]
        for one in one
    ]
    assert np.argmin(sizes) > 0
    assert json.loads(free.codecs)[-1] in candidates("float64")[np.argmin(sizes)]


def _v2(codec: dict[str, Any]) -> dict[str, Any]:
    """A codec of the candidates as numcodecs has it."""
    config = {"id": codec["name"], **codec["configuration"]}
    words = ["noshuffle", "shuffle", "bitshuffle"]
    return config | ({"shuffle": words.index(config["shuffle"])} if "shuffle" in config else {})


def test_strings_and_fill_values_of_every_dtype_come_back() -> None:
    for dtype, fill in {"int32": -1, "float64": -9999.0, "bool": True, STRING: "none"}.items():
        output = Output(dtype=dtype)
        encoding = encoding_of(output, (4,), fill_value=fill)
        assert encoding is not None
        block = filled((4,), dtype, encoding.missing(dtype))
        assert (block == fill).all()
        assert are_same(there_and_back(block, output, encoding, (2,)), block)
