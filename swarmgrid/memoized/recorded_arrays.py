"""Recorded arrays: how each dtype is stored as Zarr, in which chunks, and how parts are read."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import DamageError, InputError, StoreError
from swarmgrid.format import zarr_metadata
from swarmgrid.format.chunk_parts import in_parts
from swarmgrid.format.codec import checksum, decoded, encoded, filled, raw_nbytes, stored_limit
from swarmgrid.outputs.outputs import STRING
from swarmgrid.space.selection import AxisSelection, Selection
from swarmgrid.store import checked_json
from swarmgrid.store.layout import DATA, METADATA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from swarmgrid.store.blobs import Blobs

MAX_CHUNK_BYTES = 2**25
"""Large enough that requests do not matter, small enough to be compressed in memory."""
_DTYPE = re.compile(r"[<>|=][biufcmMUSV]\d{1,9}(\[\d{0,9}[A-Za-z]{1,7}\])?", re.ASCII)
_TEXTS = {"T": "T", "O": "str"}
"""The recorded dtypes of strings of any length, by kind; numpy's text would be ``|O``."""
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


@dataclass(frozen=True, slots=True)
class RecordedArray:
    """One array of a recorded block, and where it is stored."""

    group: str
    """The Zarr group, under ``data.zarr``."""
    name: str
    """The array's name in the group."""
    dtype: np.dtype[Any]
    """The dtype that it had."""
    shape: tuple[int, ...]
    """The shape that it had."""
    checksums: tuple[int, ...] = ()
    """The CRC-32C of every chunk's values, in C order of the chunks."""

    @property
    def stored_dtype(self) -> str:
        """The name of the dtype that the Zarr array has."""
        return _stored_dtype(self.dtype)

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The shape of the Zarr array: dtypes that Zarr lacks are bytes along a last dim."""
        return self.shape + _inner(self.dtype)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """The chunk shape of the Zarr array."""
        return _chunk_shape(self.stored_shape, max(1, self.dtype.itemsize))

    @property
    def n_chunks(self) -> int:
        """The number of chunks; 0 for an array without elements."""
        if 0 in self.stored_shape:
            return 0
        pairs = zip(self.stored_shape, self.chunk_shape, strict=True)
        return math.prod(-(-n // length) for n, length in pairs)

    @property
    def chunks(self) -> list[tuple[int, ...]]:
        """The index of every chunk, in C order."""
        counts = (
            -(-n // length) for n, length in zip(self.stored_shape, self.chunk_shape, strict=True)
        )
        return list(np.ndindex(*counts))

    def key(self, index: tuple[int, ...]) -> str:
        """The key of a chunk."""
        return f"{DATA}/{self.group}/{self.name}/{'.'.join(('c', *map(str, index)))}"

    @property
    def _limit(self) -> int:
        return stored_limit(raw_nbytes(self.stored_dtype, self.chunk_shape))

    @property
    def metadata_key(self) -> str:
        """The key of the array's metadata document."""
        return f"{DATA}/{self.group}/{self.name}/{METADATA}"

    def document(self, dims: Sequence[str] | None = None) -> checked_json.Document:
        """The array's metadata document; dims without a name are named after the array."""
        dims = [f"{self.name}.dim_{d}" for d in range(len(self.shape))] if dims is None else dims
        inner = [f"{self.name}.bytes"] * len(_inner(self.dtype))
        return zarr_metadata.array_document(
            self.stored_dtype,
            self.stored_shape,
            self.chunk_shape,
            [*dims, *inner],
            _attributes(self.dtype),
        )

    def encoded_chunks(self, values: NDArray[Any]) -> Iterator[tuple[str, bytes, int]]:
        """Every chunk of the array's values: its key, its stored bytes and its checksum."""
        stored = _to_stored(values)
        for index in self.chunks:
            starts = [i * length for i, length in zip(index, self.chunk_shape, strict=True)]
            part = stored[
                tuple(slice(i, i + n) for i, n in zip(starts, self.chunk_shape, strict=True))
            ]
            block = filled(self.chunk_shape, self.stored_dtype)
            block[tuple(map(slice, part.shape))] = part
            try:
                yield (
                    self.key(index),
                    encoded(block, self.stored_dtype),
                    checksum(block, self.stored_dtype),
                )
            except UnicodeEncodeError as error:
                raise InputError(f"a string of a recorded array is no Unicode: {error}") from None

    def read(
        self, blobs: Blobs, selected: Sequence[NDArray[np.intp]] | None = None
    ) -> NDArray[Any]:
        """The array's values, or those at some indices along each dim; writable.

        Raises
        ------
        DamageError
            If a chunk is missing, or its values are not those that were recorded.
        """
        chosen = [*selected] if selected is not None else [np.arange(n) for n in self.shape]
        chosen += [np.arange(n) for n in _inner(self.dtype)]
        selection = Selection(tuple(map(AxisSelection, chosen, self.chunk_shape)))
        memory = np.dtype(object) if self.stored_dtype == STRING else np.dtype(self.stored_dtype)
        values = _empty(selection.shape, memory)
        number = {index: i for i, index in enumerate(self.chunks)}

        def write_part(part: Sequence[tuple[int, ...]]) -> None:
            indices = [selection.chunk_index(touched) for touched in part]
            expected = [self.checksums[number[index]] for index in indices]
            for touched, block in zip(part, self._blocks(blobs, indices, expected), strict=True):
                inside = block[selection.index_in_chunk(touched)]
                values[selection.index_in_request(touched)] = inside

        chunk_nbytes = math.prod(self.chunk_shape) * memory.itemsize
        in_parts(list(selection.touched()) if values.size else [], chunk_nbytes, write_part)
        return _from_stored(values, self.dtype)

    def _blocks(
        self, blobs: Blobs, indices: list[tuple[int, ...]], expected: list[int]
    ) -> Iterator[NDArray[Any]]:
        keys = [self.key(index) for index in indices]
        for key, data, crc in zip(keys, blobs.get_many(keys, self._limit), expected, strict=True):
            if data is None:
                raise DamageError(key, f"it is missing; {ADVICE}")
            try:
                block = decoded(data, self.stored_dtype, self.chunk_shape)
            except ValueError as error:
                raise DamageError(key, f"{error}; {ADVICE}") from None
            if checksum(block, self.stored_dtype) != crc:
                raise DamageError(key, f"its values are not those that were recorded; {ADVICE}")
            yield block


