"""A chunk's values as stored bytes, and back: the codecs that every Zarr reader has.

This writes what ``zarr`` would: little-endian bytes (or vlen-utf8 strings) in one zstd frame.
Called directly, it costs a fifth of zarr's general pipeline per chunk.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
from numcodecs.vlen import VLenUTF8
from numcodecs.zstd import compress, decompress

from swarmgrid.space.outputs import STRING

if TYPE_CHECKING:
    from numpy.typing import NDArray

ZSTD_LEVEL = 1
_strings = VLenUTF8()


def codecs(dtype: str) -> list[dict[str, Any]]:
    """The ``codecs`` of a Zarr v3 array of that dtype name, as its metadata says them."""
    zstd = {"name": "zstd", "configuration": {"level": ZSTD_LEVEL, "checksum": True}}
    return [*raw_codecs(dtype), zstd]


def raw_codecs(dtype: str) -> list[dict[str, Any]]:
    """The ``codecs`` of an array that is not compressed."""
    if dtype == STRING:
        return [{"name": "vlen-utf8"}]
    if np.dtype(dtype).itemsize == 1:
        return [{"name": "bytes"}]
    return [{"name": "bytes", "configuration": {"endian": "little"}}]


def encoded(values: NDArray[Any], dtype: str) -> bytes:
    """The stored bytes of one chunk's values."""
    return compressed(raw_bytes(values, dtype))


def compressed(data: Any) -> bytes:
    """Bytes as one zstd frame."""
    return bytes(compress(data, ZSTD_LEVEL, checksum=True))


def decompressed(data: Any) -> bytes:
    """The bytes of a zstd frame; ValueError if it is none."""
    try:
        return bytes(decompress(data))
    except RuntimeError as error:  # numcodecs' word for a broken frame
        raise ValueError(str(error)) from None


def decoded(data: bytes, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The values of one chunk, read-only, from its stored bytes.

    Raises
    ------
    ValueError
        If the bytes are not a whole chunk of that dtype and shape.
    """
    if 0 in shape:
        return filled(shape, dtype)
    return from_raw(decompressed(data), dtype, shape)


def from_raw(raw: bytes, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The values of one chunk, read-only, from its bytes before compression.

    Raises
    ------
    ValueError
        If the bytes are not those of as many values of that dtype.
    """
    if dtype == STRING:
        count = int.from_bytes(raw[:4], "little")  # read by the decoder, which trusts it
        if len(raw) < 4 or count != math.prod(shape):
            raise ValueError(f"{count} strings instead of {shape}")
        values: NDArray[Any] = _strings.decode(raw)
        if len(raw) != 4 + 4 * count + len("".join(values).encode()):
            raise ValueError(f"more bytes than those of {count} strings")
    else:
        if len(raw) != math.prod(shape) * np.dtype(dtype).itemsize:
            raise ValueError(f"{len(raw)} bytes instead of {shape} of {dtype}")
        values = np.frombuffer(raw, np.dtype(dtype).newbyteorder("<"))
        if dtype == "bool" and (values.view(np.uint8) > 1).any():
            raise ValueError("bytes that are no bools")
    return values.reshape(shape)


def checksum(values: NDArray[Any], dtype: str) -> int:
    """The CRC-32C of some points' values, as the manifest holds it."""
    return int(google_crc32c.value(raw_bytes(values, dtype)))


def raw_bytes(values: NDArray[Any], dtype: str) -> Any:
    """The values before compression: little-endian in C order, or vlen-utf8."""
    if dtype == STRING:
        return bytes(_strings.encode(np.ascontiguousarray(values, object).reshape(-1)))
    little = np.ascontiguousarray(values, np.dtype(dtype).newbyteorder("<"))
    return little.reshape(-1).view(np.uint8)


def fill_value(dtype: str) -> Any:
    """What a point that was not computed holds in the stored array.

    NaN, NaT, the smallest integer (the largest for unsigned ones), False and the empty string.
    """
    if dtype == STRING:
        return ""
    known = np.dtype(dtype)
    if known.kind == "b":
        return False
    if known.kind in "iu":
        return np.iinfo(known).min if known.kind == "i" else np.iinfo(known).max
    if known.kind in "mM":
        return np.array("NaT", known)[()]
    return np.array(complex("nan+nanj") if known.kind == "c" else np.nan, known)[()]


def filled(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """A chunk in which nothing is computed."""
    memory = object if dtype == STRING else dtype
    return np.full(shape, fill_value(dtype), memory)
