"""``llms.txt``: what language models read of the site (llmstxt.org)."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from docs.site.navigation import SECTIONS

HEAD = """\
# swarmgrid

> {summary}

Every page below is Markdown; the same page for people has the ending `.html`. All pages in one
file: [llms-full.txt](llms-full.txt).
"""


def write_llms(source: Path, site: Path) -> None:
    """Write the pages' Markdown beside the built ones, and the two lists of them."""
    pages = sorted(source.rglob("*.md"))
    parts = {_section(page.relative_to(source)): [] for page in pages}  # type: dict[str, list[str]]
    whole = []
    for page in pages:
        name = page.relative_to(source)
        text = re.sub(r"\n```\{toctree\}.*?```\n", "", page.read_text(), flags=re.DOTALL)
        text = re.sub(r"^Download .*\n\n", "", text, flags=re.MULTILINE)
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
        parts[_section(name)].append(f"- [{_title(text)}]({name}){_about(text)}")
        whole.append(f"<!-- {name} -->\n\n{text}")
    summary = _about((source / "index.md").read_text()).removeprefix(": ")
    order = [*SECTIONS, "Optional"]
    lists = [f"\n## {s}\n\n" + "\n".join(parts[s]) for s in order if s in parts]
    text = HEAD.format(summary=summary) + "\n".join(lists) + "\n"
    (site / "llms.txt").write_text(text)
    (site / "llms-full.txt").write_text("\n\n".join(whole))
    shutil.copytree(source / "images", site / "images", dirs_exist_ok=True)


def _section(page: Path) -> str:
    name = str(page.with_suffix(""))
    named = [caption for caption, names in SECTIONS.items() if name in names]
    folders = {"how-to": "How to", "reference": "Reference", "gallery": "Learn"}
    return named[0] if named else folders.get(page.parts[0], "Optional")


def _title(text: str) -> str:
    match = re.search(r"^# (.*)$", text, re.MULTILINE)
    assert match is not None
    return match[1].replace("`", "")


def _about(text: str) -> str:
    """The first sentence of a page's prose, after a colon."""
    for part in re.split(r"\n\s*\n", text)[1:]:
        if re.match(r"[A-Za-z`]+\b|\[", part) and not part.startswith("```"):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(part.split()))
            return ": " + re.split(r"(?<=[.?])\s", plain)[0].rstrip(":")
    return ""
