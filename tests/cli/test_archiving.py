"""`archive` moves the values of grids away, `thaw` brings them back."""

from __future__ import annotations

from pathlib import Path

from swarmgrid import Grid
from tests.cli.shell import shell


def test_grids_are_archived_and_thawed(store: str, tmp_path: Path) -> None:
    target = str(tmp_path / "tape")
    chosen = ["--where", "params.alpha=0.2"]
    asked = shell("archive", store, target, *chosen)
    assert asked.code == 1
    assert "nothing was changed; pass --yes" in asked.err
    assert not Path(target).exists()
    done = shell("archive", store, target, *chosen, "--yes", "--json")
    assert done.code == 0
    (row,) = done.document["grids"]
    assert row["archive"].startswith(target)
    assert (row["chunks"] > 0, row["bytes"] > 0) == (True, True)
    grid = Grid.open(store, row["grid"])
    assert grid.is_archived()

    shown = shell("show", store, row["grid"])
    assert row["archive"] in shown.out
    assert shell("show", store, row["grid"], "--json").document["archive"] == row["archive"]
    assert shell("ls", store).code == 0
    failed = shell("export", store, row["grid"], str(tmp_path / "x.csv"))
    assert failed.code == 2
    assert "swarmgrid thaw STORE" in failed.err
    checked = shell("verify", store, "--json")
    assert checked.code == 0
    assert "none is lost" in checked.err
    assert row["grid"] not in [one["grid"] for one in checked.document["grids"]]
    assert shell("repair", store, "--yes").code == 0
    assert shell("delete", store, row["grid"], "--yes").code == 2

    assert shell("thaw", store).code == 1
    thawed = shell("thaw", store, row["grid"][:12], "--yes")
    assert (thawed.code, "1 grid thawed" in thawed.out) == (0, True)
    assert not grid.is_archived()
    assert shell("verify", store).code == 0
    assert shell("thaw", store, "--yes").code == 0
    assert shell("archive", store, store, *chosen, "--yes").code == 2
    assert shell("archive", store, target, "--where", "params.alpha>5", "--yes").code == 3
    assert shell("archive", store, target, *chosen, "--storage-class", "X", "--yes").code == 2
