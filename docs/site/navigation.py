"""The order of the pages in the site's navigation."""

from __future__ import annotations

from pathlib import Path

SECTIONS = {
    "Learn": ["tutorials/first-grid", "gallery/index"],
    "How to": [
        "how-to/install",
        "how-to/cheat-sheet",
        "how-to/grow-an-axis",
        "how-to/choose-codecs",
        "how-to/change-the-layout",
        "how-to/encrypt",
        "how-to/array-outputs",
        "how-to/monte-carlo",
        "how-to/plot",
        "how-to/survive-failures",
        "how-to/watch-a-run",
        "how-to/notebooks",
        "how-to/look-around",
        "how-to/look-at-a-store",
        "how-to/follow-a-run",
        "how-to/react-to-events",
        "how-to/from-the-shell",
        "how-to/why-computed-again",
        "how-to/use-a-cluster",
        "how-to/slurm",
        "how-to/choose-a-store",
        "how-to/use-s3",
        "how-to/open-elsewhere",
        "how-to/merge-stores",
        "how-to/scopes",
        "how-to/constant-to-axis",
        "how-to/put-known-results",
        "how-to/clean-up",
        "how-to/archive",
        "how-to/snapshots",
        "how-to/use-tiers",
        "how-to/search-outputs",
        "how-to/search-in-chroma",
        "how-to/repair",
        "how-to/memoize-a-block",
        "how-to/faq",
    ],
    "Coming from": [
        "how-to/from-joblib",
        "how-to/from-pandas",
        "how-to/from-xyzpy",
        "how-to/from-pipefunc",
        "how-to/from-append-dim",
        "how-to/from-swarm-memo",
    ],
    "Reference": ["reference/*"],
    "Explanation": [
        "explanation/architecture",
        "explanation/comparison",
        "explanation/limits",
        "explanation/reliability",
        "explanation/performance",
        "benchmarks",
        "explanation/decisions/README",
    ],
    "Project": ["changelog", "contributing"],
}
"""Pages by caption. A page that is named nowhere is added to the section of its folder."""

FOLDERS = {
    "tutorials": "Learn",
    "how-to": "How to",
    "reference": "Reference",
    "explanation": "Explanation",
}
"""The section of a folder's other pages."""


def toctrees(source: Path) -> str:
    """The hidden tables of contents of the first page, as MyST."""
    sections = {caption: _present(source, names) for caption, names in SECTIONS.items()}
    named = {name for names in sections.values() for name in names}
    for folder, caption in FOLDERS.items():
        others = sorted(p.stem for p in (source / folder).glob("*.md"))
        sections[caption] += [f"{folder}/{s}" for s in others if f"{folder}/{s}" not in named]
    return "\n".join(_toctree(names, caption) for caption, names in sections.items())


def toctree_of(folder: Path, index: Path) -> str:
    """The hidden table of contents of a folder's index page, as MyST."""
    return _toctree([page.stem for page in sorted(folder.glob("*.md")) if page != index])


def _present(source: Path, names: list[str]) -> list[str]:
    found = [sorted(source.glob(f"{name}.md")) for name in names]
    return [str(page.relative_to(source).with_suffix("")) for pages in found for page in pages]


def _toctree(names: list[str], caption: str = "") -> str:
    options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["", "```{toctree}", *options, "", *names, "```", ""])
