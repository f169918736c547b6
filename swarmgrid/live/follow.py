"""Follows one grid: reads what is new in its manifest, its failures and its lease."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from swarmgrid.format.damage_marks import marks
from swarmgrid.format.failures import SUFFIX, read_failures, still_failed, within
from swarmgrid.format.grid import read_grid
from swarmgrid.format.manifest import Manifest, read_manifest
from swarmgrid.format.segment import Rows
from swarmgrid.live.machine import memory
from swarmgrid.live.pace import Pace, pace
from swarmgrid.live.sight import WORKING, Holder, LeaseSight
from swarmgrid.pictures.chunk_map import GridMap, grid_map
from swarmgrid.store import checked_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmgrid.format.failures import FailedPoint, Place
    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath

_MEMORY_SECONDS = 5.0
"""The memory of a process tree is asked for no more often: that takes a look at all processes."""


@dataclass(frozen=True)
class GridView:
    """A grid as it was at one look."""

    grid: StoredGrid
    manifest: Manifest
    cells: GridMap
    failures: tuple[FailedPoint, ...]
    """Those of points that are not computed since."""
    revision: int
    """Another number says that something of all that has changed."""
    holder: Holder
    pace: Pace | None
    """Only while a process is at work."""
    memory: int | None
    """Bytes in memory of that process and of its workers, where it is known."""

    @property
    def counts(self) -> tuple[int, int, int]:
        """The points in all, computed and failed."""
        cells = self.cells
        return int(cells.total.sum()), int(cells.computed.sum()), int(cells.failed.sum())

    @property
    def missing(self) -> int:
        """The points that are neither computed nor failed."""
        total, computed, failed = self.counts
        return max(0, total - computed - failed)


class GridFollower:
    """Reads a grid again and again: all of it once, and then only what is new.

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
        self._clock = clock
        self._sight = LeaseSight(clock)
        self._names: tuple[str, ...] | None = None
        self._document = b""
        self._grid: StoredGrid | None = None
        self._parts: dict[tuple[str, ...], Rows] = {}
        """The rows of segments, by the names of those that were read together."""
        self._failures: dict[Place, FailedPoint] = {}
        self._failure_names: tuple[str, ...] = ()
        self._view: GridView | None = None
        self._newest = (0.0, 0.0)
        """The time of the newest row, by its writer's clock and by ours."""
        self._memory: tuple[float, int | None] = (-math.inf, None)

    def look(self) -> GridView | None:
        """Look at the grid: two listings and the lease, and what is new; None if there is none.

        Raises
        ------
        StoreError
            If the store cannot be read, or what is new is damaged.
        """
        holder = self._sight.look(self._blobs, self.path.grid)
        names = tuple(self._blobs.names(self.path.manifest))
        if names != self._names:
            self._names = None  # an error on the way: read again
            if not self._read(names):
                self._view = None
                return None
            self._names = names
        if self._view is None:
            return None
        is_working = holder.state == WORKING
        self._view = replace(
            self._view,
            holder=holder,
            pace=self._pace(self._view.manifest.rows) if is_working else None,
            memory=self._asked_memory(holder) if is_working else None,
        )
        return self._view

    def _read(self, names: tuple[str, ...]) -> bool:
        """Read what is new; whether there is such a grid, and its segments are all there."""
        document = self._blobs.get(self.path.metadata, checked_json.MAX_DOCUMENT)
        if self._grid is None or document != self._document:
            grid = read_grid(self._blobs, self.path, document)
            if grid is None:
                return False
            if self._grid is not None and grid.data_types() != self._grid.data_types():
                self._parts = {}  # rows of before a conversion count no more
            self._grid, self._document = grid, document or b""
        segments = {name for name in names if name.endswith(".seg")}
        self._parts = {part: rows for part, rows in self._parts.items() if segments >= {*part}}
        new = tuple(sorted(segments.difference(*self._parts)))
        if new:
            found = read_manifest(self._blobs, self.path, new, self._grid)
            if found is None:  # compacted meanwhile: the next look lists the names again
                return self._view is not None
            self._parts[new] = found.rows
        n_axes, n_outputs = len(self._grid.axes), len(self._grid.schema.outputs)
        rows = Rows.concatenated(list(self._parts.values()), n_axes, n_outputs)
        manifest = Manifest(rows, {}).without(tuple(marks(names)))
        failures = self._read_failures(names, manifest)
        latest = float(rows.time.max(initial=0))
        if latest > self._newest[0]:
            self._newest = (latest, self._clock())
        cells = grid_map(self._grid, manifest, failures)
        revision = 0 if self._view is None else self._view.revision + 1
        idle = Holder("idle")
        self._view = GridView(
            self._grid, manifest, cells, failures, revision, idle, pace=None, memory=None
        )
        return True

    def _read_failures(
        self, names: tuple[str, ...], manifest: Manifest
    ) -> tuple[FailedPoint, ...]:
        assert self._grid is not None
        found = tuple(name for name in names if name.endswith(SUFFIX))
        if found != self._failure_names:
            if not {*self._failure_names} <= {*found}:  # compacted: what is listed holds all
                self._failures, self._failure_names = {}, ()
            new = sorted({*found} - {*self._failure_names})
            self._failures |= read_failures(self._blobs, self.path, new)
            self._failure_names = found
        return tuple(still_failed(within(self._failures, self._grid), manifest))

    def _pace(self, rows: Rows) -> Pace | None:
        """The pace now, by the writers' clock as far as it can be known."""
        latest, seen = self._newest
        return pace(rows, latest + self._clock() - seen) if latest else None

    def _asked_memory(self, holder: Holder) -> int | None:
        asked, found = self._memory
        if self._clock() - asked >= _MEMORY_SECONDS and holder.record is not None:
            found = memory(holder.record)
            self._memory = (self._clock(), found)
        return found
