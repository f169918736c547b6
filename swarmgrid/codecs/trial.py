"""Tries an encoding with made-up values: what it changes, and whether a chunk can be filled up.

A chunk is written again whenever points are added to it. So values that were read back, encoded
again beside others, must be the same: a codec for which they are not cannot hold a grid.
"""

from __future__ import annotations

import functools
import json
import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.codecs.pipeline import Pipeline, pipeline
from swarmgrid.codecs.words import codec_in_words
from swarmgrid.errors import InputError
from swarmgrid.outputs.encoding import Encoding
from swarmgrid.outputs.outputs import STRING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

MAX_TRIED = 2**14
"""Values of a chunk that is tried; of a larger one a part."""
_EXACT = {"bytes", "vlen-utf8", "transpose", "zstd", "gzip", "blosc", "crc32c"}


def changes(encoding: Encoding, dtype: str, shape: tuple[int, ...]) -> list[str]:
    """The parts of an encoding by which values change, in words; none: all are read back as given.

    Raises
    ------
    InputError
        If a codec does not keep NaN or the fill value, or changes values whenever others are
        written beside them.
    """
    parts = []
    if encoding.is_packed and np.dtype(dtype).kind in "fc":
        stored = np.dtype(encoding.stored_dtype(dtype))
        is_scaled = encoding.scale_factor is not None or encoding.add_offset is not None
        if is_scaled or not np.can_cast(np.dtype(dtype), stored):
            parts.append(encoding.packing(dtype))
    if encoding.codecs and 0 not in shape:
        stored_as = encoding.stored_dtype(dtype)
        if stored_as != STRING and np.dtype(stored_as).kind in "mM":
            stored_as = "int64"
        fill = json.dumps(_plain(encoding.stored_fill(dtype)))
        parts += _tried(encoding.codecs, stored_as, _part(shape), fill)
    return parts


def _plain(fill: Any) -> Any:
    """A fill value as the key of a cache has it."""
    if isinstance(fill, np.generic):
        fill = fill.astype("int64").item() if fill.dtype.kind in "mM" else fill.item()
    return str(fill) if isinstance(fill, complex) else fill


