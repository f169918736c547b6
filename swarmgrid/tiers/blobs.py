"""The objects of a store that has tiers, as its readers of chunks and its writers see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmgrid.store.blobs import MAX_OBJECT, UNREADABLE
from swarmgrid.view.copies import FoundCopy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarmgrid.store.blobs import Blobs
    from swarmgrid.tiers.stack import Tiers


class TieredChunks:
    """The chunks of a store, for a reader that holds each against the manifest.

    Parameters
    ----------
    home : Blobs
        The store itself.
    tiers : Tiers
        The copies.
    """

    def __init__(self, home: Blobs, tiers: Tiers) -> None:
        self._home = home
        self._tiers = tiers

    def get_many(self, keys: Sequence[str], limit: int = MAX_OBJECT) -> list[FoundCopy]:
        """Several chunks, each from the nearest copy."""
        found = self._tiers.read(keys, lambda missing: self._home.get_many(missing, limit))
        return [_bounded(copy, limit) for copy in found]

    def again(self, key: str, limit: int = MAX_OBJECT) -> FoundCopy:
        """Drop the copies of a chunk of which one was not right: it from home.

        No tier is asked: another reader, with older rows, may have put its copy there again.
        """
        self._tiers.drop(key, is_damaged=True)
        return _bounded(self._tiers.from_home(key, self._home.get_many([key], limit)[0]), limit)


class TieredWriter:
    """The objects of a store for a writer: everything goes home, and chunks leave a copy.

    Parameters
    ----------
    home : Blobs
        The store itself.
    tiers : Tiers
        The copies.
    """

    def __init__(self, home: Blobs, tiers: Tiers) -> None:
        self._home = home
        self._tiers = tiers
        self.max_nbytes = home.max_nbytes
        """The most bytes of an object."""

    @property
    def is_create_atomic(self) -> bool:
        """Whether the store promises that `create` is exclusive among processes."""
        return self._home.is_create_atomic

    def get(self, key: str, limit: int = MAX_OBJECT) -> bytes | None:
        """The object's bytes, from home: a writer may not take a copy for the truth."""
        data = self._home.get(key, limit)
        self._tiers.saw_document(key, data)
        return data

    def get_many(self, keys: Sequence[str], limit: int = MAX_OBJECT) -> list[bytes | None]:
        """Several objects, from home."""
        return self._home.get_many(keys, limit)

    def put(self, key: str, data: bytes) -> None:
        """Write an object home, and then its copies."""
        self._home.put(key, data)  # first: no copy is of what home has never had
        if is_chunk(key) and self._tiers.is_of_output(key):
            self._tiers.written(key, data)
        elif is_chunk(key):
            self._tiers.drop(key)
        self._tiers.saw_document(key, data)

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless there is one; leases are such objects, and have no copies."""
        return self._home.create(key, data)

    def delete(self, key: str) -> None:
        """Remove an object, and then its copies: a reader could put them back before."""
        self._home.delete(key)
        self._tiers.drop(key)

    def names(self, prefix: str) -> list[str]:
        """The objects and folders directly in a folder."""
        return self._home.names(prefix)

    def begin_writing(self) -> None:
        """Make ready what this writer needs."""
        self._home.begin_writing()

    def end_writing(self) -> None:
        """Tidy up after this writer."""
        self._home.end_writing()

    def fence_others(self) -> None:
        """End every other writer of the same group."""
        self._home.fence_others()


def _bounded(copy: FoundCopy, limit: int) -> FoundCopy:
    """A copy, of which no reader decodes more bytes than a chunk may have."""
    if isinstance(copy.data, bytes) and len(copy.data) > limit:
        return FoundCopy(UNREADABLE, copy.is_home)
    return copy


def is_chunk(key: str) -> bool:
    """Whether a key may be that of an output's chunk."""
    return key.startswith("data.zarr/") and not key.endswith("/zarr.json")
