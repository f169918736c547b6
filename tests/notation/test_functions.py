"""A function is found by its module or its file, and has the same grids either way."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from swarmgrid.errors import InputError
from swarmgrid.identity import function_name
from swarmgrid.notation.functions import is_function_name, load_function
from swarmgrid.planning.request import identified


def names_of(function: Any) -> tuple[str, str]:
    """The name of a function, and the id of a grid of it."""
    found = identified(function, None, None, vectorized=False)
    return function_name(function), found.path({}, ("x",)).grid


def test_a_file_and_its_module_are_the_same(model: str) -> None:
    here = Path.cwd()
    by_module = names_of(load_function(f"{model}:plain", here))
    assert by_module[0] == f"{model}.plain"
    for text, folder in (
        (f"{model}.py:plain", here),
        (f"./{model}.py:plain", here),
        (f"{here}/{model}.py:plain", Path("/")),
        (f"{here.name}/{model}.py:plain", here.parent),
    ):
        sys.modules.pop(model)
        assert names_of(load_function(text, folder)) == by_module


def test_a_file_of_a_package_is_the_module_of_the_package(model: str) -> None:
    inner = Path(f"{model}_package") / "inner"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        (folder / "__init__.py").touch()
    (inner / "deep.py").write_text("from . import sibling\ndef f(x): return sibling.g(x)\n")
    (inner / "sibling.py").write_text("def g(x): return x\n")
    function = load_function(f"{inner}/deep.py:f", Path.cwd())
    assert function_name(function) == f"{model}_package.inner.deep.f"
    assert load_function(f"{model}_package.inner.deep:f", Path.cwd()) is function


def test_a_file_that_no_import_could_name_goes_by_its_own_name(model: str) -> None:
    Path(f"{model}-2.py").write_text("def f(x): return x\n")
    function = load_function(f"{model}-2.py:f", Path.cwd())
    assert function_name(function) == f"{model}-2.f"
    assert load_function(f"{model}-2.py:f", Path.cwd()) is function


def test_members_of_classes_and_installed_functions_are_found(model: str) -> None:
    assert load_function("math:sqrt", Path.cwd())(9) == 3
    assert callable(load_function(f"{model}:Colour.__call__", Path.cwd()))
    assert load_function("os.path:join", Path.cwd()) is os.path.join


BAD = {
    "simulate": "names no function",
    ":f": "names no function",
    "m:": "names no function",
    "MODEL:smulate": "did you mean 'simulate'",
    "MODEL:simulate.x": "has no function",
    "MODEL:Colour.RED": "is no function",
    "no_such_module_at_all:f": "there is no module 'no_such_module_at_all'",
    "a b:f": "no name of a module",
    "missing.py:f": "there is no file",
    ".py:f": "there is no file",
    "raises.py:f": r"importing 'raises' failed in .*raises.py, line 2: ZeroDivisionError",
    "syntax.py:f": r"importing 'syntax' failed in .*syntax.py, line 1: SyntaxError",
    "exits.py:f": "importing 'exits' failed.*SystemExit: 3",
    "needs.py:f": "importing 'needs' failed.*not_there_either",
    "numpy.py:f": "would be the module 'numpy', but that is",
    "json:no": "has no function 'no'",
}


@pytest.mark.parametrize("text", BAD)
def test_what_cannot_be_found_is_an_error_that_says_why(text: str, model: str) -> None:
    Path("raises.py").write_text("x = 1\n1 / 0\n")
    Path("syntax.py").write_text("def f(:\n")
    Path("exits.py").write_text("raise SystemExit(3)\n")
    Path("needs.py").write_text("import not_there_either\n")
    Path("numpy.py").write_text("def f(x): return x\n")
    with pytest.raises(InputError, match=BAD[text]):
        load_function(text.replace("MODEL", model), Path.cwd())


def test_all_frames_are_shown_on_request(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARMGRID_TRACEBACK", "full")
    Path(f"{model}_x.py").write_text("1 / 0\n")
    with pytest.raises(InputError, match=r"Traceback \(most recent call last\)"):
        load_function(f"{model}_x.py:f", Path.cwd())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model:f", True),
        ("model.py:f", True),
        ("s3://a/b", False),
        ("cache", False),
        ("f:", False),
    ],
)
def test_a_text_with_a_colon_names_a_function(text: str, expected: bool) -> None:
    assert is_function_name(text) is expected
