"""What a notebook shows of a run: a widget or a line that changes, prints, and short errors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE

nbclient = pytest.importorskip("nbclient", reason="of the extra docs")
pytest.importorskip("ipykernel", reason="of the extra docs")
nbformat = pytest.importorskip("nbformat", reason="of the extra docs")

COLOURS = re.compile(r"\x1b\[[\d;]*m")
CELLS = {
    "run": """
import logging, sys, time
import swarmgrid
if {is_plain}:
    sys.modules["ipywidgets"] = None
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
def simulate(x):
    print("point", x, end=" ")
    print("in a worker")
    logging.info("logged %d", x)
    time.sleep(0.3)
    return x
ds = swarmgrid.compute(simulate, axes={{"x": range(6)}}, store="c", workers=1,
                       executor="processes", exec_chunk_size=1)
""",
    "failure": """
def fails(x):
    if x == 3:
        raise ValueError("three")
    return x
swarmgrid.compute(fails, axes={{"x": range(6)}}, store="c", workers=1,
                  executor="processes", exec_chunk_size=1)
""",
    "interrupt": """
import os, signal, threading
import pathlib
reached = pathlib.Path.cwd() / "reached"
def slow(x):
    if x == 2:
        reached.touch()
        time.sleep(600)
    return x
def interrupt():
    while not reached.exists():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
swarmgrid.compute(slow, axes={{"x": range(6)}}, store="c", workers=1, executor="processes",
                  exec_chunk_size=1, flush_interval=0.1)
""",
}


@pytest.mark.parametrize("has_widgets", [False, True])
def test_a_notebook_shows_what_a_run_does_and_how_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_widgets: bool
) -> None:
    if has_widgets:
        pytest.importorskip("ipywidgets")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    cells = [nbformat.v4.new_code_cell(c.format(is_plain=not has_widgets)) for c in CELLS.values()]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(
        notebook,
        timeout=PATIENCE,
        startup_timeout=PATIENCE,
        iopub_timeout=PATIENCE,  # of four seconds else: then outputs are left out
        allow_errors=True,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    run, failure, interrupt = (cell.outputs for cell in notebook.cells)

    assert printed(run, "stderr") == []  # a warning of tqdm's, or a red bar
    lines = printed(run, "stdout")
    told = [line for line in lines if not line.startswith("simulate")]
    # workers may begin the points in any order
    expected = [(f"point {x} in a worker", f"logged {x}") for x in range(6)]
    assert sorted(zip(told[::2], told[1::2], strict=True)) == expected
    shown = [one.data for one in run if one.output_type == "display_data"]
    assert len(shown) == 1
    assert ("application/vnd.jupyter.widget-view+json" in shown[0]) == has_widgets
    last = lines[-1] if has_widgets else shown[0]["text/plain"]
    assert last.startswith("simulate: 6 points: 6 computed")

    text = COLOURS.sub("", "\n".join(error_of(failure).traceback))
    assert text.count('raise ValueError("three")') == 2  # the cell, and the worker's traceback
    assert text.count("Traceback of the worker") == 1
    assert "functions.py" not in text
    assert "points are stored (this one is x=3)" in text

    assert error_of(interrupt).ename == "KeyboardInterrupt"
    # the second point may not have come back from the worker yet
    assert re.fullmatch(
        "[12] of 6 points are stored; call again to go on", error_of(interrupt).evalue
    )
    assert "functions.py" not in COLOURS.sub("", "\n".join(error_of(interrupt).traceback))


def printed(outputs: list[Any], name: str) -> list[str]:
    """The lines of a stream in a cell's output."""
    texts = (one.text for one in outputs if one.output_type == "stream" and one.name == name)
    return "".join(texts).splitlines()


def error_of(outputs: list[Any]) -> Any:
    """The error that a cell shows."""
    (found,) = (one for one in outputs if one.output_type == "error")
    return found
