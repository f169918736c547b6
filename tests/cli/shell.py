"""The program as the tests call it: in process, with what it writes and its exit code."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any, NamedTuple

from swarmgrid.cli.main import main

MODEL = """
from enum import Enum


class Colour(Enum):
    RED = 1
    BLUE = 2


def simulate(strat: str, s: int, alpha: float):
    if s == 7:
        raise ValueError("seven")
    return alpha * s


def plain(x, y):
    return x + y


def typed(x: float, colour: Colour):
    return x * colour.value
"""
"""A module of the user's."""


IN_A_TERMINAL = """
import sys, time
from pathlib import Path
from swarmgrid.cli.main import main
code = main()
while not (Path(__file__).parent / "shown").exists():
    time.sleep(0.01)
sys.exit(code)
"""
"""A script that ends once the file ``shown`` is beside it: what a terminal has not read by the end
of its program may be lost."""


class Done(NamedTuple):
    """The outcome of a command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


def shell(*arguments: object) -> Done:
    """Run ``swarmgrid`` with some arguments."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(one) for one in arguments])
    return Done(code, out.getvalue(), err.getvalue())
