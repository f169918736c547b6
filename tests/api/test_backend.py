"""xarray opens grids by the engine ``"swarmgrid"``: lazily, by function and params."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import swarmgrid
from swarmgrid.api.backend import SwarmgridBackend

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0}


def simulate(x: int, alpha: float) -> dict[str, float]:
    return {"mean": x * alpha, "square": (x * alpha) ** 2}


def growth(t: float) -> float:
    return t


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for alpha in (0.2, 0.4):
        swarmgrid.stream({"alpha": alpha}, {"x": [1, 2]}, func=simulate, store=tmp_path, **OPTIONS)
    swarmgrid.stream({}, {"t": [0.5]}, func=growth, store=tmp_path, **OPTIONS)
    return tmp_path


def opened(store: Any, **options: Any) -> xr.Dataset:
    return xr.open_dataset(store, engine=SwarmgridBackend, **options)


def test_a_grid_is_opened_by_function_and_params(store: Path) -> None:
    ds = opened(str(store), function="simulate", params={"alpha": 0.4})
    assert ds["mean"].values.tolist() == [0.4, 0.8]
    assert ds.swarmgrid.grid.id == swarmgrid.catalog(store)["simulate", {"alpha": 0.4}].id
    assert ds.swarmgrid.status().values.tolist() == [1, 1]
    assert opened(store, function="growth")["value"].values.tolist() == [0.5]
    assert opened(store, params={"alpha": 0.2}, drop_variables="mean")["square"].shape == (2,)
    assert "mean" not in opened(store, params={"alpha": 0.2}, drop_variables=["mean"])
    assert opened(store, grid=ds.swarmgrid.grid.id[:14])["mean"].values.tolist() == [0.4, 0.8]
    chunked = opened(store, function="simulate", params={"alpha": 0.4}, chunks={})
    assert chunked["mean"].chunks is not None


def test_what_is_not_there_or_not_the_only_one_is_an_error(store: Path) -> None:
    for options, message in [
        ({"function": "simulate"}, "2 grids"),
        ({}, "3 grids"),
        ({"function": "other"}, "no grid"),
        ({"params": {"alpha": 7}}, "fit .None, .*there are growth/.*alpha=0.2"),
        ({"function": "simulate", "params": {"beta": 7}}, r"there are .*simulate/\w+ .alpha=0.2."),
        ({"group": "simulate"}, "2 grids"),
        ({"group": "nothing"}, "no grid.* 'nothing/'; there are growth/"),
        ({"group": "simulate/ffffffffffffffff"}, "no grid .*there are growth/"),
    ]:
        with pytest.raises(swarmgrid.InputError, match=message):
            opened(store, **options)


def test_a_place_without_grids_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.zarr").mkdir()
    for place in (tmp_path, tmp_path / "data.zarr", tmp_path / "missing"):
        for call in (xr.open_dataset, xr.open_datatree, xr.open_groups):
            with pytest.raises(swarmgrid.InputError, match=r"holds no grid; .* data\.zarr is"):
                call(place, engine=SwarmgridBackend)


def test_a_path_or_group_within_the_data_is_opened(store: Path) -> None:
    ds = opened(store, function="simulate", params={"alpha": 0.4})
    source = ds.encoding["source"]
    group = source.partition("/data.zarr/")[2]
    for again in (
        opened(source),
        opened(f"{source}/"),
        opened(Path(source)),
        opened(store, group=group),
        opened(store, group=f"/{group[:24]}"),
        opened(f"{store}/data.zarr", group=group),
        opened(f"{store}/data.zarr/simulate", params={"alpha": 0.4}),
    ):
        assert again.encoding["source"] == source
        assert again.identical(ds)


def test_groups_are_the_nodes_of_the_tree(store: Path) -> None:
    groups = xr.open_groups(store, engine=SwarmgridBackend)
    tree = xr.open_datatree(store, engine=SwarmgridBackend)
    assert set(groups) == {node.path for node in tree.subtree}
    for path, ds in groups.items():
        assert ds.identical(tree[path].to_dataset())
    one = next(path for path in groups if path.startswith("/simulate/"))
    assert opened(store, group=one).identical(groups[one])
    below = xr.open_datatree(store, engine=SwarmgridBackend, group="simulate")
    assert below.identical(tree["simulate"].copy())
    leaf = xr.open_datatree(store, engine=SwarmgridBackend, group=one)
    assert leaf.to_dataset().identical(groups[one])


def test_chunks_are_those_of_the_stored_objects(tmp_path: Path) -> None:
    options = {"func": simulate, "store": tmp_path, "chunks": {"x": 3}, **OPTIONS}
    ds = swarmgrid.compute({"alpha": 1.0}, {"x": range(8)}, **options)
    assert ds["mean"].encoding["preferred_chunks"] == {"x": 3}
    assert opened(tmp_path, chunks={})["mean"].chunks == ((3, 3, 2),)
    assert opened(tmp_path, chunks={"x": 6})["mean"].chunks == ((6, 2),)


def test_dask_tells_two_states_of_a_grid_apart(tmp_path: Path) -> None:
    """xarray names dask arrays by path and time; with one name, both would be the first."""
    store = str(tmp_path)
    axes, options = {"t": [1.0, 2.0, 3.0]}, {"func": growth, "store": store, **OPTIONS}
    swarmgrid.stream({}, axes, where=lambda t: t < 2, **options)
    before = opened(store, chunks={})
    swarmgrid.stream({}, axes, **options)
    after = opened(store, chunks={})
    both = xr.merge([before.rename(value="before"), after.rename(value="after")]).compute()
    assert both["after"].values.tolist() == [1.0, 2.0, 3.0]
    assert both["before"].isnull().values.tolist() == [False, True, True]
    swarmgrid.Grid.open(store, "growth/").invalidate(t=2.0)
    fewer = opened(store, chunks={})
    both = xr.merge([after.rename(value="after"), fewer.rename(value="fewer")]).compute()
    assert both["fewer"].isnull().values.tolist() == [False, True, False]


def test_a_tree_has_the_grids_that_fit(store: Path) -> None:
    tree = xr.open_datatree(store, engine=SwarmgridBackend, function="simulate")
    assert set(tree.children) == {"simulate"}
    assert len(tree["simulate"].children) == 2
    tree = xr.open_datatree(store, engine=SwarmgridBackend, params={"alpha": 0.2},
        drop_variables="mean")  # fmt: skip
    (node,) = tree["simulate"].children.values()
    assert set(node.data_vars) == {"square"}


def test_the_engine_is_entered_and_imports_nothing_that_xarray_does_not(tmp_path: Path) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    place = project["project"]["entry-points"]["xarray.backends"]["swarmgrid"]
    module, _, name = place.partition(":")
    assert getattr(importlib.import_module(module), name) is SwarmgridBackend
    assert not SwarmgridBackend().guess_can_open(tmp_path)
    code = (
        "import sys, xarray.backends\nbefore = set(sys.modules)\nimport swarmgrid.api.backend\n"
        "tops = {n.split('.')[0] for n in set(sys.modules) - before}\n"
        "print(sorted(tops - set(sys.stdlib_module_names)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "['swarmgrid']"
