"""One chunk of a grid, all its outputs: reading and writing it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid import identity
from swarmgrid.errors import DamageError, StoreError
from swarmgrid.format.codec import (
    checksum,
    coder,
    decoded,
    encoded,
    filled,
    raw_nbytes,
    stored_limit,
)
from swarmgrid.format.segment import Row
from swarmgrid.format.shard import decoded_shard, encoded_shard
from swarmgrid.space.points import Points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.outputs.encoding import Encoding
    from swarmgrid.outputs.outputs import Output
    from swarmgrid.store.blobs import Blobs

    Shape = tuple[int, ...]

Block = dict[str, "NDArray[Any]"]
"""The values of one chunk: an array of shape ``chunk_shape + output.shape`` by output."""


def chunk_key(grid: StoredGrid, name: str, index: tuple[int, ...]) -> str:
    """The key of one output's chunk; ArchivedError where its values are in an archive.

    Nothing reads or writes a chunk without its key: so no caller can forget to look.
    """
    grid.check_at_home()
    whole = index + (0,) * len(grid.schema.outputs[name].shape)
    return (grid.path.v2_chunk if name in grid.v2_keys else grid.path.chunk)(name, whole)


def empty_block(grid: StoredGrid) -> Block:
    """A chunk in which nothing is computed."""
    return {name: empty_values(grid, name) for name in grid.schema.outputs}


def empty_values(grid: StoredGrid, name: str) -> NDArray[Any]:
    """A chunk of one output in which nothing is computed."""
    output, encoding = grid.schema.outputs[name], grid.schema.encodings.get(name)
    fill = None if encoding is None else encoding.missing(output.dtype)
    return filled(grid.block_shape(output), output.dtype, fill)


def read_block(blobs: Blobs, grid: StoredGrid, index: tuple[int, ...]) -> Block:
    """The values of one chunk that holds computed points; the arrays are writable.

    Raises
    ------
    DamageError
        If a chunk is missing or cannot be decoded.
    """
    outputs = grid.schema.outputs
    keys = [chunk_key(grid, name, index) for name in outputs]
    limit = max((chunk_limit(grid, name) for name in outputs), default=0)
    return {
        # what is decoded may be a read-only view of the object's bytes
        name: decoded_chunk(data, key, grid, name).copy()
        for name, key, data in zip(outputs, keys, blobs.get_many(keys, limit), strict=True)
    }


def write_points(
    blobs: Blobs,
    grid: StoredGrid,
    index: tuple[int, ...],
    block: dict[str, NDArray[Any]],
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
        All its values, those of points computed earlier included. Of an output with an encoding
        they become those that are read back.
    points : Points
        The new points among them.
    seconds : float
        The time that computing them took.
    ended : float, optional
        The end of that, in seconds since 1970. Default: now.
    """
    ended = time.time() if ended is None else ended
    mask = None if points == Points(grid.chunk_shape) else points.mask(grid.chunk_shape)
    written = write_block(blobs, grid, index, block, mask)
    return to_row(grid, index, block, points, seconds, int(ended), written), written


def write_block(
    blobs: Blobs,
    grid: StoredGrid,
    index: tuple[int, ...],
    block: dict[str, NDArray[Any]],
    is_new: NDArray[np.bool_] | None = None,
) -> int:
    """Write one chunk of every output: how many bytes it took.

    The block's values become those that are read back; ``is_new`` are the points whose values
    were not stored before, None for all.
    """
    written = 0
    for name, output in grid.schema.outputs.items():
        data = encoded_chunk(grid, name, block[name])
        encoding = grid.schema.encodings.get(name)
        if encoding is not None:
            # the row gets checksums of what will be read back, not of what was computed (0028)
            inner = grid.inner_block_shape(output)
            block[name] = read_back(name, block[name], data, is_new, output, encoding, inner)
        data = _encrypted(data, grid, name, index)
        # all outputs before their row: a kill in between leaves chunks that no row refers to
        blobs.put(chunk_key(grid, name, index), data)
        written += len(data)
    return written


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
    # of values as they are read back, not of bytes: it stays true of a fuller chunk (0001)
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
    data = _encrypted(encoded_chunk(grid, name, values), grid, name, index)
    blobs.put(chunk_key(grid, name, index), data)
    return len(data)


