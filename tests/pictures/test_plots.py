"""Plots show what the map says, with the names and units of what they show."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import swarmgrid
from swarmgrid import Grid, InputError

plt = pytest.importorskip("matplotlib.pyplot")
OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0, "on_error": "record"}


def partly(x: Any, y: str, z: int) -> float:
    if isinstance(x, np.datetime64):
        return 0.0
    if y == "b" and x > 2:
        raise ValueError("no")
    return x + z


@pytest.fixture(autouse=True)
def _no_screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture
def made(new_memory_store: Any) -> Any:
    def make(**axes: Any) -> Grid:
        store = new_memory_store()
        params = {name: value for name, value in {"x": 1.0, "y": "a", "z": 0}.items()
                  if name not in axes}  # fmt: skip
        swarmgrid.stream(partly, params, axes, store=store, **OPTIONS)
        return Grid.open(store, "partly/")

    return make


def test_the_status_is_over_the_two_longest_axes_in_the_order_of_their_values(made: Any) -> None:
    grid = made(x=[3.0, 1.0, 2.0], y=["a", "b"])
    mesh = grid.plot.status()
    assert (mesh.axes.get_xlabel(), mesh.axes.get_ylabel()) == ("x", "y")
    states = [text.get_text() for text in mesh.colorbar.ax.get_yticklabels()]
    assert states == ["missing", "computed", "failed"]
    assert np.asarray(mesh.get_array()).reshape(2, 3).tolist() == [[1, 1, 1], [1, 1, 2]]
    assert [text.get_text() for text in mesh.axes.get_yticklabels()] == ["a", "b"]
    left, right = mesh.axes.get_xlim()
    assert left < 1 < 3 < right


def test_a_third_axis_makes_facets_and_the_two_can_be_chosen(made: Any) -> None:
    grid = made(x=[1.0, 2.0, 3.0, 4.0], y=["a", "b"], z=[1, 2, 3])
    facets = grid.plot.status()
    assert facets.axs.size == 2
    assert [ax.get_title() for ax in facets.axs.flat] == ["y = a", "y = b"]
    assert grid.plot.status(x="y", y="z").axs.flat[0].get_ylabel() == "z"
    _, ax = plt.subplots()
    line = made(x=[1.0, 2.0]).plot.status(ax=ax, add_colorbar=False)
    assert line.axes is ax
    assert ax.get_ylabel() == ""


def test_timings_have_their_unit(made: Any) -> None:
    mesh = made(x=[1.0, 2.0, 3.0], y=["a", "b"]).plot.timings()
    assert mesh.colorbar.ax.get_ylabel() == "time of a point [s]"
    values = np.ma.asarray(mesh.get_array()).reshape(2, 3)
    assert np.isnan(np.ma.filled(values, np.nan)[1, 2])
    assert (np.ma.filled(values, 1.0)[0] >= 0).all()


@pytest.mark.parametrize(
    "axis",
    [
        {"x": [np.inf, 1.0]},
        {"x": np.array(["2026-01-01", "2026-01-03"], "M8[ns]")},
        {"y": ["one"]},
    ],
    ids=["infinite", "times", "one"],
)
def test_every_kind_of_axis_can_be_drawn(made: Any, axis: Any) -> None:
    mesh = made(**axis, z=[1, 2, 4]).plot.status()
    mesh.figure.canvas.draw()


def test_an_axis_that_is_none_and_a_grid_that_is_not_stored_are_errors(made: Any) -> None:
    with pytest.raises(InputError, match="'q', which is no axis; the axes are x"):
        made(x=[1.0]).plot.status(x="q")
    missing = swarmgrid.grid(partly, store="memory://no-plot").grid({"x": 1.0}, ["y", "z"])
    with pytest.raises(InputError, match="nothing is stored"):
        missing.plot.timings()


def test_without_matplotlib_the_error_names_the_extra(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = made(x=[1.0])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'swarmgrid-zarr\[plot\]'"):
        grid.plot.status()


def test_a_dataset_leads_to_the_plot_of_its_grid(made: Any) -> None:
    ds = made(x=[1.0, 2.0], z=[1, 2, 3]).dataset()
    assert ds.swarmgrid.plot_status(x="x").axes.get_xlabel() == "x"
