"""Scripts and pages as cells of prose and code, and cells as a notebook or a page."""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass
from typing import Any

COMMAND_LINE = "command line"
"""The title of the cell that reads a script's options: a notebook has assignments instead."""


@dataclass(frozen=True)
class Cell:
    """A part of a script."""

    text: str
    is_code: bool


def cells_of_script(script: str, small: bool = False) -> list[Cell]:
    """The cells of a script in the percent format: ``# %%`` begins one.

    The docstring is the first cell. Comment lines at the start of a cell are its prose; so is
    a whole cell of them. The cell with the options of the command line assigns their values, and
    what is for a linter is left out.
    """
    docstring = ast.get_docstring(ast.parse(script))
    assert docstring is not None
    title, _, intro = docstring.partition("\n")
    intro = re.sub(r"\n\n    python .*", "", intro, flags=re.DOTALL)
    script = re.sub(r"  # noqa: [A-Z0-9]+(?=  #|$)", "", script, flags=re.MULTILINE)
    script = script.replace("import argparse\n", "")
    cells = [Cell(f"# {title.rstrip('.')}\n{intro}".rstrip(), is_code=False)]
    first, *others = re.split(r"^# %%", script, flags=re.MULTILINE)
    cuts = [first.split('"""', 2)[2].replace("from __future__ import annotations\n", "")]
    for cut in [*cuts, *others]:
        heading, _, body = cut.partition("\n")
        if heading.strip() == COMMAND_LINE:
            cells.append(Cell(f'store, small = "cache", {small}', is_code=True))
            continue
        cells += _cells(body.strip("\n") if cut is not first else cut.strip("\n"))
    return cells


def _cells(body: str) -> list[Cell]:
    match = re.match(r"(?:#[^\n]*(?:\n|\Z))*", body)
    assert match is not None
    prose = textwrap.dedent(re.sub(r"^# ?", "", match[0], flags=re.MULTILINE))
    code = body[match.end() :].strip("\n")
    found = [Cell(prose.strip(), is_code=False), Cell(code, is_code=True)]
    return [cell for cell in found if cell.text]


def cells_of_page(page: str) -> list[Cell]:
    """The cells of a page: its blocks fenced ``python``, and the prose between them.

    What a block prints or draws is left out: a notebook shows it when it runs. So are the targets
    of relative links: a notebook lies elsewhere.
    """
    page = re.sub(r"^!\[[^\]]*\]\([^)]*\)\n\n?", "", page, flags=_BLOCK)
    page = re.sub(r"\[([^\]]*)\]\((?![a-z]+:)[^)]*\)", r"\1", page)
    page = re.sub(r"^(```python\n.*?^```\n)\n```text\n.*?^```\n", r"\1", page, flags=_BLOCK)
    parts = re.split(r"^```python\n(.*?)^```$", page, flags=_BLOCK)
    cells = [Cell(part.strip("\n"), is_code=bool(i % 2)) for i, part in enumerate(parts)]
    return [cell for cell in cells if cell.text]


_BLOCK = re.DOTALL | re.MULTILINE


def notebook(cells: list[Cell]) -> dict[str, Any]:
    """Cells as a Jupyter notebook without outputs, of nbformat 4.5."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "cells": [_in_notebook(cell, f"cell-{number}") for number, cell in enumerate(cells)],
    }


def _in_notebook(cell: Cell, name: str) -> dict[str, Any]:
    lines = cell.text.splitlines(keepends=True)
    shared = {"id": name, "metadata": {}, "source": lines}
    if cell.is_code:
        return {"cell_type": "code", "execution_count": None, "outputs": [], **shared}
    return {"cell_type": "markdown", **shared}


def markdown(cells: list[Cell]) -> str:
    """Cells as a page."""
    return "\n\n".join(f"```python\n{c.text}\n```" if c.is_code else c.text for c in cells) + "\n"
