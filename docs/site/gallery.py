"""The gallery: a page and a notebook for each example that has a picture."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from docs.site.cells import Cell, cells_of_page, cells_of_script, markdown, notebook

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
NOTEBOOKS = ["tutorials/first-grid", "how-to/monte-carlo", "how-to/plot"]
"""Pages that are notebooks, too."""


def examples() -> list[Path]:
    """The scripts of the gallery, as ``examples/README.md`` orders them."""
    table = (ROOT / "examples" / "README.md").read_text()
    scripts = [p for p in (ROOT / "examples").glob("*.py") if (IMAGES / f"{p.stem}.png").exists()]
    return sorted(scripts, key=lambda script: table.find(f"({script.name})"))


def write_gallery(folder: Path) -> None:
    """Write the gallery's pages, scripts and notebooks into a new folder."""
    folder.mkdir()
    cards = []
    for script in examples():
        cells = cells_of_script(script.read_text())
        shutil.copy(script, folder)
        write_notebook(cells, folder / f"{script.stem}.ipynb")
        (folder / f"{script.stem}.md").write_text(_page(script.stem, cells))
        cards.append(_card(script.stem, cells))
    table = (ROOT / "examples" / "README.md").read_text()
    intro = table.partition("\n|")[0].strip()
    grid = "\n".join(["``````{grid} 1 2 2 3", ":gutter: 3", "", *cards, "``````"])
    pages = "\n".join(script.stem for script in examples())
    tree = f"```{{toctree}}\n:hidden:\n\n{pages}\n```\n"
    (folder / "index.md").write_text(f"{intro}\n\n{grid}\n\n{tree}")


def write_notebooks(folder: Path) -> None:
    """Write the notebooks of pages beside them, and lead from each page to its own."""
    for page in NOTEBOOKS:
        source = folder / f"{page}.md"
        text = source.read_text()
        write_notebook(cells_of_page(text), source.with_suffix(".ipynb"))
        title, _, rest = text.partition("\n")
        link = f"Download this page as a [notebook]({source.stem}.ipynb)."
        source.write_text(f"{title}\n\n{link}\n{rest}")


def write_notebook(cells: list[Cell], file: Path) -> None:
    """Write cells as a notebook."""
    file.write_text(json.dumps(notebook(cells), indent=1) + "\n")


def _title(cells: list[Cell]) -> str:
    return cells[0].text.partition("\n")[0].removeprefix("# ")


def _card(name: str, cells: list[Cell]) -> str:
    lines = [f":link: {name}", ":link-type: doc", f":img-top: ../images/{name}.png"]
    return "\n".join([f"`````{{grid-item-card}} {_title(cells)}", *lines, "`````", ""])


def _page(name: str, cells: list[Cell]) -> str:
    title, *rest = cells
    picture = Cell(f"![{_title(cells)}](../images/{name}.png)", is_code=False)
    links = f"Download it as a [script]({name}.py) or as a [notebook]({name}.ipynb)."
    return markdown([title, picture, Cell(links, is_code=False), *rest])
