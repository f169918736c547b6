"""The command line: ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cases import BARE, CASES, OWN, ZARR
from benchmarks.chart import draw_growth
from benchmarks.contenders import contenders, package_version
from benchmarks.report import (
    figures_table,
    machine,
    tables,
    targets_table,
    to_json,
    versions,
)
from benchmarks.run import measured, room_missing, sizes, studied, taking_part
from benchmarks.studies import STUDIES
from benchmarks.targets import NEEDED, Findings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.cases import Case
    from benchmarks.contenders import Contender

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or every process compiles what it imports

FLOORS = {BARE, ZARR, OWN, "zarr by hand"}


@dataclass(frozen=True, slots=True)
class Part:
    """A case of one size, and who takes part in it."""

    case: Case
    n_points: int
    names: list[str]
    probed: list[str]


def main() -> int:
    """Run what was asked for, print it, and say whether all gave the same numbers."""
    options = _parser().parse_args()
    begun = time.monotonic()
    chosen = _present(options)
    rounds = 1 if options.quick else options.repeat
    print(_heading(chosen), flush=True)
    findings = Findings(is_full=not options.quick and options.points is None)
    failed: list[str] = []
    for part in _parts(options, chosen):
        print(f"\n## {part.case.name}, {part.n_points:,} points: {part.case.title}\n", flush=True)
        if reason := room_missing(part.case, part.n_points):
            print(reason, flush=True)
            continue
        records = measured(
            part.case,
            part.names,
            part.n_points,
            rounds,
            probed=part.probed,
            is_quick=options.quick,
        )
        print("\n\n".join(tables(records)), flush=True)
        findings.records.append(records)
    for name in [name for name in STUDIES if options.only in {None, name}]:
        print(f"\n## {name}: {STUDIES[name]}\n", flush=True)
        try:
            figures = studied(name, rounds, is_quick=options.quick)
        except subprocess.CalledProcessError:  # it has said why; the rest goes on
            failed.append(name)
            continue
        print(figures_table(figures), flush=True)
        findings.figures |= figures
    too_small = "" if findings.is_full else "These sweeps are too small to say what is met.\n\n"
    print(f"\n## targets\n\n{too_small}{targets_table(findings)}")
    if options.chart and findings.of("growth"):
        draw_growth(findings.of("growth"), findings.of("chunks"), options.chart)
    if options.json:
        titles = {case.name: case.title for case in CASES.values()}
        options.json.write_text(json.dumps(to_json(findings, titles), indent=1))
    print(f"\n{time.monotonic() - begun:.0f} s in all")
    if failed:
        print(f"ended with an error: {', '.join(failed)}")
    return int(not findings.agree or bool(failed))


def _parts(options: argparse.Namespace, chosen: Sequence[Contender]) -> Iterator[Part]:
    """Every case that was asked for, in every size."""
    for name, case in CASES.items():
        if options.only not in {None, name} or (options.targets and name not in NEEDED):
            continue
        for n_points in sizes(case, options.points, is_quick=options.quick):
            names = taking_part(case, chosen, n_points)
            probed = names if case.has_probes else []
            if options.targets:
                names = [n for n in names if n in NEEDED[name]]
                probed = [OWN] if case.has_probes and case.sizes else []
            if options.quick:
                probed = [OWN] if name == "trivial" else []
            yield Part(case, n_points, names, probed)


def _present(options: argparse.Namespace) -> list[Contender]:
    """The contenders that are installed; quick ones are the floors and swarmgrid."""
    return [
        contender
        for contender in contenders().values()
        if (not contender.package or package_version(contender.package))
        and (not (options.quick or options.targets) or contender.name in FLOORS)
    ]


def _heading(chosen: Sequence[Contender]) -> str:
    """The machine, the versions, and how each contender is set up."""
    present = {contender.name for contender in chosen}
    lines = [", ".join(f"{name} {value}" for name, value in machine().items())]
    lines.append(", ".join(f"{name} {value}" for name, value in versions().items()))
    lines.append("")
    for contender in contenders().values():
        is_left_out = contender.package is None or package_version(contender.package)
        reason = "left out" if is_left_out else "not installed"
        about = contender.about if contender.name in present else reason
        lines.append(f"- {contender.name}: {about}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures swarmgrid beside what a user would pick instead.",
    )
    names = [*CASES, *STUDIES]
    parser.add_argument(
        "--quick", action="store_true", help="small sweeps of the floors and swarmgrid, once"
    )
    parser.add_argument(
        "--targets", action="store_true", help="only what targets are about, without the peers"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the growth of cost there")
    parser.add_argument("--only", choices=names, metavar="CASE", help=", ".join(names))
    parser.add_argument("--points", type=int, metavar="N", help="points in each case")
    parser.add_argument(
        "--repeat", type=int, default=5, metavar="K", help="rounds to take medians of"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
