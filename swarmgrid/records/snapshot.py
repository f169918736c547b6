"""Snapshots of a grid in bytes: their records, and the chunks that are kept for them.

A snapshot is a grid without chunks: its documents, coordinates and rows lie under a prefix of its
own, and its record, written last, makes it count. Its chunks are those of the grid, as long as
they hold what its rows say. What changes such a chunk keeps a copy of it first.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import google_crc32c

from swarmgrid.errors import DamageError, FormatError
from swarmgrid.format.chunk_io import chunk_key, chunk_limit
from swarmgrid.format.described import archive_in
from swarmgrid.format.grid_io import write_grid
from swarmgrid.records.checked_chunk import computed_chunk
from swarmgrid.records.manifest import write_segments
from swarmgrid.space.tags import is_plain
from swarmgrid.store import checked_json
from swarmgrid.store.layout import FORMAT, SnapshotPath

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.format.segment import Rows
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath

SUFFIX = ".json"
KEPT = "kept"
"""The folder of the copies."""
MAX_RECORD = 2**20
"""The most bytes of a record."""
ROWS_NBYTES = 2**24
"""The most bytes of the rows in a segment of a snapshot. Larger ones take longer to read: above
32 MiB, the allocator asks the kernel for new pages each time."""


@dataclass(frozen=True, repr=False)
class Snapshot:
    """A moment of a grid that `Grid.dataset` opens, whatever is computed or deleted since."""

    __module__ = "swarmgrid"

    id: str
    """12 hex digits."""
    message: str = ""
    tags: Mapping[str, Any] = field(default_factory=dict, hash=False)
    time: dt.datetime = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    """The time at which it was taken, in UTC; 1970 where its record is damaged."""
    expires: dt.datetime | None = None
    """The time from which it may be deleted; None: never."""
    points: int = 0
    """The computed points in it."""
    damage: str = ""
    """The damage of its record, in words; empty: none. It stays until it is deleted."""
    scope: str = ""
    """The name of the scope whose own points it is of; empty: it is of a store itself."""

    def __repr__(self) -> str:
        if self.damage:
            return f"<swarmgrid.Snapshot {self.id}: damaged, {self.damage}>"
        name = f" {self.message!r}" if self.message else ""
        points = f"{self.points:,} point{'s' * (self.points != 1)}"
        rest = [
            f"{self.time:%Y-%m-%d %H:%M:%S} UTC",
            *(f"{k}={v!r}" for k, v in self.tags.items()),
        ]
        if self.expires is not None:
            rest.append(f"expires {self.expires:%Y-%m-%d %H:%M:%S}")
        if self.scope:
            rest.append(f"of scope {self.scope!r} alone")
        return f"<swarmgrid.Snapshot {self.id}{name}: {points}, {', '.join(rest)}>"

    def check(self) -> None:
        """Raise DamageError where its record is damaged."""
        if self.damage:
            raise DamageError(f"the record of snapshot {self.id}", self.damage, remedy(self.id))

    def is_expired(self, now: dt.datetime) -> bool:
        """Whether it may be deleted at a time."""
        return self.expires is not None and self.expires <= now

    def to_bytes(self, key: str) -> bytes:
        """The record under its key."""
        attributes = {
            "swarmgrid_format": FORMAT,
            "key": key,
            "message": self.message,
            "tags": dict(self.tags),
            "time": self.time.isoformat(),
            "expires": None if self.expires is None else self.expires.isoformat(),
            "points": self.points,
        }
        return checked_json.to_bytes(checked_json.with_checksum({"attributes": attributes}))

    @classmethod
    def from_bytes(cls, data: bytes, path: SnapshotPath) -> Snapshot:
        """The snapshot that a record makes.

        Raises
        ------
        DamageError
            If the record is not as it was written under its key.
        FormatError
            If it was written in a newer format.
        """
        try:
            attributes = checked_json.checked_attributes(data)
            checked_json.check_format(attributes, path.record)
            expires, points = attributes["expires"], attributes["points"]
            found = cls(
                path.snapshot,
                attributes["message"],
                attributes["tags"],
                dt.datetime.fromisoformat(attributes["time"]),
                None if expires is None else dt.datetime.fromisoformat(expires),
                points,
            )
            is_sound = (
                attributes["key"] == path.record
                and isinstance(found.message, str)
                and all(is_plain(value) for value in found.tags.values())
                and type(points) is int
                and None not in (found.time.tzinfo, (found.expires or found.time).tzinfo)
            )
        except checked_json.MALFORMED as error:
            raise DamageError(path.record, f"it is no record of a snapshot: {error}") from None
        if not is_sound:
            raise DamageError(path.record, "it is not the record that was written there")
        return found


def snapshot_paths(blobs: Blobs, path: GridPath) -> list[SnapshotPath]:
    """The places of a grid's snapshots."""
    return [
        SnapshotPath(path.function, path.grid, name.removesuffix(SUFFIX))
        for name in blobs.names(path.snapshots)
        if name.endswith(SUFFIX)
    ]


