"""The source of a function is read once, and says the same as long as the process lives."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from swarmgrid.identity import source

STUDY = """
class Box:
    def __init__(self, x):
        self.content = x

def use(x):
    box = Box(x)
    return box.content

pair = [lambda x: x + 1, lambda x: x + 2]

class Model:
    rate = 2
    def run(self, x):
        return x * self.rate
"""


def study(folder: Path) -> dict[str, Any]:
    (folder / "study.py").write_text(STUDY)
    return runpy.run_path(str(folder / "study.py"))


def said(func: FunctionType) -> tuple[Any, ...]:
    """All that the source of a function says."""
    code = func.__code__
    return (
        source.own_text(code),
        source.shown_text(code),
        source.only_called(code),
        source.kept(code),
        source.reads_of_owner(code, is_static=False),
    )


def test_each_function_is_found_by_its_place(tmp_path: Path) -> None:
    found = study(tmp_path)
    assert source.kept(found["use"].__code__) == {"Box": {"content"}}
    assert source.shown_text(found["use"].__code__).startswith("def use(x):")
    assert [source.shown_text(one.__code__) for one in found["pair"]] == [
        "lambda x: x + 1",
        "lambda x: x + 2",
    ]
    assert source.reads_of_owner(found["Model"].run.__code__, is_static=False) == {"rate"}


def test_an_edit_of_the_file_changes_nothing_that_was_said(tmp_path: Path) -> None:
    found = study(tmp_path)
    functions = [found["use"], found["pair"][1], found["Model"].run]
    before = [said(func) for func in functions]
    (tmp_path / "study.py").write_text("# another line\n" + STUDY.replace("content", "inside"))
    assert [said(func) for func in functions] == before


def test_a_tree_is_walked_once_for_all_functions_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = study(tmp_path)
    walked: list[ast.AST] = []
    plain = ast.walk

    def counted(node: ast.AST) -> Any:
        walked.append(node)
        return plain(node)

    monkeypatch.setattr(ast, "walk", counted)
    for func in (found["use"], *found["pair"], found["Model"].run) * 3:
        said(func)
    assert sum(isinstance(node, ast.Module) for node in walked) == 1
