"""Reads one grid again and again: all of it once, and then only what is new."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import StoreError
from swarmgrid.following.sight import IDLE, Holder, LeaseSight
from swarmgrid.format.grid import read_grid
from swarmgrid.format.segment import Rows
from swarmgrid.records.damage_marks import marks
from swarmgrid.records.failures import (
    COMPACT_FROM,
    MAX_NBYTES,
    decoded_failures,
    is_of,
    still_failed,
    within,
)
from swarmgrid.records.manifest import Manifest, read_manifest
from swarmgrid.store import checked_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.records.failures import FailedPoint, Place
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath

_TRIES = 20


@dataclass(frozen=True)
class GridLook:
    """A grid as it was at one look."""

    grid: StoredGrid
    rows: Rows
    """All rows, those of marked chunks among them."""
    records: tuple[FailedPoint, ...]
    """The last record of each point that ever failed, as far as it is stored."""
    marked: tuple[tuple[int, ...], ...]
    """Chunks with a damage mark."""
    damaged: tuple[str, ...]
    """Segments that could not be read."""
    settled: int
    """The highest commit of which it is known that all before it were read, too."""
    revision: int
    """Another number says that something of all that has changed."""
    epoch: int
    """The number of the lease; -1: there is none."""
    holder: Holder
    is_unseen: NDArray[np.bool_] | None = None
    """``(n,)``: whether a row was settled in no earlier look; None: this is the first one, or the
    first of a layout."""

    @property
    def is_settled(self) -> bool:
        """Whether all that was read is known to be all that there was."""
        return _latest(self) <= self.settled

    @property
    def manifest(self) -> Manifest:
        """The rows that count."""
        return Manifest(self.rows, {}).without(self.marked)

    @property
    def failures(self) -> tuple[FailedPoint, ...]:
        """The failures of points that are not computed since."""
        found = {failure.place: failure for failure in self.records}
        return tuple(still_failed(found, self.manifest))


@dataclass
class _Seen:
    """The rows of a layout that looks have settled, each as a number."""

    layout: int
    settled: int
    """Up to this commit, at the last look."""
    total: np.uint64
    """The sum of the rows that were there then: no sort is needed while it stays."""
    keys: list[NDArray[np.uint64]]
    """Those of all looks."""


class GridReader:
    """Reads a grid again and again.

    Parameters
    ----------
    blobs, path : Blobs, GridPath
        The grid.
    clock : callable
        Seconds that only grow.
    """

    def __init__(
        self, blobs: Blobs, path: GridPath, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.path = path
        self._blobs = blobs
        self._sight = LeaseSight(clock)
        self.holder = Holder(IDLE)
        """The last process that held the grid, also where the grid is not there yet."""
        self._names: tuple[str, ...] | None = None
        """The names of the manifest that `_look` is of; None: look again."""
        self._document = b""
        self._grid: StoredGrid | None = None
        self._parts: dict[tuple[str, ...], tuple[Rows, tuple[str, ...]]] = {}
        """The rows, and the damaged segments, of those that were read together, by name."""
        self._records: dict[Place, FailedPoint] = {}
        self._failure_names: tuple[str, ...] = ()
        self._look: GridLook | None = None
        self._lease: tuple[int, str] = (-1, IDLE)
        self._seen: _Seen | None = None

    def look(self) -> GridLook | None:
        """Look at the grid: two listings and the lease, and what is new; None if there is none.

        Raises
        ------
        StoreError
            If the store cannot be read, or the grid's document is damaged.
        """
        # before the names: what its owner did before it gave the grid back is among these
        holder = self.holder = self._sight.look(self._blobs, self.path.grid)
        lease = (self._sight.epoch, holder.state)
        names = self._listed()
        if names != self._names or lease != self._lease or self._has_more():
            self._names = None  # an error on the way: read again
            self._look = self._compare_with_seen(self._read(names))
            self._lease = lease
        elif self._look is not None and self._look.is_unseen is not None:
            nothing = np.zeros_like(self._look.is_unseen)
            self._look = replace(self._look, is_unseen=nothing)
        if self._look is not None:
            self._look = replace(self._look, holder=holder, epoch=self._sight.epoch)
        return self._look

    def _compare_with_seen(self, look: GridLook | None) -> GridLook | None:
        """Note the rows of a look, and say which of them no earlier one had settled.

        A compaction that goes on during a listing may hide old rows: what it has written is not in
        the listing yet, and what it has deleted is there no more. If two listings are hit so,
        later commits were told meanwhile.
        """
        if look is None:
            self._seen = None
            return None
        commit, keys = look.rows.commit, _keys(look.rows)
        is_settled = commit <= look.settled  # the others are not told yet
        before, self._seen = (
            self._seen,
            _Seen(look.grid.layout, look.settled, keys[is_settled].sum(), [keys[is_settled]]),
        )
        if before is None or before.layout != look.grid.layout:
            return look
        is_old = commit <= before.settled
        if keys[is_old].sum() == before.total:  # as in all looks but a few
            is_unseen = np.zeros_like(is_old)
            self._seen.keys = [*before.keys, keys[is_settled & ~is_old]]
        else:
            is_unseen = is_old & ~np.isin(keys, np.concatenate(before.keys))
            self._seen.keys = [*before.keys, keys[is_settled & (is_unseen | ~is_old)]]
        return replace(look, is_unseen=is_unseen)

    def _listed(self) -> tuple[str, ...]:
        return tuple(self._blobs.names(self.path.manifest))

    def _has_more(self) -> bool:
        """Whether rows were read that no second listing has confirmed."""
        return self._look is not None and not self._look.is_settled

    def _read(self, names: tuple[str, ...]) -> GridLook | None:
        """Read what is new, until nothing vanishes on the way.

        A listing is no instant: an object that was written while it ran may be in it, and an
        earlier one of the same writer not. All that were written before one that it has are in
        the next listing. So the commits of one listing are told once a second one is read.
        """
        first: GridLook | None = None
        for _ in range(_TRIES):
            found, is_whole = self._read_listed(names)
            after = self._listed()
            if not is_whole:
                names = after
                continue
            if found is None or after == names:
                self._names = names
                return None if found is None else replace(found, settled=_latest(found))
            if first is not None:
                self._names = names
                return replace(found, settled=max(_latest(first), first.settled))
            first, names = found, after
        raise StoreError(
            f"the manifest {self.path.manifest} kept changing while it was read {_TRIES} times; "
            "is something else deleting files there?"
        )

    def _read_listed(self, names: tuple[str, ...]) -> tuple[GridLook | None, bool]:
        """The content of the listed objects, and whether all of them were there."""
        document = self._blobs.get(self.path.metadata, checked_json.MAX_DOCUMENT)
        if self._grid is None or document != self._document:
            grid = read_grid(self._blobs, self.path, document)
            if grid is None:
                self._grid, self._parts = None, {}
                self._records, self._failure_names = {}, ()
                return None, True
            if self._grid is not None and grid.generation() != self._grid.generation():
                self._parts = {}  # rows of before a conversion count no more
            self._grid, self._document = grid, document or b""
        if not self._read_rows(names) or not self._read_failures(names):
            return None, False
        parts = [rows for rows, _ in self._parts.values()]
        rows = Rows.concatenated(parts, len(self._grid.axes), len(self._grid.schema.outputs))
        found = within(self._records, self._grid).values()
        before = self._look
        return GridLook(
            grid=self._grid,
            rows=rows,
            records=tuple(found),
            marked=tuple(marks(names)),
            damaged=tuple(name for _, damaged in self._parts.values() for name in damaged),
            settled=-1 if before is None else before.settled,
            revision=0 if before is None else before.revision + 1,
            epoch=-1,
            holder=Holder(IDLE),
        ), True

    def _read_rows(self, names: Sequence[str]) -> bool:
        """Read the new segments; whether all were there."""
        assert self._grid is not None
        segments = {name for name in names if name.endswith(".seg")}
        # a part of which a segment is gone counts no more: the rest of it is read again
        self._parts = {part: rows for part, rows in self._parts.items() if segments >= {*part}}
        new = tuple(sorted(segments.difference(*self._parts)))
        if new:
            found = read_manifest(self._blobs, self.path, new, self._grid)
            if found is None:
                return False
            self._parts[new] = found.rows, tuple(sorted({*found.damaged} - {*found.ahead}))
        return True

    def _read_failures(self, names: Sequence[str]) -> bool:
        """Read the new records of failures; whether all were there."""
        assert self._grid is not None
        found = tuple(name for name in names if is_of(name, self._grid.layout))
        if not {*self._failure_names} <= {*found}:  # compacted: what is listed holds all
            self._records, self._failure_names = {}, ()
        new = sorted({*found} - {*self._failure_names})
        for start in range(0, len(new), COMPACT_FROM):
            part = new[start : start + COMPACT_FROM]
            keys = [self.path.manifest + name for name in part]
            for key, data in zip(keys, self._blobs.get_many(keys, MAX_NBYTES), strict=True):
                if data is None:
                    # compacted since the listing: the next one has all in other objects
                    self._failure_names = ()
                    self._records = {}
                    return False
                read = decoded_failures(data, key) or ()  # what is lost is a message
                self._records |= {failure.place: failure for failure in read}
        self._failure_names = found
        return True


def _latest(look: GridLook) -> int:
    """The highest commit that was read."""
    latest = max((failure.commit for failure in look.records), default=-1)
    return max(latest, int(look.rows.commit.max()) if len(look.rows) else -1)


def _keys(rows: Rows) -> NDArray[np.uint64]:
    """``(n,)``: a number for the commit and the chunk of each row, whatever of it was deleted."""
    return _mixed([rows.commit, *rows.index.T])


def signs(rows: Rows) -> NDArray[np.uint64]:
    """``(n,)``: a number for the commit, chunk, time and writer of each row, 32 bits long.

    Those of another store are other numbers, though its commits count alike.
    """
    texts = [f"{one.host}:{one.pid}".encode() for one in rows.writers]
    writers = np.array([zlib.crc32(text) for text in texts], np.uint64)
    columns = [rows.commit, *rows.index.T, rows.time, writers[rows.writer]]
    return _mixed(columns) >> np.uint64(32) | np.uint64(1)


def _mixed(columns: Sequence[NDArray[Any]]) -> NDArray[np.uint64]:
    """``(n,)``: a number for each row of some columns of integers.

    By the mixing of splitmix64 (Steele, Lea and Flood, 2014). Each column is mixed before the
    next one is added: numbers of commits and of chunks often count alike, and would cancel.
    """
    numbers = np.zeros(len(columns[0]), np.uint64)
    with np.errstate(over="ignore"):
        for column in columns:
            numbers += column.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
            numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            numbers ^= numbers >> np.uint64(31)
    return numbers


def counted(rows: Rows) -> NDArray[np.int64]:
    """``(n,)``: how many points each row has; 0 for one that is there twice."""
    counts: NDArray[np.int64] = np.prod(rows.extent.astype(np.int64), axis=1)
    signs = _mixed([rows.commit, *rows.index.T, *rows.extent.T, *rows.checksums.T])
    with np.errstate(over="ignore"):
        for i in np.flatnonzero(rows.has_bitmap()).tolist():
            points = rows.points(i)
            counts[i] = len(points)
            sign = int.from_bytes((points.bits or b"")[:8], "little") ^ hash(points.bits)
            signs[i] ^= np.uint64(sign & (2**64 - 1)) * np.uint64(0xBF58476D1CE4E5B9)
    ordered = np.sort(signs)
    if (ordered[1:] != ordered[:-1]).all():  # far quicker than what follows
        return counts
    _, first = np.unique(signs, return_index=True)
    is_first = np.zeros(len(rows), bool)
    is_first[first] = True
    return np.where(is_first, counts, 0)
