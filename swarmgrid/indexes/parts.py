"""An index as the objects of its store: one, or several where one would be too large.

The object under the index' name is the index, or says which parts it has. The parts are written
before it under names of their own, so that it is replaced as a whole. What a kill leaves belongs
to no index, and is found by that.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from swarmgrid.format import checked_object
from swarmgrid.indexes.settings import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.store.blobs import Blobs

MAGIC = b"SWGP"
_ROOM = 256
"""The most bytes that encryption adds to an object."""
_MAX_PARTS = 2**20


def put(
    blobs: Blobs,
    folder: str,
    name: str,
    data: bytes,
    max_nbytes: int,
    encrypt: Callable[[bytes, str], bytes],
) -> bool:
    """Keep an index in objects of so many bytes at most; whether it is there.

    Parameters
    ----------
    blobs, folder, name : Blobs, str, str
        The store, the folder of a grid's indexes, and the name of the index.
    data : bytes
        The index.
    max_nbytes : int
        The most bytes of an object.
    encrypt : callable
        Takes bytes and the name of their object, and returns what is stored.
    """
    size, made = max(1, max_nbytes - _ROOM), ""
    names: list[str] = []
    if len(data) > size:
        made = secrets.token_hex(4)
        starts = range(0, len(data), size)
        names = _names(name, made, len(starts))
        for part, start in zip(names, starts, strict=True):
            blobs.put(folder + part, encrypt(data[start : start + size], part))
        header = {"key": folder + name, "made": made, "parts": len(names)}
        data = checked_object.to_bytes(MAGIC, header, [])
    # last: until this write, readers take the old head, whose parts are still there
    blobs.put(folder + name, encrypt(data, name))
    there = {*blobs.names(folder)}
    for other in there.difference(names):
        # parts of the index before, or of one that another process writes at this moment
        if other.startswith(f"{name}."):
            blobs.delete(folder + other)
    if not there.issuperset(names):  # another process took them for left-overs
        blobs.delete(folder + name)
        return False
    return True


def get(
    blobs: Blobs, folder: str, name: str, decrypt: Callable[[bytes, str], bytes]
) -> tuple[bytes, list[str]] | None:
    """A stored index, and the names of its parts; None if there is none.

    Raises
    ------
    ValueError
        If it is not whole, or is not encrypted as it should be.
    """
    data = blobs.get(folder + name)
    if data is None:
        return None
    plain = decrypt(data, name)
    # an index in one object begins with a magic of its own
    if plain[:4] != MAGIC:
        return plain, []
    header, _ = checked_object.from_bytes(MAGIC, plain, "the head of an index", folder + name)
    n, made = header.get("parts"), header.get("made")
    if type(n) is not int or not 0 < n <= _MAX_PARTS or not isinstance(made, str):
        raise ValueError("its head makes no sense")
    if header.get("key") != folder + name:
        raise ValueError("it was written as another object")
    names = _names(name, made, n)
    found = blobs.get_many([folder + part for part in names])
    if any(part is None for part in found):
        raise ValueError("a part of it is missing")
    parts = [decrypt(data or b"", part) for part, data in zip(names, found, strict=True)]
    return b"".join(parts), names


def delete(blobs: Blobs, folder: str, is_meant: Callable[[str], bool] = lambda _: True) -> int:
    """Delete indexes, those whose names are meant, with their parts: how many there were."""
    names = sorted(blobs.names(folder))  # an index before its parts
    found = [(name, name.partition(SUFFIX)[0] + SUFFIX) for name in names]
    meant = [(name, index) for name, index in found if is_meant(index)]
    for name, _ in meant:
        blobs.delete(folder + name)
    return len({index for _, index in meant})


def output_of(name: str) -> str:
    """The output that an index, or a part of one, is of, by its name."""
    return name.partition(SUFFIX)[0].rpartition("-")[0]


def _names(name: str, made: str, n: int) -> list[str]:
    return [f"{name}.{made}-{i}" for i in range(n)]
