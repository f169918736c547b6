"""No test can fail because the machine is slow: the rules that can be seen in its source."""

from __future__ import annotations

import ast
import functools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WAITING = {
    *("communicate", "wait", "join", "acquire", "result", "check_output", "check_call"),
    *("urlopen", "HTTPConnection", "Barrier", "NotebookClient"),
    *("subprocess.run", "asyncio.timeout"),
}
"""Calls that give up on another process or thread after a time."""
POLLING_SECONDS = 5.0
"""A time so short is one look of many."""
OWN_TIMES = {
    "tests/waiting.py": "has the patience",
    "tests/long.py": "has the checks of all properties",
    "tests/browser.py": "kills the browser then",
    "tests/observe/screen.py": "has the patience, and says what the screen shows",
}


def files_with(words: str) -> Iterator[Path]:
    """The files in which a pattern is found, but for those with times of their own."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if str(path.relative_to(ROOT)) not in OWN_TIMES and re.search(words, path.read_text()):
            yield path


@functools.cache
def parsed(path: Path) -> tuple[ast.AST, ...]:
    kinds = ast.Call | ast.Assert | ast.keyword
    nodes = ast.walk(ast.parse(path.read_text()))
    return tuple(node for node in nodes if isinstance(node, kinds))


def called(node: ast.Call) -> str:
    """The name of what is called, with that of its module where it could be another's."""
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return ast.unparse(node.func) if name in {"run", "timeout"} else name


def times_of_its_own(path: Path) -> Iterator[str]:
    """The waits of a file that are as long as it says itself."""
    for node in parsed(path):
        if not isinstance(node, ast.Call):
            continue
        name = called(node)
        times = [k.value for k in node.keywords if k.arg in {"timeout", "startup_timeout"}]
        if name in {"wait", "join", "communicate", "asyncio.timeout"}:
            times += node.args
        if name in WAITING and any(_is_long(time) for time in times):
            yield f"{path}:{node.lineno}: {ast.unparse(node)[:80]}"


def _is_long(time: ast.expr) -> bool:
    seconds = time.value if isinstance(time, ast.Constant) else None
    return isinstance(seconds, int | float) and seconds > POLLING_SECONDS


def test_tests_wait_as_long_as_the_patience_says() -> None:
    found = [
        line
        for path in files_with(r"timeout|(wait|join|communicate)\([1-9]")
        for line in times_of_its_own(path)
    ]
    assert found == [], "use tests.waiting.PATIENCE, or `wait_until`"


def test_no_test_asserts_that_something_was_fast() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files_with(r"monotonic|perf_counter")
        for node in parsed(path)
        if isinstance(node, ast.Assert)
        if isinstance(node.test, ast.Compare)
        and any(isinstance(op, ast.Lt | ast.LtE) for op in node.test.ops)
        and any(word in ast.unparse(node.test) for word in ("monotonic()", "perf_counter()"))
    ]
    assert found == [], "count something, or give the code a clock of the test's"


def test_properties_have_the_checks_of_their_profile() -> None:
    """One that names a health check or a deadline has none of the others."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files_with("suppress_health_check|deadline=")
        for node in parsed(path)
        if isinstance(node, ast.keyword) and node.arg in {"suppress_health_check", "deadline"}
        if ast.unparse(node.value) != "None"
    ]
    assert found == [], "tests/long.py has them for all"


def test_no_test_has_less_time_than_all_have() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files_with(r"mark\.timeout")
        for node in parsed(path)
        if isinstance(node, ast.Call) and called(node) == "pytest.mark.timeout"
        if isinstance(node.args[0], ast.Constant) and node.args[0].value <= options["timeout"]
    ]
    assert found == []


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("process.communicate(timeout=60)", True),
        ("subprocess.run(command, timeout=100)", True),
        ("thread.join(60)", True),
        ("subprocess.run(command, timeout=PATIENCE)", False),
        ("while not done.wait(0.1): pass", False),
        ("', '.join(names)", False),
        ("swarmgrid.run(axes=axes, timeout=60)", False),
    ],
)
def test_a_time_of_its_own_is_found(tmp_path: Path, line: str, is_found: bool) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(line)
    assert bool([*times_of_its_own(file)]) is is_found
