"""Every codec that is installed, for every dtype: exact, called lossy, or refused."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr.codecs
from hypothesis import example, given, settings
from hypothesis import strategies as st
from zarr.abc.codec import ArrayArrayCodec, ArrayBytesCodec

import swarmgrid
from swarmgrid.codecs.given import to_given
from swarmgrid.codecs.named import known_codecs
from swarmgrid.codecs.pipeline import codec_of
from swarmgrid.format.chunk_io import encoded_values, read_back
from swarmgrid.format.codec import filled
from swarmgrid.outputs.encoding import Encoding
from swarmgrid.outputs.labels import MisfitError
from swarmgrid.outputs.outputs import STRING, Output
from tests.codecs.test_given import are_same, zarr_values
from tests.long import examples
from tests.stores.grids import DTYPES, some_values

SHAPE, INNER = (4, 6), (2, 3)
NUMPY = [dtype for dtype in DTYPES if dtype != STRING]


def configurations(name: str, dtype: str) -> st.SearchStrategy[dict[str, Any]]:
    """What a user may say of a codec for values of a dtype, sensible or not."""
    number = "float64" if dtype == STRING else dtype
    some: dict[str, dict[str, Any]] = {
        "numcodecs.delta": {"dtype": st.sampled_from([number, "int32"])},
        "numcodecs.astype": {
            "encode_dtype": st.sampled_from(["float32", "int64"]),
            "decode_dtype": st.just(number),
        },
        "numcodecs.quantize": {"digits": st.integers(-2, 12), "dtype": st.just(number)},
        "numcodecs.bitround": {"keepbits": st.integers(0, 30)},
        "numcodecs.fixedscaleoffset": {
            "offset": st.sampled_from([0, 5]),
            "scale": st.sampled_from([1, 10]),
            "dtype": st.just(number),
            "astype": st.sampled_from(["int32", "uint8", "float32"]),
        },
        "numcodecs.shuffle": {"elementsize": st.integers(1, 9)},
        "transpose": {"order": st.sampled_from([(1, 0), (0, 1), (0,)])},
        "zstd": {"level": st.integers(-3, 22), "checksum": st.booleans()},
        "gzip": {"level": st.integers(0, 9)},
        "blosc": {
            "cname": st.sampled_from(["lz4", "zstd", "blosclz", "zlib", "lz4hc"]),
            "clevel": st.integers(0, 9),
            "shuffle": st.sampled_from(["noshuffle", "shuffle", "bitshuffle"]),
        },
        "bytes": {"endian": st.sampled_from(["little", "big"])},
        "cast_value": {"data_type": st.sampled_from(["float32", "int16", "float64"])},
        "scale_offset": {"scale": st.just(2), "offset": st.just(1)},
    }
    return st.fixed_dictionaries(some.get(name, {}))


def given_of(name: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """The encoding with a codec in its place; KeyError where it cannot be made."""
    codec: dict[str, Any] = {"name": name, "configuration": configuration}
    made = codec_of(codec)
    if isinstance(made, ArrayArrayCodec):
        return {"filters": [codec]}
    return {"serializer": codec} if isinstance(made, ArrayBytesCodec) else {"compressors": [codec]}


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=examples(150))
@given(data=st.data(), dtype=st.sampled_from(DTYPES), name=st.sampled_from(known_codecs()))
def test_a_codec_keeps_values_or_is_called_lossy_or_refused(
    data: st.DataObject, dtype: str, name: str, tmp_path: Path
) -> None:
    configuration = data.draw(configurations(name, dtype), "configuration")
    inner = data.draw(st.sampled_from([None, INNER]), "inner")
    output = Output(dtype=dtype)
    try:
        one = given_of(name, configuration)
    except Exception:  # each codec has errors of its own for a wrong configuration  # noqa: BLE001
        return
    try:
        found = to_given({"v": one}).resolved({"v": output}, {"v": inner or SHAPE})
    except swarmgrid.InputError as error:
        refusal = str(error)
        assert "'v'" in refusal
        assert "\n" not in refusal
        return
    encoding = found.get("v", Encoding())
    values = some_values(dtype, SHAPE)
    block = filled(SHAPE, dtype, encoding.missing(dtype))
    for i in range(0, values.size, 5):  # filled up in parts
        is_new = (np.arange(values.size).reshape(SHAPE) // 5) == i // 5
        before = block.copy()
        block[is_new] = values[is_new]
        try:
            stored = encoded_values("v", block, output, encoding, inner)
            block = read_back("v", block, stored, is_new, output, encoding, inner)
        except MisfitError:  # a value that it cannot hold fails alone
            assert encoding.lossy
            return
        except swarmgrid.StoreError as error:  # an infinite one, for example
            reason = str(error)
            assert encoding.lossy
            assert "stored before" not in reason
            return
        assert are_same(block[~is_new], before[~is_new])
    if not encoding.lossy:
        assert are_same(block, values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = zarr_values(block, output, encoding, inner, tmp_path / "array")
    assert are_same(read, block.view("int64") if block.dtype.kind in "mM" else block)


FILLS = (
    st.integers(-(2**70), 2**70)
    | st.sampled_from([0, -1, 127, 255, -(2**63), 2**63 - 1, 2**64 - 1])
    | st.floats()
    | st.complex_numbers()
    | st.booleans()
    | st.text(max_size=3)
    | st.binary(max_size=3)
    | st.none()
    | st.sampled_from(
        [np.array(5), np.array([1, 2]), np.datetime64("2026-01-01"), np.float32(0.1)]
    )
)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=examples(100))
@given(dtype=st.sampled_from(DTYPES), stored=st.none() | st.sampled_from(NUMPY), fill=FILLS)
@example(dtype="float16", stored="float32", fill=2049)
def test_any_fill_value_is_what_readers_find_or_is_refused(
    dtype: str, stored: str | None, fill: Any, tmp_path: Path
) -> None:
    output = Output(dtype=dtype)
    one = {"fill_value": fill, **({"dtype": stored} if stored else {})}
    try:
        found = to_given({"v": one}).resolved({"v": output}, {"v": SHAPE})
    except swarmgrid.InputError:
        return
    encoding = found.get("v", Encoding())
    blank = filled(SHAPE, dtype, encoding.missing(dtype))
    read = zarr_values(blank, output, encoding, None, tmp_path / "array")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array: Any = zarr.open_array(tmp_path / "array", mode="r")
    expected = np.full(SHAPE, array.fill_value, read.dtype)
    assert are_same(read, expected)


SPELLED: dict[str, Any] = {
    "shards by a codec": (
        {"serializer": zarr.codecs.ShardingCodec(chunk_shape=(2, 3))},
        "shards=",
    ),
    "a class of zarr's": ({"compressors": zarr.codecs.ZstdCodec}, r"ZstdCodec\(\.\.\.\)"),
    "a class of numcodecs'": ({"compressors": [__import__("numcodecs").Zstd]}, r"Zstd\(\.\.\.\)"),
}


@pytest.mark.parametrize(("one", "said"), SPELLED.values(), ids=SPELLED)
def test_a_codec_that_has_another_option_or_is_a_class_is_refused(one: Any, said: str) -> None:
    with pytest.raises(swarmgrid.InputError, match=said):
        to_given({"v": one})
