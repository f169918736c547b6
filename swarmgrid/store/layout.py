"""The layout of a store: the keys of everything in it, relative to its root."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

FORMAT = 1
"""The version of the format that this swarmgrid writes, and the newest that it reads."""
DATA = "data.zarr"
MANIFEST = "manifest"
LOCKS = "locks"
SNAPSHOTS = "snapshots"
SCOPES = "scopes"
"""The folder of the scopes, each of which is a whole store."""
INDEXES = "indexes"
BLOCKS = "memoized-blocks"
"""The group of recorded blocks. No function has this name, as it is no identifier."""
METADATA = "zarr.json"
PROBE = "probe-"
"""The prefix of the names of objects, under ``locks``, that try out a store."""


@functools.lru_cache(maxsize=256)  # of every key that is read or written
def _folder(function: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", function).strip(".") or "_"


@dataclass(frozen=True, slots=True)
class GridPath:
    """The keys of one grid."""

    function: str
    """The function's qualified name."""
    grid: str
    """The grid id."""

    @property
    def folder(self) -> str:
        """The group of the function's grids, under ``data.zarr``."""
        return _folder(self.function)

    @property
    def group(self) -> str:
        """The grid's group, under ``data.zarr``."""
        return f"{self.folder}/{self.grid}"

    @property
    def prefix(self) -> str:
        """The prefix of all keys of the group."""
        return f"{DATA}/{self.group}/"

    @property
    def metadata(self) -> str:
        """The key of the group's metadata document, which describes the grid at one instant."""
        return f"{self.prefix}{METADATA}"

    @property
    def parents(self) -> tuple[str, ...]:
        """The metadata documents of the groups above, from the root down."""
        return f"{DATA}/{METADATA}", f"{DATA}/{self.folder}/{METADATA}"

    def array_metadata(self, name: str) -> str:
        """The metadata document of one array."""
        return f"{self.prefix}{name}/{METADATA}"

    def chunk(self, name: str, index: tuple[int, ...], separator: str = ".") -> str:
        """One chunk of an array: ``c.0.1`` in one folder, or ``c/0/1``."""
        return f"{self.prefix}{name}/{separator.join(('c', *map(str, index)))}"

    def v2_chunk(self, name: str, index: tuple[int, ...]) -> str:
        """One chunk of an array with the keys of Zarr's version 2: ``0.1``."""
        return f"{self.prefix}{name}/{'.'.join(map(str, index)) or '0'}"

    @property
    def manifest(self) -> str:
        """The prefix of the keys of the manifest's segments."""
        return f"{MANIFEST}/{self.grid}/"

    @property
    def locks(self) -> str:
        """The prefix of the keys of the grid's leases."""
        return f"{LOCKS}/{self.grid}/"

    @property
    def snapshots(self) -> str:
        """The prefix of the keys of the grid's snapshots."""
        return f"{SNAPSHOTS}/{self.grid}/"

    @property
    def indexes(self) -> str:
        """The prefix of the keys of the grid's search indexes."""
        return f"{INDEXES}/{self.grid}/"

    def kept(self, key: str) -> str:
        """The prefix of the copies of one chunk that are kept for snapshots."""
        return f"{self.snapshots}kept/{key.removeprefix(self.prefix)}/"


@dataclass(frozen=True, slots=True)
class SnapshotPath(GridPath):
    """The keys of a snapshot: those of a grid that has documents and rows, but no chunks."""

    snapshot: str
    """The snapshot's id."""

    @property
    def prefix(self) -> str:
        """The prefix of its documents and coordinates."""
        return f"{self.snapshots}{self.snapshot}/data/"

    @property
    def manifest(self) -> str:
        """The prefix of its segments."""
        return f"{self.snapshots}{self.snapshot}/manifest/"

    @property
    def record(self) -> str:
        """The key of the record that makes it count."""
        return f"{self.snapshots}{self.snapshot}.json"
