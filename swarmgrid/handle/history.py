"""The past of a stored grid: snapshots, what changed between two, and the way back."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, brief
from swarmgrid.finding.moments import knows, named, snapshot_of, state_of, to_seconds
from swarmgrid.finding.resolve import not_stored
from swarmgrid.format.described import archive_in
from swarmgrid.handle.base import GridBase
from swarmgrid.leases.preflight import check_writable
from swarmgrid.maintenance import restore, snapshots
from swarmgrid.outputs.labels import MisfitError
from swarmgrid.quantities import span_seconds
from swarmgrid.records.snapshot import Snapshot, read_snapshots
from swarmgrid.space.tags import checked_tags
from swarmgrid.store.checked_json import MAX_DOCUMENT
from swarmgrid.store.directory import remove_empty_folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from swarmgrid.finding.moments import Moment
    from swarmgrid.store.location import Location


CHANGES = ("added", "removed", "changed")
"""The kinds of changes between two moments."""
_LATEST = dt.datetime(9999, 12, 1, tzinfo=dt.UTC).timestamp()
"""Records have no later times. A span may begin some days later: when the grid can be written."""


@dataclass(frozen=True, repr=False)
class GridDiff:
    """The points that differ between two moments of a grid; made by `Grid.diff`."""

    __module__ = "swarmgrid"

    points: pd.DataFrame
    """A row for each: its axis values, and ``change``: ``added``, ``removed`` or ``changed``.

    That column is the last one. It is called ``change_`` where an axis is called ``change``."""

    @property
    def added(self) -> pd.DataFrame:
        """The axis values of the points that were computed meanwhile."""
        return self._of("added")

    @property
    def removed(self) -> pd.DataFrame:
        """The axis values of the points that are not computed any more."""
        return self._of("removed")

    @property
    def changed(self) -> pd.DataFrame:
        """The axis values of the points that have other values now."""
        return self._of("changed")

    def count(self, change: str) -> int:
        """The number of points of one kind of change."""
        return len(self._of(change))

    def _of(self, change: str) -> pd.DataFrame:
        if change not in CHANGES:
            raise InputError(f"change is {brief(change)}; expected one of {', '.join(CHANGES)}")
        column = self.points.columns[-1]
        chosen = self.points[self.points[column] == change]
        return chosen.drop(columns=column).reset_index(drop=True)

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        counts = ", ".join(f"{self.count(change):,} {change}" for change in CHANGES)
        return f"<swarmgrid.GridDiff: {counts}>"


class GridHistory(GridBase):
    """A stored grid, as far as its past is kept and read; see `Grid`."""

    def snapshot(
        self,
        message: str = "",
        *,
        tags: Mapping[str, Any] | Iterable[str] | None = None,
        expires: str | float | dt.timedelta | dt.date | None = None,
    ) -> Snapshot:
        """Keep what is computed now, so that ``dataset(at=...)`` opens it later.

        No value is copied: about 25 bytes a chunk are written. Whatever changes a value of a
        snapshot later (`delete`, `invalidate`, `convert`, `repair`) keeps a copy of its chunk
        first. Waits while another process fills the grid. In a scope, it is of the points that the
        scope has itself, and says so: nothing of a scope keeps what the shared store has.

        Parameters
        ----------
        message : str, optional
            Its purpose, in a line; it serves as a name, too.
        tags : mapping or list of str, optional
            By name a text, a number, a bool or a list of these. Names alone are tags that are
            True.
        expires : str, number, timedelta or datetime, optional
            After so long, such as ``"30d"`` or seconds, or from a time on, such as
            ``"2027-01-31"``, it may be deleted: the next snapshot of the grid, or
            `swarmgrid.prune`, deletes it. Default: never.

        Raises
        ------
        InputError
            If nothing is stored of the grid.

        Examples
        --------
        >>> import swarmgrid
        >>> @swarmgrid.grid(store="memory://snapshot", executor="sync")
        ... def area(width, height):
        ...     return width * height
        >>> ds = area.compute({"height": 2.0}, {"width": [1, 2]})
        >>> grid = area.grid({"height": 2.0})
        >>> before = grid.snapshot("before refit")
        >>> ds = area.compute({"height": 2.0}, {"width": [1, 2, 3]})
        >>> grid.diff(before)
        <swarmgrid.GridDiff: 1 added, 0 removed, 0 changed>
        >>> grid.dataset(at="before refit")["value"].values
        array([2., 4.])
        """
        if not isinstance(message, str) or not message.isprintable() or len(message) > 1000:
            raise InputError(f"message is {brief(message)}; expected one line of text")
        noted = {
            k: v for k, v in checked_tags({} if tags is None else tags).items() if v is not None
        }
        ends = _expiry(expires)
        location, path = self._ref.location, self._ref.path
        check_writable(location)
        with self._held() as held:
            taken = snapshots.take(held, path, message, noted, ends)
            if location.is_directory:  # of expired ones, and of one that a kill cut short
                remove_empty_folders(location.url, [path.snapshots])
        if taken is None:
            raise not_stored(self._ref)
        return _of(location, taken)

    def snapshots(self) -> list[Snapshot]:
        """The snapshots of the grid, the oldest first.

        One whose record is damaged is listed by its id alone, and ``damage`` says what is wrong.
        It cannot be opened; `delete_snapshot` deletes it. The others are not affected. In a
        scope, those of the shared store are among them; they can be read there, and not changed.
        """
        found = {
            snapshot.id: _of(location, snapshot)  # of one that was published, the scope's own
            for location in reversed(self._ref.location.layers)
            for snapshot in read_snapshots(location.open(), self._ref.path)
        }
        return sorted(found.values(), key=lambda snapshot: (snapshot.time, snapshot.id))

    def _snapshot(self, name: Snapshot | str, *, is_own: bool) -> Snapshot | None:
        """The snapshot of an id or a message; of a scope its own alone, or of both stores."""
        locations = self._ref.location.layers
        refs = (replace(self._ref, location=one) for one in locations[: 1 if is_own else None])
        return next((found for ref in refs if (found := named(ref, name)) is not None), None)

    def _check_restorable(self, found: Snapshot) -> None:
        """Raise DamageError or ArchivedError where it is known that a restore would fail."""
        found.check()
        archive = archive_in(self._ref.location.open().get(self._ref.path.metadata, MAX_DOCUMENT))
        if archive is not None:
            raise archive.error(self._ref.path)

    def delete_snapshot(self, snapshot: Snapshot | str) -> None:
        """Delete a snapshot, and the copies of chunks that were kept for it alone.

        Parameters
        ----------
        snapshot : Snapshot or str
            The snapshot, its id or its message.

        Raises
        ------
        InputError
            If there is no such snapshot.
        """
        found = snapshot_of(self._ref, snapshot)
        check_writable(self._ref.location)
        location, path = self._ref.location, self._ref.path
        with self._held() as held:
            snapshots.delete(held, path, found.id)
        if location.is_directory:
            remove_empty_folders(location.url, [path.snapshots])

    def restore(self, snapshot: Snapshot | str) -> int:
        """Make the grid what it was when a snapshot was taken.

        Points computed since count as not computed, and values that changed since are those of
        the snapshot again. The axes keep the values that they have since. To be able to come back,
        take a snapshot first. Waits while another process fills the grid.

        Parameters
        ----------
        snapshot : Snapshot or str
            The snapshot, its id or its message.

        Returns
        -------
        int
            The number of points that count as not computed now, and were computed before.

        Raises
        ------
        InputError
            If there is no such snapshot, or the grid cannot hold its values: an output has a
            lossy encoding since. Nothing was changed.
        DamageError
            If the snapshot is damaged, or a value of it is lost. Nothing was changed.

        Notes
        -----
        A grid keeps the layout that it has. If that is not the one of the snapshot, all chunks are
        written anew, as by `rechunk`: Datasets that were opened before are to be opened again.
        """
        found = snapshot_of(self._ref, snapshot)
        check_writable(self._ref.location)
        found.check()
        try:
            with self._written() as held:
                n = restore.restore(held, self._ref.path, found.id)
        except MisfitError as error:
            raise InputError(f"{error}. Nothing was changed") from None
        if n is None:
            raise not_stored(self._ref)
        return n

    def diff(self, before: Moment, after: Moment = None) -> GridDiff:
        """The points that were added, removed or changed between two moments.

        Points are compared by their labels. Where the grid was laid out anew in between, all
        values that both have are read for that; else those of chunks that differ.

        In a scope, among the points that the scope has itself; or of the shared store, where one
        of the moments is a snapshot of that.

        Parameters
        ----------
        before, after : Snapshot, str or datetime, optional
            A snapshot, its id or its message, or a time, as for `dataset`. Default of ``after``:
            now.

        Raises
        ------
        InputError
            If there is no such snapshot.
        DamageError
            If a value of one of the moments is lost.
        """
        from swarmgrid.view.differing import differing_points

        ref = self._ref
        if len(ref.location.layers) > 1:
            refs = [layer.ref for layer in self._stored_layers()]
            both = (one for one in refs if knows(one, before) and knows(one, after))
            ref = next(both, refs[0])
        return GridDiff(differing_points(ref, state_of(ref, before), state_of(ref, after)))


def _expiry(expires: Any) -> dt.datetime | dt.timedelta | None:
    """The time, or the span from now, after which a snapshot may be deleted."""
    if expires is None:
        return None
    seconds, span = to_seconds(expires), 0.0
    if seconds is None:
        span = span_seconds("expires", expires)
    elif seconds <= time.time():
        raise InputError(f"expires is {brief(expires)}; expected a time that is to come, or '30d'")
    if (time.time() + span if seconds is None else seconds) > _LATEST:
        raise InputError(
            f"expires is {brief(expires)}, which is after the year 9999; expected '30d', or None: "
            "never"
        )
    if seconds is None:
        return dt.timedelta(seconds=span)
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _of(location: Location, snapshot: Snapshot) -> Snapshot:
    """A snapshot that says which scope it is of."""
    return snapshot if location.scope is None else replace(snapshot, scope=location.scope.name)
