"""Whatever a block does to a State, a replay in another process does the same."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.long import examples
from tests.memoized import programs
from tests.waiting import PATIENCE

WHATS = ["set", "delete", "alias", "move", "clear", "update", "add", "write", "ufunc", "labelled"]
steps = st.tuples(
    st.sampled_from(WHATS),
    st.sampled_from(programs.NAMES),
    st.sampled_from(programs.NAMES),
    st.integers(0, 17),
).map(list)
some_programs = st.lists(st.lists(steps, max_size=8), min_size=12, max_size=12)
ROOT = Path(__file__).parents[2]


def in_another_process(batch: list[Any], store: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.memoized.programs", store],
        input=json.dumps(batch),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.long
@settings(
    max_examples=examples(2),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # the test below shrinks better
)
@given(some_programs)
def test_a_replay_in_another_process_does_what_the_program_did(batch: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as store:
        # As if by another program: the module's name counts, as the code that is run does.
        first = in_another_process(batch, store)
        again = in_another_process(batch, store)
    for program, one, other in zip(batch, first, again, strict=True):
        assert (one["state"], one["held"]) == (other["state"], other["held"]), program
        assert other["runs"] == 0


@settings(max_examples=examples(40))
@given(st.lists(steps, max_size=8))
def test_a_replay_does_what_the_program_did_without_memoize(program: list[Any]) -> None:
    values = programs.initial()
    plain = dict(values)
    for step in program[::2] + program[1::2]:
        programs.change(plain, step)
    with tempfile.TemporaryDirectory() as store:
        first, again = programs.run(program, store), programs.run(program, store)
        # A replayed block before one that is run, and that replayed in turn.
        mixed = [programs.run(program, store, last_salt=1) for _ in range(2)]
    expected = {"state": programs.contents(plain), "held": programs.contents(values)}
    assert {name: first[name] for name in expected} == expected
    for replayed in (again, *mixed):
        assert {name: replayed[name] for name in expected} == expected
    assert [again["runs"], mixed[0]["runs"], mixed[1]["runs"]] == [0, 1, 0]
