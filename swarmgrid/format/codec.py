"""A chunk's values as stored bytes, and back: the codecs that every Zarr reader has.

This writes what ``zarr`` would: little-endian bytes (or vlen-utf8 strings) in one zstd frame.
Called directly, it costs a fifth of zarr's general pipeline per chunk.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
from numcodecs.vlen import VLenUTF8
from numcodecs.zstd import compress, decompress

from swarmgrid.codecs.keys import held_key
from swarmgrid.codecs.zstd_frame import HEAD_NBYTES, MAGIC, declared_nbytes
from swarmgrid.outputs.encoding import fill_value
from swarmgrid.outputs.outputs import STRING
from swarmgrid.space.chunks import MAX_NBYTES
from swarmgrid.store.bounded import MAX_EXPANDED, MAX_RATIO

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.outputs.outputs import Schema

# level 3 takes up to twice the time for little (decision 0014)
ZSTD_LEVEL = 1
_ZSTD_BLOCK = 2**17
_ZSTD_WINDOW = 0x48
"""512 KiB, as level 1 has: decoders that stream refuse windows that are much larger."""
_strings = VLenUTF8()


def codecs(dtype: str) -> list[dict[str, Any]]:
    """The ``codecs`` of a Zarr v3 array of that dtype name, as its metadata says them."""
    # zstd's own checksum stays: readers that know nothing of the manifest have no other
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


def compressed(data: Any, level: int = ZSTD_LEVEL) -> bytes:
    """Bytes as one zstd frame, which readers know from its beginning to be no bomb."""
    frame = bytes(compress(data, level, checksum=True))
    # zstd makes 32 kB of a gigabyte of zeros: readers refuse that, so it is not written either
    nbytes = memoryview(data).nbytes
    return frame if nbytes <= _most_expanded(len(frame)) else _uncompressed_frame(data)


def expanded(data: Any) -> bytes:
    """The bytes of a zstd frame that `check_expansion` has admitted; ValueError if it is broken.

    Nothing is allocated before the size that a frame declares is known to be sound.
    """
    try:
        return bytes(decompress(data))
    except RuntimeError as error:  # numcodecs' word for a broken frame
        raise ValueError(str(error)) from None


def check_expansion(frame: Any) -> int:
    """The number of bytes that a zstd frame declares; ValueError if these are too many."""
    if not frame:
        raise ValueError("it is empty, no regular file, or larger than it can be")
    nbytes = declared_nbytes(bytes(frame[:HEAD_NBYTES]))
    if nbytes is None:
        raise ValueError("it is no zstd frame that says its size")
    if nbytes > _most_expanded(len(frame)):
        raise ValueError(f"its {len(frame)} bytes would expand to {nbytes}, as none of ours do")
    return nbytes


def _most_expanded(n: int) -> int:
    """The most bytes that a frame of ``n`` may stand for: zstd alone would take 64 KB for 2 GB."""
    return min(MAX_NBYTES, max(MAX_EXPANDED, n * MAX_RATIO))


def _uncompressed_frame(data: Any) -> bytes:
    """Bytes as a zstd frame of blocks that are not compressed."""
    view = memoryview(data).cast("B")
    # 8 bytes of size, no checksum; before each block 3 bytes: last or not, type 0 (raw), size
    head = MAGIC + bytes([0xC0, _ZSTD_WINDOW]) + len(view).to_bytes(8, "little")
    parts: list[bytes | memoryview] = [head]
    for start in range(0, len(view), _ZSTD_BLOCK):
        block = view[start : start + _ZSTD_BLOCK]
        is_last = start + _ZSTD_BLOCK >= len(view)
        parts += [(is_last | len(block) << 3).to_bytes(3, "little"), block]
    return b"".join(parts)


def stored_limit(nbytes: int | None, n_parts: int = 1) -> int:
    """The most bytes that an object is stored in.

    Parameters
    ----------
    nbytes : int or None
        Its size before compression; None: strings, whose lengths only their chunk says.
    n_parts : int
        The number of its chunks: more than one in a shard.
    """
    raw = MAX_NBYTES if nbytes is None else min(nbytes, MAX_NBYTES)
    return raw + raw // 64 + 1024 * n_parts


def decoded(data: bytes, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The values of one chunk, read-only, from its stored bytes.

    Raises
    ------
    ValueError
        If the bytes are not a whole chunk of that dtype and shape.
    """
    # such an output takes no bytes, and has no object
    if 0 in shape:
        return filled(shape, dtype)
    nbytes = raw_nbytes(dtype, shape)
    # before anything is allocated: the frame may be a stranger's
    found = check_expansion(data)
    if nbytes is not None and found != nbytes:
        raise ValueError(f"{found} bytes instead of {shape} of {dtype}")
    return from_raw(expanded(data), dtype, shape)


