"""Tags of a grid: what people note about it, by name, in records beside its manifest.

A record holds what one edit changed, and is never changed itself. Two processes that edit at the
same time both keep their edits, as long as these are of different tags.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from swarmgrid.space.tags import is_plain
from swarmgrid.store import checked_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath

SUFFIX = ".tag"
"""The suffix of the names of such records."""
MAX_NBYTES = 2**20
"""The most bytes of a record."""
COMPACT_FROM = 8
"""So many records are folded into one."""


def read_tags(blobs: Blobs, path: GridPath, names: Iterable[str]) -> dict[str, Any]:
    """The tags that some records make up; records that cannot be read are left out."""
    ordered = sorted(name for name in names if name.endswith(SUFFIX))
    if not ordered:
        return {}
    keys = [path.manifest + name for name in ordered]
    read = blobs.get_many(keys, MAX_NBYTES)
    tags: dict[str, Any] = {}
    for key, data in zip(keys, read, strict=True):
        tags |= decoded_tags(data, key) or {}
    return {name: value for name, value in tags.items() if value is not None}


def write_tags(blobs: Blobs, path: GridPath, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Keep some changes: all tags of the grid afterwards."""
    names = [name for name in blobs.names(path.manifest) if name.endswith(SUFFIX)]
    before = read_tags(blobs, path, names)
    newest = max(names, default="")
    stamp = f"{time.time_ns():020d}"
    if stamp <= newest:  # the clock of the last edit was ahead
        stamp = f"{int(newest[:20]) + 1:020d}" if newest[:20].isdecimal() else stamp
    name = f"{stamp}-{secrets.token_hex(4)}{SUFFIX}"
    _write(blobs, path, name, changes)
    names.append(name)
    if len(names) >= COMPACT_FROM:
        _fold(blobs, path, sorted(names))
    after = {**before, **changes}
    return {name: value for name, value in after.items() if value is not None}


def decoded_tags(data: bytes | None, key: str) -> dict[str, Any] | None:
    """The changes that a record holds; None if it is not as it was written under its key."""
    try:
        attributes = checked_json.checked_attributes(data or b"")
        changes = attributes["changes"]
        is_sound = attributes["key"] == key and all(
            value is None or is_plain(value) for value in changes.values()
        )
    except checked_json.MALFORMED:
        return None
    return dict(changes) if is_sound else None


def _fold(blobs: Blobs, path: GridPath, names: list[str]) -> None:
    """Replace records by one, whose name stands beside that of the last of them.

    A kill in between leaves both, which says the same. An edit that is made meanwhile has a later
    name, and holds.
    """
    read = blobs.get_many([path.manifest + name for name in names], MAX_NBYTES)
    if None in read:  # another process folds them
        return
    changes: dict[str, Any] = {}
    for name, data in zip(names, read, strict=True):
        changes |= decoded_tags(data, path.manifest + name) or {}
    # no lease is held: two processes that fold the same records write the same under one name
    # behind all of them but the last, `-` being before `.`; and that one says no more
    _write(blobs, path, f"{names[-1].removesuffix(SUFFIX)}-all{SUFFIX}", changes)
    for name in names:
        blobs.delete(path.manifest + name)


def _write(blobs: Blobs, path: GridPath, name: str, changes: Mapping[str, Any]) -> None:
    key = path.manifest + name
    document = checked_json.with_checksum({"attributes": {"key": key, "changes": dict(changes)}})
    blobs.put(key, json.dumps(document).encode())
