"""Runs that are killed, again and again, until they are done: nothing wrong, nothing lost."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from bisect import bisect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swarmgrid
from tests import programs
from tests.long import first
from tests.scenarios.test_processes import of_script
from tests.waiting import PATIENCE

FLUSH_SECONDS = 0.1
FLUSH_CALLS = 4000
LATEST_SECONDS = 30.0
"""After so many further calls and so long, a point's result is in the store. A task ends after two
seconds; its results wait for the flush that is at work, and for their own. A busy machine makes
few calls in that time."""
N_LONG_RUNS = int(os.environ.get("SWARMGRID_CHAOS_RUNS", "5"))
KILLS = int(os.environ.get("SWARMGRID_CHAOS_KILLS", "120"))
"""Of the long runs: they take half an hour, and `.ci/run` has fewer."""
SCRIPT = """
import json, os, sys, time, swarmgrid

def point(x, y):
    time.sleep(0.002)
    with open(sys.argv[2], "a") as file:
        file.write(f"\\n{x} {y} {time.time()} {os.getpid()} whole")
    return {"value": x * 1000.0 + y, "row": [x, y] * swarmgrid_array}

import numpy as np
swarmgrid_array = np.ones(2)

swarmgrid.compute(axes={"x": range(int(sys.argv[3])), "y": range(25)}, func=point, version="1",
                  store=sys.argv[1], executor="processes", workers=2, verbose=0, chunks=5,
                  shards=json.loads(sys.argv[5]), flush_interval=float(sys.argv[4]),
                  on_error="record")
