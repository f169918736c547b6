"""The objects of a grid's indexes: read, written, checked and deleted.

They need no lease: an index says itself what it covers, each is one object that is replaced as a
whole, and any process may make a better one. An index holds values. Of an encrypted output it is
encrypted, with the key and under the name that its chunks have.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmgrid.errors import EncryptionError, StoreError, SwarmgridError
from swarmgrid.format.grid import read_grid
from swarmgrid.indexes import container
from swarmgrid.indexes.settings import SUFFIX, IndexSettings
from swarmgrid.maintenance.report import Finding
from swarmgrid.readable import nbytes
from swarmgrid.store import checked_json
from swarmgrid.store.blobs import writing

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """The bytes of its object."""
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
    data = blobs.get(key)
    if data is None:
        return None
    try:
        plain = _decrypted(data, grid, settings.output, settings.name)
        _, covered, graph = container.from_bytes_of(plain, key, settings)
    except ValueError as error:
        _log.warning("%s is damaged: %s; the index is built again", key, error)
        return None
    if not covered.is_of(grid, settings.output):
        return None
    return covered, graph


def warn_if_not_kept(location: Location, output: str, size: int) -> None:
    """Warn that an index of about so many bytes will not be kept: before it is built."""
    most = max_nbytes(location)
    if size > most and not getattr(location.store, "read_only", False):
        _log.warning(
            "the index of output %r will have about %s, and an object of %s takes %s at most: it "
            "is built in memory, and not kept for the next time. A smaller connectivity= makes "
            "it smaller; ds.swarmgrid.nearest needs none",
            output,
            nbytes(size),
            location.url,
            nbytes(most),
        )


def max_nbytes(location: Location) -> int:
    """The most bytes of an index that a store keeps."""
    return min(location.max_nbytes, container.MAX_NBYTES)


def write_index(
    location: Location, grid: StoredGrid, settings: IndexSettings, covered: Covered, graph: Graph
) -> bool:
    """Keep an index; whether that was done. What cannot be kept is used all the same."""
    path, key = grid.path, grid.path.indexes + settings.name
    most = max_nbytes(location)
    if getattr(location.store, "read_only", False) or graph.nbytes_of(len(graph)) > most:
        return False  # as `warn_if_not_kept` said; its bytes would be in memory twice
    data = container.to_bytes(key, settings, covered, graph)
    if len(data) > most:
        _log.warning(
            "the index of output %r has %s, and an object of %s takes %s at most: it is used, "
            "and not kept",
            settings.output,
            nbytes(len(data)),
            location.url,
            nbytes(most),
        )
        return False
    key_id, array = _key_of(grid, settings.output)
    if key_id:
        from swarmgrid.codecs.aes_gcm import encrypted

        data = encrypted(data, key_id, array, settings.name)
    blobs = location.open()
    try:
        with writing(blobs):
            blobs.put(key, data)
            # the grid may have been deleted since, or encrypted with another key
            if not _is_still(blobs, grid, settings.output):
                blobs.delete(key)
                return False
    except StoreError as error:
        _log.warning("the index of grid %s could not be kept: %s", path.grid, error)
        return False
    return True


def briefs(blobs: Blobs, grid: StoredGrid) -> list[IndexBrief]:
    """The sound indexes of a grid."""
    found = []
    for name, data in _stored(blobs, grid.path):
        with contextlib.suppress(ValueError, StoreError):
            one = _settings(data, grid, name)
            found.append(
                IndexBrief(
                    one.output, one.metric, one.connectivity, one.expansion, len(data), name
                )
            )
    return found


def index_findings(blobs: Blobs, path: GridPath) -> Iterator[Finding]:
    """The objects among the indexes of a grid that are no sound index, and may go."""
    try:
        grid = read_grid(blobs, path, blobs.get(path.metadata, checked_json.MAX_DOCUMENT))
    except StoreError:
        return  # told of elsewhere: without its document nothing is known of a key
    for name, data in _stored(blobs, path):
        key = path.indexes + name
        if grid is None:
            yield Finding(
                key, "it is an index of a grid that is gone", is_note=True, is_removed=True
            )
            continue
        try:
            _settings(data, grid, name)
        except EncryptionError:
            raise
        except (ValueError, SwarmgridError) as error:
            reason = f"it is no sound index, and is built again when it is used: {error}"
            yield Finding(key, reason, is_removed=True)


def delete_indexes(blobs: Blobs, path: GridPath, output: str | None = None) -> int:
    """Delete the indexes of a grid, or those of one output: how many there were."""
    names = [
        name
        for name in blobs.names(path.indexes)
        if output is None or name.rpartition("-")[0] == output
    ]
    for name in names:
        blobs.delete(path.indexes + name)
    return len(names)


def delete_unsound(blobs: Blobs, path: GridPath) -> None:
    """Delete what `index_findings` finds."""
    for finding in list(index_findings(blobs, path)):
        blobs.delete(finding.key)


def _stored(blobs: Blobs, path: GridPath) -> Iterator[tuple[str, bytes]]:
    for name in blobs.names(path.indexes):
        data = blobs.get(path.indexes + name)
        if data is not None:
            yield name, data


def _settings(data: bytes, grid: StoredGrid, name: str) -> IndexSettings:
    """The settings of a stored index; ValueError if it is not sound."""
    if not name.endswith(SUFFIX):
        raise ValueError("it has no name of an index")
    output = name.rpartition("-")[0]
    key = grid.path.indexes + name
    plain = _decrypted(data, grid, output, name)
    settings, _, _ = container.from_bytes_of(plain, key)
    if settings.name != name:
        raise ValueError("it has other settings than its name says")
    return settings


def _decrypted(data: bytes, grid: StoredGrid, output: str, name: str) -> bytes:
    """An index as it was before it was encrypted; ValueError if it is not, and should be."""
    key_id, array = _key_of(grid, output)
    if not key_id:
        return data
    from swarmgrid.codecs.aes_gcm import decrypted

    return decrypted(data, key_id, array, name)


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