def read_snapshots(blobs: Blobs, path: GridPath) -> list[Snapshot]:
    """The snapshots of a grid, the oldest first; those whose record is damaged say so."""
    paths = snapshot_paths(blobs, path)
    read = blobs.get_many([each.record for each in paths], MAX_RECORD)
    found = [
        _listed(data, each)
        for each, data in zip(paths, read, strict=True)
        if data is not None  # deleted since the listing
    ]
    return sorted(found, key=lambda snapshot: (snapshot.time, snapshot.id))


def remedy(snapshot: str) -> str:
    """The next step where a part of a snapshot is damaged."""
    return (
        f"Grid.delete_snapshot({snapshot!r}) deletes the snapshot; the grid and its other "
        "snapshots do not need it"
    )


def _listed(data: bytes, path: SnapshotPath) -> Snapshot:
    try:
        return Snapshot.from_bytes(data, path)
    except DamageError as error:
        return Snapshot(path.snapshot, damage=error.reason)
    except FormatError as error:
        return Snapshot(path.snapshot, damage=str(error))


def write_contents(blobs: Blobs, place: SnapshotPath, grid: StoredGrid, rows: Rows) -> None:
    """Write the documents, coordinates and rows of a snapshot: all but its record."""
    write_grid(blobs, replace(grid, path=place), None)
    numbers = itertools.count()
    if len(rows):
        write_segments(
            blobs, place, lambda: f"{next(numbers):08d}.seg", grid, rows, max_nbytes=ROWS_NBYTES
        )


def keep_chunk(blobs: Blobs, grid: StoredGrid, index: tuple[int, ...]) -> None:
    """Keep a copy of one chunk of every output; of equal bytes there is one."""
    for name in grid.schema.outputs:
        key = chunk_key(grid, name, index)
        data = blobs.get(key, chunk_limit(grid, name))
        # missing or unreadable: there are no values to keep
        if data:
            put_kept(blobs, grid.path, key, data)


def put_kept(blobs: Blobs, path: GridPath, key: str, data: bytes) -> str:
    """Write a copy of a chunk of a grid, and return the key of the copy."""
    # named by its bytes: to keep a chunk a second time writes the same object again
    copy = f"{path.kept(key)}{google_crc32c.value(data):08x}"
    blobs.put(copy, data)
    return copy


def snapshot_chunk(
    blobs: Blobs, grid: StoredGrid, manifest: Manifest, name: str, index: tuple[int, ...]
) -> tuple[NDArray[Any], bytes]:
    """The values of a chunk as a snapshot has them, and the bytes that hold them.

    Parameters
    ----------
    blobs : Blobs
        The store.
    grid, manifest : StoredGrid, Manifest
        Of the snapshot, with the path of the grid itself.
    name, index : str, tuple of int
        The output, and the chunk.

    Raises
    ------
    DamageError
        If neither the grid's chunk nor a copy holds the values that the rows refer to.
    """
    key = chunk_key(grid, name, index)
    data = blobs.get(key, chunk_limit(grid, name))
    try:
        return computed_chunk(data, key, grid, manifest, name, index), data or b""
    except DamageError:
        return kept_chunk(blobs, grid, manifest, name, index)


def own_data(
    blobs: Blobs, grid: StoredGrid, manifest: Manifest, name: str, index: tuple[int, ...]
) -> bytes | None:
    """The bytes of the grid's own chunk; None if they do not hold the values of a snapshot."""
    key = chunk_key(grid, name, index)
    data = blobs.get(key, chunk_limit(grid, name))
    try:
        computed_chunk(data, key, grid, manifest, name, index)
    except DamageError:
        return None
    return data


def kept_chunk(
    blobs: Blobs, grid: StoredGrid, manifest: Manifest, name: str, index: tuple[int, ...]
) -> tuple[NDArray[Any], bytes]:
    """The same, where the grid's own chunk does not hold the values: from the copies.

    ArchivedError where there is none because the grid was archived.
    """
    key = chunk_key(grid, name, index)
    folder, limit = grid.path.kept(key), chunk_limit(grid, name)
    # copies are of any snapshot: the rows alone say which one is right
    for copy in blobs.names(folder):
        data = blobs.get(folder + copy, limit)
        with contextlib.suppress(DamageError):
            return computed_chunk(data, key, grid, manifest, name, index), data or b""
    archive = archive_in(blobs.get(grid.path.metadata, checked_json.MAX_DOCUMENT))
    if archive is not None:
        raise archive.error(grid.path)
    raise DamageError(
        key,
        "neither this chunk nor a copy that was kept of it has the values of the snapshot",
        "What else the snapshot holds can be read, unless it was deleted since, or has expired",
    )
