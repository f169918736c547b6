"""A Sphinx extension: names in code type lead to where they are documented.

The API page is Markdown that a script generates from the docstrings. Its headings, and the methods
that it lists, become objects of Sphinx's Python domain, so that other projects can link to them,
too.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

import swarmgrid
from docs.make_api import METHODS
from docs.site.inventories import names, whole

API = "reference/api"
PUBLIC = {"open", *swarmgrid.__all__}
"""What `from swarmgrid import *` gives, and the one name that it leaves to Python."""
NO_LINKS_IN = (nodes.reference, addnodes.pending_xref, nodes.title, addnodes.download_reference)


class LinkNames(SphinxTransform):
    """Turn names in code type into references."""

    default_priority = 700

    def apply(self, **_: Any) -> None:
        """Register what the API page documents, and link what this page names."""
        is_api = self.env.docname == API
        if is_api:
            for section in self.document.findall(nodes.section):
                self._register(section)
        foreign = names()
        for literal in list(self.document.findall(nodes.literal)):
            if _is_within(literal, NO_LINKS_IN):
                continue
            is_option = is_api and isinstance(literal.parent, nodes.strong)
            if target := _target(literal.astext(), foreign, is_api and not is_option):
                link = self._link(target)
                literal.replace_self(link)
                link += literal
        for kind in list(self.document.findall(nodes.emphasis)) if is_api else ():
            self._link_types(kind, foreign)

    def _register(self, section: nodes.section) -> None:
        name = section[0].astext()
        value = getattr(swarmgrid, name, None) if name in PUBLIC else None
        if value is None:
            return
        is_class = isinstance(value, type)
        is_error = is_class and issubclass(value, Exception)
        self._note(section, name, "exception" if is_error else "class" if is_class else "function")
        for item in section.findall(nodes.list_item) if is_class else ():
            text = item.astext()
            method = re.match(r"(\w+)\(", text)
            if method and hasattr(value, method[1]):
                self._note(item, f"{name}.{method[1]}", "method")

    def _note(self, node: nodes.Element, name: str, kind: str) -> None:
        target = f"swarmgrid.{name}"
        node["ids"].insert(0, target)
        self.env.domains.python_domain.note_object(target, kind, target, location=node)

    def _link(self, target: str) -> addnodes.pending_xref:
        return addnodes.pending_xref(
            "",
            refdomain="py",
            reftype="obj",
            reftarget=target,
            refdoc=self.env.docname,
            refexplicit=True,
            refwarn=True,
        )

    def _link_types(self, kind: nodes.emphasis, foreign: set[str]) -> None:
        """Link the names in the type of a parameter, such as ``str or xr.Dataset``."""
        parts: list[nodes.Node] = []
        for text in re.split(r"([A-Za-z_][\w.]*\w)", kind.astext()):
            target = _target(text, foreign, is_api=False)
            parts.append(nodes.emphasis("", text))
            if target:
                link = self._link(target)
                link += parts.pop()
                parts.append(link)
        if any(isinstance(part, addnodes.pending_xref) for part in parts):
            kind.replace_self(parts)


def _target(text: str, foreign: set[str], is_api: bool) -> str | None:
    """The name that a text in code type stands for, if it is documented somewhere."""
    if not re.fullmatch(r"[A-Za-z_][\w.]*(\(\))?", text):
        return None
    name = whole(text.removesuffix("()"))
    if name in foreign:
        return name
    own = name.removeprefix("swarmgrid.")
    owner, _, method = own.partition(".")
    if method:
        return f"swarmgrid.{own}" if method in METHODS.get(owner, ()) else None
    is_certain = own != name or own[0].isupper() or is_api
    return f"swarmgrid.{own}" if is_certain and own in PUBLIC else None


def _is_within(node: nodes.Node, kinds: tuple[type[nodes.Node], ...]) -> bool:
    parent: Any = node.parent
    while parent is not None:
        if isinstance(parent, kinds):
            return True
        parent = parent.parent
    return False


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the transform."""
    app.add_transform(LinkNames)
    return {"parallel_read_safe": True}
