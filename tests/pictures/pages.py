"""Pages as a browser reads them: their elements, and what they would load."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

VOID = {"img", "meta", "br"}


class Page(HTMLParser):
    """The elements of a page, which must be closed in order, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        """Each element's name, and the names of its attributes."""
        self.loaded: list[str] = []
        """The addresses that it loads from; links are none of them."""
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        found = dict(attrs)
        self.loaded += [found[name] for name in ("src", "srcset", "data") if name in found]
        self.loaded += re.findall(r"url\(([^)]*)\)|@import", found.get("style", ""))
        self.ids += [found["id"]] if "id" in found else []
        if "href" in found:
            (self.links if tag == "a" else self.loaded).append(found["href"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            assert "url(" not in data
            assert "@import" not in data
        else:
            self.text += data
