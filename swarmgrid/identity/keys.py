"""The identities that a store knows: of a grid, of a chunk in it, and of a point."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from swarmgrid.identity.arrays import as_python
from swarmgrid.identity.encode import digest, encode, frame

AXES_DIGITS = 8
"""The number of digits of a grid id that stand for the names of its axes: grids whose ids begin
alike have the same axes, so that those of one need not be read again for the others."""


def grid_id(
    name: str,
    code: object,
    fixed: Mapping[str, str],
    axes: Collection[str],
    *,
    how: Mapping[str, Any] | None = None,
    depends: Iterable[tuple[str, ...]] = (),
) -> str:
    """Return 32 hex digits for a function, what it is called with, and the axes.

    The first 8 are those of `axes_id`.

    Parameters
    ----------
    name : str
        The function's name; see `function_name`.
    code : object
        Its version with what it holds (see `bound`), or its `fingerprint`.
    fixed : mapping
        The digests of the values that are the same at every point, by parameter.
    axes : collection of str
        The names of the axes, in any order.
    how : mapping, optional
        The form of the call, if that changes the result.
    depends : iterable of tuple of str, optional
        Further things that results depend on.
    """
    parts = [
        name,
        code,
        sorted((how or {}).items()),
        list(depends),
        sorted(fixed.items()),
        sorted(axes),
    ]
    return axes_id(axes) + digest(["grid", *parts])[AXES_DIGITS:]


def axes_id(axes: Collection[str]) -> str:
    """Return 8 hex digits for the names of axes, in any order."""
    return _axes_id(tuple(sorted(axes)))


@functools.lru_cache(maxsize=256)
def _axes_id(axes: tuple[str, ...]) -> str:
    return digest(["axes", *axes])[:AXES_DIGITS]


def chunk_digest(grid: str, bins: Sequence[bytes]) -> bytes:
    """Return 16 bytes for a chunk.

    Parameters
    ----------
    grid : str
        The grid's id.
    bins : sequence of bytes
        The chunk's bin on every axis, encoded, in the grid's own order of axes.
    """
    return _hash(frame("chunk", grid.encode(), *bins))


def point_seed(grid: str, point: Mapping[str, Any]) -> int:
    """Return a 128-bit integer for a point, the same for every order of its axes.

    The hash of a frame for the grid, and behind it one for each axis, in the order of their names.

    Parameters
    ----------
    grid : str
        The grid's id.
    point : mapping
        The axis values of the point, by axis name.
    """
    parts = [
        (_known_axis_bytes if type(value) in _PLAIN and value != 0 else _axis_bytes)(name, value)
        for name, value in sorted(point.items())
    ]
    return int.from_bytes(_hash(_seed_bytes(grid) + b"".join(parts)))


_PLAIN = {int, float, str}
"""Types of which equal values have one encoding, but for the two zeros of floats."""


def _axis_bytes(name: str, value: Any) -> bytes:
    return frame("axis", name.encode(), encode(as_python(value), name))


# encoding three values takes as long as making a generator, and points have most values in common
_known_axis_bytes = functools.lru_cache(maxsize=4096, typed=True)(_axis_bytes)


@functools.lru_cache(maxsize=16)
def _seed_bytes(grid: str) -> bytes:
    return frame("seed", grid.encode())


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
