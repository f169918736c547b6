"""What is wrong with the links of a built site; and what it loads from another host."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from docs.site.inventories import projects

LOADED = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "input": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "track": "src",
    "video": "src",
}
"""The attribute by which a tag makes a browser load something."""
NOT_LOADED = {"canonical", "index", "search", "next", "prev", "author", "help", "license"}
"""Kinds of ``<link>`` that a browser does not follow by itself."""
HOSTS = {
    "cupy.dev",
    "developmentseed.org",
    "github.com",
    "jobqueue.dask.org",
    "keepachangelog.com",
    "pradyunsg.me",  # the footer of the theme
    "semver.org",
    "www.sphinx-doc.org",  # the same
    "www.trychroma.com",
}
"""The hosts to which pages may link, besides those of the inventories."""
STYLE = re.compile(r"""(?:@import\s+|url\()\s*["']?([^"')\s]+)""")


@dataclass
class Page(HTMLParser):
    """The links, loads and anchors of a page."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what a tag links to, loads and names."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        kinds = set(values.get("rel", "").split())
        if tag in LOADED and LOADED[tag] in values and not (tag == "link" and kinds & NOT_LOADED):
            self.loads.append(values[LOADED[tag]])
        if "srcset" in values:
            self.loads += [part.split()[0] for part in values["srcset"].split(",")]
        self.loads += STYLE.findall(values.get("style", ""))

    def handle_data(self, data: str) -> None:
        """Collect what a style sheet within the page loads."""
        if self.rawdata and self.cdata_elem == "style":
            self.loads += STYLE.findall(data)


def problems(site: Path) -> list[str]:
    """Return a line for each dead or unsound link, and for each request to another host."""
    site = site.resolve()
    hosts = HOSTS | {urlsplit(project["url"]).netloc for project in projects().values()}
    pages = {file: _read(file) for file in sorted(site.rglob("*.html"))}
    found = []
    for file, page in pages.items():
        name = file.relative_to(site)
        found += [f"{name} loads {load}" for load in page.loads if _is_elsewhere(load)]
        loads = [load for load in page.loads if not load.startswith("#")]
        targets = [*page.links, *(load for load in loads if not _is_elsewhere(load))]
        found += [f"{name}: {t} leads nowhere" for t in targets if _is_dead(t, file, pages)]
        found += [f"{name}: {link} {why}" for link in page.links if (why := _fault(link, hosts))]
    for style in sorted(site.rglob("*.css")):
        loads = STYLE.findall(style.read_text())
        name = style.relative_to(site)
        found += [f"{name} loads {load}" for load in loads if _is_elsewhere(load)]
    return found


def _read(file: Path) -> Page:
    page = Page()
    page.feed(file.read_text())
    return page


def _is_elsewhere(target: str) -> bool:
    return bool(urlsplit(target).netloc)


def _fault(link: str, hosts: set[str]) -> str:
    """What is wrong with the text of a link to another site; empty if nothing is.

    Nothing is requested: the machines that build have no network.
    """
    parts = urlsplit(link)
    if not parts.netloc and parts.scheme in {"", "mailto"}:
        return ""
    if parts.scheme != "https":
        return "is no link by https"
    if parts.netloc not in hosts:
        return "leads to a host that is not in HOSTS of docs/site/check.py"
    if re.search(r"[\s<>\"{}|\\^`]|%(?![0-9A-Fa-f]{2})|^https://[^/]+//|[.,;:)]$", link):
        return "is no sound address"
    return ""


def _is_dead(target: str, file: Path, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return False
    path = os.path.normpath(file.parent / unquote(parts.path)) if parts.path else file
    linked, fragment = Path(path), unquote(parts.fragment)
    if linked not in pages:
        return not linked.is_file()
    return bool(fragment) and fragment not in pages[linked].anchors
