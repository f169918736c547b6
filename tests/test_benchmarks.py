"""The benchmark runs, everything that it compares gives the same numbers, and it never rots."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cases import BARE, CASES, COLD, EXTEND, OWN, TENTH, WARM, ZARR
from benchmarks.contenders import contenders
from benchmarks.measure import Record
from benchmarks.run import room_missing

ROOT = Path(__file__).parents[1]
FLOORS = {BARE, ZARR, "zarr by hand"}


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a quick run writes. Speed is not asserted: other tests run beside it."""
    file = tmp_path_factory.mktemp("benchmark") / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", str(file)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def test_every_case_runs_with_swarmgrid_and_a_floor(quick: dict[str, Any]) -> None:
    assert {case["name"] for case in quick["cases"]} == set(CASES)
    for case in quick["cases"]:
        names = {contender["name"] for contender in case["contenders"]}
        has_own_floor = CASES[case["name"]].only == (OWN,)
        assert names == {OWN} if has_own_floor else {OWN, BARE} <= names <= {OWN, *FLOORS}


def test_all_give_the_same_numbers(quick: dict[str, Any]) -> None:
    assert all(c["agrees"] for case in quick["cases"] for c in case["contenders"])


def test_every_phase_of_swarmgrid_is_measured_against_a_floor(quick: dict[str, Any]) -> None:
    for case in quick["cases"]:
        own = next(c for c in case["contenders"] if c["name"] == OWN)
        assert set(own["phases"]) == set(CASES[case["name"]].phases)
        if CASES[case["name"]].is_timed:  # to the sleeps themselves
            assert own["ratio_to_work"] > 0.99
        if BARE not in {c["name"] for c in case["contenders"]}:
            continue
        for phase in {COLD, WARM, EXTEND} & set(own["phases"]):
            ratios = own["phases"][phase]["ratios"]
            assert BARE in ratios
            assert all(math.isfinite(ratio) and ratio > 0 for ratio in ratios.values())


def test_swarmgrid_calls_the_function_once_per_point(quick: dict[str, Any]) -> None:
    case = next(case for case in quick["cases"] if case["name"] == "trivial")
    own = next(c for c in case["contenders"] if c["name"] == OWN)
    work = CASES["trivial"].work(case["n_points"])
    added = (work.extended["a"].size - work.axes["a"].size) * work.axes["b"].size
    calls = {phase: found["calls"] for phase, found in own["phases"].items()}
    assert (calls[COLD], calls[WARM], calls[EXTEND]) == (work.n_points, 0, added)


def test_a_ratio_compares_measurements_of_one_round() -> None:
    floor = Record("case", BARE, 1, {COLD: [1.0, 10.0, 1.0]})
    own = Record("case", OWN, 1, {COLD: [2.0, 20.0]})  # given up after two rounds
    assert own.ratio(COLD, floor) == 2.0
    assert own.ratio(WARM, floor) is None
    assert own.ratio(COLD, None) is None
    assert own.ratio_to_work() is None
    own = Record("case", OWN, 1, {COLD: [2.0, 3.0], TENTH: [1.5, 1.0]}, shares=[1.0, 2.0])
    assert own.ratio_to_work() == 1.75
    assert own.seconds_beyond(COLD, TENTH) == 1.25
    assert own.seconds_beyond(EXTEND, TENTH) is None


def test_a_case_that_has_no_room_is_left_out_with_the_reason() -> None:
    assert room_missing(CASES["vectorized"], 1000) is None
    assert "memory" in (room_missing(CASES["vectorized"], 10**14) or "")


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_wrong_number_is_noticed(case: Any) -> None:
    work = case.work(case.n_quick)
    values = work.expected(work.axes).copy()
    assert work.agrees(work.axes, values)
    values[(-1,) * values.ndim] -= 1e-3
    assert not work.agrees(work.axes, values)
    assert not work.agrees(work.extended, values)


def test_peers_are_imported_only_when_they_run() -> None:
    packages = {c.package for c in contenders().values() if c.package}
    code = (
        "import sys; from benchmarks.contenders import contenders; contenders();"
        "print(*(m for m in sys.argv[1:] if m in sys.modules))"
    )
    modules = [package.replace("-", "_") for package in packages]
    done = subprocess.run(
        [sys.executable, "-c", code, *modules, "swarmgrid", "zarr"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
