"""`scopes` lists the private parts of a store, `publish` merges one, `discard` deletes one."""

from __future__ import annotations

from pathlib import Path

import pytest

import swarmgrid
from tests.cli.shell import shell


def twice(x: int) -> int:
    return 2 * x


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    f = swarmgrid.GridFunction(
        twice, store=tmp_path / "s", executor="sync", version="1", verbose=0
    )
    f.put_many({1: 2, 2: 5})
    f.put_many({3: 6, 4: 8}, store=swarmgrid.scope("alice", tmp_path / "s"))
    f.put_many({2: 4}, store=swarmgrid.scope("bob", tmp_path / "s"), on_conflict="keep")
    return tmp_path / "s"


def test_scopes_are_listed_published_and_discarded(shared: Path) -> None:
    assert shell("scopes", str(shared), "--json").document["scopes"] == [
        {"scope": "alice", "grids": 1, "points": 2}
    ]
    assert "alice" in shell("scopes", str(shared)).out
    tried = shell("publish", str(shared), "alice", "--dry-run", "--json")
    assert (tried.code, tried.document["added"]) == (0, 2)
    assert swarmgrid.catalog(shared).rows[0].points_computed == 2
    done = shell("publish", str(shared), "alice")
    assert (done.code, "2 points added" in done.out) == (0, True)
    assert swarmgrid.catalog(shared).rows[0].points_computed == 4
    assert shell("discard", str(shared), "alice").code == 1
    assert swarmgrid.scopes(shared) == ["alice"]
    gone = shell("discard", str(shared), "alice", "--yes", "--json")
    assert (gone.code, gone.document["deleted"], gone.document["points"]) == (0, 1, 2)
    assert shell("scopes", str(shared)).code == 3
    assert shell("publish", str(shared), "alice").code == 3
    assert shell("discard", str(shared), "alice", "--yes").code == 3
    assert shell("publish", str(shared), "A/b").code == 2


def test_a_second_scope_is_refused_and_nothing_is_done(shared: Path) -> None:
    for command in ("publish", "discard"):
        done = shell(command, shared, "bob", "alice")
        assert (done.code, f"{command} was given 'bob', too" in done.err) == (2, True)
    assert shell("scopes", shared, "alice").code == 2
    assert swarmgrid.scopes(shared) == ["alice"]
    assert swarmgrid.catalog(shared).rows[0].points_computed == 2


def test_a_conflict_is_an_error_unless_the_shared_value_is_kept(shared: Path) -> None:
    f = swarmgrid.GridFunction(twice, store=shared, executor="sync", version="1", verbose=0)
    f.put_many({3: 7})
    assert shell("publish", str(shared), "alice").code == 2
    kept = shell("publish", str(shared), "alice", "--keep", "--json")
    assert (kept.code, kept.document["added"], kept.document["conflicting"]) == (1, 1, 1)
    assert f.grid().get(x=[3, 4])["value"].values.tolist() == [7, 8]
