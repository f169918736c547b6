"""A run imports dask in a thread of its own, while the user's function may import it, too."""

from __future__ import annotations

import subprocess
import sys

from tests.waiting import PATIENCE

PROGRAM = """
import builtins, sys, threading
from swarmgrid.executors.processes import threaded_scheduler

found = []
other = threading.Thread(target=lambda: found.append(threaded_scheduler()))
original = builtins.__import__

def stopped_in_the_middle(name, *rest):
    # The main thread is within `import dask` until the other one waits for the lock of a module.
    if name == "dask.typing" and other.ident is None:
        other.start()
        while not is_waiting(sys._current_frames().get(other.ident)):
            assert other.is_alive()
    return original(name, *rest)

def is_waiting(frame):
    while frame is not None:
        code = frame.f_code
        if code.co_name == "acquire" and "importlib" in code.co_filename:
            return True
        frame = frame.f_back
    return False

builtins.__import__ = stopped_in_the_middle
assert "dask" not in sys.modules
import dask
other.join()
print(found[0].__module__, dask.threaded.get is found[0])
"""


def test_a_run_and_the_function_can_import_dask_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("dask.threaded True\n", 0), done.stderr
