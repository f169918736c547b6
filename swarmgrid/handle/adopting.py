"""Taking the points of another grid over: a constant becomes an axis, an axis gets a new name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swarmgrid import identity, readable
from swarmgrid.errors import InputError, brief
from swarmgrid.finding.resolve import named_ref, not_stored
from swarmgrid.handle.adoption_checks import (
    check_params,
    check_renamed,
    checked_mapping,
    constant_axis,
)
from swarmgrid.handle.base import GridBase
from swarmgrid.inventory.table import SHOWN_DIGITS
from swarmgrid.leases.preflight import check_writable
from swarmgrid.records.grid_state import read_state
from swarmgrid.records.tags import read_tags, write_tags
from swarmgrid.store.grid_ref import GridRef
from swarmgrid.store.layout import GridPath
from swarmgrid.transfer.grids import Outcome, Part, join_part

if TYPE_CHECKING:
    from swarmgrid.handle.grid import Grid
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.blobs import Blobs
    from swarmgrid.transfer.joining import Conflict

_VERSION_DIGITS = len("code-") + SHOWN_DIGITS
TAG = "adopted"
"""The tag that says which grids were adopted, and as what."""


@dataclass(frozen=True, repr=False)
class Adoption:
    """The points that a grid took over from another, in numbers of points."""

    __module__ = "swarmgrid"

    source: str
    """The other grid, as ``function/id``."""
    added: int
    """Points that were taken over."""
    alike: int
    """Points that both have, with the same values."""
    conflicting: int
    """Points that both have, with other values: the grid keeps its own."""
    conflicts: tuple[Conflict, ...]
    """The first hundred of them."""
    failures: int
    """Records of failures that were taken over."""
    nbytes: int
    """Bytes of the chunks that were written."""

    def __repr__(self) -> str:
        """The outcome in numbers."""
        return (
            f"{readable.count(self.added)} points of {self.source} taken over "
            f"({readable.nbytes(self.nbytes)} of chunks); {readable.count(self.alike)} alike, "
            f"{readable.count(self.conflicting)} in conflict"
        )


class GridAdopting(GridBase):
    """A stored grid, as far as it takes over the points of others; see `Grid`."""

    _to_ref: Callable[[Sequence[str]], GridRef] | None
    """The grid of the same function and params with other axes; None: no function is known."""

    def adopt(
        self,
        old: Grid | str,
        constants: Mapping[str, Any] | None = None,
        /,
        *,
        renamed: Mapping[str, str] | None = None,
        ignore: Collection[str] = (),
        on_conflict: str = "raise",
        **labels: Any,
    ) -> Adoption:
        """Take over the computed points of another grid, of which you know the results are right.

        ``grid.adopt(old, alpha=0.4)``: the param ``alpha`` of the old grid has become an axis of
        this one, and the old grid is the slice at 0.4. ``grid.adopt(old)``: only the version or
        the code is another one, and the results are the same. That they are is what you say; the
        tag ``adopted`` keeps it with the grid.

        Nothing is computed. Every value is held against its checksum, and costs, times, writers
        and failures come along. This grid is made if it is not stored; the old one stays as it is.
        The same call again adds nothing, and completes one that was cut short. A function with
        ``rng=`` draws other numbers in another grid: points that are computed later continue no
        random stream of the old grid.

        Parameters
        ----------
        old : Grid or str
            The grid with the points: a handle, of any store, or an id in this store.
        constants : mapping, optional
            As ``labels``, for axes with the name of an option.
        renamed : mapping, optional
            New names of the old grid's axes, as for ``Dataset.rename``: ``{"s": "strat"}``.
        ignore : collection of str, optional
            Params that are not the same in both grids and on which no result depends; and
            ``"function"``, if the function has another name.
        on_conflict : {"raise", "keep"}, default "raise"
            Whether a point that both have computed, with other values, is an error before anything
            is written; or this grid keeps its own value there.
        **labels
            For each axis that the old grid does not have, the value of all its points.

        Returns
        -------
        Adoption

        Raises
        ------
        InputError
            If axes, params, outputs or dtypes do not fit. Nothing was written.
        ConflictError
            If both have computed a point, with other values. Nothing was written.
        DamageError
            If a value is damaged; `repair` comes first then.

        Examples
        --------
        >>> import swarmgrid
        >>> @swarmgrid.grid(store="memory://adopt", executor="sync")
        ... def area(width, height):
        ...     return width * height
        >>> ds = area.compute({"height": 2.0}, {"width": [1, 2, 3]})
        >>> grid = area.grid(axes=["height", "width"])
        >>> print(grid.adopt(area.grid({"height": 2.0}), height=2.0).added)
        3
        >>> area.plan(axes={"height": [2.0, 3.0], "width": [1, 2, 3]}).points_missing
        3
        """
        if on_conflict not in ("keep", "raise"):
            raise InputError(f"on_conflict is {brief(on_conflict)}; expected 'keep' or 'raise'")
        given = {**checked_mapping("constants", constants), **labels}
        part, source = self._part(old, given, checked_mapping("renamed", renamed), ignore)
        entry = _entry(part, source, given, ignore)
        return self._adopt(part, source, entry, on_conflict)

    def rename_axis(self, names: Mapping[str, str] | None = None, /, **renamed: str) -> Grid:
        """Make the grid whose axes have other names, with all points of this one.

        For a function whose parameter has a new name. The names of the axes are part of a grid's
        identity: the result is another grid, and this one stays as it is. Of a handle that a
        function made, ``func.grid(params)``, it is the grid that ``func.compute`` looks for with
        these axes. A handle that knows no function gives the grid an id of its own; a function
        takes it over by `adopt`.

        Parameters
        ----------
        names : mapping, optional
            By axis the new name, as for ``Dataset.rename``.
        **renamed
            The same, by keyword: ``grid.rename_axis(s="strat")``.

        Returns
        -------
        Grid

        Raises
        ------
        InputError
            If an axis is none of this grid, or a name is taken.

        Examples
        --------
        >>> import swarmgrid
        >>> @swarmgrid.grid(store="memory://rename", executor="sync")
        ... def area(width, height):
        ...     return width * height
        >>> ds = area.compute({"height": 2.0}, {"width": [1, 2, 3]})
        >>> old = swarmgrid.Grid.open("memory://rename", "area/")
        >>> old.rename_axis(width="w").dataset()["w"].values
        array([1, 2, 3])
        """
        new_names = {**checked_mapping("names", names), **renamed}
        if not new_names:
            raise InputError("no axis is renamed; pass the new name: rename_axis(s='strat')")
        state = self._read()
        check_renamed(state.grid.names, new_names)
        ours = [new_names.get(name, name) for name in state.grid.names]
        if self._to_ref is not None:
            ref = self._to_ref(ours)
        else:
            rest = identity.digest(["renamed", self.id, sorted(new_names.items())])
            grid = identity.axes_id(ours) + rest[identity.AXES_DIGITS :]
            path = GridPath(self.function, grid)
            ref = GridRef(self._ref.location, path, state.grid.attributes)
        if ref.path == self._ref.path:
            raise InputError(
                f"the axes would have names that it has already, {', '.join(sorted(ours))}, in "
                "another order; to a function that is the same grid"
            )
        new: Any = type(self)(ref, self._to_ref)  # type: ignore[call-arg]  # a `Grid`
        new.adopt(self, renamed=new_names)
        return new  # type: ignore[no-any-return]

    def _part(
        self,
        old: Any,
        constants: dict[str, Any],
        renamed: dict[str, str],
        ignore: Collection[str],
    ) -> tuple[Part, GridRef]:
        """The old grid as a part of this one, once it is known that it can be."""
        if isinstance(ignore, str) or not all(isinstance(name, str) for name in ignore):
            raise InputError(f"ignore is {brief(ignore)}; expected a set of names")
        if not isinstance(old, (GridBase, str)):
            raise InputError(f"old is {brief(old)}; expected a swarmgrid.Grid, or an id")
        source = named_ref(self._ref.location, old) if isinstance(old, str) else old._ref  # noqa: SLF001  # of the same class
        if (source.location, source.path) == (self._ref.location, self._ref.path):
            raise InputError("a grid cannot adopt itself; pass the handle of another one")
        for location in source.location.layers:
            blobs = location.open()
            state = read_state(blobs, source.path)
            if state is not None:
                break
        else:
            raise not_stored(source)
        there = read_state(self._ref.location.open(), self._ref.path)
        attributes = self._ref.attributes if there is None else there.grid.attributes
        if not attributes:
            raise not_stored(self._ref)
        check_renamed(state.grid.names, renamed)
        self._check_axes(state, there, constants, renamed)
        check_params(state, attributes, constants, renamed, set(ignore))
        axes = tuple(constant_axis(name, value) for name, value in constants.items())
        # the origin of a function is a mapping that is read when it is needed
        plain = {k: dict(v) if isinstance(v, Mapping) else v for k, v in attributes.items()}
        return Part(blobs, state, self._ref.path, plain, renamed, axes), source

    def _check_axes(
        self,
        old: GridState,
        there: GridState | None,
        constants: Mapping[str, Any],
        renamed: Mapping[str, str],
    ) -> None:
        """Raise InputError where the axes are not those of this grid."""
        own = [renamed.get(name, name) for name in old.grid.names]
        twice = sorted({*constants} & {*own})
        if twice:
            raise InputError(
                f"{twice[0]!r} is an axis of the old grid already; a constant has the same "
                "value at all of its points"
            )
        names = [*constants, *own]
        if there is not None:
            expected = sorted(there.grid.names)
            if sorted(names) == expected:
                return
            hint = f"; this grid has the axes {', '.join(expected) or 'none'}"
        elif self.id.startswith(identity.axes_id(names)):
            return
        else:
            hint = f". This handle is of a grid with others; make it by func.grid(params, {names})"
        raise InputError(
            f"the old grid's axes and the constants are {', '.join(names) or 'none'}{hint}. A "
            "constant becomes an axis by name=value, and renamed={'old': 'new'} renames an axis"
        )

    def _adopt(self, part: Part, source: GridRef, entry: str, on_conflict: str) -> Adoption:
        blobs = self._ref.location.open()
        outcome = join_part(part, blobs)
        outcome.check(on_conflict, _REMEDY)
        if outcome.has_news or not _is_noted(self._adopted(blobs), entry):
            check_writable(self._ref.location)
            with self._written() as held:
                # again: another process may have computed, or adopted, some of the points since
                if on_conflict == "raise":
                    join_part(part, held.blobs).check(on_conflict, _REMEDY)
                known = self._adopted(held.blobs)
                # before the points: those of a call that is cut short are known to be adopted
                if not _is_noted(known, entry):
                    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                    write_tags(held.blobs, self._ref.path, {TAG: [*known, f"{entry}, {now}"]})
                outcome = join_part(part, held.blobs, held)
        return _to_adoption(source, outcome)

    def _adopted(self, blobs: Blobs) -> list[Any]:
        """The tag of the grid that lists what it has adopted."""
        path = self._ref.path
        known = read_tags(blobs, path, blobs.names(path.manifest)).get(TAG, [])
        return known if isinstance(known, list) else [known]


def _is_noted(known: list[Any], entry: str) -> bool:
    return any(str(text).startswith(entry) for text in known)


_REMEDY = (
    "So the results are not the same. If those of the other grid are right, invalidate these "
    "points here first; with on_conflict='keep' this grid keeps its own."
)


def _to_adoption(source: GridRef, outcome: Outcome) -> Adoption:
    joint = outcome.joint
    return Adoption(
        source.path.group,
        joint.added,
        joint.alike,
        joint.conflicting,
        tuple(joint.conflicts),
        joint.failures,
        joint.nbytes,
    )


def _entry(
    part: Part, source: GridRef, constants: Mapping[str, Any], ignore: Collection[str]
) -> str:
    """The text of the tag: the old grid, and as what it was adopted."""
    said = [f"{name}={brief(value)}" for name, value in constants.items()]
    said += [f"{old} as {new}" for old, new in part.renamed.items()]
    said += [f"ignoring {name}" for name in sorted(ignore)]
    version = part.state.grid.attributes.get("swarmgrid_version", "")
    where = f"{source.path.folder}/{source.path.grid[:SHOWN_DIGITS]}"
    return ", ".join([f"{where} of version {str(version)[:_VERSION_DIGITS]}", *said])
