"""The package can be used until the very end of a script; what `atexit` calls is part of it.

By then Python starts no pool of threads any more, and has forgotten the file of the script.
"""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import swarmgrid
from swarmgrid.tracebacks import ENDING
from tests.long import first
from tests.waiting import PATIENCE

SCRIPT = """
import asyncio, atexit, json, sys, threading, time
from pathlib import Path
import numpy as np
import swarmgrid

here = Path(__file__).parent
swarmgrid.set_options(store=here / "store", executor="sync", verbose=0)

def area(width, height=2.0):
    return width * height

def wave(x):
    return np.sin(np.arange(20_000.0) * x)  # chunks of two: threads read such large ones

def fails(x):
    raise ValueError(x)
"""

EVERYTHING = """
def block():
    state = swarmgrid.State({"a": 1.0})
    with swarmgrid.memoize(state, here / "blocks") as mem:
        mem.begin()
        state["a"] += 1.0
    return state["a"]

def in_scope():
    with swarmgrid.scope("mine"):
        return swarmgrid.run(area, {"height": 5.0}, {"width": [1]})[1].points_total

async def watched():
    async with asyncio.timeout(20):
        return [event.token async for event in swarmgrid.watch(timeout=0)]

CALLS = {
    "put_many": lambda: swarmgrid.put_many({1: 7.0}, {"height": 7.0}, ["width"], func=area),
    "archive": lambda: str(swarmgrid.archive(here / "store", here / "cold", older_than="1h")),
    "catalog": lambda: [row.grid for row in swarmgrid.catalog().rows],
    "compute": lambda: swarmgrid.compute(wave, axes={"x": range(8)}, chunks=2).sum().to_dict(),
    "copy": lambda: swarmgrid.copy(here / "store", here / "copy").snapshots,
    "grid": lambda: swarmgrid.grid(area).compute({}, {"width": [1, 2]})["value"].sum().item(),
    "memoize": block,
    "merge": lambda: swarmgrid.merge(here / "store", here / "copy").points_added,
    "open": lambda: swarmgrid.open(func=wave)["value"].values.sum().item(),
    "plan": lambda: swarmgrid.plan(wave, axes={"x": range(9)}).points_missing,
    "prune": lambda: len(swarmgrid.prune(older_than="1h").grids),
    "report": lambda: swarmgrid.report(path=here / "report.html").name,
    "run": lambda: swarmgrid.run(area, {"height": 3.0}, {"width": [1]})[1].points_total,
    "scope": in_scope,
    "scopes": lambda: swarmgrid.scopes(),
    "set_options": lambda: swarmgrid.set_options(verbose=0) and None,
    "thaw": lambda: swarmgrid.thaw(here / "store"),
    "stream": lambda: swarmgrid.stream(area, {"height": 3.0}, {"width": [1]}).points_total,
    "watch": lambda: [event.token for event in swarmgrid.watch(timeout=0)],
    "watch, async": lambda: asyncio.run(watched()),
    "an error": lambda: swarmgrid.compute(fails, axes={"x": [1]}),
}

def outcomes():
    found = {}
    for name, call in CALLS.items():
        try:
            found[name] = call()
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(found))

def read_in_a_thread():
    while threading.main_thread().is_alive():
        time.sleep(0.01)
    print(CALLS["open"]())

for _ in range(2):
    outcomes()
threading.Thread(target=read_in_a_thread).start()
atexit.register(outcomes)
"""

ANEW = """
def last(executor):
    swarmgrid.set_options(executor=executor)
    ds = swarmgrid.compute(area, axes={"width": range(9)})
    print(ds["value"].sum().item())

import concurrent.futures.thread, dask.threaded  # as of earlier runs
for executor in sys.argv[1:]:
    atexit.register(last, executor)
"""

FIRST = """
@atexit.register
def last():
    for name in list(sys.modules):  # as if no package had imported it
        if name.startswith("concurrent"):
            del sys.modules[name]
    print(len(swarmgrid.catalog().rows))
    try:
        swarmgrid.compute(area, axes={"width": range(9)}, executor="threads")
    except RuntimeError as error:
        print(*error.__notes__)
"""


def output_of(folder: Path, script: str, *arguments: str) -> list[Any]:
    """The lines that a script prints, which must end without a word on its standard error."""
    (folder / "script.py").write_text(SCRIPT + script)
    done = subprocess.run(
        [sys.executable, "-W", "error", folder / "script.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_every_public_function_does_at_the_end_of_a_script_what_it_did_before(
    tmp_path: Path,
) -> None:
    _, before, of_thread, after = map(json.loads, output_of(tmp_path, EVERYTHING))
    functions = {n for n in swarmgrid.__all__ if inspect.isfunction(getattr(swarmgrid, n))}
    assert {*before} >= functions - {"serve"} | {"open"}  # it is of no use to a script that ends
    assert [text for text in before.values() if "Error" in str(text)] == [before["an error"]]
    assert after == before
    assert of_thread == before["open"]


@pytest.mark.long
@pytest.mark.parametrize("executor", first(1, ["threads", "processes", "sync"]))
def test_every_executor_computes_at_the_end_of_a_script(tmp_path: Path, executor: str) -> None:
    assert output_of(tmp_path, ANEW, executor) == ["72.0"]


def test_what_cannot_be_imported_any_more_is_an_error_that_says_so(tmp_path: Path) -> None:
    assert output_of(tmp_path, FIRST) == ["0", ENDING]
