"""What every test may use."""

from __future__ import annotations

import gc
import itertools
import math
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The tests start some 150 interpreters. Where none may keep what it compiles, each spends two
# seconds on that, which is more than half of the suite's time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

pytest_plugins = [
    "tests.long",
    "tests.leftovers",
    "tests.programs",
    "tests.servers.fixtures",
    "tests.stores.fixtures",
    "tests.foreign.fixtures",
    "tests.browser",
]


def pytest_configure() -> None:
    """Let what tests start be interrupted, even where they run in the background of a shell."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Leave some million objects of thousands of tests out of every garbage collection."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse ids that differ from process to process: pytest-xdist compares them."""
    for item in items:
        if re.search(r"0x[0-9a-f]{6,}", item.nodeid):
            raise pytest.UsageError(f"An address is in the id {item.nodeid!r}. Give `ids=`.")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run the whole suite in three processes for two cores, a part of it in this one.

    A third of what a test takes is waiting, mostly for processes that it has started.
    """
    option = config.option
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    is_plain = not (option.keyword or option.collectonly or option.usepdb)
    is_first = not hasattr(config, "workerinput")  # its processes come here, too
    if is_first and is_whole and is_plain and getattr(option, "numprocesses", 0) is None:
        option.numprocesses, option.dist = math.ceil(1.5 * (os.cpu_count() or 1)), "worksteal"


class CallCounter:
    """Counts calls across processes: every call appends a byte to a file."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "calls"
        self._file.touch()

    def __call__(self) -> None:
        with self._file.open("ab") as file:
            file.write(b".")

    @property
    def count(self) -> int:
        """How many calls there were, in any process."""
        return self._file.stat().st_size


@pytest.fixture
def counter(tmp_path: Path) -> CallCounter:
    """A counter that functions can carry into worker processes."""
    return CallCounter(tmp_path)


@pytest.fixture
def new_memory_store() -> Iterator[Callable[[], str]]:
    """A maker of ``memory://`` URLs that no other test uses."""
    from swarmgrid.store import location

    numbers = itertools.count()
    made: list[str] = []

    def make() -> str:
        made.append(f"memory://test-{id(made)}-{next(numbers)}")
        return made[-1]

    yield make
    for url in made:
        location._memory.pop(url, None)


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Makes every write from the ``k``-th on fail, as if the process had ended there; -1: none."""
    from swarmgrid.store.directory import FileBlobs

    plain = {name: getattr(FileBlobs, name) for name in ("put", "create", "delete", "end_writing")}

    def arm(k: int) -> None:
        left = itertools.count(k, -1)
        for name, method in plain.items():

            def dying(self: Any, *args: Any, method: Any = method) -> Any:
                if next(left) <= 0:
                    raise Killed
                return method(self, *args)

            monkeypatch.setattr(FileBlobs, name, dying if k >= 0 else method)

    yield arm
    arm(-1)
