"""The chunks of coordinates and their second copies, each held against the other.

Of every pair the copy is written first, and the group's document after both: a growth that a
kill cuts short leaves a copy, or a pair, that is ahead of the grid.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from swarmgrid.format import zarr_metadata
from swarmgrid.format.codec import decoded, raw_nbytes, stored_limit
from swarmgrid.format.grid_io import copy_key
from swarmgrid.maintenance.report import Finding
from swarmgrid.space.canonical import canonical_bytes
from swarmgrid.store import checked_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.store.blobs import Blobs

COPY = "copy-"
"""The prefix of the names of second copies, beside the manifest."""
_AHEAD = "it differs from its pair: a growth was cut short"
_CHUNK = re.compile(r"c[./]\d+")


def replica_findings(blobs: Blobs, grid: StoredGrid) -> Iterator[Finding]:
    """The damage among the pairs of a grid whose coordinates have been read, and are whole."""
    beside = blobs.names(grid.path.manifest)
    for name, document in grid.documents().items():
        if name in grid.schema.coords and 0 not in document["shape"]:
            chunk = ".".join(["c", *["0"] * len(document["shape"])])
            yield from _needed_pair(blobs, grid, name, document, chunk)
        elif name in grid.names:
            (length,), (size,) = document["shape"], zarr_metadata.chunk_shape(document)
            needed = [
                f"c{zarr_metadata.separator(document)}{i}" for i in range(-(-length // size))
            ]
            for chunk in needed:
                yield from _needed_pair(blobs, grid, name, document, chunk)
            for chunk in sorted(_axis_chunks(blobs, grid, name, beside) - set(needed)):
                yield from _other_pair(blobs, grid, name, document, chunk)


def _axis_chunks(blobs: Blobs, grid: StoredGrid, name: str, beside: list[str]) -> set[str]:
    """The keys, within its array, of an axis' chunks that are there, or whose copies are."""
    folder, start = f"{grid.path.prefix}{name}/", f"{COPY}{name}-"
    found = {*blobs.names(folder), *(f"c/{text}" for text in blobs.names(f"{folder}c/"))}
    copied = (text.removeprefix(start) for text in beside if text.startswith(start))
    found |= {text.replace("-", "/") for text in copied}
    return {chunk for chunk in found if _CHUNK.fullmatch(chunk)}


def _needed_pair(
    blobs: Blobs, grid: StoredGrid, name: str, document: checked_json.Document, chunk: str
) -> Iterator[Finding]:
    """A chunk that the grid is read from, and which was found whole, against its copy."""
    key = f"{grid.path.prefix}{name}/{chunk}"
    copy = copy_key(grid.path, key)
    original, data = blobs.get_many([key, copy], _limit(document))
    # a first that is missing is damage that reading the grid has met before
    if data == original or original is None:
        return
    if data is None:
        yield Finding(copy, "the second copy is missing", repaired=original)
        return
    values, expected = _values(data, document), _values(original, document)
    if values is None or expected is None:
        yield Finding(copy, "the second copy cannot be read", repaired=original)
        return
    is_ahead = False
    if name in grid.names:  # of an axis' chunk, only so many values are in use
        n = document["shape"][0] - int(chunk[2:]) * zarr_metadata.chunk_shape(document)[0]
        is_ahead = canonical_bytes(values[:n]) == canonical_bytes(expected[:n])
    reason = _AHEAD if is_ahead else "the second copy differs from the first"
    yield Finding(copy, reason, is_note=is_ahead, repaired=original)


def _other_pair(
    blobs: Blobs, grid: StoredGrid, name: str, document: checked_json.Document, chunk: str
) -> Iterator[Finding]:
    """A pair that the grid is not read from: of the time before a promotion, or ahead of it.

    A promotion changes no value's size: to decode says as much with the dtype of today.
    """
    key = f"{grid.path.prefix}{name}/{chunk}"
    copy = copy_key(grid.path, key)
    pair = dict(zip((key, copy), blobs.get_many([key, copy], _limit(document)), strict=True))
    whole = {
        at: data
        for at, data in pair.items()
        if data is not None and _values(data, document) is not None
    }
    good = next(iter(whole.values()), None)
    for at, data in pair.items():
        if data is not None and at not in whole:
            yield Finding(at, "it cannot be read", repaired=good, is_removed=good is None)
        elif data != good:
            yield Finding(at, _AHEAD, is_note=True, repaired=good)


def _limit(document: checked_json.Document) -> int:
    return stored_limit(raw_nbytes(document["data_type"], zarr_metadata.chunk_shape(document)))


def _values(data: bytes, document: checked_json.Document) -> NDArray[Any] | None:
    """A chunk's values; None if they cannot be read."""
    try:
        return decoded(data, document["data_type"], zarr_metadata.chunk_shape(document))
    except ValueError:
        return None
