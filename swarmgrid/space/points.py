"""A set of points within one chunk, small enough to travel and to be stored by the million."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
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
        extent = tuple(
            int(np.flatnonzero(mask.any(axis=tuple(set(range(mask.ndim)) - {d})))[-1]) + 1
            if mask.any()
            else 0
            for d in range(mask.ndim)
        )
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
        return int.from_bytes(self.bits, "big").bit_count()

    def mask(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """The set as a boolean array of the chunk's ``shape``."""
        full = np.zeros(shape, bool)
        full[tuple(slice(n) for n in self.extent)] = self.box_mask()
        return full

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


def boxes(mask: NDArray[np.bool_]) -> list[tuple[slice, ...]]:
    """Disjoint boxes that cover exactly the true points of ``mask``, largest runs first found.

    Each box starts at the first point left over and grows along the last axis first.
    """
    if mask.all():
        return [tuple(slice(0, n) for n in mask.shape)]
    left = mask.copy()
    found = []
    while left.any():
        start = np.unravel_index(int(np.argmax(left)), left.shape)
        box = [slice(int(i), int(i) + 1) for i in start]
        for d in reversed(range(left.ndim)):
            while box[d].stop < left.shape[d]:
                layer = (*box[:d], slice(box[d].stop, box[d].stop + 1), *box[d + 1 :])
                if not left[layer].all():
                    break
                box[d] = slice(box[d].start, box[d].stop + 1)
        left[tuple(box)] = False
        found.append(tuple(box))
    return found
