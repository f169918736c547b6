"""The types of the public names, held against type checkers: mypy and pyright; never run."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

import pandas as pd
import xarray as xr

import swarmgrid
from swarmgrid.handle.summary import GridSummary
from swarmgrid.maintenance.report import Report


def plain(width: float, height: float = 1.0) -> float:
    """Evaluate a point."""
    return width * height


@swarmgrid.grid
def bare(width: float, height: float = 1.0) -> float:
    """Evaluate a point; the decorator without parentheses."""
    return width * height


@swarmgrid.grid(store="memory://types", chunks={"width": 2}, retries=1)
def bound(width: float, *, names: list[str]) -> dict[str, float]:
    """Evaluate a point; the decorator with options."""
    return dict.fromkeys(names, width)


def calls_keep_the_types_of_parameters_and_result() -> None:
    """A decorated function is called as the function itself."""
    assert_type(bare(2.0, height=3.0), float)
    assert_type(bound(2.0, names=["a"]), dict[str, float])
    assert_type(swarmgrid.GridFunction(plain, version="1")(1.0), float)
    assert_type(swarmgrid.grid(plain, version="1")(1.0), float)
    bare("2")  # type: ignore[arg-type]
    bare(2.0, depth=1)  # type: ignore[call-arg]
    bound(2.0)  # type: ignore[call-arg]
    bound.compute(axes={"width": [1, 2]}, worker=2)  # type: ignore[call-arg]
    swarmgrid.grid(store="memory://types", chunk=2)  # type: ignore[call-overload]


def methods_have_types() -> None:
    """The methods of a function and of a stored grid."""
    params: Mapping[str, object] = {"names": ["a"]}
    axes = {"width": [1.0, 2.0]}
    assert_type(bound.compute(params, axes), xr.Dataset)
    assert_type(bound.run(params, axes), tuple[xr.Dataset, swarmgrid.Diagnostics])
    assert_type(bound.stream(params, axes), swarmgrid.Diagnostics)
    assert_type(bound.plan(params, axes), swarmgrid.Plan)
    assert_type(bound.open(params), xr.Dataset)
    assert_type(swarmgrid.scope("alice", "memory://types"), swarmgrid.Scope)
    assert_type(swarmgrid.scope("alice").publish(), swarmgrid.Merging)
    assert_type(bound.put_many({1.0: {"a": 2.0}}, params, ["width"], missing="skip"), int)
    assert_type(bound.errors(params), pd.DataFrame)
    grid = bound.grid(params)
    assert_type(grid, swarmgrid.Grid)
    assert_type(swarmgrid.Grid.open("memory://types", "0123"), swarmgrid.Grid)
    assert_type(grid.state(), GridSummary)
    assert_type(grid.dataset(["width"]), xr.Dataset)
    assert_type(grid.errors(), pd.DataFrame)
    assert_type(grid.verify(), Report)
    assert_type(grid.repair(), Report)


def the_function_may_stand_first() -> None:
    """Both ways of a call have types, and words are known."""
    axes = {"width": [1.0, 2.0]}
    assert_type(swarmgrid.compute(plain, axes=axes, store="cache"), xr.Dataset)
    assert_type(swarmgrid.compute({}, axes, func=plain, store="cache"), xr.Dataset)
    assert_type(swarmgrid.run(plain, {}, axes), tuple[xr.Dataset, swarmgrid.Diagnostics])
    assert_type(swarmgrid.plan(plain, {}, axes, explain=True), swarmgrid.Plan)
    assert_type(swarmgrid.open(plain, {}, ["width"]), xr.Dataset)
    assert_type(bound.last_run, swarmgrid.Diagnostics | None)
    swarmgrid.compute(plain, axes=axes, func=plain)  # type: ignore[call-overload]
    swarmgrid.compute({}, axes, func=plain, executor="process")  # type: ignore[call-overload]
    bound.compute({}, axes, on_error="skip")  # type: ignore[arg-type]
