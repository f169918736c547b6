"""The distribution: what an index shows, and what the program says; `.ci/package` installs it."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import swarmgrid
from swarmgrid.cli.about import EXTRAS, NEEDED
from swarmgrid.cli.main import main

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OPTIONAL = PROJECT["project"]["optional-dependencies"]
LINK = re.compile(r"\]\((?!https?:|#)[^)]+\)")


def test_what_an_index_shows_of_the_readme_has_no_dead_links() -> None:
    readme = (ROOT / "README.md").read_text()
    hook = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    assert len(LINK.findall(readme)) > 20
    for one in hook["substitutions"]:
        readme = re.sub(one["pattern"], one["replacement"], readme)
    assert LINK.findall(readme) == []
    assert "![" not in readme
    assert len(readme) > 5000
    for title in ("# swarmgrid", "## Quick start", "## Limits"):
        assert title in readme


def test_the_program_says_what_is_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["about"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"swarmgrid {swarmgrid.__version__}, Python 3.")
    for name in NEEDED:
        assert re.search(rf"^  {name} +{re.escape(metadata.version(name))}$", text, re.MULTILINE)
    assert "'memory://name'" in text
    assert "help(swarmgrid.compute)" in text

    def nothing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", nothing)
    monkeypatch.setattr(metadata, "metadata", nothing)
    assert main(["about"]) == 0
    bare = capsys.readouterr().out
    assert bare.count("is not installed") == len(EXTRAS)
    assert "needs the extra cloud" in bare


def test_the_console_script_is_the_program() -> None:
    assert PROJECT["project"]["scripts"] == {"swarmgrid": "swarmgrid.cli.main:main"}


def test_extras_are_named_alike_everywhere() -> None:
    for extra, (package, _) in EXTRAS.items():
        assert OPTIONAL[extra][0].partition(">")[0] == package
    usual = [extra for extra in EXTRAS if extra != "chroma"]  # which is larger than all others
    assert OPTIONAL["all"] == [f"swarmgrid-zarr[{','.join(usual)}]"]
    page = (ROOT / "docs" / "how-to" / "install.md").read_text()
    for extra in OPTIONAL:
        assert f"`{extra}`" in page
