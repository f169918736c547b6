"""The tests mirror the package, so that the test of a module is easy to find."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import swarmgrid
from tests.waiting import PATIENCE

TESTS = Path(__file__).parent
PACKAGE = Path(swarmgrid.__file__).parent
ROOMS = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
OF_A_ROOM = {
    "following/test_interleavings.py",
    "memo/test_costs.py",
    "memo/test_damage.py",
    "memoized/test_code_key.py",
    "memoized/test_dataset.py",
    "memoized/test_names.py",
    "memoized/test_programs.py",
    "stores/test_bad_days.py",
    "stores/test_mistakes.py",
    "stores/test_tiered_suite.py",
    "stores/test_zarr_suite.py",
}
"""Tests of a whole room: of what its one public name does."""


def test_a_test_in_a_room_is_named_after_a_module_of_it() -> None:
    files = [path for room in ROOMS for path in (TESTS / room).glob("test_*.py")]
    assert len(files) > 40
    strange = {
        f"{path.parent.name}/{path.name}"
        for path in files
        if not (PACKAGE / path.parent.name / path.name.removeprefix("test_")).exists()
    }
    assert strange == OF_A_ROOM


def test_no_other_tests_lie_beside_the_rooms() -> None:
    """But scenarios, the tests of the repository, and those of what the tests use themselves."""
    folders = {path.parent.name for path in TESTS.glob("*/test_*.py")}
    assert folders - ROOMS == {"foreign", "golden", "scenarios", "servers", "site"}
    assert ROOMS - folders == set()


def test_the_workflow_runs_every_step_of_ci() -> None:
    root = Path(__file__).parents[1]
    script = (root / ".ci/run").read_text()
    workflow = (root / ".github/workflows/ci.yml").read_text()
    (steps,) = re.findall(r"^STEPS=\((.*)\)$", script, re.MULTILINE)
    (matrix,) = re.findall(r"step: \[(.*)\]", workflow)
    assert matrix.split(", ") == steps.split()
    assert set(steps.split()) == set(re.findall(r"^step_(\w+)\(\)", script, re.MULTILINE))


REPORT = """
<testsuites><testsuite><testcase classname="tests.test_it" name="test_good" time="1"/>
<testcase classname="tests.test_it" name="test_bad[1]" time="1"><failure message="cut">
process = 3

>   assert process.returncode == 0, err
E   AssertionError: Traceback
E   swarmgrid.LeaseLostError: another process

tests/test_it.py:96: AssertionError</failure></testcase></testsuite></testsuites>
"""


def test_ci_says_at_its_end_what_failed_and_why(tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_text("a long output")
    (tmp_path / "1.xml").write_text(REPORT)
    (tmp_path / "2.txt").write_text("one\n" * 100 + "no such file\n")
    failed = ["the suite", tmp_path / "1.txt", tmp_path / "1.xml"]
    failed += ["a command", tmp_path / "2.txt", tmp_path / "2.xml"]
    script = Path(__file__).parents[1] / ".ci/failures"
    done = subprocess.run(
        [sys.executable, str(script), *map(str, failed)],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    first, second = done.stdout.split("== failed: a command\n")
    assert first.splitlines() == [
        "",
        "== failed: the suite",
        "tests.test_it::test_bad[1]",
        "    E   AssertionError: Traceback",
        "    E   swarmgrid.LeaseLostError: another process",
        "    tests/test_it.py:96: AssertionError",
        "",
    ]
    assert second.splitlines() == ["one"] * 24 + ["no such file"]
