"""Moves the values of the grids that are old, or that a query finds, to archives, and back."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swarmgrid import readable
from swarmgrid.codecs.keys import hold_keys
from swarmgrid.errors import (
    DamageError,
    EncryptionError,
    InputError,
    StoreError,
    SwarmgridError,
)
from swarmgrid.format.described import outputs_in
from swarmgrid.handle.archiving import ArchiveChange, checked_target
from swarmgrid.handle.grid import Grid
from swarmgrid.inventory.keeping import current_row
from swarmgrid.inventory.table import HEADINGS, brief_cells, text_table
from swarmgrid.quantities import check_flags, size_bytes, span_seconds
from swarmgrid.store.checked_json import MAX_DOCUMENT
from swarmgrid.store.grid_ref import GridRef
from swarmgrid.store.layout import METADATA, GridPath
from swarmgrid.store.scoping import check_no_scope
from swarmgrid.store_api.catalog import Catalog, catalog
from swarmgrid.store_api.pruning import is_in_use, oldest
from swarmgrid.tracebacks import UserFrames

if TYPE_CHECKING:
    import os

    from swarmgrid.codecs.keys import Key
    from swarmgrid.inventory.row import GridRow
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.location import Location


@dataclass(frozen=True, repr=False)
class Archiving:
    """The grids whose values `archive` moves, or would move."""

    __module__ = "swarmgrid"

    grids: tuple[GridRow, ...]
    """These grids in brief, in the order of their moves."""
    in_use: tuple[GridRow, ...]
    """Grids that would be moved too, but that a process holds, or has written to since."""
    changes: Mapping[str, ArchiveChange]
    """By grid id the archive, and what it has; of a dry run empty."""
    failed: Mapping[str, SwarmgridError]
    """By grid id the damage, the missing key, or the other archive that was begun, for which a
    grid was not moved."""
    nbytes: int
    """The bytes of the chunks of `grids`."""
    is_dry_run: bool
    """Whether nothing was moved."""

    def __repr__(self) -> str:
        """The outcome in numbers, and the first grids."""
        n = len(self.grids)
        verb = "would be moved" if self.is_dry_run else "moved"
        text = f"{n} {'grid' if n == 1 else 'grids'} {verb}, {readable.nbytes(self.nbytes)}"
        if self.is_dry_run and n:
            text += "; pass dry_run=False to move them"
        if self.in_use:
            text += f"; {len(self.in_use)} more are in use"
        failed = "".join(f"\nnot moved: {error}" for error in self.failed.values())
        cells = [brief_cells(row, time.time()) for row in self.grids[:20]]
        rest = f"\n... and {n - 20} more" if n > 20 else ""
        return f"{text}{failed}\n{text_table(HEADINGS, cells)}{rest}".rstrip()


def archive(
    store: str | os.PathLike[str] | Any,
    target: str | os.PathLike[str],
    *,
    older_than: str | float | dt.timedelta | None = None,
    max_bytes: str | int | None = None,
    keep: Mapping[str, Any] | None = None,
    query: Mapping[str, Any] | None = None,
    function: str | None = None,
    storage_class: str | None = None,
    dry_run: bool = True,
    storage_options: Mapping[str, Any] | None = None,
    target_options: Mapping[str, Any] | None = None,
    key: Key | Iterable[Key] | None = None,
) -> Archiving:
    """Move the values of several grids to an archive: old ones, or those that a query finds.

    By default nothing is moved: the result says what would be. Each grid gets an archive of its
    own below the target, as by `Grid.archive`; `thaw` brings the values back. A call that was
    cut short is completed by the same call again. Archived grids are left alone.

    Parameters
    ----------
    store : str, path or zarr.abc.store.Store
        The store.
    target : str or path
        A folder, or a URL of an object store, as for `Grid.archive`.
    older_than : str, number or timedelta, optional
        Grids to which nothing was written for so long are moved: ``"30d"``, ``"12h"``, or seconds.
    max_bytes : str or int, optional
        The largest size of the chunks that stay, such as ``"50GB"``: the grids that were written
        to longest ago are moved until the others fit. With ``query`` or ``function`` only the
        grids that these find count.
    keep : mapping, optional
        A query, as for `Catalog.query`: grids that fulfil it are never moved.
    query, function : mapping, str, optional
        The grids that it is about, as for `Catalog.query`. Default: all.
    storage_class : str, optional
        The storage class of the chunks, as for `Grid.archive`.
    dry_run : bool, default True
        Whether to move nothing.
    storage_options, target_options : mapping, optional
        The settings that the URLs need.
    key : Key or iterable of Key, optional
        The keys of encrypted grids: their values are checked, and stay encrypted.

    Returns
    -------
    Archiving
        The grids that were moved, or would be. A grid that a process fills, or has written to
        since the catalog was read, is left alone. So is one with a damaged value, without its key
        here, or in an archive elsewhere that was begun; ``failed`` says why.

    Raises
    ------
    InputError
        If nothing says which grids, or the target cannot be an archive; or if no grid could be
        moved, as the archives of all were begun elsewhere.
    DamageError, EncryptionError
        If no grid could be moved for that.
    StoreError
        If one of the two stores cannot be used. Nothing is lost: grids before that were moved.

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width, height):
    ...     return width * height
    >>> options = dict(func=area, store="memory://archive-some", executor="sync")
    >>> for height in (2.0, 3.0):
    ...     swarmgrid.stream({"height": height}, {"width": [1, 2]}, **options)
    >>> len(swarmgrid.archive("memory://archive-some", "memory://tape", older_than="30d").grids)
    0
    >>> found = swarmgrid.archive(
    ...     "memory://archive-some", "memory://tape", query={"params.height": 2.0}, dry_run=False
    ... )
    >>> [row.params["height"] for row in found.grids]
    [2.0]
    """
    __tracebackhide__ = True
    with UserFrames():
        if older_than is None and max_bytes is None and query is None and function is None:
            raise InputError(
                "nothing says which grids to move; pass older_than='30d', max_bytes='50GB', "
                "query= or function=; older_than=0 for all"
            )
        check_flags(dry_run=dry_run)
        hold_keys("key", key)
        found = catalog(store, storage_options=storage_options).query(query, function=function)
        check_no_scope("archiving several grids", found.location)
        goal = checked_target(found.location, target, storage_class, target_options)
        rows, in_use = to_move(found, goal, older_than, max_bytes, keep)
        changes: dict[str, ArchiveChange] = {}
        failed: dict[str, SwarmgridError] = {}
        if not dry_run:
            changes, failed, busy = move(
                found.location, rows, goal, storage_class, as_in_catalog=True
            )
            in_use += busy
            rows = [row for row in rows if row.grid in changes]
        nbytes = sum(row.nbytes for row in rows)
        return Archiving(tuple(rows), tuple(in_use), changes, failed, nbytes, dry_run)


def thaw(
    store: str | os.PathLike[str] | Any,
    *,
    query: Mapping[str, Any] | None = None,
    function: str | None = None,
    skip_damaged: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    archive_options: Mapping[str, Any] | None = None,
    key: Key | Iterable[Key] | None = None,
) -> dict[str, ArchiveChange]:
    """Move the values of several archived grids back: of all, or those that a query finds.

    Each as by `Grid.thaw`. Grids that are not archived are left alone. A grid that cannot be
    thawed keeps no other one from it: the first such error is raised last. The same call again
    goes on.

    Parameters
    ----------
    store : str, path or zarr.abc.store.Store
        The store.
    query, function : mapping, str, optional
        The grids that it is about, as for `Catalog.query`. Default: all.
    skip_damaged : bool, default False
        Whether to go on where chunks of an archive are damaged or missing, as for `Grid.thaw`.
    storage_options, archive_options : mapping, optional
        The settings that the URLs of the store and of the archives need.
    key : Key or iterable of Key, optional
        The keys of encrypted grids.

    Returns
    -------
    dict
        By grid id the archive, and what it had.

    Raises
    ------
    ArchivedError
        If objects are in an archival storage class, and were not restored yet.
    StoreError
        If an archive is not there, or a chunk of it is damaged. Nothing was deleted of it.

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width, height):
    ...     return width * height
    >>> options = dict(func=area, store="memory://cold", executor="sync")
    >>> for height in (2.0, 3.0):
    ...     swarmgrid.stream({"height": height}, {"width": [1, 2]}, **options)
    >>> done = swarmgrid.archive("memory://cold", "memory://t", older_than=0, dry_run=False)
    >>> len(swarmgrid.thaw("memory://cold"))
    2
    """
    __tracebackhide__ = True
    with UserFrames():
        check_flags(skip_damaged=skip_damaged)
        hold_keys("key", key)
        found = catalog(store, storage_options=storage_options).query(query, function=function)
        check_no_scope("thawing several grids", found.location)
        options = None if archive_options is None else dict(archive_options)
        changes = bring_back(found.location, found.rows, None, options, skip_damaged=skip_damaged)
        return {row.grid: change for row, change in changes}


def bring_back(
    location: Location,
    rows: Iterable[GridRow],
    moved_to: str | None,
    archive_options: dict[str, Any] | None,
    *,
    skip_damaged: bool,
) -> list[tuple[GridRow, ArchiveChange]]:
    """Thaw those of some grids that are archived, one after another, and return what was done.

    The first error is raised when all were tried.
    """
    changes = []
    errors: list[SwarmgridError] = []
    for row in rows:
        grid = Grid(GridRef(location, GridPath(row.function or row.folder, row.grid)))
        try:
            if grid.is_archived():
                done = grid.thaw(
                    moved_to, storage_options=archive_options, skip_damaged=skip_damaged
                )
                changes.append((row, done))
        except (StoreError, InputError) as error:  # of this one: others can be thawed
            errors.append(error)
    if errors:
        first, *more = errors
        if more or changes:
            first.add_note(
                f"{len(changes)} other grids were thawed, and {len(more)} more could not be"
            )
        raise first
    return changes


def to_move(
    found: Catalog,
    goal: Location,
    older_than: str | float | dt.timedelta | None,
    max_bytes: str | int | None,
    keep: Mapping[str, Any] | None,
) -> tuple[list[GridRow], list[GridRow]]:
    """The grids of a catalog to move, the oldest first, and those that a process uses."""
    age = -math.inf if older_than is None else span_seconds("older_than", older_than)
    limit = math.inf if max_bytes is None else size_bytes("max_bytes", max_bytes)
    before = -math.inf if older_than is None and max_bytes is not None else time.time() - age
    kept = {row.grid for row in found.query(keep).rows} if keep is not None else set()
    here = Catalog(found.location, tuple(row for row in found.rows if not row.archive))
    chosen = oldest(here, kept, before, limit)
    chosen += [row for row in _cut_short(found, goal) if row.grid not in kept]
    in_use = [row for row in chosen if is_in_use(found, row)]
    return [row for row in chosen if row not in in_use], in_use


def move(
    location: Location,
    rows: Iterable[GridRow],
    goal: Location,
    storage_class: str | None,
    *,
    as_in_catalog: bool,
) -> tuple[dict[str, ArchiveChange], dict[str, SwarmgridError], list[GridRow]]:
    """Move the values of grids, one after another.

    Parameters
    ----------
    location : Location
        The store.
    rows : iterable of GridRow
        The grids.
    goal : Location
        The target.
    storage_class : str, optional
        As of `archive`.
    as_in_catalog : bool
        Whether a grid that was written to since the catalog was read is left alone.

    Returns
    -------
    changes, failed : dict
        By grid id what was moved, and why a grid could not be.
    in_use : list of GridRow
        Those that were left alone.
    """
    changes: dict[str, ArchiveChange] = {}
    failed: dict[str, SwarmgridError] = {}
    in_use = []
    for row in rows:
        path = GridPath(row.function or row.folder, row.grid)
        if as_in_catalog and not row.archive and _is_other(location.open(), path, row):
            in_use.append(row)
            continue
        try:
            grid = Grid(GridRef(location, path))
            changes[row.grid] = grid.archive(
                goal.url, storage_class=storage_class, storage_options=dict(goal.options) or None
            )
        except (InputError, DamageError, EncryptionError) as error:  # of this one, of no other
            failed[row.grid] = error
    if failed and not changes:
        raise next(iter(failed.values()))
    return changes, failed, in_use


def _is_other(blobs: Blobs, path: GridPath, row: GridRow) -> bool:
    """Whether a grid was written to since: the catalog is a hint, and a run may have ended."""
    found = current_row(blobs, path)
    return (found.written, found.checksum) != (row.written, row.checksum)


def _cut_short(found: Catalog, goal: Location) -> list[GridRow]:
    """Archived grids of which chunks are still here: a kill came before the last deletion."""
    blobs = found.location.open()
    rows = [row for row in found.rows if row.archive.rpartition("/")[0] == goal.url.rstrip("/")]
    paths = [GridPath(row.folder, row.grid) for row in rows]
    documents = blobs.get_many([path.metadata for path in paths], MAX_DOCUMENT)
    left = []
    for row, path, data in zip(rows, paths, documents, strict=True):
        # of the last output: chunks go one by one, each of all outputs
        last = outputs_in(data)[-1:]
        if any(set(blobs.names(f"{path.prefix}{name}/")) - {METADATA} for name in last):
            left.append(row)
    return left


archive.__module__ = "swarmgrid"
thaw.__module__ = "swarmgrid"
