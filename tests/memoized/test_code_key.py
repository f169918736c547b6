"""What of a block's code counts: what it says and what it reads, and nothing else."""

# ruff: noqa: PT012, SIM117 - a memoized block is what raises, and stands by itself

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import swarmgrid
from swarmgrid import InputError, State, memoize
from tests.long import first
from tests.waiting import PATIENCE

SCRIPT = """
import swarmgrid, numpy as np
from helpers import scale

FACTOR = 2

def double(x):
    return x * FACTOR

def run(state, store, n=1):
    with swarmgrid.memoize(state, store) as mem:
        mem.begin()
        state["a"] = double(state["x"]) + n
        state["b"] = scale(state["x"])
    return mem

print(run(swarmgrid.State(x=1), "store").is_hit)
"""
HELPERS = "def scale(x):\n    return 10 * x\n"
SAME = {
    "a comment in the block": ("mem.begin()\n", "mem.begin()  # now\n"),
    "a blank line and a docstring": ("mem.begin()\n", 'mem.begin()\n\n        "text"\n'),
    "another layout": ('double(state["x"]) + n', 'double(\n state["x"] )  +  n'),
    "a line above": ("FACTOR = 2", "OTHER = 3\nFACTOR = 2"),
    "a statement after the block": ("return mem", "print()\n    return mem"),
}
OTHER = {
    "another statement": ("+ n", "- n"),
    "an edited function": ("return x * FACTOR", "return FACTOR * x"),
    "an edited constant": ("FACTOR = 2", "FACTOR = 3"),
    "another variable around the block": ("n=1", "n=2"),
}


def runs(folder: Path, script: str, helpers: str = HELPERS) -> bool:
    """Whether a script runs its block."""
    (folder / "script.py").write_text(script)
    (folder / "helpers.py").write_text(helpers)
    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", "script.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.stderr == ""
    return done.stdout.split()[-1] == "False"


@pytest.mark.long
@pytest.mark.parametrize("every", first(1, [3, 1]))
def test_edits_that_change_nothing_do_not_count_and_others_do(tmp_path: Path, every: int) -> None:
    same, other = list(SAME)[::every], list(OTHER)[::-every]
    assert runs(tmp_path, SCRIPT)
    edits = SAME | OTHER
    found = {what: runs(tmp_path, SCRIPT.replace(*edits[what])) for what in [*same, *other]}
    assert found == {**dict.fromkeys(same, False), **dict.fromkeys(other, True)}
    assert runs(tmp_path, SCRIPT, HELPERS.replace("10", "11"))
    assert not runs(tmp_path, SCRIPT)


def test_a_block_may_stand_at_the_top_of_a_script_in_a_method_and_on_one_line(
    tmp_path: Path,
) -> None:
    script = """
    import swarmgrid
    state, n = swarmgrid.State(), 3
    with swarmgrid.memoize(state, "store") as top: top.begin(); state["a"] = n

    class Model:
        def __init__(self):
            self.state = swarmgrid.State()

        def fit(self):
            with (
                swarmgrid.memoize(self.state, "store") as mem
            ):
                mem.begin()
                self.state["b"] = self.rate()

        def rate(self):
            return 4

    model = Model()
    model.fit()
    assert (state["a"], model.state["b"]) == (3, 4)
    print(top.is_hit)
    """
    script = textwrap.dedent(script)
    assert [runs(tmp_path, script), runs(tmp_path, script)] == [True, False]
    assert runs(
        tmp_path,
        script.replace("n = swarmgrid.State(), 3", "n = swarmgrid.State(), 3.0").replace(
            '["a"], model', '["a"] * 1, model'
        ),
    )


WITHOUT_SOURCE = """
def run(k, hash_by):
    state = swarmgrid.State(a=1)
    with swarmgrid.memoize(state, store, salt=k, hash_by=hash_by) as mem:
        mem.begin()
        state["x"] = k
    return mem.is_hit, state["x"]
"""


def test_a_block_without_a_source_is_refused_where_the_code_counts(tmp_path: Path) -> None:
    names: dict[str, Any] = {"swarmgrid": swarmgrid, "store": tmp_path / "store"}
    exec(compile(WITHOUT_SOURCE, "<nowhere>", "exec"), names)
    for hash_by in ("code", ("state", "code", "salt")):
        with pytest.raises(InputError, match=r"in line 4 of '<nowhere>' cannot be read"):
            names["run"](1, hash_by)
    found = [names["run"](k, ("state", "salt")) for k in (1, 2, 1)]
    assert found == [(False, 1), (False, 2), (True, 1)]


