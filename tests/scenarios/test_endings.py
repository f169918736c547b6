"""A run that ends early says in one line what is stored, and shows the user's frames only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import MemoryStore

import swarmgrid
from swarmgrid.coordinator.endings import with_code
from swarmgrid.executors.daemon_threads import DaemonThreads
from swarmgrid.worker.tracebacks import user_traceback
from tests.long import first
from tests.observe.screen import session
from tests.waiting import PATIENCE

PACKAGE = str(Path(swarmgrid.__file__).parent)

SLOW = """
import sys, time
import numpy as np
import swarmgrid
from swarmgrid.coordinator import run
from swarmgrid.process_pool import pool

run.GRACE_SECONDS = pool.GRACE_SECONDS = {grace}

def simulate(x):
    with open(sys.argv[1] + ".calls", "ab", buffering=0) as file:
        file.write(b"." * np.size(x))
        number = file.tell()  # of this call: in whatever order points come, four are quick
    if number > 4:
        time.sleep(600)
    return x * 2.0

call = swarmgrid.{call}
call(axes={{"x": range(40)}}, func=simulate, version="1", store=sys.argv[1], **{options!r})
"""
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "the default": ("compute", {}),
    "threads": ("stream", {"executor": "threads"}),
    "sync blocks": ("compute", {"executor": "sync", "vectorized": True, "chunks": 2}),
    "processes": ("run", {"executor": "processes", "exec_chunk_size": 1}),
}


def interrupted(tmp_path: Path, case: str, *, n_times: int = 1, by: str = "Ctrl-C") -> list[str]:
    """The screen of a run that is interrupted once four of its points are there."""
    call, options = CASES[case]
    script = tmp_path / "script.py"
    options = {"workers": 2, "flush_interval": 0.1} | options
    # a second signal ends at once what would else take ten minutes
    grace = 0.1 if n_times == 1 else 600.0
    script.write_text(SLOW.format(call=call, options=options, grace=grace))
    with session(script, tmp_path / "store") as shown:
        shown.wait_for(r" 4/40, \d+ begun")
        for n in range(n_times):
            if n:
                shown.wait_for("stopping")
            if by == "Ctrl-C":
                shown.press_ctrl_c()
            else:
                os.kill(shown.process.pid, signal.SIGTERM)
        assert shown.end() == (-signal.SIGINT if by == "Ctrl-C" else 128 + signal.SIGTERM)
        return shown.screen.text()


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=pytest.mark.long if case == "processes" else ()) for case in CASES],
)
def test_ctrl_c_ends_with_one_line_and_the_user_s_frame(tmp_path: Path, case: str) -> None:
    lines = interrupted(tmp_path, case)
    assert lines[0] == "Traceback (most recent call last):"
    assert [line for line in lines if 'File "' in line] == [
        f'  File "{tmp_path}/script.py", line 19, in <module>'
    ]
    assert lines[-1] == "KeyboardInterrupt: 4 of 40 points are stored; call again to go on"


@pytest.mark.long
def test_a_second_ctrl_c_does_not_wait_for_running_points(tmp_path: Path) -> None:
    lines = interrupted(tmp_path, "processes", n_times=2)
    assert lines[-1] == "KeyboardInterrupt: 4 of 40 points are stored; call again to go on"


def test_sigterm_ends_with_the_same_line(tmp_path: Path) -> None:
    lines = interrupted(tmp_path, "threads", by="SIGTERM")
    assert lines == ["ended by SIGTERM: 4 of 40 points are stored; call again to go on"]


STARTED = """
import re, signal, swarmgrid
from multiprocessing import forkserver
from pathlib import Path

swarmgrid.stream(lambda x: x, axes={"x": [1]}, store="memory://", executor="processes")
status = Path(f"/proc/{forkserver._forkserver._forkserver_pid}/status").read_text()
blocked = int(re.search(r"SigBlk:\\s*(\\w+)", status)[1], 16)
assert blocked >> (signal.SIGINT - 1) & 1, "Ctrl-C ends the server while it imports"
"""


@pytest.mark.long
def test_ctrl_c_spares_the_fork_server_from_its_first_moment() -> None:
    subprocess.run([sys.executable, "-c", STARTED], check=True, timeout=PATIENCE)


FAILING = """
import sys
import swarmgrid
from tests.long import first

def inner(x):
    if x == 3:
        raise ValueError("three") from KeyError("why")
    return x

@swarmgrid.grid
def checked(x):
    return inner(x)

def simulate(x):
    return checked(x)

swarmgrid.compute(axes={"x": range(6)}, func=simulate, version="1", store=sys.argv[1],
                  exec_chunk_size=1, executor=sys.argv[2], workers=1)
