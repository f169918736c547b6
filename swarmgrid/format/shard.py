"""A shard: chunks of one array side by side in one stored object, and an index at its end.

This is Zarr's ``sharding_indexed`` codec. Chunks that are too small to be worth compressing are
put in and taken out all at once, by numpy: a loop over them would cost more than the rest.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.format.codec import (
    codecs,
    decoded,
    encoded,
    filled,
    from_raw,
    raw_bytes,
    raw_codecs,
)
from swarmgrid.outputs.outputs import STRING, STRING_NBYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid

    Shape = tuple[int, ...]

MIN_COMPRESSED_NBYTES = 512
"""Of a chunk: a zstd frame costs 10 µs to write and to read, and saves little below this."""
ENTRY_NBYTES = 16
"""Of the index, for each chunk: where it begins, and its length."""
ABSENT = 2**64 - 1
"""Both numbers of a chunk that holds nothing but fill values, and is left out."""


def shard_codecs(
    dtype: str, inner: Sequence[int], chain: list[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """The ``codecs`` of an array whose shards hold chunks of the shape ``inner``.

    ``chain`` are the codecs of these chunks, where they are not the usual ones.

    The index has no checksum of its own: not every reader knows its codec, and the manifest
    has one of every value.
    """
    index = [{"name": "bytes", "configuration": {"endian": "little"}}]
    configuration = {
        "chunk_shape": [max(1, int(n)) for n in inner],
        "codecs": chain or inner_codecs(dtype, inner),
        "index_codecs": index,
        "index_location": "end",
    }
    return [{"name": "sharding_indexed", "configuration": configuration}]


def inner_codecs(dtype: str, inner: Sequence[int]) -> list[dict[str, Any]]:
    """The usual codecs of a chunk in a shard."""
    return codecs(dtype) if _is_compressed(dtype, inner) else raw_codecs(dtype)


def stored_raw(grid: StoredGrid) -> list[str]:
    """The outputs whose usual codecs compress nothing, as the chunks in their shards are small."""
    found = []
    for name, output in grid.schema.outputs.items():
        inner = grid.inner_block_shape(output)
        encoding = grid.schema.encodings.get(name)
        dtype = output.dtype if encoding is None else encoding.stored_dtype(output.dtype)
        dtype = "int64" if output.memory_dtype.kind in "mM" else dtype
        if inner is not None and not _is_compressed(dtype, inner):
            found.append(name)
    return found


def encoded_shard(
    values: NDArray[Any],
    dtype: str,
    inner: Shape,
    fill: Any = None,
    encode: Callable[[Sequence[NDArray[Any]]], list[bytes]] | None = None,
) -> bytes:
    """The stored bytes of one shard: its chunks in C order without gaps, then their index.

    ``fill`` is the value of points that are not computed, and ``encode`` makes bytes of chunks,
    where these are not the dtype's own.
    """
    chunks = _divided(values, inner)
    # chunks of fill values alone are left out, as zarr leaves out such objects
    index = np.full((len(chunks), 2), ABSENT, "<u8")
    if encode is not None or dtype == STRING or _is_compressed(dtype, inner):
        is_there = _differs_from_fill(chunks, dtype, fill)
        usual = encoded if _is_compressed(dtype, inner) else raw_bytes
        there = list(chunks[is_there])
        parts = encode(there) if encode is not None else [usual(one, dtype) for one in there]
        lengths = np.array([len(part) for part in parts], "<u8")
        body = b"".join(parts)
    else:
        rows = raw_bytes(chunks, dtype).reshape(len(chunks), -1)
        is_there = _differs_from_fill(chunks, dtype, fill)
        lengths = np.full(int(is_there.sum()), rows.shape[1], "<u8")
        body = rows.tobytes() if is_there.all() else rows[is_there].tobytes()
    index[is_there, 0] = np.cumsum(lengths) - lengths
    index[is_there, 1] = lengths
    return body + index.tobytes()


def decoded_shard(
    data: bytes,
    dtype: str,
    shape: Shape,
    inner: Shape,
    fill: Any = None,
    decode: Callable[[Sequence[bytes]], list[NDArray[Any]]] | None = None,
) -> NDArray[Any]:
    """The values of one shard from its stored bytes; ``fill`` and ``decode`` as they were written.

    Raises
    ------
    ValueError
        If the bytes are not a whole shard of that dtype and those shapes.
    """
    if 0 in shape:
        return filled(shape, dtype)
    index = _read_index(data, math.prod(n // i for n, i in zip(shape, inner, strict=True)))
    is_there = index[:, 1] != ABSENT
    if decode is not None or dtype == STRING or _is_compressed(dtype, inner):
        usual = decoded if _is_compressed(dtype, inner) else from_raw
        chunks = filled((len(index), *inner), dtype, fill)
        there = np.flatnonzero(is_there)
        places = index[there].tolist()
        parts = [data[start : start + length] for start, length in places]
        made = [usual(part, dtype, inner) for part in parts] if decode is None else decode(parts)
        for i, chunk in zip(there, made, strict=True):
            chunks[i] = chunk
        return _joined(chunks, shape, inner)
    nbytes = math.prod(inner) * np.dtype(dtype).itemsize
    if (index[is_there, 1] != nbytes).any():
        raise ValueError(f"its index has chunks of other lengths than {nbytes} bytes")
    stored = from_raw(data[: len(data) - index.nbytes], dtype, (int(is_there.sum()), *inner))
    if is_there.all():
        return _joined(stored, shape, inner)
    chunks = filled((len(index), *inner), dtype, fill)
    chunks[is_there] = stored
    return _joined(chunks, shape, inner)


def _is_compressed(dtype: str, inner: Sequence[int]) -> bool:
    width = STRING_NBYTES if dtype == STRING else np.dtype(dtype).itemsize
    return math.prod(inner) * width >= MIN_COMPRESSED_NBYTES


def _read_index(data: bytes, n: int) -> NDArray[np.uint64]:
    """``(n, 2)``: where each chunk begins and its length; the chunks fill the rest exactly."""
    end = len(data) - n * ENTRY_NBYTES
    if end < 0:
        raise ValueError(f"{len(data)} bytes are less than the index of {n} chunks")
    index = np.frombuffer(data, "<u8", 2 * n, end).reshape(n, 2)
    is_there = index[:, 1] != ABSENT
    starts, lengths = index[is_there].T
    ends = np.cumsum(lengths)
    # without gaps and overlaps: else a few bytes could stand for any number of chunks
    is_sound = (
        (index[~is_there, 0] == ABSENT).all()
        and (lengths <= end).all()
        and np.array_equal(starts, ends - lengths)
        and (int(ends[-1]) if len(ends) else 0) == end
    )
    if not is_sound:
        raise ValueError(f"its index does not fit the {end} bytes before it")
    return index


def _differs_from_fill(chunks: NDArray[Any], dtype: str, fill: Any = None) -> NDArray[np.bool_]:
    """``(n,)``: whether a chunk has any other value; bit by bit, as there are many NaNs."""
    n, inner = len(chunks), chunks.shape[1:]
    if dtype == STRING:
        blank = fill or ""
        return np.array([any(one != blank for one in chunk.flat) for chunk in chunks], bool)
    if 0 in inner:
        return np.zeros(n, bool)
    # as bytes, one comparison for each chunk: NaN is not equal to itself
    whole = np.dtype((np.void, math.prod(inner) * chunks.dtype.itemsize))
    rows = raw_bytes(chunks, dtype).view(whole)
    return np.asarray(rows != raw_bytes(filled(inner, dtype, fill), dtype).view(whole))


def _divided(values: NDArray[Any], inner: Shape) -> NDArray[Any]:
    """``(n, *inner)``: the chunks of a shard, in C order."""
    counts = [n // i if i else 1 for n, i in zip(values.shape, inner, strict=True)]
    pairs = [n for pair in zip(counts, inner, strict=True) for n in pair]
    d = len(inner)
    apart = values.reshape(pairs).transpose([*range(0, 2 * d, 2), *range(1, 2 * d, 2)])
    return apart.reshape(math.prod(counts), *inner)


def _joined(chunks: NDArray[Any], shape: Shape, inner: Shape) -> NDArray[Any]:
    """The values of a shard, from its chunks in C order."""
    counts = [n // i for n, i in zip(shape, inner, strict=True)]
    d = len(inner)
    order = [axis for i in range(d) for axis in (i, d + i)]
    return chunks.reshape(*counts, *inner).transpose(order).reshape(shape)
