"""The events that lead from what a watcher was told of a grid to what it is now; no I/O."""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.following.events import (
    Event,
    GridCreated,
    GridDamaged,
    GridDeleted,
    GridGrown,
    MemberJoined,
    MemberLeft,
    PointsComputed,
    PointsFailed,
    PointsRemoved,
    RunFinished,
)
from swarmgrid.following.places import Places
from swarmgrid.following.reader import counted, signs
from swarmgrid.following.sight import IDLE, WORKING
from swarmgrid.following.token import ENDING, IN, OUT, Mark
from swarmgrid.records.damage_marks import mark_name
from swarmgrid.store.lease_record import epoch_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.following.reader import GridLook
    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.format.writers import WriterId
    from swarmgrid.records.failures import FailedPoint
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.lease_record import LeaseRecord
    from swarmgrid.store.location import Location

Changes = Generator[tuple[Event, Mark], None, Mark]
"""Yields events, each with the mark of its grid after it, and returns the mark after all."""
FOLLOWED, RELEASED = "followed", "released"


@dataclass(frozen=True)
class Teller:
    """Makes the events of one grid.

    Parameters
    ----------
    location, path : Location, GridPath
        The grid.
    now : datetime
        The time by the watcher's clock, in UTC.
    """

    location: Location
    path: GridPath
    now: dt.datetime

    def since(self, mark: Mark, look: GridLook | None) -> Changes:
        """The events since a mark, in order, each with the mark after it."""
        if look is None:
            if mark.exists:
                mark = replace(mark, exists=False, lengths=(), points=0, damage=())
                yield GridDeleted(**self._common()), mark
            return mark
        mark = yield from self._of_the_axes(_of_this_store(mark, look), look)
        counts = counted(look.rows)
        is_hidden = _hidden(mark, look, counts)
        mark = yield from self._of_losses(mark, look, np.where(is_hidden, 0, counts))
        mark = yield from self._of_commits(mark, look, counts, is_hidden)
        return (yield from self._of_the_lease(mark, look, counts))

    def of_own_commits(self, mark: Mark, look: GridLook) -> Changes:
        """The events of commits that this process has just made; the look has no other rows."""
        mark = yield from self._of_the_axes(mark, look)
        counts = counted(look.rows)
        return (yield from self._of_commits(mark, look, counts, np.zeros(len(counts), bool)))

    def damaged(self, mark: Mark, key: str, reason: str) -> Changes:
        """The event that a grid cannot be read, unless it was told."""
        if key not in mark.damage:
            mark = replace(mark, damage=(*mark.damage, key))
            yield GridDamaged(**self._common(), key=key, reason=reason), mark
        return mark

    def _common(self, writer: str = "", time: dt.datetime | None = None) -> dict[str, Any]:
        return {
            "function": self.path.function,
            "grid": self.path.grid,
            "writer": writer,
            "time": time or self.now,
        }

    def _of_the_axes(self, mark: Mark, look: GridLook) -> Changes:
        axes = look.grid.axes
        lengths, names = tuple(map(len, axes)), look.grid.names
        writer = _holder(look.holder.record)
        before = dict(zip(names, mark.lengths, strict=False))
        if mark.exists and any(n < before.get(name, 0) for name, n in zip(names, lengths)):  # noqa: B905
            mark = replace(mark, exists=False, points=0, damage=())  # deleted, and made anew
            yield GridDeleted(**self._common(writer)), mark
        has_existed, mark = mark.exists, replace(mark, exists=True, lengths=lengths)
        now = dict(zip(names, lengths, strict=True))
        if not has_existed:
            yield GridCreated(**self._common(writer), lengths=now), mark
        elif now != before:
            added = {
                axis.name: axis.labels()[before.get(axis.name, 0) :]
                for axis in axes
                if len(axis) > before.get(axis.name, 0)
            }
            event = GridGrown(**self._common(writer), lengths=now, before=before, added=added)
            yield event, mark
        return mark

    def _of_losses(self, mark: Mark, look: GridLook, counts: NDArray[np.int64]) -> Changes:
        marked = {mark_name(index): "a reader found it damaged" for index in look.marked}
        found = marked | dict.fromkeys(look.damaged, "it is no sound segment of the manifest")
        known = tuple(name for name in mark.damage if name in found)
        mark = replace(mark, damage=known)
        for name, reason in sorted(found.items()):
            if name not in known:
                mark = replace(mark, damage=(*mark.damage, name))
                key = f"{self.path.manifest}{name}"
                if name in marked:  # of a chunk: the mark itself is sound
                    key = f"{self.path.prefix}*/{name.removesuffix('.bad')}"
                yield GridDamaged(**self._common(), key=key, reason=reason), mark
        numbers = look.rows.commit
        is_known = _where(numbers, mark)
        n = int(counts[is_known].sum())
        # rows that were laid out anew have the latest commit of all that are in them
        lost = mark.points - n if mark.layout == look.grid.layout else 0
        if mark.layout != look.grid.layout:  # its rows are in other chunks: they have other signs
            its = look.rows.subset(np.flatnonzero(numbers == np.uint64(mark.last)))
            mark = replace(mark, sign=int(signs(its)[0]) if len(its) and mark.sign else 0)
        mark = replace(mark, points=n, layout=look.grid.layout)
        if lost > 0:
            writer = _holder(look.holder.record)
            yield PointsRemoved(**self._common(writer), n_points=lost), mark
        return mark

    def _of_commits(
        self,
        mark: Mark,
        look: GridLook,
        counts: NDArray[np.int64],
        is_hidden: NDArray[np.bool_],
    ) -> Changes:
        """The commits that were not told: of rows, and of failures."""
        rows = look.rows
        is_new = is_hidden | (~_where(rows.commit, mark) & (rows.commit <= look.settled))
        new = np.flatnonzero(is_new & (counts > 0))
        new = new[np.argsort(rows.commit[new], kind="stable")]
        commits, starts = np.unique(rows.commit[new], return_index=True)
        groups: dict[int, NDArray[np.intp]] = dict(
            zip(commits.tolist(), np.split(new, starts[1:]), strict=False)
        )
        failed: dict[int, list[FailedPoint]] = {}
        for failure in look.records:
            if not mark.knows(failure.commit) and failure.commit <= look.settled:
                failed.setdefault(failure.commit, []).append(failure)
        for commit in sorted({*groups, *failed}):
            epoch = epoch_of(commit)
            numbers = groups.get(commit)
            writer = _member(look, epoch, numbers)
            if epoch > mark.epoch:
                mark = yield from self._of_another(mark, look, counts, epoch, writer)
            told = replace(mark, commits=mark.told(commit))
            failures = failed.get(commit, [])
            for i, failure in enumerate(failures, 1):
                # a commit is told with its last event: a token from before that has all told again
                is_last = i == len(failures) and numbers is None
                mark = told if is_last else mark
                yield self.of_failure(failure, look.grid, writer), mark
            if numbers is not None:
                n = int(counts[numbers].sum())
                sign = int(signs(rows.subset(numbers[:1]))[0])
                mark = replace(told, points=mark.points + n, last=commit, sign=sign)
                time = _instant(int(rows.time[numbers].max())) or self.now
                event = PointsComputed(
                    **self._common(writer, time),
                    n_points=n,
                    seconds=float(rows.seconds[numbers].sum(dtype=np.float64)),
                    places=Places(self.location, look.grid, rows.subset(numbers)),
                )
                yield event, mark
        return mark

    def of_failure(self, failure: FailedPoint, grid: StoredGrid | None, writer: str) -> Event:
        """The event of a failure; without the places of points that the grid never got."""
        try:
            time = dt.datetime.fromisoformat(failure.time)
        except ValueError:
            time = self.now
        places = None
        if grid is not None and all(
            i * n + e <= len(axis)
            for i, n, e, axis in zip(
                failure.index, grid.chunk_shape, failure.points.extent, grid.axes, strict=True
            )
        ):
            places = Places(self.location, grid, (failure.index, failure.points))
        return PointsFailed(
            **self._common(writer, time if time.tzinfo else time.replace(tzinfo=dt.UTC)),
            n_points=len(failure.points),
            point=_first_point(failure, None if places is None else grid),
            exception=failure.exception,
            reason=failure.reason,
            attempt=failure.attempt,
            places=places,
        )

    def _of_the_lease(self, mark: Mark, look: GridLook, counts: NDArray[np.int64]) -> Changes:
        if look.epoch > mark.epoch:
            writer = _holder(look.holder.record)
            mark = yield from self._of_another(mark, look, counts, look.epoch, writer)
        # what is not confirmed yet comes before the end of the process that wrote it
        latest = int(look.rows.commit.max()) if len(look.rows) else -1
        if mark.stage and look.holder.state != WORKING and latest <= look.settled:
            how = RELEASED if look.holder.state == IDLE else look.holder.state
            mark = yield from self._leave(mark, look, counts, how, _holder(look.holder.record))
        return mark

    def _of_another(
        self, mark: Mark, look: GridLook, counts: NDArray[np.int64], epoch: int, writer: str
    ) -> Changes:
        """A process joins; if the one before has not left by what was told, it has now."""
        if mark.stage:
            mark = yield from self._leave(mark, look, counts, FOLLOWED, "")
        mark = replace(mark, epoch=epoch, stage=IN)
        yield MemberJoined(**self._common(writer), epoch=epoch), mark
        return mark

    def _leave(
        self, mark: Mark, look: GridLook, counts: NDArray[np.int64], how: str, writer: str
    ) -> Changes:
        """A process leaves; if it has computed anything, its run has finished."""
        epoch = mark.epoch
        # as `epoch_of`, for all rows at once
        is_its = (look.rows.commit >> np.uint64(24)) == epoch
        failed = [f for f in look.records if epoch_of(f.commit) == epoch]
        writer = writer or _member(look, epoch, np.flatnonzero(is_its))
        if mark.stage == IN and (is_its.any() or failed):
            mark = replace(mark, stage=ENDING)
            total = int(np.prod([len(axis) for axis in look.grid.axes], dtype=np.int64))
            unsolved = sum(len(failure.points) for failure in look.failures)
            yield (
                RunFinished(
                    **self._common(writer),
                    epoch=epoch,
                    how=how,
                    computed=int(counts[is_its].sum()),
                    failed=sum(len(failure.points) for failure in failed),
                    missing=max(0, total - int(counts.sum()) - unsolved),
                ),
                mark,
            )
        mark = replace(mark, stage=OUT)
        yield MemberLeft(**self._common(writer), epoch=epoch, how=how), mark
        return mark


