"""The history of a grid: when each process was at work on it, from the rows of the manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swarmgrid.records.row_values import n_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swarmgrid.format.segment import Rows
    from swarmgrid.format.writers import WriterId

MAX_LANES = 12
_MAX_CUTS = 6
_CUT_WIDTH = 0.015
"""The width of a pause that is cut, as a part of the picture's."""
BINS = 160
_SHORT_PAUSE = 3.0
"""Seconds: rows are committed about once a second, and say whole seconds."""


@dataclass(frozen=True, slots=True)
class Lane:
    """The work that one process has led."""

    writer: WriterId
    spans: tuple[tuple[float, float], ...]
    """Begin and end of the spans in which points were computed, 0 to 1 along the picture."""
    points: int
    seconds: float
    """Time inside the function."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Lanes of processes over one time, of which long pauses are cut."""

    lanes: tuple[Lane, ...]
    """Those with the most points, in the order of their beginning."""
    n_left_out: int
    begin: float
    """Seconds since 1970."""
    end: float
    cuts: tuple[tuple[float, float], ...]
    """The places of the pauses, 0 to 1, and their seconds."""
    rate: tuple[float, ...]
    """`BINS` numbers: the points whose work ended in each part of the picture; the most is 1."""


def timeline(rows: Rows, max_lanes: int = MAX_LANES, max_spans: int = 150) -> Timeline | None:
    """The lanes of all processes that rows name; None where no row says its time.

    Parameters
    ----------
    rows : Rows
        The rows of a manifest.
    max_lanes : int
        The most lanes: those of the processes with the most points.
    max_spans : int
        The most spans of a lane: pauses that are shorter are not shown.
    """
    is_known = rows.time > 0
    if not is_known.any():
        return None
    ends = rows.time[is_known].astype(np.float64) + 0.5  # whole seconds: the middle of each
    counts = n_points(rows)[is_known].astype(np.float64)
    seconds = rows.seconds[is_known].astype(np.float64)
    writers = rows.writer[is_known]
    starts = ends - np.clip(seconds, 0.5, None)
    begin, end = float(starts.min()), float(ends.max())
    sessions = _sessions(starts, ends)
    scale = _Scale(sessions)
    n_writers = len(rows.writers)
    points = np.bincount(writers, counts, n_writers)
    spent = np.bincount(writers, seconds, n_writers)
    present = np.flatnonzero(points)
    shown = present[np.argsort(-points[present], kind="stable")][:max_lanes]
    lanes = []
    for number in shown.tolist():
        is_own = writers == number
        work = _joined(starts[is_own], ends[is_own], _SHORT_PAUSE)
        at = _joined(scale.places(work[:, 0]), scale.places(work[:, 1]), 1 / max_spans)
        spans = tuple((round(a, 4), round(b, 4)) for a, b in at.tolist())
        lanes.append(Lane(rows.writers[number], spans, int(points[number]), float(spent[number])))
    ended, _ = np.histogram(scale.places(ends), BINS, (0, 1), weights=counts)
    highest = float(ended.max()) or 1.0
    return Timeline(
        tuple(sorted(lanes, key=lambda lane: lane.spans[0])),
        len(present) - len(shown),
        begin,
        end,
        tuple(scale.cuts()),
        tuple(np.round(ended / highest, 3).tolist()),
    )


def _joined(
    starts: NDArray[np.float64], ends: NDArray[np.float64], tolerance: float
) -> NDArray[np.float64]:
    """``(n, 2)``: spans with those joined that overlap, or nearly so; in the order of time."""
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    is_first = np.append(True, starts[1:] > ends[:-1] + tolerance)
    is_last = np.append(is_first[1:], True)
    return np.stack([starts[is_first], ends[is_last]], axis=1)


def _sessions(starts: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(n, 2)``: spans of work between the longest pauses, of which there are few."""
    spans = _joined(starts, ends, 60.0)
    busy = float((spans[:, 1] - spans[:, 0]).sum())
    pauses = spans[1:, 0] - spans[:-1, 1]
    longest = np.argsort(-pauses, kind="stable")[:_MAX_CUTS]
    cuts = np.sort(longest[pauses[longest] > busy])
    firsts = np.concatenate([[0], cuts + 1]).astype(np.intp)
    lasts = np.concatenate([cuts, [len(spans) - 1]]).astype(np.intp)
    return np.stack([spans[firsts, 0], spans[lasts, 1]], axis=1)


class _Scale:
    """Places on the picture for instants: sessions side by side, with narrow cuts between."""

    def __init__(self, sessions: NDArray[np.float64]) -> None:
        lengths = np.maximum(sessions[:, 1] - sessions[:, 0], 1e-3)
        room = 1 - _CUT_WIDTH * (len(sessions) - 1)
        widths = lengths / lengths.sum() * room
        left = np.concatenate([[0.0], np.cumsum(widths + _CUT_WIDTH)[:-1]])
        self._instants = sessions.reshape(-1)
        self._places = np.stack([left, left + widths], axis=1).reshape(-1)

    def places(self, instants: NDArray[np.float64]) -> NDArray[np.float64]:
        """The places of some instants, 0 to 1."""
        return np.asarray(np.interp(instants, self._instants, self._places), np.float64)

    def cuts(self) -> list[tuple[float, float]]:
        """The middle of each cut, and the seconds that it stands for."""
        edges = zip(self._places[1:-1:2], self._places[2::2], strict=True)
        pauses = self._instants[2::2] - self._instants[1:-1:2]
        middles = ((float(a) + float(b)) / 2 for a, b in edges)
        return [(round(m, 4), float(p)) for m, p in zip(middles, pauses, strict=True)]
