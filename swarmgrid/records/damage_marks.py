"""Damage marks: notes that readers, which have no lease, leave about damaged chunks."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from swarmgrid.store.blobs import writing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swarmgrid.errors import DamageError
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import Location

SUFFIX = ".bad"
_MAX_NBYTES = 2**16
_NAME = re.compile(r"c((?:\.\d{1,10})*)\.bad", re.ASCII)


def marks(names: Iterable[str]) -> list[tuple[int, ...]]:
    """The chunks that are marked, by the names of a manifest's objects."""
    return [index for index in map(mark_index, names) if index is not None]


def mark_index(name: str) -> tuple[int, ...] | None:
    """The index of the chunk that a name marks; None if it is no mark."""
    found = _NAME.fullmatch(name)
    # its text is not read: any process may leave one, and the name says it all
    return None if found is None else tuple(map(int, found[1].split(".")[1:]))


def mark_name(index: tuple[int, ...]) -> str:
    """The name of a mark of one chunk."""
    return ".".join(("c", *map(str, index))) + SUFFIX


def mark_chunk(
    location: Location, path: GridPath, index: tuple[int, ...], error: DamageError
) -> bool:
    """Leave a mark that a chunk is damaged, so that the next `compute` computes its points.

    Returns
    -------
    bool
        Whether the mark is new.
    """
    blobs, key = location.open(), path.manifest + mark_name(index)
    with contextlib.suppress(Exception), writing(blobs):  # a reader may not be allowed to write
        # two readers may both find none, and both write: the marks are one object
        is_new = blobs.get(key, _MAX_NBYTES) is None
        blobs.put(key, str(error).encode()[:_MAX_NBYTES])
        return is_new
    return False
