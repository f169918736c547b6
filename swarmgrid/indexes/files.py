"""The objects of a grid's indexes: read, written, checked and deleted.

They need no lease: an index says itself what it covers, is replaced as a whole, and any process
may make a better one. An index holds values. Of an encrypted output it is encrypted, with the key
and under the name that its chunks have.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmgrid.errors import EncryptionError, StoreError, SwarmgridError
from swarmgrid.format.grid import read_grid
from swarmgrid.indexes import container, parts
from swarmgrid.indexes.settings import SUFFIX, IndexSettings
from swarmgrid.maintenance.report import Finding
from swarmgrid.store import checked_json
from swarmgrid.store.blobs import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.indexes.covered import Covered
    from swarmgrid.indexes.graph import Graph
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import Location

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IndexBrief:
    """An index that is kept beside a grid; made by `Grid.indexes`."""

    __module__ = "swarmgrid"

    output: str
    """The output whose vectors it holds."""
    metric: str
    connectivity: int
    expansion: int
    nbytes: int
    """Its bytes, as they are before they are encrypted."""
    name: str
    """The name of its object, under ``indexes/<grid id>/``."""


def read_index(
    blobs: Blobs, grid: StoredGrid, settings: IndexSettings
) -> tuple[Covered, bytes] | None:
    """The rows that a stored index covers, and its graph in bytes; None if there is no sound one.

    Raises
    ------
    EncryptionError
        If it is encrypted, and this process does not have the key.
    """
    key = grid.path.indexes + settings.name
    try:
        found = parts.get(
            blobs, grid.path.indexes, settings.name, _decrypt_of(grid, settings.output)
        )
        if found is None:
            return None
        _, covered, graph = container.from_bytes_of(found[0], key, settings)
    except ValueError as error:
        _log.warning("%s is damaged: %s; the index is built again", key, error)
        return None
    if not covered.is_of(grid, settings.output):
        return None
    return covered, graph


def write_index(
    location: Location, grid: StoredGrid, settings: IndexSettings, covered: Covered, graph: Graph
) -> bool:
    """Keep an index; whether that was done. What cannot be kept is used all the same."""
    path = grid.path
    if getattr(location.store, "read_only", False):
        return False
    data = container.to_bytes(path.indexes + settings.name, settings, covered, graph)
    key_id, array = _key_of(grid, settings.output)

    def encrypt(part: bytes, name: str) -> bytes:
        if not key_id:
            return part
        from swarmgrid.codecs.aes_gcm import encrypted

        return encrypted(part, key_id, array, name)

    most, blobs = min(location.max_nbytes, container.MAX_NBYTES), location.open()
    try:
        with writing(blobs):
            is_kept = parts.put(blobs, path.indexes, settings.name, data, most, encrypt)
            # the grid may have been deleted since, or encrypted with another key
            if not _is_still(blobs, grid, settings.output):
                parts.delete(blobs, path.indexes, lambda name: name == settings.name)
                return False
    except StoreError as error:
        _log.warning("the index of grid %s could not be kept: %s", path.grid, error)
        return False
    return is_kept


def briefs(blobs: Blobs, grid: StoredGrid) -> list[IndexBrief]:
    """The sound indexes of a grid."""
    found = []
    for name in blobs.names(grid.path.indexes):
        with contextlib.suppress(ValueError, StoreError):
            if name.endswith(SUFFIX) and (read := _read(blobs, grid, name)) is not None:
                one, size, _ = read
                found.append(
                    IndexBrief(one.output, one.metric, one.connectivity, one.expansion, size, name)
                )
    return found


def index_findings(blobs: Blobs, path: GridPath) -> Iterator[Finding]:
    """The objects among the indexes of a grid that are no sound index, and may go."""
    try:
        grid = read_grid(blobs, path, blobs.get(path.metadata, checked_json.MAX_DOCUMENT))
    except StoreError:
        return  # told of elsewhere: without its document nothing is known of a key
    used: set[str] = set()
    for name in sorted(blobs.names(path.indexes)):  # an index before its parts
        key = path.indexes + name
        if grid is None:
            yield Finding(
                key, "it is an index of a grid that is gone", is_note=True, is_removed=True
            )
            continue
        try:
            if name.endswith(SUFFIX):
                read = _read(blobs, grid, name)
                used.update(read[2] if read else ())
            elif name not in used:
                yield _finding_of_part(blobs, grid, name)
        except EncryptionError:
            raise
        except (ValueError, SwarmgridError) as error:
            reason = f"it is no sound index, and is built again when it is used: {error}"
            yield Finding(key, reason, is_removed=True)


def _finding_of_part(blobs: Blobs, grid: StoredGrid, name: str) -> Finding:
    """The finding on a part that no index has; ValueError if it may not lie there."""
    key = grid.path.indexes + name
    if f"{SUFFIX}." not in name:
        raise ValueError("it has no name of an index")
    data = blobs.get(key)
    if data is not None:
        _decrypt_of(grid, parts.output_of(name))(data, name)
    reason = "it is a part of no index: one is being written, or a kill has cut that short"
    return Finding(key, reason, is_note=True, is_removed=True)


def are_kept(before: StoredGrid, after: StoredGrid) -> bool:
    """Whether the indexes of a grid stay what they are when it is laid out anew.

    They do if the same chunks hold the same points. What is encrypted, or with another key, is
    not to be left in an index that is not.
    """
    outputs = before.schema.outputs
    return (
        before.chunk_shape == after.chunk_shape
        and all(before.axis_digest(name) == after.axis_digest(name) for name in before.names)
        and all(_key_of(before, name) == _key_of(after, name) for name in outputs)
    )


def delete_unsound(blobs: Blobs, path: GridPath) -> None:
    """Delete what `index_findings` finds."""
    for finding in list(index_findings(blobs, path)):
        blobs.delete(finding.key)


def _read(
    blobs: Blobs, grid: StoredGrid, name: str
) -> tuple[IndexSettings, int, list[str]] | None:
    """The settings of a stored index, its bytes and parts; ValueError if it is not sound."""
    folder = grid.path.indexes
    found = parts.get(blobs, folder, name, _decrypt_of(grid, parts.output_of(name)))
    if found is None:
        return None
    settings, _, _ = container.from_bytes_of(found[0], folder + name)
    if settings.name != name:
        raise ValueError("it has other settings than its name says")
    return settings, len(found[0]), found[1]


def _decrypt_of(grid: StoredGrid, output: str) -> Callable[[bytes, str], bytes]:
    """Makes of an object what it was before it was encrypted; ValueError if it should be."""
    key_id, array = _key_of(grid, output)

    def decrypt(data: bytes, name: str) -> bytes:
        if not key_id:
            return data
        from swarmgrid.codecs.aes_gcm import decrypted

        return decrypted(data, key_id, array, name)

    return decrypt


def _is_still(blobs: Blobs, grid: StoredGrid, output: str) -> bool:
    """Whether a grid is there, and an output of it encrypted as it was when it was read."""
    path = grid.path
    now = read_grid(blobs, path, blobs.get(path.metadata, checked_json.MAX_DOCUMENT))
    if now is None:
        return False
    return now.schema.outputs.keys() >= {output} and _key_of(now, output) == _key_of(grid, output)


def _key_of(grid: StoredGrid, output: str) -> tuple[str, str]:
    """The key of an output's encryption, and its identity to that; empty without any."""
    encoding = grid.schema.encodings.get(output)
    return ("", "") if encoding is None else (encoding.key_id, encoding.array)