AMONG_ASSERTS = """
import swarmgrid

def test_it(tmp_path):
    for n in (1, 2, 1):
        state = swarmgrid.State()
        with swarmgrid.memoize(state, tmp_path) as mem:
            mem.begin()
            try:
                state["x"] = n
                [][0]
            except IndexError:
                pass
        assert state["x"] == n, "a" + str(n)
    assert [mem.is_hit, *([1] * 3)] == [True, 1, 1, 1], [n for n in range(3)]
    assert all(n for n in (1, 2)) and "a" in "b" + "a"
"""


@pytest.mark.long
def test_asserts_behind_a_block_may_be_rewritten_by_pytest(tmp_path: Path) -> None:
    """They make the function longer, at whose end the handlers of the block stand."""
    (tmp_path / "test_rewritten.py").write_text(AMONG_ASSERTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_rewritten.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout


EDITS_ITSELF = """
from pathlib import Path
import sys, swarmgrid
file = Path(__file__)
def edit():
    file.write_text(file.read_text().replace("'first'", "'other'"))
if sys.argv[1] == "before":
    edit()
for n in range(2):
    state = swarmgrid.State(n=n)
    with swarmgrid.memoize(state, sys.argv[2]) as mem:
        mem.begin()
        state["a"] = 'first'
    print(mem.is_hit, state["a"])
    edit()
"""


def test_a_file_that_is_edited_while_it_runs_is_not_trusted(tmp_path: Path) -> None:
    file = tmp_path / "script.py"

    def run(when: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(file), when, str(tmp_path / "store")],
            capture_output=True,
            text=True,
            check=False,
        )

    file.write_text(EDITS_ITSELF)
    assert run("between").stdout.split() == ["False", "first"] * 2  # as it was when first entered
    assert run("between").stdout.split() == ["False", "other"] * 2  # now as the edited file
    file.write_text(EDITS_ITSELF)
    assert run("between").stdout.split() == ["True", "first"] * 2
    file.write_text(EDITS_ITSELF)
    done = run("before")
    assert (done.stdout, done.returncode) == ("", 1)
    assert "cannot be read, or is not what runs" in done.stderr


def test_what_a_block_only_adds_to_does_not_count(store: str) -> None:
    log, counts, total = [], {}, 0
    for _ in range(2):
        state = State(x=1)
        with memoize(state, store) as mem:
            mem.begin()
            log.append(state["x"])
            counts["runs"] = 1
            total += state["x"]
            state["a"] = 1
    assert (mem.is_hit, log, counts, total) == (True, [1], {"runs": 1}, 1)


def test_what_a_block_adds_to_and_reads_counts(store: str) -> None:
    log, total, hits = [], 0, []
    for _ in range(3):
        state = State()
        with memoize(state, store, "list") as mem:
            mem.begin()
            log.append(1)
            state["n"] = len(log)
        hits.append(mem.is_hit)
        with memoize(state, store, "number") as mem:
            mem.begin()
            total += 1
            state["total"] = total
        hits.append(mem.is_hit)
        assert (state["n"], state["total"]) == (len(log), total)
    assert hits == [False] * 6


def test_a_number_that_the_block_adds_to_and_reads_counts(store: str) -> None:
    found = []
    for start in (1, 2):
        total, state = start, State()
        with memoize(state, store) as mem:
            mem.begin()
            total += 10
            state["total"] = total
        found.append(state["total"])
    assert found == [11, 12]


def test_a_variable_that_the_block_assigns_first_does_not_count(store: str) -> None:
    hits = []
    for _ in range(2):
        for i in range(3):
            state = State(i=i)
            with memoize(state, store) as mem:
                mem.begin()
                part = [state["i"] + k for k in range(3)]
                for one in part:
                    last = one
                state["a"] = last
            hits.append(mem.is_hit)
    assert hits == [False] * 3 + [True] * 3


def test_a_variable_that_the_block_reads_before_it_assigns_it_counts(store: str) -> None:
    found = []
    for start in (1, 2):
        value = start
        state = State()
        with memoize(state, store) as mem:
            mem.begin()
            value = value * 10
            state["a"] = value
        found.append(state["a"])
    assert found == [10, 20]


def test_a_variable_without_a_digest_is_refused_with_its_name(store: str) -> None:
    lock = (n for n in (1, 2))
    with pytest.raises(swarmgrid.IdentityError, match="'lock', which the block reads"):
        with memoize(State(), store) as mem:
            mem.begin()
            next(lock)
    with memoize(State(), store, hash_by=("state", "salt")) as mem:
        mem.begin()
        next(lock)


def test_another_state_that_the_block_reads_counts(store: str) -> None:
    hits = []
    for n in (1, 2, 1):
        settings, state = State(n=n), State()
        with memoize(state, store) as mem:
            mem.begin()
            state["a"] = settings["n"]
        hits.append((mem.is_hit, state["a"]))
    assert hits == [(False, 1), (False, 2), (True, 1)]
