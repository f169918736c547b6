"""Merges a store into another: points that were computed elsewhere join the same grids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swarmgrid import readable
from swarmgrid.codecs.keys import hold_keys
from swarmgrid.errors import ConflictError, InputError, brief
from swarmgrid.inventory.brief import measured
from swarmgrid.inventory.keeping import recorded
from swarmgrid.inventory.table import SHOWN_DIGITS
from swarmgrid.leases import lease
from swarmgrid.leases.preflight import check_writable
from swarmgrid.quantities import check_flags
from swarmgrid.records.grid_state import GridState, read_state
from swarmgrid.store.layout import GridPath
from swarmgrid.store_api.copying import chosen_grids
from swarmgrid.tracebacks import UserFrames
from swarmgrid.transfer.copying import copy_grid, is_to_be_copied
from swarmgrid.transfer.grids import Part, join_part
from swarmgrid.transfer.joining import MAX_LISTED, Joint

if TYPE_CHECKING:
    import os

    from swarmgrid.codecs.keys import Key
    from swarmgrid.inventory.row import GridRow
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.store.location import Location
    from swarmgrid.transfer.joining import Conflict

_SHOWN = 10
"""The conflicts that a ``repr`` shows."""
_MAX_MISFITS = 5
"""The grids that do not go together which an error names."""


@dataclass(frozen=True, slots=True)
class MergedGrid:
    """The part of a merge that is of one grid, in numbers of points."""

    __module__ = "swarmgrid"

    function: str
    """The function's name."""
    grid: str
    """The grid id."""
    is_new: bool
    """Whether the target did not have the grid."""
    added: int
    """Points that the target did not have."""
    alike: int
    """Points that both have, with the same values."""
    conflicting: int
    """Points that both have, with other values: the target keeps its own."""
    failures: int
    """Records of failures that the target did not have."""
    nbytes: int
    """Bytes of the chunks that were written; 0 in a dry run."""


@dataclass(frozen=True, repr=False)
class Merging:
    """The points that `merge` added to a store, or would add, and its conflicts."""

    __module__ = "swarmgrid"

    grids: tuple[MergedGrid, ...]
    """Every grid of the source, in the order of its catalog."""
    conflicts: tuple[Conflict, ...]
    """The first hundred points at which the stores have other values; the target keeps its own."""
    is_dry_run: bool
    """Whether nothing was written."""

    @property
    def points_added(self) -> int:
        """Points that the target did not have."""
        return sum(grid.added for grid in self.grids)

    @property
    def points_alike(self) -> int:
        """Points that both have, with the same values."""
        return sum(grid.alike for grid in self.grids)

    @property
    def points_conflicting(self) -> int:
        """Points that both have, with other values: the target keeps its own."""
        return sum(grid.conflicting for grid in self.grids)

    @property
    def nbytes(self) -> int:
        """Bytes of the chunks that were written."""
        return sum(grid.nbytes for grid in self.grids)

    def __repr__(self) -> str:
        """The outcome in numbers, and the first conflicts."""
        n = len(self.grids)
        would = "would be " if self.is_dry_run else ""
        size = "" if self.is_dry_run else f" ({readable.nbytes(self.nbytes)} of chunks)"
        text = (
            f"{_points(self.points_added)} {would}added{size} from "
            f"{n} grid{'s' * (n != 1)}, {sum(grid.is_new for grid in self.grids)} of them new; "
            f"{_points(self.points_alike)} alike, "
            f"{readable.count(self.points_conflicting)} in conflict"
        )
        listed = "".join(f"\n  {conflict}" for conflict in self.conflicts[:_SHOWN])
        more = self.points_conflicting - _SHOWN
        return text + listed + (f"\n  and {readable.count(more)} more" if more > 0 else "")


