"""The frame of the live page: what it shows comes as events, its script and style as files."""

from __future__ import annotations

from urllib.parse import quote

from swarmgrid.pictures.html import element


def page(url: str, grid: str, token: str) -> str:
    """The page of a store, or of one of its grids."""
    words = f"?token={quote(token, safe='')}" if token else "?"
    name = url.rstrip("/").rpartition("/")[2] or url
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{name} · swarmgrid"),
        element("link", rel="icon", href="data:,"),
        element("link", rel="stylesheet", href=f"/static/live.css{words}"),
        element("script", src=f"/static/live.js{words}", defer=""),
    )
    home = element("a", name, href=f"/{words}")
    body = element(
        "body",
        element(
            "header",
            element("h1", home),
            element("p", element("code", url), " ", element("span", id="link"), class_="sub"),
        ),
        element("main", id="main", data_grid=grid),
        element("noscript", "This page follows a store by a script; ", element(
            "code", "swarmgrid.report"), " writes a page that needs none."),
    )  # fmt: skip
    return "<!doctype html>\n" + element("html", head, body, lang="en")
