"""The built site: no dead link, no request to another host; its notebooks run."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import swarmgrid
from docs.site import gallery
from docs.site.cells import cells_of_page, cells_of_script, notebook
from docs.site.check import problems
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.site, pytest.mark.long]
NOTEBOOKS = [*gallery.examples(), *(ROOT / "docs" / f"{page}.md" for page in gallery.NOTEBOOKS)]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning of Sphinx is an error."""
    pytest.importorskip("furo")
    # The processes of a test run share the site that the first of them has built.
    shared = tmp_path_factory.getbasetemp()
    folder = (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "site"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "llms.txt").exists():
            _build(folder)
    return folder


def _build(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "docs.site", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_link_is_dead_and_nothing_is_loaded_from_another_host(site: Path) -> None:
    assert len(list(site.rglob("*.html"))) > 40
    assert problems(site) == []


def test_every_public_name_has_a_place_that_other_projects_can_link_to(site: Path) -> None:
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, uri: uri)
    found = {name for kind in inventory for name in inventory[kind] if kind.startswith("py:")}
    assert {f"swarmgrid.{name}" for name in dir(swarmgrid)} <= found


def test_names_lead_to_where_they_are_documented(site: Path) -> None:
    page = (site / "index.html").read_text()
    assert 'href="https://docs.xarray.dev/en/stable/generated/xarray.Dataset.html' in page
    page = (site / "how-to" / "use-a-cluster.html").read_text()
    assert 'href="../reference/api.html#swarmgrid.PointError"' in page
    page = (site / "reference" / "api.html").read_text()
    assert 'href="https://zarr.readthedocs.io/en/stable/api/zarr/abc/store/' in page
    assert 'href="#swarmgrid.Grid.verify"' in page


def test_llms_txt_lists_every_page_as_markdown(site: Path) -> None:
    text = (site / "llms.txt").read_text()
    pages = re.findall(r"^- \[.+?\]\((\S+?\.md)\)", text, re.MULTILINE)
    built = {str(p.relative_to(site)) for p in site.rglob("*.md")}
    assert text.startswith("# swarmgrid\n\n> swarmgrid evaluates an expensive function")
    assert set(pages) == built
    assert len(pages) == len(built) > 40


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    text = source.read_text()
    is_script = source.suffix == ".py"
    cells = cells_of_script(text, small=True) if is_script else cells_of_page(text)
    made = nbformat.reads(json.dumps(notebook(cells)), as_version=4)
    nbformat.validate(made)
    folder = {"metadata": {"path": tmp_path}}
    patience = dict.fromkeys(("timeout", "startup_timeout", "iopub_timeout"), PATIENCE)
    client = nbclient.NotebookClient(made, resources=folder, **patience)
    client.execute()
    outputs = [o for cell in made.cells if cell.cell_type == "code" for o in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
