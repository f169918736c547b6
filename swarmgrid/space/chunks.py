"""Chunk specs, and the chunk shape that a grid gets where its user leaves it open."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import ChunksError, brief

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGET_NBYTES = 2**20
"""Of the largest output's chunk: small enough to slice, large enough to read at full speed."""
MAX_POINTS = 8192
"""Points per chunk that we choose: a growing edge rewrites at most so many."""
MIN_POINTS = 1024
"""Points per chunk that a small grid gets, too: grids start small, and grow."""
MIN_BINS = 4
"""The bins that each axis gets first in a grid of several chunks: if one grows by a value, at most
about a quarter of the grid is written again, however short the axis is."""
MAX_SECONDS = 60.0
"""Of one worker's work per chunk that we choose: a chunk is written anew while it fills up."""
MIN_COSTLY_POINTS = 16
"""Points per chunk, however much one costs."""
MAX_CHUNKS = 2**26
"""Of one request. A store that came from elsewhere may have axes whose product is any number."""
MAX_NBYTES = 2**31 - 1
"""The most bytes of a chunk: compressors count in 32 bits."""


def to_chunk_spec(chunks: object, axes: Sequence[str]) -> dict[str, int]:
    """The chunk lengths that the user asked for, by axis; axes left open are absent.

    Parameters
    ----------
    chunks : mapping or int or None
        ``{"s": 50}``, ``{"s": {"size": 50}}``, ``{"s": None}``, or one length for every axis.
    axes : sequence of str
        The names of the request's axes.

    Raises
    ------
    ChunksError
        If an axis is not there or a length is no positive integer.
    """
    return to_lengths(chunks, axes, "chunk")


def to_lengths(spec: object, axes: Sequence[str], what: str) -> dict[str, int]:
    """The lengths of chunks or shards, by axis, as `to_chunk_spec` takes them."""
    if spec is None:
        return {}
    if isinstance(spec, (int, np.integer)) and not isinstance(spec, bool):
        spec = dict.fromkeys(axes, spec)
    if not isinstance(spec, Mapping):
        raise ChunksError(
            f"{what}s is {brief(spec)}; expected a length for each axis, such as {{'s': 50}}"
        )
    unknown = [name for name in spec if name not in axes]
    if unknown:
        raise ChunksError(
            f"{what}s names {brief(unknown[0])}, which is no axis; the axes are {', '.join(axes)}"
        )
    lengths = {name: _length(name, value, what) for name, value in spec.items()}
    return {name: length for name, length in lengths.items() if length is not None}


def _length(name: str, value: Any, what: str) -> int | None:
    if isinstance(value, Mapping):
        if set(value) != {"size"}:
            raise ChunksError(
                f"the {what} spec of axis {name!r} is {brief(dict(value))}; expected {{'size': n}}"
            )
        value = value["size"]
    if value is None:
        return None
    wrong = f"the {what} length of axis {name!r} is {brief(value)}; expected "
    if isinstance(value, (bool, np.bool_)):
        raise ChunksError(f"{wrong}an integer")
    try:
        length = operator.index(value)
    except TypeError:
        raise ChunksError(f"{wrong}an integer") from None
    if length < 1:
        raise ChunksError(f"{wrong}at least 1")
    return length


def chosen_chunk_shape(
    spec: Mapping[str, int],
    lengths: Mapping[str, int],
    point_nbytes: int,
    seconds: float | None = None,
    max_nbytes: int = MAX_NBYTES,
) -> tuple[int, ...]:
    """The chunk shape of a new grid: as asked, the open axes filled up to a good chunk size.

    Parameters
    ----------
    spec : mapping
        The lengths that were asked for, by axis.
    lengths : mapping
        The number of values on every axis, by name, in the grid's order.
    point_nbytes : int
        The size of the largest output of one point.
    seconds : float, optional
        The cost of a point.
    max_nbytes : int
        The most bytes of an object of the store.

    Returns
    -------
    tuple of int
        One length per axis. An open axis gets a power of two: its length where that fits, more
        in a small grid.
    """
    budget = most_points(point_nbytes, seconds, max_nbytes)
    shape = {
        name: spec.get(name, 2 ** math.ceil(math.log2(max(n, 1)))) for name, n in lengths.items()
    }
    is_open = [name for name in shape if name not in spec]
    while is_open and math.prod(shape.values()) < min(MIN_POINTS, budget):
        shape[min(is_open, key=shape.__getitem__)] *= 2
    whole = dict(shape)
    while math.prod(shape.values()) > budget and (
        long := [name for name in is_open if shape[name] > 1]
    ):
        few = [name for name in long if shape[name] * MIN_BINS > whole[name]]
        shape[max(few or long, key=shape.__getitem__)] //= 2
    return tuple(shape.values())


def most_points(
    point_nbytes: int, seconds: float | None = None, max_nbytes: int = MAX_NBYTES
) -> int:
    """The most points of a chunk that we choose, by the size and the cost of one."""
    by_cost = MAX_POINTS
    if seconds is not None:
        by_cost = max(MIN_COSTLY_POINTS, int(min(MAX_POINTS, MAX_SECONDS / max(seconds, 1e-9))))
    by_size = min(TARGET_NBYTES, max_nbytes) // max(point_nbytes, 1)
    return max(1, min(MAX_POINTS, by_cost, by_size))


def check_n_chunks(counts: tuple[int, ...]) -> None:
    """Raise ChunksError where a request has more chunks than can be counted one by one."""
    n = math.prod(counts)
    if n > MAX_CHUNKS:
        raise ChunksError(
            f"the request has points of {n} chunks ({' x '.join(map(str, counts))}); expected at "
            f"most {MAX_CHUNKS}. Ask for fewer values at once, or for larger chunks in another "
            "store"
        )


def check_chunk_nbytes(
    shape: Mapping[str, int],
    point_nbytes: int,
    what: str = "chunk",
    max_nbytes: int = MAX_NBYTES,
) -> None:
    """Raise ChunksError where a chunk or shard is larger than a compressor or the store can take.

    Parameters
    ----------
    shape : mapping
        Its lengths, by axis.
    point_nbytes : int
        The size of the largest output of one point.
    what : str
        ``"chunk"`` or ``"shard"``.
    max_nbytes : int
        The most bytes of an object of the store.
    """
    limit, width = min(MAX_NBYTES, max_nbytes), max(1, point_nbytes)  # a point has a bit, at least
    points = math.prod(shape.values())
    if points * width <= limit:
        return
    fitting = dict(shape)
    while math.prod(fitting.values()) * width > limit and max(fitting.values(), default=1) > 1:
        longest = max(fitting, key=fitting.__getitem__)
        others = math.prod(fitting.values()) // fitting[longest]
        fitting[longest] = max(1, min(fitting[longest] // 2, limit // (width * others)))
    advice = f"Ask for {what}s={fitting}, or return smaller arrays"
    if width > limit:
        advice = "Return smaller arrays, or use a store that takes larger objects"
    raise ChunksError(
        f"a {what} of {points} points of {point_nbytes} bytes has {points * point_nbytes} bytes; "
        f"expected at most {limit}{'' if limit == MAX_NBYTES else ' in this store'}. {advice}"
    )
