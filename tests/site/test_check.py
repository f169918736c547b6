"""The check of the built site finds what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.site.check import problems


def site(folder: Path, body: str) -> Path:
    """A site of two pages."""
    (folder / "sub").mkdir()
    (folder / "index.html").write_text(f"<html><body>{body}</body></html>")
    (folder / "sub" / "page.html").write_text(
        '<h1 id="top">Page</h1><a href="../index.html">x</a>'
    )
    return folder


@pytest.mark.parametrize(
    "body",
    [
        '<a href="sub/page.html#top">x</a>',
        '<a href="https://docs.xarray.dev/en/stable/">a link that one clicks</a>',
        '<a href="mailto:a@example.org">x</a>',
        '<img src="data:image/png;base64,AAAA">',
        '<link rel="canonical" href="https://example.org/">',
        "<style>div { background: url(#x) }</style>",
    ],
)
def test_a_sound_page_has_no_problems(tmp_path: Path, body: str) -> None:
    assert problems(site(tmp_path, body)) == []


@pytest.mark.parametrize(
    "body",
    [
        '<script src="https://cdn.example.org/x.js"></script>',
        '<script src="//cdn.example.org/x.js"></script>',
        '<link rel="stylesheet" href="https://example.org/x.css">',
        '<link rel="preconnect" href="https://fonts.example.org">',
        '<img src="https://example.org/badge.svg">',
        '<img srcset="https://example.org/a.png 2x">',
        '<iframe src="https://example.org/"></iframe>',
        "<style>@import 'https://example.org/x.css';</style>",
        "<style>@font-face { src: url(https://example.org/x.woff2) }</style>",
        '<p style="background: url(https://example.org/x.png)">x</p>',
    ],
)
def test_a_request_to_another_host_is_found(tmp_path: Path, body: str) -> None:
    (problem,) = problems(site(tmp_path, body))
    assert problem.startswith("index.html loads ")


def test_a_style_sheet_that_loads_from_another_host_is_found(tmp_path: Path) -> None:
    folder = site(tmp_path, "")
    (folder / "site.css").write_text("@font-face { src: url('//example.org/x.woff2') }")
    assert problems(folder) == ["site.css loads //example.org/x.woff2"]


@pytest.mark.parametrize(
    "target", ["missing.html", "sub/page.html#missing", "#missing", "sub", "sub/../../index.html"]
)
def test_a_dead_link_is_found(tmp_path: Path, target: str) -> None:
    found = problems(site(tmp_path / "site", f'<a href="{target}">x</a>'))
    assert found == [f"index.html: {target} leads nowhere"]


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("http://github.com/", "is no link by https"),
        ("javascript:alert(1)", "is no link by https"),
        ("https://docs.xarray.dve/", "leads to a host"),
        ("//docs.xarray.dev/", "is no link by https"),
        ("https://github.com//a", "is no sound address"),
        ("https://github.com/a b", "is no sound address"),
        ("https://github.com/a).", "is no sound address"),
        ("https://github.com/{name}", "is no sound address"),
        ("https://github.com/100%", "is no sound address"),
    ],
)
def test_an_unsound_link_to_another_site_is_found(tmp_path: Path, link: str, why: str) -> None:
    (problem,) = problems(site(tmp_path / "site", f'<a href="{link}">x</a>'))
    assert problem.startswith(f"index.html: {link} {why}")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
