"""What is not needed is not imported; and the public names are all there."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import swarmgrid
from swarmgrid import errors
from swarmgrid.identity import digest
from tests.waiting import PATIENCE


def modules_after(code: str, *arguments: str) -> set[str]:
    """The top-level and dask modules that a fresh interpreter has loaded after some code."""
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return set(done.stdout.split())


COMPUTE = """
import sys, swarmgrid
def square(x):
    return x * x
swarmgrid.compute(axes={"x": [1, 2]}, func=square, version="1", store=sys.argv[1])
"""
STREAM = COMPUTE.replace("compute", "stream")
OF_RUNS = {
    *("coordinator", "executors", "leases", "policies", "process_pool", "transport", "worker"),
    *("following", "handle", "indexes", "inventory", "live", "maintenance", "pictures"),
    *("search", "store_api", "tiers", "transfer"),
}
"""Rooms that a call needs only if it computes something, or that have calls of their own."""
HEAVY = {"dask", "xarray", "matplotlib", "zarr", "distributed", "tqdm", "obstore", "pandas"}


def test_importing_swarmgrid_imports_nothing_heavy() -> None:
    code = "import swarmgrid; swarmgrid.__all__; swarmgrid.Output; swarmgrid.set_options"
    assert modules_after(code) & HEAVY == set()
    assert modules_after("import swarmgrid") & (HEAVY | {"numpy", "numcodecs"}) == set()


def test_a_small_compute_imports_no_scheduler_unless_one_is_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # with no configuration in it
    # where the machine is busy, two calls may take long enough for workers: one quiet run tells
    runs = (modules_after(COMPUTE, str(tmp_path / str(n))) for n in range(9))
    assert any(run & {"dask.base", "distributed", "tqdm"} == set() for run in runs)
    monkeypatch.setenv("DASK_SCHEDULER", "threads")
    assert "dask.threaded" in modules_after(COMPUTE, str(tmp_path / "threads"))


def test_a_warm_compute_imports_no_scheduler(tmp_path: Path) -> None:
    modules_after(COMPUTE, str(tmp_path))
    warm = modules_after(COMPUTE, str(tmp_path))
    assert warm & {"matplotlib", "distributed", "tqdm", "obstore"} == set()
    rooms = {name.split(".")[1] for name in warm if name.startswith("swarmgrid.")}
    assert rooms & OF_RUNS == set()
    one_by_one = {"records.snapshot", "planning.estimate", "view.layered"}
    assert warm & {f"swarmgrid.{name}" for name in one_by_one} == set()
    assert not any(name.startswith(("dask.local", "dask.multiprocessing")) for name in warm)


def test_streaming_a_finished_grid_imports_neither_xarray_nor_zarr(tmp_path: Path) -> None:
    modules_after(STREAM, str(tmp_path))
    assert modules_after(STREAM, str(tmp_path)) & (HEAVY | {"asyncio"}) == set()


def test_a_look_at_a_store_imports_nothing_that_a_directory_does_not_need(tmp_path: Path) -> None:
    modules_after(STREAM, str(tmp_path))
    code = "from swarmgrid.cli.main import main; assert main() == 0; print()"
    slow = {"asyncio", "concurrent.futures", "importlib.metadata", "numpy", "socket", "zipfile"}
    for command in ("ls", "status"):
        found = modules_after(code, command, str(tmp_path))
        assert "swarmgrid.inventory.keeping" in found
        assert found & (HEAVY | slow | {"swarmgrid.inventory.query"}) == set()
        assert len(found) < 200  # 172 in Python 3.11


def test_all_is_sorted_and_complete() -> None:
    names = swarmgrid.__all__
    assert names == sorted(names)
    public_errors = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert public_errors <= set(names)
    assert dir(swarmgrid) == sorted([*names, "open"])


def test_a_star_import_leaves_pythons_own_names_alone() -> None:
    import builtins

    names: dict[str, object] = {}
    exec("from swarmgrid import *", names)
    assert not {*vars(builtins)} & {*names} - {"__builtins__"}
    assert names["compute"] is swarmgrid.compute
    assert callable(swarmgrid.open)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'computes'"):
        swarmgrid.computes  # noqa: B018


def test_every_error_survives_pickling() -> None:
    import pickle

    samples = [
        errors.IdentityError("params['a']", "it is a lock"),
        errors.PointError("f", {"x": 1}, "ValueError: no", "trace"),
        errors.OutputError("f", {"x": 1}, "too long"),
        errors.DamageError("a/b", "gone"),
        errors.ArchivedError("f/12", "/tape", "2026-11-22T01:00:00+00:00", "Thaw it."),
        errors.WorkerLostError("f", {"x": 1}, "killed by SIGKILL"),
        errors.AxisError("axis"),
    ]
    for error in samples:
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.args) == (type(error), str(error), error.args)


def test_the_version_is_in_one_place() -> None:
    import tomllib

    root = Path(__file__).parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"]["path"] == "swarmgrid/__init__.py"
    assert f'__version__ = "{swarmgrid.__version__}"' in Path(swarmgrid.__file__).read_text()


@pytest.mark.parametrize("name", dir(swarmgrid))
def test_a_public_name_has_no_inner_path(name: str) -> None:
    """It is part of stored digests and of pickles, which outlive a module that moves."""
    value = getattr(swarmgrid, name)
    assert (value.__module__, value.__qualname__) == ("swarmgrid", name)
    assert pickle.loads(pickle.dumps(value)) is value
    assert digest(value) == digest(pickle.loads(pickle.dumps(value)))
