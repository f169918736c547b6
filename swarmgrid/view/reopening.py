"""The changes of a stored grid since a Dataset of it was opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmgrid.errors import StoreError
from swarmgrid.format.described import archive_in, layout_in
from swarmgrid.store.checked_json import MAX_DOCUMENT

if TYPE_CHECKING:
    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.store.blobs import Blobs


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
