"""Records as text tables, which are Markdown too, and as JSON."""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.cases import BARE, COLD, EXTEND, OPEN, WARM, ZARR
from benchmarks.contenders import package_version
from benchmarks.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.measure import Record
    from benchmarks.studies import Figure
    from benchmarks.targets import Findings

PACKAGES = (
    *("swarmgrid-zarr", "numpy", "zarr", "numcodecs", "xarray", "dask"),
    *("joblib", "xyzpy", "pipefunc", "chunk-memo", "xsweep"),
)


def machine() -> dict[str, Any]:
    """What the figures depend on, without what only this machine has."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cores": cores,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "load": round(os.getloadavg()[0], 1),
    }


def versions() -> dict[str, str]:
    """The versions of what takes part."""
    return {name: package_version(name) or "not installed" for name in PACKAGES}


def to_json(findings: Findings, titles: dict[str, str]) -> dict[str, Any]:
    """Everything, as JSON has it."""
    return {
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
        "machine": machine(),
        "versions": versions(),
        "cases": [
            {
                "name": next(iter(records.values())).case,
                "title": titles[next(iter(records.values())).case],
                "n_points": next(iter(records.values())).n_points,
                "contenders": [_to_dict(record, records) for record in records.values()],
            }
            for records in findings.records
        ],
        "figures": {
            name: {"value": f.value, "about": f.about, "agrees": f.agrees}
            for name, f in findings.figures.items()
        },
        "targets": [
            {
                "title": target.title,
                "at_most": target.at_most,
                "unit": target.unit,
                "measured": found.value if found else None,
                "about": found.about if found else None,
                "is_met": target.is_met(findings),
            }
            for target in TARGETS
            for found in (target.find(findings),)
        ],
    }


def _to_dict(record: Record, records: dict[str, Record]) -> dict[str, Any]:
    phases = {
        phase: {
            "seconds": record.median(phase),
            "least": min(seconds),
            "most": max(seconds),
            "rounds": len(seconds),
            "ratios": {
                floor: ratio
                for floor in (BARE, ZARR)
                if (ratio := record.ratio(phase, records.get(floor))) is not None
            },
            "calls": record.calls.get(phase),
            "parent_nbytes": record.parent_nbytes.get(phase),
            "workers_nbytes": record.workers_nbytes.get(phase),
        }
        for phase, seconds in record.seconds.items()
    }
    return {
        "name": record.contender,
        "agrees": record.agrees,
        "ratio_to_work": record.ratio_to_work(),
        "nbytes": record.nbytes,
        "files": record.files,
        "phases": phases,
    }


def tables(records: dict[str, Record]) -> Iterable[str]:
    """The table of times, and the one of calls, disk and memory."""
    rows = list(records.values())
    yield _table(_TIMES, [_times(record, records) for record in rows])
    if any(record.calls for record in rows):
        yield _table(_COSTS, [_costs(record) for record in rows])


def figures_table(figures: dict[str, Figure]) -> str:
    """The table of a study."""
    rows = [
        [name, f"{figure.value:.3g}", "yes" if figure.agrees else "NO", figure.about]
        for name, figure in figures.items()
    ]
    return _table(("figure", "value", "same numbers", "from"), rows, is_ragged=True)


def targets_table(findings: Findings) -> str:
    """Each target, what was measured, and whether it is met."""
    verdicts = {True: "yes", False: "NO", None: "-"}
    rows = []
    for target in TARGETS:
        limit = f"{target.at_most:g} {target.unit}"
        found = target.find(findings)
        value, about = (f"{found.value:.3g}", found.about) if found else ("-", "not measured")
        rows.append([target.title, limit, value, verdicts[target.is_met(findings)], about])
    return _table(("case", "at most", "measured", "met", "from"), rows, is_ragged=True)


_TIMES = (
    *("way", "cold s", "x bare", "x work", "returns s", "warm s", "x bare", "x zarr"),
    *("+10 % s", "x bare", "same numbers"),
)
_COSTS = ("way", "calls cold / warm / +10 %", "bytes", "files", "MB cold", "MB warm")


def _times(record: Record, records: dict[str, Record]) -> list[str]:
    bare, zarr = records.get(BARE), records.get(ZARR)
    return [
        record.contender,
        _seconds(record.median(COLD)),
        _ratio(record.ratio(COLD, bare)),
        _ratio(record.ratio_to_work()),
        _seconds(record.median(OPEN)),
        _seconds(record.median(WARM)),
        _ratio(record.ratio(WARM, bare)),
        _ratio(record.ratio(WARM, zarr)),
        _seconds(record.median(EXTEND)),
        _ratio(record.ratio(EXTEND, bare)),
        "yes" if record.agrees else "NO",
    ]


def _costs(record: Record) -> list[str]:
    calls = " / ".join(
        f"{record.calls[phase]:,}" if phase in record.calls else "-"
        for phase in (COLD, WARM, EXTEND)
    )
    has_disk = COLD in record.seconds
    return [
        record.contender,
        calls,
        f"{record.nbytes:,}" if has_disk else "-",
        f"{record.files:,}" if has_disk else "-",
        _memory(record, COLD),
        _memory(record, WARM),
    ]


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}" if value < 1 else f"{value:.2f}"


def _ratio(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 10 else f"{value:.3g}"


def _memory(record: Record, phase: str) -> str:
    """Peak of the parent, and of its children together."""
    if phase not in record.parent_nbytes:
        return "-"
    parent, workers = record.parent_nbytes[phase], record.workers_nbytes[phase]
    return f"{parent / 1e6:.0f} + {workers / 1e6:.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, is_ragged: bool = False) -> str:
    """Columns of one width each, but the last where it is prose."""
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    if is_ragged:
        widths[-1], rule[-1] = len(head[-1]), "-" * len(head[-1])
    return "\n".join(_line(line, widths) for line in (head, rule, *rows))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    texts = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
    return f"| {' | '.join(texts)} |"
