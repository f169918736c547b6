"""Stores and functions for the commands."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import swarmgrid
from tests.cli.shell import MODEL

_numbers = itertools.count()


def simulate(s: int, alpha: float) -> float:
    if s == 7:
        raise ValueError("seven")
    return alpha * s


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command of a test sees the environment of the machine."""
    for name in ("SWARMGRID_STORE", "NO_COLOR", "SWARMGRID_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def store() -> str:
    """A store with three grids: whole, with a failure, and smaller."""
    url = f"memory://cli-{next(_numbers)}"
    options = {"func": simulate, "store": url, "executor": "sync", "verbose": 0, "version": "1"}
    for alpha, n, site in ((0.2, 5, "north"), (0.4, 9, "south"), (0.6, 3, "north")):
        swarmgrid.stream({"alpha": alpha}, {"s": range(n)}, tags={"site": site},
                         on_error="record", **options)  # fmt: skip
    return url


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of the user's in the working folder, by its name; forgotten afterwards."""
    name = f"model_{next(_numbers)}"
    (tmp_path / f"{name}.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = {*sys.modules}
    yield name
    for added in {*sys.modules} - before:
        if getattr(sys.modules[added], "__file__", None) and str(tmp_path) in str(
            sys.modules[added].__file__
        ):
            del sys.modules[added]
