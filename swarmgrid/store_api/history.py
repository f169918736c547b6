"""The past of all grids of a catalog: snapshots of a whole store, and the way back to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, brief
from swarmgrid.finding.moments import to_seconds
from swarmgrid.inventory.keeping import stored_grids
from swarmgrid.records.snapshot import Snapshot
from swarmgrid.store.scoping import in_scope

if TYPE_CHECKING:
    import datetime as dt

    from swarmgrid.finding.moments import Moment
    from swarmgrid.handle.grid import Grid
    from swarmgrid.handle.history import GridDiff
    from swarmgrid.store.location import Location

_SHOWN = 5
"""The grids that an error lists."""


class CatalogHistory:
    """The grids of a store, as far as their past is kept and read; see `Catalog`."""

    location: Location

    def __iter__(self) -> Iterator[Grid]:
        """The grids."""
        raise NotImplementedError

    def snapshot(
        self,
        message: str = "",
        *,
        tags: Mapping[str, Any] | Iterable[str] | None = None,
        expires: str | float | dt.timedelta | dt.date | None = None,
    ) -> dict[str, Snapshot]:
        """Take a snapshot of every grid of the catalog; see `Grid.snapshot`.

        Of a whole store, ``swarmgrid.catalog(store).snapshot("before refit")``. Each is of the
        moment at which its grid is reached, and a kill leaves those that were taken. In a scope,
        of the grids that it has points of.

        Parameters
        ----------
        message : str, optional
            The name that all of them have.
        tags, expires
            As for `Grid.snapshot`.

        Returns
        -------
        dict
            By grid id its snapshot. `restore`, `diff`, `datatree` and `delete_snapshot` take it,
            or the message.

        Raises
        ------
        InputError
            If a grid was deleted since the catalog was read.

        Examples
        --------
        >>> import swarmgrid
        >>> def area(width, height):
        ...     return width * height
        >>> options = dict(func=area, store="memory://past", executor="sync")
        >>> ds = swarmgrid.compute({"height": 2.0}, {"width": [1, 2]}, **options)
        >>> ds = swarmgrid.compute({"height": 3.0}, {"width": [1, 2]}, **options)
        >>> catalog = swarmgrid.catalog("memory://past")
        >>> before = catalog.snapshot("before refit")
        >>> ds = swarmgrid.compute({"height": 3.0}, {"width": [1, 2, 3]}, **options)
        >>> sum(diff.count("added") for diff in catalog.diff(before).values())
        1
        >>> sum(catalog.restore("before refit").values())
        1
        """
        return {
            grid.id: grid.snapshot(message, tags=tags, expires=expires) for grid in self._own()
        }

    def snapshots(self) -> dict[str, list[Snapshot]]:
        """The snapshots of each grid of the catalog that has any, by grid id, the oldest first."""
        listed = {grid.id: grid.snapshots() for grid in self}
        return {grid: found for grid, found in listed.items() if found}

    def with_snapshot(self, snapshot: str) -> dict[str, Snapshot]:
        """The snapshots of a message or an id: by grid id, of each grid that has one.

        Parameters
        ----------
        snapshot : str
            The message, or an id or its first digits.

        Raises
        ------
        InputError
            If no grid has such a snapshot, or one has several.
        """
        return {grid.id: found for grid, found in self._named(list(self), snapshot)}

    def diff(
        self,
        before: Moment | Mapping[str, Snapshot],
        after: Moment | Mapping[str, Snapshot] = None,
    ) -> dict[str, GridDiff]:
        """The points of every grid that were added, removed or changed between two moments.

        Parameters
        ----------
        before, after : dict, str or datetime, optional
            The result of `snapshot`, the message of snapshots, or a time. Default of ``after``:
            now.

        Returns
        -------
        dict
            By grid id, as `Grid.diff` gives it. Grids that have only one of the moments are left
            out.

        Raises
        ------
        InputError
            If no grid has such a snapshot.
        """
        then = {grid.id: moment for grid, moment in self._moments(after)}
        return {
            grid.id: grid.diff(moment, then[grid.id])
            for grid, moment in self._moments(before)
            if grid.id in then
        }

    def restore(self, snapshot: str | Mapping[str, Snapshot]) -> dict[str, int]:
        """Make every grid of the catalog what it was in the snapshot of a message.

        Grids that have no such snapshot are left alone; see `Grid.restore`. A call that was cut
        short is completed by the same call.

        Parameters
        ----------
        snapshot : str or dict
            The message, or what `snapshot` returned.

        Returns
        -------
        dict
            By grid id the number of points that count as not computed now.

        Raises
        ------
        InputError
            If no grid has such a snapshot, or one has several. Nothing was changed.
        DamageError
            If the record of a snapshot is damaged. Nothing was changed.
        ArchivedError
            If a grid is archived. Nothing was changed.
        """
        pairs = self._named(self._own(), snapshot, is_own=True)
        for grid, found in pairs:
            grid._check_restorable(found)  # noqa: SLF001
        return {grid.id: grid.restore(found) for grid, found in pairs}

    def delete_snapshot(self, snapshot: str | Mapping[str, Snapshot]) -> int:
        """Delete the snapshots of a message, and return their number; see `Grid.delete_snapshot`.

        Parameters
        ----------
        snapshot : str or dict
            The message, or what `snapshot` returned.

        Raises
        ------
        InputError
            If no grid has such a snapshot, or one has several. Nothing was changed.
        """
        pairs = self._named(self._own(), snapshot, is_own=True)
        for grid, found in pairs:
            grid.delete_snapshot(found)
        return len(pairs)

    def _moments(self, moment: Moment | Mapping[str, Snapshot]) -> list[tuple[Grid, Moment]]:
        """The grids that a moment is of, and the moment of each; a time is of all of them."""
        grids = list(self)
        if isinstance(moment, Mapping):
            return [*self._named(grids, moment)]
        if isinstance(moment, str):
            found = self._having(grids, moment, is_own=False)
            if found or to_seconds(moment) is None:
                return [*(found or self._named(grids, moment))]
        elif isinstance(moment, Snapshot):
            return [*self._named(grids, moment.id)]
        return [(grid, moment) for grid in grids]

    def _named(
        self,
        grids: Sequence[Grid],
        snapshot: str | Mapping[str, Snapshot],
        *,
        is_own: bool = False,
    ) -> list[tuple[Grid, Snapshot]]:
        """The grids that have a snapshot, and that; InputError if there are none."""
        if not isinstance(snapshot, (str, Mapping)):
            raise InputError(
                f"the snapshot is {brief(snapshot)}; expected the message that all grids have, or "
                "the dict that Catalog.snapshot returned"
            )
        found = self._having(grids, snapshot, is_own=is_own)
        if isinstance(snapshot, Mapping):
            lost = [str(name) for name in snapshot if name not in {grid.id for grid, _ in found}]
            if lost:
                more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
                raise InputError(
                    "the snapshots of these grids are not in this catalog, as they or the grids "
                    f"were deleted, or are of another store: {', '.join(lost[:_SHOWN])}{more}"
                )
        if not found:
            raise InputError(f"no grid of this catalog has a snapshot {brief(snapshot)}")
        return found

    def _having(
        self, grids: Sequence[Grid], snapshot: str | Mapping[str, Snapshot], *, is_own: bool
    ) -> list[tuple[Grid, Snapshot]]:
        pairs = []
        for grid in grids:
            name = snapshot.get(grid.id) if isinstance(snapshot, Mapping) else snapshot
            found = None if name is None else grid._snapshot(name, is_own=is_own)  # noqa: SLF001
            if found is not None:
                pairs.append((grid, found))
        return pairs

    def _own(self) -> list[Grid]:
        """The grids that lie in the store itself: of a scope not those of the shared store."""
        location = in_scope(self.location)
        if location.below is None:
            return list(self)
        own = {path.grid for path in stored_grids(location.open())}
        return [grid for grid in self if grid.id in own]
