"""The interface of those that report the commits of a run to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.format.segment import Rows
    from swarmgrid.records.failures import FailedPoint


class Witness(Protocol):
    """Something that is told what a run puts into the store, once it is there.

    It raises nothing: a run does not end because of what is told of it.
    """

    def look(self) -> None:
        """Look at the grid: this process has just got its lease, or has repaired it."""

    def committed(self, grid: StoredGrid, rows: Rows, failures: Sequence[FailedPoint]) -> None:
        """Take note of rows and failures that were written, each with its commit's number."""

    def failed(self, failures: Sequence[FailedPoint]) -> None:
        """Take note of failures at points that have no place in the stored grid."""
