"""One request of a SwarmMemo: the grid that it stands for, what of it is computed, its records."""

from __future__ import annotations

import functools
import logging
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.api import lookups
from swarmgrid.api.evaluation import Call
from swarmgrid.errors import DamageError, PointError, StoreError
from swarmgrid.finding.resolve import grid_ref
from swarmgrid.handle.grid import Grid
from swarmgrid.memo.point_records import to_records
from swarmgrid.options import current_options
from swarmgrid.space.axis import MAX_EXACT
from swarmgrid.space.points import boxes
from swarmgrid.store.scoping import check_no_scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from swarmgrid.memo.enumerated_points import Enumeration, MemoChunk
    from swarmgrid.options import CallOptions
    from swarmgrid.store.grid_ref import GridRef

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """The stored part of a request."""

    computed: NDArray[np.bool_]
    """``(n_points,)``: whether a point is computed."""
    dtypes: Mapping[str, np.dtype[Any]] | None
    """By variable; None if there is no such grid yet."""


@dataclass(frozen=True)
class MemoRequest:
    """A checked request."""

    params: Mapping[str, Any]
    axes: Mapping[str, Any]
    """The axes as the user gave them, in the order of a point's values."""
    points: Enumeration
    lengths: tuple[int, ...]
    """The number of values in a memo chunk's bin, by axis."""
    chunks: list[MemoChunk]
    spec: Mapping[str, Any]
    """The chunk lengths that the user asked for, by axis."""
    options: CallOptions
    """The grid's."""

    def begun(self) -> Call:
        """The request as a call of the grid, the store looked at once.

        A grid that exists keeps its chunks, whatever the spec says.
        """
        check_no_scope("SwarmMemo")
        options = current_options().updated(self.options)
        return Call(options, self.params, self.axes, self._where(), chunks_if_new=self.spec)

    def stored(self, call: Call) -> Stored:
        """The stored part of the request, as the call last read it.

        Raises
        ------
        DamageError
            If what says so is not as it was written. `repair` sees to that.
        """
        found = call.stored
        if found is None:
            return Stored(np.zeros(len(self.points), bool), None)
        snapshot, coverage = found
        if torn := snapshot.manifest.damaged:  # no loss, but a warning in every run to come
            raise DamageError(call.request.grid.path.manifest + torn[0], "it is no whole segment")
        outputs = snapshot.grid.schema.outputs
        dtypes = {name: output.memory_dtype for name, output in outputs.items()}
        if not coverage.has_missing():
            return Stored(np.ones(len(self.points), bool), dtypes)
        order = [snapshot.grid.names.index(name) for name in call.request.domain.names]
        computed = coverage.is_computed()
        return Stored(computed.transpose(order)[tuple(self.points.positions.T)], dtypes)

    def repair(self, damage: DamageError) -> None:
        """Make the grid one that can be read; what was lost counts as not computed then.

        Values alone are left to `fill`, which computes those that a reader found damaged.
        """
        _log.warning(
            "%s is damaged: %s; it is written again from a copy, or computed again",
            damage.key,
            damage.reason,
        )
        try:
            self.stored(self.begun())
        except DamageError:
            Grid(self._ref).repair()

    def damaged_again(self, damage: DamageError) -> StoreError:
        """The error that something is damaged again after it was repaired."""
        path = self._ref.path
        return StoreError(
            f"{damage.key} is damaged again after it was repaired: {damage.reason}. Check the "
            f"disk; then delete the folders {path.prefix} and {path.manifest} in "
            f"{self._ref.location.url!r}, and everything in them is computed anew"
        )

    @functools.cached_property
    def _ref(self) -> GridRef:
        options = current_options().updated(self.options)
        return grid_ref(options, self.params, list(self.axes))

    def dataset(self) -> xr.Dataset:
        """The stored values, lazily, under the variables' stored names."""
        return lookups.open(self.params, self.axes, **self.options)

    def records(self, call: Call) -> Iterator[tuple[int, list[Any]]]:
        """Yield the number of each chunk, and what the function returned at its points, in order.

        Chunks come by their bin on the first axis: so much of the grid is in memory at once.

        Raises
        ------
        PointError
            If a point is not computed after all.
        """
        if not self.chunks:
            return
        stored = self.stored(call)
        self._check_computed(stored)
        dataset, first = self._view(call), next(iter(self.axes))
        by_bin: dict[int, list[int]] = {}
        for number, chunk in enumerate(self.chunks):
            by_bin.setdefault(chunk.bins[0], []).append(number)
        for i, numbers in by_bin.items():
            bounds = slice(i * self.lengths[0], (i + 1) * self.lengths[0])
            with warnings.catch_warnings():  # integers that lose digits here are read again below
                warnings.filterwarnings("ignore", "output .* lose digits", RuntimeWarning)
                slab = dataset.isel({first: bounds}).load()
            for number in numbers:
                columns = self._columns(slab, bounds.start, self.chunks[number], stored.dtypes)
                n = len(self.chunks[number].members)
                yield number, to_records(columns, tuple(self.axes), n)

    def _view(self, call: Call) -> xr.Dataset:
        """All stored values, requested or not: a variable that misses none is not promoted."""
        from swarmgrid.view import dataset

        assert call.stored is not None
        snapshot, coverage = call.stored
        ref, axes = call.request.grid, call.request.domain.axes
        return dataset.dataset(ref, axes, replace(coverage, mask=None), snapshot.manifest)

    def _where(self) -> xr.DataArray | None:
        mask = self.points.mask()
        if mask is None:
            return None
        import xarray as xr

        return xr.DataArray(mask, dims=tuple(self.axes))

    def _check_computed(self, stored: Stored) -> None:
        if not stored.computed.all():
            point = self.points.point(int(np.argmin(stored.computed)))
            name = getattr(self.options["func"], "__name__", "exec_fn")
            raise PointError(name, point, "there is no result of it in the store")

    def _columns(
        self, slab: xr.Dataset, start: int, chunk: MemoChunk, dtypes: Mapping[str, Any] | None
    ) -> dict[str, NDArray[Any]]:
        """``(k, *output.shape)`` by variable: the values at a chunk's points, as computed."""
        positions = self.points.positions[chunk.members]
        inside = positions.copy()
        inside[:, 0] -= start
        columns = {}
        for name, variable in slab.data_vars.items():
            values = variable.values[tuple(inside.T)]
            dtype = (dtypes or {}).get(str(name), values.dtype)
            if values.dtype != dtype and dtype.kind in "iu" and _is_large(values):
                values = self._integers(str(name), chunk, positions, values)
            columns[str(name)] = values.astype(dtype, copy=False)
        return columns

    def _integers(
        self, name: str, chunk: MemoChunk, positions: NDArray[np.intp], rounded: NDArray[Any]
    ) -> NDArray[Any]:
        """Integers that a view with missing points would round: read from boxes without any."""
        origin = np.array(chunk.bins) * self.lengths
        mask = np.zeros(self.lengths, bool)
        mask[tuple((positions - origin).T)] = True
        found = np.zeros(mask.shape + rounded.shape[1:], object)
        for box in boxes(mask):
            part = {
                axis: values[corner + edge.start : corner + edge.stop]
                for (axis, values), corner, edge in zip(
                    self.points.axes.items(), origin, box, strict=True
                )
            }
            found[box] = lookups.open(self.params, part, **self.options)[name].values
        values: NDArray[Any] = found[tuple((positions - origin).T)]
        return values


def _is_large(values: NDArray[Any]) -> bool:
    return bool((np.abs(values) >= MAX_EXACT).any())