def merge(
    source: str | os.PathLike[str] | Any,
    target: str | os.PathLike[str] | Any,
    *,
    query: Mapping[str, Any] | None = None,
    function: str | None = None,
    on_conflict: str = "keep",
    dry_run: bool = False,
    decrypt: bool = False,
    source_options: Mapping[str, Any] | None = None,
    target_options: Mapping[str, Any] | None = None,
    key: Key | Iterable[Key] | None = None,
) -> Merging:
    """Add the points of a store to another: those that were computed elsewhere.

    Grids are the same where their ids are: function, code, params and axes. A grid that the
    target does not have is copied. To one that it has, the axis values are appended that it lacks,
    and the points are added that it has not computed, with their costs, times and writers;
    failures and tags, too. Every value is held against its checksum. What the target has is never
    overwritten: a point that both have with other values is a conflict, and is listed. Snapshots
    come with a grid that is copied; those of a grid that both have stay where they are.

    The source is not changed. The same call again adds nothing, and completes one that was cut
    short.

    Parameters
    ----------
    source, target : str, path or zarr.abc.store.Store
        The stores: directories, URLs, or any Zarr stores.
    query, function : mapping, str, optional
        The grids to merge, as for `Catalog.query`. Default: all.
    on_conflict : {"keep", "raise"}, default "keep"
        Whether the target keeps its own values, or a conflict is an error before anything is
        written.
    dry_run : bool, default False
        Whether to write nothing, and only say what would be done.
    decrypt : bool, default False
        Whether points of an encrypted grid may join one that is not encrypted, where anyone reads
        their values. Without that it is an error.
    source_options, target_options : mapping, optional
        The settings that the URLs need.
    key : Key or iterable of Key, optional
        The keys of encrypted grids. One that is copied as a whole stays encrypted as it is.

    Returns
    -------
    Merging

    Raises
    ------
    InputError
        If both are the same store, or grids of one id do not go together: nothing was written.
    ConflictError
        If there is a conflict, with ``on_conflict="raise"``: nothing was written. Of a conflict
        that another process makes meanwhile, nothing of its grid was written.
    DamageError
        If a value of either is damaged; `Grid.repair` comes first then.

    Examples
    --------
    >>> import swarmgrid
    >>> def area(width, height):
    ...     return width * height
    >>> options = dict(func=area, executor="sync")
    >>> ds = swarmgrid.compute({"height": 2.0}, {"width": [1, 2]}, store="memory://a", **options)
    >>> ds = swarmgrid.compute({"height": 2.0}, {"width": [2, 3]}, store="memory://b", **options)
    >>> merging = swarmgrid.merge("memory://b", "memory://a")
    >>> merging.points_added, merging.points_alike, merging.points_conflicting
    (1, 1, 0)
    >>> swarmgrid.open({"height": 2.0}, store="memory://a", func=area)["width"].values
    array([1, 2, 3])
    """
    __tracebackhide__ = True
    with UserFrames():
        check_merging(on_conflict, dry_run, decrypt)
        hold_keys("key", key)
        found, goal = chosen_grids(source, target, query, function, source_options, target_options)
        return merged_grids(
            found.location, found.rows, goal, on_conflict, dry_run=dry_run, decrypt=decrypt
        )


def check_merging(on_conflict: object, dry_run: object, decrypt: object) -> None:
    """Raise InputError where a merge cannot be carried out so."""
    if on_conflict not in ("keep", "raise"):
        raise InputError(f"on_conflict is {brief(on_conflict)}; expected 'keep' or 'raise'")
    check_flags(dry_run=dry_run, decrypt=decrypt)


def merged_grids(
    source: Location,
    rows: Iterable[GridRow],
    goal: Location,
    on_conflict: str,
    *,
    dry_run: bool,
    decrypt: bool = False,
) -> Merging:
    """Merge some grids of a store into another; see `merge`."""
    paths = [GridPath(row.function or row.folder, row.grid) for row in rows]
    blobs = source.open()
    plans = _planned(blobs, goal, paths, decrypt=decrypt)
    merging = _to_merging((plan.merged for plan in plans), dry_run=True)
    if on_conflict == "raise" and merging.conflicts:
        raise ConflictError(merging.conflicts, merging.points_conflicting, _REMEDY)
    if dry_run or not any(plan.has_news for plan in plans):
        return _to_merging((plan.merged for plan in plans), dry_run=dry_run)
    check_writable(goal)
    done = (
        _merged(blobs, goal, plan, on_conflict, decrypt=decrypt) if plan.has_news else plan.merged
        for plan in plans
    )
    return _to_merging(done, dry_run=False)


