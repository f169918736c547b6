"""A copy of the pages with what only the site has: the source that Sphinx reads."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from docs.site.gallery import write_gallery, write_notebooks
from docs.site.inventories import write_inventories
from docs.site.navigation import toctree_of, toctrees

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
COPIED = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
"""Pages of the repository that are pages of the site, too."""


def stage(target: Path) -> None:
    """Write the source of the site into a new folder."""
    kept = shutil.ignore_patterns("*.py", "__pycache__", "site")
    shutil.copytree(DOCS, target, ignore=kept)
    shutil.copy(DOCS / "conf.py", target)
    shutil.copytree(DOCS / "site" / "static", target / "static")
    for name, page in COPIED.items():
        shutil.copy(ROOT / name, target / page)
    pages = {page: DOCS / page.relative_to(target) for page in target.rglob("*.md")}
    pages |= {target / page: ROOT / name for name, page in COPIED.items()}
    write_gallery(target / "gallery")
    for page, original in pages.items():
        page.write_text(with_links_of_the_site(page.read_text(), page, original, target))
    write_notebooks(target)
    decisions = target / "explanation" / "decisions"
    _append(decisions / "README.md", toctree_of(decisions, decisions / "README.md"))
    _append(target / "index.md", toctrees(target))
    write_inventories(target / "inventories")


def with_links_of_the_site(text: str, page: Path, original: Path, target: Path) -> str:
    """Return a page whose links into the repository lead to pages of the site.

    ``original`` is where the page lies in the repository; its links are relative to that.
    """

    def to_site(match: re.Match[str]) -> str:
        link, _, anchor = match[1].partition("#")
        if not link or re.match(r"[a-z]+:", link):
            return match[0]
        place = _place((original.parent / link).resolve(), target)
        return f"]({os.path.relpath(place, page.parent)}{'#' * bool(anchor)}{anchor})"

    blocks = re.split(r"(^ *```.*?^ *```$)", text, flags=re.DOTALL | re.MULTILINE)
    prose = [re.sub(r"\]\(([^)\s]+)\)", to_site, part) for part in blocks[::2]]
    blocks[::2] = prose
    return "".join(blocks)


def _place(linked: Path, target: Path) -> Path:
    """Where the site has what a page of the repository links to."""
    if linked == ROOT / "README.md":
        return target / "index.md"
    if linked.parent == ROOT and linked.name in COPIED:
        return target / COPIED[linked.name]
    if linked == ROOT / "examples" / "README.md":
        return target / "gallery" / "index.md"
    if linked.parent == ROOT / "examples":
        shown = target / "gallery" / f"{linked.stem}.md"
        return shown if shown.exists() else _file(linked, target)
    if linked.is_relative_to(DOCS) and linked.suffix != ".py":
        return target / linked.relative_to(DOCS)
    return _file(linked, target)


def _file(linked: Path, target: Path) -> Path:
    """A copy of a file of the repository, to download."""
    copy = target / "files" / linked.relative_to(ROOT)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(linked, copy)
    return copy


def _append(page: Path, text: str) -> None:
    page.write_text(page.read_text() + text)
