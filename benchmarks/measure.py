"""Times the contenders of a case in turns, in this process, and sees what they left on disk."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cases import BARE, COLD, EXTEND, OPEN, TENTH, WARM, ZARR
from benchmarks.contenders import N_WORKERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from benchmarks.cases import Axes, Case, Work
    from benchmarks.contenders import Contender, Read

PATIENCE_SECONDS = 20.0
"""A contender that has taken so long in a case is not measured once more, nor extended."""


def settle() -> None:
    """Have nothing left over from the contender before: no garbage, nothing to flush."""
    gc.collect()
    if hasattr(os, "sync"):
        os.sync()  # some leave 100,000 files; writing them out would fall into the next one's time


@dataclass(slots=True)
class Record:
    """What is known of one contender in one case."""

    case: str
    contender: str
    n_points: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    """By phase, one entry per round."""
    shares: list[float] = field(default_factory=list)
    """Where points are timed: what they took in the cold phase, by worker; an entry per round."""
    agrees: bool = True
    """Whether every phase gave the right numbers."""
    nbytes: int = 0
    files: int = 0
    calls: dict[str, int] = field(default_factory=dict)
    parent_nbytes: dict[str, int] = field(default_factory=dict)
    workers_nbytes: dict[str, int] = field(default_factory=dict)

    def median(self, phase: str) -> float | None:
        """Seconds of a phase."""
        return statistics.median(self.seconds[phase]) if self.seconds.get(phase) else None

    def ratio(self, phase: str, floor: Record | None) -> float | None:
        """The median of the ratios to a floor, each of two measurements of one round."""
        if floor is None:
            return None
        pairs = zip(self.seconds.get(phase, ()), floor.seconds.get(phase, ()), strict=False)
        ratios = [own / other for own, other in pairs]
        return statistics.median(ratios) if ratios else None

    def ratio_to_work(self) -> float | None:
        """The same to the time that was spent in the points themselves."""
        pairs = zip(self.seconds.get(COLD, ()), self.shares, strict=False)
        ratios = [own / share for own, share in pairs]
        return statistics.median(ratios) if ratios else None

    def seconds_beyond(self, phase: str, floor: str) -> float | None:
        """The median of what a phase takes longer than another one in the same round."""
        pairs = zip(self.seconds.get(phase, ()), self.seconds.get(floor, ()), strict=False)
        found = [seconds - least for seconds, least in pairs]
        return statistics.median(found) if found else None


def timed(
    case: Case, contenders: Sequence[Contender], n_points: int, rounds: int
) -> dict[str, Record]:
    """The records of a case by contender; the floors are measured in every round.

    Every contender first runs a small sweep that is not measured, so that no one pays for imports
    or for servers that stay.
    """
    work = case.work(n_points)
    taking_part = [c for c in contenders if c.phases(case.name) & set(case.phases)]
    records = {c.name: Record(case.name, c.name, work.n_points) for c in taking_part}
    for contender in taking_part if n_points > case.n_quick else ():
        with scratch() as folder:
            small = case.work(case.n_quick)
            contender.run(small, small.axes, folder)()
    spent = dict.fromkeys(records, 0.0)
    for number in range(rounds):
        still = [c for c in taking_part if _is_floor(c) or spent[c.name] < PATIENCE_SECONDS]
        if all(map(_is_floor, still)):
            break  # nothing is left to compare
        for contender in still:
            begun = time.perf_counter()
            _round(case, work, contender, records[contender.name], is_first=number == 0)
            spent[contender.name] += time.perf_counter() - begun
    return records


def _is_floor(contender: Contender) -> bool:
    return contender.name in {BARE, ZARR}


def _round(
    case: Case, work: Work, contender: Contender, record: Record, *, is_first: bool
) -> None:
    """One life of a store: computed, read, extended."""
    requested = contender.phases(case.name) & set(case.phases)
    with scratch() as folder:
        for phase, seconds, axes, values in _life(work, contender, folder, requested):
            if phase in requested:
                record.seconds.setdefault(phase, []).append(seconds)
                if is_first and not work.agrees(axes, values()):
                    record.agrees = False
            if phase == COLD and is_first:
                record.nbytes, record.files = disk_usage(folder)
            if phase == COLD and work.is_timed:
                record.shares.append(float(values().sum()) / N_WORKERS)


def _life(
    work: Work, contender: Contender, folder: Path, requested: AbstractSet[str]
) -> Iterator[tuple[str, float, Axes, Read]]:
    """Each phase with its seconds, its axes and a callable that gives the values."""
    cold_seconds, read = _clocked(contender, work, work.axes, folder)
    yield COLD, cold_seconds, work.axes, read
    if requested & {OPEN, WARM}:
        yield from _warm(work, contender, folder)
    if EXTEND in requested and cold_seconds <= PATIENCE_SECONDS:  # some begin from nothing
        seconds, read = _clocked(contender, work, work.extended, folder)
        yield EXTEND, seconds, work.extended, read
    if TENTH in requested:
        with scratch() as other:
            seconds, read = _clocked(contender, work, work.tenth, other)
            yield TENTH, seconds, work.tenth, read


def _warm(
    work: Work, contender: Contender, folder: Path
) -> Iterator[tuple[str, float, Axes, Read]]:
    """The same call again, until it returns, and until all values are read."""
    settle()
    begun = time.perf_counter()
    read = contender.run(work, work.axes, folder)
    opened = time.perf_counter() - begun
    values = read()
    seconds = time.perf_counter() - begun
    yield OPEN, opened, work.axes, lambda: values
    yield WARM, seconds, work.axes, lambda: values


def _clocked(contender: Contender, work: Work, axes: Axes, folder: Path) -> tuple[float, Read]:
    """The seconds of a call, and what it returned."""
    settle()
    begun = time.perf_counter()
    read = contender.run(work, axes, folder)
    return time.perf_counter() - begun, read


def disk_usage(folder: Path) -> tuple[int, int]:
    """The bytes and the number of files in a folder."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(sizes), len(sizes)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder of one's own."""
    folder = Path(tempfile.mkdtemp(prefix="swarmgrid-benchmark-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
