"""The objects of the inventory: rows in few files, and marks of grids that are being written.

Rows are only ever added: the newest one of a grid counts, so that any two processes may write,
and compact, at the same time. A mark stands from before a run's first write until its row is
written. Where it is found the row may be old, and the grid is read instead.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmgrid.inventory.row import from_columns, newest, to_columns
from swarmgrid.store import checked_json
from swarmgrid.store.layout import FORMAT, MANIFEST, GridPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from swarmgrid.inventory.row import GridRow
    from swarmgrid.store.blobs import Blobs

FOLDER = f"{MANIFEST}/catalog/"
"""The folder of the inventory; no grid id is such a word."""
MAX_ROWS_NBYTES = 2**28
"""The most bytes of an object's rows before compression."""
MAX_OBJECTS = 8
"""So many objects of rows stay."""
_ROWS = re.compile(r"\d{20}-(\d{1,12})-[0-9a-f]{16}\.cat", re.ASCII)
_MARK = re.compile(r"([0-9a-f]{32})-([0-9a-f]{1,64})\.open", re.ASCII)
_MAX_MARK = 2**16
_MAX_STAMP = 2**62
_TRIES = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mark:
    """A note that a process writes, or wrote, a grid."""

    name: str
    path: GridPath
    writer: str
    """The process' name in its lease."""


@dataclass(frozen=True)
class Inventory:
    """The objects of the inventory, at the instant they were read."""

    rows: dict[str, GridRow]
    """The newest row of every grid, those of deleted grids among them."""
    marks: tuple[Mark, ...] = ()
    damaged: tuple[str, ...] = ()
    """Objects that could not be read."""


def read_inventory(blobs: Blobs) -> Inventory:
    """The rows and marks of a store; one listing, and a request for each object."""
    for _ in range(_TRIES):
        names = blobs.names(FOLDER)
        read = [name for name in names if _ROWS.fullmatch(name) or _MARK.fullmatch(name)]
        data = blobs.get_many([FOLDER + name for name in read], MAX_ROWS_NBYTES)
        found = dict(zip(read, data, strict=True))
        gone = {name for name, one in found.items() if one is None and _ROWS.fullmatch(name)}
        if not gone or gone <= {*blobs.names(FOLDER)}:  # else compacted meanwhile: look again
            break
    rows: list[GridRow] = []
    marks, damaged = [], []
    for name, one in found.items():
        if _MARK.fullmatch(name):
            marks += [mark] if (mark := _decoded_mark(name, one)) is not None else []
            continue
        try:
            rows += decoded_rows(one or b"", FOLDER + name)
        except ValueError as error:
            _log.warning("%s%s is damaged (%s): its grids are read anew", FOLDER, name, error)
            damaged.append(name)
    return Inventory(newest(rows), tuple(marks), tuple(damaged))


def encoded_rows(rows: Sequence[GridRow], key: str) -> bytes:
    """Rows as they are stored under a key."""
    document = {"format": FORMAT, "key": key, "rows": to_columns(rows)}
    return gzip.compress(json.dumps(document).encode(), 6, mtime=0)


def decoded_rows(data: bytes, key: str) -> list[GridRow]:
    """The rows of a stored object; ValueError if it is not as it was written under its key."""
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        text = decoder.decompress(data, MAX_ROWS_NBYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not decoder.eof or decoder.unused_data:
        raise ValueError("it is cut off, too long, or something follows it")
    document = checked_json.from_bytes(text)
    if document.get("key") != key or document.get("format") != FORMAT:
        raise ValueError("it was written under another key, or in another format")
    rows = document.get("rows")
    if not isinstance(rows, dict):
        raise ValueError("it has no rows")
    return from_columns(rows)


def write_rows(blobs: Blobs, rows: Sequence[GridRow]) -> str:
    """Add rows to the inventory: the new object's name."""
    stamp = max((row.time_ns for row in rows), default=0)
    name = f"{stamp:020d}-{len(rows)}-{os.urandom(8).hex()}.cat"
    blobs.put(FOLDER + name, encoded_rows(rows, FOLDER + name))
    return name


def next_stamp(names: Iterable[str], now: int) -> int:
    """A time for a row that is to count from now on: after those of all rows that there are.

    Clocks of several machines differ: by its own, a row could be older than what it replaces.
    """
    stamps = (int(found[0][:20]) for found in map(_ROWS.fullmatch, names) if found is not None)
    return max([now, *(stamp + 1 for stamp in stamps if stamp < _MAX_STAMP)])


def write_mark(blobs: Blobs, path: GridPath, writer: str) -> str:
    """Note that a process is about to write a grid: the mark's name."""
    name = f"{path.grid}-{writer}.open"
    blobs.put(FOLDER + name, json.dumps({"folder": path.folder}).encode())
    return name


def delete(blobs: Blobs, names: Iterable[str]) -> None:
    """Delete objects of the inventory."""
    for name in names:
        blobs.delete(FOLDER + name)


def marked(names: Iterable[str]) -> set[str]:
    """The grids that have a mark among some names."""
    return {mark[1] for mark in map(_MARK.fullmatch, names) if mark is not None}


def marks_of(names: Iterable[str], grid: str) -> list[str]:
    """The marks of one grid among some names."""
    found = map(_MARK.fullmatch, names)
    return [mark[0] for mark in found if mark is not None and mark[1] == grid]


def to_compact(names: Iterable[str]) -> list[str]:
    """The objects to compact into one, so that at most `MAX_OBJECTS` stay; maybe none.

    The smallest ones are compacted, together with each that is no larger than all smaller ones
    together: a row so is written again a logarithmic number of times.
    """
    sizes = {name: int(found[1]) for name in names if (found := _ROWS.fullmatch(name))}
    if len(sizes) <= MAX_OBJECTS:
        return []
    ordered = sorted(sizes, key=lambda name: (sizes[name], name))
    total, end = sizes[ordered[0]], 2
    for i, name in enumerate(ordered[1:], 1):
        if sizes[name] <= total:
            end = i + 1
        total += sizes[name]
    return ordered[: max(end, len(ordered) - MAX_OBJECTS + 1)]


def compact(blobs: Blobs, names: Sequence[str]) -> None:
    """Replace some objects of rows by one.

    A kill in between leaves rows that are there twice. An object that is gone was compacted by
    another process, and nothing is done; one that is damaged stays for the next reader.
    """
    keys = [FOLDER + name for name in names]
    rows: list[GridRow] = []
    for key, data in zip(keys, blobs.get_many(keys, MAX_ROWS_NBYTES), strict=True):
        if data is None:
            return
        try:
            rows += decoded_rows(data, key)
        except ValueError:
            return
    left = list(newest(rows).values())
    # the real key is longer than the folder's, for which some bytes are left
    if len(encoded_rows(left, FOLDER)) > blobs.max_nbytes - 1024:  # the store takes no larger one
        return
    write_rows(blobs, left)
    delete(blobs, names)


def _decoded_mark(name: str, data: bytes | None) -> Mark | None:
    found = _MARK.fullmatch(name)
    try:
        folder = checked_json.from_bytes((data or b"")[:_MAX_MARK])["folder"]
    except (ValueError, KeyError):
        return None
    if (
        found is None
        or type(folder) is not str
        or not folder
        or GridPath(folder, "").folder != folder
    ):
        return None
    return Mark(name, GridPath(folder, found[1]), found[2])
