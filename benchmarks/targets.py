"""What swarmgrid means to cost: each line a case, the most it may take, and how that is found."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.cases import BARE, CASES, COLD, EXTEND, OPEN, OWN, TENTH, WARM, ZARR
from benchmarks.contenders import contenders

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Record
    from benchmarks.studies import Figure

NEEDED: dict[str, tuple[str, ...]] = {
    "trivial": (BARE, ZARR, OWN),
    "arrays": (BARE, OWN),
    "1ms": (BARE, OWN),
    "1ms-one-chunk": (OWN,),
    "10ms": (BARE, OWN),
    "10ms-one-chunk": (OWN,),
    "1s": (BARE, OWN),
    "1s-one-chunk": (OWN,),
    "mixed": (BARE, OWN),
    "vectorized": (ZARR, OWN),
    "growth": (BARE, OWN),
    "chunks": (BARE, OWN),
}
"""The cases that targets are about, and the contenders that these look at, but the peers."""


@dataclass(slots=True)
class Findings:
    """All that a run has measured so far."""

    records: list[dict[str, Record]] = field(default_factory=list)
    """By contender; one entry for each size of each case."""
    figures: dict[str, Figure] = field(default_factory=dict)
    is_full: bool = True
    """Whether the sizes are those that the targets are about."""

    def of(self, case: str) -> list[dict[str, Record]]:
        """The records of a case, from its smallest size on."""
        return [found for found in self.records if next(iter(found.values())).case == case]

    @property
    def agree(self) -> bool:
        """Whether everything gave the right numbers."""
        records = (record for found in self.records for record in found.values())
        return all(r.agrees for r in records) and all(f.agrees for f in self.figures.values())


@dataclass(frozen=True, slots=True)
class Measured:
    """What a line of the table says."""

    value: float
    about: str


@dataclass(frozen=True, slots=True)
class Target:
    """One line."""

    title: str
    at_most: float
    unit: str
    """What the limit and the measured value are in: "s", "x bare pool"."""
    find: Callable[[Findings], Measured | None]
    """The measured value; None where the run did not measure it."""

    def is_met(self, findings: Findings) -> bool | None:
        """Whether it is; None where that was not measured, or only in small."""
        found = self.find(findings)
        return None if found is None or not findings.is_full else found.value <= self.at_most


def _ratio(case: str, phase: str, floor: str) -> Callable[[Findings], Measured | None]:
    """Swarmgrid's phase over the floor's, both of the largest size."""

    def find(findings: Findings) -> Measured | None:
        records = _largest(findings, case, OWN, floor)
        return _beside(records[OWN], records[floor], phase) if records else None

    return find


def _fastest(
    case: str, phase: str, *, caches_only: bool = False
) -> Callable[[Findings], Measured | None]:
    """The same with the peer that is the hardest to beat."""

    def find(findings: Findings) -> Measured | None:
        records = _largest(findings, case, OWN)
        peers = [c for c in contenders().values() if c.package]
        found = [
            (measured, peer.name)
            for peer in peers
            if peer.name in records and (peer.is_cache or not caches_only)
            if (measured := _beside(records[OWN], records[peer.name], phase))
        ]
        if not found:
            return None
        measured, name = max(found, key=lambda entry: entry[0].value)
        return Measured(measured.value, f"{measured.about}, {name}")

    return find


def _beside(own: Record, other: Record, phase: str) -> Measured | None:
    ratio, seconds, least = own.ratio(phase, other), own.median(phase), other.median(phase)
    if ratio is None or seconds is None or least is None:
        return None
    return Measured(ratio, f"{seconds:.3g} s beside {least:.3g} s")


def _seconds(case: str, phase: str) -> Callable[[Findings], Measured | None]:
    def find(findings: Findings) -> Measured | None:
        records = _largest(findings, case, OWN)
        seconds = records[OWN].median(phase) if records else None
        return None if seconds is None else Measured(seconds, _rounds(records[OWN], phase))

    return find


def _beyond(case: str, phase: str, floor: str) -> Callable[[Findings], Measured | None]:
    """What a phase takes longer than another one."""

    def find(findings: Findings) -> Measured | None:
        records = _largest(findings, case, OWN)
        more = records[OWN].seconds_beyond(phase, floor) if records else None
        if more is None:
            return None
        seconds, least = records[OWN].median(phase), records[OWN].median(floor)
        return Measured(more, f"{seconds:.3g} s beside {least:.3g} s")

    return find


def _to_work(case: str) -> Callable[[Findings], Measured | None]:
    """The time over what the points took, by worker; the pool's for comparison."""

    def find(findings: Findings) -> Measured | None:
        records = _largest(findings, case, OWN)
        ratio = records[OWN].ratio_to_work() if records else None
        if ratio is None:
            return None
        about = f"{records[OWN].median(COLD):.2f} s, {_rounds(records[OWN], COLD)}"
        pool = records[BARE].ratio_to_work() if BARE in records else None
        return Measured(ratio, about if pool is None else f"{about}; bare pool {pool:.3f}")

    return find