def _points(n: int) -> str:
    return f"{readable.count(n)} point{'s' * (n != 1)}"


_REMEDY = (
    "With on_conflict='keep' the target keeps its own values. Grid.invalidate of the target lets "
    "those of the source in, at a second call."
)
_Merged = tuple[MergedGrid, tuple["Conflict", ...]]


@dataclass(frozen=True)
class _Plan:
    """The outcome of merging one grid, foreseen."""

    path: GridPath
    merged: _Merged
    has_news: bool
    names: tuple[str, ...]
    """The objects of the target's manifest that this was seen by."""


def _planned(blobs: Blobs, goal: Location, paths: list[GridPath], *, decrypt: bool) -> list[_Plan]:
    """The plans of all grids; InputError, naming the grids, where some do not go together."""
    plans: list[_Plan] = []
    misfits: list[str] = []
    target = goal.open()
    for path in paths:
        state = read_state(blobs, path)
        if state is None:  # deleted meanwhile
            continue
        state.grid.check_at_home()
        there = read_state(target, path)
        names = () if there is None else there.names
        if is_to_be_copied(state, there):
            plans.append(_Plan(path, _of_copy(path, state, 0), has_news=True, names=names))
            continue
        try:
            outcome = join_part(Part(blobs, state, path, may_decrypt=decrypt), target)
        except InputError as error:
            misfits.append(f"{path.folder}/{path.grid[:SHOWN_DIGITS]}: {error}")
            continue
        plans.append(_Plan(path, _of_joint(path, outcome.joint), outcome.has_news, names))
    if misfits:
        shown = "\n  ".join(misfits[:_MAX_MISFITS])
        n, more = len(misfits), len(misfits) - _MAX_MISFITS
        raise InputError(
            f"{n} grid{'s' * (n != 1)} cannot be merged; nothing was written. Leave "
            f"{'them' if n > 1 else 'it'} out by query=, or do as it says:\n  {shown}"
            + (f"\n  and {more} more" if more > 0 else "")
        )
    return plans


def _merged(
    blobs: Blobs, goal: Location, plan: _Plan, on_conflict: str, *, decrypt: bool
) -> _Merged:
    """Merge one grid."""
    path = plan.path
    state = read_state(blobs, path)
    if state is None:  # deleted meanwhile
        return MergedGrid(path.function, path.grid, False, 0, 0, 0, 0, 0), ()
    with lease.acquire(goal, path) as held, recorded(held, path):
        there = read_state(held.blobs, path)
        if is_to_be_copied(state, there):
            nbytes, _ = copy_grid(blobs, state, held)
            return _of_copy(path, state, nbytes)
        part = Part(blobs, state, path, may_decrypt=decrypt)
        if there is not None and there.names != plan.names:  # another process has written since
            join_part(part, held.blobs).check(on_conflict, _REMEDY)
        return _of_joint(path, join_part(part, held.blobs, held).joint)


def _of_copy(path: GridPath, state: GridState, nbytes: int) -> _Merged:
    added, _, _ = measured(state.manifest, state.grid.chunk_shape)
    return MergedGrid(path.function, path.grid, True, added, 0, 0, 0, nbytes), ()


def _of_joint(path: GridPath, joint: Joint) -> _Merged:
    counts = (joint.added, joint.alike, joint.conflicting, joint.failures, joint.nbytes)
    return MergedGrid(path.function, path.grid, False, *counts), tuple(joint.conflicts)


def _to_merging(merged: Iterable[_Merged], *, dry_run: bool) -> Merging:
    grids: list[MergedGrid] = []
    conflicts: list[Conflict] = []
    for grid, found in merged:
        grids.append(grid)
        conflicts += found[: MAX_LISTED - len(conflicts)]
    return Merging(tuple(grids), tuple(conflicts), dry_run)


merge.__module__ = "swarmgrid"
