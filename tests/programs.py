"""The programs that a test starts: none outlives the test, also where it fails half-way."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

_started: list[subprocess.Popen[Any]] = []


def start(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[Any]:
    """Start a program; `subprocess.Popen` with its options, ended with the test at the latest."""
    process = subprocess.Popen(command, **options)
    _started.append(process)
    return process


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """End what the test has started after its fixtures, which may end it in their own way."""
    try:
        return (yield)
    finally:
        end_all()


def end_all() -> None:
    """Kill every program that goes on, with what it has started, and close its pipes."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            for one in _with_descendants(process.pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # what it was to read is not flushed
                    pipe.close()
        process.wait()


def _with_descendants(pid: int) -> list[psutil.Process]:
    try:
        program = psutil.Process(pid)
        return [program, *program.children(recursive=True)]  # it can start no more of them
    except psutil.NoSuchProcess:
        return []
