"""The members of an output's encoding: those of ours, and those that xarray's encodings have."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from swarmgrid.errors import InputError, brief

if TYPE_CHECKING:
    from swarmgrid.codecs.given import GivenEncoding

KEYS = (
    *("dtype", "filters", "serializer", "compressors", "fill_value"),
    *("scale_factor", "add_offset", "chunks", "shards"),
)
"""The members, under xarray's names."""
TIMES = ("units", "calendar")
"""The members by which xarray tells times from integers."""
_DROPPED = {"preferred_chunks", "source", "original_shape", "coordinates", "own_dims"}
"""Notes of xarray, and of ours, on an array that was read: they say nothing of its storage."""
_ELSEWHERE = {
    "compressor": "compressors=, as Zarr's format 3 has it",
    "missing_value": "fill_value=",
    "chunksizes": "chunks=",
    "least_significant_digit": "filters=numcodecs.Quantize(...), or scale_factor=",
    "zlib": "compressors=, such as 'gzip'",
    "complevel": "compressors=, such as {'name': 'zstd', 'configuration': {'level': 5}}",
}
Lengths = int | tuple[int, ...] | Mapping[str, int] | None


def members(place: str, one: Mapping[Any, Any]) -> dict[str, Any]:
    """The members of an encoding, without what says nothing about how values are stored.

    Raises
    ------
    InputError
        If it has a member that there is not.
    """
    found = {}
    for key, value in one.items():
        if key in _ELSEWHERE:
            raise InputError(f"{place} has {key!r}; say {_ELSEWHERE[key]}")
        if key in _DROPPED:
            continue
        if key not in (*KEYS, *TIMES, "_FillValue"):
            close = get_close_matches(str(key), KEYS, 1)
            hint = f". Did you mean {close[0]!r}?" if close else ""
            raise InputError(f"{place} has {key!r}; expected {', '.join(KEYS)}{hint}")
        found[key] = value
    return found


def is_of_all(encoding: Mapping[Any, Any]) -> bool:
    """Whether an encoding is that of every output, and not one by output.

    Both are mappings, and an output may have the name of a member.
    """
    known = {*KEYS, *TIMES, *_DROPPED, *_ELSEWHERE, "_FillValue"}
    return (
        bool(encoding)
        and all(key in known for key in encoding)
        and not any(isinstance(v, Mapping) and known.issuperset(v) for v in encoding.values())
    )


def to_lengths_given(place: str, value: Any) -> Lengths:
    """The lengths of chunks or shards along the dims of an output, as xarray has them.

    Raises
    ------
    InputError
        If they are none.
    """
    if value is None or isinstance(value, Mapping):
        return None if value is None else dict(value)
    try:
        if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
            lengths = tuple(map(operator.index, value))
            if all(n > 0 for n in lengths):
                return lengths
        elif not isinstance(value, (bool, np.bool_)) and operator.index(value) > 0:
            return operator.index(value)
    except TypeError:  # a length is no integer, or there are several along a dim
        pass
    raise InputError(
        f"{place} is {brief(value)}; expected a length for each dim of the output: (50, 20)"
    )


def asked_lengths(
    given: Iterable[tuple[str, GivenEncoding]], axes: Sequence[str]
) -> tuple[dict[str, Any] | None, dict[str, Any] | Literal[False] | None]:
    """The chunks and the shards that encodings ask for, by axis; None: none do.

    Raises
    ------
    InputError
        If outputs are to have different ones.
    """
    found: list[Any] = []
    pairs = list(given)
    for what in ("chunks", "shards"):
        asked: dict[str, Any] = {}
        for name, one in pairs:
            lengths = getattr(one, what)
            if lengths is not None:
                asked[name] = _by_axis(f"{what} of output {name!r}", lengths, axes)
        for name, one in asked.items():
            first, other = next(iter(asked.items()))
            if one != other:
                raise InputError(
                    f"encoding asks for {what} {brief(other)} of output {first!r}, and "
                    f"{brief(one)} of {name!r}; all outputs of a grid have the same along its axes"
                )
        found.append(next(iter(asked.values()), None))
    return found[0], found[1]


def _by_axis(what: str, lengths: Any, axes: Sequence[str]) -> Any:
    if isinstance(lengths, int):  # False: no shards
        return lengths and dict.fromkeys(axes, lengths)
    if isinstance(lengths, Mapping):
        return dict(lengths)
    if len(lengths) < len(axes):
        raise InputError(
            f"encoding has the {what} {lengths}; expected a length for each of its dims, of which "
            f"the first are the axes {', '.join(axes)}"
        )
    return dict(zip(axes, lengths, strict=False))


def check_lengths(
    what: str, lengths: Lengths, shape: tuple[int, ...], own: tuple[int, ...]
) -> None:
    """Raise InputError where lengths along dims would divide an output's own dims.

    Parameters
    ----------
    what : str
        Chunks or shards.
    lengths : tuple of int or other
        The lengths asked for.
    shape : tuple of int
        The shape of a chunk, of which the last dims are the output's own.
    own : tuple of int
        The lengths of these.
    """
    if not isinstance(lengths, tuple):
        return
    n_axes = len(shape) - len(own)
    if len(lengths) not in {n_axes, len(shape)}:
        raise InputError(
            f"it has the {what} {lengths}; expected a length for each of its {len(shape)} dims"
        )
    whole = tuple(max(1, n) for n in own)
    if lengths[n_axes:] not in {(), whole}:
        raise InputError(
            f"it has the {what} {lengths}, which would divide dims of its own; expected "
            f"{lengths[:n_axes] + whole}: the values of a point are in one chunk"
        )


def is_own_fill(fill: Any, own: Any) -> bool:
    """Whether a given fill value is the one that an output has by itself."""
    if isinstance(own, np.generic):
        own = own.view("int64").item() if own.dtype.kind in "mM" else own.item()
    if not isinstance(fill, (bool, int, float, complex, str)):
        return False
    if any(isinstance(fill, kind) != isinstance(own, kind) for kind in (bool, str)):
        return False
    return bool(fill == own) or bool(fill != fill and own != own)  # noqa: PLR0124  # both are NaN
