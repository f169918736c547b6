"""The way back from a Dataset to its grid, and what of a machine a store tells."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
import zarr.storage

import swarmgrid
from swarmgrid import InputError
from tests.long import first
from tests.waiting import PATIENCE

PROGRAM = """
import importlib.util
{imports}
assert importlib.util.find_spec("xarray") is not None
import xarray
print(xarray.Dataset.swarmgrid.__name__, xarray.Dataset().sizes)
import sys
print([type(one).__name__ for one in sys.meta_path if "Xarray" in type(one).__name__])
"""


def area(width: float, height: float) -> float:
    return 1 / width * height


@pytest.mark.parametrize(
    "imports",
    first(
        1,
        [
            "import xarray, swarmgrid",
            "import swarmgrid",
            "import swarmgrid.api.accessor as a; a.enter()",
        ],
    ),
)
def test_the_accessor_is_there_in_whatever_order_packages_are_imported(imports: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(imports=imports)],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert done.stdout.splitlines()[0].startswith("DatasetAccessor ")
    assert done.stdout.splitlines()[1] == "[]"


@pytest.fixture(params=["directory", "memory", "a store object", "a wrapped one"])
def store(request: Any, tmp_path: Path, new_memory_store: Callable[[], str]) -> Any:
    return {
        "directory": lambda: tmp_path / "it's a store",
        "memory": new_memory_store,
        "a store object": zarr.storage.MemoryStore,
        "a wrapped one": lambda: zarr.storage.WrapperStore(zarr.storage.MemoryStore()),
    }[request.param]()


def test_a_dataset_leads_to_its_grid(store: Any) -> None:
    func = swarmgrid.grid(area, store=store, executor="sync", on_error="record")
    for ds in (
        func.compute({"height": 1.0}, {"width": [1.0, 0.0]}),
        func.open({"height": 1.0}),
        func.open({"height": 1.0}, {"width": [1.0]}),
        func.open({"height": 1.0}, view_chunks={}),
        func.open({"height": 1.0}).sel(width=1.0),
    ):
        assert ds.swarmgrid.grid.id == func.grid({"height": 1.0}).id
        assert ds.swarmgrid.source == ds.encoding["source"]
        assert ds.swarmgrid.source.endswith(f"/data.zarr/area/{ds.swarmgrid.grid.id}")
        assert ds.swarmgrid.errors()["width"].tolist() == [0.0]
        assert ds.encoding["source"] in repr(ds.swarmgrid)


def test_one_that_is_read_or_opened_by_xarray_does_so_too(tmp_path: Path) -> None:
    func = swarmgrid.grid(area, store=tmp_path, executor="sync")
    ds = func.compute({"height": 1.0}, {"width": [1.0]}).load()
    raw = xr.open_zarr(ds.encoding["source"])
    for one in (ds, raw, ds.copy(deep=True)):
        assert one.swarmgrid.grid.state().points_computed == 1


def test_one_that_comes_from_elsewhere_says_so(tmp_path: Path) -> None:
    ds = xr.Dataset({"a": ("x", [1])})
    with pytest.raises(InputError, match=r"has no 'source'.*Grid\.open\(store, id\)"):
        ds.swarmgrid.grid  # noqa: B018 - the error is what is tested
    assert repr(ds.swarmgrid)
    ds.to_zarr(tmp_path / "other.zarr", consolidated=False)
    with pytest.raises(InputError, match=r"other\.zarr', which is no grid of swarmgrid's"):
        xr.open_zarr(tmp_path / "other.zarr", consolidated=False).swarmgrid.grid  # noqa: B018


def test_nothing_that_is_stored_or_exported_names_a_folder_or_a_user(tmp_path: Path) -> None:
    folder = tmp_path / "projects"
    folder.mkdir()
    script = folder / "study.py"
    script.write_text(
        "import swarmgrid, numpy as np\n"
        "def inverse(x):\n    return np.float64(1) / [1, 0][1 - x]\n"
        "def failing(x):\n    return {0: 1.0}[x]\n"
        "for version in (None, '1'):\n"
        "    for func in (inverse, failing):\n"
        "        options = dict(version=version, on_error='record', store='here', log='log')\n"
        "        ds = swarmgrid.compute({}, {'x': [0, 1]}, func=func, **options)\n"
        "    print(swarmgrid.GridFunction(func, **options).errors()['traceback'][0])\n"
        "ds = swarmgrid.compute({}, {'x': [1, 2]}, func=lambda x: x / 2, store='here')\n"
        "open('exported.json', 'w').write(str(ds.to_dict()))\n"
        "ds.to_zarr('exported.zarr', consolidated=False)\n"
        "print(ds.encoding['source'])\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "USER": "a-user-of-this-machine"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "study.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert 'File "projects/study.py", line 5' in done.stdout
    assert str(folder / "here") in done.stdout.splitlines()[-1]
    written = [path for path in folder.rglob("*") if path.is_file() and path != script]
    assert len(written) > 20
    secret = [str(tmp_path), tmp_path.name, "a-user-of-this-machine", "/home/", sys.prefix]
    secret += [f"/{getpass.getuser()}/"]
    for path in written:
        content = path.read_bytes().decode("latin-1")
        names = [*secret, *([socket.gethostname()] if "data.zarr" in path.parts else [])]
        assert [word for word in names if word in content] == [], path


def test_the_accessor_leads_to_the_plan_of_the_grid_and_to_its_map() -> None:
    store = zarr.storage.MemoryStore()
    options: dict[str, Any] = {"func": area, "store": store, "executor": "sync", "verbose": 0}
    swarmgrid.stream({"height": 1.0}, {"width": [1.0, 2.0]}, **options)
    ds = swarmgrid.compute(
        {"height": 1.0}, {"width": [1.0, 2.0, 3.0, 4.0]}, where=lambda width: width != 3, **options
    )
    plan = ds.swarmgrid.plan()
    assert (plan.points_total, plan.points_cached, plan.points_missing) == (4, 3, 1)
    assert plan.time_by("width")["points"].tolist() == [0, 0, 1, 0]
    assert ds.swarmgrid.plot_status().axes is not None
