"""Mistakes of the first hour: each is an error that says what to write instead."""

from __future__ import annotations

import re
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import swarmgrid
from tests.waiting import PATIENCE


def simulate(alpha: float, strat: str = "up", s: int = 0) -> float:
    return alpha * s + len(strat)


def stars(*args: float) -> float:
    return sum(args)


class Model:
    def run(self, x: float) -> float:
        return x


PARAMS, AXES = {"alpha": 1.0}, {"s": [1, 2]}
SAID: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "names as axes": ((simulate, PARAMS, ["s"]), {}, "such as axes={'s': [1, 2, 3]}"),
    "pairs as axes": ((simulate, PARAMS, [("s", [1])]), {}, "such as axes={'s': [1, 2, 3]}"),
    "a frame as axes": ((simulate, PARAMS, pd.DataFrame({"s": [1]})), {}, "such as axes={'s'"),
    "a list as params": ((simulate, [1.0], AXES), {}, "such as params={'alpha': 0.4}"),
    "no param": ((simulate, {}, AXES), {}, "pass its value, params={'alpha': ...}"),
    "axes among params": ((simulate, {**PARAMS, "s": [1, 2]}), {}, "axes={'s': ...}"),
    "a value for an axis": ((simulate, PARAMS, {"s": 3}), {}, "[3] for one value"),
    "a text for an axis": ((simulate, PARAMS, {"strat": "up"}), {}, "['up'] for this one value"),
    "a set": ((simulate, PARAMS, {"s": {1, 2}}), {}, "sorted(...)"),
    "a value twice": ((simulate, PARAMS, {"s": [1, 1]}), {}, "list(dict.fromkeys(values))"),
    "two kinds": ((simulate, PARAMS, {"s": [1, "a"]}), {}, "axes={'s': {'a': ..., 'b': ...}}"),
    "None on an axis": ((simulate, PARAMS, {"s": [None]}), {}, "axes={'s': {'none': ...}}"),
    "a table": ((simulate, PARAMS, {"s": np.ones((2, 2))}), {}, "expected one"),
    "params and axes swapped": ((simulate, AXES, PARAMS), {}, "a fixed one belongs in params"),
    "upper case": ((simulate, PARAMS, {"S": [1]}), {}, "Did you mean 's'?"),
    "fixed and swept": ((simulate, {**PARAMS, "s": 1}, AXES), {}, "leave it out of one of them"),
    "a parameter as option": ((simulate, {}, AXES), {"alpha": 1.0}, "params={'alpha': ...}"),
    "a misspelt option": ((simulate, PARAMS, AXES), {"chunk": 2}, "did you mean 'chunks'?"),
    "another package's option": (
        (simulate, PARAMS, AXES),
        {"n_jobs": 2},
        "did you mean 'workers'?",
    ),
    "a misspelt word": ((simulate, PARAMS, AXES), {"executor": "process"}, "one of 'processes'"),
    "no store": ((simulate, PARAMS, AXES), {"store": None}, "pass store= (a directory, a URL"),
    "a number as store": ((simulate, PARAMS, AXES), {"store": 3}, "expected a path, a URL"),
    "no function": ((PARAMS, AXES), {}, "pass it first or as func="),
    "a name as function": ((PARAMS, AXES), {"func": "simulate"}, "without quotes"),
    "a called function": ((PARAMS, AXES), {"func": 2.0}, "without calling it"),
    "a called function first": ((2.0, PARAMS, AXES), {}, "without calling it"),
    "the function last": ((PARAMS, AXES, simulate), {}, "compute(params, axes, func=simulate)"),
    "by position only": ((stars, {}, {"x": [1]}), {}, "wrap it: lambda x: stars(x)"),
    "a method of no object": ((Model.run, {}, {"x": [1]}), {}, "func=Model(...).run"),
    "no return": ((lambda x: None, {}, {"x": [1]}), {}, "Is there a return at the end?"),
    "a list returned": ((lambda x: [x], {}, {"x": [1]}), {}, "np.asarray(...)"),
    "a tuple returned": ((lambda x: (x, x), {}, {"x": [1]}), {}, "{'a': ..., 'b': ...}"),
    "ragged arrays": ((lambda x: np.ones(x) * 2, {}, {"x": [1, 2]}), {}, "with NaN"),
    "an int, then a float": ((lambda x: x or 0.5, {}, {"x": [1, 0]}), {}, "convert('value'"),
    "a yield": ((lambda x: (yield x), {}, {"x": [1]}), {}, "in place of yield"),
}


@pytest.mark.parametrize("mistake", SAID)
def test_a_mistake_is_an_error_that_says_what_to_write(mistake: str, tmp_path: Path) -> None:
    args, options, said = SAID[mistake]
    with pytest.raises(swarmgrid.SwarmgridError) as caught:
        swarmgrid.compute(*args, **{"store": tmp_path / "a", "executor": "sync", **options})
    assert said in str(caught.value)
    if isinstance(caught.value, swarmgrid.InputError):
        assert not (tmp_path / "a").exists()


def test_a_decorator_without_a_name_for_its_store_says_what_to_write() -> None:
    with pytest.raises(swarmgrid.InputError, match=r"@swarmgrid\.grid\(store='cache'\)"):
        swarmgrid.grid("cache")  # type: ignore[call-overload]
    with pytest.raises(swarmgrid.InputError, match="without calling it"):
        swarmgrid.grid(store="cache")(simulate(1.0))


def test_a_wrong_path_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(swarmgrid.InputError, match="is the path right"):
        swarmgrid.Grid.open(tmp_path / "no", "simulate/")


def test_python_says_the_nearest_name() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import swarmgrid; swarmgrid.compte"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert "Did you mean: 'compute'?" in done.stderr


@pytest.mark.parametrize("executor", ["sync", "threads"])
def test_a_result_that_does_not_fit_is_said_once(tmp_path: Path, executor: Any) -> None:
    def half(x: int) -> Any:
        return 1 if x == 0 else x / 2

    with pytest.raises(swarmgrid.OutputError) as caught:
        swarmgrid.compute({}, {"x": [0, 1]}, func=half, store=tmp_path, executor=executor)
    text = "".join(traceback.format_exception(caught.value))
    assert text.count("safely cast") == 1
    assert "MisfitError" not in text


@pytest.mark.parametrize(
    ("value", "instead"),
    [([1, 2], "np.array(...)"), ({"a": 1}, "outputs of their own"), (None, "NaN")],
)
def test_an_output_that_cannot_be_stored_says_what_to_return(
    tmp_path: Path, value: Any, instead: str
) -> None:
    with pytest.raises(swarmgrid.OutputError, match=re.escape(instead)):
        swarmgrid.compute(
            lambda x: {"good": x, "bad": value}, axes={"x": [1]}, store=tmp_path, executor="sync"
        )


def test_where_every_point_fails_the_error_says_how_to_record_that(tmp_path: Path) -> None:
    def fails(x: int) -> float:
        raise ValueError(x)

    options: Any = {"store": tmp_path, "executor": "sync"}
    with pytest.raises(swarmgrid.PointError) as caught:
        swarmgrid.compute(fails, axes={"x": [1, 2]}, on_error="record", **options)
    (note,) = caught.value.__notes__
    assert "declare outputs=" in note
    assert "on_error" not in note
    with pytest.raises(swarmgrid.PointError) as caught:
        swarmgrid.compute(fails, axes={"x": [1, 2]}, **options)
    assert 'on_error="record"' in caught.value.__notes__[0]
