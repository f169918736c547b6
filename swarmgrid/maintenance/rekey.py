"""Gives the snapshots of a grid another key: their documents, and the copies kept for them.

For a grid that has just been laid out anew, so that the chunks of its snapshots are copies. Those
with the new key come beside the old ones; then one write makes them count, snapshot by snapshot.
The old ones go last. A kill at any step leaves each snapshot with one key or the other.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from swarmgrid.errors import DamageError
from swarmgrid.format.chunk_io import chunk_key, reencrypted
from swarmgrid.format.grid_io import swap_documents
from swarmgrid.maintenance.kept import state_at
from swarmgrid.records.snapshot import KEPT, put_kept, snapshot_chunk, snapshot_paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.layout import GridPath


def rekey_snapshots(
    held: Lease, path: GridPath, rekeyed: Callable[[StoredGrid], StoredGrid]
) -> None:
    """Encrypt what is kept for snapshots as ``rekeyed`` says, or store it without encryption.

    A chunk of a snapshot that is lost stays so. The same call again completes one that a kill has
    cut short.

    Raises
    ------
    DamageError
        If a snapshot is damaged as a whole.
    EncryptionError
        If this process does not have a key that a snapshot needs.
    """
    copies = _Copies(held, path)
    for place in snapshot_paths(held.blobs, path):
        then = state_at(held.blobs, place)
        grid = rekeyed(then.grid)
        # copies first: until its document is replaced, the snapshot is read by the old key
        copies.add(then, grid)
        if _has_other_key(grid, then.grid):
            held.check()
            swap_documents(held.blobs, replace(grid, path=place))
    copies.delete_others()


class _Copies:
    """The copies that are kept for the snapshots of a grid."""

    def __init__(self, held: Lease, path: GridPath) -> None:
        self._held = held
        self._path = path
        self._needed: set[str] = set()
        """The keys of those that a snapshot needs."""
        self._lost: set[str] = set()
        """Folders without the values of a chunk, in which nothing is deleted."""
        self._made: dict[tuple[str, bytes], str] = {}
        """By the key of a chunk and a digest of its bytes before, the key of its new copy."""

    def add(self, then: GridState, grid: StoredGrid) -> None:
        """Write copies of the chunks of a snapshot as a grid with another key has them."""
        for index, _ in then.manifest.chunks():
            for name in grid.schema.outputs:
                key = chunk_key(grid, name, index)
                try:
                    _, data = snapshot_chunk(
                        self._held.blobs, then.grid, then.manifest, name, index
                    )
                except DamageError:
                    self._lost.add(self._path.kept(key))
                    continue
                was = key, hashlib.blake2b(data, digest_size=16).digest()
                if was not in self._made:
                    new = data
                    if _has_other_key(grid, then.grid):
                        new = reencrypted(data, then.grid, grid, name, key)
                    self._held.check()
                    self._made[was] = put_kept(self._held.blobs, self._path, key, new)
                self._needed.add(self._made[was])

    def delete_others(self) -> None:
        """Delete the copies that no snapshot needs any more."""
        blobs, folder = self._held.blobs, f"{self._path.snapshots}{KEPT}/"
        arrays = [f"{folder}{name}/" for name in blobs.names(folder)]
        for chunk in [f"{array}{name}/" for array in arrays for name in blobs.names(array)]:
            for copy in blobs.names(chunk) if chunk not in self._lost else ():
                if chunk + copy not in self._needed:
                    self._held.check()
                    blobs.delete(chunk + copy)


def _has_other_key(one: StoredGrid, other: StoredGrid) -> bool:
    return one.schema.encodings != other.schema.encodings
