"""The colours of the pictures: they differ in lightness, so that everyone can tell them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.pictures.chunk_map import COMPUTED, FAILED, MISSING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.pictures.chunk_map import GridMap
    from swarmgrid.pictures.png import Color

_COMPUTED = (38, 122, 186)
_FAILED = (222, 86, 12)
STATE_COLORS: tuple[Color, ...] = (
    (0, 0, 0, 0),
    (*_COMPUTED, 60),
    (*_COMPUTED, 115),
    (*_COMPUTED, 175),
    (*_COMPUTED, 255),
    (*_FAILED, 255),
)
"""By state; parts are lighter on a light page and darker on a dark one."""
MEMBER_COLORS = (
    *("#267aba", "#e69f00", "#009e73", "#cc79a7", "#7b6fc4", "#56b4e9", "#8c8c1a"),
    "#8a8a8a",
)
"""By member, after Okabe and Ito; the last one stands for all others."""
_CIVIDIS = (
    *((0, 34, 78), (18, 53, 112), (59, 73, 108), (87, 93, 109), (112, 113, 115)),
    *((138, 134, 120), (166, 157, 117), (196, 181, 108), (228, 207, 91), (254, 232, 56)),
)
COST_STEPS = 15


def cost_palette() -> list[Color]:
    """A colour of no cost, which is clear, and `COST_STEPS` from cheap to costly."""
    at = np.linspace(0, len(_CIVIDIS) - 1, COST_STEPS)
    channels = [
        np.interp(at, range(len(_CIVIDIS)), column) for column in zip(*_CIVIDIS, strict=True)
    ]
    found = np.round(channels).astype(int).T.tolist()
    return [(0, 0, 0, 0), *((red, green, blue, 255) for red, green, blue in found)]


def cost_pixels(grid_map: GridMap) -> tuple[NDArray[np.uint8], float, float]:
    """The number of each cell's colour in `cost_palette`, and the costs at its ends.

    The steps are of equal ratios, between the cells' 2nd and 98th percentile.
    """
    cost = grid_map.cost()
    known = cost[np.isfinite(cost) & (cost > 0)]
    if not len(known):
        return np.zeros(cost.shape, np.uint8), 0.0, 0.0
    low, high = np.percentile(known, [2, 98]).tolist()
    if high <= low * 1.0001:
        return np.where(np.isfinite(cost), (COST_STEPS + 1) // 2, 0).astype(np.uint8), low, high
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.log(np.maximum(cost, low) / low) / np.log(high / low)
    steps = 1 + np.clip(np.nan_to_num(part) * COST_STEPS, 0, COST_STEPS - 1).astype(np.uint8)
    return np.where(np.isfinite(cost), steps, 0).astype(np.uint8), low, high


def css(color: Color) -> str:
    """A colour in the words of CSS."""
    red, green, blue, alpha = color
    return f"rgb({red} {green} {blue} / {alpha / 255:.2g})"


assert len(STATE_COLORS) == FAILED + 1 > COMPUTED > MISSING