def _encrypted(data: bytes, grid: StoredGrid, name: str, index: tuple[int, ...]) -> bytes:
    """A chunk's stored bytes, encrypted where its output is."""
    encoding = grid.schema.encodings.get(name)
    if encoding is None or not encoding.key_id:
        return data
    from swarmgrid.codecs.aes_gcm import encrypted as encrypted_object

    place = chunk_key(grid, name, index).rpartition("/")[2]
    return encrypted_object(data, encoding.key_id, encoding.array, place)


def reencrypted(data: bytes, grid: StoredGrid, other: StoredGrid, name: str, key: str) -> bytes:
    """A stored chunk of a grid as another has it, of which only the key differs.

    Raises
    ------
    EncryptionError
        If this process does not have one of the keys.
    """
    from swarmgrid.codecs.aes_gcm import decrypted, encrypted

    place = key.rpartition("/")[2]
    old, new = (one.schema.encodings.get(name) for one in (grid, other))
    if old is not None and old.key_id:
        data = decrypted(data, old.key_id, old.array, place)
    if new is not None and new.key_id:
        data = encrypted(data, new.key_id, new.array, place)
    return data


def encoded_chunk(grid: StoredGrid, name: str, values: NDArray[Any]) -> bytes:
    """The stored bytes of one chunk of one output.

    Raises
    ------
    StoreError
        If they are more than a reader would read.
    """
    output, encoding = grid.schema.outputs[name], grid.schema.encodings.get(name)
    data = encoded_values(name, values, output, encoding, grid.inner_block_shape(output))
    if encoding is not None and len(data) > (limit := chunk_limit(grid, name)):
        raise StoreError(
            f"a chunk of output {name!r} takes {len(data)} bytes in its encoding, more than the "
            f"{limit} that a reader expects at most; use other codecs"
        )
    return data


