"""The state of a store in the text format of Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_GRIDS = 1000
"""The most grids that have series of their own."""
_FAMILIES: tuple[tuple[str, str, str, Callable[[dict[str, Any]], Any]], ...] = (
    ("points", "gauge", "Points of the grid.", lambda row: row["total"]),
    ("points_computed", "gauge", "Points that are computed.", lambda row: row["computed"]),
    ("points_failed", "gauge", "Points that failed.", lambda row: row["failed"]),
    ("function_seconds_total", "counter", "Time inside the function.", lambda r: r["seconds"]),
    ("bytes", "gauge", "Bytes of the stored chunks.", lambda row: row["bytes"]),
    ("last_written_timestamp_seconds", "gauge", "The last commit.", lambda row: row["written"]),
    ("points_per_second", "gauge", "The pace of the run.", lambda row: row.get("rate", 0)),
    ("is_working", "gauge", "Whether a process fills it.", lambda r: int(r["state"] == "working")),
    (
        "is_killed",
        "gauge",
        "Whether the last run ended without giving the grid back.",
        lambda row: int(row["state"] in {"killed", "silent"}),
    ),
)


def metrics(rows: Sequence[dict[str, Any]]) -> str:
    """The text about some grids.

    Examples
    --------
    >>> print(metrics([]).strip())
    # HELP swarmgrid_grids Grids of the store.
    # TYPE swarmgrid_grids gauge
    swarmgrid_grids 0
    """
    lines = [
        "# HELP swarmgrid_grids Grids of the store.",
        "# TYPE swarmgrid_grids gauge",
        f"swarmgrid_grids {len(rows)}",
    ]
    shown = rows[:MAX_GRIDS]
    for name, kind, about, value in _FAMILIES if shown else ():
        full = f"swarmgrid_grid_{name}"
        lines += [f"# HELP {full} {about}", f"# TYPE {full} {kind}"]
        lines += [f"{full}{_labels(row)} {value(row)}" for row in shown]
    return "\n".join(lines) + "\n"


def _labels(row: dict[str, Any]) -> str:
    return f'{{function="{_escaped(row["function"])}",grid="{_escaped(row["grid"])}"}}'


def _escaped(text: str) -> str:
    clean = text.encode("utf-8", "replace").decode()
    return clean.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n").replace("\r", " ")
