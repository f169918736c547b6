"""Thins a store: finds the grids that are old, or the oldest above a size, and deletes them."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swarmgrid import readable
from swarmgrid.errors import InputError
from swarmgrid.format.described import archive_in
from swarmgrid.handle.removing import drop
from swarmgrid.inventory.table import HEADINGS, brief_cells, text_table
from swarmgrid.leases import lease
from swarmgrid.maintenance.snapshots import expire
from swarmgrid.quantities import check_flags, size_bytes, span_seconds
from swarmgrid.records.snapshot import read_snapshots
from swarmgrid.store.checked_json import MAX_DOCUMENT
from swarmgrid.store.layout import SNAPSHOTS, GridPath
from swarmgrid.store.lease_record import highest_record
from swarmgrid.store.scoping import check_no_scope
from swarmgrid.store_api.catalog import Catalog, catalog

if TYPE_CHECKING:
    import os

    from swarmgrid.inventory.row import GridRow


@dataclass(frozen=True, repr=False)
class Pruning:
    """The grids that `prune` deletes, or would delete."""

    __module__ = "swarmgrid"

    grids: tuple[GridRow, ...]
    """These grids in brief, in the order of their deletion."""
    in_use: tuple[GridRow, ...]
    """Grids that would be deleted too, but that a process holds, or has written to since."""
    nbytes: int
    """The bytes of their chunks."""
    is_dry_run: bool
    """Whether nothing was deleted."""
    snapshots: int = 0
    """The number of snapshots that had expired, and were deleted, or would be."""

    def __repr__(self) -> str:
        """The outcome in numbers, and the first grids."""
        n = len(self.grids)
        verb = "would be deleted" if self.is_dry_run else "deleted"
        text = f"{n} {'grid' if n == 1 else 'grids'} {verb}, {readable.nbytes(self.nbytes)} freed"
        if self.is_dry_run and n:
            text += "; pass dry_run=False to delete them"
        if self.in_use:
            text += f"; {len(self.in_use)} more are in use"
        if self.snapshots:
            s = "s" * (self.snapshots != 1)
            text += f"; {self.snapshots} expired snapshot{s} {verb}"
        cells = [brief_cells(row, time.time()) for row in self.grids[:20]]
        rest = f"\n... and {n - 20} more" if n > 20 else ""
        return f"{text}\n{text_table(HEADINGS, cells)}{rest}".rstrip()


def prune(
    store: str | os.PathLike[str] | Any = None,
    *,
    older_than: str | float | dt.timedelta | None = None,
    max_bytes: str | int | None = None,
    keep: Mapping[str, Any] | None = None,
    dry_run: bool = True,
    storage_options: Mapping[str, Any] | None = None,
) -> Pruning:
    """Delete the grids of a store that were last written long ago, or the oldest above a size.

    By default nothing is deleted: the result says what would be. Grids with snapshots and archived
    grids are left alone; snapshots that have expired are deleted.

    Parameters
    ----------
    store : str, path or zarr.abc.store.Store, optional
        The store. Default: what `set_options` says.
    older_than : str, number or timedelta, optional
        Grids to which nothing was written for so long are deleted: ``"30d"``, ``"12h"``, or
        seconds.
    max_bytes : str or int, optional
        The largest size of all chunks, such as ``"50GB"``: the grids that were written to longest
        ago are deleted until the others fit.
    keep : mapping, optional
        A query, as for `Catalog.query`: grids that fulfil it are never deleted.
    dry_run : bool, default True
        Whether to delete nothing.
    storage_options : mapping, optional
        The settings that a URL needs.

    Returns
    -------
    Pruning
        The grids that were deleted, or would be. A grid that a process fills, or has written to
        since the catalog was read, is left alone.

    Raises
    ------
    InputError
        If neither ``older_than`` nor ``max_bytes`` is given, or one cannot be understood.

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width, height):
    ...     return width * height
    >>> options = dict(func=area, store="memory://prune", executor="sync")
    >>> ds = swarmgrid.compute({"height": 2.0}, {"width": [1, 2]}, **options)
    >>> len(swarmgrid.prune("memory://prune", older_than="30d").grids)
    0
    >>> len(swarmgrid.prune("memory://prune", max_bytes=0, dry_run=False).grids)
    1
    """
    if older_than is None and max_bytes is None:
        raise InputError("nothing says what to delete; pass older_than='30d' or max_bytes='50GB'")
    check_flags(dry_run=dry_run)
    whole, now = catalog(store, storage_options=storage_options), dt.datetime.now(dt.UTC)
    rows, in_use, n = to_prune(whole, older_than, max_bytes, keep, now)
    if not dry_run:
        n = delete_expired(whole, now)
        for row in rows.copy():
            if not drop(whole.location, GridPath(row.folder, row.grid), as_in=row):
                rows.remove(row)
                in_use.append(row)
    return Pruning(tuple(rows), tuple(in_use), sum(row.nbytes for row in rows), dry_run, n)


def to_prune(
    whole: Catalog,
    older_than: str | float | dt.timedelta | None,
    max_bytes: str | int | None,
    keep: Mapping[str, Any] | None,
    now: dt.datetime,
) -> tuple[list[GridRow], list[GridRow], int]:
    """The grids to delete, the oldest first, those that a process uses, and expired snapshots.

    A grid without other snapshots is among these, too: so the expired ones are deleted first.

    Parameters
    ----------
    whole : Catalog
        The store.
    older_than, max_bytes, keep
        As for `prune`.
    now : datetime
        The time at which a snapshot has expired, or not.

    Returns
    -------
    rows, in_use : list of GridRow
        The grids.
    expired : int
        The number of all expired snapshots, those of other grids included.

    Raises
    ------
    InputError
        If one of the options cannot be understood, or the store is a scope.
    """
    age = math.inf if older_than is None else span_seconds("older_than", older_than)
    limit = math.inf if max_bytes is None else size_bytes("max_bytes", max_bytes)
    check_no_scope("prune", whole.location)
    kept = {row.grid for row in whole.query(keep).rows} if keep is not None else set()
    counted = list(_with_snapshots(whole, now))
    kept |= {row.grid for row, _, others in counted if others}
    archived = archived_in(whole)
    here = Catalog(whole.location, tuple(row for row in whole.rows if row.grid not in archived))
    chosen = oldest(here, kept, time.time() - age, limit)
    in_use = [row for row in chosen if is_in_use(whole, row)]
    return [row for row in chosen if row not in in_use], in_use, sum(n for _, n, _ in counted)


def delete_expired(whole: Catalog, now: dt.datetime) -> int:
    """Delete the snapshots of a store that have expired at a time: how many there were."""
    n = 0
    for row, expired, _ in _with_snapshots(whole, now):
        path = GridPath(row.folder, row.grid)
        if expired:
            with lease.acquire(whole.location, path) as held:
                n += len(expire(held, path, now))
    return n


def oldest(whole: Catalog, kept: set[str], before: float, limit: float) -> list[GridRow]:
    """The grids that are old: those last written before a time, then the oldest above a size."""
    total = sum(row.nbytes for row in whole.rows)
    chosen = []
    for row in sorted(whole.rows, key=lambda row: (row.written, row.created, row.grid)):
        is_known = bool(row.written and row.checksum)  # of a damaged grid nothing is known
        if row.grid in kept or not is_known:
            continue
        if row.written < before or total > limit:
            chosen.append(row)
            total -= row.nbytes
    return chosen


def _with_snapshots(whole: Catalog, now: dt.datetime) -> Iterator[tuple[GridRow, int, int]]:
    """The grids with snapshots: how many have expired at a time, and how many have not.

    Those of a grid that a process holds are left alone, as the grid is: it may hold it for days.
    """
    blobs = whole.location.open()
    present = {*blobs.names(f"{SNAPSHOTS}/")}
    for row in whole.rows:
        if row.grid in present:
            snapshots = read_snapshots(blobs, GridPath(row.folder, row.grid))
            n = sum(snapshot.is_expired(now) for snapshot in snapshots)
            yield row, 0 if n and is_in_use(whole, row) else n, len(snapshots) - n


def archived_in(whole: Catalog) -> set[str]:
    """The grids whose values are in an archive: their bytes are not in this store."""
    blobs, keys = whole.location.open(), [GridPath(r.folder, r.grid).metadata for r in whole.rows]
    pairs = zip(whole.rows, blobs.get_many(keys, MAX_DOCUMENT), strict=True)
    return {row.grid for row, data in pairs if archive_in(data) is not None}


def is_in_use(whole: Catalog, row: GridRow) -> bool:
    """Whether a process holds a grid now."""
    _, record = highest_record(whole.location.open(), row.grid)
    return record is not None and not record.released and not record.is_dead()


prune.__module__ = "swarmgrid"