def _part(shape: tuple[int, ...]) -> tuple[int, ...]:
    lengths = list(shape)
    while math.prod(lengths) > MAX_TRIED:
        lengths[lengths.index(max(lengths))] = -(-max(lengths) // 2)
    return tuple(lengths)


@functools.lru_cache(256)
def _tried(codecs: str, dtype: str, shape: tuple[int, ...], fill_text: str) -> tuple[str, ...]:
    """The codecs that change values, in words."""
    listed: list[Mapping[str, Any]] = json.loads(codecs)
    names = ", ".join(map(codec_in_words, listed))
    fill = json.loads(fill_text)
    fill = complex(fill) if dtype.startswith("complex") else fill
    made = pipeline(codecs, dtype, shape)
    is_exact, memory = True, object if dtype == STRING else np.dtype(dtype)
    blank = _bits(np.full(1, fill, memory))[0]
    for sample, other in _samples(dtype, shape, fill):
        once = _there_and_back(made, sample, dtype, names)
        if not (_is_nan(sample) == _is_nan(once)).all():
            raise InputError(
                f"{names} does not keep NaN among {dtype}, which stands for points that are not "
                "computed; use other filters, or dtype= with scale_factor= for ints of a "
                "fill_value"
            )
        is_same = _bits(sample) == _bits(once)
        if not is_same[_bits(sample) == blank].all():
            raise InputError(
                f"{names} does not keep {fill!r} among {dtype}, the fill_value of points that are "
                "not computed; use other filters, or another fill_value="
            )
        is_exact &= bool(is_same.all())
        # the old ones before and behind new ones: chunks are filled in any order
        for parity in (0, 1):
            mixed, is_old = once.copy(), np.arange(once.size).reshape(shape) % 2 == parity
            mixed[~is_old] = other[~is_old]
            again = _there_and_back(made, mixed, dtype, names)
            if not (_bits(again) == _bits(once))[is_old].all():
                raise InputError(
                    f"{names} changes values of {dtype} again when others are written beside "
                    "them, so a chunk that is filled in parts would not keep what was computed; "
                    "use filters that look at each value alone, such as numcodecs.bitround or "
                    "numcodecs.quantize"
                )
    _check_zarr_reads(made, listed, sample, dtype, names)
    if is_exact:
        return ()
    changing = [codec for codec in listed if codec["name"] not in _EXACT]
    return tuple(map(codec_in_words, changing or listed))


def _check_zarr_reads(
    made: Pipeline, listed: Any, values: NDArray[Any], dtype: str, names: str
) -> None:
    """Raise InputError where Zarr's own reader makes something else of the stored bytes."""
    import zarr
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    (data,) = made.encoded([values])
    kind = np.dtype(object if dtype == STRING else dtype).kind
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": values.shape,
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": values.shape}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": {"O": "", "b": False, "c": [0.0, 0.0]}.get(kind, 0),
        "codecs": listed,
        "attributes": {},
    }
    buffer = default_buffer_prototype().buffer.from_bytes
    key = ".".join(["c", *("0" for _ in values.shape)])
    objects = {"zarr.json": buffer(json.dumps(document).encode()), key: buffer(data)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a codec is not in the specification of Zarr
            array: Any = zarr.open_array(MemoryStore(objects), mode="r")
            found = np.asarray(array[...], object if dtype == STRING else np.dtype(dtype))
        is_same = bool((_bits(found) == _bits(made.decoded([data])[0])).all())
        reason = "it returns other values"
    except Exception as error:  # noqa: BLE001  # each codec has errors of its own
        is_same, reason = False, f"{type(error).__name__}: {error}"
    if not is_same:
        raise InputError(
            f"{names} cannot be used for values of {dtype}: Zarr itself does not read back what "
            f"it writes ({reason})"
        )


def _there_and_back(made: Pipeline, values: NDArray[Any], dtype: str, names: str) -> NDArray[Any]:
    try:
        return made.decoded(made.encoded([values]))[0]
    except Exception as error:  # each codec has errors of its own
        raise InputError(
            f"{names} cannot be used for values of {dtype}: {type(error).__name__}: {error}"
        ) from error


def _samples(
    dtype: str, shape: tuple[int, ...], fill: Any
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Pairs of arrays: one to encode, and another whose values are put among the first's."""
    n, rng = math.prod(shape), np.random.default_rng(0)
    memory = object if dtype == STRING else np.dtype(dtype)
    blank = np.full(n, fill, memory)
    found: list[NDArray[Any]]
    if dtype == STRING:
        words = np.array(["", "a", "ünïcödé", "x" * 40, "\0", "日本"], object)
        found = [words[rng.integers(0, len(words), n)] for _ in range(2)]
    else:
        known = np.dtype(dtype)
        with np.errstate(all="ignore"):
            if known.kind in "iu":
                info = np.iinfo(known)
                small = rng.integers(0, 100, n).astype(known)
                found = [rng.integers(info.min, info.max, n, known, endpoint=True), small]
            elif known.kind == "b":
                found = [rng.integers(0, 2, n).astype(bool), np.ones(n, bool)]
            else:
                normal = rng.normal(size=n)
                found = [
                    normal.astype(known),
                    np.linspace(1000, 1010, n).astype(known),
                    (rng.normal(size=n) * (1e-3j if known.kind == "c" else 1e-3)).astype(known),
                ]
    first, last = blank.copy(), blank.copy()
    first[: n // 2] = found[0][: n // 2]
    last[n // 2 :] = found[0][n // 2 :]
    found += [first, last, blank]
    shaped = [one.reshape(shape) for one in found]
    return list(zip(shaped, [*shaped[1:], shaped[0]], strict=True))


def _is_nan(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind in "fc":
        return np.asarray(np.isnan(values))
    return np.zeros(values.shape, bool)


def _bits(values: NDArray[Any]) -> NDArray[Any]:
    """Values that are equal only where their bits are."""
    if values.dtype == object:
        return values
    whole = np.ascontiguousarray(values)
    if whole.dtype.kind == "c":
        parts = whole.view(f"u{whole.dtype.itemsize // 2}").reshape(*whole.shape, 2)
        return np.asarray(parts[..., 0] * 31 + parts[..., 1])
    return whole.view(f"u{whole.dtype.itemsize}")
