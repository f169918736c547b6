"""`delete` and `prune` take nothing away that was not shown and agreed to."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swarmgrid
from swarmgrid.cli import removing
from swarmgrid.cli.stores import Place
from swarmgrid.store.location import to_location
from tests.cli.shell import shell


def n_computed(store: Any) -> dict[float, int]:
    """The computed points of each grid, by its param."""
    rows = swarmgrid.catalog(store).rows
    return {row.params["alpha"]: row.points_computed for row in rows}


WHOLE = {0.2: 5, 0.4: 8, 0.6: 3}


def sized(obj: str) -> int:
    return len(obj)


@pytest.mark.parametrize(
    ("selection", "n"),
    [
        (["s=0:3"], 3),
        (["s=0..3"], 4),
        (["s=..1"], 2),
        (["s=3.."], 2),
        (["s=1,4"], 2),
        (["s=2"], 1),
        (["s=[0, 1]"], 2),
    ],
)
def test_the_selected_points_are_deleted(selection: list[str], n: int, store: str) -> None:
    arguments = ["delete", store, "--where", "params.alpha=0.2"]
    for one in selection:
        arguments += ["--select", one]
    dry = shell(*arguments)
    assert dry.code == 1
    assert f"{n} computed points are selected" in dry.out
    assert n_computed(store) == WHOLE
    done = shell(*arguments, "--yes", "--json")
    assert done.code == 0
    assert (done.document["selected"], done.document["deleted"]) == (n, n)
    assert n_computed(store) == {**WHOLE, 0.2: 5 - n}


def test_points_are_invalidated(store: str) -> None:
    arguments = ["delete", store, "--where", "params.alpha=0.2", "--invalidate"]
    assert shell(*arguments).code == 2
    done = shell(*arguments, "--select", "s=1", "--yes")
    assert (done.code, done.out.splitlines()[-1]) == (0, "1 points invalidated")
    again = shell(*arguments, "--select", "s=1", "--yes")
    assert again.code == 0
    assert n_computed(store) == {**WHOLE, 0.2: 4}


@pytest.mark.parametrize("selection", ["t=1", "s", "s=a", "s=99", "s=1..x", 's={"a": 1}', "s="])
def test_a_selection_of_nothing_is_an_error(selection: str, store: str) -> None:
    done = shell("delete", store, "--where", "params.alpha=0.2", "--select", selection, "--yes")
    assert done.code == 2
    assert n_computed(store) == WHOLE


def test_a_range_without_a_stored_value_matches_nothing(store: str) -> None:
    done = shell("delete", store, "--where", "params.alpha=0.2", "--select", "s=90..99", "--yes")
    assert (done.code, "fits --select s=90..99" in done.err) == (3, True)
    assert n_computed(store) == WHOLE


@pytest.mark.parametrize("values", ["../x", '"../x"', '["../x"]'])
def test_a_label_with_dots_is_deleted_alone(values: str, tmp_path: Path) -> None:
    names = ["../x", "b", "..", "bad", "a"]
    swarmgrid.stream({}, {"obj": names}, func=sized, store=tmp_path, version="1", executor="sync")
    done = shell("delete", tmp_path, "sized", "--select", f"obj={values}", "--yes", "--json")
    assert (done.code, done.document["deleted"]) == (0, 1)
    left = swarmgrid.Grid.open(tmp_path, "sized/").exists(obj=names)
    assert left.values.tolist() == [False, True, True, True, True]


def test_labels_have_the_kind_of_their_axis(tmp_path: Path) -> None:
    days = np.array(["2026-01-01", "2026-01-02", "2026-01-03"], "M8[D]")
    axes = {"day": days, "x": [0.1, 0.2], "s": ["1", "2"], "flag": [False, True]}
    swarmgrid.stream({"alpha": 1}, axes,
                     func=lambda alpha, day, x, s, flag: x, store=tmp_path, version="1",
                     executor="sync")  # fmt: skip
    for selection, n in (("day=2026-01-02..", 16), ("x=0.1", 4), ("s=1", 2), ("flag=true", 1)):
        done = shell("delete", tmp_path, "--function", "<lambda>", "--select", selection, "--yes",
                     "--json")  # fmt: skip
        assert done.code == 0, done.err
        assert done.document["deleted"] == n


def test_whole_grids_are_deleted_if_they_are_named(store: str) -> None:
    assert shell("delete", store, "--yes").code == 2
    assert shell("delete", store, "ffff", "--yes").code == 3
    dry = shell("delete", store, "--tag", "site=north")
    assert dry.code == 1
    assert "2 grids" in dry.err
    assert "would be deleted" in dry.err
    assert n_computed(store) == WHOLE
    done = shell("delete", store, "--tag", "site=north", "--yes", "--json")
    assert done.code == 0
    assert (done.document["deleted"], len(done.document["grids"])) == (True, 2)
    assert n_computed(store) == {0.4: 8}


def test_grids_with_snapshots_are_deleted_only_with_them(store: str) -> None:
    swarmgrid.catalog(store).query({"params.alpha": 0.2}).snapshot("kept")
    refused = shell("delete", store, "--tag", "site=north", "--yes")
    assert refused.code == 2
    assert "1 grid has snapshots" in refused.err
    assert n_computed(store) == WHOLE
    assert shell("delete", store, "--tag", "site=north", "--yes", "--snapshots").code == 0
    assert n_computed(store) == {0.4: 8}


def test_a_grid_that_was_written_to_since_it_was_shown_is_left(store: str) -> None:
    place = Place(to_location(store), query={"params.alpha": 0.2})
    (row,) = place.rows()
    assert removing._drop_each(place, [row._replace(written=row.written - 1)]) != []
    assert n_computed(store) == WHOLE
    assert removing._drop_each(place, [row]) == []
    assert n_computed(store) == {0.4: 8, 0.6: 3}


@pytest.mark.parametrize("alpha", [0.2, 0.6])
def test_an_archived_grid_keeps_all_that_are_selected_wherever_it_stands(
    alpha: float, store: str
) -> None:
    grid = swarmgrid.catalog(store)["simulate", {"alpha": alpha}]
    archive = grid.archive(f"{store}-tape").archive
    everything = ("delete", store, "--where", "points.total>0", "--yes")
    refused = shell(*everything)
    assert refused.code == 2
    assert "1 grid is archived: simulate/" in refused.err
    assert "Nothing was deleted; thaw it first, or pass --archived" in refused.err
    assert n_computed(store) == WHOLE
    assert shell(*everything, "--archived").code == 0
    assert n_computed(store) == {}
    assert n_computed(archive) == {alpha: WHOLE[alpha]}


def test_a_snapshot_of_the_last_grid_keeps_all_that_are_selected(store: str) -> None:
    swarmgrid.catalog(store)["simulate", {"alpha": 0.6}].snapshot()
    everything = ("delete", store, "--where", "points.total>0", "--yes")
    assert shell(*everything).code == 2
    assert n_computed(store) == WHOLE
    pruned = shell("prune", store, "--max-bytes", "0", "--yes")
    assert (pruned.code, n_computed(store)) == (0, {0.6: 3})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("", 130)])
def test_a_terminal_is_asked(
    answer: str, code: int, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from swarmgrid.cli.main import main

    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert main(["delete", store, "--tag", "site=south"]) == code
    assert (0.4 in n_computed(store)) is (code != 0)


def test_prune_shows_what_it_would_delete(store: str) -> None:
    assert shell("prune", store).code == 2
    assert shell("prune", store, "--older-than", "soon").code == 2
    assert shell("prune", store, "more", "--max-bytes", "0").code == 2
    assert shell("prune", store, "--older-than", "1h").code == 0
    dry = shell("prune", store, "--max-bytes", "0", "--keep", "tags.site=south")
    assert dry.code == 1
    assert "2 grids" in dry.err
    assert n_computed(store) == WHOLE
    done = shell("prune", store, "--max-bytes", "0", "--keep", "tags.site=south", "-y", "--json")
    assert done.code == 0
    assert done.document["deleted"]
    assert n_computed(store) == {0.4: 8}


def test_prune_deletes_snapshots_that_have_expired_once_that_is_agreed(store: str) -> None:
    first, second, third = swarmgrid.catalog(store)
    first.snapshot("gone", expires=0)
    second.snapshot("kept", expires="30d")
    third.snapshot("gone", expires=0)
    keep = ("--keep", "params.alpha=0.6")
    dry = shell("prune", store, "--max-bytes", "0", *keep)
    assert dry.code == 1
    assert "1 grid, " in dry.err
    assert "would be deleted; 2 expired snapshots would be deleted" in dry.err
    assert [len(grid.snapshots()) for grid in (first, second, third)] == [1, 1, 1]
    # of a grid that stays, too
    done = shell("prune", store, "--max-bytes", "0", *keep, "--yes", "--json").document
    assert (len(done["grids"]), done["in_use"], done["snapshots"]) == (1, [], 2)
    assert n_computed(store) == {0.4: 8, 0.6: 3}
    assert [len(grid.snapshots()) for grid in (second, third)] == [1, 0]
    third.snapshot("gone", expires=0)
    asked = shell("prune", store, "--older-than", "30d")
    assert (asked.code, len(third.snapshots())) == (1, 1)
    done = shell("prune", store, "--older-than", "30d", "--yes")
    assert (done.code, third.snapshots()) == (0, [])
    assert "0 grids, 0 B deleted; 1 expired snapshot deleted" in done.err
