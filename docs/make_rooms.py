"""Write the picture and the table of the rooms into ``architecture.md``.

Run ``python docs/make_rooms.py`` after a room has changed.
"""

from __future__ import annotations

import ast
import re
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
        allowed = ", ".join(f"`{other}`" for other in may_import() if other in below)
        rows.append(
            f"| `{room}` | {duty_of(room)} | {n_modules} | {n_lines:,} | {allowed or 'nothing'} |"
        )
    return "\n".join(rows) + "\n"


def levels() -> list[list[str]]:
    """The rooms by floor: each stands on one below it."""
    rooms = may_import()
    floor: dict[str, int] = {}
    for room, below in rooms.items():
        floor[room] = 1 + max((floor[other] for other in below), default=-1)
    return [[r for r in rooms if floor[r] == i] for i in range(max(floor.values()) + 1)]


def direct() -> list[tuple[str, str]]:
    """The permissions that no chain of others implies: the arrows."""
    rooms = may_import()
    return [
        (room, other)
        for room, below in rooms.items()
        for other in sorted(below)
        if not any(other in rooms[between] for between in below if between != other)
    ]


def places() -> dict[str, tuple[float, float]]:
    """Where each room stands: below those that import it, as far as that goes."""
    floors, arrows = levels(), direct()
    x = {room: 10 * (i + 0.5) / len(floor) for floor in floors for i, room in enumerate(floor)}
    for sweep in range(8):
        for floor in floors if sweep % 2 else reversed(floors):
            near = {
                room: [x[a if b == room else b] for a, b in arrows if room in {a, b}]
                for room in floor
            }
            order = sorted(floor, key=lambda room: sum(near[room]) / max(1, len(near[room])))
            x |= {room: 10 * (i + 0.5) / len(floor) for i, room in enumerate(order)}
    return {room: (x[room], float(y)) for y, floor in enumerate(floors) for room in floor}


def draw() -> None:
    """Draw the house."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "rooms"
    mpl.rcParams["svg.fonttype"] = "none"
    floors = levels()
    fig, ax = plt.subplots(figsize=(8.5, 0.95 * len(floors)))
    at = places()
    for room, other in direct():
        (x0, y0), (x1, y1) = at[room], at[other]
        ax.annotate(
            "",
            (x1, y1 + 0.24),
            (x0, y0 - 0.24),
            arrowprops={"arrowstyle": "-|>", "color": "#8a94a6", "lw": 1, "shrinkA": 0},
        )
    for room, (x, y) in at.items():
        ax.text(
            x,
            y,
            room,
            ha="center",
            va="center",
            fontsize=10.5,
            bbox={"boxstyle": "round,pad=0.45", "fc": "#eef2f8", "ec": "#33415c", "lw": 1},
        )
    ax.set(xlim=(0, 10), ylim=(-0.6, len(floors) - 0.4))
    ax.axis("off")
    fig.savefig(PICTURE, bbox_inches="tight", metadata={"Date": None})


def page() -> str:
    """The page with the present table in it."""
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(page())
    draw()
