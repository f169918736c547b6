"""`snapshot`, `snapshots`, `diff` and `restore`: the past of grids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import swarmgrid
from swarmgrid.store.location import to_location
from tests.cli.conftest import simulate
from tests.cli.shell import shell

OPTIONS = {"func": simulate, "executor": "sync", "verbose": 0, "version": "1"}
LARGEST = ["--where", "params.alpha=0.4"]


def ids(store: str) -> list[str]:
    """The grids, by their alpha."""
    rows = sorted(swarmgrid.catalog(store).rows, key=lambda row: row.params["alpha"])
    return [row.grid for row in rows]


def in_order(store: str, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a command says of grids, by their alpha."""
    return sorted(documents, key=lambda one: ids(store).index(one["grid"]))


def computed(store: str) -> list[int]:
    """The computed points of each grid, by its alpha."""
    rows = sorted(swarmgrid.catalog(store).rows, key=lambda row: row.params["alpha"])
    return [row.points_computed for row in rows]


def test_a_store_is_kept_compared_and_restored(store: str) -> None:
    assert shell("snapshots", store) == (3, "", f"there is no snapshot in {store!r}\n")
    done = shell("snapshot", store, "-m", "before refit", "--expires", "30d",
                 "--snapshot-tag", "paper=draft 2", "--json")  # fmt: skip
    taken = in_order(store, done.document["snapshots"])
    assert (done.code, [one["points"] for one in taken]) == (0, [5, 8, 3])
    assert {one["message"] for one in taken} == {"before refit"}
    assert all(one["expires"] - one["time"] == pytest.approx(30 * 86400, abs=1) for one in taken)
    listed = shell("snapshots", store, "--json").document["snapshots"]
    assert in_order(store, listed) == taken
    shown = shell("snapshots", store).out
    assert "paper=draft 2" in shown
    assert taken[1]["snapshot"] in shown

    swarmgrid.stream({"alpha": 0.2}, {"s": range(7)}, store=store, **OPTIONS)
    (largest,) = swarmgrid.catalog(store).query({"params.alpha": 0.4})
    largest.delete(s=slice(0, 2))
    found = shell("diff", store, "--from", "before refit", "--json")
    assert found.code == 1
    grids = in_order(store, found.document["grids"])
    counts = [[one[name] for name in ("added", "removed", "changed")] for one in grids]
    assert counts == [[2, 0, 0], [0, 3, 0], [0, 0, 0]]
    assert grids[0]["points"] == [
        {"s": 5, "change": "added"},
        {"s": 6, "change": "added"},
    ]
    few = shell("diff", store, *LARGEST, "--from", taken[1]["snapshot"], "-n", 2)
    assert ": 0 added, 3 removed, 0 changed" in few.out
    assert few.err == "... and 1 more\n"
    assert shell("diff", store, "--from", "before refit", "--to", "before refit").code == 0
    assert shell("diff", store, "--from", "2020-01-01", "--to", "2020-01-02").code == 0

    asked = shell("restore", store, "before refit")
    assert (asked.code, "pass --yes" in asked.err) == (1, True)
    assert computed(store) == [7, 5, 3]
    kept = shell("restore", store, "before refit", "--yes", "--json")
    assert kept.code == 0
    grids = in_order(store, kept.document["grids"])
    assert [one["invalidated"] for one in grids] == [2, 0, 0]
    assert computed(store) == [5, 8, 3]
    assert shell("diff", store, "--from", "before refit").code == 0


def test_the_snapshots_of_some_grids_are_deleted(store: str) -> None:
    assert shell("snapshot", store, *LARGEST, "-m", "a").code == 0
    assert shell("snapshot", store, "-m", "b").code == 0
    asked = shell("snapshots", store, "--delete", "b")
    assert (asked.code, "nothing was changed" in asked.err) == (1, True)
    done = shell("snapshots", store, *LARGEST, "--delete", "b", "--yes", "--json")
    assert (done.code, done.document["deleted"]) == (0, True)
    left = shell("snapshots", store, "--json").document["snapshots"]
    assert sorted(one["message"] for one in left) == ["a", "b", "b"]
    gone = shell("snapshots", store, "--delete", "b", "--yes")
    assert (gone.code, gone.out) == (0, "2 snapshots deleted\n")


@pytest.mark.parametrize(
    "words",
    [
        *(["diff", "--from", "x"], ["restore", "x", "--yes"], ["snapshots", "--delete", "x"]),
        *(["snapshot", "-m", "a\nb"], ["snapshot", "--expires", "2020-01-01"]),
        *(["snapshot", "--expires", "soon"], ["snapshot", "--snapshot-tag", "paper"], ["diff"]),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_said_and_nothing_is_changed(store: str, words: list[str]) -> None:
    before = {*to_location(store).open().names("")}
    command, *rest = words
    done = shell(command, store, *rest)
    assert (done.code, done.out) == (2, "")
    assert done.err
    assert shell(command, store, "ffff", *rest).code in {2, 3}
    assert {*to_location(store).open().names("")} == before


def test_a_damaged_snapshot_is_listed_and_deleted(tmp_path: Path) -> None:
    swarmgrid.stream({"alpha": 0.2}, {"s": range(3)}, store=tmp_path, **OPTIONS)
    (taken,) = shell("snapshot", tmp_path, "-m", "a", "--json").document["snapshots"]
    (record,) = (tmp_path / "snapshots").rglob(f"{taken['snapshot']}.json")
    record.write_bytes(record.read_bytes()[:-9])
    shown = shell("snapshots", tmp_path, "--json")
    (one,) = shown.document["snapshots"]
    assert (shown.code, one["snapshot"]) == (0, record.stem)
    assert one["damage"]
    assert one["damage"].split()[0] in shell("snapshots", tmp_path).out
    assert shell("restore", tmp_path, record.stem, "--yes").code == 1
    assert shell("snapshots", tmp_path, "--delete", record.stem, "--yes").code == 0
    assert shell("snapshots", tmp_path).code == 3
