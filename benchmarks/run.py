"""One case or study, from timing to counting, in a process that no other has been in.

A process that has read large arrays and imported many libraries takes longer to fork, which some
contenders do and others do not.
"""

from __future__ import annotations

import functools
import pickle
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.cases import BARE, CASES, OWN, ZARR
from benchmarks.contenders import contenders
from benchmarks.measure import scratch, timed
from benchmarks.probe import probe
from benchmarks.studies import study

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from benchmarks.cases import Case
    from benchmarks.contenders import Contender
    from benchmarks.measure import Record
    from benchmarks.studies import Figure

MEMORY_FACTOR, DISK_FACTOR = 6, 3
"""What a case may take, in sizes of its result."""


def sizes(case: Case, n_points: int | None, *, is_quick: bool) -> list[int]:
    """How many points a case is measured with."""
    largest = n_points or (case.n_quick if is_quick else case.n_points)
    smaller = [n for n in case.sizes if n < largest]
    return [*(smaller[:1] if is_quick else smaller), largest]


def taking_part(case: Case, chosen: Sequence[Contender], n_points: int) -> list[str]:
    """The names of those that a case is for; smaller sizes are there to see growth alone."""
    only = case.only
    if n_points < max(case.sizes, default=0):
        only = only or (BARE, ZARR, OWN)
    return [c.name for c in chosen if not only or c.name in only]


def room_missing(case: Case, n_points: int) -> str | None:
    """What this machine lacks for a case; None where it has enough."""
    nbytes = case.nbytes(n_points)
    for what, factor, free in (
        ("memory", MEMORY_FACTOR, psutil.virtual_memory().available),
        ("disk", DISK_FACTOR, shutil.disk_usage(tempfile.gettempdir()).free),
    ):
        if factor * nbytes > free:
            needed, there = factor * nbytes / 1e9, free / 1e9
            return f"left out: it needs {needed:.1f} GB of {what}, and {there:.1f} GB are free"
    return None


def measured(
    case: Case,
    names: Sequence[str],
    n_points: int,
    rounds: int,
    *,
    probed: Collection[str],
    is_quick: bool,
) -> dict[str, Record]:
    """The records of a case of one size, by contender; those probed are counted and weighed."""
    task = functools.partial(_measured, case.name, names, n_points, rounds, probed)
    found: dict[str, Record] = task() if is_quick else _elsewhere(task)
    return found


def studied(name: str, rounds: int, *, is_quick: bool) -> dict[str, Figure]:
    """The figures of a study."""
    task = functools.partial(study, name, rounds, is_quick=is_quick)
    found: dict[str, Figure] = task() if is_quick else _elsewhere(task)
    return found


def _elsewhere(task: Callable[[], Any]) -> Any:
    with scratch() as folder:
        # Not by multiprocessing: what that spawns has another default start method.
        file = folder / "task"
        file.write_bytes(pickle.dumps(task))
        command = [sys.executable, "-m", "benchmarks.run", str(file)]
        subprocess.run(command, cwd=Path(__file__).parents[1], check=True)
        return pickle.loads(file.read_bytes())


def _measured(
    case_name: str, names: Sequence[str], n_points: int, rounds: int, probed: Collection[str]
) -> dict[str, Record]:
    case, by_name = CASES[case_name], contenders()
    records = timed(case, [by_name[name] for name in names], n_points, rounds)
    for name, record in records.items():
        if name in probed:
            probe(case, by_name[name], n_points, record)
    return records


def main() -> None:
    """Do what the file named on the command line asks for, and write what was found there."""
    file = Path(sys.argv[1])
    task = pickle.loads(file.read_bytes())
    file.write_bytes(pickle.dumps(task()))


if __name__ == "__main__":
    main()