"""


def point(x: int, y: int) -> Any:
    """Stands for the function of the script, where results are only read."""


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("every", first(1, [60, 1]))
def test_a_kill_at_any_step_of_a_write_loses_nothing(tmp_path: Path, every: int) -> None:
    assert kills_at_every_step(tmp_path / "work", "run", every) > 100 // every


@pytest.mark.parametrize("every", first(0, [40, 1]))
def test_a_kill_at_any_step_of_a_conversion_loses_nothing(tmp_path: Path, every: int) -> None:
    assert kills_at_every_step(tmp_path / "work", "conversion", every) > 40 // every


@pytest.mark.parametrize("story", ["putting", "publication"])
@pytest.mark.parametrize("every", first(0, [7, 1]))
def test_a_kill_while_results_are_put_or_published_loses_nothing(
    tmp_path: Path, story: str, every: int
) -> None:
    assert kills_at_every_step(tmp_path / "work", story, every) > 30 // every


@pytest.mark.timeout(1200)
@pytest.mark.server
@pytest.mark.parametrize(
    ("kind", "every"), first(0, [("s3", 24), ("s3", 1), ("gs", 3), ("az", 24)])
)
def test_a_kill_at_any_request_that_changes_an_object_store_loses_nothing(
    kind: str, every: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url, options = request.getfixturevalue(kind).place(f"kills-{every}")
    server = {"url": url, "options": options}
    assert kills_at_every_step(tmp_path / "work", "run", every, json.dumps(server)) > 40 // every


@pytest.mark.parametrize("every", first(0, [5]))
def test_a_kill_at_any_write_of_a_key_value_store_loses_nothing(
    place: tuple[str, dict[str, Any]], tmp_path: Path, every: int
) -> None:
    every *= 8 if place[0].startswith("dynamodb") else 1  # moto is slow
    server = json.dumps({"url": f"{place[0]}-{every}", "options": place[1]})
    assert kills_at_every_step(tmp_path / "work", "run", every, server) > 40 // every
    assert kills_at_every_step(tmp_path / "work", "conversion", every, server) > 20 // every


def kills_at_every_step(*arguments: object) -> int:
    script = Path(__file__).with_name("kill_at_every_step.py")
    done = subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return int(json.loads(done.stdout)["kills"])


@pytest.mark.parametrize(
    ("shards", "n", "kills"),
    first(0, [({"x": 20, "y": 15}, 60, 3), (False, 320, 9), ({"x": 20, "y": 15}, 100, 6)]),
)
def test_a_run_killed_at_random_instants_ends_complete(
    tmp_path: Path, shards: Any, n: int, kills: int
) -> None:
    killed_until_done(tmp_path, n=n, kills=kills, seed=1, shards=shards)


@pytest.mark.chaos
@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(N_LONG_RUNS))
def test_a_long_run_killed_very_often_ends_complete(tmp_path: Path, seed: int) -> None:
    shards = None if seed == 0 else False  # None: chosen, as there are 1,500 tiny chunks
    killed_until_done(tmp_path, n=1500, kills=KILLS, seed=seed, shards=shards)


def killed_until_done(tmp_path: Path, n: int, kills: int, seed: int, shards: Any) -> None:
    """``n`` times 25 points in chunks of 5 times 5, in a process that is killed so many times."""
    chance = random.Random(seed)
    script, calls = tmp_path / "script.py", tmp_path / "calls"
    script.write_text(SCRIPT.replace("[x, y] * swarmgrid_array", "np.array([x, y])"))
    calls.touch()
    command = [sys.executable, str(script), str(tmp_path / "s"), str(calls), str(n)]
    command += [str(FLUSH_SECONDS), json.dumps(shards)]
    killed_at = []
    for turn in range(kills):
        run = programs.start(command, stderr=subprocess.PIPE, text=True)
        before = len(calls.read_text().splitlines())
        enough = before + chance.choice([20, 200, FLUSH_CALLS + 500])
        while run.poll() is None and len(calls.read_text().splitlines()) < enough:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.2))
        victims = {0: [run.pid], 1: workers(calls), 2: [*workers(calls), run.pid]}[turn % 3]
        for pid in victims:
            try:
                signal.pidfd_send_signal(pidfd(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
        killed_at.append(time.time())
        if turn % 3 == 1:  # the coordinator goes on without them
            time.sleep(chance.uniform(0.2, 0.6))
            run.kill()
            killed_at.append(time.time())
        run.communicate()
        check_what_a_kill_leaves(tmp_path / "s")
    end = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=10 * PATIENCE
    )
    assert end.returncode == 0, end.stderr
    check(tmp_path / "s", n)
    check_calls(calls, killed_at, n)


def pidfd(pid: int) -> int:
    return os.pidfd_open(pid)


def whole_lines(calls: Path) -> list[list[str]]:
    """What each call has noted; a kill may have torn a line."""
    lines = [line.split() for line in calls.read_text().splitlines()]
    return [fields[:4] for fields in lines if len(fields) == 5 and fields[4] == "whole"]


def workers(calls: Path) -> list[int]:
    """The worker processes that made the last calls."""
    return sorted({int(pid) for *_, pid in whole_lines(calls)[-30:]})


def check_what_a_kill_leaves(store: Path) -> None:
    """No damage, before the next run has tidied up."""
    grid = swarmgrid.GridFunction(of_script(point, store.parent), version="1", store=store)
    with contextlib.suppress(swarmgrid.InputError):  # nothing is stored yet
        report = grid.verify(axes=["x", "y"])
        assert report.is_clean, report


def check(store: Path, n: int) -> None:
    grid = swarmgrid.GridFunction(of_script(point, store.parent), version="1", store=store)
    ds = grid.open(axes=["x", "y"]).load()
    x, y = np.meshgrid(np.arange(n), np.arange(25), indexing="ij")
    np.testing.assert_array_equal(ds["value"], x * 1000.0 + y)
    np.testing.assert_array_equal(ds["row"], np.stack([x, y], -1))
    assert grid.errors(axes=["x", "y"]).empty
    report = grid.verify(axes=["x", "y"])
    assert report.is_clean, report
    left = [note for note in report.notes if not note.key.startswith("locks/")]
    assert left == [], report  # where the last kill fell after the last commit, its lease is left


def check_calls(calls: Path, killed_at: list[float], n: int) -> None:
    """No point that was finished long before a kill was computed again."""
    times: dict[str, list[float]] = {}
    for x, y, at, _ in whole_lines(calls):
        times.setdefault(f"{x},{y}", []).append(float(at))
    assert len(times) == n * 25
    begun = sorted(itertools.chain.from_iterable(times.values()))
    for name, found in times.items():
        for at in sorted(found)[:-1]:
            kill = min(k for k in killed_at if k >= at)
            later = bisect(begun, kill) - bisect(begun, at)
            lost = f"{name} was lost, {later} calls and {kill - at:.1f} s before a kill"
            assert later < FLUSH_CALLS or kill - at < LATEST_SECONDS, lost
