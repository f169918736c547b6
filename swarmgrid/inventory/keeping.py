"""Keeps the inventory in step with the grids: by their writers, and by readers where it is not.

Reading rows needs no numpy: what reads a grid itself is imported when one is to be read.
"""

from __future__ import annotations

import contextlib
import logging
import re
import time
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import StoreError
from swarmgrid.inventory import objects
from swarmgrid.inventory.row import GridRow
from swarmgrid.store import checked_json
from swarmgrid.store.blobs import writing
from swarmgrid.store.layout import BLOCKS, DATA, METADATA, GridPath
from swarmgrid.store.lease_record import highest_record
from swarmgrid.threads import call_each

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.location import Location

_GRID = re.compile(r"[0-9a-f]{32}")
_THREADS = 16

_log = logging.getLogger(__name__)


class Recording:
    """The outcome of a ``with`` block of `recorded`."""

    def __init__(self) -> None:
        self.state: GridState | None = None
        """The grid as it was read at the end of the block; None: it could not be, or is gone."""


@contextlib.contextmanager
def recorded(held: Lease, path: GridPath, *, may_delete: bool = False) -> Iterator[Recording]:
    """Have the inventory know of all that is written of a grid within a ``with`` block.

    Whatever ends the block, a row is written then. A process that is killed in it leaves its
    mark. Neither may end a run that could go on: the inventory is a hint.

    Parameters
    ----------
    held : Lease
        The right to write the grid.
    path : GridPath
        The grid.
    may_delete : bool
        Whether the grid may have been deleted in the block. A grid that was never made needs no
        row that says so.
    """
    from swarmgrid.records.grid_state import read_state

    recording = Recording()
    # first: readers look at a marked grid itself, whatever its row says, however the block ends
    with _told("a mark", path):
        objects.write_mark(held.blobs, path, held.writer)
    try:
        yield recording
    finally:
        with _told("a row", path):
            held.check()  # what another owner does is for it to record
            # before the look: of two rows, the one of the later look counts
            names = held.blobs.names(objects.FOLDER)
            now = objects.next_stamp(names, time.time_ns())
            recording.state = read_state(held.blobs, path)
            row = _to_row(held.blobs, path, recording.state, now)
            _add(held.blobs, [] if row.is_gone and not may_delete else [row], path, names)


def note_change(location: Location, path: GridPath) -> None:
    """Have readers of the inventory look at a grid itself: a reader has left something there.

    A mark of no process does that; the next one to read or to write the inventory deletes it.
    """
    import secrets  # slow to import, and no look at a store needs it

    blobs = location.open()
    with contextlib.suppress(Exception), writing(blobs):  # a reader may not be allowed to write
        objects.write_mark(blobs, path, secrets.token_hex(8))