"""


@pytest.mark.parametrize("executor", first(1, ["processes", "sync"]))
def test_a_failing_point_shows_its_traceback_once(tmp_path: Path, executor: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(FAILING)
    with session(script, tmp_path / "store", executor, columns=200) as shown:
        assert shown.end() == 1
        lines = shown.screen.text()
    text = "\n".join(lines)
    assert PACKAGE not in text
    assert not any(word in text for word in ("cloudpickle", "dask", "threading.py"))
    assert lines.count('    raise ValueError("three") from KeyError("why")') == 1
    frames = [line.rpartition(" ")[2] for line in lines if 'File "' in line]
    assert frames == ["<module>", "simulate", "checked", "inner"]
    assert "swarmgrid.PointError: simulate(x=3) failed: ValueError: three" in lines
    assert "at x=3" in lines  # below the error of the function itself
    assert " of 6 points are stored (this one is x=3). Correct simulate and" in lines[-1]


def fails(x: int) -> int:
    raise ValueError(x)


def frames_of(error: BaseException) -> list[traceback.FrameSummary]:
    return [f for f in traceback.extract_tb(error.__traceback__) if PACKAGE in f.filename]


@pytest.mark.parametrize("full", [False, True])
def test_our_frames_can_be_had_for_a_report(monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    if full:
        monkeypatch.setenv("SWARMGRID_TRACEBACK", "full")
    with pytest.raises(swarmgrid.PointError) as caught:
        swarmgrid.compute(axes={"x": [1]}, func=fails, store="memory://", executor="sync")
    names = [frame.name for frame in frames_of(caught.value)]
    assert names[0] == "compute"
    assert ("fill" in names) == full


def test_an_error_of_the_call_shows_no_frames_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(swarmgrid.InputError) as caught:
        swarmgrid.grid(fails, store="memory://").stream(axes={"x": [1]}, retries=-1)
    assert [frame.name for frame in frames_of(caught.value)] == ["stream", "stream"]


class BrokenStore(MemoryStore):
    """A store of the user's own, with a mistake."""

    async def get(self, *args: Any, **options: Any) -> Any:
        raise ZeroDivisionError


@pytest.mark.parametrize("full", [False, True])
def test_an_error_of_the_store_shows_no_frames_and_no_text_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    if full:
        monkeypatch.setenv("SWARMGRID_TRACEBACK", "full")
    (tmp_path / "file").touch()
    for store in (tmp_path / "file" / "store", BrokenStore()):
        with pytest.raises(swarmgrid.StoreError) as caught:
            swarmgrid.compute(axes={"x": [1]}, func=fails, store=store, executor="sync")
        assert caught.value.__cause__ is not None
        sys.excepthook(type(caught.value), caught.value, caught.value.__traceback__)
        shown = capsys.readouterr().err
        is_whole = full or isinstance(store, BrokenStore)
        assert ("direct cause of" in shown) == is_whole
        assert (PACKAGE in shown) == is_whole
        assert "swarmgrid.StoreError: store " in shown


def test_an_error_that_other_code_shows_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def theirs(*error: object) -> None:
        pass

    monkeypatch.setattr(sys, "excepthook", theirs)
    with pytest.raises(swarmgrid.PointError):
        swarmgrid.compute(axes={"x": [1]}, func=fails, store="memory://", executor="sync")
    assert sys.excepthook is theirs


def test_a_traceback_of_a_worker_gets_the_code_that_only_the_caller_has() -> None:
    code = fails.__code__
    text = (
        "Traceback (most recent call last):\n"
        f'  File "{__file__}", line {code.co_firstlineno}, in simulate\n'
        '  File "/not/there.py", line 3, in inner\n'
        f'  File "{__file__}", line 1, in told\n    its own line\n'
        "ValueError: no\n"
    )
    head = "in simulate\n"
    expected = text.replace(head, f"{head}    def fails(x: int) -> int:\n")
    assert with_code(text) == expected


def test_the_traceback_of_a_function_that_cannot_be_called_is_its_error() -> None:
    with pytest.raises(TypeError) as caught:
        swarmgrid.grid(fails)()  # type: ignore[call-arg]
    error = caught.value.with_traceback(caught.value.__traceback__.tb_next)
    assert user_traceback(error).startswith("TypeError: ")


def test_threads_that_still_call_do_not_keep_the_process() -> None:
    threads = DaemonThreads(2)
    gate = threading.Event()
    futures = [threads.submit(gate.wait) for _ in range(3)]
    failing = threads.submit(fails, 7)
    running = [t for t in threading.enumerate() if t.name.startswith("swarmgrid-thread-")]
    assert len(running) == 2
    assert all(thread.daemon for thread in running)
    gate.set()
    assert [future.result() for future in futures] == [True] * 3
    assert isinstance(failing.exception(), ValueError)
    threads.close()
    for thread in running:
        thread.join()