def _first_point(failure: FailedPoint, grid: StoredGrid | None) -> dict[str, Any]:
    """The point of a failure, of a block its first: the record has a block's labels as texts."""
    if failure.extent is None:
        return dict(failure.point)
    if grid is not None:
        places = zip(failure.index, grid.chunk_shape, failure.offset, strict=True)
        at = [i * n + offset for i, n, offset in places]
        return {axis.name: axis.label(i) for axis, i in zip(grid.axes, at, strict=True)}
    firsts = {name: np.ravel(labels) for name, labels in failure.point.items()}
    return {
        name: first[0] if first.dtype.kind in "mM" else first.tolist()[0]  # of times, no number
        for name, first in firsts.items()
    }


def _of_this_store(mark: Mark, look: GridLook) -> Mark:
    """The mark; an empty one if it is of another store, or of before this one was made anew.

    Numbers say so where leases count from 0 again. The token of another store, or of one that was
    put back from a backup, may have any numbers: its last commit has other rows here.
    """
    if -1 < look.epoch < mark.epoch:
        return Mark()
    if mark.sign and look.is_unseen is None and mark.layout == look.grid.layout:
        its = np.flatnonzero(look.rows.commit == np.uint64(mark.last))
        # none: they were deleted since
        if len(its) and mark.sign not in signs(look.rows.subset(its)).tolist():
            return Mark()
    return mark


