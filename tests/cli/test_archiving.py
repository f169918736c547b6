"""`archive` moves the values of grids away, `thaw` brings them back."""

from __future__ import annotations

from pathlib import Path

import pytest

import swarmgrid
from swarmgrid import Grid
from swarmgrid.store.archive import Archive, Record, write_record
from swarmgrid.store.layout import GridPath
from swarmgrid.store.location import to_location
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
    listed = shell("ls", store)
    assert (listed.code, "archived in" in listed.out) == (0, True)
    assert target in listed.out
    members = {one["grid"]: one for one in shell("ls", store, "--json").document["grids"]}
    assert (members[row["grid"]]["archived"], members[row["grid"]]["archive"]) == (
        *(True, row["archive"]),
    )
    assert sum(one["archived"] for one in members.values()) == 1
    (one,) = shell("status", store, row["grid"], "--json").document["grids"]
    assert (one["state"], one["archived"], one["archive"]) == ("archived", True, row["archive"])
    assert "archived" in shell("status", store).out
    assert shell("ls", store, "--where", "archived=true", "--json").document["grids"] == [
        members[row["grid"]]
    ]
    failed = shell("export", store, row["grid"], str(tmp_path / "x.csv"))
    assert failed.code == 2
    assert "swarmgrid thaw STORE" in failed.err
    checked = shell("verify", store, "--json")
    assert checked.code == 0
    (one,) = [one for one in checked.document["grids"] if one["grid"] == row["grid"]]
    assert (one["archived"], one["archive"], one["chunks"]) == (True, row["archive"], 0)
    assert (one["points"], one["problems"], one["notes"]) == (5, [], [])
    assert "swarmgrid verify --archived" in shell("verify", store).out
    read = shell("verify", store, row["grid"], "--archived", "--json")
    assert (read.code, read.document["grids"][0]["chunks"]) == (0, row["chunks"])
    (chunk,) = Path(row["archive"]).glob("data.zarr/*/*/value/c.*")
    data = chunk.read_bytes()
    chunk.write_bytes(data[:-1])
    assert shell("verify", store, row["grid"]).code == 0
    assert shell("verify", store, row["grid"], "--archived").code == 1
    chunk.write_bytes(data)
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


def test_grids_are_archived_by_age(store: str, tmp_path: Path) -> None:
    target = str(tmp_path / "tape")
    none = shell("archive", store, target, "--older-than", "30d", "--yes", "--json")
    assert (none.code, none.document["grids"], none.document["in_use"]) == (0, [], [])
    n = len(shell("ls", store, "--json").document["grids"])
    asked = shell("archive", store, target, "--older-than", "0s", "--keep", "params.alpha=0.2")
    assert (asked.code, "pass --yes" in asked.err) == (1, True)
    done = shell("archive", store, target, "--max-bytes", "0", "--keep", "params.alpha=0.2",
                 "--yes", "--json")  # fmt: skip
    assert (done.code, len(done.document["grids"]), done.document["failed"]) == (0, n - 1, {})
    again = shell("archive", store, target, "--older-than", "0s", "--yes")
    assert (again.code, "1 grid archived" in again.out) == (0, True)
    assert shell("thaw", store, "--yes").code == 0
    row, *_ = shell("ls", store, "--json").document["grids"]
    blobs = to_location(store).open()
    folder = f"data.zarr/{row['function']}/{row['grid']}/value/"
    blobs.put(folder + blobs.names(folder)[0], b"damage")
    partly = shell("archive", store, target, "--older-than", "0s", "--yes", "--json")
    assert (partly.code, len(partly.document["grids"])) == (1, n - 1)
    assert "is damaged" in str(partly.document["failed"])


def test_a_whole_store_is_archived_only_if_that_is_said(store: str) -> None:
    for given in ([], ["--keep", "params.alpha=0.2"], ["--storage-class", "X"]):
        refused = shell("archive", store, f"{store}-tape", *given, "--yes")
        assert refused.code == 2
    refused = shell("archive", store, f"{store}-tape", "--yes")
    assert "nothing says which grids to archive; name a grid" in refused.err
    assert "--older-than 0s for all" in refused.err
    assert [row for row in swarmgrid.catalog(store).rows if row.archive] == []
    asked = shell("archive", store, f"{store}-tape", "--older-than", "0s")
    assert (asked.code, "pass --yes" in asked.err) == (1, True)


@pytest.mark.parametrize(
    ("alpha", "chosen"), [(0.2, ["--function", "simulate"]), (0.6, ["--older-than", "0s"])]
)
def test_an_archive_that_was_begun_elsewhere_keeps_no_other_grid_here(
    alpha: float, chosen: list[str], store: str
) -> None:
    grid = swarmgrid.catalog(store)["simulate", {"alpha": alpha}]
    begun = Record(Archive("memory://elsewhere/simulate-1", "2026-01-01T00:00:00+00:00"))
    write_record(to_location(store).open(), GridPath("simulate", grid.id), begun)
    done = shell("archive", store, f"{store}-tape", *chosen, "--yes", "--json")
    assert done.code == 1
    assert (len(done.document["grids"]), [*done.document["failed"]]) == (2, [grid.id])
    assert "in the archive 'memory://elsewhere/simulate-1'" in done.document["failed"][grid.id]
    again = shell("archive", store, f"{store}-tape", *chosen, "--older-than", "0s", "--yes")
    assert again.code == 2  # of all that there are
    assert not Grid.open(store, grid.id).state().archive
