"""The figures of a page: maps as PNG, lanes as SVG, with their labels and legends in HTML."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.pictures.chunk_map import BEGUN, COMPUTED, FAILED, HALF, MAX_CELLS, MOST
from swarmgrid.pictures.colors import (
    MEMBER_COLORS,
    STATE_COLORS,
    cost_palette,
    cost_pixels,
    css,
)
from swarmgrid.pictures.html import element, joined
from swarmgrid.pictures.lanes import BINS
from swarmgrid.pictures.png import data_url, png
from swarmgrid.readable import Html, count, duration, short_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from swarmgrid.format.writers import WriterId
    from swarmgrid.pictures.chunk_map import GridMap
    from swarmgrid.pictures.lanes import Timeline
    from swarmgrid.pictures.png import Color

_WIDTH = 400
"""Pixels of a map that is alone, as far as its height follows from that."""
_MAX_HEIGHT = 300
_MAX_LISTED = 8
"""The most rows of a map that each have a label."""
MIN_NBYTES = 1500
"""A picture may always have so many bytes."""


def state_figure(grid_map: GridMap, max_nbytes: int, *, is_held: bool = False) -> Html:
    """The map of what is computed; coarser where its pictures have more bytes than they may."""
    legend = [
        _key("computed", css(STATE_COLORS[COMPUTED])),
        _key("in part", *(css(STATE_COLORS[s]) for s in (BEGUN, HALF, MOST))),
    ]
    if (grid_map.failed > 0).any():
        legend.append(_key("failed", css(STATE_COLORS[FAILED])))
    # of the whole grid: nothing says which of its points the process was asked for
    words = "missing, grid in use" if is_held else "missing"
    legend.append(_key(words, class_="held" if is_held else "blank"))
    shown, pictures = _fitting(grid_map, max_nbytes, STATE_COLORS)
    return _figure("Status", shown, pictures, legend, is_held=is_held)


def cost_figure(grid_map: GridMap, max_nbytes: int) -> Html:
    """The map of the seconds of a point; empty where nothing was measured."""
    if not (grid_map.cost() > 0).any():
        return Html("")
    palette = cost_palette()
    shown, pictures = _fitting(grid_map, max_nbytes, palette)
    _, low, high = cost_pixels(shown)
    steps = ", ".join(css(color) for color in palette[1:])
    ramp = element("i", class_="ramp", style=f"background:linear-gradient(90deg, {steps})")
    ends = [short_duration(low), ramp, short_duration(high), " a point"]
    return _figure("Cost", shown, pictures, [element("span", *ends)])


def _fitting(
    grid_map: GridMap, max_nbytes: int, palette: tuple[Color, ...] | list[Color]
) -> tuple[GridMap, list[bytes]]:
    """The map, in as many cells as the bytes are enough for, and a picture for each facet."""
    while True:
        is_state = len(palette) == len(STATE_COLORS)
        pixels = grid_map.states() if is_state else cost_pixels(grid_map)[0]
        # the first value of y is at the bottom, as in a plot
        pictures = [png(facet[::-1], palette) for facet in pixels]
        n_cells = max(pixels.shape[1:])
        if sum(map(len, pictures)) <= max(max_nbytes, MIN_NBYTES) or n_cells <= MAX_CELLS // 16:
            return grid_map, pictures
        grid_map = grid_map.coarser()


def _figure(
    title: str,
    grid_map: GridMap,
    pictures: list[bytes],
    legend: list[Html],
    *,
    is_held: bool = False,
) -> Html:
    many = len(grid_map.facet) > 1
    maps = [
        element(
            "div",
            element("p", f"{grid_map.facet.name} = {label}", class_="facet") if many else Html(""),
            _framed(grid_map, picture, is_held=is_held, many=many),
        )
        for label, picture in zip(grid_map.facet.labels, pictures, strict=True)
    ]
    head = element("figcaption", element("b", title), *legend)
    cells = f"a cell is {_cell(grid_map)}"
    if is_listed(grid_map):
        cells = f"rows: {grid_map.y.name}; {cells}"
    if grid_map.collapsed:
        cells += f", over all of {', '.join(grid_map.collapsed)}"
    columns = {1: "one", 2: "two", 4: "two"}.get(len(maps), "three")
    return element(
        "figure",
        head,
        element("div", *maps, class_=f"facets {columns}"),
        element("p", cells, class_="note"),
    )


def _cell(grid_map: GridMap) -> str:
    most = int(grid_map.total.max(initial=0))
    one = "1 point" if most == 1 else f"{count(most)} points"
    is_one = grid_map.unit == "chunk" and max(len(grid_map.x), len(grid_map.y)) < MAX_CELLS
    return f"a chunk of up to {one}" if is_one else (one if most == 1 else f"up to {one}")


def is_listed(grid_map: GridMap) -> bool:
    """Whether each row of a map has a label: there are few."""
    return bool(grid_map.y.name) and len(grid_map.y) <= _MAX_LISTED


def _framed(grid_map: GridMap, picture: bytes, *, is_held: bool, many: bool) -> Html:
    """A picture between the labels of its axes."""
    x, y = grid_map.x, grid_map.y
    width = _WIDTH / (2 if many else 1)
    cell = min(max(width / max(len(x), 1), 20 if is_listed(grid_map) else 1), 30)
    height = min(max(round(len(y) * cell), 22), _MAX_HEIGHT)
    name = f"map over {x.name or 'one point'}" + (f" and {y.name}" if y.name else "")
    image = element(
        "img",
        src=data_url(picture),
        alt=name,
        class_="map held" if is_held else "map",
        style=f"height:{height}px",
    )
    below = element(
        "span", *(element("span", t) for t in (_first(x.labels), x.name, _last(x.labels))),
        class_="xaxis",
    )  # fmt: skip
    if not y.name:
        return element("div", image, below, class_="frame bare")
    if is_listed(grid_map):  # the topmost row is the last value
        beside = element("span", *(element("span", t) for t in y.labels[::-1]), class_="rows")
        return element("div", beside, image, below, class_="frame listed")
    beside = element(
        "span", *(element("span", t) for t in (_first(y.labels), y.name, _last(y.labels))),
        class_="yaxis",
    )  # fmt: skip
    return element("div", beside, image, below, class_="frame")


def _first(labels: tuple[str, ...]) -> str:
    return labels[0].split(" … ")[0] if labels else ""


def _last(labels: tuple[str, ...]) -> str:
    return labels[-1].split(" … ")[-1] if len(labels) > 1 else ""


def _key(text: str, *colors: str, class_: str = "") -> Html:
    """An entry of a legend."""
    squares = [element("i", style=f"background:{color}") for color in colors]
    if class_:
        squares = [element("i", class_=class_)]
    return element("span", *squares, text)


def lanes_figure(timeline: Timeline) -> Html:
    """The lanes of all processes, and above them how many points they finished when."""
    rows = [element("span", "points", class_="who"), _rate(timeline), element("span", "")]
    for number, lane in enumerate(timeline.lanes):
        color = MEMBER_COLORS[min(number, len(MEMBER_COLORS) - 1)]
        boxes = ((1000 * a, 0.0, 1000 * max(b - a, 0.003), 10.0) for a, b in lane.spans)
        spans = element("path", d=_outline(boxes), fill=color)
        rows += [
            element("span", who(lane.writer), class_="who"),
            _svg(10, [spans, *_cuts(timeline, 10)]),
            element("span", f"{count(lane.points)} in {short_duration(lane.seconds)}", class_="n"),
        ]
    if timeline.n_left_out:
        rows.append(element("span", f"and {timeline.n_left_out} more", class_="who"))
    ends = element(
        "span", element("span", instant(timeline.begin)), element("span", instant(timeline.end)),
        class_="xaxis",
    )  # fmt: skip
    pauses = "".join(f", a pause of {duration(float(s))} is cut" for _, s in timeline.cuts[:1])
    if len(timeline.cuts) > 1:
        pauses = f", {len(timeline.cuts)} pauses are cut"
    note = f"in {short_duration(timeline.end - timeline.begin)}{pauses}; times are UTC"
    return element(
        "figure",
        element("figcaption", element("b", "Who computed when")),
        element("div", *rows, element("span", ""), ends, class_="lanes"),
        element("p", note, class_="note"),
        class_="wide",
    )


def _rate(timeline: Timeline) -> Html:
    width = 1000 / BINS
    heights = [max(2 + 22 * part, 2) if part > 0 else 0 for part in timeline.rate]
    boxes = ((i * width, 24 - h, width, h) for i, h in enumerate(heights) if h)
    return _svg(24, [element("path", d=_outline(boxes), fill="currentColor", opacity=0.45)])


def _outline(boxes: Iterable[tuple[float, float, float, float]]) -> str:
    """A path around boxes: left, top, width, height."""
    return "".join(f"M{x:.4g} {y:.3g}h{w:.3g}v{h:.3g}h-{w:.3g}z" for x, y, w, h in boxes)


def _cuts(timeline: Timeline, height: int) -> list[Html]:
    return [
        element("line", x1=_at(at), x2=_at(at), y1=0, y2=height, class_="cut")
        for at, _ in timeline.cuts
    ]


def _svg(height: int, contents: list[Html]) -> Html:
    return element(
        "svg",
        joined(contents),
        viewBox=f"0 0 1000 {height}",
        preserveAspectRatio="none",
        style=f"height:{height}px",
    )


def _at(part: float) -> str:
    return f"{1000 * part:.4g}"


def who(writer: WriterId) -> str:
    """A process in words."""
    if not writer.pid:
        return "not known"
    return f"{writer.host} · {writer.pid}" + (f" · job {writer.job}" if writer.job else "")


def instant(seconds: float) -> str:
    """An instant of UTC in words."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def cost_quantiles(each: NDArray[np.float64], counts: NDArray[np.int64]) -> list[float]:
    """The 10th, 50th, 90th and 100th percentile of seconds, of so many points each."""
    order = np.argsort(each, kind="stable")
    ends = np.cumsum(counts[order])
    at = np.searchsorted(ends, np.array([0.1, 0.5, 0.9, 1.0]) * ends[-1])
    return [float(v) for v in each[order][np.minimum(at, len(each) - 1)]]
