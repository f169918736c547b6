"""Under a version, two scripts of one name are two: what counts is their place in the project."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

import swarmgrid
from swarmgrid import identity
from swarmgrid.planning.request import identified
from swarmgrid.user_code import ownership
from tests.waiting import PATIENCE

SCRIPT = """
import sys, swarmgrid
def f(x):
    return x * {factor}
axes = {{"x": [1, 2]}}
done = swarmgrid.stream({{}}, axes, func=f, version="1", store=sys.argv[1], executor="sync")
print(done.points_computed)
"""


@pytest.mark.long
def test_two_scripts_of_one_name_in_two_folders_have_two_grids(tmp_path: Path) -> None:
    computed = []
    for factor, folder in enumerate(("a", "b", "a")):
        script = tmp_path / folder / "run.py"
        script.parent.mkdir(exist_ok=True)
        script.write_text(SCRIPT.format(factor=factor))  # the third is the first, edited
        done = subprocess.run(
            [sys.executable, script.name, str(tmp_path / "store")],
            cwd=script.parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
        assert "elsewhere" not in done.stderr
        computed.append(int(done.stdout))
    assert computed == [2, 2, 0]


# ---- the rule, in process


def function(file: Path | None, code: str = "def f(x): return x", **space: Any) -> FunctionType:
    """A function that a file, or something typed in, has defined."""
    names: dict[str, Any] = {"__name__": "run" if file else "__main__", **space}
    if file is not None:
        names["__file__"] = str(file)
    exec(compile(code, str(file or "<typed>"), "exec"), names)
    found: FunctionType = names["f"]
    return found


def grid(func: Any, version: str | None = "1") -> str:
    return identified(func, version, None, vectorized=False).path({}, ("x",)).grid


@pytest.mark.parametrize("marker", ["pyproject.toml", "setup.py", ".git"])
def test_a_place_within_a_project_is_the_same_on_every_machine(
    tmp_path: Path, marker: str
) -> None:
    files = []
    for machine in ("one", "two"):
        project = tmp_path / machine / "work"
        (project / "scripts").mkdir(parents=True)
        (project / marker).touch()
        files.append(project / "scripts" / "run.py")
    here, there = map(function, files)
    assert ownership.home(here) == "work/scripts/run.py"
    assert grid(here) == grid(there)
    beside = function(files[0].parents[1] / "run.py")
    assert grid(here) != grid(beside)
    assert grid(here, None) == grid(beside, None)  # the code says all
    assert identity.Origin(here)["file"] != identity.Origin(there)["file"]


PLACES = ["a/src/run.py", "b/src/run.py", "a/run.py", "b/run.py", "a/src/b/run.py"]


@pytest.mark.parametrize("is_project", [True, False])
def test_no_two_files_on_a_machine_share_a_grid(tmp_path: Path, is_project: bool) -> None:
    files = [tmp_path / place for place in PLACES]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
    for folder in ("a", "b") if is_project else ():
        (tmp_path / folder / ".git").mkdir()
    assert len({grid(function(file)) for file in files}) == len(files)


def test_a_project_goes_by_its_own_name_and_a_file_without_one_by_its_place_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name / "x").mkdir(parents=True)
        text = "[project" if name == "three" else "[project]\nname = 'physics'"
        (tmp_path / name / "pyproject.toml").write_text(text)
    homes = [ownership.home(function(tmp_path / n / "run.py")) for n in ("one", "two", "three")]
    assert homes == ["physics/run.py", "physics/run.py", "three/run.py"]
    for user in ("ann", "bob"):  # one folder on two machines
        monkeypatch.setenv("HOME", str(tmp_path / user))
        file = tmp_path / user / "paper" / "run.py"
        assert ownership.home(function(file)) == "~/paper/run.py"


def test_what_a_function_holds_has_a_home_too(tmp_path: Path) -> None:
    a, b = (function(tmp_path / name / "run.py") for name in "ab")

    def over(inner: Any) -> Any:
        def outer(x: Any) -> Any:
            return inner(x)

        return outer

    assert grid(over(a)) != grid(over(b))
    assert grid(over(a)) == grid(over(function(tmp_path / "a" / "run.py")))


def test_a_notebook_goes_by_its_name_and_what_is_typed_in_by_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.setattr(sys.modules["__main__"], "__loader__", None)
    ownership._folder_at_first.cache_clear()
    folder = tmp_path.as_posix()
    assert ownership.home(function(None)) == folder
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "one.ipynb"))
    assert ownership.home(function(None)) == f"{folder}/one.ipynb"
    monkeypatch.setenv("JPY_SESSION_NAME", f"{tmp_path}/one-jvsc-0a1b2c-77.ipynb")
    assert ownership.home(function(None)) == f"{folder}/one.ipynb"
    monkeypatch.setenv("JPY_SESSION_NAME", "RTC:5f0c")  # the number of a session
    assert ownership.home(function(None)) == folder
    named = function(None, __vsc_ipynb_file__=str(tmp_path / "two.ipynb"))
    assert ownership.home(named) == f"{folder}/two.ipynb"
    ownership._folder_at_first.cache_clear()


def test_packages_and_libraries_have_no_home() -> None:
    def inner(x: int) -> int:
        return x

    for func in (inner, print, Path, Path.exists, os.path.join, swarmgrid.compute):
        assert ownership.home(func) == ""
        assert identity.Origin(func) == {}


def test_other_code_is_that_of_helpers_too(tmp_path: Path) -> None:
    codes = {
        identity.Origin(function(tmp_path / "run.py", text))["code"]
        for text in (
            "def g(x): return x\ndef f(x): return g(x)",
            "def g(x): return 2 * x\ndef f(x): return g(x)",
            "class K:\n def m(self, x): return x\ndef f(x): return K().m(x)",
            "class K:\n def m(self, x): return -x\ndef f(x): return K().m(x)",
        )
    }
    assert len(codes) == 4


def test_a_grid_of_another_file_in_the_same_place_with_other_code_is_told_of(
    tmp_path: Path, new_memory_store: Callable[[], str]
) -> None:
    def made(folder: str, code: str) -> FunctionType:  # two copies of one project
        (tmp_path / folder / "work" / ".git").mkdir(parents=True, exist_ok=True)
        return function(tmp_path / folder / "work" / "run.py", code)

    one, two = "def f(x): return x", "def f(x): return -x"
    options: dict[str, Any] = {"store": new_memory_store(), "executor": "sync", "version": "1"}
    axes = {"x": [1, 2]}
    swarmgrid.compute({}, axes, func=made("p", one), **options)
    for func in (made("p", two), made("q", one)):  # edited; moved
        ds = swarmgrid.compute({}, axes, func=func, **options)
        assert ds["value"].values.tolist() == [1, 2]
        assert "swarmgrid_origin" not in ds.attrs
    for call in (
        lambda: swarmgrid.compute({}, axes, func=made("q", two), **options),
        lambda: swarmgrid.open({}, func=made("q", two), **options),
    ):
        with pytest.warns(RuntimeWarning, match="elsewhere, or on another machine, and with"):
            call()
