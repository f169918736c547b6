"""Keeping a stored grid sound and described: its checks, repairs, dtypes and tags."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import DamageError, InputError
from swarmgrid.finding.resolve import not_stored
from swarmgrid.format.described import archive_in
from swarmgrid.handle.base import GridBase
from swarmgrid.indexes.files import delete_unsound, index_findings
from swarmgrid.inventory.keeping import tag
from swarmgrid.leases.preflight import check_writable
from swarmgrid.maintenance.convert import convert_output, converted
from swarmgrid.maintenance.repair import repair_grid
from swarmgrid.maintenance.report import below, joined, to_report
from swarmgrid.maintenance.snapshots import snapshot_findings
from swarmgrid.maintenance.verify import verify_grid
from swarmgrid.planning.growth import check_key
from swarmgrid.quantities import check_flags
from swarmgrid.records.grid_state import read_state
from swarmgrid.records.snapshot import snapshot_paths
from swarmgrid.records.tags import read_tags
from swarmgrid.space.tags import checked_tags
from swarmgrid.store.checked_json import MAX_DOCUMENT
from swarmgrid.store.layout import SCOPES
from swarmgrid.store.location import to_location
from swarmgrid.transfer.archiving import check_there, verify_there

if TYPE_CHECKING:
    from swarmgrid.maintenance.report import Report
    from swarmgrid.store.location import Location


class GridUpkeep(GridBase):
    """A stored grid, as far as it is checked, repaired, converted and tagged; see `Grid`."""

    @property
    def tags(self) -> dict[str, Any]:
        """The tags of the grid: those given to `compute`, with the changes made by `tag`."""
        path, found = self._ref.path, dict[str, Any]()
        for location in reversed(self._ref.location.layers):
            blobs = location.open()
            found |= read_tags(blobs, path, blobs.names(path.manifest))
        return found

    def tag(self, tags: Mapping[str, Any] | None = None, /, **more: Any) -> dict[str, Any]:
        """Add or change tags, and return all tags of the grid; None removes one.

        Parameters
        ----------
        tags : mapping, optional
            By name a text, a number, a bool or a list of these.
        **more
            Further tags.

        Raises
        ------
        InputError
            If nothing is stored of the grid, or a tag has a value of another kind.
        """
        changes = checked_tags({**({} if tags is None else checked_tags(tags)), **more})
        check_writable(self._ref.location)
        found = tag(self._ref.location, self._ref.path, changes)
        if found is None:
            raise not_stored(self._ref)
        return found

    def verify(
        self, *, archived: bool = False, storage_options: Mapping[str, Any] | None = None
    ) -> Report:
        """Read everything that is stored of the grid, and say what is wrong with it.

        Of a grid that is archived, the values are left out, unless ``archived=True``: coordinates,
        metadata, rows and snapshots are held against each other. In a scope, of the scope's part
        and of the shared store's; the keys of the first begin with ``scopes/``.

        Parameters
        ----------
        archived : bool, default False
            Whether to read the values of an archived grid, too, in the archive. Objects that are
            in an archival storage class are counted in a note.
        storage_options : mapping, optional
            The settings of the archive's URL.

        Returns
        -------
        Report
            The numbers of chunks and points read, a `Problem` for each object that is damaged,
            missing or left over, and a `Note` for each object that a killed process left, which
            does no harm.

        Raises
        ------
        InputError
            If nothing is stored of it.
        StoreError
            If the archive is to be read, and is not there.
        """
        check_flags(archived=archived)
        if storage_options and not archived:
            raise InputError(
                "storage_options are given, and are those of an archive; pass archived=True, too"
            )
        layers = self._ref.location.layers
        found = []
        for location in layers:
            report = self._verified(location, storage_options, archived=archived)
            if report is not None:
                scope = location.scope if len(layers) > 1 else None
                found.append(report if scope is None else below(f"{SCOPES}/{scope.name}/", report))
        if not found:
            raise not_stored(self._ref)
        return joined(found)

    def _verified(
        self, location: Location, options: Mapping[str, Any] | None, *, archived: bool
    ) -> Report | None:
        """The report about the grid in one store; None if it is not there."""
        self._check_keys()
        blobs, path = location.open(), self._ref.path
        if not blobs.names(path.manifest) and blobs.get(path.metadata, 0) is None:
            return None
        before = archive_in(blobs.get(path.metadata, MAX_DOCUMENT))
        report = verify_grid(blobs, path)
        if not report.is_clean and before != archive_in(blobs.get(path.metadata, MAX_DOCUMENT)):
            report = verify_grid(blobs, path)  # its chunks were moved meanwhile
        there = None
        if archived and report.archive:
            there = to_location(report.archive, options).open()
            check_there(there, path, report.archive)
            with contextlib.suppress(DamageError):  # of what is here, which is in the report
                state = read_state(blobs, path)
                if state is not None:
                    seen = verify_there(state, there, report.archive)
                    report = joined([replace(report, unread=0), seen])
        findings = list(index_findings(blobs, path))
        if snapshot_paths(blobs, path):
            findings += snapshot_findings(blobs, path, there)
        return joined([report, to_report(findings)])

    def repair(self) -> Report:
        """Repair what `verify` finds, and return what it found before.

        Metadata is rebuilt from its second copy, and the copy from it. Left-overs are removed, but
        nothing of a process that is at work. Points whose values are damaged count as not
        computed: the next `compute` computes them. What an archive has is left alone. In a scope,
        it looks at the scope's part alone, and repairs that.
        """
        location = self._ref.location
        before = self._verified(location, None, archived=False)
        if before is None:
            raise not_stored(self._ref)
        if before.is_clean and not before.notes:
            return before
        check_writable(location)
        # `repair_grid` removes a grid whose axes are lost as a whole
        with self._written(may_delete=True) as held:
            repair_grid(held, self._ref)
            delete_unsound(held.blobs, self._ref.path)
        return before

    def convert(self, output: str, dtype: str) -> None:
        """Convert a stored output to a wider dtype; nothing is computed again.

        For an output whose first values were ints, and that turned out to be one of floats.
        Waits while another process fills the grid. Datasets that are open go on reading the old
        chunks, which stay until `repair` or another conversion removes them.

        Parameters
        ----------
        output : str
            The output's name.
        dtype : dtype-like
            A dtype of numbers that holds all that the stored one does, such as ``"float64"`` for
            one of ints. Every stored value must be the same in it, or nothing is changed.

        Raises
        ------
        InputError
            If nothing is stored, or the output cannot be converted.
        EncryptionError
            If this process does not have the key of the grid. Nothing was changed.
        DamageError
            If a value is damaged; `repair` comes first then.
        """
        grid = self._read().grid
        converted(grid, output, dtype)  # what cannot be is said before any write
        check_key(None, grid)
        check_writable(self._ref.location)
        with self._written() as held:
            if not convert_output(held, self._ref.path, output, dtype):
                raise not_stored(self._ref)
