"""The chunk keys of arrays of archived grids, as an encoding that Zarr finds by its entry point.

Other readers refuse an array with an encoding that they do not know. Where swarmgrid is installed,
Zarr opens the array, and each access to a value is an error that says where the values are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from zarr.core.chunk_key_encodings import ChunkKeyEncoding

from swarmgrid.errors import ArchivedError


@dataclass(frozen=True)
class ArchivedKeys(ChunkKeyEncoding):
    """The encoding of chunk keys of an array whose values are in an archive."""

    name: ClassVar[str] = "swarmgrid.archived"
    store: str
    since: str
    storage_class: str
    keys: Any

    def encode_chunk_key(self, chunk_coords: tuple[int, ...]) -> NoReturn:
        """Raise ArchivedError: without a key nothing is read, and nothing taken for missing."""
        del chunk_coords
        function, _, grid = self.store.rpartition("/")[2].rpartition("-")[0].rpartition("-")
        grid = f"{function}/{grid}"
        raise ArchivedError(
            grid,
            self.store,
            self.since,
            f"To bring them back: swarmgrid.Grid.open(store, {grid!r}).thaw(), or in the shell "
            f"swarmgrid thaw STORE {grid}",
        )

    def decode_chunk_key(self, chunk_key: str) -> NoReturn:
        """Raise ArchivedError."""
        del chunk_key
        self.encode_chunk_key(())
