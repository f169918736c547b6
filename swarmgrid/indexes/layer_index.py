"""An approximate index of a grid as it lies in one store."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.format.chunk_parts import READ_NBYTES
from swarmgrid.indexes.candidates import Candidates
from swarmgrid.indexes.covered import Covered, rows_of
from swarmgrid.indexes.files import read_index, write_index
from swarmgrid.indexes.graph import Graph
from swarmgrid.planning.growth import covered as to_coverage
from swarmgrid.planning.request import Domain, Layout
from swarmgrid.records.grid_state import read_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from swarmgrid.format.segment import Rows
    from swarmgrid.indexes.settings import IndexSettings
    from swarmgrid.records.grid_state import GridState
    from swarmgrid.store.grid_ref import GridRef

SPARE = 8
"""Candidates beyond the hits that are asked for: of about equal ones, the exact distance tells."""

_log = logging.getLogger(__name__)


class LayerIndex:
    """The graph of a grid's vectors in one store, and the rows that it covers.

    Parameters
    ----------
    ref : GridRef
        The grid, in that store.
    settings : IndexSettings
        Those of the index.
    is_written : bool
        Whether it may be kept there. The shared store is never written from a scope.
    """

    def __init__(self, ref: GridRef, settings: IndexSettings, *, is_written: bool = True) -> None:
        self.ref = ref
        self._settings = settings
        self._is_written = is_written
        self.forget()

    def __len__(self) -> int:
        """The vectors that it holds in memory."""
        return 0 if self._graph is None else len(self._graph)

    def forget(self) -> None:
        """Forget what is held; the next use reads what is kept."""
        self._state: GridState | None = None
        self._covered: Covered | None = None
        self._graph: Graph | None = None
        self._rows: Rows | None = None
        self._fresh: NDArray[np.intp] = np.zeros(0, np.intp)
        self._is_kept = False

    @property
    def state(self) -> GridState:
        """The grid as it was at the last look."""
        assert self._state is not None
        return self._state

    @property
    def is_stale(self) -> bool:
        """Whether points were computed, by the last look, that it does not hold."""
        return len(self._fresh) > 0

    @property
    def is_empty(self) -> bool:
        """Whether it covers nothing: it is new, or the grid was laid out anew."""
        return self._covered is None or not len(self._covered)

    def look(self) -> bool:
        """See what the grid is now, and forget what is not computed any more.

        Returns
        -------
        bool
            Whether it is stored here.
        """
        state = read_state(self.ref.location.open(), self.ref.path, self._state)
        if state is None:
            self.forget()
            return False
        covered, graph = self._covered, self._graph
        # `read_state` returns the very state that it was given where nothing has changed
        if state is self._state and covered is not None and graph is not None:
            return True
        if self._state is not None and state.grid.layout != self._state.grid.layout:
            self._is_kept = False  # it may have been deleted, for another key
        if covered is None or graph is None or not covered.is_of(state.grid, self._output):
            covered, graph = self._read(state)
        rows = rows_of(state, self._output)
        gone, fresh = covered.difference(rows)
        if 0 < len(gone) == len(covered):  # to begin anew is quicker than to take out all
            covered, graph, self._is_kept = *self._nothing(state), False
            gone, fresh = covered.difference(rows)
        for place in gone.tolist():
            graph.remove(covered.keys(place))
        if len(gone):
            covered, self._is_kept = covered.without(gone), False
        self._state, self._rows, self._fresh = state, rows, fresh
        self._covered, self._graph = covered, graph
        return True

    def update(self) -> int:
        """Add the points of the last look that it does not hold: see `GridIndex.update`."""
        state, covered, graph, rows = self._state, self._covered, self._graph, self._rows
        assert state is not None
        assert covered is not None
        assert graph is not None
        assert rows is not None
        n = 0
        if self.is_stale:
            grown = covered.with_rows(rows.subset(self._fresh), state.grid)
            self._warn_if_not_kept()
            try:
                for keys, vectors in self._vectors(state, grown, len(covered)):
                    n += graph.add(keys, vectors)
            except BaseException:
                self.forget()  # half of a row may be in it
                raise
            covered, self._covered, self._fresh = grown, grown, self._fresh[:0]
            self._is_kept = False
        if self._is_written and not self._is_kept:
            self._is_kept = write_index(
                self.ref.location, state.grid, self._settings, covered, graph
            )
        return n

    def nearest(
        self, queries: NDArray[np.float64], k: int, candidates: int, hidden: Hidden | None = None
    ) -> Candidates:
        """At least about the nearest ``k`` points to each query, where there are so many.

        Parameters
        ----------
        queries : array
            ``(q, n)``.
        k, candidates : int
            See `GridIndex.query`.
        hidden : Hidden, optional
            The points that do not count, as another store has them.
        """
        covered, graph = self._covered, self._graph
        assert covered is not None
        assert graph is not None
        asked = k + SPARE
        while True:
            numbers, keys, distances = graph.nearest(queries, asked, candidates)
            is_hit = np.isfinite(distances)
            found = Candidates(numbers[is_hit], covered.positions(keys[is_hit]), distances[is_hit])
            if hidden is None:
                return found
            found = hidden.rest(found)
            if asked >= len(graph) or (found.counts(len(queries)) >= k).all():
                return found
            # hidden points took the places of others: ask for more until enough are left
            asked = min(4 * asked, len(graph))

    @property
    def _output(self) -> str:
        return self._settings.output

    def _read(self, state: GridState) -> tuple[Covered, Graph]:
        """Read the index that is kept beside the grid; else one that covers nothing."""
        self._settings.check(dict(state.grid.schema.outputs))
        stored = read_index(self.ref.location.open(), state.grid, self._settings)
        self._is_kept = stored is not None
        if stored is not None:
            try:
                return stored[0], Graph(self._settings, self._ndim(state), stored[1])
            except ValueError:  # of another version of usearch
                self._is_kept = False
        return self._nothing(state)

    def _nothing(self, state: GridState) -> tuple[Covered, Graph]:
        """An index that covers nothing."""
        graph = Graph(self._settings, self._ndim(state))
        return Covered.nothing(state.grid, self._output), graph

    def _ndim(self, state: GridState) -> int:
        return math.prod(state.grid.schema.outputs[self._output].shape)

    def _warn_if_not_kept(self) -> None:
        """Warn, before anything is read, where the work will have to be done again."""
        if self.is_empty and not self._is_written:
            _log.warning(
                "output %r has no index in %s, and a scope writes nothing there: it is built in "
                "memory. Outside of the scope, Grid.index keeps it for all",
                self._output,
                self.ref.location.url,
            )

    def _vectors(
        self, state: GridState, covered: Covered, first: int
    ) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.floating]]]:
        """The keys and vectors of the rows from one on, chunk by chunk, each read once."""
        from swarmgrid.view.dataset import GridArray

        grid = state.grid
        coverage = to_coverage(Domain(grid.axes), Layout(), grid, state.manifest)
        order = list(range(len(grid.axes)))
        array = GridArray(self.ref.location, state.manifest, self._output, coverage, order)
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


class Hidden:
    """The places of one store's points among those of several, and those that do not count.

    Parameters
    ----------
    order : list of int
        For each of the joint axes its number among those of the store.
    places : list of array
        For each of the joint axes where the store's values are along it.
    is_hidden : array of bool
        Over the joint axes: whether a store before this one has the point.
    """

    def __init__(
        self,
        order: list[int],
        places: list[NDArray[np.intp]],
        is_hidden: NDArray[np.bool_],
    ) -> None:
        self._order = order
        self._places = places
        self._is_hidden = is_hidden

    def rest(self, found: Candidates) -> Candidates:
        """The candidates that count, by their places among all."""
        pairs = zip(self._order, self._places, strict=True)
        at = [places[found.positions[:, d]] for d, places in pairs]
        positions = np.stack(at, axis=1) if at else found.positions
        moved = Candidates(found.queries, positions, found.distances)
        counts = ~self._is_hidden[tuple(at)]
        return moved.where(np.broadcast_to(counts, len(found.queries)))
