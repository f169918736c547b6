"""Write the picture and the table of the rooms into ``architecture.md``.

Run ``python docs/make_rooms.py`` after a room has changed.
"""

from __future__ import annotations

import ast
import itertools
import random
import re
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "swarmgrid"
PAGE = ROOT / "docs" / "explanation" / "architecture.md"
PICTURE = ROOT / "docs" / "images" / "rooms.svg"
BEGIN, END = "<!-- rooms: made by docs/make_rooms.py -->\n", "<!-- end of rooms -->\n"


def may_import() -> dict[str, set[str]]:
    """What each room may import, as the tests enforce it."""
    sys.path.insert(0, str(ROOT))
    from tests.test_architecture import MAY_IMPORT

    return MAY_IMPORT


def files_of(room: str) -> list[Path]:
    """The modules of a room."""
    single = PACKAGE / f"{room}.py"
    return [single] if single.exists() else sorted((PACKAGE / room).glob("*.py"))


def duty_of(room: str) -> str:
    """The first sentence of a room's docstring."""
    path = files_of(room)[0] if len(files_of(room)) == 1 else PACKAGE / room / "__init__.py"
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return re.sub(r"\s+", " ", text.split("\n\n")[0]).rstrip(".")


def table() -> str:
    """The table of the rooms, from the top down."""
    rows = ["| room | duty | modules | lines, about | may import |", "|---|---|---:|---:|---|"]
    for room, below in reversed(may_import().items()):
        files = files_of(room)
        n_lines = round(sum(len(p.read_text().splitlines()) for p in files), -2)
        n_modules = len(files) - (len(files) > 1)
        ground = ["the ground"] if below >= {*GROUND} else []
        shown = below - {*GROUND} if ground else below
        allowed = ", ".join([*ground, *(f"`{one}`" for one in may_import() if one in shown)])
        rows.append(
            f"| `{room}` | {duty_of(room)} | {n_modules} | {n_lines:,} | {allowed or 'nothing'} |"
        )
    return "\n".join(rows) + "\n"


GROUND = ("errors", "readable", "quantities", "threads")
"""The rooms below all others, drawn as one: an arrow to them would say nothing."""
TRIALS = 200
LETTER, MARGIN, BEND = 0.089, 0.36, 0.3
"""Widths in inches: of a letter, around a name, and of an arrow that passes between two rooms."""


def floors_of() -> dict[str, int]:
    """The floor of each room but the ground: right below the lowest room that imports it."""
    rooms = {room: below - {*GROUND} for room, below in may_import().items() if room not in GROUND}
    floor: dict[str, int] = {}
    for room, below in rooms.items():
        floor[room] = 1 + max((floor[other] for other in below), default=0)
    for room in reversed(rooms):
        users = [floor[other] for other, below in rooms.items() if room in below]
        floor[room] = min(users, default=floor[room] + 1) - 1
    return floor


def direct() -> list[tuple[str, str]]:
    """The permissions that no chain of others implies: the arrows."""
    rooms = may_import()
    return [
        (room, other)
        for room, below in rooms.items()
        for other in sorted(below - {*GROUND})
        if not any(other in rooms[between] for between in below if between != other)
    ]


def paths() -> list[list[str]]:
    """The arrows, each with a point on every floor that it passes: ``"view>format@5"``."""
    floor = floors_of()
    return [
        [a, *(f"{a}>{b}@{y}" for y in range(floor[a] - 1, floor[b], -1)), b] for a, b in direct()
    ]


def places() -> dict[str, tuple[float, float]]:
    """Where each room and each point stands: of several trials, the one with the least detours."""
    joined: dict[str, list[str]] = {}
    for path in paths():
        for one, other in itertools.pairwise(path):
            joined.setdefault(one, []).append(other)
            joined.setdefault(other, []).append(one)
    level = floors_of()
    level |= {one: int(one.partition("@")[2]) for one in joined if "@" in one}
    floors = [[one for one in level if level[one] == y] for y in range(1, max(level.values()) + 1)]
    trials = [_trial(floors, joined, random.Random(seed)) for seed in range(TRIALS)]
    x = min(trials, key=lambda x: sum(abs(x[a] - x[b]) for a in joined for b in joined[a]))
    return {one: (x[one], float(level[one])) for one in level}


