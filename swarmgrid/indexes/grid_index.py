"""An approximate index of a grid's vectors, as users hold it."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.errors import InputError, brief
from swarmgrid.finding.resolve import not_stored
from swarmgrid.format.chunk_parts import READ_NBYTES
from swarmgrid.indexes.covered import Covered, rows_of
from swarmgrid.indexes.files import read_index, write_index
from swarmgrid.indexes.graph import CANDIDATES, Graph
from swarmgrid.planning.growth import covered as to_coverage
from swarmgrid.planning.request import Domain, Layout
from swarmgrid.records.grid_state import read_state
from swarmgrid.store.sources import remember

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr
    from numpy.typing import NDArray

    from swarmgrid.format.segment import Rows
    from swarmgrid.indexes.settings import IndexSettings
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.grid_ref import GridRef

SPARE = 8
"""Candidates beyond the hits that are asked for: of about equal ones, the exact distance tells."""


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
        self._state: GridState | None = None
        self._covered: Covered | None = None
        self._graph: Graph | None = None
        self._fresh: NDArray[np.intp] = np.zeros(0, np.intp)
        self._is_kept = False
        self._rows: Rows | None = None
        self._ds: xr.Dataset | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._ref, self._settings)

    def __repr__(self) -> str:
        return (
            f"<swarmgrid.GridIndex of {self.output!r} of {self._ref.path.group}, "
            f"{self.metric}: {len(self):,} vectors>"
        )

    def __len__(self) -> int:
        """The vectors that it holds in memory."""
        return 0 if self._graph is None else len(self._graph)

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
        if isinstance(candidates, bool) or not isinstance(candidates, int) or candidates < 1:
            raise InputError(f"candidates is {brief(candidates)}; expected a number, 1 or more")
        with self._lock:
            covered, graph = self._look()
            if not len(covered) and len(self._fresh):  # of a grid that was laid out anew
                self.update()
                covered, graph = self._look()
            queries, is_one = to_queries(query, list(covered.shape), self.metric)
            ds = self._dataset()
            at, distances = _nearest(covered, graph, queries, int(k), candidates)
        return to_hits(ds, [*covered.axes], at, distances, is_one=is_one)

    def is_stale(self) -> bool:
        """Whether points were computed that it does not hold; reads the manifest if it changed."""
        with self._lock:
            self._look()
            return len(self._fresh) > 0

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
            covered, graph = self._look()
            state, rows = self._state, self._rows
            assert state is not None
            assert rows is not None
            n = 0
            if len(self._fresh):
                new = rows.subset(self._fresh)
                grown = covered.with_rows(new, state.grid)
                try:
                    for keys, vectors in self._vectors(state, grown, len(covered)):
                        n += graph.add(keys, vectors)
                except BaseException:
                    self._forget()  # half of a row may be in it
                    raise
                covered, self._covered, self._fresh = grown, grown, self._fresh[:0]
                self._is_kept = False
            if not self._is_kept:
                self._is_kept = write_index(
                    self._ref.location, state.grid, self._settings, covered, graph
                )
            return n

    def _look(self) -> tuple[Covered, Graph]:
        """See what the grid is now, and forget what is not computed any more."""
        blobs, path = self._ref.location.open(), self._ref.path
        state = read_state(blobs, path, self._state)
        if state is None:
            self._forget()
            raise not_stored(self._ref)
        covered, graph = self._covered, self._graph
        if state is self._state and covered is not None and graph is not None:
            return covered, graph
        if covered is None or graph is None or not covered.is_of(state.grid, self.output):
            covered, graph = self._read(state)
        rows = rows_of(state, self.output)
        gone, fresh = covered.difference(rows)
        for place in gone.tolist():
            graph.remove(covered.keys(place))
        if len(gone):
            covered, self._is_kept = covered.without(gone), False
        self._state, self._rows, self._fresh, self._ds = state, rows, fresh, None
        self._covered, self._graph = covered, graph
        return covered, graph

    def _read(self, state: GridState) -> tuple[Covered, Graph]:
        """Read the index that is kept beside the grid; else one that covers nothing."""
        self._settings.check(dict(state.grid.schema.outputs))
        ndim = math.prod(state.grid.schema.outputs[self.output].shape)
        stored = read_index(self._ref.location.open(), state.grid, self._settings)
        self._is_kept = stored is not None
        if stored is not None:
            try:
                return stored[0], Graph(self._settings, ndim, stored[1])
            except ValueError:  # of another version of usearch
                self._is_kept = False
        return Covered.nothing(state.grid, self.output), Graph(self._settings, ndim)

    def _forget(self) -> None:
        """Forget what is held; the next use reads what is kept."""
        self._state = self._covered = self._graph = self._rows = self._ds = None
        self._fresh, self._is_kept = np.zeros(0, np.intp), False

    def _dataset(self) -> xr.Dataset:
        """The whole grid, lazily, in the order of the stored axes."""
        from swarmgrid.view import dataset

        if self._ds is None:
            state = self._state
            assert state is not None
            grid = state.grid
            coverage = to_coverage(Domain(grid.axes), Layout(), grid, state.manifest)
            remember(self._ref.location)
            ref = replace(self._ref, attributes=self._ref.attributes or grid.attributes)
            self._ds = dataset.dataset(ref, grid.axes, coverage, state.manifest)
        return self._ds

    def _vectors(
        self, state: GridState, covered: Covered, first: int
    ) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.floating]]]:
        """The keys and vectors of the rows from one on, chunk by chunk, each read once."""
        from swarmgrid.view.dataset import GridArray

        grid = state.grid
        coverage = to_coverage(Domain(grid.axes), Layout(), grid, state.manifest)
        order = list(range(len(grid.axes)))
        array = GridArray(self._ref.location, state.manifest, self.output, coverage, order)
        by_chunk: dict[tuple[int, ...], list[int]] = {}
        for place in range(first, len(covered)):
            by_chunk.setdefault(tuple(covered.rows.index[place].tolist()), []).append(place)
        chunks = sorted(by_chunk)
        nbytes = math.prod(array.lengths) * array.dtype.itemsize
        step = max(1, min(len(chunks), READ_NBYTES // max(1, nbytes)))
        for start in range(0, len(chunks), step):
            part = chunks[start : start + step]
            parts = []
            for index, block in zip(part, array.blocks(part), strict=True):
                for place in by_chunk[index]:
                    values = covered.rows.points(place).of(block)
                    parts.append((covered.keys(place), values.reshape(len(values), -1)))
            yield (
                np.concatenate([keys for keys, _ in parts]),
                np.concatenate([vectors for _, vectors in parts]),
            )


def _nearest(
    covered: Covered, graph: Graph, queries: NDArray[np.float64], k: int, candidates: int
) -> tuple[list[NDArray[np.intp]], NDArray[np.float64]]:
    """By axis the positions of the hits, ``(q, at most k)``, and their distances."""
    rows = [_in_order(covered, *found) for found in graph.nearest(queries, k + SPARE, candidates)]
    width = max((min(k, len(distances)) for _, distances in rows), default=0)
    at = np.full((len(rows), width, len(covered.chunk_shape)), -1, np.intp)
    found = np.full((len(rows), width), np.nan)
    for i, (positions, distances) in enumerate(rows):
        n = min(k, len(distances))
        at[i, :n], found[i, :n] = positions[:n], distances[:n]
    return list(np.moveaxis(at, -1, 0)), found


def _in_order(
    covered: Covered, keys: NDArray[np.uint64], distances: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The positions of some candidates, each once, and their distances, the nearest first."""
    is_hit = np.isfinite(distances)
    positions, distances = covered.positions(keys[is_hit]), distances[is_hit]
    # of equal ones the first in the order of the axes, as in the exact search
    order = np.lexsort((*positions.T[::-1], distances))
    positions, distances = positions[order], distances[order]
    first = {point: i for i, point in reversed([*enumerate(map(tuple, positions.tolist()))])}
    if len(first) < len(positions):  # in two rows, of a writer that was overtaken
        kept = sorted(first.values())
        positions, distances = positions[kept], distances[kept]
    return positions, distances
