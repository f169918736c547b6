"""Axes named like the facts that swarmgrid tells of points, such as ``time``: both are told."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

import swarmgrid
from swarmgrid import Grid
from tests.cli.shell import shell

FACTS = ("exception", "reason", "traceback", "attempt", "time")
COSTS = ("seconds", "writer")
AXES: dict[str, list[Any]] = {
    **{name: [name.upper()] for name in (*FACTS, *COSTS, "status", "exists", "change", "time_")},
    "time": [1.0, 9.0],
    "attempt": [7, 8],
}
_numbers = itertools.count()


def model(
    time: float,
    reason: str,
    exception: str,
    traceback: str,
    attempt: int,
    seconds: str,
    writer: str,
    status: str,
    exists: str,
    change: str,
    time_: str,
) -> float:
    if time == 9.0:
        raise ValueError(f"late, {attempt}")
    return time * attempt


@pytest.fixture
def store() -> str:
    return f"memory://facts-{next(_numbers)}"


def fill(store: str, **axes: list[Any]) -> Grid:
    options: dict[str, Any] = {"executor": "sync", "verbose": 0, "on_error": "record"}
    swarmgrid.stream(model, axes={**AXES, **axes}, store=store, version="1", **options)
    return Grid.open(store, "model/")


def points(table: Any) -> list[dict[str, Any]]:
    """The axis values of the rows of a table."""
    found: list[dict[str, Any]] = table[list(AXES)].to_dict("records")
    return found


def expected(**values: list[Any]) -> list[dict[str, Any]]:
    axes = {**AXES, **values}
    return [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]


def check(grid: Grid) -> None:
    errors = grid.errors()
    assert sorted(points(errors), key=str) == sorted(expected(time=[9.0]), key=str)
    assert sorted(errors["reason_"].str.partition("\n")[0]) == [
        "ValueError: late, 7",
        "ValueError: late, 8",
    ]
    assert [*errors.columns] == [
        *grid.status().dims,
        *("exception_", "reason_", "traceback_", "attempt_", "time__"),
    ]
    assert errors["attempt_"].tolist() == [1, 1]
    timings = grid.timings().load()
    assert {*timings.data_vars} == {"seconds_", "time__", "writer_"}
    assert int((timings["writer_"] >= 0).sum()) == 2
    status = grid.status()
    assert status.name == "status_"
    assert points(status.to_dataset().to_dataframe().reset_index()) == points(
        status.to_dataframe().reset_index()
    )
    assert sorted(points(grid.dataset().to_dataframe().reset_index()), key=str) == sorted(
        expected(), key=str
    )
    assert points(grid.missing()) == []
    asked = grid.exists({"time": [1.0, 9.0], "exists": ["EXISTS", "no"]})
    assert asked.name == "exists_"
    assert "model" in grid._repr_html_()


def test_points_are_told_with_the_values_of_all_axes(store: str) -> None:
    check(fill(store))


def test_they_are_in_a_scope(store: str) -> None:
    fill(store, attempt=[7])
    with swarmgrid.scope("alice", store):
        check(fill(store))


def test_a_difference_has_the_values_of_all_axes(store: str, tmp_path: Path) -> None:
    grid = fill(store, attempt=[7])
    before = grid.snapshot("before")
    fill(store)
    diff = grid.diff(before)
    assert points(diff.points) == points(diff.added) == expected(time=[1.0], attempt=[8])
    assert diff.points["change_"].tolist() == ["added"]
    assert len(diff.removed) == 0
    rows = Path(grid.export(tmp_path / "a.csv")).read_text().splitlines()
    assert len(rows) == 3
    assert {*rows[0].split(",")} == {*AXES, "value"}


def test_the_shell_tells_them(store: str) -> None:
    fill(store)
    found: Any = shell("errors", store, "--json").document
    failures = found["grids"][0]["failures"]
    assert sorted((one["point"] for one in failures), key=str) == sorted(
        expected(time=[9.0]), key=str
    )
    assert {*failures[0]} == {"point", *FACTS}
    assert failures[0]["exception"] == "ValueError"
    head = shell("errors", store).out.splitlines()[1].split()
    assert {*head} == {*AXES, "reason_", "attempt_", "time__"}
    assert "time=9.0" in shell("errors", store, "--traceback").out


def test_events_tell_them(store: str) -> None:
    fill(store)
    told = [json.loads(event.to_json()) for event in swarmgrid.watch(store, timeout=0)]
    failed = [one["points"] for one in told if one["event"] == "failed"]
    assert all({*each} == {*AXES} for each in failed)
    assert [time for each in failed for time in each["time"]] == [9.0, 9.0]


@pytest.mark.parametrize("name", ["seconds", "status"])
def test_they_are_plotted(store: str, name: str) -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    grid = fill(store)
    with swarmgrid.scope("alice", store):
        fill(store, **{name: ["a", "b"]})
        for each in (grid.plot.timings(x="time", y=name), grid.plot.status(x="time", y=name)):
            assert each is not None
    plt.close("all")
