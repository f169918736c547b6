"""A chunk of an output held against the rows of the manifest: every reader of values does that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swarmgrid.errors import DamageError
from swarmgrid.format.chunk_io import decoded_chunk
from swarmgrid.format.codec import checksum

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.records.manifest import Manifest

DIFFERS = "its values are not those that were computed"
"""The damage of a chunk that is whole, and does not hold the values of a row."""


def wrong_rows(
    grid: StoredGrid,
    manifest: Manifest,
    name: str,
    index: tuple[int, ...],
    block: NDArray[Any],
) -> Iterator[int]:
    """The numbers of the rows whose values a chunk of an output does not hold."""
    rows, is_whole = manifest.rows, manifest.is_whole(grid.chunk_shape)
    column, dtype = list(grid.schema.outputs).index(name), grid.schema.outputs[name].dtype
    for i in manifest.rows_of(index).tolist():
        part = block if is_whole[i] else rows.points(i).of(block)
        if checksum(part, dtype) != rows.checksums[i, column]:
            yield i


def check_values(
    grid: StoredGrid,
    manifest: Manifest,
    name: str,
    index: tuple[int, ...],
    key: str,
    block: NDArray[Any],
) -> None:
    """Raise DamageError where a chunk of an output does not hold the values of all its rows."""
    for _ in wrong_rows(grid, manifest, name, index, block):
        raise DamageError(key, DIFFERS)


def computed_chunk(
    data: bytes | None,
    key: str,
    grid: StoredGrid,
    manifest: Manifest,
    name: str,
    index: tuple[int, ...],
) -> NDArray[Any]:
    """The values in the stored bytes of a chunk of an output; maybe read-only.

    Raises
    ------
    DamageError
        If the chunk is gone or broken, or does not hold the values of all its rows.
    """
    block = decoded_chunk(data, key, grid, name)
    check_values(grid, manifest, name, index, key, block)
    return block
