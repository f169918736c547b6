"""`export` writes one file, `copy` whole grids, `merge` adds points."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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


def value(x: int) -> float:
    return x + Path(os.environ["CLI_TEST_OFFSET"]).stat().st_size


def test_points_of_another_store_are_added_and_conflicts_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, values, text in (("here", range(3), ""), ("there", range(2, 5), "x")):
        offset = tmp_path / f"{name}.txt"
        offset.write_text(text)
        monkeypatch.setenv("CLI_TEST_OFFSET", str(offset))
        swarmgrid.stream({}, {"x": values}, func=value, store=tmp_path / name, version="1",
                         executor="sync")  # fmt: skip
    arguments = ["merge", str(tmp_path / "there"), str(tmp_path / "here")]
    dry = shell(*arguments, "--dry-run", "--json")
    assert dry.code == 1
    assert (dry.document["added"], dry.document["conflicting"]) == (2, 1)
    assert swarmgrid.catalog(tmp_path / "here").rows[0].points_computed == 3
    done = shell(*arguments)
    assert done.code == 1
    assert "1 in conflict" in done.out
    assert swarmgrid.catalog(tmp_path / "here").rows[0].points_computed == 5
    assert shell(*arguments, "--where", "params.x=1").code == 3
