"""The documentation is true: its blocks run, its links lead somewhere, its API is complete."""

from __future__ import annotations

import ast
import contextlib
import doctest
import functools
import importlib
import importlib.util
import io
import linecache
import pkgutil
import re
import shlex
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import swarmgrid
from swarmgrid import options

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROSE = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
NEEDS_SERVER = {"use-s3.md"}
"""Pages whose blocks use the names ``store`` and ``storage_options`` of a server's."""
TAKES_SECONDS = {"use-a-cluster.md", "survive-failures.md"}
"""Pages that start a cluster or wait for slow points: they run with the long tests."""
NEEDS_PACKAGE = {
    "from-xyzpy.md": "xyzpy",
    "from-pipefunc.md": "pipefunc",
    "search-in-chroma.md": "chromadb",
    "search-outputs.md": "usearch",
}
"""Pages that run another package, which an extra brings."""


@dataclass(frozen=True)
class Block:
    """A block of Python in a page, and what the page says that it prints."""

    line: int
    code: str
    output: str | None


def python_blocks(text: str) -> Iterator[Block]:
    """The blocks fenced ``python``; a ``text`` fence right below shows the output."""
    fence = r"^( *)```python\n(.*?)^\1```\n(?:\n\1```text\n(.*?)^\1```\n)?"
    for match in re.finditer(fence, text, re.DOTALL | re.MULTILINE):
        _, code, output = match.groups()
        line = text[: match.start()].count("\n") + 2
        yield Block(line, textwrap.dedent(code), output and textwrap.dedent(output))


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def reset_options() -> Iterator[None]:
    with swarmgrid.set_options():
        yield
    options._global = options.Options()


WITH_BLOCKS = [page for page in PAGES if any(python_blocks(page.read_text()))]
MARKS = {
    **dict.fromkeys(NEEDS_SERVER, pytest.mark.server),
    **dict.fromkeys(TAKES_SECONDS, pytest.mark.long),
}


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=MARKS.get(page.name, ())) for page in WITH_BLOCKS],
    ids=_name,
)
@pytest.mark.filterwarnings("ignore:Port .* is already in use")  # of a dask cluster elsewhere
@pytest.mark.usefixtures("reset_options")
def test_the_blocks_of_a_page_run_and_print_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if page.name in NEEDS_PACKAGE:
        pytest.importorskip(NEEDS_PACKAGE[page.name])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")  # a page sets it
    names: dict[str, Any] = {"__name__": "__main__"}
    if page.name in NEEDS_SERVER:
        server = request.getfixturevalue("s3")
        names["store"] = server.url("docs")
        names["storage_options"] = server.storage_options()
    for block in python_blocks(page.read_text()):
        printed = _printed(block, page, names)
        if block.output is not None:
            _check_output(block.output, printed, f"{_name(page)}:{block.line}")


def _printed(block: Block, page: Path, names: dict[str, Any]) -> str:
    filename = f"<{_name(page)}:{block.line}>"
    lines = block.code.splitlines(keepends=True)
    linecache.cache[filename] = (len(block.code), None, lines, filename)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(block.code, filename, "exec"), names)
    return output.getvalue()


def _check_output(expected: str, printed: str, place: str) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    same = doctest.OutputChecker().check_output(expected, printed, flags)
    assert same, f"{place} prints\n{printed}\nbut the page says\n{expected}"


WITH_COMMANDS = [page for page in PAGES if "```console\n" in page.read_text()]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=_name)
def test_the_commands_of_a_page_print_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block that begins with ``# name.py`` is that file; a line that begins with $ runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("SWARMGRID_STORE", raising=False)
    before = {*sys.modules}
    n_commands = 0
    fence = r"^```(python|toml|console)\n(.*?)^```\n"
    for block in re.finditer(fence, page.read_text(), re.DOTALL | re.MULTILINE):
        kind, text = block.groups()
        if kind != "console":
            if name := re.match(r"# (\S+\.\w+)\n", text):
                (tmp_path / name[1]).write_text(text)
            continue
        for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
            n_commands += 1
            _check_output(expected, _shown(command), f"{_name(page)}: {command}")
    for name in {*sys.modules} - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    assert n_commands > 10


def _shown(command: str) -> str:
    """The output of a command of ours, in this process; and its exit code, if that is not 0."""
    from swarmgrid.cli.main import main

    words = shlex.split(command.partition(" | head -c ")[0])
    assert words[0] == "swarmgrid"
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(words[1:])
    text = out.getvalue()
    if " | head -c " in command:
        return text[: int(command.rpartition(" ")[2])]
    return text + (f"exit code {code}\n" if code else "")


@pytest.mark.parametrize("page", PROSE, ids=_name)
def test_the_relative_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{_name(page)} links to {target}"
        assert not anchor or anchor in _anchors(file), f"{_name(page)} links to {target}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PROSE, ids=_name)
def test_no_page_installs_a_package_that_is_not_ours(page: Path) -> None:
    assert not re.search(r"install\s+(-\S+\s+)*['\"]?swarmgrid(?!-zarr)\b", page.read_text())


