"""`export` writes one file, `copy` whole grids."""

from __future__ import annotations

from pathlib import Path

import swarmgrid
from tests.cli.shell import shell


def test_a_grid_is_exported(store: str, tmp_path: Path) -> None:
    target = tmp_path / "x.csv"
    arguments = ["export", store, "--where", "params.alpha=0.2", str(target)]
    done = shell(*arguments, "--json")
    assert done.code == 0
    assert done.document["path"] == str(target)
    assert done.document["bytes"] == target.stat().st_size
    assert len(target.read_text().splitlines()) == 6
    assert shell(*arguments).code == 2
    assert shell(*arguments, "--overwrite").code == 0
    assert shell("export", store, str(target)).code == 2
    assert shell("export", store, "ffff", str(target)).code == 3
    assert shell("export", store, "--where", "params.alpha=0.2", "x.png").code == 2


def test_grids_are_copied(store: str, tmp_path: Path) -> None:
    arguments = ["copy", store, str(tmp_path / "to"), "--where", "params.alpha<0.5"]
    done = shell(*arguments, "--json")
    assert done.code == 0
    assert (len(done.document["copied"]), done.document["left"]) == (2, [])
    assert len(swarmgrid.catalog(tmp_path / "to")) == 2
    again = shell(*arguments)
    assert again.code == 0
    assert "2 are there already" in again.err
    assert shell("copy", store, str(tmp_path / "to"), "--where", "params.alpha>5").code == 3
    assert shell("copy", store, store).code == 2
