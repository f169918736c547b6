"""Docstrings are plain English: a value is a noun, an effect a verb, an idea has one word."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import swarmgrid

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(swarmgrid.__file__).parent
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class Docstring(NamedTuple):
    """A docstring, and the annotation of the value that it describes."""

    place: str
    annotation: str
    text: str


def docstrings(path: Path) -> Iterator[Docstring]:
    """The docstrings of a module, of its classes and functions, and of their attributes."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, DOCUMENTED):
            continue
        place = f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 1)}"
        returns = getattr(node, "returns", None)
        if text := ast.get_docstring(node):
            yield Docstring(place, ast.unparse(returns) if returns else "", text)
        for target, after in zip(node.body, node.body[1:], strict=False):
            match target, after:
                case ast.AnnAssign(annotation=annotation), ast.Expr(ast.Constant(str(text))):
                    yield Docstring(f"{place} {after.lineno}", ast.unparse(annotation), text)
                case ast.Assign(), ast.Expr(ast.Constant(str(text))):
                    yield Docstring(f"{place} {after.lineno}", "", text)


def of_the_package() -> list[Docstring]:
    found = [doc for path in sorted(PACKAGE.rglob("*.py")) for doc in docstrings(path)]
    assert len(found) > 1500
    return found


def test_no_docstring_begins_with_a_question() -> None:
    asking = re.compile(r"(What|Who|Whoever|Whose|How|Which|Why|Where|When)\b")
    assert [doc for doc in of_the_package() if asking.match(doc.text)] == []


def test_whether_is_said_of_booleans_alone() -> None:
    wrong = [
        doc
        for doc in of_the_package()
        if doc.text.startswith("Whether")
        and not re.search(r"\bbool_?\b|TypeGuard", doc.annotation)
    ]
    assert wrong == []


def test_the_test_sees_every_kind_of_docstring(tmp_path: Path) -> None:
    source = PACKAGE / "run_options.py"
    texts = {doc.text.splitlines()[0] for doc in docstrings(source)}
    assert {doc.annotation for doc in docstrings(source)} > {"", "bool", "int"}
    assert any(text.startswith("The options of a run") for text in texts)
    assert any(text.startswith("The names that ``executor=`` accepts") for text in texts)
