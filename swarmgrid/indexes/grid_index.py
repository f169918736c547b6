"""An approximate index of a grid's vectors, as users hold it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError, brief
from swarmgrid.finding.resolve import not_stored
from swarmgrid.format.grid import StoredAxis
from swarmgrid.format.growing import grown_axis
from swarmgrid.indexes.candidates import Candidates
from swarmgrid.indexes.graph import CANDIDATES
from swarmgrid.indexes.layer_index import Hidden, LayerIndex
from swarmgrid.planning.layers import Layer, joint_axes
from swarmgrid.store.sources import remember

if TYPE_CHECKING:
    import xarray as xr

    from swarmgrid.indexes.settings import IndexSettings
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.grid_ref import GridRef


class GridIndex:
    """An approximate index of the vectors of an output; made by `Grid.index`.

    It is kept beside the grid, and held in memory while it is used. It says by the rows of the
    manifest what it covers. So it never answers with a point that was deleted, invalidated or
    found damaged since; points that were computed since are found after `update`.

    Examples
    --------
    >>> import numpy as np, swarmgrid
    >>> @swarmgrid.grid(store="memory://index", executor="sync")
    ... def direction(angle):
    ...     return {"arrow": np.array([np.cos(angle), np.sin(angle)])}
    >>> ds = direction.compute(axes={"angle": [0.0, 1.0, 2.0, 3.0]})
    >>> index = ds.swarmgrid.index("arrow")
    >>> index.query([0.0, 1.0], k=2)["angle"].values
    array([2., 1.])
    >>> ds = direction.compute(axes={"angle": [0.0, 1.0, 2.0, 3.0, 1.5]})
    >>> index.is_stale(), index.update(), index.is_stale()
    (True, 1, False)
    >>> index.query([0.0, 1.0], k=2)["angle"].values
    array([1.5, 2. ])
    """

    __module__ = "swarmgrid"

    def __init__(self, ref: GridRef, settings: IndexSettings) -> None:
        self._ref = ref
        self._settings = settings
        self._lock = threading.RLock()
        first, *rest = ref.location.layers  # of a scope its own store, then the shared one
        self._layers = [
            LayerIndex(replace(ref, location=first), settings),
            *(LayerIndex(replace(ref, location=one), settings, is_written=False) for one in rest),
        ]
        self._view: _View | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._ref, self._settings)

    def __repr__(self) -> str:
        return (
            f"<swarmgrid.GridIndex of {self.output!r} of {self._ref.path.group}, "
            f"{self.metric}: {len(self):,} vectors>"
        )

    def __len__(self) -> int:
        """The vectors that it holds in memory."""
        return sum(map(len, self._layers))

    @property
    def output(self) -> str:
        """The output whose vectors it holds."""
        return self._settings.output

    @property
    def metric(self) -> str:
        """The distance: ``"cosine"``, ``"euclidean"`` or ``"dot"``."""
        return self._settings.metric

    def query(self, query: Any, k: int = 5, *, candidates: int = CANDIDATES) -> xr.Dataset:
        """The points whose vectors are about the nearest to one vector, or to several.

        It looks first at what the grid is now, in two requests. A hit may be missed: see
        `DatasetAccessor.nearest` for the exact search.

        Parameters
        ----------
        query : array-like, shape (n,) or (q, n)
            One vector, or several.
        k : int, default 5
            The number of hits for each query.
        candidates : int, default 64
            The vectors that are looked at, at least: more of them miss less, and take longer.

        Returns
        -------
        xr.Dataset
            As `DatasetAccessor.nearest` gives it. Distances are those of the vectors in single
            precision. Outputs are read when they are used.

        Raises
        ------
        InputError
            If the query cannot be used, or nothing is stored of the grid any more.
        """
        from swarmgrid.search.hits import to_hits
        from swarmgrid.search.nearest import check_k, to_queries

        check_k(k)
        if isinstance(candidates, bool) or not (
            isinstance(candidates, (int, np.integer)) and candidates > 0
        ):
            raise InputError(f"candidates is {brief(candidates)}; expected a number, 1 or more")
        with self._lock:
            layers = self._look()
            for one in layers:
                if one.is_empty and one.is_stale:  # of a grid that was laid out anew
                    one.update()
            view = self._update_view(layers)
            queries, is_one = to_queries(query, view.ds, view.own, self.metric)
            found = Candidates.joined(
                [
                    one.nearest(queries, int(k), int(candidates), hidden)
                    for one, hidden in zip(layers, view.hidden, strict=True)
                ]
            )
        at, distances = found.nearest(len(queries), int(k))
        return to_hits(view.ds, view.axes, at, distances, is_one=is_one)

    def is_stale(self) -> bool:
        """Whether points were computed that it does not hold; reads the manifest if it changed."""
        with self._lock:
            return any(one.is_stale for one in self._look())

    def update(self) -> int:
        """Add the points that were computed since, and keep the index beside the grid.

        Only the chunks that hold new points are read.

        Returns
        -------
        int
            The number of vectors that were added.

        Raises
        ------
        DamageError
            If a new value is damaged; the next `compute` computes it again.
        """
        with self._lock:
            return sum(one.update() for one in self._look())

    def _look(self) -> list[LayerIndex]:
        """The indexes of the stores that have the grid, which know now what it is."""
        found = [one for one in self._layers if one.look()]
        if not found:
            self._view = None
            raise not_stored(self._ref)
        return found

    def _update_view(self, layers: list[LayerIndex]) -> _View:
        """See the whole grid at the last look."""
        states = [one.state for one in layers]
        view = self._view
        if view is None or [*map(id, view.states)] != [*map(id, states)]:
            remember(self._ref.location)
            stored = [Layer(one.ref, one.state) for one in layers]
            view = self._view = _View.of(stored, self.output)
        return view


@dataclass(frozen=True)
class _View:
    """A grid at one look, in the order of its stored axes."""

    states: list[GridState]
    ds: xr.Dataset
    """All of it, lazily."""
    axes: list[str]
    own: dict[str, int]
    """The own dims of the output, with their lengths."""
    hidden: list[Hidden | None]
    """For each store which of its points do not count; None: all do, and stand where they are."""

    @classmethod
    def of(cls, layers: list[Layer], output: str) -> _View:
        """The grid of some layers.

        Raises
        ------
        InputError
            If the layers do not go together.
        """
        from swarmgrid.view.layers import layered_dataset

        joint = joint_axes(layers)
        names = [axis.name for axis in joint]
        first = layers[0].state.grid
        hidden: list[Hidden | None] = [None]
        for number, layer in enumerate(layers[1:], 1):
            has_before = np.zeros(tuple(map(len, joint)), bool)
            for before in layers[:number]:
                computed = before.coverage(joint).is_computed()
                order = [before.state.grid.names.index(name) for name in names]
                has_before |= computed.transpose(order)
            own = {axis.name: axis for axis in layer.state.grid.axes}
            places = [grown_axis(StoredAxis(a, 1, 1), own[a.name])[1] for a in joint]
            order = [layer.state.grid.names.index(name) for name in names]
            hidden.append(Hidden(order, places, has_before))
        ds = layered_dataset(layers, joint)
        return cls(
            [layer.state for layer in layers],
            ds,
            names,
            {dim: ds.sizes[dim] for dim in first.schema.outputs[output].dims},
            hidden,
        )