def _per_chunk(case: str) -> Callable[[Findings], Measured | None]:
    def find(findings: Findings) -> Measured | None:
        records = _largest(findings, case, OWN)
        seconds = records[OWN].median(COLD) if records else None
        if seconds is None:
            return None
        work = CASES[case].work(records[OWN].n_points)
        n = work.axes["a"].size / work.chunks["a"]
        about = f"{seconds:.3g} s for {n:,.0f} chunks"
        file = findings.figures.get("a small file")
        beside = f"; a bare file takes {file.value:.0f} µs" if file else ""
        return Measured(seconds / n * 1e6, about + beside)

    return find


def _growth(case: str, phase: str, least: int) -> Callable[[Findings], Measured | None]:
    """How much more a point costs than with a tenth of the points, where that is most.

    One where cost is linear; less where what every call pays still shows.
    """

    def find(findings: Findings) -> Measured | None:
        own = [found[OWN] for found in findings.of(case) if found[OWN].n_points >= least]
        costs = {r.n_points: r.median(phase) for r in own}
        per_point = {n: s / n for n, s in costs.items() if s is not None}
        pairs = [(n, m) for n, m in itertools.combinations(sorted(per_point), 2) if m == 10 * n]
        if not pairs:
            return None
        n, m = max(pairs, key=lambda pair: per_point[pair[1]] / per_point[pair[0]])
        about = ", ".join(f"{value * 1e6:.3g}" for _, value in sorted(per_point.items()))
        return Measured(per_point[m] / per_point[n], f"from {n:,} to {m:,}; µs a point: {about}")

    return find


def _memory(case: str, least: int, how: str) -> Callable[[Findings], Measured | None]:
    """The parent's peak with the most points, over that with the least, or beyond it in MB."""

    def find(findings: Findings) -> Measured | None:
        own = [found[OWN] for found in findings.of(case) if found[OWN].n_points >= least]
        peaks = [record.parent_nbytes[COLD] / 1e6 for record in own if record.parent_nbytes]
        if len(peaks) < 2:
            return None
        about = f"{peaks[0]:.0f} MB with {own[0].n_points:,} points, {peaks[-1]:.0f} with all"
        value = peaks[-1] - peaks[0] if how == "beyond" else peaks[-1] / peaks[0]
        return Measured(value, about)

    return find


def _figure(name: str) -> Callable[[Findings], Measured | None]:
    def find(findings: Findings) -> Measured | None:
        found = findings.figures.get(name)
        return Measured(found.value, found.about) if found else None

    return find


def _largest(findings: Findings, case: str, *names: str) -> dict[str, Record]:
    """The records of a case's largest size; none if one of these contenders has none."""
    found = findings.of(case)
    return found[-1] if found and all(name in found[-1] for name in names) else {}


def _rounds(record: Record, phase: str) -> str:
    n = len(record.seconds[phase])
    return f"{n} round{'s' * (n != 1)}"