ADVICE = "run the block once with mode='rewrite'"


def _empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError) as error:
        raise StoreError(
            f"a recorded array of the shape {shape} cannot be read: {error}"
        ) from None


def check_storable(values: NDArray[Any], place: str) -> None:
    """Raise InputError where an array cannot be recorded."""
    dtype = values.dtype
    is_known = dtype.kind in "biufcmMUSVT" and dtype.names is None and dtype.subdtype is None
    if dtype.kind in "OT":
        is_known = all(isinstance(value, str) for value in values.reshape(-1).tolist())
    if not is_known or (dtype.itemsize == 0 and dtype.kind != "T"):
        raise InputError(
            f"{place} is an array of dtype {dtype}; expected one of numbers, bools, strings, "
            "bytes or times"
        )


def dtype_text(dtype: np.dtype[Any]) -> str:
    """The text by which a dtype is recorded."""
    return _TEXTS.get(dtype.kind, dtype.str)


def to_dtype(text: str) -> np.dtype[Any]:
    """The dtype of a recorded text; ValueError if it is of no array that can be recorded.

    Above all no text of numpy's for objects: it would take recorded bytes for their addresses.
    Objects have a text of their own, and are read as strings.
    """
    if text == _TEXTS["T"]:
        return np.dtypes.StringDType()
    if text == _TEXTS["O"]:
        return np.dtype(object)
    if not isinstance(text, str) or not _DTYPE.fullmatch(text):
        raise ValueError(f"{text!r} is no dtype of a recorded array")
    return np.dtype(text)


def _is_raw(dtype: np.dtype[Any]) -> bool:
    """Whether Zarr has no such dtype, so that the bytes are stored."""
    return dtype.kind in "SV" or (dtype.kind in "fc" and dtype.name not in _FLOATS)


_FLOATS = {"float16", "float32", "float64", "complex64", "complex128"}


def _inner(dtype: np.dtype[Any]) -> tuple[int, ...]:
    return (dtype.itemsize,) if _is_raw(dtype) else ()


def _stored_dtype(dtype: np.dtype[Any]) -> str:
    if _is_raw(dtype):
        return "uint8"
    if dtype.kind in "UTO":
        return STRING
    return "int64" if dtype.kind in "mM" else str(dtype.name)


def _attributes(dtype: np.dtype[Any]) -> dict[str, Any]:
    """Attributes by which other readers tell times from integers (CF conventions, as xarray)."""
    if dtype.kind not in "mM":
        return {}
    unit, step = np.datetime_data(dtype)
    if unit not in _UNITS or step != 1:
        return {}
    if dtype.kind == "m":
        return {"units": _UNITS[unit], "dtype": f"timedelta64[{unit}]"}
    return {"units": f"{_UNITS[unit]} since 1970-01-01", "calendar": "proleptic_gregorian"}


def _to_stored(values: NDArray[Any]) -> NDArray[Any]:
    dtype = values.dtype
    if _is_raw(dtype):
        flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        return flat.reshape(*values.shape, dtype.itemsize)
    if dtype.kind in "UT":
        return values.astype(object)
    if dtype.kind in "mM":
        return values.astype(dtype.newbyteorder("=")).view(np.int64)
    return values


def _from_stored(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if _is_raw(dtype):
        return np.ascontiguousarray(values).reshape(-1).view(dtype).reshape(values.shape[:-1])
    if dtype.kind in "mM":
        return values.view(dtype.newbyteorder("=")).astype(dtype, copy=False)
    return values.astype(dtype, copy=False)


def _chunk_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """The largest chunks within the limit, cut along the first dims."""
    lengths = [max(1, n) for n in shape]
    for axis in range(len(lengths)):
        if math.prod(lengths) * itemsize <= MAX_CHUNK_BYTES:
            break
        lengths[axis] = max(1, MAX_CHUNK_BYTES // (math.prod(lengths[axis + 1 :]) * itemsize))
    return tuple(lengths)