def _hidden(mark: Mark, look: GridLook, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """``(n,)``: whether a row came with a commit that was told without it.

    At the first look after a token it is not known which these are: if there are more points
    than were told, all of them are told again.
    """
    is_told = _where(look.rows.commit, mark)
    if mark.layout != look.grid.layout:  # rows have other commits there
        return np.zeros_like(is_told)
    if look.is_unseen is not None:
        return is_told & look.is_unseen
    return is_told & (int(counts[is_told].sum()) > mark.points)


def _where(commits: NDArray[np.uint64], mark: Mark) -> NDArray[np.bool_]:
    """``(n,)``: whether a commit was told."""
    different, numbers = np.unique(commits, return_inverse=True)
    known = np.array([mark.knows(commit) for commit in different.tolist()], bool)
    return known[numbers.reshape(-1)]


def _member(look: GridLook, epoch: int, numbers: NDArray[np.intp] | None) -> str:
    """The process that had a lease: by its rows, else by the lease itself."""
    if numbers is not None and len(numbers):
        return _text(look.rows.writers[int(look.rows.writer[numbers[-1]])])
    return _holder(look.holder.record) if epoch == look.epoch else ""


def _holder(record: LeaseRecord | None) -> str:
    return "" if record is None else f"{record.host}:{record.pid}"


def _text(writer: WriterId) -> str:
    return f"{writer.host}:{writer.pid}" if writer.pid else ""


def _instant(seconds: int) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(seconds, dt.UTC) if seconds else None
