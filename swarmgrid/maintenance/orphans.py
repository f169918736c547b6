"""Looks for what does not belong where it lies: left by killed writers, ours and others'."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from swarmgrid.errors import DamageError
from swarmgrid.maintenance.replicas import COPY
from swarmgrid.maintenance.report import Finding
from swarmgrid.records import code_record, damage_marks, failures, tags
from swarmgrid.store import archive
from swarmgrid.store.layout import LOCKS, METADATA, PROBE
from swarmgrid.store.lease_record import MAX_NBYTES, LeaseRecord, epochs, record_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath

CHUNK_NAME = re.compile(r"c([./]\d{1,19})*", re.ASCII)
V2_CHUNK_NAME = re.compile(r"\d{1,19}(\.\d{1,19})*", re.ASCII)
"""Of an output that was converted."""
_HALVES = (".partial", ".tmp")
"""The suffixes of files that other writers rename once they are whole."""
_LEFT = "it is left over from a writer that was killed"
_OTHERS = (
    "it and all of this array that are named alike are chunks of before the output was converted, "
    "or the grid laid out anew, for readers that hold the old document; or that is at work, or "
    "was cut short"
)
_FOREIGN = "swarmgrid has not written it, and leaves it alone"


def orphan_findings(blobs: Blobs, path: GridPath, grid: StoredGrid | None) -> list[Finding]:
    """The orphans in all folders of a grid; ``grid`` is None if it is unknown.

    Looks twice where it finds something: other processes are at work.
    """

    def look() -> list[Finding]:
        return [
            *(_in_data(blobs, grid) if grid is not None else ()),
            *_in_manifest(blobs, path),
            *_of_archive(blobs, path, grid),
            *_in_locks(blobs, path),
        ]

    found = look()
    again = {finding.key for finding in look()} if found else set()
    return [finding for finding in found if finding.key in again]


def _in_data(blobs: Blobs, grid: StoredGrid) -> Iterator[Finding]:
    arrays = grid.documents()
    for name in arrays:
        folder = f"{grid.path.prefix}{name}/"
        inner = "c/" if name in grid.names else ""  # an axis that was promoted has such a folder
        own, other = _patterns(grid, name)
        others = []
        for found in blobs.names(folder):
            if other is not None and other.fullmatch(found):
                others.append(folder + found)
            elif found != METADATA and not own.fullmatch(found):
                yield _stray(blobs, folder + found)
        if others:
            yield Finding(others[0], _OTHERS, is_note=True)
        for found in blobs.names(f"{folder}{inner}") if inner else ():
            if not found.isdecimal():
                yield _stray(blobs, f"{folder}{inner}{found}")
    for found in blobs.names(grid.path.prefix):
        if found != METADATA and found not in arrays:
            yield _stray(blobs, grid.path.prefix + found)


def own_chunks(blobs: Blobs, grid: StoredGrid, name: str) -> list[str]:
    """The keys of an output's chunks that are there."""
    own, _ = _patterns(grid, name)
    return _matching(blobs, grid, name, own)


def other_chunks(blobs: Blobs, grid: StoredGrid, name: str) -> list[str]:
    """The keys of an output's chunks of before it was converted, or of a conversion cut short."""
    _, other = _patterns(grid, name)
    return [] if other is None else _matching(blobs, grid, name, other)


def _matching(blobs: Blobs, grid: StoredGrid, name: str, pattern: re.Pattern[str]) -> list[str]:
    folder = f"{grid.path.prefix}{name}/"
    return [folder + found for found in blobs.names(folder) if pattern.fullmatch(found)]


def _patterns(grid: StoredGrid, name: str) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    """The patterns of an array's chunk keys, and of those of an output's other copy."""
    if name not in grid.schema.outputs:
        return CHUNK_NAME, None
    both = (V2_CHUNK_NAME, CHUNK_NAME)
    return both if name in grid.v2_keys else both[::-1]


