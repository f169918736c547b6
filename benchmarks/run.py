"""One case, from timing to counting, in a process that no other case has been in.

A process that has read large arrays and imported many libraries takes longer to fork, which some
contenders do and others do not.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cases import CASES
from benchmarks.contenders import BARE, OWN, ZARR, contenders
from benchmarks.measure import scratch, timed
from benchmarks.probe import probe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.cases import Case
    from benchmarks.contenders import Contender
    from benchmarks.measure import Record


def sizes(case: Case, n_points: int | None, *, is_quick: bool) -> list[int]:
    """How many points a case is measured with."""
    largest = n_points or (case.n_quick if is_quick else case.n_points)
    smaller = [n for n in case.sizes if n < largest]
    return [*(smaller[:1] if is_quick else smaller), largest]


def measured(
    case: Case, chosen: Sequence[Contender], n_points: int, rounds: int, *, is_quick: bool
) -> dict[str, Record]:
    """The records of a case of one size, by contender."""
    names = [c.name for c in chosen if not case.sizes or c.name in {BARE, ZARR, OWN}]
    if is_quick:
        return _measured(case.name, names, n_points, rounds, has_probes=case.name == "trivial")
    with scratch() as folder:
        # Not by multiprocessing: what that spawns has another default start method.
        file = folder / "records"
        file.write_bytes(pickle.dumps((case.name, names, n_points, rounds)))
        command = [sys.executable, "-m", "benchmarks.run", str(file)]
        subprocess.run(command, cwd=Path(__file__).parents[1], check=True)
        records: dict[str, Record] = pickle.loads(file.read_bytes())
    return records


def _measured(
    case_name: str, names: list[str], n_points: int, rounds: int, *, has_probes: bool
) -> dict[str, Record]:
    case, by_name = CASES[case_name], contenders()
    records = timed(case, [by_name[name] for name in names], n_points, rounds)
    for name, record in records.items():
        if has_probes:
            probe(case, by_name[name], n_points, record)
    return records


def main() -> None:
    """Measure what the file named on the command line asks for, and write the records there."""
    file = Path(sys.argv[1])
    file.write_bytes(pickle.dumps(_measured(*pickle.loads(file.read_bytes()), has_probes=True)))


if __name__ == "__main__":
    main()
