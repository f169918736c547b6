"""`why` shows what differs between two grids, or between a function and what is stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shell import shell


def test_two_grids_are_compared(store: str) -> None:
    old, new, _ = (grid["grid"] for grid in shell("ls", store, "--json").document["grids"])
    done = shell("why", store, new, old)
    assert (done.code, done.out) == (0, "param alpha is 0.4, not 0.2\n")
    found = shell("why", store, new, old, "--json").document
    assert found["params"] == {"alpha": [0.2, 0.4]}
    assert (found["grid"], found["other"]) == (new, old)
    assert shell("why", store, new).code == 2
    assert shell("why", store, new, "ffff").code == 3


def test_a_function_is_compared_with_what_is_stored(model: str) -> None:
    run = [f"{model}.py:plain", "-S", "cache"]
    done = shell("why", *run, "-p", "y=1")
    assert (done.code, done.out) == (0, "new grid: the store has no other grid of plain\n")
    assert shell("run", *run, "-a", "x=0:3", "-p", "y=1", "--executor", "sync").code == 0
    stored = shell("why", *run, "-p", "y=1", "--json").document
    assert stored["stored"]
    assert "it is not computed again" in stored["text"]
    other = shell("why", *run, "-p", "y=2", "--json").document
    assert not other["stored"]
    assert "param y is 2, not 1; the nearest grid" in other["text"]
    Path("sweep.toml").write_text(
        f"function = '{model}.py:plain'\nstore = 'cache'\nparams = {{y = 2}}\naxes = {{x = [1]}}\n"
    )
    assert shell("why", "sweep.toml").out.strip() == other["text"]
    assert shell("why", "sweep.toml", "more").code == 2


@pytest.mark.parametrize("names", [[], ["a:b:c"], ["nothing.py:f"]])
def test_a_mistake_is_named(names: list[str], store: str) -> None:
    done = shell("why", *names, "--store", store)
    assert done.code == 2
    assert done.err
