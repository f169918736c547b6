"""A block that gives its state's name to something else is refused before it runs."""

from __future__ import annotations

import runpy
import textwrap
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import swarmgrid
from swarmgrid import InputError, State

SCRIPT = """
import contextlib
import swarmgrid

class Box: pass

def step(ds, store):
    ran, box, other = [], Box(), {{"q": 1}}
    box.ds = ds
    with {opened} as mem:
        mem.begin()
        ran.append(1)
{body}
    return mem.is_hit, ran
"""


def step_of(tmp_path: Path, body: str, opened: str = "swarmgrid.memoize(ds, store)") -> Any:
    file = tmp_path / "script.py"
    file.write_text(SCRIPT.format(body=textwrap.indent(body, " " * 8), opened=opened))
    return runpy.run_path(str(file))["step"]


REFUSED = {
    "an assignment": "ds = ds.assign(q=1)",
    "one with a type": "ds: object = 1",
    "to several": "a, (b, *ds) = 1, (2, 3)",
    "for": "for i, ds in enumerate([1]): pass",
    "with": "with contextlib.nullcontext(1) as ds: pass",
    "walrus": "if (ds := 1): pass",
    "walrus in a comprehension": "[(ds := i) for i in range(3)]",
    "del": "del ds",
    "import": "import contextlib as ds",
    "import of a submodule": "import ds.a",
    "except": "try: pass\nexcept ValueError as ds: pass",
    "a function": "def ds(): pass",
    "a class": "class ds: pass",
    "a pattern": 'match other:\n    case {"q": 1, **ds}: pass',
    "a pattern that captures": "match 1:\n    case ds: pass",
    "deep inside": "if ran:\n    while True:\n        ds = 1\n        break",
}
ALLOWED = {
    "an item": 'ds["q"] = 1',
    "an item of an item": 'ds["w"][0] = 7',
    "a deleted item": 'del ds["w"]',
    "an attribute": "other = ds.attrs",
    "another name": "other = ds",
    "a comprehension's own": "[ds for ds in range(3)]",
    "a function's own": "def f(x):\n    ds = x\n    return ds",
    "an argument": "f = lambda ds: ds",
    "an attribute of the name": "box.ds = 1",
    "a keyword": "dict(ds=1)",
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_block_that_binds_its_states_name_is_refused(
    case: str, tmp_path: Path, store: str
) -> None:
    step = step_of(tmp_path, REFUSED[case])
    for state in (State(w=[1.0]), xr.Dataset({"w": ("x", [1.0])})):
        before = state.copy() if isinstance(state, xr.Dataset) else None
        with pytest.raises(InputError, match=r"binds or deletes the name 'ds'.* ds\.update\("):
            step(state, store)
        assert before is None or before.identical(state)


@pytest.mark.parametrize("case", ALLOWED)
def test_what_leaves_the_name_alone_is_not(case: str, tmp_path: Path, store: str) -> None:
    step = step_of(tmp_path, ALLOWED[case])
    states = [xr.Dataset({"w": ("x", [1.0])}) for _ in range(2)]
    found = [step(state, store) for state in states]
    assert found == [(False, [1]), (True, [])]
    xr.testing.assert_identical(*states)


@pytest.mark.parametrize(
    "opened",
    ["swarmgrid.memoize(store=store, state=ds)", "open(__file__), swarmgrid.memoize(ds, store)"],
)
def test_the_state_may_be_given_in_other_ways(opened: str, tmp_path: Path, store: str) -> None:
    step = step_of(tmp_path, "ds = 1", opened)
    with pytest.raises(InputError, match="binds or deletes the name 'ds'"):
        step(State(), store)


def test_a_name_of_something_else_is_left_alone(tmp_path: Path, store: str) -> None:
    step = step_of(tmp_path, "ds = 1", "swarmgrid.memoize(swarmgrid.State(), store)")
    assert step(State(), store) == (False, [1])
    step = step_of(tmp_path, "store = 1")
    assert step(State(), store) == (False, [1])


def test_a_state_that_is_added_to_stays_what_it_is(store: str) -> None:
    for is_hit in (False, True):
        ds, state = xr.Dataset({"w": ("x", [1.0])}), State(a=1)
        with swarmgrid.memoize(ds, store) as of_dataset:
            of_dataset.begin()
            ds += 1
            ds **= 2
        with swarmgrid.memoize(state, store) as of_state:
            of_state.begin()
            state |= {"b": 2}
        assert (of_dataset.is_hit, of_state.is_hit) == (is_hit, is_hit)
        assert ds["w"].values.tolist() == [4.0]
        assert state == State(a=1, b=2)
