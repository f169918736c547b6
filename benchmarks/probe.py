"""Counts calls and samples memory, in processes of their own so that no clock sees it.

``python -m benchmarks.probe CASE POINTS CONTENDER PHASE FOLDER`` runs one phase once.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.cases import CASES, COLD, EXTEND, WARM
from benchmarks.contenders import contenders
from benchmarks.measure import PATIENCE_SECONDS, scratch
from benchmarks.points import CALLS

if TYPE_CHECKING:
    from benchmarks.cases import Case
    from benchmarks.contenders import Contender
    from benchmarks.measure import Record

SAMPLE_SECONDS = 0.01


def probe(case: Case, contender: Contender, n_points: int, record: Record) -> None:
    """Add what each phase calls and takes to a record.

    Every phase is a process that begins anew: what was kept only in memory is computed again.
    """
    requested = contender.phases(case.name) & set(case.phases)
    if (record.median(COLD) or 0.0) > PATIENCE_SECONDS:
        requested -= {EXTEND}
    with scratch() as folder:
        for phase in (COLD, WARM, EXTEND):
            if phase in requested or phase == COLD:
                found = _sampled(case, contender, n_points, phase, folder)
                if phase in requested:
                    record.calls[phase], record.parent_nbytes[phase], workers = found
                    record.workers_nbytes[phase] = workers


def _sampled(
    case: Case, contender: Contender, n_points: int, phase: str, folder: Path
) -> tuple[int, int, int]:
    """The calls of a phase, and the peak bytes of its process and of all its children."""
    store, calls = folder / "store", folder / f"calls-{phase}"
    store.mkdir(exist_ok=True)
    calls.touch()
    command = [sys.executable, "-m", "benchmarks.probe"]
    command += [case.name, str(n_points), contender.name, phase, str(store)]
    root = Path(__file__).parents[1]
    process = subprocess.Popen(command, cwd=root, env={**os.environ, CALLS: str(calls)})
    watched = psutil.Process(process.pid)
    parent = workers = 0
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            parent = max(parent, watched.memory_info().rss)
            children = watched.children(recursive=True)
            workers = max(workers, sum(_share(child) for child in children))
        time.sleep(SAMPLE_SECONDS)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return calls.stat().st_size, parent, workers


def _share(process: psutil.Process) -> int:
    """A process' memory, the pages that it shares (as forked ones do) divided by the sharers."""
    try:
        found = process.memory_full_info()
    except psutil.Error:  # it has ended
        return 0
    return int(getattr(found, "pss", found.uss))


def main() -> None:
    """Run one phase."""
    case, n_points, contender, phase, folder = sys.argv[1:]
    work = CASES[case].work(int(n_points), counted=True)
    axes = work.extended if phase == EXTEND else work.axes
    read = contenders()[contender].run(work, axes, Path(folder))
    if phase == WARM:
        read()


if __name__ == "__main__":
    main()
