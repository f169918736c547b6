"""Scripts and pages as notebooks."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from docs.site import gallery
from docs.site.cells import Cell, cells_of_page, cells_of_script, markdown, notebook
from docs.site.navigation import toctrees

ROOT = Path(__file__).parents[2]

SCRIPT = '''\
"""Measure a thing.

Why, and how.

    python examples/thing.py [--store DIR]
"""

from __future__ import annotations

import argparse

import numpy as np  # noqa: F401  # a reason

# %% command line
store = input()
# %%
# A title for a reader:
# `code` in it.

# A comment of the code.
x = np.arange(3)
# %%
# Prose alone.
'''


def test_a_script_is_prose_and_code() -> None:
    assert cells_of_script(SCRIPT, small=True) == [
        Cell("# Measure a thing\n\nWhy, and how.", is_code=False),
        Cell("import numpy as np  # a reason", is_code=True),
        Cell('store, small = "cache", True', is_code=True),
        Cell("A title for a reader:\n`code` in it.", is_code=False),
        Cell("# A comment of the code.\nx = np.arange(3)", is_code=True),
        Cell("Prose alone.", is_code=False),
    ]


def test_a_page_is_prose_and_code_without_what_it_prints() -> None:
    code, output = "```python\nprint(1)\n```", "```text\n1\n```"
    picture, link = "![what](../x.png)\n\n", "[More](../more.md)"
    page = f"# Title\n\n{picture}Text. {link}, [far](https://example.org).\n\n{code}\n\n{output}\n\nMore.\n\n```sh\nls\n```\n"
    assert cells_of_page(page) == [
        Cell("# Title\n\nText. More, [far](https://example.org).", is_code=False),
        Cell("print(1)", is_code=True),
        Cell("More.\n\n```sh\nls\n```", is_code=False),
    ]


def test_a_notebook_has_a_name_for_each_cell() -> None:
    cells = notebook(cells_of_script(SCRIPT))["cells"]
    assert [cell["cell_type"] for cell in cells][:2] == ["markdown", "code"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    assert "".join(cells[4]["source"]) == "# A comment of the code.\nx = np.arange(3)"


def test_a_page_of_cells_shows_their_code() -> None:
    assert "```python\nimport numpy as np  # a reason\n```\n" in markdown(cells_of_script(SCRIPT))


@pytest.mark.parametrize("script", gallery.examples(), ids=lambda path: path.stem)
def test_an_example_has_an_introduction_prose_and_a_picture_that_is_small(script: Path) -> None:
    cells = cells_of_script(script.read_text())
    assert len([cell for cell in cells if not cell.is_code]) > 1
    assert 'store, small = "cache", False' in [cell.text for cell in cells]
    ast.parse("\n".join(cell.text for cell in cells if cell.is_code))
    assert (ROOT / "docs" / "images" / f"{script.stem}.png").stat().st_size < 150_000
    assert f"]({script.name})" in (ROOT / "examples" / "README.md").read_text()


def test_every_page_is_in_the_navigation() -> None:
    docs = ROOT / "docs"
    listed = toctrees(docs).split()
    pages = {str(p.relative_to(docs).with_suffix("")) for p in docs.rglob("*.md")}
    within = {page for page in pages if page.startswith("explanation/decisions/")}
    assert pages - within - {"index"} <= set(listed)