def test_every_page_of_the_documentation_is_reached_from_the_readme() -> None:
    found, pending = set(), [ROOT / "README.md"]
    while pending:
        page = pending.pop()
        if page in found or page.suffix != ".md":
            continue
        found.add(page)
        targets = re.findall(r"\]\(([^)#\s:]+)[^)]*\)", page.read_text())
        pending += [(page.parent / target).resolve() for target in targets]
    assert set(PAGES) <= found


def test_every_module_that_a_page_names_exists() -> None:
    package = ROOT / "swarmgrid"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    named = [
        (page.name, room, module)
        for page in PROSE
        for room, module in re.findall(r"`(?:swarmgrid/)?(\w+)/(\w+)(?:\.py)?`", page.read_text())
        if room in rooms
    ]
    assert len(named) > 30
    assert [one for one in named if not (package / one[1] / f"{one[2]}.py").exists()] == []


def test_every_test_that_the_reliability_page_names_exists() -> None:
    page = (ROOT / "docs" / "explanation" / "reliability.md").read_text()
    section = page.split("\n## Which failure does what\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    rows = [row for row in rows if not re.match(r"\|---|.*\| test \|$", row)]
    assert len(rows) > 80
    for row in rows:
        (named,) = re.findall(r"`(tests/\S+\.py)::(test_\w+)`", row)
        assert (ROOT / named[0]).exists(), row
        assert f"def {named[1]}(" in (ROOT / named[0]).read_text(), row
        sign = row.rstrip("| ").rpartition("`")[2].strip()
        assert sign == sign_of(ROOT / named[0], named[1]), row


@functools.cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def sign_of(path: Path, name: str) -> str:
    """The page's sign of a test: all of its cases are long ones, or some, or none."""
    tree = _parsed(path)
    values = {
        ast.unparse(node.targets[0]): ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
    }
    (test,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    text = " ".join(map(ast.unparse, test.decorator_list))
    text = re.sub(r"\b[A-Z_]+\b", lambda found: values.get(found[0], found[0]), text)
    if "first(0," in text or re.search(r"\bmark\.long\b(?!\))", text):
        return "‡"
    return "†" if "first(" in text or "mark.long" in text else ""


def script(name: str) -> Any:
    """A script of the folder ``docs``, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_api_page_is_what_the_docstrings_say() -> None:
    make_api = script("make_api")
    assert make_api.PAGE.read_text() == make_api.page(), "run: python docs/make_api.py"
    headings = re.findall(r"^### (\w+)$", make_api.PAGE.read_text(), re.MULTILINE)
    assert sorted(headings) == dir(swarmgrid)


def test_the_page_of_commands_is_what_they_say() -> None:
    make_commands = script("make_commands")
    page = make_commands.page()
    assert make_commands.PAGE.read_text() == page, "run: python docs/make_commands.py"
    assert {*make_commands.FIELDS} == {*make_commands.HOMES}


ERRORS = [getattr(swarmgrid, n) for n in swarmgrid.__all__ if n.endswith("Error")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_names_its_page(error: type[Exception]) -> None:
    """That the link leads somewhere is tested with the other links of the API page."""
    (page,) = re.findall(r"^ *See docs/(\S+)$", error.__doc__ or "", re.MULTILINE)
    api = (ROOT / "docs" / "reference" / "api.md").read_text()
    assert f"](../{page}).\n" in api.split(f"\n### {error.__name__}\n")[1].split("\n### ")[0]


def has_examples(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return ">>> " in Path(spec.origin).read_text()


MODULES = [
    "swarmgrid",
    *(m.name for m in pkgutil.walk_packages(swarmgrid.__path__, "swarmgrid.") if not m.ispkg),
]


@pytest.mark.parametrize("module", list(filter(has_examples, MODULES)))
@pytest.mark.usefixtures("reset_options")
def test_the_examples_in_docstrings_are_true(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if module == "swarmgrid.indexes.grid_index":
        pytest.importorskip("usearch")
    for name in dir(swarmgrid) if module == "swarmgrid" else ():
        getattr(swarmgrid, name)  # classes say that they belong here
    result = doctest.testmod(importlib.import_module(module))
    assert result.failed == 0


def test_the_table_of_the_rooms_is_up_to_date() -> None:
    make_rooms = script("make_rooms")

    def rows(page: str) -> list[list[str]]:
        lines = page.split(make_rooms.BEGIN)[1].split(make_rooms.END, maxsplit=1)[0].splitlines()
        return [[cell.strip() for cell in line.split("|")] for line in lines[2:]]

    shown, present = rows(make_rooms.PAGE.read_text()), rows(make_rooms.page())
    for old, new in zip(shown, present, strict=True):
        n_old, n_new = (int(row[4].replace(",", "")) for row in (old, new))
        assert abs(n_old - n_new) <= max(100, 0.2 * n_new), old  # about so many lines
        assert old[:4] + old[5:] == new[:4] + new[5:]