def _in_manifest(blobs: Blobs, path: GridPath) -> Iterator[Finding]:
    for name in blobs.names(path.manifest):
        key = path.manifest + name
        if name.endswith(failures.SUFFIX):
            data = blobs.get(key, failures.MAX_NBYTES)
            if data is not None and failures.decoded_failures(data, key) is None:
                reason = "it cannot be read: what failed, and why, is lost"
                yield Finding(key, reason, is_removed=True)
        elif name.endswith(tags.SUFFIX):
            data = blobs.get(key, tags.MAX_NBYTES)
            if data is not None and tags.decoded_tags(data, key) is None:
                yield Finding(key, "it cannot be read: tags are lost", is_removed=True)
        elif name == code_record.NAME:
            data = blobs.get(key, code_record.MAX_NBYTES)
            if data is not None and code_record.decoded_code(data, key) is None:
                yield Finding(key, "it cannot be read: the code that made the grid is lost",
                    is_removed=True)  # fmt: skip
        elif name.endswith(_HALVES):
            yield Finding(key, _LEFT, is_removed=True)
        elif not (
            name.endswith(".seg")
            or name.startswith(COPY)
            or damage_marks.mark_index(name) is not None
            or name == archive.NAME
        ):
            yield Finding(key, _FOREIGN, is_note=True)


def _of_archive(blobs: Blobs, path: GridPath, grid: StoredGrid | None) -> Iterator[Finding]:
    """The record of an archive, where it cannot be read, or nothing is archived."""
    key = path.manifest + archive.NAME
    try:
        record = archive.read_record(blobs, path)
    except DamageError as error:
        yield Finding(key, error.reason, is_removed=True)
        return
    if record is not None and grid is not None and grid.archive is None:
        place = record.archive.store
        reason = f"there may be a part of an archive in {place!r}: Grid.thaw deletes it"
        yield Finding(key, reason, is_note=True)


def _in_locks(blobs: Blobs, path: GridPath) -> Iterator[Finding]:
    """The objects that a lease's next owner removes: dead leases, and staging folders.

    And objects that tried the store out, whose processes have ended.
    """
    staging = blobs.names(f"{LOCKS}/staging/")  # before the leases: an owner's folder is older
    numbers = epochs(blobs, path.grid)
    keys = [record_key(path.grid, number) for number in numbers]
    data = blobs.get(keys[-1], MAX_NBYTES) if keys else None
    record = LeaseRecord.from_bytes(data)
    is_held = record is not None and not record.released and not record.is_dead()
    if record is None and data is not None:
        yield Finding(keys[-1], "it is no lease: the next writer of the grid waits for 30 s")
    elif record is not None and not is_held and not record.released:
        reason = f"process {record.pid} on {record.host} was killed while it held the grid"
        yield Finding(keys[-1], reason, is_note=True)
    yield from (Finding(key, "a later lease holds", is_note=True) for key in keys[:-1])
    for name in blobs.names(path.locks):
        if path.locks + name not in keys:
            yield _stray(blobs, path.locks + name)
    if record is not None or data is None:
        owner = f"{path.grid}-{record.writer}" if record is not None and is_held else None
        left = (n for n in staging if n.startswith(f"{path.grid}-") and n != owner)
        yield from (Finding(f"{LOCKS}/staging/{name}", _LEFT, is_note=True) for name in left)
    for name in blobs.names(f"{LOCKS}/"):
        probe = blobs.get(f"{LOCKS}/{name}", MAX_NBYTES) if name.startswith(PROBE) else None
        trier = LeaseRecord.from_bytes(probe)
        if trier is not None and trier.is_dead():
            yield Finding(f"{LOCKS}/{name}", _LEFT, is_note=True, is_removed=True)


def _stray(blobs: Blobs, key: str) -> Finding:
    """An object, or a folder, where there should be none; folders are left alone."""
    # with the limit 0 nothing is read: it tells a file from a folder, or from nothing
    if blobs.get(key, 0) is None:
        return Finding(key, _FOREIGN, is_note=True)
    return Finding(key, _LEFT, is_removed=True)
