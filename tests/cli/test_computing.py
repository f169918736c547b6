"""`run` computes what is missing, `plan` computes nothing; `why` shows what differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import swarmgrid
from swarmgrid.cli.flags import ELSEWHERE, LISTS, NAMED, NUMBERS, SWITCHES, TEXTS, VALUES
from swarmgrid.options import CallOptions
from tests.cli.shell import shell

SYNC = ("--executor", "sync")


def test_run_computes_what_python_would(model: str) -> None:
    arguments = [f"{model}.py:simulate", "-a", "strat=a,b", "-a", "s=0:5", "-S", "cache"]
    planned = shell("plan", *arguments, "-p", "alpha=0.4", "--json").document
    assert planned["points"] == {"total": 10, "cached": 0, "missing": 10, "skipped": 0}
    assert not Path("cache").exists()
    done = shell("run", *arguments, "--params", '{"alpha": 0.4}', *SYNC, "--json")
    assert done.code == 0
    assert done.document["points"]["computed"] == 10
    assert done.document["grid"] == planned["grid"]
    function = __import__(model).simulate
    axes = {"strat": ["a", "b"], "s": range(6)}
    _, run = swarmgrid.run({"alpha": 0.4}, axes, func=function, store="cache", executor="sync")
    assert (run.points_computed, run.points_cached) == (2, 10)
    again = shell("plan", *arguments, "-p", "alpha=0.4")
    assert "0 of 10 points to compute (10 cached" in again.out


def test_a_run_says_what_it_did_and_where(model: str) -> None:
    done = shell("run", f"{model}:plain", "-a", "x=0:3", "-p", "y=1", "-S", "cache", *SYNC)
    assert done.code == 0
    first, second, _ = done.out.split("\n")
    assert first.startswith("3 points: 3 computed, 0 reused")
    assert second.startswith("grid plain/")
    assert second.endswith(f" in {Path('cache').absolute()}")


def test_a_point_that_fails_has_an_exit_code_and_the_users_traceback(model: str) -> None:
    arguments = [f"{model}:simulate", "-a", "strat=a", "-a", "s=5:9", "-p", "alpha=1", "-S", "c"]
    done = shell("run", *arguments, *SYNC)
    assert (done.code, done.out) == (1, "")
    assert "simulate(strat='a', s=7) failed: ValueError: seven" in done.err
    assert 'raise ValueError("seven")' in done.err
    assert "swarmgrid/" not in done.err
    recorded = shell("run", *arguments, *SYNC, "--on-error", "record", "--json")
    assert recorded.code == 1
    assert recorded.document["points"]["failed"] == 1


def test_what_a_function_prints_is_not_in_the_document(model: str) -> None:
    Path(f"{model}_loud.py").write_text(
        "import os\nprint('imported')\n"
        "def f(x):\n    print('called')\n    os.system('echo outside')\n    return x\n"
    )
    done = shell("run", f"{model}_loud:f", "-a", "x=1", "-S", "cache", *SYNC, "--json")
    assert done.document["points"]["computed"] == 1
    assert "imported" in done.err
    assert "called" in done.err


def test_annotations_decide_what_a_grid_holds(model: str) -> None:
    arguments = [f"{model}:typed", "-a", "x=0:3", "-a", "colour=RED,BLUE", "-S", "cache", *SYNC]
    assert shell("run", *arguments).code == 0
    (grid,) = swarmgrid.catalog("cache")
    assert grid.dataset()["x"].dtype == "float64"
    assert grid.dataset()["colour"].values.tolist() == ["RED", "BLUE"]
    found = shell("run", f"{model}:typed", "-a", "x=a", "-a", "colour=RED", "-S", "cache")
    assert found.code == 2
    assert "axis 'x' has the value 'a'" in found.err


SWEEP = """
function = "{model}.py:plain"
store = "cache"
[params]
y = 1
[axes]
x = [1, 2, 5]
[options]
executor = "sync"
chunks = {{x = 2}}
tags = {{site = "n"}}
"""


def test_the_first_phase_of_a_sweep_is_reused_by_the_whole(model: str) -> None:
    Path("sweep.toml").write_text(SWEEP.format(model=model))
    first = shell("run", "sweep.toml", "--axis", "x=2", "--json").document
    assert first["points"]["computed"] == 1
    whole = shell("run", "sweep.toml", "--json", "--tag", "phase=2").document
    assert whole["grid"] == first["grid"]
    assert (whole["points"]["computed"], whole["points"]["cached"]) == (2, 1)
    (grid,) = swarmgrid.catalog("cache")
    assert grid.tags == {"site": "n", "phase": 2}
    assert grid.state().chunks == {"x": 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--axis", "x=3"], "'3' is no value of axis 'x'"),
        (["--axis", "x=0:3"], "'0' is no value of axis 'x'"),
        (["--axis", "xx=3"], "did you mean 'x'"),
        (["--axis", "y=3"], "'y' is a param"),
        (["--axis", "x"], "expected NAME=VALUES"),
        (["--axis", "x=1", "--axis", "x=2"], "twice"),
        (["--param", "y"], "expected NAME=VALUE"),
        (["--params", "[1]"], "expected a JSON object"),
        (["--params", "{"], "no JSON"),
        (["--params", "@nothing.json"], "cannot be read"),
        (["--workers", "many"], "workers is 'many'"),
        (["--executor", "sinc"], "Did you mean 'sync'"),
        (["--chunks", "x=1=2"], "chunk"),
        (["--tag", "site"], "--tag is 'site'; expected NAME=VALUE"),
        (["--rate", "fast"], "rate is 'fast'"),
        (["--points", "nowhere:f"], "there is no module 'nowhere'"),
        (["--depends", "@no.csv"], "no.csv"),
    ],
)
def test_a_mistake_is_said_before_anything_is_computed(
    arguments: list[str], message: str, model: str
) -> None:
    Path("sweep.toml").write_text(SWEEP.format(model=model))
    done = shell("run", "sweep.toml", *arguments)
    assert done.code == 2
    assert message in done.err
    assert not Path("cache").exists()


def test_labels_of_a_file_are_narrowed_by_name(model: str) -> None:
    text = SWEEP.format(model=model).replace("x = [1, 2, 5]", "x = {small = 1, large = 9}")
    Path("sweep.toml").write_text(text)
    assert shell("run", "sweep.toml", "-a", "x=small").code == 0
    assert shell("run", "sweep.toml", "--json").document["points"]["cached"] == 1
    assert "did you mean 'small'" in shell("run", "sweep.toml", "-a", "x=smal").err


def test_texts_of_a_file_stay_texts(model: str) -> None:
    text = SWEEP.format(model=model).replace("x = [1, 2, 5]", 'x = ["1", "1.5b"]')
    Path("sweep.toml").write_text(text.replace("y = 1", 'y = "z"'))
    assert shell("run", "sweep.toml", "-a", "x=1").code == 0
    assert shell("run", "sweep.toml", "--json").document["points"]["cached"] == 1


def test_a_decorated_function_brings_its_options(model: str) -> None:
    Path(f"{model}_own.py").write_text(
        "import swarmgrid\n"
        "@swarmgrid.grid(store='own', executor='sync')\ndef f(x: int):\n    return x\n"
        "def even(x):\n    return x % 2 == 0\n"
    )
    done = shell("run", f"{model}_own:f", "-a", "x=0:4", "--points", f"{model}_own:even", "--json")
    assert done.document["store"] == str(Path("own").absolute())
    assert done.document["points"]["skipped"] == 2


def test_options_reach_the_run(model: str) -> None:
    Path("data.txt").write_text("1")
    options = """--chunks 4 --version 1.0 --tag n=3 --tag s=a --depends @data.txt --retries 1
        --log log.jsonl --verbose 0 --no-retry-failed --codec auto
        --encoding value={"dtype":"float32"}"""
    axes = ["-a", "x=0:8", "-p", "y=1.5", "-S", "cache"]
    done = shell("run", f"{model}:plain", *axes, *SYNC, *options.split())
    assert done.code == 0, done.err
    (grid,) = swarmgrid.catalog("cache")
    assert (grid.state().chunks, grid.state().version) == ({"x": 4}, "1.0")
    assert grid.tags == {"n": 3, "s": "a"}
    assert len([json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]) >= 2


def test_every_option_of_compute_is_there_or_has_a_reason() -> None:
    names = {*TEXTS, *NUMBERS, *VALUES, *SWITCHES, *NAMED, *LISTS, *ELSEWHERE}
    assert names == {*CallOptions.__annotations__}


def test_plan_explains_a_new_grid(model: str) -> None:
    arguments: list[Any] = [f"{model}:plain", "-a", "x=0:3", "-S", "cache"]
    assert shell("run", *arguments, "-p", "y=1", *SYNC).code == 0
    found = shell("plan", *arguments, "-p", "y=2", "--explain", "--json").document
    assert "param y is 2, not 1" in found["why"]
    assert any(part["path"].startswith("params") for part in found["parts"])


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
def test_a_mistake_in_why_is_named(names: list[str], store: str) -> None:
    done = shell("why", *names, "--store", store)
    assert done.code == 2
    assert done.err