TARGETS = (
    Target("cold, 100,000 trivial points", 1.5, "x bare pool", _ratio("trivial", COLD, BARE)),
    Target("cold, the same, and peers", 1.0, "x fastest peer", _fastest("trivial", COLD)),
    Target("warm, the same, all as numpy", 1.5, "x zarr", _ratio("trivial", WARM, ZARR)),
    Target(
        "warm, the same, and caches",
        0.1,
        "x fastest cache on disk",
        _fastest("trivial", WARM, caches_only=True),
    ),
    Target("warm compute, 100,000 points", 0.01, "s", _seconds("trivial", OPEN)),
    Target("warm compute, 1,000,000 chunks", 0.5, "s", _figure("manifest seconds")),
    Target("warm compute, the same, memory", 300.0, "MB", _figure("manifest memory")),
    Target("snapshot of 1,000,000 chunks", 0.5, "s", _figure("snapshot seconds")),
    Target("snapshot, the same, bytes", 25.0, "MB", _figure("snapshot bytes")),
    Target("opening at it", 1.2, "x opening as it is now", _figure("snapshot opened")),
    Target(
        "10 % more values on an axis", 0.02, "s beyond them", _beyond("trivial", EXTEND, TENTH)
    ),
    Target("cold, 10,000 arrays of 1,000", 1.3, "x bare pool", _ratio("arrays", COLD, BARE)),
    Target("cold, the same, memory", 5.0, "MB beyond a tenth", _memory("arrays", 0, "beyond")),
    Target("points of 1 ms", 1.05, "x work / workers", _to_work("1ms")),
    Target("points of 1 ms, one chunk", 1.05, "x work / workers", _to_work("1ms-one-chunk")),
    Target("points of 10 ms", 1.02, "x work / workers", _to_work("10ms")),
    Target("points of 10 ms, one chunk", 1.02, "x work / workers", _to_work("10ms-one-chunk")),
    Target("points of 1 s", 1.02, "x work / workers", _to_work("1s")),
    Target("points of 1 s, one chunk", 1.02, "x work / workers", _to_work("1s-one-chunk")),
    Target("points of 2 ms to 200 ms", 1.02, "x work / workers", _to_work("mixed")),
    Target("cold, 100,000 chunks of 3 points", 60.0, "µs a chunk", _per_chunk("chunks")),
    Target("vectorized, 100,000,000 points", 1.5, "x zarr", _ratio("vectorized", COLD, ZARR)),
    Target("vectorized, a short axis grows", 1.0, "x all anew", _figure("short axis")),
    Target("growth with points, cold", 1.1, "x a decade", _growth("growth", COLD, 10_000)),
    Target("growth with points, memory", 1.1, "x the least", _memory("growth", 10_000, "over")),
    Target("growth with chunks, cold", 1.1, "x a decade", _growth("chunks", COLD, 300)),
    Target("growth with chunks, memory", 1.1, "x the least", _memory("chunks", 300, "over")),
    Target("import swarmgrid", 0.1, "s", _figure("import")),
    Target("swarmgrid ls, 10,000 grids", 0.4, "s", _figure("ls")),
    Target("first point of a process", 1.2, "x imports", _figure("first point")),
    Target("bytes, 100,000 points", 1.05, "x zarr", _figure("bytes, trivial")),
    Target("bytes, 10,000 arrays", 1.05, "x zarr", _figure("bytes, arrays")),
    Target("bytes, 10,000 chunks of 3 points", 1.05, "x zarr", _figure("bytes, chunks")),
    Target("files beside data, 100,000 points", 1.0, "x allowed", _figure("files, trivial")),
    Target("files beside data, 10,000 arrays", 1.0, "x allowed", _figure("files, arrays")),
    Target("files beside data, 10,000 chunks", 1.0, "x allowed", _figure("files, chunks")),
    Target("far store, warm compute", 6.0, "requests in a row", _figure("requests in a row")),
    Target("far store, a chunk more, time", 1.1, "x one write", _figure("seconds a far chunk")),
    Target("far store, a chunk more, requests", 1.1, "requests", _figure("requests a far chunk")),
    Target("far store, reading 100 chunks", 0.25, "x one by one", _figure("far reading")),
    Target("1,000 chunks again, memory", 1.3, "x a local read", _figure("tiers, memory")),
    Target("1,000 chunks again, disk tier", 1.3, "x a local read", _figure("tiers, disk")),
    Target("the same, requests home", 0.0, "requests", _figure("tiers, disk, requests")),
    Target("1,000,000 points with a bar", 1.01, "x without", _figure("a bar")),
    Target("report of 100 grids, bytes", 2.0, "MB", _figure("report bytes")),
    Target("the same, drawn", 1.0, "s", _figure("report drawn")),
    Target("live page, first bytes", 300.0, "kB", _figure("live first bytes")),
    Target("live page, bytes a second", 5.0, "kB", _figure("live bytes a second")),
    Target("live page, processor", 3.0, "% of a core", _figure("live cpu")),
    Target("an event, woken, the latest of 999", 1.5, "s", _figure("an event, woken")),
    Target("an event, polled, the same", 1.5, "s", _figure("an event, polled")),
    Target("an event, on Redis", 1.5, "s", _figure("an event, Redis")),
    Target("an event, on S3", 1.5, "s", _figure("an event, S3")),
    Target("requests of a watcher at rest", 2.0, "a second", _figure("requests of a watcher, S3")),
    Target("exact search, 100,000 x 64", 3.0, "ms a query", _figure("exact search")),
    Target("index of 1,000,000 x 64", 0.5, "ms a query", _figure("index query")),
    Target("index, what it misses", 0.05, "of ten hits", _figure("index recall")),
    Target("index, what an update reads", 0.02, "of the chunks", _figure("index update")),
    Target("cluster of 50 workers, cold", 1.1, "x dask alone", _figure("cluster")),
)
"""In the order of the table."""
