"""Docstrings are plain English: a value is a noun, an effect a verb, an idea has one word."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import swarmgrid

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(swarmgrid.__file__).parent
ROOT = PACKAGE.parent
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


@functools.cache
def of_the_package() -> list[Docstring]:
    found = [doc for path in sorted(PACKAGE.rglob("*.py")) for doc in docstrings(path)]
    assert len(found) > 1500
    return found


def test_no_docstring_begins_with_a_question() -> None:
    asking = re.compile(r"(What|Who|Whoever|Whose|How|Which|Why|Where|When)\b")
    assert [doc for doc in of_the_package() if asking.match(doc.text)] == []


def test_no_description_of_a_parameter_begins_with_a_question() -> None:
    asking = re.compile(
        r"^( *)\S.*\n\1    (What|Who|Whose|How|Which|Why|Where|When)\b.*", re.MULTILINE
    )
    found = [(doc.place, one[0]) for doc in of_the_package() for one in asking.finditer(doc.text)]
    assert found == []


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


REPLACED = {
    "wanted": "requested",
    "speaks? of|spoken of": "refer to",
    "vouch(es|ed)?": "have a row, verify",
    "mend(s|ed|ing)?": "repair",
    "(un)?seal(s|ed)?": "checksum",
    "claim(s|ed|ing)?": "lease record; declare",
    "ledgers?": "task report",
    "pulses?": "heartbeat",
    "staff": "executor selection",
    "tally|tallies": "counts",
    "void(s|ed|ing)?": "invalidate",
    "innocent": "not at fault",
    "suspects?": "marked; isolated",
    "receipts?": "task result",
    "pieces?": "chunk part",
    "overseers?": "watchdog",
    "care": "handle",
    "face": "public function",
    "(who|what)soever|whoever|nobody|somebody|anybody": "a subject",
    "worth it": "save time",
}
"""Words that the glossary replaced, and the words instead."""
ALLOWED = re.compile(r"np\.void|__slots__|slots=True|edgecolors=.face")
TEXTS = [
    *PACKAGE.rglob("*.py"),
    *(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts),
    *ROOT.glob("*.md"),
    ROOT / "pyproject.toml",
    *(
        path
        for folder in ("benchmarks", "docs", "examples")
        for path in (ROOT / folder).rglob("*.py")
    ),
]


def words_of(text: str) -> str:
    """A text in which the words of names stand apart: ``_is_wanted``, ``TaskWanted``."""
    text = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", ALLOWED.sub("", text))
    return text.replace("_", " ")


def replaced_words(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a text that have a replaced word, each with what to write."""
    if not ANY_REPLACED.search(words_of(text)):  # as is nearly always so: one look for all words
        return
    for number, line in enumerate(text.splitlines(), 1):
        for word, instead in REPLACED.items():
            if re.search(rf"\b({word})\b", words_of(line), re.IGNORECASE):
                yield number, f"{line.strip()} (write: {instead})"


ANY_REPLACED = re.compile("|".join(rf"\b({word})\b" for word in REPLACED), re.IGNORECASE)


def test_words_that_were_replaced_stay_away() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line}"
        for path in TEXTS
        for number, line in replaced_words(path.read_text())
    ]
    assert found == []


def test_words_that_were_replaced_are_in_no_name_of_a_test() -> None:
    names = {
        (path.relative_to(ROOT / "tests").parts[0], name)
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert len(names) > 1000
    assert [name for _, name in sorted(names) for _ in replaced_words(name)] == []
    # of objects: see below
    rooms = {room for room, name in names if re.search(r"_merg(e|es|ed|ing)(_|$)", name)}
    assert rooms == {"memo", "store_api", "test_english.py"}


def test_the_test_sees_a_replaced_word_within_a_name() -> None:
    found = list(replaced_words("a text\nis_wanted = 1\nclass TaskLedger:\nnp.void"))
    assert [number for number, _ in found] == [2, 3]
    assert "(write: requested)" in found[0][1]


def test_objects_are_compacted_and_only_stores_are_merged() -> None:
    rooms = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\bmerg(e|es|ed|ing)\b", words_of(path.read_text()), re.IGNORECASE)
    }
    # `swarmgrid.merge`, its command and its error; below, grids are joined
    assert rooms == {"memo", "store_api", "cli", "__init__.py", "errors.py"}
