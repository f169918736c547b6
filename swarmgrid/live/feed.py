"""The messages that a viewer gets: all of it once, and then what has changed; no I/O.

A message is a name and what JSON holds. Options of the store are in none of them.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmgrid.pictures.chunk_map import STATES
from swarmgrid.pictures.colors import MEMBER_COLORS, STATE_COLORS
from swarmgrid.pictures.figures import instant, who
from swarmgrid.pictures.lanes import timeline
from swarmgrid.pictures.section import cut

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from swarmgrid.following.events import Event
    from swarmgrid.inventory.row import GridRow
    from swarmgrid.live.follow import GridView
    from swarmgrid.pictures.chunk_map import MapAxis
    from swarmgrid.records.failures import FailedPoint

Message = tuple[str, Any]

MAX_RUNS = 250
"""The most runs of cells in a message; others wait for the next one."""
MAX_ROWS = 200
"""The most grids that a viewer of a catalog gets."""
FIRST_FAILURES, NEW_FAILURES = 20, 2
"""The most failures in the first message, and in each later one."""
MAX_TRACEBACK = 1500
LANES_SECONDS = 10.0
_MAX_LANES, _MAX_SPANS = 8, 40


def encoded(message: Message) -> bytes:
    """A message as a server-sent event."""
    name, data = message
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return f"event: {name}\ndata: {text}\n\n".encode()


class GridFeed:
    """The messages about one grid to one viewer."""

    def __init__(self, *, tracebacks: bool = True) -> None:
        self._tracebacks = tracebacks
        self._sent: NDArray[np.uint8] | None = None
        """``(n_cells,)``: the state of each cell, as the viewer knows it."""
        self._about: Any = None
        self._numbers: Any = None
        self._revision = -1
        self._failures: set[Any] = set()
        self._n_failures = -1
        self._lanes_at = -np.inf
        self._last_event = 0

    def messages(self, view: GridView, now: float) -> Iterator[Message]:
        """The messages that bring the viewer up to date, the most urgent first.

        Parameters
        ----------
        view : GridView
            The grid.
        now : float
            Seconds that only grow.
        """
        states = view.cells.states()
        about = _about(view)
        is_new = about != self._about
        if is_new:  # the first message, or the grid has grown
            self._about, self._sent = about, states.reshape(-1).copy()
            yield "grid", {**about, "bitmap": _bitmap(states)}
        numbers = _numbers(view)
        if numbers != self._numbers:
            self._numbers = numbers
            yield "numbers", numbers
        assert self._sent is not None
        if not is_new and (runs := _runs(self._sent, states)):
            for first, n, state in runs:
                self._sent[first : first + n] = state
            yield "cells", {"runs": runs}
        yield from self._about_failures(view)
        new = [event for number, event in view.events if number > self._last_event]
        if new:
            is_first, self._last_event = not self._last_event, view.events[-1][0]
            yield "happened", {"is_all": is_first, "rows": [_happened(event) for event in new]}
        if view.revision != self._revision and now - self._lanes_at >= LANES_SECONDS:
            self._revision, self._lanes_at = view.revision, now
            yield "lanes", _lanes(view)

    def _about_failures(self, view: GridView) -> Iterator[Message]:
        places = {(failure.place, failure.time) for failure in view.failures}
        gone = len(self._failures - places)
        unsent = [f for f in view.failures if (f.place, f.time) not in self._failures]
        unsent.sort(key=lambda failure: failure.time, reverse=True)
        is_first = self._n_failures < 0 or gone > 0
        if is_first:
            self._failures = set()
            unsent = sorted(view.failures, key=lambda failure: failure.time, reverse=True)
        shown = unsent[: FIRST_FAILURES if is_first else NEW_FAILURES]
        if is_first or unsent or len(view.failures) != self._n_failures:
            self._failures |= {(f.place, f.time) for f in unsent}
            self._n_failures = len(view.failures)
            yield (
                "failures",
                {
                    "is_all": is_first,
                    "total": len(view.failures),
                    "rows": [self._failure(failure) for failure in shown],
                },
            )

    def _failure(self, failure: FailedPoint) -> dict[str, Any]:
        is_whole = failure.reason.startswith(failure.exception)
        reason = failure.reason if is_whole else f"{failure.exception}: {failure.reason}"
        found = {
            "reason": cut(reason),
            "point": cut(", ".join(f"{name}={value}" for name, value in failure.point.items())),
            "time": failure.time[:19],
            "attempt": failure.attempt,
        }
        if self._tracebacks:
            found["traceback"] = cut(failure.traceback, MAX_TRACEBACK)
        return found


class CatalogFeed:
    """The messages about all grids of a store to one viewer."""

    def __init__(self) -> None:
        self._sent: dict[str, Any] | None = None
        self._total = -1

    def messages(self, rows: list[dict[str, Any]]) -> Iterator[Message]:
        """The messages that bring the viewer up to date."""
        shown = {row["grid"]: row for row in rows[:MAX_ROWS]}
        before = self._sent
        self._sent = shown
        changed = [row for grid, row in shown.items() if (before or {}).get(grid) != row]
        gone = [grid for grid in (before or {}) if grid not in shown]
        if before is None or changed or gone or self._total != len(rows):
            self._total = len(rows)
            yield (
                "catalog",
                {"is_all": before is None, "total": len(rows), "rows": changed, "gone": gone},
            )


def row_of(row: GridRow, state: str, view: GridView | None) -> dict[str, Any]:
    """A grid in brief: what the inventory says, or what was seen of it just now."""
    total, computed, failed = (
        view.counts
        if view is not None
        else (row.points_total, row.points_computed, row.points_failed)
    )
    found: dict[str, Any] = {
        "grid": row.grid,
        "function": cut(row.function or row.folder),
        "params": cut(", ".join(f"{name}={value}" for name, value in row.params.items())),
        "axes": cut(", ".join(f"{name} ({axis})" for name, axis in row.axes.items())),
        "total": total,
        "computed": computed,
        "failed": failed,
        "bytes": row.nbytes,
        "seconds": round(row.seconds, 3),
        "written": row.written,
        "state": state,
    }
    if view is not None:
        rows = view.manifest.rows
        found["seconds"] = round(float(rows.seconds.sum(dtype=np.float64)), 3)
        found["written"] = int(rows.time.max(initial=0))
        if view.pace is not None:
            found["rate"] = _digits(view.pace.mean)
    return found


def _about(view: GridView) -> dict[str, Any]:
    """The part that stays the same as long as no axis grows."""
    cells, attributes = view.cells, view.grid.attributes
    return {
        "grid": view.grid.path.grid,
        "function": cut(str(attributes.get("swarmgrid_function", view.grid.path.function))),
        "params": cut(str(attributes.get("swarmgrid_params", ""))),
        "version": cut(str(attributes.get("swarmgrid_version", ""))),
        "axes": {axis.name: len(axis) for axis in view.grid.axes},
        "chunks": view.grid.chunk_spec(),
        "facet": {"name": cells.facet.name, "labels": list(cells.facet.labels)},
        "y": _side(cells.y),
        "x": _side(cells.x),
        "cell": int(cells.total.max(initial=0)),
        "unit": cells.unit,
        "collapsed": list(cells.collapsed),
        "colors": STATE_COLORS,
        "states": STATES,
    }


def _side(axis: MapAxis) -> dict[str, Any]:
    return {
        "name": axis.name,
        "n": len(axis),
        "first": axis.labels[0].split(" … ")[0] if axis.labels else "",
        "last": axis.labels[-1].split(" … ")[-1] if axis.labels else "",
    }


def _bitmap(states: NDArray[np.uint8]) -> str:
    """All cells in C order, four bits each, the first in the upper half of its byte; base64."""
    flat = states.reshape(-1)
    even = np.pad(flat, (0, len(flat) % 2))
    return base64.b64encode(((even[::2] << 4) | even[1::2]).astype(np.uint8).tobytes()).decode()


def _runs(sent: NDArray[np.uint8], states: NDArray[np.uint8]) -> list[list[int]]:
    """The cells that differ, as runs of one state each: first cell, number of cells, state."""
    new = states.reshape(-1)
    at = np.flatnonzero(sent != new)
    if not len(at):
        return []
    is_first = np.append(True, (np.diff(at) > 1) | (np.diff(new[at].astype(int)) != 0))
    starts = np.flatnonzero(is_first)[: MAX_RUNS + 1]
    lengths = np.diff(np.append(starts, len(at)) if len(starts) <= MAX_RUNS else starts)
    firsts = at[starts[: len(lengths)]]
    return [
        [int(first), int(n), int(new[first])]
        for first, n in zip(firsts.tolist(), lengths.tolist(), strict=True)
    ]


def _numbers(view: GridView) -> dict[str, Any]:
    """All that changes from second to second, in few digits."""
    total, computed, failed = view.counts
    rows, record = view.manifest.rows, view.holder.record
    found: dict[str, Any] = {
        "total": total,
        "computed": computed,
        "failed": failed,
        "chunks": len(rows),
        "seconds": _digits(float(rows.seconds.sum(dtype=np.float64))),
        "written": int(rows.time.max(initial=0)),
        "state": view.holder.state,
    }
    if record is not None and view.holder.state != "idle":
        found["holder"] = f"process {record.pid} on {cut(record.host, 80)}"
        found["lease_seconds"] = record.seconds
    pace, estimate = view.pace, view.holder.seconds_left
    if pace is not None:
        found["rate"] = [_digits(v) for v in (pace.mean, pace.low, pace.high)]
        left = pace.seconds_left(view.missing)
        if estimate is not None:  # of the run itself, which knows the cost of what is left
            left = (estimate, estimate * pace.mean / pace.high, estimate * pace.mean / pace.low)
        found["left"] = [_digits(v, 2) for v in left]
    elif estimate is not None:
        found["left"] = [_digits(estimate, 2)]
    if view.memory is not None:
        found["memory"] = int(_digits(view.memory, 2))
    return found


def _lanes(view: GridView) -> dict[str, Any]:
    found = timeline(view.manifest.rows, _MAX_LANES, _MAX_SPANS)
    if found is None:
        return {"lanes": []}
    return {
        "lanes": [
            {
                "who": cut(who(lane.writer), 100),
                "spans": lane.spans,
                "points": lane.points,
                "color": MEMBER_COLORS[min(number, len(MEMBER_COLORS) - 1)],
            }
            for number, lane in enumerate(found.lanes)
        ],
        "more": found.n_left_out,
        "begin": instant(found.begin),
        "end": instant(found.end),
        "cuts": [at for at, _ in found.cuts],
        "rate": [round(part, 2) for part in found.rate],
    }


def _happened(event: Event) -> dict[str, str]:
    """An event in words; of which grid it is, the page says."""
    by = f", by {event.writer}" if event.writer else ""
    return {"time": f"{event.time:%Y-%m-%d %H:%M:%S}", "text": cut(f"{event.summary}{by}", 300)}


def _digits(value: float, n: int = 3) -> float:
    """A number with so many digits: one that hardly changes is not sent again."""
    return float(f"{value:.{n}g}")
