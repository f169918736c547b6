"""What a test leaves behind is found."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

from tests import programs
from tests.leftovers import MARK, files_left, processes_left
from tests.waiting import is_alive, wait_until

SCRIPT = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "input()"], stdout=subprocess.DEVNULL).pid)
"""


def test_a_process_that_is_left_is_found_although_its_parent_has_ended() -> None:
    read, write = os.pipe()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        stdin=read,
        stdout=subprocess.PIPE,
        env={**os.environ, MARK: "left"},
        check=True,
        text=True,
    )
    found = [line.partition(":")[0] for line in processes_left("left", 0.0)]
    os.close(read)
    os.close(write)  # it ends with its input
    pid = done.stdout.strip()
    assert pid in found
    wait_until(lambda: pid not in [p.partition(":")[0] for p in processes_left("left", 0.0)])


def test_a_file_that_is_left_is_found(tmp_path: Path) -> None:
    assert files_left(tmp_path) == []
    (tmp_path / "left").touch()
    assert files_left(tmp_path) == [str(tmp_path / "left")]


def test_a_program_that_a_test_has_started_ends_with_it() -> None:
    process = programs.start([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    child = int(process.stdout.readline())
    programs.end_all()
    wait_until(lambda: not is_alive(process.pid) and not is_alive(child))
    programs.end_all()  # there is nothing left to end


PARENT = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE).pid, flush=True)
time.sleep(600)
"""

OWN_WAY = {
    *("tests/programs.py", "tests/servers/process.py"),
    *("tests/browser.py", "tests/scenarios/test_travel.py"),
}
"""These end what they start by themselves: a process may serve many tests."""


def test_no_test_starts_a_program_that_may_be_left_over() -> None:
    root = Path(__file__).parents[1]
    found = set()
    for path in (root / "tests").rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if "Popen(" in text else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Popen"):
                found.add(str(path.relative_to(root)))
    assert found <= OWN_WAY, "call `start` of tests/programs.py: it ends with the test"
