"""Keeping a stored grid sound and described: its checks, repairs, dtypes and tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from swarmgrid.finding.resolve import not_stored
from swarmgrid.format.described import archive_in
from swarmgrid.handle.base import GridBase
from swarmgrid.indexes.files import delete_unsound, index_findings
from swarmgrid.inventory.keeping import tag
from swarmgrid.leases.preflight import check_writable
from swarmgrid.maintenance.convert import convert_output, converted
from swarmgrid.maintenance.repair import repair_grid
from swarmgrid.maintenance.report import to_report
from swarmgrid.maintenance.snapshots import snapshot_findings
from swarmgrid.maintenance.verify import verify_grid
from swarmgrid.records.snapshot import snapshot_paths
from swarmgrid.records.tags import read_tags
from swarmgrid.space.tags import checked_tags
from swarmgrid.store.checked_json import MAX_DOCUMENT
from swarmgrid.view.reopening import check_not_archived

if TYPE_CHECKING:
    from swarmgrid.maintenance.report import Report


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

    def verify(self) -> Report:
        """Read everything that is stored of the grid, and say what is wrong with it.

        Returns
        -------
        Report
            The numbers of chunks and points read, a `Problem` for each object that is damaged,
            missing or left over, and a `Note` for each object that a killed process left, which
            does no harm.

        Raises
        ------
        ArchivedError
            If its values are in an archive.
        InputError
            If nothing is stored of it.
        """
        blobs, path = self._ref.location.open(), self._ref.path
        if not blobs.names(path.manifest) and blobs.get(path.metadata, 0) is None:
            raise not_stored(self._ref)
        was_archived = archive_in(blobs.get(path.metadata, MAX_DOCUMENT)) is not None
        report = verify_grid(blobs, path)
        if not (report.is_clean or was_archived):  # its chunks may be gone for that by now
            check_not_archived(blobs, path)
        findings = list(index_findings(blobs, path))
        if snapshot_paths(blobs, path):
            findings += snapshot_findings(blobs, path)
        found = to_report(findings)
        return replace(
            report,
            problems=report.problems + found.problems,
            notes=report.notes + found.notes,
        )

    def repair(self) -> Report:
        """Repair what `verify` finds, and return what it found before.

        Metadata is rebuilt from its second copy, and the copy from it. Left-overs are removed, but
        nothing of a process that is at work. Points whose values are damaged count as not
        computed: the next `compute` computes them.
        """
        before = self.verify()
        if before.is_clean and not before.notes:
            return before
        check_writable(self._ref.location)
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
        DamageError
            If a value is damaged; `repair` comes first then.
        """
        converted(self._read().grid, output, dtype)  # what cannot be is said before any write
        check_writable(self._ref.location)
        with self._written() as held:
            if not convert_output(held, self._ref.path, output, dtype):
                raise not_stored(self._ref)
