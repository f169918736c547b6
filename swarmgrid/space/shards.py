"""The chunks and shards of a new grid, with the reasons for them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from swarmgrid.errors import ChunksError
from swarmgrid.space.chunks import (
    MAX_NBYTES,
    MAX_POINTS,
    MAX_SECONDS,
    MIN_POINTS,
    chosen_chunk_shape,
    most_points,
    to_lengths,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TINY_POINTS, TINY_NBYTES = 1024, 16_384
"""A chunk of fewer points and bytes costs more to store than to hold: a file takes 4 kB."""
MANY_CHUNKS = 1000
"""So many tiny files cost little: 0.1 s to write, 4 MB."""


@dataclass(frozen=True, slots=True)
class Chunking:
    """The division of a grid's points into chunks and shards."""

    chunks: tuple[int, ...]
    """The chunk length of every axis: the least that a reader can read."""
    shards: tuple[int, ...] | None
    """The shard length of every axis: what is stored in one object. None: chunks are."""
    reason: str
    """The reason, as text for people."""

    @property
    def stored(self) -> tuple[int, ...]:
        """The lengths of what is stored in one object."""
        return self.chunks if self.shards is None else self.shards


def to_shard_spec(
    shards: object, chunks: Mapping[str, int], axes: Sequence[str]
) -> dict[str, int] | Literal[False] | None:
    """The shard lengths that the user asked for, by axis.

    Parameters
    ----------
    shards : mapping or int or False or None
        Lengths as chunks have them; False: no shards; None: as we choose.
    chunks : mapping
        The chunk lengths that were asked for.
    axes : sequence of str
        The names of the request's axes.

    Raises
    ------
    ChunksError
        If a length is none, or no multiple of the axis' chunk length.
    """
    if shards is False:
        return False
    spec = to_lengths(shards, axes, "shard")
    for name, length in spec.items():
        _check_multiple(name, length, chunks.get(name, 1))
    return spec or None


def _check_multiple(name: str, shard: int, chunk: int) -> None:
    if shard % chunk:
        near = sorted({max(1, shard // chunk) * chunk, -(-shard // chunk) * chunk})
        raise ChunksError(
            f"the shard length of axis {name!r} is {shard}; expected a multiple of its chunk "
            f"length {chunk}, such as {' or '.join(map(str, near))}"
        )


def chosen_chunking(
    spec: Mapping[str, int],
    shard_spec: Mapping[str, int] | Literal[False] | None,
    lengths: Mapping[str, int],
    point_nbytes: int,
    seconds: float | None = None,
    *,
    may_shard: bool = True,
    max_nbytes: int = MAX_NBYTES,
) -> Chunking:
    """The chunks and shards that a new grid gets.

    Parameters
    ----------
    spec, shard_spec : mapping
        The chunk and shard lengths that were asked for, by axis.
    lengths : mapping
        The number of values on every axis, by name, in the grid's order.
    point_nbytes : int
        The size of the largest output of one point.
    seconds : float, optional
        The cost of a point.
    may_shard : bool
        Whether shards may be chosen that were not asked for.
    max_nbytes : int
        The most bytes of an object of the store.
    """
    chunks = chosen_chunk_shape(spec, lengths, point_nbytes, seconds, max_nbytes)
    why = _reason(spec, lengths, chunks, point_nbytes, seconds)
    if shard_spec:
        asked = tuple(shard_spec.get(name, 0) for name in lengths)
        chunks = tuple(
            _divisor(s, c) if s and name not in spec else c
            for name, s, c in zip(lengths, asked, chunks, strict=True)
        )
        shards = tuple(s or c for s, c in zip(asked, chunks, strict=True))
        return Chunking(chunks, shards, f"{why}; shards as asked for")
    points = math.prod(chunks)
    count = math.prod(-(-n // c) for n, c in zip(lengths.values(), chunks, strict=True))
    is_tiny = points < TINY_POINTS and points * point_nbytes < TINY_NBYTES
    if not is_tiny or count <= MANY_CHUNKS:
        return Chunking(chunks, None, why)
    many = f"{count:,} chunks of {_count(points)}"
    if shard_spec is False:
        return Chunking(chunks, None, f"{why}; {many} not sharded, as asked for")
    if not may_shard:
        return Chunking(chunks, None, f"{why}; {many} not sharded, as each is one call")
    shards = chosen_shard_shape(
        chunks, tuple(lengths.values()), most_points(point_nbytes, seconds, max_nbytes)
    )
    n = math.prod(shards) // points
    if n == 1:
        return Chunking(chunks, None, f"{why}; {many} not sharded, as they cost too much each")
    because = f"sharded, because {many} would be as many files: {n:,} chunks a shard"
    return Chunking(chunks, shards, f"{why}; {because}")


def chosen_shard_shape(
    chunks: tuple[int, ...], lengths: tuple[int, ...], budget: int
) -> tuple[int, ...]:
    """The shape of shards of about ``budget`` points, no longer than the axes.

    Parameters
    ----------
    chunks : tuple of int
        The shape of a chunk; a shard holds whole ones.
    lengths : tuple of int
        The number of values on every axis.
    budget : int
        The most points of a shard.
    """
    most = [max(1, -(-n // c)) for n, c in zip(lengths, chunks, strict=True)]
    times = [1] * len(chunks)
    room = budget // math.prod(chunks)  # in chunks
    while True:
        longer = [min(2 * t, m) for t, m in zip(times, most, strict=True)]
        open_axes = [
            d
            for d, (t, n) in enumerate(zip(times, longer, strict=True))
            if n > t and math.prod(times) // t * n <= room
        ]
        if not open_axes:
            break
        d = min(open_axes, key=lambda d: times[d] * chunks[d])
        times[d] = longer[d]
    for d, t in enumerate(times):  # what doubling left over
        times[d] = max(t, min(most[d], room // (math.prod(times) // t)))
    return tuple(t * c for t, c in zip(times, chunks, strict=True))


def _divisor(shard: int, chunk: int) -> int:
    """The longest chunk up to ``chunk`` that divides a shard."""
    return next(n for n in range(min(shard, chunk), 0, -1) if shard % n == 0)


def _reason(
    spec: Mapping[str, int],
    lengths: Mapping[str, int],
    chunks: tuple[int, ...],
    point_nbytes: int,
    seconds: float | None,
) -> str:
    """The reason for a grid's chunks."""
    open_axes = [name for name in lengths if name not in spec]
    if not lengths:
        return "a grid without axes is one chunk"
    if not open_axes:
        return "as asked for"
    if seconds is not None and most_points(point_nbytes, seconds) < most_points(point_nbytes):
        aim = f"of {seconds:.2g} s; at most about {MAX_SECONDS:.0f} s are aimed at"
    elif most_points(point_nbytes) < MAX_POINTS:
        aim = f"of {point_nbytes:,} bytes; about 1 MB is aimed at"
    else:
        aim = f"between {MIN_POINTS:,} and {MAX_POINTS:,} are aimed at"
    which = "" if not spec else f" along {', '.join(open_axes)}"
    join = " " if aim.startswith("of") else "; "
    return f"chosen{which}: {_count(math.prod(chunks))} a chunk{join}{aim}"


def _count(points: int) -> str:
    return f"{points:,} point{'s' * (points != 1)}"
