"""`status` says how far grids are, and `watch` what happens to them."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import swarmgrid
from swarmgrid.cli import following
from swarmgrid.cli.following import Lines, line
from swarmgrid.following.looks import Look
from swarmgrid.following.sight import WORKING, Holder
from swarmgrid.inventory.row import GridRow
from swarmgrid.store.lease_record import LeaseRecord
from tests import programs
from tests.cli.conftest import simulate
from tests.cli.shell import IN_A_TERMINAL, shell
from tests.observe.screen import session
from tests.waiting import wait_until


def test_the_state_of_all_grids(store: str) -> None:
    done = shell("status", store, "--json")
    assert done.code == 1  # a point has failed
    assert [grid["state"] for grid in done.document["grids"]] == ["complete", "failed", "complete"]
    assert done.document["grids"][1]["points"]["failed"] == 1
    assert done.document["grids"][0]["process"] is None
    few = shell("status", store, "--where", "params.alpha=0.2")
    assert few.code == 0
    assert "complete" in few.out
    assert shell("status", store, "ffff").code == 3
    assert shell("status", store, "--where", "params.alpha=9").code == 3


def test_a_watch_of_what_is_complete_ends_at_once(store: str) -> None:
    done = shell("status", store, "--watch", "--tag", "site=north")
    assert done.code == 0
    assert done.out.count("100%") == 2
    waited = shell("status", store, "--watch", "--json")
    assert (waited.code, len(waited.document["grids"])) == (1, 3)


def test_a_line_says_it_all(capsys: pytest.CaptureFixture[str]) -> None:
    row = GridRow("0" * 32, "f", "f", points_total=200, points_computed=50, points_failed=2,
                  checksum="x")  # fmt: skip
    lease = LeaseRecord.of_this_process(30)
    look = Look(row, Holder(WORKING, lease), rate=12.5)
    assert line(look) == (
        f"f/{'0' * 12}   25%  50 of 200  2 failed  12.5 points/s  about 12 s left  "
        f"running pid {lease.pid} on {lease.host}"
    )
    show = Lines()
    for one in (look, look, replace(look, row=row._replace(points_computed=60))):
        show([one])
    assert len(capsys.readouterr().out.splitlines()) == 2


RUN = """
import sys, time
from pathlib import Path
import swarmgrid
folder = Path(sys.argv[1])
def slow(x):
    while not (folder / f"go-{x}").exists():
        time.sleep(0.01)
    return x
swarmgrid.stream({}, {"x": range(3)}, func=slow, store=folder / "cache", version="1",
                 executor="sync", verbose=0, flush_interval=0.01, chunks=1)
"""


@pytest.mark.long
def test_a_run_of_another_process_is_followed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(IN_A_TERMINAL)
    (tmp_path / "cache").mkdir()
    (tmp_path / "go-0").touch()
    process = programs.start([sys.executable, "-c", RUN, str(tmp_path)])
    watch = session(script, "status", tmp_path / "cache", "--watch", columns=110)
    with watch as terminal:
        try:
            terminal.wait_for(r"33%  1 of 3 .* running pid \d+ on ")
            (tmp_path / "go-1").touch()
            terminal.wait_for(r"67%  2 of 3 .* points/s")
            process.kill()
            process.wait()
            terminal.wait_for(r"67%  2 of 3  killed pid ")
            (tmp_path / "shown").touch()
            assert terminal.end() == 1
        finally:
            process.kill()
            process.wait()
    lines = terminal.screen.text()
    assert len([one for one in lines if "of 3" in one]) == 1  # it stays in its place
    found = shell("status", tmp_path / "cache", "--json").document["grids"][0]
    assert found["state"] == "killed"
    assert found["process"]["pid"] == process.pid
    wait_until(lambda: swarmgrid.catalog(tmp_path / "cache").rows[0].points_computed == 2)


# ---- watch


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


def add(a: int) -> int:
    return a + 1


def test_a_function_whose_name_could_be_digits_of_an_id() -> None:
    store = "memory://watched-digits"
    done = shell("watch", store, "add", "--timeout", 0)
    assert (done.code, done.out) == (0, "")
    assert done.err == f"nothing in '{store}' is named 'add' now\n"
    watched = swarmgrid.watch(store, "add", timeout=0)
    swarmgrid.stream(add, axes={"a": [1]}, store=store, executor="sync", verbose=0)
    assert {event.function for event in watched} == {"add"}
    for name in ("add", "add/"):
        done = shell("watch", store, name, "--timeout", 0)
        assert "points computed: 1;" in done.out
        assert done.err == ""
    grid = swarmgrid.Grid.open(store, "add/")
    token = [event.token for event in swarmgrid.watch(store, timeout=0)][-1]
    grid.drop()
    done = shell("watch", store, grid.id[:12], "--since", token, "--timeout", 0)
    assert "grid deleted" in done.out


def test_ctrl_c_adds_no_line_to_those_of_events(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(following, "_is_bad", interrupted)
    assert shell("watch", store, "--json") == (130, "", "")
    done = shell("watch", store)
    assert (done.code, done.out) == (130, "")
    assert "go on with --since " in done.err


def test_what_a_watch_cannot_do_is_said(store: str) -> None:
    assert shell("watch", store, "--since", "x", "--timeout", 0).code == 2
    assert "since is 'x'" in shell("watch", store, "--since", "x", "--timeout", 0).err
    assert shell("watch", store, "a", "b").code == 2
