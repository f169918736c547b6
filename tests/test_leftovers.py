"""What a test leaves behind is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.leftovers import MARK, files_left, processes_left
from tests.waiting import wait_until

SCRIPT = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "input()"], stdout=subprocess.DEVNULL).pid)
"""


def test_a_process_that_is_left_is_found_although_its_parent_has_ended() -> None:
    read, write = os.pipe()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        stdin=read,
        stdout=subprocess.PIPE,
        env={**os.environ, MARK: "left"},
        check=True,
        text=True,
    )
    found = [line.partition(":")[0] for line in processes_left("left", 0.0)]
    os.close(read)
    os.close(write)  # it ends with its input
    pid = done.stdout.strip()
    assert pid in found
    wait_until(lambda: pid not in [p.partition(":")[0] for p in processes_left("left", 0.0)])


def test_a_file_that_is_left_is_found(tmp_path: Path) -> None:
    assert files_left(tmp_path) == []
    (tmp_path / "left").touch()
    assert files_left(tmp_path) == [str(tmp_path / "left")]
