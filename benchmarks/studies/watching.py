"""What it costs to watch a run: a bar in a terminal beside no bar, in pairs of runs."""

from __future__ import annotations

import contextlib
import io
import statistics
import time

import numpy as np

from benchmarks.measure import scratch, settle
from benchmarks.studies import Figure


class Terminal(io.StringIO):
    """A terminal that takes what it is sent."""

    def isatty(self) -> bool:
        return True


def busy(a: float, b: float) -> float:
    """A number that takes two microseconds: a million of them, a few seconds."""
    for _ in range(40):
        a = a * 0.99 + b
    return a


def study(rounds: int, *, is_quick: bool) -> dict[str, Figure]:
    """The CPU time of a run of a million points with a bar, over that of the run without one."""
    n = 30 if is_quick else 1000
    ratios, most = [], 0.0
    n_shown = 0
    _run(10, 0)
    for number in range(max(rounds, 1 if is_quick else 5)):
        with_bar = number % 2 == 0  # whatever comes second finds a warmer machine
        pair = dict.fromkeys((2, 0) if with_bar else (0, 2), 0.0)
        for verbose in pair:
            pair[verbose], shown = _run(n, verbose)
            n_shown += shown
        ratios.append(pair[2] / pair[0])
        most = max(most, pair[2])
    about = f"{n * n:,} points, {most:.2f} s at most, drawn {n_shown} times in {len(ratios)} pairs"
    return {"a bar": Figure(statistics.median(ratios), about)}


def _run(n: int, verbose: int) -> tuple[float, int]:
    """Seconds of CPU time of a run in this process, and how often its bar was drawn."""
    import swarmgrid

    axes = {"a": np.linspace(0.0, 1.0, n), "b": np.linspace(0.0, 1.0, n)}
    terminal = Terminal()
    with scratch() as folder, contextlib.redirect_stderr(terminal):
        settle()
        begun = time.process_time()
        swarmgrid.stream(
            axes=axes, func=busy, store=folder / "store", executor="sync", verbose=verbose
        )
        spent = time.process_time() - begun
    return spent, terminal.getvalue().count("%|")
