"""``swarmgrid watch`` writes a line for each event."""

from __future__ import annotations

import json

import swarmgrid
from tests.cli.conftest import simulate
from tests.cli.shell import shell


def test_a_line_for_each_event(store: str) -> None:
    done = shell("watch", store, "--timeout", 0)
    assert done.code == 1  # a point has failed
    assert done.err == ""
    lines = done.out.splitlines()
    assert sum("points computed: " in line for line in lines) == 3
    assert sum("failed: s=7 (ValueError: seven); simulate/" in line for line in lines) == 1
    assert sum("run finished: 8 computed, 1 failed; simulate/" in line for line in lines) == 1


def test_json_lines_and_going_on_from_a_token(store: str) -> None:
    done = shell("watch", store, "simulate", "--timeout", 0, "--json")
    documents = [json.loads(line) for line in done.out.splitlines()]
    assert {document["function"] for document in documents} == {"simulate"}
    assert {"grid created", "joined", "points computed", "failed", "run finished", "left"} == {
        document["event"] for document in documents
    }
    token = documents[-1]["token"]
    assert shell("watch", store, "--since", token, "--timeout", 0) == (0, "", "")
    swarmgrid.stream(simulate, {"alpha": 0.9}, {"s": range(2)}, store=store, executor="sync",
                     verbose=0)  # fmt: skip
    done = shell("watch", store, "--since", token, "--until-finished", "--json")
    assert done.code == 0
    assert [json.loads(line)["event"] for line in done.out.splitlines()] == [
        *("grid created", "joined", "points computed", "run finished")
    ]


def test_one_grid_by_its_digits(store: str) -> None:
    grid = swarmgrid.catalog(store).rows[0].grid
    done = shell("watch", store, grid[:12], "--timeout", 0, "--json")
    assert {json.loads(line)["grid"] for line in done.out.splitlines()} == {grid}


def test_what_is_wrong_is_said(store: str) -> None:
    assert shell("watch", store, "--since", "x", "--timeout", 0).code == 2
    assert "since is 'x'" in shell("watch", store, "--since", "x", "--timeout", 0).err
    assert shell("watch", store, "a", "b").code == 2
