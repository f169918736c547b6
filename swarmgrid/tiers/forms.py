"""The form of a grid: its layout, and the keys with which it is encrypted.

Tiers note the form of each grid of which they have copies. As soon as a process sees the grid in
another form, all copies of it go: no reader has a use for chunks of an old layout, and what an old
key, or none, makes readable is not to stay.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from swarmgrid.format import zarr_metadata
from swarmgrid.store import checked_json
from swarmgrid.store.layout import DATA, METADATA

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swarmgrid.format.grid import StoredGrid


def form_of(grid: StoredGrid) -> str:
    """The form of a grid."""
    return _form(grid.layout, (one.key_id for one in grid.schema.encodings.values()))


def form_in(document: bytes) -> str | None:
    """The form that a group's document describes; None if it is none of a grid."""
    try:
        found = checked_json.from_bytes(document)
        names = checked_json.attributes_of(found)["swarmgrid_outputs"]
        arrays = [found["consolidated_metadata"]["metadata"][name] for name in names]
        key_ids = [zarr_metadata.stored_encoding(array).key_id for array in arrays]
        return _form(zarr_metadata.stored_layout(arrays[0]), key_ids)
    except checked_json.MALFORMED:
        return None


def _form(layout: int, key_ids: Iterable[str]) -> str:
    return " ".join((str(layout), *sorted({*key_ids} - {""})))


def grid_in(key: str) -> str | None:
    """The prefix of all keys of the grid that a key belongs to; None if it belongs to none."""
    parts = key.split("/")
    return f"{'/'.join(parts[:3])}/" if len(parts) > 3 and parts[0] == DATA else None


def grid_of_document(key: str) -> str | None:
    """The same of the key of a grid's own document; None for any other key."""
    return grid_in(key) if key.count("/") == 3 and key.endswith(f"/{METADATA}") else None


def digest(text: str) -> str:
    """A name for a text."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