def _trial(
    floors: list[list[str]], joined: dict[str, list[str]], chance: random.Random
) -> dict[str, float]:
    """Place everything near what it is joined with, from an order by chance."""
    floors = [chance.sample(row, len(row)) for row in floors]
    x = {one: 9 * (i + 0.5) / len(row) for row in floors for i, one in enumerate(row)}
    for sweep in range(40):
        for row in floors if sweep % 2 else reversed(floors):
            wish = {one: statistics.fmean(x[o] for o in joined.get(one, [one])) for one in row}
            row.sort(key=wish.__getitem__)
            x |= _apart(row, wish)
    return x


def _apart(row: list[str], wish: dict[str, float]) -> dict[str, float]:
    """The places of a floor, in their order: as near to what they wish as their widths allow."""
    half = {one: (BEND if "@" in one else MARGIN + LETTER * len(one)) / 2 for one in row}
    edges = itertools.accumulate([2 * half[one] for one in row], initial=0.0)
    inside = {one: edge + half[one] for one, edge in zip(row, edges, strict=False)}
    groups: list[tuple[float, list[str]]] = []  # each with its wish for the left end of the floor
    for one in row:
        group = (wish[one] - inside[one], [one])
        while groups and groups[-1][0] > group[0]:  # they would overlap: they stand side by side
            members = groups.pop()[1] + group[1]
            group = (statistics.fmean(wish[m] - inside[m] for m in members), members)
        groups.append(group)
    return {one: start + inside[one] for start, members in groups for one in members}


def draw() -> None:
    """Draw the house."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Line

    mpl.rcParams["svg.hashsalt"] = "rooms"
    mpl.rcParams["svg.fonttype"] = "none"
    at = places()
    height = max(y for _, y in at.values())
    left, right = min(x for x, _ in at.values()) - 0.7, max(x for x, _ in at.values()) + 0.7
    fig, ax = plt.subplots(figsize=(right - left, 0.72 * (height + 1)))
    fig.subplots_adjust(0, 0, 1, 1)
    for path in paths():
        points = [at[one] for one in path]
        points[0] = (points[0][0], points[0][1] - 0.2)
        points[-1] = (points[-1][0], points[-1][1] + 0.2)
        slopes = [(x1 - x0) / 2 for (x0, _), (x1, _) in zip(points, points[2:], strict=False)]
        slopes = [0.0, *slopes, 0.0]
        turns = [points[0]]
        for (x0, y0), (x1, y1), before, after in zip(
            points, points[1:], slopes, slopes[1:], strict=False
        ):
            step = (y0 - y1) / 3
            turns += [(x0 + before / 3, y0 - step), (x1 - after / 3, y1 + step), (x1, y1)]
        line = Line(turns, [Line.MOVETO, *[Line.CURVE4] * (len(turns) - 1)])
        ax.add_patch(FancyArrowPatch(path=line, arrowstyle="-|>", mutation_scale=9,
                                     color="#8a94a6", lw=1, zorder=1))  # fmt: skip
    box = {"boxstyle": "round,pad=0.45", "fc": "#eef2f8", "ec": "#33415c", "lw": 1}
    names = {one: where for one, where in at.items() if "@" not in one}
    for name, (x, y) in {**names, "  ·  ".join(GROUND): ((left + right) / 2, 0.0)}.items():
        ax.text(x, y, name, ha="center", va="center", fontsize=10.5, bbox=box, zorder=2)
    ax.set(xlim=(left, right), ylim=(-0.5, height + 0.5))
    ax.axis("off")
    fig.savefig(PICTURE, bbox_inches="tight", metadata={"Date": None})
    plt.close(fig)


def page() -> str:
    """The page with the present table in it."""
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(page())
    draw()
