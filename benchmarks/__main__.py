"""The command line: ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cases import CASES
from benchmarks.chart import draw_growth
from benchmarks.contenders import BARE, OWN, ZARR, contenders, package_version
from benchmarks.report import machine, tables, to_json, versions
from benchmarks.run import measured, sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.contenders import Contender
    from benchmarks.measure import Record

FLOORS = {BARE, ZARR, OWN, "zarr by hand"}


def main() -> int:
    """Run what was asked for, print it, and say whether all gave the same numbers."""
    options = _parser().parse_args()
    begun = time.monotonic()
    chosen = _present(is_quick=options.quick)
    rounds = 1 if options.quick else options.repeat
    print(_heading(chosen), flush=True)
    results: list[dict[str, Record]] = []
    for case in [CASES[options.only]] if options.only else CASES.values():
        found = []
        for n_points in sizes(case, options.points, is_quick=options.quick):
            records = measured(case, chosen, n_points, rounds, is_quick=options.quick)
            n = next(iter(records.values())).n_points
            print(f"\n## {case.name}, {n:,} points: {case.title}\n")
            print("\n\n".join(tables(records)), flush=True)
            found.append(records)
        results += found
        if case.name == "growth" and options.chart:
            draw_growth(found, options.chart)
    if options.json:
        titles = {case.name: case.title for case in CASES.values()}
        options.json.write_text(json.dumps(to_json(results, titles), indent=1))
    print(f"\n{time.monotonic() - begun:.0f} s in all")
    return int(not all(record.agrees for records in results for record in records.values()))


def _present(*, is_quick: bool) -> list[Contender]:
    """The contenders that are installed; quick ones are the floors and swarmgrid."""
    return [
        contender
        for contender in contenders().values()
        if (not contender.package or package_version(contender.package))
        and (not is_quick or contender.name in FLOORS)
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
    parser.add_argument(
        "--quick", action="store_true", help="small sweeps of the floors and swarmgrid, once"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the growth of cost there")
    parser.add_argument("--only", choices=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--points", type=int, metavar="N", help="points in each case")
    parser.add_argument(
        "--repeat", type=int, default=5, metavar="K", help="rounds to take medians of"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
