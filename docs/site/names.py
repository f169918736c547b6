"""A Sphinx extension: names in code type lead to where they are documented.

The API page is Markdown that a script generates from the docstrings. Its headings become
objects of Sphinx's Python domain, so that other projects can link to them, too.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

import swarmgrid
from docs.site.inventories import names, whole

API = "reference/api"
PUBLIC = {"open", *swarmgrid.__all__}
"""What `from swarmgrid import *` gives, and the one name that it leaves to Python."""


class LinkNames(SphinxTransform):
    """Turn names in code type into references."""

    default_priority = 700

    def apply(self, **_: Any) -> None:
        """Register the API page's headings, and link what this page names."""
        if self.env.docname == API:
            self._register()
        foreign = names()
        for literal in list(self.document.findall(nodes.literal)):
            if _is_within_link_or_title(literal):
                continue
            if target := _target(literal.astext(), foreign):
                self._link(literal, target)

    def _register(self) -> None:
        domain = self.env.domains.python_domain
        for section in self.document.findall(nodes.section):
            name = section[0].astext().partition("(")[0]
            if not is_public(name):
                continue
            section["ids"].insert(0, f"swarmgrid.{name}")
            value = _value(name)
            kind = "class" if isinstance(value, type) else "function"
            if isinstance(value, type) and issubclass(value, Exception):
                kind = "exception"
            if "." in name:
                kind = "method"
            domain.note_object(f"swarmgrid.{name}", kind, f"swarmgrid.{name}", location=section)

    def _link(self, literal: nodes.literal, target: str) -> None:
        link = addnodes.pending_xref(
            "",
            refdomain="py",
            reftype="obj",
            reftarget=target,
            refdoc=self.env.docname,
            refexplicit=True,
            refwarn=True,
        )
        literal.replace_self(link)
        link += literal


def _target(text: str, foreign: set[str]) -> str | None:
    """The name that a piece of code type stands for, if it is documented somewhere."""
    if not re.fullmatch(r"[A-Za-z_][\w.]*(\(\))?", text):
        return None
    name = whole(text.removesuffix("()"))
    if name in foreign:
        return name
    own = name.removeprefix("swarmgrid.")
    if (own != name or own[0].isupper()) and own in dir(swarmgrid):
        return f"swarmgrid.{own}"
    return None


def is_public(name: str) -> bool:
    """Whether a heading is a public name, or a method of one: ``Grid.verify``."""
    return name.partition(".")[0] in dir(swarmgrid) and _value(name) is not None


def _value(name: str) -> Any:
    value: Any = swarmgrid
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def _is_within_link_or_title(node: nodes.Node) -> bool:
    parents = (nodes.reference, addnodes.pending_xref, nodes.title, addnodes.download_reference)
    parent: Any = node.parent
    while parent is not None:
        if isinstance(parent, parents):
            return True
        parent = parent.parent
    return False


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the transform."""
    app.add_transform(LinkNames)
    return {"parallel_read_safe": True}
