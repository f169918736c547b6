"""Joins a whole grid to another, or says what that would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from swarmgrid.errors import ConflictError
from swarmgrid.format.codec import check_keys
from swarmgrid.maintenance.repair import read_tidy
from swarmgrid.records.grid_state import read_state
from swarmgrid.transfer import beside
from swarmgrid.transfer.fitting import check_encryption, empty_grid, fitted
from swarmgrid.transfer.joining import join
from swarmgrid.transfer.source import to_source

if TYPE_CHECKING:
    from swarmgrid.format.grid import StoredGrid
    from swarmgrid.leases.lease import Lease
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.space.axis import Axis
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.layout import GridPath
    from swarmgrid.transfer.joining import Joint
    from swarmgrid.transfer.known import KnownPart
    from swarmgrid.transfer.source import Source


@dataclass(frozen=True)
class Part:
    """The part of a grid that another one is."""

    blobs: Blobs
    state: GridState
    """The other grid, and its store."""
    path: GridPath
    """The grid that it is a part of."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """The attributes of that grid, should it not be stored."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """The names that axes have in it."""
    constants: Sequence[Axis] = ()
    """Axes that the other does not have, of one value each."""
    may_decrypt: bool = False
    """Whether values that are encrypted may be written into a grid that is not."""

    is_one_commit: ClassVar[bool] = False
    """Whether all its points count from one instant on, or none."""

    @property
    def is_same_grid(self) -> bool:
        """Whether it is the same grid in another store, with the same code and tags."""
        return self.path == self.state.grid.path

    def source(self, order: Sequence[str] | None) -> Source:
        """Its points with the axes in the order that the grid has."""
        return to_source(
            self.blobs, self.state, order=order, renamed=self.renamed, constants=self.constants
        )

    def empty(self, source: Source, max_nbytes: int) -> StoredGrid:
        """The grid to make, should it not be stored, in a store of so large objects."""
        return empty_grid(source, self.path, self.attributes, max_nbytes)


@dataclass(frozen=True)
class Outcome:
    """The outcome of joining a part to a grid, or what it would be."""

    joint: Joint
    has_news: bool
    """Whether the grid is not, or was not, the same before."""

    def check(self, on_conflict: str, remedy: str) -> None:
        """Raise ConflictError where the grid has other values, unless it is to keep them."""
        joint = self.joint
        if joint.conflicting and on_conflict == "raise":
            raise ConflictError(tuple(joint.conflicts), joint.conflicting, remedy)


def join_part(part: Part | KnownPart, blobs: Blobs, held: Lease | None = None) -> Outcome:
    """Join a part to a grid.

    Parameters
    ----------
    part : Part or KnownPart
        The part.
    blobs : Blobs
        The store of the grid.
    held : Lease, optional
        The right to write the grid; without it nothing is written, and what would be is counted.

    Raises
    ------
    ArchivedError
        If the values of either are in an archive. Nothing was written.
    EncryptionError
        If this process does not have a key of either. Nothing was written.
    InputError
        If the axes or the outputs do not go together. Nothing was written.
    DamageError
        If a value of either is damaged.
    """
    there = read_state(blobs, part.path) if held is None else read_tidy(held, part.path)
    if there is not None:
        there.grid.check_at_home()
    order = None if there is None else there.grid.names
    source = part.source(order)
    source.state.grid.check_at_home()
    for one in (source.state, there):
        if one is not None:
            check_keys(one.grid.schema)
    stored = part.empty(source, blobs.max_nbytes) if there is None else there.grid
    fit = fitted(source, stored)
    if not part.may_decrypt:
        check_encryption(source.state.grid.schema, stored.schema)
    failures = beside.new_failures(source, blobs, there, fit)
    tags = beside.new_tags(source, blobs, there) if part.is_same_grid else {}
    grows = there is None or there.grid.axes_differ(fit.grid)
    joint = join(source, blobs, there, fit, held, is_one_commit=part.is_one_commit)
    joint.failures = len(failures)
    if held is not None:
        beside.add_failures(held, fit, failures)
        beside.add_tags(held, fit, tags)
        if part.is_same_grid:
            beside.add_code(source, held, fit)
    return Outcome(joint, bool(grows or joint.added or failures or tags))
