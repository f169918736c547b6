"""A set of points within one chunk, small enough to travel and to be stored by the million."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Points:
    """Some points of one chunk: a box from its origin, or any set as a bitmap."""

    extent: tuple[int, ...]
    """The box: the first ``extent[d]`` indices of every axis."""
    bits: bytes | None = None
    """None: every point of the box. Else its mask, packed by ``np.packbits`` in C order."""

    @classmethod
    def from_mask(cls, mask: NDArray[np.bool_]) -> Points:
        """The points where ``mask``, of the chunk's shape, is true."""
        if mask.ndim == 0:
            return cls(()) if mask else cls((), b"\0")
        hull = _hull(mask)
        extent = (0,) * mask.ndim if hull is None else tuple(along.stop for along in hull)
        box = mask[tuple(slice(n) for n in extent)]
        return cls(extent) if box.all() else cls(extent, np.packbits(box).tobytes())

    @classmethod
    def at(cls, index: tuple[int, ...]) -> Points:
        """One point."""
        mask = np.zeros(tuple(i + 1 for i in index), bool)
        mask[index] = True
        return cls.from_mask(mask)

    def subset(self, keep: NDArray[np.bool_]) -> Points | None:
        """The points for which ``keep``, ``(n_points,)`` in C order, is true; None for none."""
        if keep.all():
            return self
        if not keep.any():
            return None
        mask = self.box_mask()
        mask.reshape(-1)[np.flatnonzero(mask)[~keep]] = False
        return Points.from_mask(mask)

    def divided_at(self, n: int) -> tuple[Points | None, Points | None]:
        """The first ``n`` points in C order, and the others; None where there are none."""
        is_first = np.arange(len(self)) < n
        return self.subset(is_first), self.subset(~is_first)

    def __len__(self) -> int:
        if self.bits is None:
            return math.prod(self.extent)
        # `np.packbits` pads with zeros, which do not count
        return int.from_bytes(self.bits, "big").bit_count()

    def __contains__(self, index: tuple[int, ...]) -> bool:
        if any(at >= n for at, n in zip(index, self.extent, strict=True)):
            return False
        return self.bits is None or bool(self.box_mask()[index])

    def mask(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """The set, as far as it lies within a ``shape``, as a boolean array of that."""
        return union([self], shape)

    def of(self, block: NDArray[Any]) -> NDArray[Any]:
        """The points' values in a chunk, an array of its shape and further dims; in C order."""
        box = block[tuple(slice(n) for n in self.extent)]
        if self.bits is not None:
            return np.asarray(box[self.box_mask()])
        return box.reshape(len(self), *block.shape[len(self.extent) :])

    def box_mask(self) -> NDArray[np.bool_]:
        """The set as a boolean array of shape ``extent``."""
        if self.bits is None:
            return np.ones(self.extent, bool)
        count = int(np.prod(self.extent, dtype=np.int64))
        packed = np.frombuffer(self.bits, np.uint8)
        return np.unpackbits(packed, count=count).astype(bool).reshape(self.extent)

    def indices(self) -> NDArray[np.intp]:
        """``(n_points, n_axes)``: the points' indices within the chunk, in C order."""
        if self.bits is None:
            grid = np.indices(self.extent, np.intp)
            return grid.reshape(len(self.extent), -1).T if self.extent else np.zeros((1, 0), int)
        return np.argwhere(self.box_mask()) if self.extent else np.zeros((len(self), 0), int)


def union(parts: Iterable[Points], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Several sets of points, as far as they lie within a ``shape``, as a boolean array of it."""
    full = np.zeros(shape, bool)
    for points in parts:
        inside = points.box_mask()[tuple(map(slice, shape))]
        full[tuple(map(slice, inside.shape))] |= inside
    return full


@dataclass(frozen=True, slots=True)
class ChunkPart:
    """Points of one chunk that are to be computed."""

    index: tuple[int, ...]
    """The chunk's index on every axis."""
    points: Points
    is_fresh: bool
    """Whether nothing of the chunk is stored yet."""


def boxes(mask: NDArray[np.bool_]) -> list[tuple[slice, ...]]:
    """Disjoint boxes that cover exactly the true points of ``mask``, sorted by corner.

    Runs of points along one axis are joined where they lie side by side, axis after axis. That is
    done once for each axis as the one of the runs, and the fewest boxes are taken: each is a call.
    """
    hull = _hull(mask)
    if hull is None:
        return []
    if mask[hull].all():
        return [hull]
    ways = (_joined_runs(mask, axis) for axis in reversed(range(mask.ndim)))
    starts, stops = min(ways, key=lambda bounds: bounds.shape[1])
    return [
        tuple(slice(*edges) for edges in zip(*corners, strict=True))
        for corners in sorted(zip(starts.tolist(), stops.tolist(), strict=True))
    ]


def _hull(mask: NDArray[np.bool_]) -> tuple[slice, ...] | None:
    """The smallest box that holds every true point; None if there is none."""
    if not mask.any():
        return None
    found = []
    for d in range(mask.ndim):
        along = np.flatnonzero(mask.any(axis=tuple(set(range(mask.ndim)) - {d})))
        found.append(slice(int(along[0]), int(along[-1]) + 1))
    return tuple(found)


def _joined_runs(mask: NDArray[np.bool_], axis: int) -> NDArray[np.intp]:
    """``(2, n_boxes, n_axes)``: where boxes made of the runs along one axis start and stop."""
    edges = np.diff(np.moveaxis(mask, axis, -1).astype(np.int8), prepend=0, append=0)
    starts = np.argwhere(edges == 1)  # in C order, as the ends are: one run's are at one place
    stops = starts + 1
    stops[:, -1] = np.argwhere(edges == -1)[:, -1]
    for d in reversed(range(mask.ndim - 1)):
        others = np.delete(np.hstack([starts, stops]), [d, mask.ndim + d], axis=1)
        order = np.lexsort((starts[:, d], *others.T))
        starts, stops, others = starts[order], stops[order], others[order]
        goes_on = (others[1:] == others[:-1]).all(axis=1) & (starts[1:, d] == stops[:-1, d])
        ends = stops[np.append(~goes_on, True), d]
        is_first = np.append(True, ~goes_on)
        starts, stops = starts[is_first], stops[is_first]
        stops[:, d] = ends
    bounds = np.stack([starts, stops])
    return np.insert(bounds[..., :-1], axis, bounds[..., -1], axis=-1)
