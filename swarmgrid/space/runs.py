"""A mask as the lengths of its runs, and back: how an axis says which of its floats were ints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_runs(mask: NDArray[np.bool_]) -> list[int]:
    """The lengths of a mask's runs, alternately of True and of False, the first of True."""
    edges = np.flatnonzero(np.diff(mask)) + 1
    runs = np.diff([0, *edges, len(mask)]).tolist()
    return runs if len(mask) == 0 or mask[0] else [0, *runs]


def from_runs(runs: object, n: int) -> NDArray[np.bool_]:
    """The mask of length ``n`` that `to_runs` gives these runs for.

    Raises
    ------
    ValueError
        If there is none.
    """
    if not isinstance(runs, list) or any(type(k) is not int or not 0 <= k <= n for k in runs):
        raise ValueError("swarmgrid_ints is no list of lengths")
    if sum(runs) != n:
        raise ValueError(f"swarmgrid_ints tells of {sum(runs)} values; the axis has {n}")
    return np.repeat(np.arange(len(runs)) % 2 == 0, runs)
