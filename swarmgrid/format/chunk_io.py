"""One chunk of a grid, all its outputs: reading and writing it."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from swarmgrid import identity
from swarmgrid.errors import DamageError
from swarmgrid.format.codec import checksum, decoded, encoded, filled, raw_nbytes, stored_limit
from swarmgrid.format.segment import Row
from swarmgrid.format.shard import decoded_shard, encoded_shard
from swarmgrid.space.points import Points

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.space.outputs import Output
    from swarmgrid.store.blobs import Blobs

Block = dict[str, "NDArray[Any]"]
"""The values of one chunk: an array of shape ``chunk_shape + output.shape`` by output."""


def chunk_key(grid: StoredGrid, name: str, index: tuple[int, ...]) -> str:
    """The key of one output's chunk."""
    whole = index + (0,) * len(grid.schema.outputs[name].shape)
    return (grid.path.v2_chunk if name in grid.v2_keys else grid.path.chunk)(name, whole)


def empty_block(grid: StoredGrid) -> Block:
    """A chunk in which nothing is computed."""
    return {
        name: filled(grid.block_shape(output), output.dtype)
        for name, output in grid.schema.outputs.items()
    }


def read_block(blobs: Blobs, grid: StoredGrid, index: tuple[int, ...]) -> Block:
    """The values of one chunk that holds computed points; the arrays are writable.

    Raises
    ------
    DamageError
        If a chunk is missing or cannot be decoded.
    """
    outputs = grid.schema.outputs
    keys = [chunk_key(grid, name, index) for name in outputs]
    limit = max((chunk_limit(grid, output) for output in outputs.values()), default=0)
    return {
        # what is decoded is a read-only view of the object's bytes
        name: decoded_chunk(data, key, grid, outputs[name]).copy()
        for name, key, data in zip(outputs, keys, blobs.get_many(keys, limit), strict=True)
    }


def write_points(
    blobs: Blobs,
    grid: StoredGrid,
    index: tuple[int, ...],
    block: Mapping[str, NDArray[Any]],
    points: Points,
    seconds: float,
    ended: float | None = None,
) -> tuple[Row, int]:
    """Write one chunk of every output: the row for its new points, and how many bytes it took.

    Parameters
    ----------
    blobs, grid, index
        The chunk, and the store to write it to.
    block : Block
        All its values, those of points computed earlier included.
    points : Points
        The new points among them.
    seconds : float
        The time that computing them took.
    ended : float, optional
        The end of that, in seconds since 1970. Default: now.
    """
    ended = time.time() if ended is None else ended
    written = write_block(blobs, grid, index, block)
    return to_row(grid, index, block, points, seconds, int(ended), written), written


def write_block(
    blobs: Blobs,
    grid: StoredGrid,
    index: tuple[int, ...],
    block: Mapping[str, NDArray[Any]],
) -> int:
    """Write one chunk of every output: how many bytes it took."""
    return sum(write_chunk(blobs, grid, name, index, block[name]) for name in grid.schema.outputs)


def to_row(
    grid: StoredGrid,
    index: tuple[int, ...],
    block: Mapping[str, NDArray[Any]],
    points: Points,
    seconds: float,
    ended: int,
    nbytes: int,
) -> Row:
    """The row for some points of a chunk; see `write_points`."""
    # a chunk is mostly new as a whole: to index by a mask would copy it
    mask = None if points == Points(grid.chunk_shape) else points.mask(grid.chunk_shape)
    # of the values in memory, not of the encoded bytes: it stays true of a fuller chunk (0001)
    checksums = tuple(
        checksum(block[name] if mask is None else block[name][mask], output.dtype)
        for name, output in grid.schema.outputs.items()
    )
    # of the axis values, not of the index alone: a row cannot be taken for one of other values
    key = identity.chunk_digest(grid.path.grid, grid.bin_bytes(index))
    return Row(key, index, points, checksums, seconds, ended, nbytes)


def write_chunk(
    blobs: Blobs, grid: StoredGrid, name: str, index: tuple[int, ...], values: NDArray[Any]
) -> int:
    """Write one chunk of one output: how many bytes it took."""
    data = _encoded(values, grid, grid.schema.outputs[name])
    blobs.put(chunk_key(grid, name, index), data)
    return len(data)


def _encoded(values: NDArray[Any], grid: StoredGrid, output: Output) -> bytes:
    inner = grid.inner_block_shape(output)
    if inner is None:
        return encoded(values, output.dtype)
    return encoded_shard(values, output.dtype, inner)


def chunk_limit(grid: StoredGrid, output: Output) -> int:
    """The most bytes that a chunk of an output is stored in."""
    shape, inner = grid.block_shape(output), grid.inner_block_shape(output)
    parts = 1
    if inner is not None:
        parts = math.prod(n // max(1, i) for n, i in zip(shape, inner, strict=True))
    return stored_limit(raw_nbytes(output.dtype, shape), parts)


def decoded_chunk(data: bytes | None, key: str, grid: StoredGrid, output: Output) -> NDArray[Any]:
    """The values of an output's stored chunk; DamageError where it is gone or broken."""
    if data is None:
        raise DamageError(key, "it is missing")
    inner = grid.inner_block_shape(output)
    try:
        if inner is None:
            return decoded(data, output.dtype, grid.block_shape(output))
        return decoded_shard(data, output.dtype, grid.block_shape(output), inner)
    except ValueError as error:
        raise DamageError(key, str(error)) from None
