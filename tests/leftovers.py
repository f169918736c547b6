"""Nothing that a test starts or makes is left behind: no process, and no temporary file."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import psutil
import pytest

MARK = "SWARMGRID_TESTS"
"""A variable that every process has which comes of a test, also one whose parents are gone."""
WAIT_SECONDS = 60.0
"""How long a process may take that is about to end."""

FOREIGN = ("pymp-", "dask-scratch-space", "pytest-of-")
"""Of multiprocessing in a process that was killed or goes on, of dask, and of pytest."""


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder for temporary files, and a look around at the end."""
    tmp_path_factory.getbasetemp()  # pytest's own lies elsewhere
    before = os.environ.get("TMPDIR")
    folder = Path(tempfile.mkdtemp(prefix="swarmgrid-tests-"))
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    os.environ[MARK] = mark = uuid.uuid4().hex
    try:
        yield
        processes, files = processes_left(mark), files_left(folder)
    finally:
        del os.environ[MARK]
        os.environ.pop("TMPDIR")
        if before is not None:
            os.environ["TMPDIR"] = before
        tempfile.tempdir = None
        after_all = -200  # multiprocessing removes its own folder in it before, at -100
        Finalize(None, shutil.rmtree, (folder,), {"ignore_errors": True}, exitpriority=after_all)
    assert not processes, f"processes that tests left: {processes}"
    assert not files, f"temporary files that tests left: {files}"


def processes_left(mark: str, wait_seconds: float = WAIT_SECONDS) -> list[str]:
    """The processes that come of this one's tests and go on, each as its id and command."""
    end = time.monotonic() + wait_seconds
    while (left := _descendants(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    return left


def files_left(folder: Path) -> list[str]:
    """What lies in a folder for temporary files, but for what is not ours to remove."""
    return sorted(str(path) for path in folder.iterdir() if not path.name.startswith(FOREIGN))


def _descendants(mark: str) -> list[str]:
    # Python ends these with this process; a worker that the server forked is not excused
    server: Any = forkserver._forkserver
    tracker: Any = resource_tracker._resource_tracker
    excused = {server._forkserver_pid, tracker._pid}
    children = {child.pid for child in psutil.Process().children(recursive=True)}
    found = []
    for process in psutil.process_iter():
        try:
            is_ours = process.pid in children or process.environ().get(MARK) == mark
            if is_ours and process.pid not in excused and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid}: {' '.join(process.cmdline())[:200]}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
