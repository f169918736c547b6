"""The benchmark runs, everything that it compares gives the same numbers, and it never rots."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cases import BARE, CASES, COLD, EXTEND, OPEN, OWN, TENTH, WARM, ZARR
from benchmarks.contenders import contenders
from benchmarks.measure import Record
from benchmarks.run import room_missing
from benchmarks.studies import STUDIES, Figure
from benchmarks.studies.late_store import LateStore, Request, chain, requests_in
from benchmarks.targets import NEEDED, TARGETS, Findings
from tests.long import first
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[1]
FLOORS = {BARE, ZARR, "zarr by hand"}
DISK_CASES = ("trivial", "arrays", "chunks")
FORMS = ("stored", "none", "lz4", "zstd 9")
STORES = ("directory", "memory", "SQLite", "SQLite, NORMAL", "LMDB", "Redis")
TIERS = ("memory", "memory, decoded", "disk")
TIER_FORMS = [f"{tier}, {name}" for tier in ("memory", "disk") for name in FORMS]
FIGURES = {
    *("report bytes", "report drawn", "live first bytes", "live bytes a second", "live cpu"),
    *("import", "ls", "first point", "manifest seconds", "manifest memory", "a small file"),
    *(f"{what}, {case}" for what in ("bytes", "files") for case in DISK_CASES),
    *("requests in a row", "seconds a far chunk", "requests a far chunk", "far reading"),
    *("a bar", "cluster", "short axis"),
    *(
        f"{what}, {place}"
        for what in ("an event", "requests of a watcher")
        for place in ("woken", "polled", "Redis", "S3")
    ),
    *(
        "usual codec",
        "no codec",
        "zstd, level 7",
        "codec='auto'",
        "encrypted",
        "encrypted, no codec",
    ),
    *("snapshot seconds", "snapshot bytes", "snapshot opened"),
    *(f"tiers, {form}{what}" for form in TIERS for what in ("", ", requests")),
    *(f"tiers, {form}, {n}" for form in (*TIER_FORMS, TIERS[1]) for n in (1_000, 100_000)),
    *("exact search", "exact search ratio", "index query", "index query, one", "index recall"),
    "index update",
    *(f"{kind}, {size} kB" for kind in STORES for size in (4, 300)),
}
"""What the studies find."""


EVERYTHING = pytest.param((), marks=[pytest.mark.long, pytest.mark.timeout(1200)], id="all")


@pytest.fixture(
    scope="module",
    params=first(0, [pytest.param(("--only", "trivial"), id="trivial"), EVERYTHING]),
)
def arguments(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """What a quick run is about: everything where one waits for it."""
    return request.param


@pytest.fixture(scope="module")
def quick(arguments: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a quick run writes. Speed is not asserted: other tests run beside it."""
    file = tmp_path_factory.mktemp("benchmark") / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", str(file), *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=5 * PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def test_every_case_runs_with_swarmgrid_and_a_floor(
    quick: dict[str, Any], arguments: tuple[str, ...]
) -> None:
    assert {case["name"] for case in quick["cases"]} == set(arguments[1:] or CASES)
    for case in quick["cases"]:
        names = {contender["name"] for contender in case["contenders"]}
        has_own_floor = CASES[case["name"]].only == (OWN,)
        assert names == {OWN} if has_own_floor else {OWN, BARE} <= names <= {OWN, *FLOORS}


def test_all_give_the_same_numbers(quick: dict[str, Any]) -> None:
    assert all(c["agrees"] for case in quick["cases"] for c in case["contenders"])
    assert all(figure["agrees"] for figure in quick["figures"].values())


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


def linear(names: dict[str, tuple[str, ...]], slope: float = 1e-6) -> Findings:
    """A full run in which every point costs ``slope`` and a phase is no dearer than another."""
    findings = Findings(figures={name: Figure(0.0, "") for name in FIGURES})
    for case, contending in names.items():
        for n in dict.fromkeys([*CASES[case].sizes, CASES[case].n_points]):
            seconds = {phase: [n * slope] for phase in (COLD, OPEN, WARM, EXTEND, TENTH)}
            record = {"seconds": seconds, "shares": [n * slope], "parent_nbytes": {COLD: 10**8}}
            findings.records.append({c: Record(case, c, n, **record) for c in contending})
    return findings


