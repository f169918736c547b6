"""The changes of a stored grid since a Dataset of it was opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmgrid.errors import DamageError, StoreError
from swarmgrid.format.chunk_io import chunk_key, chunk_limit
from swarmgrid.format.described import archive_in, layout_in
from swarmgrid.records.checked_chunk import computed_chunk
from swarmgrid.records.damage_marks import mark_chunk
from swarmgrid.records.second_look import is_damaged_now
from swarmgrid.store.checked_json import MAX_DOCUMENT

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.location import Location


def grid_at_home(blobs: Blobs, opened: StoredGrid) -> StoredGrid:
    """The grid as it was opened, with its values in the store.

    Raises
    ------
    ArchivedError
        If they are in an archive now.
    StoreError
        If the grid was laid out anew since it was opened.
    """
    path = opened.path
    data = blobs.get(path.metadata, MAX_DOCUMENT)
    archive, layout = archive_in(data), layout_in(data)
    if archive is not None:
        raise archive.error(path)
    if layout is not None and layout != opened.layout:
        raise StoreError(
            f"grid {path.group} was laid out anew since this Dataset was opened (rechunk, "
            "compress or rotate of Grid), and the chunks that it reads are gone. No value is "
            "lost: open it again"
        )
    return opened.at_home()


def read_again(
    location: Location,
    opened: StoredGrid,
    manifest: Manifest,
    name: str,
    index: tuple[int, ...],
    error: DamageError,
) -> NDArray[Any]:
    """The values of a chunk that was found not to hold what the rows of a Dataset say.

    Parameters
    ----------
    location : Location
        The store.
    opened, manifest : StoredGrid, Manifest
        The grid and its rows as the Dataset has them.
    name, index : str, tuple of int
        The output, and the chunk.
    error : DamageError
        The finding.

    Raises
    ------
    DamageError
        If it does not hold what the rows of now say: it is damaged, and marked for the next
        `compute`.
    StoreError
        If it does: its points were changed since the Dataset was opened.
    """
    blobs, path = location.open(), opened.path
    opened = grid_at_home(blobs, opened)
    if is_damaged_now(blobs, path, name, index):
        if mark_chunk(location, path, index, error):
            from swarmgrid.inventory.keeping import note_change

            note_change(location, path)
        raise error
    key = chunk_key(opened, name, index)
    data = blobs.get(key, chunk_limit(opened, name))
    try:  # a chunk may have been repaired since it was read
        return computed_chunk(data, key, opened, manifest, name, index)
    except DamageError:
        raise StoreError(
            f"{key} has changed since this Dataset was opened: points of it were deleted or "
            "computed again, or an output was converted. Nothing is damaged: open it again"
        ) from None
