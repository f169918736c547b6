"""The place of the values of an archived grid, and how documents name it.

The arrays of an archived grid have another encoding of chunk keys: each reader needs that before
it can take a chunk for missing, and refuses one that it does not know.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from swarmgrid.errors import ArchivedError, DamageError
from swarmgrid.store import checked_json
from swarmgrid.store.layout import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath

KEYS = "swarmgrid.archived"
"""The name of the encoding of chunk keys that arrays of an archived grid have."""
NAME = "archive.json"
"""The record, among the objects of the manifest, from the first copy to the last deletion."""
MAX_NBYTES = 2**16


@dataclass(frozen=True, slots=True)
class Archive:
    """A store of its own that holds one grid of another store."""

    store: str
    """Its folder or URL."""
    since: str
    """The time when it was begun: UTC, in ISO 8601."""
    storage_class: str = ""
    """The storage class of its chunks; empty: the usual one."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, str) or len(value) > 2**12 or not value.isprintable():
                raise ValueError(f"{name} of an archive is {checked_json.shortened(value)}")

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """The archive that members of a document describe; others are ignored."""
        return cls(**{one.name: found[one.name] for one in fields(cls)})

    def error(self, path: GridPath) -> ArchivedError:
        """The error that the values of a grid are not in its store."""
        grid = f"{path.folder}/{path.grid[:12]}"
        return ArchivedError(
            path.group,
            self.store,
            self.since,
            f"To bring them back: swarmgrid.Grid.open(store, {grid!r}).thaw(), or in the shell "
            f"swarmgrid thaw STORE {grid}",
        )


def marked(key_encoding: Mapping[str, Any], archive: Archive | None) -> dict[str, Any]:
    """The encoding of chunk keys of an array that may be archived."""
    if archive is None:
        return dict(key_encoding)
    return {"name": KEYS, "configuration": {**asdict(archive), "keys": dict(key_encoding)}}


def unmarked(key_encoding: Mapping[str, Any]) -> tuple[Mapping[str, Any], Archive | None]:
    """The encoding of chunk keys in the archive, and the archive; None: the array has none."""
    if key_encoding["name"] != KEYS:
        return key_encoding, None
    found = key_encoding["configuration"]
    return found["keys"], Archive.from_json(found)


@dataclass(frozen=True, slots=True)
class Record:
    """The note of an archive in the grid's own store, as long as there is anything of it."""

    archive: Archive
    is_left: bool = False
    """Whether all values are at home again, and the archive is being deleted."""


def read_record(blobs: Blobs, path: GridPath) -> Record | None:
    """The record of a grid's archive; None if there is none.

    Raises
    ------
    DamageError
        If the record is not as it was written.
    """
    key = path.manifest + NAME
    data = blobs.get(key, MAX_NBYTES)
    if data is None:
        return None
    try:
        attributes = checked_json.checked_attributes(data)
        checked_json.check_format(attributes, key)
        if attributes["key"] != key:
            raise ValueError("it is that of another grid")
        return Record(Archive.from_json(attributes), attributes["is_left"] is True)
    except checked_json.MALFORMED as error:
        raise DamageError(key, f"it is no record of an archive: {error}") from None


def write_record(blobs: Blobs, path: GridPath, record: Record) -> None:
    """Write the record of an archive: before its first object, and before it is deleted."""
    key = path.manifest + NAME
    attributes = {"swarmgrid_format": FORMAT, "key": key, **asdict(record.archive)}
    attributes["is_left"] = record.is_left
    document = checked_json.with_checksum({"attributes": attributes})
    blobs.put(key, checked_json.to_bytes(document))
