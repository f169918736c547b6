"""The little map in the HTML of a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmgrid.pictures.colors import STATE_COLORS
from swarmgrid.pictures.html import element
from swarmgrid.pictures.png import data_url, png
from swarmgrid.readable import Html

if TYPE_CHECKING:
    from swarmgrid.pictures.chunk_map import GridMap

_MOST_CELLS = 128
_WIDTH = 260


def small_map(cells: GridMap) -> Html:
    """The status over two axes as a picture of a few kB; empty for a grid of a single cell."""
    while max(len(cells.x), len(cells.y)) > _MOST_CELLS:
        cells = cells.coarser()
    if cells.total.size < 2:
        return Html("")
    x, y, facet = cells.x, cells.y, cells.facet
    width = _WIDTH // (2 if len(facet) > 1 else 1)
    cell = min(max(width / len(x), 1), 24)
    height = min(max(round(len(y) * cell), 14), 200)
    size = f"height:{height}px;width:{width}px"
    maps = [
        element(
            "div",
            element("span", f"{facet.name} = {label}") if len(facet) > 1 else Html(""),
            element("img", class_="sg-map", alt="status", src=data_url(picture), style=size),
        )
        for label, states in zip(facet.labels, cells.states(), strict=True)
        for picture in [png(states[::-1], STATE_COLORS)]
    ]
    ends = x.labels[0].split(" … ")[0], x.labels[-1].split(" … ")[-1]
    axes = f"→ {x.name}: {ends[0]} … {ends[1]}"
    if y.name:
        ends = y.labels[0].split(" … ")[0], y.labels[-1].split(" … ")[-1]
        axes += f", ↑ {y.name}: {ends[0]} … {ends[1]}"
    told = element("div", element("span", axes), class_="sg-maps")
    return Html(element("div", *maps, class_="sg-maps") + told)