def tag(location: Location, path: GridPath, changes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Change tags of a grid: all its tags afterwards; None if there is no such grid.

    Needs no lease: see `swarmgrid.records.tags`. The inventory's row follows, as a hint.
    """
    from swarmgrid.records.tags import read_tags, write_tags

    blobs = location.open()
    if blobs.get(path.metadata, checked_json.MAX_DOCUMENT) is None:
        return None
    before = read_tags(blobs, path, blobs.names(path.manifest))
    if all(before.get(name) == value for name, value in changes.items()):
        return before
    with writing(blobs):
        after = write_tags(blobs, path, changes)
        with _told("a row", path):
            names = blobs.names(objects.FOLDER)
            now = objects.next_stamp(names, time.time_ns())
            row = current_row(blobs, path)._replace(time_ns=now)
            _compact(blobs, [*names, objects.write_rows(blobs, [row])])
    return after


def _add(blobs: Blobs, rows: list[GridRow], path: GridPath, names: list[str]) -> None:
    """Write rows, delete the marks that a grid had, and compact objects where they are many."""
    new = [objects.write_rows(blobs, rows)] if rows else []
    # after the row: a grid with neither a mark nor a row is found in directories alone
    objects.delete(blobs, objects.marks_of(names, path.grid))
    _compact(blobs, [*names, *new])


def _compact(blobs: Blobs, names: list[str]) -> None:
    """Compact objects where they are many."""
    compacted = objects.to_compact(names)
    if compacted:
        objects.compact(blobs, compacted)


def current_row(blobs: Blobs, path: GridPath) -> GridRow:
    """The row of a grid, made from what is stored of it; of one that is not, that it is gone."""
    from swarmgrid.records.grid_state import read_state

    now = time.time_ns()
    return _to_row(blobs, path, read_state(blobs, path), now)


def _to_row(blobs: Blobs, path: GridPath, state: GridState | None, now: int) -> GridRow:
    if state is None:
        return GridRow(path.grid, path.folder, time_ns=now, is_gone=True)
    from swarmgrid.inventory.brief import grid_row

    return grid_row(blobs, path, state, now)


def stored_rows(location: Location, *, check: bool = False, keeps: bool = True) -> list[GridRow]:
    """The rows of all grids of a store, by function and creation.

    Grids that a process is writing, or that it was when it was killed, are read themselves. So
    are those without a row: a directory is looked through for them, another store only where it
    has no inventory, or a part of that is damaged. What is found so is kept, if that is possible.

    Parameters
    ----------
    location : Location
        The store.
    check : bool
        Whether to read the document of every grid, and all of a grid whose row is of another one.
    keeps : bool
        Whether to keep what is found; else nothing is written.
    """
    blobs = location.open()
    found = objects.read_inventory(blobs)
    rows = dict(found.rows)
    looks_through = check or location.is_directory or bool(found.damaged) or not rows
    stored = {path.grid: path for path in stored_grids(blobs)} if looks_through else {}
    if looks_through:
        rows = {grid: row for grid, row in rows.items() if grid in stored}
    old = {mark.path.grid: mark.path for mark in found.marks}
    old |= {g: path for g, path in stored.items() if g not in rows or rows[g].is_gone}
    if check:
        old |= _changed(blobs, [path for g, path in stored.items() if g not in old], rows)
    # before the look: a process that commits after it, and is killed then, keeps its mark
    settled = {mark.name: mark.path.grid for mark in found.marks if _is_settled(blobs, mark)}
    new = _read(blobs, list(old.values()))
    rows |= new
    # a grid that is being written keeps its mark, and gets no row, which would be old at once
    running = {mark.path.grid for mark in found.marks if mark.name not in settled}
    kept = [row for g, row in new.items() if row.checksum and g not in running]
    if keeps and (kept or settled or found.damaged):
        _keep(location, kept, [*settled, *found.damaged])
    shown = (row for row in rows.values() if not row.is_gone)
    return sorted(shown, key=lambda row: (row.function, row.created, row.time_ns))


def stored_grids(blobs: Blobs) -> Iterator[GridPath]:
    """The grids that have a group in a store, by function and id."""
    for function in sorted(blobs.names(f"{DATA}/")):
        if function not in {METADATA, BLOCKS}:
            names = sorted(blobs.names(f"{DATA}/{function}/"))
            yield from (GridPath(function, name) for name in names if _GRID.fullmatch(name))


def _changed(blobs: Blobs, paths: list[GridPath], rows: dict[str, GridRow]) -> dict[str, GridPath]:
    """The grids whose document is another one than that of their row."""
    from swarmgrid.inventory.brief import checksum_of

    documents = blobs.get_many([path.metadata for path in paths], checked_json.MAX_DOCUMENT)
    found = {}
    for path, data in zip(paths, documents, strict=True):
        if checksum_of(data or b"") != rows[path.grid].checksum:
            found[path.grid] = path
    return found


def _read(blobs: Blobs, paths: list[GridPath]) -> dict[str, GridRow]:
    """The rows of some grids as they are now."""
    rows = call_each(lambda path: _readable(blobs, path), paths, _THREADS)
    return {row.grid: row for row in rows}


def _readable(blobs: Blobs, path: GridPath) -> GridRow:
    """The row of a grid as it is now; of a damaged one its place, and nothing else."""
    now = time.time_ns()
    try:
        return current_row(blobs, path)
    except StoreError as error:
        _log.warning("grid %s cannot be read: %s", path.group, error)
        return GridRow(path.grid, path.folder, path.function, time_ns=now)


def _is_settled(blobs: Blobs, mark: objects.Mark) -> bool:
    """Whether the process that left a mark writes the grid no more, as far as that is known."""
    _, record = highest_record(blobs, mark.path.grid)
    # a later owner leaves a mark of its own
    if record is None or record.writer != mark.writer:
        return True
    return record.released or record.is_dead()


def _keep(location: Location, rows: list[GridRow], names: list[str]) -> None:
    """Keep rows that a reader has made, in place of some objects; where it may not write, not."""
    blobs = location.open()
    with contextlib.suppress(Exception), writing(blobs):
        if rows:
            objects.write_rows(blobs, rows)
        objects.delete(blobs, names)
        _compact(blobs, blobs.names(objects.FOLDER))


@contextlib.contextmanager
def _told(what: str, path: GridPath) -> Iterator[None]:
    """Go on after an error, and tell the log of it."""
    try:
        yield
    except (StoreError, OSError) as error:
        _log.info("%s of grid %s could not be written: %s", what, path.grid, error)
