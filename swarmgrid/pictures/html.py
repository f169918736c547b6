"""HTML elements: their texts and attributes are escaped, wherever these come from."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from swarmgrid.readable import Html

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swarmgrid.readable import Cell

_ALONE = {"img", "meta", "link", "br"}
_EMPTY = {*_ALONE, "rect", "line", "path"}
"""Elements without content."""


def element(name: str, /, *contents: Cell, **attributes: str | float | None) -> Html:
    """An element of HTML or SVG; a text is escaped, unless it is `Html` already.

    Parameters
    ----------
    name : str
        The name of the element.
    *contents : str or Html
        Its contents.
    **attributes
        Its attributes, ``class_`` for ``class``; ``_`` stands for ``-``. None: left out; "": one
        without a value.

    Examples
    --------
    >>> element("a", "1 < 2", href="#x", class_='"')
    '<a href="#x" class="&quot;">1 &lt; 2</a>'
    """
    words = "".join(
        f" {key.rstrip('_').replace('_', '-')}"
        + (f'="{_escaped(str(value))}"' if value != "" else "")
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY:
        return Html(f"<{name}{words}>" if name in _ALONE else f"<{name}{words}/>")
    return Html(f"<{name}{words}>{joined(contents)}</{name}>")


def joined(contents: Iterable[Cell]) -> Html:
    """Contents one after the other."""
    return Html("".join(c if isinstance(c, Html) else _escaped(c) for c in contents))


def _escaped(text: str) -> str:
    """A text for HTML: without characters that no page can hold."""
    clean = "".join(
        c if c in "\n\t" or (c >= " " and not "\x7f" <= c < "\xa0") else "\ufffd" for c in text
    )
    return html.escape(clean.encode("utf-8", "replace").decode())
