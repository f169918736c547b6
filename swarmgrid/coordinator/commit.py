"""The committer of a run: puts results into chunks, writes these, and commits manifest rows.

Only the writer's thread uses it, so nothing here is locked.
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.format.chunk_io import empty_block, read_block, write_points
from swarmgrid.format.grid_io import covering, write_grid
from swarmgrid.format.segment import Row, Rows
from swarmgrid.format.writers import WriterId
from swarmgrid.planning.chosen_codecs import with_chosen_codecs
from swarmgrid.policies.pace import Pace
from swarmgrid.records.failures import FailureLog, suffix_of
from swarmgrid.records.manifest import max_rows_nbytes, read_manifest, to_compact, write_segments
from swarmgrid.space.points import Points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from swarmgrid.coordinator.witness import Witness
    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.leases.lease import Lease
    from swarmgrid.outputs.outputs import Schema
    from swarmgrid.records.failures import FailedPoint
    from swarmgrid.records.manifest import Manifest
    from swarmgrid.space.points import ChunkPart
    from swarmgrid.transport.messages import TaskResult, Values


@dataclass(slots=True)
class _OpenChunk:
    """A chunk whose points come back from several tasks."""

    left: int
    """Points that are still to come."""
    is_fresh: bool
    """Whether nothing of it is stored yet."""
    is_sound: bool = True
    """Whether none of its points has failed."""
    block: dict[str, NDArray[Any]] = field(default_factory=dict)
    new: NDArray[np.bool_] | None = None
    """Points that came back since the chunk was last written."""
    seconds: float = 0.0
    ended: float = 0.0
    """The time at which the last new point came back, in seconds since 1970."""


class Committer:
    """Commits what a run finishes, at the pace that is asked for, and grows the grid for it.

    The grid in the store holds no more values than those of the points that are committed, until
    a whole chunk is computed: then all that the run needs. So a request that fails leaves nothing
    behind.

    Parameters
    ----------
    lease : Lease
        The right to write the grid.
    grid : StoredGrid
        The grid, as the run needs it.
    old : StoredGrid or None
        The grid, as it is stored.
    manifest : Manifest or None
        The points that were computed before.
    flush_interval : float or None
        Seconds that finished points stay in memory; None: see `Pace`.
    keeps_failures : bool
        Whether the grid is to hold the points that failed, too.
    witness : Witness, optional
        Is told of each commit.
    """

    def __init__(
        self,
        lease: Lease,
        grid: StoredGrid,
        old: StoredGrid | None,
        manifest: Manifest | None,
        flush_interval: float | None,
        *,
        keeps_failures: bool,
        witness: Witness | None = None,
    ) -> None:
        self.bytes_written = 0
        self.chunks_written = 0
        self._lease = lease
        self._grid = grid
        self._stored = old
        self._keeps_failures = keeps_failures
        self._witness = witness
        self._has_failed = False
        self._sizes = dict(manifest.sizes) if manifest else {}
        self._damaged = list(manifest.damaged) if manifest else []
        self._pace = Pace(flush_interval, time.monotonic())
        self._open: dict[tuple[int, ...], _OpenChunk] = {}
        self._rows: list[Row] = []
        self._failures: list[FailedPoint] = []
        new_name = functools.partial(lease.new_name, suffix_of(grid.layout))
        self._failure_log = FailureLog(
            lease.blobs, grid.path, new_name, lease.new_commit, grid.key_id
        )
        self._looked = time.monotonic()

    @property
    def look_seconds(self) -> float:
        """After how long to look again whether something is to be written."""
        return self._pace.look_seconds

    def expect(self, part: ChunkPart) -> None:
        """Announce that a part's points will come back, in any order and number of parts."""
        chunk = self._open.setdefault(part.index, _OpenChunk(0, part.is_fresh))
        chunk.left += len(part.points)

    def give_up(self, index: tuple[int, ...], n: int) -> None:
        """Expect ``n`` points of a chunk no longer: they failed."""
        chunk = self._open.get(index)
        self._has_failed = True
        if chunk is not None:
            chunk.left -= n
            chunk.is_sound = False
            self._close_if_complete(index, chunk)

    def record(self, failure: FailedPoint) -> None:
        """Keep a point's failure with the next commit."""
        self._failures.append(failure)

    @property
    def schema(self) -> Schema:
        """The outputs of the grid, with their encodings as they are stored."""
        return self._grid.schema

    @property
    def is_grown(self) -> bool:
        """Whether the stored grid has all values that the run needs: others may write to it."""
        return self._stored is not None and not self._stored.axes_differ(self._grid)

    def receive(self, result: TaskResult) -> None:
        """Take what a worker reports."""
        self._rows.extend(result.rows)
        self.bytes_written += result.nbytes
        self.chunks_written += len(result.rows) * len(self._grid.schema.outputs)
        for values in result.values:
            self._put_in(values)

    def commit_if_due(self) -> None:
        """Write and commit what has waited long enough."""
        now = time.monotonic()
        if now - self._looked < self._pace.look_seconds:
            return
        self._looked = now
        self._lease.check()  # a run that has lost its lease is to end, not to go on
        if self._pace.is_due(now) and self._has_news():
            self._write_open()
            self.commit()
            self._pace.add_flush(now, time.monotonic())

    def close(self) -> None:
        """Write and commit everything that came back."""
        try:
            self._write_open()
        finally:  # a disk too full for a chunk may have room for the rows of the others
            self.commit()

    def _has_news(self) -> bool:
        """Whether anything is to be written."""
        return bool(self._rows or self._failures) or any(
            chunk.new is not None and chunk.new.any() for chunk in self._open.values()
        )

    def _put_in(self, values: Values) -> None:
        chunk = self._open[values.index]
        whole = self._grid.chunk_shape
        if values.points == Points(whole):
            # nothing else is in it: the arrays are taken as they are, without a copy
            chunk.new = np.ones(whole, bool)
            chunk.block = {n: a.reshape(whole + a.shape[1:]) for n, a in values.arrays.items()}
            self._count(values, chunk)
            return
        if chunk.new is None:
            blobs = self._lease.blobs
            chunk.block = (
                empty_block(self._grid)
                if chunk.is_fresh
                # an object is written as a whole: the points of earlier runs are written again
                # with it
                else read_block(blobs, self._grid, values.index)
            )
            chunk.new = np.zeros(self._grid.chunk_shape, bool)
        mask = values.points.mask(self._grid.chunk_shape)
        for name, array in values.arrays.items():
            chunk.block[name][mask] = array
        chunk.new |= mask
        self._count(values, chunk)

    def _count(self, values: Values, chunk: _OpenChunk) -> None:
        chunk.seconds += values.seconds
        chunk.ended = time.time()
        chunk.left -= len(values.points)
        self._close_if_complete(values.index, chunk)

    def _close_if_complete(self, index: tuple[int, ...], chunk: _OpenChunk) -> None:
        if chunk.left == 0:
            if chunk.new is not None and chunk.new.any():
                # one whole chunk is enough of a trial: growing for each would cost too much
                if chunk.is_sound and (self._keeps_failures or not self._has_failed):
                    self._grow([len(axis) for axis in self._grid.axes])
                self._write(index, chunk)
            del self._open[index]

    def _write_open(self) -> None:
        new = [
            (index, chunk, chunk.new)
            for index, chunk in self._open.items()
            if chunk.new is not None and chunk.new.any()
        ]
        if new and not self.is_grown:  # once for all of them
            ends = [self._ends(index, Points.from_mask(mask)) for index, _, mask in new]
            self._grow(np.max(ends, axis=0, initial=0).tolist())
        for index, chunk, _ in new:
            self._write(index, chunk)

    def _ends(self, index: tuple[int, ...], points: Points) -> list[int]:
        """The length that every axis needs, to hold some points of a chunk."""
        lengths = zip(index, self._grid.chunk_shape, points.extent, strict=True)
        return [i * length + n for i, length, n in lengths]

    def _grow(self, lengths: Sequence[int]) -> None:
        """Have the stored grid hold at least so many values on every axis."""
        if self.is_grown:
            return
        if self._stored is None:
            self._choose_codecs()
        grown = covering(self._grid, self._stored, lengths)
        if self._stored is None or self._stored.axes_differ(grown):
            self._lease.check()
            # an owner that has lost its lease could put back metadata that its successor has grown
            write_grid(self._lease.blobs, grown, self._stored)
            self._stored = grown

    def _choose_codecs(self) -> None:
        """Settle what the first chunk decides: the codecs that were left open."""
        if not any(one.is_open for one in self._grid.schema.encodings.values()):
            return
        found = (
            (c.block, c.new) for c in self._open.values() if c.new is not None and c.new.any()
        )
        block, new = next(found, ({}, None))
        values = {name: array[new] for name, array in block.items()}
        self._grid = with_chosen_codecs(self._grid, values)

    def _write(self, index: tuple[int, ...], chunk: _OpenChunk) -> None:
        assert chunk.new is not None
        self._lease.check()
        points = Points.from_mask(chunk.new)
        self._grow(self._ends(index, points))  # the metadata come before the chunk
        assert self._stored is not None
        row, nbytes = write_points(
            self._lease.blobs, self._stored, index, chunk.block, points, chunk.seconds, chunk.ended
        )
        self._rows.append(row)
        self.bytes_written += nbytes
        self.chunks_written += len(self._grid.schema.outputs)
        # the block stays in memory: points still to come are added to it. Marked only now:
        # a chunk that could not be written is written again by `close`
        chunk.new[...] = False
        chunk.seconds = 0.0

    def commit(self) -> None:
        """Commit the failures, and the rows of the chunks that are written."""
        self._commit_failures()
        if not self._rows:
            return
        # chunks, then rows: a kill between them leaves values without a row, never the reverse
        self._lease.check()
        rows = Rows.from_rows(self._rows, len(self._grid.axes), len(self._grid.schema.outputs))
        self._write_segments(rows.written_by(WriterId.of_this_process()))
        # not before: after an error `close` commits them again, and rows that are there twice
        # say the same
        self._rows = []
        self._compact()

    def _commit_failures(self) -> None:
        """Write the failures of points that have their place in the grid."""
        if not self._failures:
            return
        ends = [self._ends(failure.index, failure.points) for failure in self._failures]
        if self._keeps_failures:
            self._grow(np.max(ends, axis=0, initial=0).tolist())
        axes = self._stored.axes if self._stored is not None else None
        # where failures are not kept, the grid does not grow for them: beyond its ends they have
        # no place
        kept: list[FailedPoint] = []
        lost: list[FailedPoint] = []
        for failure, end in zip(self._failures, ends, strict=True):
            has_place = axes is not None and all(
                n <= len(a) for n, a in zip(end, axes, strict=True)
            )
            (kept if has_place else lost).append(failure)
        self._lease.check()
        written = self._failure_log.write(kept) if kept else []
        self._failures = []
        if self._witness is not None:
            self._witness.failed(lost)
            if written and self._stored is not None:
                no_rows = Rows.from_rows([], len(self._grid.axes), len(self._grid.schema.outputs))
                self._witness.committed(self._stored, no_rows, written)

    def _write_segments(self, rows: Rows) -> None:
        assert self._stored is not None
        new_name = functools.partial(self._lease.new_name, ".seg")
        path = self._grid.path
        lease = self._lease
        new: list[Rows] = []
        try:
            self._sizes |= write_segments(
                lease.blobs, path, new_name, self._stored, rows, lease.new_commit, note=new.append
            )
        finally:
            if self._witness is not None:
                for some in new:
                    self._witness.committed(self._stored, some, ())

    def _compact(self) -> None:
        """Replace many small segments by one; readers meanwhile see the same union twice."""
        blobs, path = self._lease.blobs, self._grid.path
        names = to_compact(self._sizes, max_rows_nbytes(blobs))
        if not names:
            return
        assert self._stored is not None
        compacted = read_manifest(blobs, path, names, self._stored)
        if compacted is None or compacted.damaged:  # the next repair decides what is lost
            return
        self._write_segments(compacted.rows)
        # only now: a reader that listed the small ones still finds them, or reads the names again.
        # Without a look at the lease: their rows have just been written again (decision 0009)
        for name in [*names, *self._damaged]:
            blobs.delete(path.manifest + name)
            self._sizes.pop(name, None)
        self._damaged = []
