"""Chunks as stored bytes and back, by any Zarr codecs that are installed.

Codecs that can be called are called; the others run on zarr's event loop, many chunks at once.
"""

from __future__ import annotations

import functools
import json
import warnings
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.codecs.zstd_frame import HEAD_NBYTES, declared_nbytes
from swarmgrid.errors import StoreError
from swarmgrid.outputs.encoding import fill_value
from swarmgrid.outputs.outputs import STRING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_SLACK = 2**16
"""Bytes that checksums, headers and lengths may add to a chunk."""


class MissingCodecError(StoreError):
    """A codec of a stored array is not installed; the stored bytes may be as they should be."""


class Pipeline:
    """The codecs of one kind of chunk, ready for use.

    Parameters
    ----------
    codecs : list of dict
        The codecs, as a Zarr document has them.
    dtype : str
        The dtype of the stored values.
    shape : tuple of int
        The shape of a chunk.
    """

    def __init__(
        self, codecs: Sequence[Mapping[str, Any]], dtype: str, shape: tuple[int, ...]
    ) -> None:
        self._dtype = dtype
        self._shape = shape
        self._names = [str(codec["name"]) for codec in codecs]
        spec = chunk_spec(dtype, shape)
        self._steps: list[tuple[Any, Any]] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a codec is not in the specification of Zarr
            for made in map(codec_of, codecs):
                codec = made.evolve_from_array_spec(spec)
                self._steps.append((codec, spec))
                spec = codec.resolve_metadata(spec)

    def encoded(self, chunks: Sequence[NDArray[Any]]) -> list[bytes]:
        """The stored bytes of some chunks."""
        from zarr.core.buffer import default_buffer_prototype

        buffer = default_buffer_prototype().nd_buffer
        memory = object if self._dtype == STRING else np.dtype(self._dtype)
        items: list[Any] = [
            buffer.from_numpy_array(np.ascontiguousarray(chunk, memory).reshape(self._shape))
            for chunk in chunks
        ]
        for codec, spec in self._steps:
            items = _applied(codec, "encode", items, spec)
        return [item.to_bytes() for item in items]

    def decoded(self, data: Sequence[bytes]) -> list[NDArray[Any]]:
        """The values of some chunks, from their stored bytes.

        Raises
        ------
        ValueError
            If the bytes are not those of such a chunk.
        """
        from zarr.core.buffer import default_buffer_prototype

        buffer = default_buffer_prototype().buffer
        try:
            items: list[Any] = [buffer.from_bytes(self._bounded(one)) for one in data]
            for number in reversed(range(len(self._steps))):
                codec, spec = self._steps[number]
                is_done = number == len(self._steps) - 1 and self._names[-1] == "gzip"
                if not is_done:
                    items = _applied(codec, "decode", items, spec)
            return [self._checked(item.as_numpy_array()) for item in items]
        except (StoreError, ValueError):
            raise
        except Exception as error:  # noqa: BLE001  # each codec has errors of its own
            raise ValueError(f"{type(error).__name__}: {error}") from None

    def _checked(self, values: NDArray[Any]) -> NDArray[Any]:
        if self._dtype == STRING:
            found = np.asarray(values, object)
        else:
            found = np.ascontiguousarray(values)
            if found.dtype.newbyteorder("=") != np.dtype(self._dtype):
                raise ValueError(f"values of {found.dtype} instead of {self._dtype}")
            found = found.astype(self._dtype, copy=False)  # stored bytes may be big-endian
        if found.size != int(np.prod(self._shape)):
            raise ValueError(f"{found.size} values instead of {self._shape}")
        return found.reshape(self._shape)

    def _bounded(self, data: bytes) -> bytes:
        """The bytes, once those that say their size are known to expand to no more than a chunk.

        Bytes of gzip, which do not say it, are expanded here, and no further than that.
        """
        last, limit = self._names[-1], 2**31 + _SLACK
        if self._dtype != STRING:
            limit = 4 * int(np.prod(self._shape)) * np.dtype(self._dtype).itemsize + _SLACK
        if last == "gzip":
            # 31: the stream has a header of gzip
            made = zlib.decompressobj(31)
            expanded = made.decompress(data, limit + 1)
            if len(expanded) > limit or not made.eof:
                raise ValueError("it is no gzip stream of a chunk's size")
            return expanded
        # where each header has the expanded size: checked before memory of that size is taken
        if last in {"zstd", "numcodecs.zstd"}:
            nbytes = declared_nbytes(data[:HEAD_NBYTES])
            if nbytes is None or nbytes > limit:
                raise ValueError(f"its {len(data)} bytes are no zstd frame of a chunk's size")
        start = {"blosc": 4, "numcodecs.blosc": 4, "numcodecs.lz4": 0}.get(last)
        if start is not None and int.from_bytes(data[start : start + 4], "little") > limit:
            raise ValueError(f"its {len(data)} bytes would expand to more than a chunk has")
        return data


@functools.lru_cache(256)
def pipeline(codecs: str, dtype: str, shape: tuple[int, ...]) -> Pipeline:
    """The codecs of a chunk, by the JSON text of their list."""
    return Pipeline(json.loads(codecs), dtype, shape)


def codec_of(codec: Mapping[str, Any]) -> Any:
    """Zarr's object for a codec of a document.

    Raises
    ------
    MissingCodecError
        If no installed package has such a codec.
    ValueError
        If its configuration is none.
    """
    from zarr.registry import get_codec_class

    name = codec["name"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a codec is not in the specification of Zarr
        try:
            found = get_codec_class(name)
        except (KeyError, ValueError):  # which of them depends on zarr's release
            raise MissingCodecError(
                f"there is no Zarr codec {name!r} here; install the package that has it, or a "
                "newer zarr or numcodecs"
            ) from None
        except ImportError as error:
            raise MissingCodecError(f"the Zarr codec {name!r} cannot be used: {error}") from None
        try:
            return found.from_dict(dict(codec))
        except ImportError as error:
            raise MissingCodecError(f"the Zarr codec {name!r} cannot be used: {error}") from None
        except (TypeError, KeyError) as error:
            raise ValueError(f"codec {name!r}: {error}") from None


def chunk_spec(dtype: str, shape: tuple[int, ...]) -> Any:
    """Zarr's description of a chunk."""
    from zarr.core.array_spec import ArrayConfig, ArraySpec
    from zarr.core.buffer import default_buffer_prototype
    from zarr.dtype import parse_dtype

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = parse_dtype("string" if dtype == STRING else np.dtype(dtype), zarr_format=3)
    config = ArrayConfig(order="C", write_empty_chunks=True)
    prototype = default_buffer_prototype()
    return ArraySpec(shape, known, fill_value(dtype), config, prototype)


def _applied(codec: Any, what: str, items: list[Any], spec: Any) -> list[Any]:
    """Some chunks after one codec; ``what`` is encode or decode."""
    call = getattr(codec, f"_{what}_sync", None)
    if call is not None:
        found = [call(item, spec) for item in items]
    else:
        from zarr.core.sync import sync

        found = list(sync(getattr(codec, what)([(item, spec) for item in items])))
    if any(item is None for item in found):
        raise ValueError(f"{type(codec).__name__} returned nothing")
    return found