def raw_nbytes(dtype: str, shape: tuple[int, ...]) -> int | None:
    """The size of a chunk before compression; None for strings."""
    return None if dtype == STRING else math.prod(shape) * np.dtype(dtype).itemsize


def from_raw(raw: bytes, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The values of one chunk, read-only, from its bytes before compression.

    Raises
    ------
    ValueError
        If the bytes are not those of as many values of that dtype.
    """
    if dtype == STRING:
        count = int.from_bytes(raw[:4], "little")  # read by the decoder, which trusts it
        # it allocates by that number, whatever follows
        if count != math.prod(shape) or len(raw) < 4 + 4 * count:
            raise ValueError(f"{count} strings instead of {shape}")
        values: NDArray[Any] = _strings.decode(raw)
        # the decoder stops at the last string, whatever follows
        if len(raw) != 4 + 4 * count + len("".join(values).encode()):
            raise ValueError(f"more bytes than those of {count} strings")
    else:
        if len(raw) != math.prod(shape) * np.dtype(dtype).itemsize:
            raise ValueError(f"{len(raw)} bytes instead of {shape} of {dtype}")
        # read-only, without a copy; on a big-endian machine numpy swaps
        values = np.frombuffer(raw, np.dtype(dtype).newbyteorder("<"))
        if dtype == "bool" and (values.view(np.uint8) > 1).any():
            raise ValueError("bytes that are no bools")
    return values.reshape(shape)


def check_keys(schema: Schema) -> None:
    """Raise EncryptionError where this process does not have the keys of some outputs."""
    for key_id in key_ids(schema):
        held_key(key_id)


def key_ids(schema: Schema) -> set[str]:
    """The ids of the keys that outputs are encrypted with."""
    return {one.key_id for one in schema.encodings.values() if one.key_id}


def checksum(values: NDArray[Any], dtype: str) -> int:
    """The CRC-32C of some points' values, as the manifest holds it."""
    return int(google_crc32c.value(raw_bytes(values, dtype)))


def raw_bytes(values: NDArray[Any], dtype: str) -> Any:
    """The values before compression: little-endian in C order, or vlen-utf8."""
    if dtype == STRING:
        return bytes(_strings.encode(np.ascontiguousarray(values, object).reshape(-1)))
    little = np.ascontiguousarray(values, np.dtype(dtype).newbyteorder("<"))
    return little.reshape(-1).view(np.uint8)


def filled(shape: tuple[int, ...], dtype: str, fill: Any = None) -> NDArray[Any]:
    """A chunk in which nothing is computed; ``fill`` is its value, if not the dtype's own."""
    memory = object if dtype == STRING else dtype
    return np.full(shape, fill_value(dtype) if fill is None else fill, memory)


@dataclass(frozen=True, slots=True)
class Coder:
    """Encodes and decodes chunks of one dtype and shape, several at once."""

    encode: Callable[[Sequence[NDArray[Any]]], list[bytes]]
    decode: Callable[[Sequence[bytes]], list[NDArray[Any]]]


@functools.lru_cache(256)
def coder(codecs: str, dtype: str, shape: tuple[int, ...]) -> Coder:
    """The coder of some codecs, given as JSON text; empty: the usual ones."""
    listed = json.loads(codecs) if codecs else []
    raw = raw_codecs(dtype)
    level = ZSTD_LEVEL if not codecs else _zstd_level(listed, raw)
    if level is not None:
        return Coder(
            lambda chunks: [compressed(raw_bytes(one, dtype), level) for one in chunks],
            lambda data: [decoded(one, dtype, shape) for one in data],
        )
    if listed == raw:
        return Coder(
            lambda chunks: [bytes(raw_bytes(one, dtype)) for one in chunks],
            lambda data: [from_raw(one, dtype, shape) for one in data],
        )
    from swarmgrid.codecs.pipeline import pipeline

    made = pipeline(codecs, dtype, shape)
    return Coder(made.encoded, made.decoded)


def _zstd_level(listed: list[dict[str, Any]], raw: list[dict[str, Any]]) -> int | None:
    """The level of codecs that are zstd with a checksum and nothing else; None: they are not."""
    zstd = listed[-1]
    given = zstd.get("configuration")
    configuration = given if isinstance(given, dict) else {}
    level = configuration.get("level")
    is_usual = zstd.get("name") == "zstd" and configuration.get("checksum") is True
    return level if listed[:-1] == raw and is_usual and type(level) is int else None