def test_a_full_run_measures_every_target() -> None:
    everyone = dict.fromkeys(CASES, tuple(contenders()))
    found = {target.title: target.find(linear(everyone)) for target in TARGETS}
    assert len(found) == len(TARGETS)
    assert None not in found.values()
    assert {found[t.title].value for t in TARGETS if t.unit.startswith("x ")} == {0.0, 1.0}
    assert found["cold, 100,000 chunks of 3 points"].value == pytest.approx(3.0)


def test_without_the_peers_all_but_their_two_targets_are_measured() -> None:
    findings = linear(NEEDED)
    missing = [target.unit for target in TARGETS if target.find(findings) is None]
    assert missing == ["x fastest peer", "x fastest cache on disk"]


def test_a_target_is_met_or_not_only_where_its_own_size_was_measured() -> None:
    target = next(target for target in TARGETS if target.unit == "µs a chunk")
    findings = linear(NEEDED)
    assert target.is_met(findings) is True
    assert target.is_met(linear(NEEDED, slope=1e-3)) is False
    findings.is_full = False
    assert target.is_met(findings) is None
    assert target.is_met(Findings()) is None


def test_cost_that_grows_faster_than_the_points_is_noticed() -> None:
    findings = linear(NEEDED)
    (largest,) = (r for r in findings.of("growth") if r[OWN].n_points == 10_000_000)
    largest[OWN].seconds[COLD] = [20.0]
    target = next(target for target in TARGETS if target.title == "growth with points, cold")
    found = target.find(findings)
    assert found is not None
    assert found.value == pytest.approx(2.0)
    assert found.about.startswith("from 1,000,000 to 10,000,000")


@pytest.mark.parametrize("arguments", [EVERYTHING], indirect=True)
def test_the_studies_find_what_the_targets_ask_for(quick: dict[str, Any]) -> None:
    assert set(quick["figures"]) == FIGURES
    assert {target["title"] for target in quick["targets"]} == {t.title for t in TARGETS}
    assert {target["is_met"] for target in quick["targets"]} == {None}  # too small to say
    assert quick["figures"]["requests in a row"]["value"] <= 6
    assert quick["figures"]["requests a far chunk"]["value"] < 2


@pytest.mark.long
def test_every_study_can_be_asked_for_alone(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "disk"]
    subprocess.run([*command, "--json", str(file)], cwd=ROOT, check=True, capture_output=True)
    found = json.loads(file.read_text())
    assert found["cases"] == []
    assert {name.partition(", ")[2] for name in found["figures"]} == {"", *DISK_CASES}
    assert "disk" in STUDIES


def test_a_chain_of_requests_is_the_longest_of_those_that_do_not_overlap() -> None:
    spans = [(0.0, 1.0), (0.1, 1.1), (1.0, 2.0), (1.5, 9.0), (2.5, 3.0)]
    requests = [Request(begun, ended, "get", str(begun)) for begun, ended in spans]
    assert [request.key for request in chain(requests)] == ["0.0", "1.0", "2.5"]


def test_the_late_store_notes_requests_and_passes_on_exclusive_creation(tmp_path: Path) -> None:
    from zarr.storage import LocalStore

    from swarmgrid.store.blobs import ZarrBlobs

    log = tmp_path / "log"
    blobs = ZarrBlobs(LateStore(LocalStore(tmp_path / "store"), 0.002, str(log)))
    assert blobs.is_create_atomic
    assert blobs.create("a/b", b"1")
    assert not blobs.create("a/b", b"2")
    assert blobs.names("a/") == ["b"]
    blobs.delete("a/b")
    assert blobs.get("a/b") is None
    requests = requests_in(log)
    kinds = [request.kind for request in requests]
    assert kinds == ["create", "get", "create", "get", "list", "delete", "get"]
    assert all(request.ended - request.begun >= 0.002 for request in requests)
    assert chain(requests) == requests


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