def chunk_limit(grid: StoredGrid, name: str) -> int:
    """The most bytes that a chunk of an output is stored in."""
    output = grid.schema.outputs[name]
    shape, inner = grid.block_shape(output), grid.inner_block_shape(output)
    parts = 1
    if inner is not None:
        parts = math.prod(n // max(1, i) for n, i in zip(shape, inner, strict=True))
    limit = stored_limit(raw_nbytes(output.dtype, shape), parts)
    # codecs of the user's may expand: `encoded_chunk` holds writers to this, too
    return limit if name not in grid.schema.encodings else 2 * limit


def decoded_chunk(data: bytes | None, key: str, grid: StoredGrid, name: str) -> NDArray[Any]:
    """The values of an output's stored chunk; DamageError where it is gone or broken.

    EncryptionError where this process does not have the key.
    """
    if data is None:
        raise DamageError(key, "it is missing")
    output, encoding = grid.schema.outputs[name], grid.schema.encodings.get(name)
    shape, inner = grid.block_shape(output), grid.inner_block_shape(output)
    try:
        if encoding is not None and encoding.key_id:
            from swarmgrid.codecs.aes_gcm import decrypted

            place = key.rpartition("/")[2]
            data = decrypted(data, encoding.key_id, encoding.array, place)
        return decoded_values(data, output, encoding, shape, inner)
    except ValueError as error:
        raise DamageError(key, str(error)) from None


def stored_as(grid: StoredGrid, name: str, values: NDArray[Any]) -> NDArray[Any]:
    """The values that some values of an output, over any points, are read back as."""
    output, encoding = grid.schema.outputs[name], grid.schema.encodings.get(name)
    if encoding is None or not encoding.lossy:
        return values
    data = encoded_values(name, values, output, encoding, None)
    return decoded_values(data, output, encoding, values.shape, None)


def encoded_values(
    name: str,
    values: NDArray[Any],
    output: Output,
    encoding: Encoding | None,
    inner: Shape | None,
) -> bytes:
    """The stored bytes of one chunk or, with the shape ``inner`` of its chunks, of one shard.

    ``name`` is that of the output, for the error.

    Raises
    ------
    MisfitError
        If a value has no place in the stored dtype.
    """
    if encoding is None or encoding.is_usual:
        if inner is None:
            return encoded(values, output.dtype)
        return encoded_shard(values, output.dtype, inner)
    stored = encoding.packed(name, values, output.dtype)
    dtype, fill = _stored_as(encoding, output), encoding.stored_fill(output.dtype)
    stored = stored.view("int64") if stored.dtype.kind in "mM" else stored
    if inner is None:
        return coder(encoding.codecs, dtype, stored.shape).encode([stored])[0]
    encode = coder(encoding.codecs, dtype, inner).encode if encoding.codecs else None
    return encoded_shard(stored, dtype, inner, _bits(fill), encode)


def decoded_values(
    data: bytes,
    output: Output,
    encoding: Encoding | None,
    shape: Shape,
    inner: Shape | None,
) -> NDArray[Any]:
    """The values of one chunk or shard, as they are read back; maybe read-only.

    Raises
    ------
    ValueError
        If the bytes are not those of such a chunk.
    StoreError
        If a codec is not installed here.
    """
    if encoding is None or encoding.is_usual:
        if inner is None:
            return decoded(data, output.dtype, shape)
        return decoded_shard(data, output.dtype, shape, inner)
    dtype = _stored_as(encoding, output)
    if 0 in shape:
        return filled(shape, output.dtype)
    if inner is None:
        (stored,) = coder(encoding.codecs, dtype, shape).decode([data])
    else:
        decode = coder(encoding.codecs, dtype, inner).decode if encoding.codecs else None
        fill = _bits(encoding.stored_fill(output.dtype))
        stored = decoded_shard(data, dtype, shape, inner, fill, decode)
    if output.memory_dtype.kind in "mM":
        return stored.view(output.memory_dtype)
    return encoding.unpacked(stored, output.dtype)


def _stored_as(encoding: Encoding, output: Output) -> str:
    """The dtype of the stored values: times are integers."""
    return "int64" if output.memory_dtype.kind in "mM" else encoding.stored_dtype(output.dtype)


def _bits(fill: Any) -> Any:
    """A fill value as stored: of times the integer."""
    if isinstance(fill, (np.datetime64, np.timedelta64)):
        return fill.astype("int64")
    return fill


def read_back(
    name: str,
    values: NDArray[Any],
    data: bytes,
    is_new: NDArray[np.bool_] | None,
    output: Output,
    encoding: Encoding,
    inner: Shape | None,
) -> NDArray[Any]:
    """The values that a chunk will be read back as, once they are seen to be fit for that.

    Parameters
    ----------
    name : str
        The output.
    values : array
        The chunk's values: new ones as computed, others as they were read back before.
    data : bytes
        The same, encoded.
    is_new : array or None
        The points that are new; None: all.
    output, encoding, inner
        The output, its encoding, and the shape of a shard's chunks.

    Raises
    ------
    StoreError
        If a codec changes what it must not.
    """
    try:
        back = decoded_values(data, output, encoding, values.shape, inner)
    except (ValueError, StoreError) as error:
        raise _not_kept(name, encoding, f"what it wrote cannot be read: {error}") from error
    old = None if is_new is None else ~is_new
    if old is not None and not _are_same(back[old], values[old]):
        raise _not_kept(name, encoding, "it changes values that were stored before")
    fresh, given = (back, values) if is_new is None else (back[is_new], values[is_new])
    if not encoding.lossy:
        if not _are_same(fresh, given):
            raise _not_kept(name, encoding, "it changes values, although it did not in a trial")
    elif fresh.dtype.kind in "fc":
        wrong = (np.isnan(fresh) != np.isnan(given)) | (np.isfinite(fresh) != np.isfinite(given))
        if wrong.any():
            value = given[wrong].reshape(-1)[0]
            raise _not_kept(name, encoding, f"it makes {fresh[wrong].reshape(-1)[0]} of {value}")
    return np.array(back)


def _are_same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two arrays of one dtype are equal, bit by bit."""
    if one.dtype == object:
        return bool((one == other).all())
    return np.ascontiguousarray(one).tobytes() == np.ascontiguousarray(other).tobytes()


def _not_kept(name: str, encoding: Encoding, reason: str) -> StoreError:
    codecs = encoding.codecs or "the usual codecs"
    return StoreError(
        f"the encoding of output {name!r} ({codecs}) does not keep its values: {reason}. Choose "
        "another with encoding= for a new grid, or with Grid.rechunk(encoding=...) for this one"
    )
