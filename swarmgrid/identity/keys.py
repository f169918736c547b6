"""The identities that a store knows: of a grid, of a chunk in it, and of a point."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from swarmgrid.identity.encode import digest, encode, frame


def grid_id(name: str, code: str, params: Mapping[str, Any], axes: Iterable[str]) -> str:
    """Return 32 hex digits for a function, its version or code, fixed values and axes.

    Parameters
    ----------
    name : str
        The function's name; see `function_name`.
    code : str
        Its version, or its `fingerprint`.
    params : mapping
        The fixed values, by name.
    axes : iterable of str
        The names of the axes, in any order.

    Raises
    ------
    IdentityError
        A value in ``params`` is not understood; its place begins with ``params['name']``.
    """
    # In the order of the names: a function is called by them.
    fixed = [[key, digest(params[key], f"params[{key!r}]")] for key in sorted(params)]
    return digest(["grid", name, code, fixed, sorted(axes)])


def chunk_key(grid: str, bins: Sequence[bytes]) -> bytes:
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

    Parameters
    ----------
    grid : str
        The grid's id.
    point : mapping
        The axis values of the point, by axis name.
    """
    return int.from_bytes(
        _hash(frame("seed", grid.encode(), encode(dict(sorted(point.items())), "point")))
    )


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
